//! Spans in, samples out, against counting by brute force.

use std::{collections::BTreeMap, time::Duration};

use model::{
    Labels, Span, SpanKind, StatusCode, attributes::Resource, metric::is_stale_marker, span::SpanOrigin,
};
use proptest::prelude::*;

use super::*;
use crate::{Graph, Histograms, Red, otlp_bytes};

mod graph;

const START_MS: i64 = 1_700_000_000_000;

/// One tenant's derivation, a clock, and everything that was written of it.
struct Rig {
    derived: Derived,
    now_ms: i64,
    written: BTreeMap<String, Vec<(i64, f64)>>,
    exemplars: Vec<(String, model::Exemplar)>,
    tally: Tally,
}

fn rig(options: Options) -> Rig {
    Rig {
        derived: Derived::new(options, MemoryBudget::unlimited(), START_MS * 1_000_000),
        now_ms: START_MS,
        written: BTreeMap::new(),
        exemplars: Vec::new(),
        tally: Tally::default(),
    }
}

fn batch(spans: &[(SpanOrigin, Span)]) -> SpanBatch {
    let mut out = SpanBatch::default();
    for (origin, span) in spans {
        out.spans.push(Span { origin: out.origins.len() as u32, ..span.clone() });
        out.origins.push(origin.clone());
    }
    out
}

fn of(service: &str) -> SpanOrigin {
    let mut resource = Resource::default();
    resource.attributes.push("service.name", service);
    SpanOrigin { resource, ..SpanOrigin::default() }
}

impl Rig {
    fn send(&mut self, spans: &[(SpanOrigin, Span)], refused: &[u32]) {
        let batch = batch(spans);
        let observed = self.derived.observe([&batch].into_iter(), self.now_ms * 1_000_000);
        add(&mut self.tally, self.derived.apply(observed, refused));
    }

    /// Writes down a collection as a store would have it; answers with its samples and exemplars.
    fn collect(&mut self) -> (usize, usize) {
        let collection = self.derived.begin(self.now_ms);
        add(&mut self.tally, collection.tally);
        let (mut samples, mut exemplars) = (0, 0);
        for part in 0..collection.parts {
            let batch = self.derived.write(&collection, part);
            samples += batch.item_count();
            exemplars += batch.exemplars.len();
            self.take(batch);
            self.derived.settle(&collection, part);
        }
        (samples, exemplars)
    }

    fn take(&mut self, batch: MetricBatch) {
        let names: Vec<String> = batch.series.iter().map(Labels::to_string).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "a series stands in a batch once");
        for i in 0..batch.samples.len() {
            let samples = self.written.entry(names[batch.samples.series[i] as usize].clone()).or_default();
            let (t, v) = (batch.samples.timestamp_ms[i], batch.samples.value[i]);
            assert!(samples.last().is_none_or(|(last, _)| *last < t), "samples ascend");
            samples.push((t, v));
        }
        self.exemplars.extend(batch.exemplars.into_iter().map(|(at, e)| (names[at as usize].clone(), e)));
    }

    fn wait(&mut self, by: Duration) {
        self.now_ms += by.as_millis() as i64;
    }

    /// What a reader adds up of all samples of the series whose names begin so, as `increase()` does over all time.
    fn increase(&self, begins: &str) -> f64 {
        self.written.iter().filter(|(name, _)| name.starts_with(begins)).map(|(_, s)| increase(s)).sum()
    }
}

fn add(sum: &mut Tally, t: Tally) {
    sum.spans += t.spans;
    sum.too_old += t.too_old;
    sum.overflow += t.overflow;
    sum.paired += t.paired;
    sum.one_sided += t.one_sided;
    sum.unpaired += t.unpaired;
    sum.dropped += t.dropped;
    sum.edges_overflow += t.edges_overflow;
}

fn increase(samples: &[(i64, f64)]) -> f64 {
    let (mut sum, mut before) = (0.0, None);
    for (_, v) in samples.iter().filter(|(_, v)| !is_stale_marker(*v)) {
        sum += match before {
            Some(b) if *v >= b => v - b,
            Some(_) => *v,
            // What a series begins with counts for nobody.
            None => 0.0,
        };
        before = Some(*v);
    }
    sum
}

fn red_only() -> Options {
    Options { graph: None, ..Options::default() }
}

fn a_span(name: &str, kind: SpanKind, status: StatusCode, ms: i64) -> Span {
    let mut span = Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        name: name.to_owned(),
        kind,
        start_ns: START_MS * 1_000_000,
        end_ns: (START_MS + ms) * 1_000_000,
        ..Span::default()
    };
    span.status.code = status;
    span
}

