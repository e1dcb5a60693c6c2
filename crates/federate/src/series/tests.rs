use std::sync::Arc;

use contract::{Select, SeriesData, fake::Fake};
use model::{
    Batch, Histogram, Labels, MatchOp, Matcher, MetricBatch, TimeRange, TimestampMs, metric::HistogramSample,
};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{append, fakes, run, series, series_request};

/// One sample dealt to a member: member, series, time, value, whether it is a histogram.
type Dealt = (usize, u8, i64, i32, bool);

fn labels(n: u8) -> Labels {
    // Names that are prefixes of others, and sets that are prefixes of others.
    let sets: [&[(&str, &str)]; 6] = [
        &[("__name__", "up")],
        &[("__name__", "up"), ("instance", "a")],
        &[("__name__", "up"), ("instance", "a"), ("job", "x")],
        &[("__name__", "load"), ("instance", "a")],
        &[("__name__", "load"), ("instance", "b")],
        &[("A", "b"), ("__name__", "zeta")],
    ];
    Labels::from_pairs(sets[n as usize % sets.len()].iter().copied())
}

fn batch<'a>(samples: impl Iterator<Item = &'a Dealt>) -> Option<Batch> {
    let mut b = MetricBatch::default();
    for (_, n, t, v, is_histogram) in samples {
        let wanted = labels(*n);
        let at = b.series.iter().position(|l| *l == wanted);
        let s = at.map_or_else(|| b.push_series(wanted), |at| at as u32);
        if *is_histogram {
            let histogram = Histogram { count: f64::from(*v), ..Histogram::default() };
            b.histograms.push(HistogramSample {
                series: s,
                timestamp_ms: *t,
                start_ms: i64::from(*n),
                histogram,
            });
        } else {
            b.samples.push_started(s, *t, f64::from(*v), if *n == 1 { 7 } else { 0 });
        }
    }
    (!b.is_empty()).then_some(Batch::Metrics(b))
}

async fn answer(of: &impl Select, matchers: Vec<Matcher>, range: TimeRange) -> Vec<SeriesData> {
    of.series(series_request(matchers, range)).await.unwrap().collect().await.unwrap().0
}

proptest! {
    #[test]
    fn series_dealt_over_members_are_what_one_member_with_all_of_them_answers(
        dealt in prop::collection::vec((0usize..5, 0u8..6, 0i64..40, any::<i32>(), any::<bool>()), 0..80),
        n in 1usize..6,
    ) {
        run(async {
            let (members, federation, whole) = fakes(n);
            for (i, m) in members.iter().enumerate() {
                // Where times are equal the first counts, in the whole as well.
                append(m, batch(dealt.iter().filter(|d| d.0 % n == i))).await;
                append(&whole, batch(dealt.iter().filter(|d| d.0 % n == i))).await;
            }
            let m = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
            for matchers in [
                vec![m("__name__", MatchOp::Regex, ".+")],
                vec![Matcher::equal("__name__", "up")],
                vec![m("instance", MatchOp::NotEqual, "a"), m("__name__", MatchOp::NotRegex, "z.*")],
            ] {
                for range in [TimeRange::ALL, TimeRange::from_ms_inclusive(7, 23)] {
                    let got = answer(&federation, matchers.clone(), range).await;
                    let want = answer(&whole, matchers.clone(), range).await;
                    prop_assert_eq!(got, want);
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn starts_stay_with_their_samples() {
    let mut second = series("a", &[(2, 2.0), (5, 5.0)]);
    second.starts_ms = vec![1, 4];
    let merged = merge_two(series("a", &[(2, 9.0), (3, 3.0)]), second);
    assert_eq!(merged.timestamps_ms, [2, 3, 5]);
    assert_eq!((merged.values, merged.starts_ms), (vec![9.0, 3.0, 5.0], vec![0, 0, 4]));
}

#[test]
fn limits_count_over_all_members_together() {
    run(async {
        let (members, federation, _) = fakes(2);
        let deal = |i: usize| batch([(i, i as u8, 1, 1, false), (i, i as u8, 2, 1, false)].iter());
        append(&members[0], deal(0)).await;
        append(&members[1], deal(1)).await;
        let ask = |max_series, max_samples| {
            let mut r = series_request(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
            (r.scope.limits.max_series, r.scope.limits.max_samples) = (max_series, max_samples);
            let federation = federation.clone();
            async move { federation.series(r).await.unwrap().collect().await }
        };
        assert_eq!(ask(2, 4).await.unwrap().0.len(), 2);
        assert_eq!(ask(1, 4).await.unwrap_err().limit, Some("query.max_series"));
        assert_eq!(ask(2, 3).await.unwrap_err().limit, Some("query.max_samples"));
    });
}

#[test]
fn memory_is_given_back_when_the_answer_ends() {
    run(async {
        let (members, federation, _) = fakes(2);
        for m in &members {
            append(m, batch([(0, 0, 1, 1, false)].iter())).await;
        }
        let budget = base::MemoryBudget::new(1 << 20);
        let mut r = series_request(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
        r.scope.limits.memory = budget.clone();
        let mut selection = federation.series(r.clone()).await.unwrap();
        assert!(selection.items.next().await.is_some() && budget.reserved() > 0);
        drop(selection);
        tokio::task::yield_now().await;
        assert_eq!(budget.reserved(), 0);

        budget.set_limit(10);
        let refused = federation.series(r).await.unwrap().collect().await.unwrap_err();
        assert_eq!(refused.limit, Some("memory.limit"), "{refused}");
    });
}

#[test]
fn a_member_is_asked_only_where_its_labels_can_match() {
    run(async {
        let mut members = Vec::new();
        for name in ["dev-01", "prod-01"] {
            let fake = Fake::new();
            let mut b = MetricBatch::default();
            let s = b.push_series(Labels::from_pairs([("__name__", "up"), ("cluster", name)]));
            b.samples.push(s, TimestampMs(1).0, 1.0);
            append(&fake, Batch::Metrics(b)).await;
            let mut m = crate::fixtures::member(name, Arc::new(fake));
            m.labels = Labels::from_pairs([("cluster", name)]);
            members.push(m);
        }
        let metrics = base::Metrics::default();
        let federation = Federation::new(members, crate::Counts::register(&metrics));
        let ask = |op, value: &'static str| {
            let cluster = Matcher::new("cluster", op, value).unwrap();
            let r = series_request(vec![Matcher::equal("__name__", "up"), cluster], TimeRange::ALL);
            let federation = federation.clone();
            async move {
                let (found, coverage) = federation.series(r).await.unwrap().collect().await.unwrap();
                let sources: Vec<_> = coverage.sources().iter().map(|s| s.cluster.clone()).collect();
                (found.len(), sources, coverage.is_complete())
            }
        };
        assert_eq!(ask(MatchOp::Equal, "dev-01").await, (1, vec!["dev-01".to_owned()], true));
        assert_eq!(ask(MatchOp::Regex, "dev.*|prod.*").await.0, 2);
        assert_eq!(ask(MatchOp::Equal, "ops-01").await, (0, vec![], true));
        let text = metrics.encode();
        let asked = "orrery_federation_asked_total{member=\"dev-01\",signal=\"metrics\"} 2";
        assert!(text.contains(asked), "{text}");
    });
}
