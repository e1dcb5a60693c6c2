use model::{LogRecord, LogStream, MetricMetadata, Span, span::SpanOrigin};

use super::*;

const NOW: i64 = 1_700_000_000_000_000_000;

fn policy() -> Policy {
    let mut p = Policy::default();
    p.retention.logs = Some(Duration::from_secs(3600));
    p
}

fn run(batch: Batch) -> (Vec<Batch>, Receipt) {
    let mut receipt = Receipt::default();
    let out = admit(vec![batch], u64::MAX, &policy(), NOW, &mut receipt);
    (out, receipt)
}

fn metrics(samples: &[(u32, i64, f64)]) -> MetricBatch {
    let mut b = MetricBatch::default();
    for n in ["a", "b"] {
        b.push_series(Labels::from_pairs([("__name__", n)]));
    }
    for (s, t, v) in samples {
        b.samples.push(*s, *t, *v);
    }
    b
}

#[test]
fn samples_of_a_series_ascend_afterwards_and_conflicts_inside_a_batch_are_refused() {
    let (out, receipt) =
        run(Batch::Metrics(metrics(&[(0, 20, 2.0), (1, 5, 1.0), (0, 10, 1.0), (0, 20, 2.0), (0, 10, 9.0)])));
    let [Batch::Metrics(b)] = &out[..] else { panic!() };
    assert_eq!(b.samples.timestamp_ms, [10, 20, 5]);
    assert_eq!(b.samples.series, [0, 0, 1]);
    assert_eq!(receipt.refused_items(), 1);
    assert_eq!(receipt.accepted_items(), 1, "the repeated one");
}

#[test]
fn impossible_and_unbelievable_times_are_refused_by_name() {
    let now_ms = NOW / 1_000_000;
    let (out, receipt) = run(Batch::Metrics(metrics(&[
        (0, i64::MIN, 1.0),
        (0, now_ms, 1.0),
        (0, now_ms + 700_000, 1.0),
        (7, 1, 1.0),
    ])));
    assert_eq!(out[0].item_count(), 1);
    let reasons: Vec<_> = receipt.refused.iter().map(|r| r.reason).collect();
    assert!(
        reasons.contains(&RefusalReason::InvalidItem) && reasons.contains(&RefusalReason::TooFarInFuture)
    );
    assert_eq!(receipt.refused_items(), 3);
}

#[test]
fn labels_beyond_the_limits_name_the_limit() {
    let mut b = metrics(&[(0, 1, 1.0)]);
    b.series[0] = Labels::from_pairs([("__name__", "a".to_owned()), ("x", "v".repeat(9000))]);
    let (out, receipt) = run(Batch::Metrics(b));
    assert!(out.is_empty());
    assert!(receipt.refused[0].detail.contains("ingest.max_label_value is 8192"), "{:?}", receipt.refused);
}

#[test]
fn log_records_past_the_retention_or_too_large_are_refused() {
    let record =
        |t: i64, body: &str| LogRecord { timestamp_ns: t, body: body.into(), ..LogRecord::default() };
    let b = LogBatch {
        streams: vec![LogStream::default()],
        records: vec![
            record(NOW, "ok"),
            record(NOW - 3_700_000_000_000, "old"),
            record(NOW, &"x".repeat(2 << 20)),
            LogRecord { stream: 9, ..record(NOW, "lost") },
        ],
    };
    let (out, receipt) = run(Batch::Logs(b));
    assert_eq!(out[0].item_count(), 1);
    assert_eq!(receipt.accepted_items(), 1);
    let reasons: Vec<_> = receipt.refused.iter().map(|r| r.reason).collect();
    assert_eq!(reasons, [RefusalReason::TooOld, RefusalReason::TooLarge, RefusalReason::InvalidItem]);
}

#[test]
fn spans_without_ids_are_refused() {
    let good = Span { trace_id: [1; 16], span_id: [1; 8], start_ns: NOW, ..Span::default() };
    let b = SpanBatch {
        origins: vec![SpanOrigin::default()],
        spans: vec![good.clone(), Span { span_id: [0; 8], ..good }],
    };
    let (out, receipt) = run(Batch::Spans(b));
    assert_eq!((out[0].item_count(), receipt.refused_items()), (1, 1));
}

#[test]
fn a_refused_span_is_told_by_its_place_among_all_of_the_unit() {
    let good = Span { start_ns: NOW, trace_id: [1; 16], span_id: [1; 8], ..Span::default() };
    let bad = Span { span_id: [0; 8], ..good.clone() };
    let batch = |spans| Batch::Spans(SpanBatch { origins: vec![Default::default()], spans });
    let batches = vec![batch(vec![good.clone(), bad.clone()]), batch(vec![bad, good])];
    let mut receipt = Receipt::default();
    let left = admit(batches, u64::MAX, &policy(), NOW, &mut receipt);
    assert_eq!((left.len(), receipt.accepted_items()), (2, 2));
    assert_eq!(receipt.refused[0].positions, [1, 2]);
}

#[test]
fn several_metric_batches_of_a_unit_become_one() {
    let mut receipt = Receipt::default();
    let mut two = metrics(&[(1, 7, 7.0)]);
    two.series.swap(0, 1);
    two.metadata.push(MetricMetadata { family: "f".into(), ..MetricMetadata::default() });
    let out = admit(
        vec![Batch::Metrics(metrics(&[(0, 5, 5.0)])), Batch::Metrics(two)],
        u64::MAX,
        &Policy::default(),
        NOW,
        &mut receipt,
    );
    let [Batch::Metrics(b)] = &out[..] else { panic!() };
    assert_eq!(b.series.len(), 2);
    assert_eq!(b.samples.series, [0, 0]);
    assert_eq!(b.metadata.len(), 1);
}