#[test]
fn a_span_becomes_calls_size_and_latency_in_the_names_of_tempo() {
    let mut r = rig(red_only());
    let mut origin = of("shop");
    origin.resource.attributes.push("k8s.cluster.name", "dev-01");
    origin.resource.attributes.push("k8s.namespace.name", "web");
    let span = a_span("GET /", SpanKind::Server, StatusCode::Error, 300);
    let bytes = otlp_bytes(&span) as f64;
    r.send(&[(origin.clone(), span.clone()), (origin, span)], &[]);
    r.wait(Duration::from_secs(15));
    r.collect();
    let labels = r#"cluster="dev-01", k8s_namespace_name="web", service="shop", span_kind="SPAN_KIND_SERVER", span_name="GET /", status_code="STATUS_CODE_ERROR"}"#;
    let (born, at) = (START_MS + 1, START_MS + 15_000);
    let of = |name: &str| r.written.get(&format!("{name}{{{labels}")).cloned().unwrap_or_default();
    assert_eq!(of("traces_spanmetrics_calls_total"), [(born, 0.0), (at, 2.0)]);
    assert_eq!(of("traces_spanmetrics_size_total"), [(born, 0.0), (at, 2.0 * bytes)]);
    assert_eq!(of("traces_spanmetrics_latency_count"), [(born, 0.0), (at, 2.0)]);
    assert_eq!(of("traces_spanmetrics_latency_sum"), [(born, 0.0), (at, 0.6)]);
    let bucket = |le: &str| {
        let labels = labels.replace("service=", &format!("le=\"{le}\", service="));
        r.written[&format!("traces_spanmetrics_latency_bucket{{{labels}")].last().copied()
    };
    assert_eq!((bucket("0.256"), bucket("0.512")), (Some((at, 0.0)), Some((at, 2.0))));
    assert_eq!((bucket("16.384"), bucket("+Inf")), (Some((at, 2.0)), Some((at, 2.0))));
    assert_eq!(r.written.len(), 2 + 2 + 15);
}

#[test]
fn a_bucket_has_one_exemplar_an_interval_which_names_the_span() {
    let mut r = rig(red_only());
    let fast = || (of("a"), a_span("x", SpanKind::Client, StatusCode::Ok, 1));
    let slow = || (of("a"), a_span("x", SpanKind::Client, StatusCode::Ok, 3000));
    r.send(&[fast(), fast(), slow(), fast()], &[]);
    r.wait(Duration::from_secs(15));
    assert_eq!(r.collect().1, 2);
    let shown: Vec<_> = r.exemplars.iter().map(|(s, e)| (s.contains("le=\"4.096\""), e.value)).collect();
    assert_eq!(shown, [(false, 0.001), (true, 3.0)]);
    let (_, e) = &r.exemplars[1];
    assert_eq!(
        e.labels.to_string(),
        format!("{{span_id=\"{}\", trace_id=\"{}\"}}", "02".repeat(8), "01".repeat(16))
    );
    assert_eq!(e.timestamp_ms, START_MS + 3000);
    r.wait(Duration::from_secs(15));
    assert_eq!(r.collect().1, 0);
    r.send(&[fast()], &[]);
    r.wait(Duration::from_secs(15));
    assert_eq!(r.collect().1, 1);
    assert_eq!(r.exemplars[2].1.timestamp_ms, START_MS + 30_001, "a late one stands where it is counted");
}

#[test]
fn what_found_no_room_is_counted_together() {
    let per_series = 2 + 2 + 15;
    let mut r = rig(Options { max_series: 2 * per_series, ..red_only() });
    let named = |name: &str| (of("a"), a_span(name, SpanKind::Client, StatusCode::Ok, 1));
    for name in ["a", "b", "c", "d", "a"] {
        r.send(&[named(name)], &[]);
    }
    r.wait(Duration::from_secs(15));
    r.collect();
    assert_eq!((r.tally.spans, r.tally.overflow), (3, 2));
    assert_eq!(r.increase("traces_spanmetrics_calls_total{metric_overflow=\"true\"}"), 2.0);
    assert_eq!(r.increase("traces_spanmetrics_calls_total"), 5.0, "sums stay whole");
}

#[test]
fn what_was_taken_down_and_not_stored_takes_no_room() {
    let mut r = rig(red_only());
    let batch = batch(&[(of("a"), a_span("x", SpanKind::Client, StatusCode::Ok, 1))]);
    drop(r.derived.observe([&batch].into_iter(), START_MS * 1_000_000));
    assert_eq!(r.derived.series(), 2 + 2 + 15);
    assert_eq!(r.collect(), (0, 0));
    assert_eq!((r.derived.series(), r.derived.is_empty()), (0, true));
}

