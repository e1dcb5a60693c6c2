use model::histogram::BucketSpan;

use super::*;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

struct Rig {
    accumulator: Accumulator,
    metrics: Metrics,
    limits: DeltaLimits,
    now_ns: i64,
}

fn rig() -> Rig {
    let metrics = Metrics::default();
    let accumulator = Accumulator::new(&metrics, MemoryBudget::unlimited());
    Rig { accumulator, metrics, limits: DeltaLimits::default(), now_ns: NOW_NS }
}

/// A point: series, start, end, value.
type Point<'a> = (&'a str, i64, i64, f64);

fn batch(points: &[Point<'_>]) -> (MetricBatch, Deltas) {
    let mut b = MetricBatch::default();
    let mut deltas = Deltas::default();
    for (name, start, at, v) in points {
        let labels = Labels::from_pairs([("__name__", *name)]);
        let known = b.series.iter().position(|l| *l == labels).map(|i| i as u32);
        let series = known.unwrap_or_else(|| b.push_series(labels));
        deltas.samples.push(b.samples.len() as u32);
        b.samples.push_started(series, *at, *v, *start);
    }
    (b, deltas)
}

impl Rig {
    /// Adds points up and keeps them; what comes out as (series, start, end, value) in order of time.
    async fn send(&self, points: &[Point<'_>]) -> (Vec<(String, i64, i64, f64)>, Receipt) {
        let (mut b, deltas) = batch(points);
        let mut receipt = Receipt::default();
        let mut totals = self.accumulator.of(&TenantId::default()).await;
        totals.add_up(&mut b, &deltas, &self.limits, self.now_ns, &mut receipt).unwrap();
        totals.keep(None);
        (shown(&b), receipt)
    }

    fn count(&self, outcome: &str) -> bool {
        self.metrics.encode().contains(&format!("orrery_ingest_delta_points_total{{outcome=\"{outcome}\"}} "))
    }
}

fn shown(b: &MetricBatch) -> Vec<(String, i64, i64, f64)> {
    let s = &b.samples;
    let mut out: Vec<_> = (0..s.len())
        .map(|i| {
            let name = b.series[s.series[i] as usize].metric_name().to_owned();
            (name, s.start_of(i), s.timestamp_ms[i], s.value[i])
        })
        .collect();
    out.sort_by_key(|r| r.2);
    out
}

fn of(name: &str, start: i64, at: i64, v: f64) -> (String, i64, i64, f64) {
    (name.to_owned(), start, at, v)
}

#[tokio::test]
async fn aligned_points_add_up_from_the_start_of_the_first() {
    let r = rig();
    assert_eq!(r.send(&[("a", 100, 200, 5.0)]).await.0, [of("a", 100, 200, 5.0)]);
    let (out, receipt) = r.send(&[("a", 300, 400, 2.0), ("a", 200, 300, 1.0), ("b", 0, 300, 7.0)]).await;
    assert_eq!(out, [of("a", 100, 300, 6.0), of("b", 0, 300, 7.0), of("a", 100, 400, 8.0)]);
    assert!(receipt.refused.is_empty());
    assert_eq!(r.send(&[("b", 0, 500, 1.0)]).await.0, [of("b", 0, 500, 8.0)], "without starts points follow");
}

#[tokio::test]
async fn after_a_gap_the_total_begins_anew_behind_a_zero() {
    let r = rig();
    r.send(&[("a", 100, 200, 5.0)]).await;
    let (out, _) = r.send(&[("a", 300, 400, 100.0)]).await;
    assert_eq!(out, [of("a", 300, 300, 0.0), of("a", 300, 400, 100.0)]);
    assert_eq!(r.send(&[("a", 401, 500, 1.0)]).await.0, [of("a", 300, 500, 101.0)], "jitter is no gap");
    assert!(r.count("restarted") && r.count("added") && r.count("started"));
}

#[tokio::test]
async fn what_ends_before_the_last_point_is_refused_and_what_overlaps_is_counted() {
    let r = rig();
    r.send(&[("a", 100, 200, 5.0)]).await;
    let (out, receipt) = r.send(&[("a", 50, 150, 1.0), ("a", 100, 200, 5.0), ("a", 90, 300, 1.0)]).await;
    assert_eq!(out, []);
    assert_eq!((receipt.refused[0].reason, receipt.refused[0].count), (RefusalReason::TooOld, 3));
    assert!(receipt.refused[0].detail.contains("from 50 to 150 ms is late"), "{}", receipt.refused[0].detail);
    assert_eq!(r.send(&[("a", 110, 240, 1.0)]).await.0, [of("a", 100, 240, 6.0)]);
    assert!(r.count("overlapping") && r.count("late"));
}

#[tokio::test]
async fn a_request_that_was_not_stored_leaves_no_trace() {
    let r = rig();
    r.send(&[("a", 100, 200, 5.0)]).await;
    let (mut b, deltas) = batch(&[("a", 200, 300, 1.0), ("a", 300, 400, 1.0), ("new", 0, 300, 1.0)]);
    let mut totals = r.accumulator.of(&TenantId::default()).await;
    totals.add_up(&mut b, &deltas, &r.limits, NOW_NS, &mut Receipt::default()).unwrap();
    totals.undo();
    let (out, receipt) = r.send(&[("a", 200, 300, 1.0), ("new", 0, 300, 2.0)]).await;
    assert_eq!(out, [of("a", 100, 300, 6.0), of("new", 0, 300, 2.0)]);
    assert!(receipt.refused.is_empty());
}

#[tokio::test]
async fn ids_of_stored_requests_are_known_in_a_bounded_number() {
    let r = rig();
    let tenant = TenantId::default();
    for i in 0..=KNOWN_IDS as u128 {
        r.accumulator.of(&tenant).await.keep(Some(BatchId::Content(i)));
    }
    let totals = r.accumulator.of(&tenant).await;
    assert!(totals.knows(BatchId::Content(KNOWN_IDS as u128)) && !totals.knows(BatchId::Content(0)));
}

#[tokio::test]
async fn at_the_limit_new_series_are_refused_and_known_ones_go_on() {
    let mut r = rig();
    r.limits.max_series = 1;
    r.send(&[("a", 100, 200, 5.0)]).await;
    let (out, receipt) = r.send(&[("b", 200, 300, 1.0), ("a", 200, 300, 1.0)]).await;
    assert_eq!(out, [of("a", 100, 300, 6.0)]);
    assert_eq!(receipt.refused[0].reason, RefusalReason::SeriesLimit);
    assert!(receipt.refused[0].detail.contains("otlp.delta_max_series (1)"), "{}", receipt.refused[0].detail);
    r.now_ns += r.limits.max_idle.as_nanos() as i64;
    assert_eq!(r.send(&[("b", 500, 600, 1.0)]).await.0, [of("b", 500, 600, 1.0)], "idle series made room");
}

#[tokio::test]
async fn without_memory_the_request_is_refused_whole() {
    let accumulator = Accumulator::new(&Metrics::default(), MemoryBudget::new(100));
    let (mut b, deltas) = batch(&[("a", 100, 200, 5.0)]);
    let mut totals = accumulator.of(&TenantId::default()).await;
    let limits = DeltaLimits::default();
    let e = totals.add_up(&mut b, &deltas, &limits, NOW_NS, &mut Receipt::default()).unwrap_err();
    assert_eq!(e.limit, Some("memory.limit"));
    assert!(totals.table.totals.is_empty());
}

#[tokio::test]
async fn histograms_add_up_restart_and_begin_anew_with_other_bounds() {
    let r = rig();
    let point = |start_ms: i64, timestamp_ms: i64, schema: i8| {
        let mut b = MetricBatch::default();
        let series = b.push_series(Labels::from_pairs([("__name__", "h")]));
        let custom = schema == model::histogram::CUSTOM_BUCKETS_SCHEMA;
        let histogram = Histogram {
            schema,
            count: 2.0,
            sum: 1.5,
            positive_spans: vec![BucketSpan { offset: 0, length: 1 }],
            positive_buckets: vec![2.0],
            custom_values: if custom { vec![1.0] } else { vec![] },
            is_integer: true,
            ..Histogram::default()
        };
        b.histograms.push(HistogramSample { series, timestamp_ms, start_ms, histogram });
        b
    };
    let deltas = Deltas { samples: vec![], histograms: vec![0] };
    let send = async |mut b: MetricBatch| {
        let mut totals = r.accumulator.of(&TenantId::default()).await;
        totals.add_up(&mut b, &deltas, &r.limits, NOW_NS, &mut Receipt::default()).unwrap();
        totals.keep(None);
        let row = |h: &HistogramSample| (h.start_ms, h.timestamp_ms, h.histogram.schema, h.histogram.count);
        b.histograms.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(send(point(100, 200, 3)).await, [(100, 200, 3, 2.0)]);
    assert_eq!(send(point(200, 300, 2)).await, [(100, 300, 2, 4.0)]);
    assert_eq!(send(point(500, 600, 2)).await, [(500, 600, 2, 2.0), (500, 500, 2, 0.0)]);
    assert_eq!(send(point(600, 700, -53)).await, [(600, 700, -53, 2.0)]);
    assert_eq!(send(point(600, 700, -53)).await, [], "late");
}
