use contract::{Receipt, RefusalReason};

use super::*;
use crate::options::Limits;

fn batch(samples: &[(&str, i64, f64)]) -> MetricBatch {
    let mut b = MetricBatch::default();
    for (name, t, v) in samples {
        let labels = Labels::from_pairs([("__name__", *name), ("job", "x")]);
        let at = b.series.iter().position(|l| *l == labels).unwrap_or_else(|| b.push_series(labels) as usize);
        b.samples.push(at as u32, *t, *v);
    }
    b
}

struct Bench {
    head: MetricsHead,
    limits: Limits,
    group: u64,
}

impl Bench {
    fn new() -> Self {
        Bench { head: MetricsHead::default(), limits: Limits::default(), group: 0 }
    }

    fn stage(&mut self, unit: u32, b: &mut MetricBatch) -> (Staged, Receipt) {
        let mut receipt = Receipt::default();
        let rules = Rules { limits: &self.limits, out_of_order_ms: 100, group: self.group, unit };
        (self.head.stage(b, &rules, &mut receipt), receipt)
    }

    /// One unit in a group of its own.
    fn append(&mut self, samples: &[(&str, i64, f64)]) -> Receipt {
        self.group += 1;
        let mut b = batch(samples);
        let (Staged::Taken { slots, .. }, receipt) = self.stage(0, &mut b) else { panic!("must not wait") };
        self.head.insert(&b, Some(&slots));
        receipt
    }

