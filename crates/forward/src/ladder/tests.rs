use std::collections::BTreeMap;

use model::{AnyValue, Labels, LogStream, span::SpanOrigin, stale_marker};
use proptest::prelude::*;

use super::*;

fn spans(ids: &[(u8, u8)]) -> Batch {
    let span = |(t, s): &(u8, u8)| Span { trace_id: [*t; 16], span_id: [*s; 8], ..Span::default() };
    Batch::Spans(SpanBatch { origins: vec![SpanOrigin::default()], spans: ids.iter().map(span).collect() })
}

fn traces(batch: &Batch) -> BTreeMap<u8, usize> {
    let Batch::Spans(s) = batch else { panic!() };
    let mut all = BTreeMap::new();
    s.spans.iter().for_each(|s| *all.entry(s.trace_id[0]).or_default() += 1);
    all
}

/// Steps as a lane takes them that is far behind, then is not.
fn pressure(steps: i64) -> Pressure {
    let mut p = Pressure::default();
    for _ in 0..steps {
        p.next_step(&Ladder::default(), Class::Traces, i64::MAX / 2);
    }
    p
}

proptest! {
    #[test]
    fn a_trace_is_kept_or_left_out_whole_however_the_steps_change(
        runs in prop::collection::vec((prop::collection::vec((1u8..60, any::<u8>()), 1..60), any::<bool>()), 1..8),
    ) {
        let ladder = Ladder::default();
        let mut p = Pressure::default();
        let (mut came, mut stayed) = (BTreeMap::<u8, usize>::new(), BTreeMap::<u8, usize>::new());
        for (ids, is_behind) in runs {
            let behind = if is_behind { i64::MAX / 2 } else { 0 };
            p.next_step(&ladder, Class::Traces, behind);
            let run = spans(&ids);
            let thin = p.thin(&ladder, [&run].into_iter());
            // As a plan that is read again after a crash.
            let text = serde_json::to_string(&thin).unwrap();
            let thin: Thin = serde_json::from_str(&text).unwrap();
            for (t, n) in traces(&thin.apply(run.clone())) {
                *stayed.entry(t).or_default() += n;
            }
            for (t, n) in traces(&run) {
                *came.entry(t).or_default() += n;
            }
        }
        for (trace, n) in stayed {
            prop_assert_eq!(came[&trace], n, "trace {}", trace);
        }
    }
}

#[test]
fn each_step_keeps_about_half_of_what_the_step_before_kept() {
    let ids: Vec<(u8, u8)> = (0..=255).map(|t| (t, 1)).collect();
    let kept = |steps| {
        let run = spans(&ids);
        let thin = pressure(steps).thin(&Ladder::default(), [&run].into_iter());
        traces(&thin.apply(run)).into_keys().collect::<HashSet<u8>>()
    };
    let all: Vec<HashSet<u8>> = (0..4).map(kept).collect();
    assert_eq!(all[0].len(), 256);
    for pair in all.windows(2) {
        assert!(pair[1].is_subset(&pair[0]));
        let ratio = pair[1].len() as f64 / pair[0].len() as f64;
        assert!((0.3..0.7).contains(&ratio), "{ratio}");
    }
}

#[test]
fn errors_among_logs_are_all_kept() {
    let record = |i: u32| LogRecord {
        body: AnyValue::from(format!("line {i}")),
        severity_number: if i.is_multiple_of(10) { 17 } else { 9 },
        severity_text: String::new(),
        ..LogRecord::default()
    };
    let mut batch =
        LogBatch { streams: vec![LogStream::default()], records: (0..1000).map(record).collect() };
    batch.records.push(LogRecord { severity_text: "ERROR".to_owned(), ..LogRecord::default() });
    let thin = Thin { step: 3, ..Thin::default() };
    let Batch::Logs(kept) = thin.apply(Batch::Logs(batch.clone())) else { panic!() };
    let errors = kept.records.iter().filter(|r| is_error(r)).count();
    assert_eq!(errors, 101);
    let others = kept.records.len() - errors;
    assert!((70..160).contains(&others), "about an eighth of 900: {others}");
    assert_eq!(thin.apply(Batch::Logs(kept.clone())), Batch::Logs(kept), "the same again");
    assert_eq!(Thin::default().apply(Batch::Logs(batch.clone())), Batch::Logs(batch));
}

#[test]
fn metrics_keep_the_last_sample_of_an_interval_and_the_ends_of_series() {
    let mut m = MetricBatch::default();
    let a = m.push_series(Labels::from_pairs([("__name__", "a")]));
    let b = m.push_series(Labels::from_pairs([("__name__", "b")]));
    for t in [0, 15, 30, 45, 60, 75] {
        m.samples.push(a, t * 1000, t as f64);
    }
    m.samples.push(b, 10_000, 1.0);
    m.samples.push(b, 20_000, stale_marker());
    let thin = Thin { step: 1, interval_ms: 60_000, ..Thin::default() };
    let Batch::Metrics(kept) = thin.apply(Batch::Metrics(m)) else { panic!() };
    let points: Vec<(u32, i64)> =
        kept.samples.series.iter().copied().zip(kept.samples.timestamp_ms.iter().copied()).collect();
    assert_eq!(points, [(0, 45_000), (0, 75_000), (1, 10_000), (1, 20_000)]);
}

#[test]
fn steps_follow_how_far_a_lane_is_behind_and_critical_is_never_thinned() {
    let ladder = Ladder { max_steps: 2, ..Ladder::default() };
    let second = 1_000_000_000;
    let mut p = Pressure::default();
    let mut steps = Vec::new();
    for behind in [0, 61, 61, 61, 45, 20, 20, 20] {
        steps.push(p.next_step(&ladder, Class::Logs, behind * second));
    }
    assert_eq!(steps, [0, 1, 2, 2, 2, 1, 0, 0]);
    assert_eq!(Pressure::default().next_step(&ladder, Class::Critical, 9999 * second), 0);
    assert!(!Pressure::default().must_drop(&ladder, Class::Critical, 9999 * second));
    let mut p = Pressure::default();
    let late = 3601 * second;
    p.next_step(&ladder, Class::Metrics, late);
    assert!(!p.must_drop(&ladder, Class::Metrics, late), "it can be thinned further");
    p.next_step(&ladder, Class::Metrics, late);
    assert!(p.must_drop(&ladder, Class::Metrics, late));
    let never = Ladder { sample_logs: false, ..ladder };
    assert!(Pressure::default().must_drop(&never, Class::Logs, late));
}