#[test]
fn an_idle_series_ends_and_begins_anew() {
    let mut r = rig(Options { stale_after: Duration::from_secs(60), ..red_only() });
    let span = || (of("a"), a_span("x", SpanKind::Client, StatusCode::Ok, 1));
    r.send(&[span(), span()], &[]);
    for _ in 0..6 {
        r.wait(Duration::from_secs(15));
        r.collect();
    }
    let calls = r.written.iter().find(|(n, _)| n.starts_with("traces_spanmetrics_calls")).unwrap().1.clone();
    let values: Vec<f64> = calls.iter().map(|(_, v)| *v).collect();
    assert_eq!(values[..5], [0.0, 2.0, 2.0, 2.0, 2.0]);
    assert!(is_stale_marker(values[5]) && values.len() == 6, "{values:?}");
    assert_eq!((r.derived.series(), r.derived.is_empty()), (0, true));
    r.send(&[span()], &[]);
    r.wait(Duration::from_secs(15));
    r.collect();
    assert_eq!(r.increase("traces_spanmetrics_calls_total"), 3.0);
}

#[test]
fn spans_of_long_ago_are_told_and_not_counted() {
    let mut r = rig(Options { max_age: Some(Duration::from_secs(60)), ..red_only() });
    r.wait(Duration::from_secs(90));
    let span = || (of("a"), a_span("x", SpanKind::Client, StatusCode::Ok, 1));
    r.send(&[span()], &[]);
    assert_eq!((r.tally.spans, r.tally.too_old), (0, 1));
    let collection = r.derived.begin(r.now_ms);
    let batch = r.derived.write(&collection, 0);
    assert!(batch.item_count() == 0 && !batch.is_empty(), "the log is told that they are not waited for");
    r.derived.settle(&collection, 0);
    assert!(r.derived.is_empty());
}