    fn all(&self) -> Vec<(String, Vec<i64>, Vec<f64>)> {
        let mut found: Vec<_> = self
            .head
            .select(&[], TimeRange::ALL, 100)
            .into_iter()
            .map(|s| s.store.rows(&s.labels, TimeRange::ALL, false))
            .map(|r| (r.labels.metric_name().to_owned(), r.timestamps_ms, r.values))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

#[test]
fn a_repeated_sample_is_accepted_silently_and_another_value_at_its_time_is_refused() {
    let mut b = Bench::new();
    b.append(&[("a", 10, 1.0), ("a", 20, 2.0)]);
    let again = b.append(&[("a", 20, 2.0), ("a", 30, 3.0)]);
    assert_eq!((again.refused_items(), again.repeated), (0, 1));
    let r = b.append(&[("a", 10, 1.0), ("a", 20, 9.0), ("a", 30, 9.0)]);
    assert_eq!(r.refused[0].reason, RefusalReason::DuplicateConflict);
    assert_eq!(r.refused_items(), 2);
    assert!(r.refused[0].detail.contains("at 20 ms"), "{:?}", r.refused);
    assert_eq!(b.all(), [("a".to_owned(), vec![10, 20, 30], vec![1.0, 2.0, 3.0])]);
}

#[test]
fn the_newest_sample_is_remembered_across_a_flush() {
    let mut b = Bench::new();
    b.append(&[("a", 10, 1.0)]);
    assert_eq!(b.head.freeze().unwrap().samples, 1);
    assert_eq!(b.append(&[("a", 10, 2.0)]).refused_items(), 1);
    assert!(b.head.freeze().is_none());
}

#[test]
fn out_of_order_samples_are_taken_inside_the_window_only() {
    let mut b = Bench::new();
    b.append(&[("a", 1000, 1.0), ("b", 1000, 1.0)]);
    assert_eq!(b.append(&[("a", 900, 2.0), ("a", 950, 2.5)]).refused_items(), 0);
    let r = b.append(&[("a", 899, 2.0)]);
    assert_eq!(r.refused[0].reason, RefusalReason::TooOld);
    assert_eq!(b.append(&[("new", 5, 2.0)]).refused_items(), 0, "in order for its series");
    assert_eq!(b.all()[0].1, [900, 950, 1000]);
}

#[test]
fn late_samples_are_compared_with_what_is_held_by_decoding_each_series_once() {
    let mut b = Bench::new();
    let held: Vec<(&str, i64, f64)> = (0..1000).map(|t| ("a", 2 * t, t as f64)).collect();
    b.append(&held);
    b.append(&held.iter().map(|(_, t, v)| ("b", *t, *v)).collect::<Vec<_>>());
    let decoded = || super::super::run::tests::DECODED.with(std::cell::Cell::get);
    let before = decoded();
    // Repeated, contradicting and new ones of both series, mixed.
    let late: Vec<(&str, i64, f64)> = (1900..1990)
        .flat_map(|t| [("a", t, (t / 2) as f64), ("b", t, if t == 1950 { -1.0 } else { (t / 2) as f64 })])
        .collect();
    let r = b.append(&late);
    assert_eq!(decoded() - before, 2);
    assert_eq!((r.refused_items(), r.refused[0].reason), (1, RefusalReason::DuplicateConflict));
    assert!(r.refused[0].detail.contains("at 1950 ms"), "{:?}", r.refused);
    assert_eq!(b.all()[1].1.len(), 1000 + 45);
}

#[test]
fn a_unit_that_depends_on_another_of_its_group_waits_for_the_next_group() {
    let mut b = Bench::new();
    b.group = 1;
    let (mut one, mut two, mut three) =
        (batch(&[("a", 10, 1.0), ("a", 20, 2.0)]), batch(&[("a", 10, 9.0)]), batch(&[("a", 20, 2.0)]));
    let (Staged::Taken { slots, .. }, _) = b.stage(0, &mut one) else { panic!("the first never waits") };
    assert!(matches!(b.stage(1, &mut three).0, Staged::Taken { .. }));
    assert!(matches!(b.stage(2, &mut two).0, Staged::NextGroup));
    b.head.insert(&one, Some(&slots));
    b.group = 2;
    let (_, receipt) = b.stage(0, &mut two);
    assert_eq!(receipt.refused[0].reason, RefusalReason::DuplicateConflict);
    assert_eq!(two.samples.len(), 0);
}

#[test]
fn the_series_limits_refuse_new_series_and_spare_known_ones() {
    let mut b = Bench::new();
    b.limits.max_series = 2;
    b.append(&[("a", 1, 1.0), ("b", 1, 1.0)]);
    let r = b.append(&[("c", 2, 1.0), ("a", 2, 1.0)]);
    assert_eq!((r.refused_items(), r.refused[0].reason), (1, RefusalReason::SeriesLimit));
    assert_eq!(b.all().len(), 2);
}

#[test]
fn idle_series_leave_the_registry_and_the_others_keep_their_order() {
    let mut b = Bench::new();
    b.append(&[("a", 1, 1.0), ("b", 1, 1.0), ("c", 1, 1.0)]);
    b.head.freeze();
    b.append(&[("c", 2, 1.0)]);
    b.head.freeze();
    assert_eq!(b.head.series_count(), 1);
    assert_eq!(b.append(&[("c", 2, 5.0)]).refused_items(), 1, "its newest sample is still known");
}

#[test]
fn the_series_of_a_tenant_that_fell_silent_are_freed() {
    let mut b = Bench::new();
    b.append(&[("a", 1, 1.0), ("b", 1, 1.0)]);
    assert_eq!(b.head.idle_bytes(), 0);
    b.head.freeze();
    let held = b.head.bytes() as u64;
    assert!(held > 0 && b.head.idle_bytes().abs_diff(held) < 2, "{held}, {}", b.head.idle_bytes());
    assert!(b.head.freeze().is_none());
    assert_eq!((b.head.series_count(), b.head.bytes()), (0, 0));
    assert_eq!(b.append(&[("a", 2, 1.0)]).refused_items(), 0);
    assert_eq!(b.all().len(), 1);
}

#[test]
fn metadata_is_learned_and_handed_to_the_next_flush_once() {
    let mut head = MetricsHead::default();
    let m = MetricMetadata { family: "f".into(), help: "h".into(), ..MetricMetadata::default() };
    head.insert(&MetricBatch { metadata: vec![m.clone()], ..MetricBatch::default() }, None);
    assert_eq!(head.freeze().unwrap().metadata, std::slice::from_ref(&m));
    head.insert(&MetricBatch { metadata: vec![m], ..MetricBatch::default() }, None);
    assert!(head.freeze().is_none());
    assert_eq!(head.metadata().count(), 1);
}