#[test]
fn resources_are_described_where_that_is_wanted() {
    let red = Red { target_info: true, ..Red::default() };
    let mut r = rig(Options { red: Some(red), instance: Some("a".into()), ..red_only() });
    let mut origin = of("shop");
    for (name, value) in [("service.namespace", "eu"), ("service.instance.id", "i-1"), ("host.name", "h")] {
        origin.resource.attributes.push(name, value);
    }
    r.send(&[(origin, a_span("x", SpanKind::Client, StatusCode::Ok, 1))], &[]);
    r.wait(Duration::from_secs(15));
    r.collect();
    let info =
        r#"traces_target_info{__metrics_gen_instance="a", host_name="h", instance="i-1", job="eu/shop"}"#;
    assert_eq!(r.written[info], [(START_MS + 15_000, 1.0)]);
    let calls = r.written.keys().find(|n| n.starts_with("traces_spanmetrics_calls")).unwrap();
    assert!(calls.contains(r#"instance="i-1", job="eu/shop""#), "{calls}");
}

#[test]
fn native_histograms_hold_what_classic_ones_do() {
    let mut red = Red::default();
    red.latency.histograms = Histograms::Both;
    let mut r = rig(Options { red: Some(red), ..red_only() });
    let span = |ms| (of("a"), a_span("x", SpanKind::Client, StatusCode::Ok, ms));
    r.send(&[span(1), span(20), span(3000)], &[]);
    let collection = r.derived.begin(START_MS + 15_000);
    let batch = r.derived.write(&collection, 0);
    let [zero, h] = batch.histograms.as_slice() else { panic!("{:?}", batch.histograms) };
    assert_eq!((zero.timestamp_ms, zero.histogram.count), (START_MS + 1, 0.0));
    assert_eq!((h.histogram.count, h.histogram.sum), (3.0, 3.021));
    assert_eq!((zero.histogram.validate(), h.histogram.validate()), (Ok(()), Ok(())));
    assert_eq!(batch.series[h.series as usize].metric_name(), "traces_spanmetrics_latency");
}

fn any_spans() -> impl Strategy<Value = Vec<(SpanOrigin, Span)>> {
    let span = ("[ab]", "[xyz]", 0..6i32, 0..3usize, 0..4_000i64, proptest::option::of("[mn]"));
    let span = span.prop_map(|(service, name, kind, status, ms, namespace)| {
        let status = [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][status];
        let mut span = a_span(&name, SpanKind::from_number(kind), status, ms);
        span.attributes.0.extend(namespace.map(|n| ("k8s.namespace.name".to_owned(), n.into())));
        (of(&service), span)
    });
    proptest::collection::vec(span, 1..8)
}

/// What happens to a unit, and around it.
#[derive(Debug, Clone)]
enum Step {
    Stored(Vec<(SpanOrigin, Span)>, u32),
    NotStored(Vec<(SpanOrigin, Span)>),
    Collected,
    CollectedInVain,
    Waited(u64),
    Crashed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any_spans(), any::<u32>()).prop_map(|(s, refused)| Step::Stored(s, refused)),
        1 => any_spans().prop_map(Step::NotStored),
        3 => Just(Step::Collected),
        1 => Just(Step::CollectedInVain),
        2 => (1..400u64).prop_map(Step::Waited),
        1 => Just(Step::Crashed),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What a log has: units of spans, and parts of collections.
enum Logged {
    Spans(Vec<(SpanOrigin, Span)>, i64),
    Collected(u32, u32, i64),
}

/// A process that lost everything but its log.
fn recovered(r: &mut Rig, options: &Options, log: &[Logged]) {
    r.now_ms += 3;
    r.derived = Derived::new(options.clone(), MemoryBudget::unlimited(), r.now_ms * 1_000_000);
    for entry in log {
        match entry {
            Logged::Spans(spans, at_ms) => {
                let batch = batch(spans);
                let observed = r.derived.observe([&batch].into_iter(), at_ms * 1_000_000);
                r.derived.apply(observed, &[]);
            }
            Logged::Collected(part, parts, at_ms) => r.derived.collected(*part, *parts, *at_ms),
        }
    }
}

fn key(origin: &SpanOrigin, span: &Span) -> String {
    let namespace = span.attributes.get_str("k8s.namespace.name");
    let namespace = namespace.map(|n| format!("k8s_namespace_name=\"{n}\", ")).unwrap_or_default();
    let kind = format!("{:?}", span.kind).to_uppercase();
    let status = format!("{:?}", span.status.code).to_uppercase();
    format!(
        "{{{namespace}service=\"{}\", span_kind=\"SPAN_KIND_{kind}\", span_name=\"{}\", status_code=\"STATUS_CODE_{status}\"}}",
        origin.service_name(),
        span.name
    )
}

proptest! {
    /// Whatever is refused, not stored, collected or not, idle, or lost in a crash: what readers add up is what is
    /// stored.
    #[test]
    fn red_is_a_count_of_stored_spans(steps in steps(), cut in any::<bool>()) {
        let options = Options { graph: Some(Graph::default()), stale_after: Duration::from_secs(300), max_age: None, ..Options::default() };
        let mut r = rig(options.clone());
        let mut log: Vec<Logged> = Vec::new();
        let mut expected: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for step in steps.into_iter().chain([Step::Collected]) {
            r.now_ms += 3;
            match step {
                Step::Stored(spans, refused) => {
                    let gone: Vec<u32> = (0..spans.len() as u32).filter(|i| refused >> i & 3 == 3).collect();
                    r.send(&spans, &gone);
                    let kept: Vec<_> =
                        spans.into_iter().zip(0u32..).filter(|(_, i)| !gone.contains(i)).map(|(s, _)| s).collect();
                    for (origin, span) in &kept {
                        let sum = expected.entry(key(origin, span)).or_default();
                        sum.0 += 1.0;
                        sum.1 += span.duration_ns() as f64 / 1e9;
                    }
                    log.push(Logged::Spans(kept, r.now_ms));
                }
                Step::NotStored(spans) => {
                    let batch = batch(&spans);
                    drop(r.derived.observe([&batch].into_iter(), r.now_ms * 1_000_000));
                }
                Step::Collected => {
                    let collection = r.derived.begin(r.now_ms);
                    if cut {
                        // A log loses what is before the last collection.
                        log.clear();
                    }
                    for part in 0..collection.parts {
                        let batch = r.derived.write(&collection, part);
                        r.take(batch);
                        r.derived.settle(&collection, part);
                        log.push(Logged::Collected(part, collection.parts, collection.at_ms));
                    }
                }
                Step::CollectedInVain => {
                    let collection = r.derived.begin(r.now_ms);
                    r.derived.write(&collection, 0);
                }
                Step::Waited(seconds) => r.wait(Duration::from_secs(seconds)),
                Step::Crashed => recovered(&mut r, &options, &log),
            }
        }
        for (key, (calls, seconds)) in &expected {
            prop_assert_eq!(r.increase(&format!("traces_spanmetrics_calls_total{key}")), *calls, "{}", key);
            prop_assert_eq!(r.increase(&format!("traces_spanmetrics_latency_count{key}")), *calls, "{}", key);
            let sum = r.increase(&format!("traces_spanmetrics_latency_sum{key}"));
            prop_assert!((sum - seconds).abs() < 1e-6, "{}: {} for {}", key, sum, seconds);
        }
        let all: f64 = expected.values().map(|(calls, _)| calls).sum();
        prop_assert_eq!(r.increase("traces_spanmetrics_calls_total"), all);
    }
}
