//! A query over series that lie in parts, which evaluate what they can of it, answers what it answers over all of
//! them in one place.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, CoverageState, Error, EvaluateRequest, Evaluated, LabelNamesRequest,
    LabelValuesRequest, LogsRequest, MetadataRequest, Part, Result, Select, Selection, SeriesData,
    SeriesRequest, SpansRequest, Tenants,
};
use model::{Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TenantId, TimeRange};
use promql::{Answer, Engine, EngineOptions, Evaluating, QueryContext, RangeSeries, SampleValue, Value};
use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestRunner},
};

use crate::{
    memory::{CLUSTER, Memory, Sample},
    property, script, shared_data, suites,
};

/// What lies in one place, with its parts beside it.
struct Divided {
    whole: Arc<Memory>,
    parts: Vec<Part>,
}

/// What one part was asked, and what it gave.
#[derive(Default)]
struct Counts {
    selected: AtomicUsize,
    samples: AtomicUsize,
    evaluated: AtomicUsize,
    values: AtomicUsize,
}

/// One cluster's series, and how it behaves.
struct Cluster {
    inner: Evaluating,
    matcher: Matcher,
    manners: Manners,
    counts: Arc<Counts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Evaluates,
    /// Says beforehand that it does not evaluate.
    Selects,
    /// Says that it does, and then that it cannot.
    Declines,
    /// Does not answer.
    Gone,
    /// Answers with what cannot be.
    Garbles,
}

fn only_series<T>() -> Result<T> {
    Err(Error::invalid("only series are kept here"))
}

#[async_trait]
impl Select for Cluster {
    async fn series(&self, mut r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.counts.selected.fetch_add(1, Relaxed);
        if self.manners == Manners::Gone {
            return Err(Error::unavailable("connection refused"));
        }
        r.matchers.push(self.matcher.clone());
        let (series, coverage) = self.inner.series(r).await?.collect().await?;
        self.counts.samples.fetch_add(series.iter().map(SeriesData::sample_count).sum(), Relaxed);
        let items = futures::stream::iter(series.into_iter().map(Ok));
        Ok(Selection::with_coverage(Box::pin(items), coverage))
    }

    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        self.counts.evaluated.fetch_add(1, Relaxed);
        match self.manners {
            Manners::Declines => return Err(Error::invalid("this is beyond me")),
            Manners::Gone => return Err(Error::unavailable("connection refused")),
            _ => {}
        }
        let mut answer = self.inner.evaluate(r).await?;
        let values = answer.series.iter().map(|s| s.data.sample_count()).sum();
        self.counts.values.fetch_add(values, Relaxed);
        if self.manners == Manners::Garbles {
            answer.series.iter_mut().for_each(|s| s.piece = 200);
        }
        Ok(answer)
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        only_series()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        only_series()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        only_series()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        only_series()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        only_series()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        only_series()
    }

    fn capabilities(&self) -> Capabilities {
        match self.manners {
            Manners::Selects => Capabilities::default(),
            _ => self.inner.capabilities(),
        }
    }
}

#[async_trait]
impl Select for Divided {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.whole.series(r).await
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        only_series()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        only_series()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        only_series()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        only_series()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        only_series()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        only_series()
    }

    fn parts(&self, _: &Signal, _: &[Vec<Matcher>], _: TimeRange) -> Option<Vec<Part>> {
        Some(self.parts.clone())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

/// Sees one cluster of what lies in one place.
struct View(Arc<Memory>, Matcher);

impl contract::fake::SeriesOnly for View {
    fn find(&self, r: &SeriesRequest) -> Vec<SeriesData> {
        let mut r = r.clone();
        r.matchers.push(self.1.clone());
        contract::fake::SeriesOnly::find(&*self.0, &r)
    }
}

/// The same series whole and in parts, and what the parts were asked.
fn engines(
    memory: &Arc<Memory>,
    options: EngineOptions,
    manners: &[Manners],
) -> (Engine, Engine, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let parts = manners.iter().enumerate().map(|(i, manners)| {
        let name = format!("c{i}");
        let matcher = Matcher::equal(CLUSTER, &name);
        let view = Arc::new(View(memory.clone(), matcher.clone()));
        // What a node is set to does not count: requests say what they were written for.
        let inner = Evaluating::new(view, EngineOptions::default());
        let select = Arc::new(Cluster { inner, matcher, manners: *manners, counts: counts.clone() });
        let labels = Labels::from_pairs([(CLUSTER, &name)]);
        Part { sources: vec![(name.clone(), None)], name, labels, select }
    });
    let divided = Divided { whole: memory.clone(), parts: parts.collect() };
    (Engine::new(memory.clone(), options), Engine::new(Arc::new(divided), options), counts)
}

pub fn forget_cluster(value: &mut Value) {
    match value {
        Value::Vector(v) => v.iter_mut().for_each(|s| s.labels = s.labels.without(&[CLUSTER])),
        Value::Matrix(m) => m.iter_mut().for_each(|s| s.labels = s.labels.without(&[CLUSTER])),
        Value::Scalar { .. } | Value::String { .. } => {}
    }
}

/// Sums are taken in another order.
fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * (a.abs().max(b.abs()) + 1e-3)
}

fn same_samples(a: &RangeSeries, b: &RangeSeries) -> bool {
    a.labels == b.labels
        && a.floats.len() == b.floats.len()
        && a.histograms.len() == b.histograms.len()
        && a.floats.iter().zip(&b.floats).all(|((t, x), (u, y))| t == u && close(*x, *y))
        && a.histograms
            .iter()
            .zip(&b.histograms)
            .all(|((t, x), (u, y))| t == u && x.reset_hint == y.reset_hint && script::same_histogram(x, y))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Matrix(a), Value::Matrix(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same_samples(x, y))
        }
        (Value::Vector(a), Value::Vector(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(x, y)| {
                    x.labels == y.labels
                        && match (&x.value, &y.value) {
                            (SampleValue::Float(p), SampleValue::Float(q)) => close(*p, *q),
                            (SampleValue::Histogram(p), SampleValue::Histogram(q)) => {
                                p.reset_hint == q.reset_hint && script::same_histogram(p, q)
                            }
                            _ => false,
                        }
                })
        }
        (Value::Scalar { v: x, .. }, Value::Scalar { v: y, .. }) => close(*x, *y),
        (a, b) => a == b,
    }
}

/// Annotations name the metric of a histogram that cannot be added; of sums of histograms nobody knows it any more.
fn nameless(notes: &[String]) -> Vec<String> {
    let name = regex::Regex::new("for metric name \"[^\"]*\"").unwrap();
    let mut out: Vec<String> = notes.iter().map(|n| name.replace(n, "for a metric").into_owned()).collect();
    out.sort();
    out.dedup();
    out
}

type Outcome = std::result::Result<Answer, promql::Error>;

/// How two answers to one question differ.
pub fn difference(whole: &Outcome, parts: &Outcome) -> Option<String> {
    match (whole, parts) {
        // Where a query is wrong in two places, one or the other is met first.
        (Err(a), Err(b)) if a.kind() == b.kind() => None,
        (Err(a), Err(b)) => Some(format!("{a} over the whole, {b} over parts")),
        (Ok(a), Ok(b)) if !same(&a.value, &b.value) => {
            Some(format!("{:?} over the whole, {:?} over parts", a.value, b.value))
        }
        (Ok(a), Ok(b)) => {
            let notes = [(&a.warnings, &b.warnings), (&a.infos, &b.infos)];
            let other = notes.iter().find(|(x, y)| nameless(x) != nameless(y));
            other.map(|(x, y)| format!("said {x:?} over the whole, {y:?} over parts"))
        }
        (Ok(a), Err(e)) => Some(format!("{:?} over the whole, failed over parts: {e}", a.value)),
        (Err(e), Ok(b)) => Some(format!("failed over the whole: {e}; {:?} over parts", b.value)),
    }
}

#[test]
fn scripts_answer_the_same_over_parts() {
    let Some(folder) = shared_data("promqltest") else { return };
    let own = std::path::PathBuf::from(env!("ORRERY_CHECKOUT")).join("crates/promql/tests/scripts");
    let mut differing = Vec::new();
    let (mut all, mut as_expected, mut asked) = (0, 0, 0);
    for (name, text) in suites::scripts(&folder).into_iter().chain(suites::scripts(&own)) {
        let memory = Arc::new(Memory::dealt_to(3));
        let (whole, divided, counts) = engines(&memory, script::options(), &[Manners::Evaluates; 3]);
        let runner = script::Runner::with(memory, whole, Some(divided));
        let cases = runner.run(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let label: Vec<String> =
            cases.iter().filter(|c| c.outcome.is_err()).map(|c| c.line.to_string()).collect();
        println!(
            "{name:<24} {:>4} evals, {:>4} pushes; the label changes what is expected of {} (lines {})",
            cases.len(),
            counts.evaluated.load(Relaxed),
            label.len(),
            label.join(", ")
        );
        all += cases.len();
        as_expected += cases.iter().filter(|c| c.outcome.is_ok()).count();
        asked += counts.evaluated.load(Relaxed);
        differing
            .extend(cases.into_iter().filter_map(|c| Some(format!("{name} {}: {}", c.line, c.differs?))));
    }
    println!("{all} evals, {as_expected} as the scripts expect without the label, {asked} pushes");
    assert!(differing.is_empty(), "{} of {all} differ:\n{}", differing.len(), differing.join("\n"));
    assert!(asked > 500, "{asked}");
}

/// Counters with resets, gauges, native histograms, staleness markers and labels that come and go, in so many
/// clusters.
fn random_memory(seed: u64, clusters: u64) -> Arc<Memory> {
    let memory = Memory::dealt_to(clusters);
    let mut state = seed | 1;
    let mut random = move |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % n
    };
    for s in 0..14u64 {
        let name = if s % 3 == 0 { "b" } else { "a" };
        let labels = Labels::from_pairs([
            ("__name__", name.to_owned()),
            ("x", (1 + random(3)).to_string()),
            ("i", ["p", "q", "r"][random(3) as usize].to_owned()),
            ("s", s.to_string()),
        ]);
        let (from, to) = (random(20), 40 + random(20));
        let histogram = random(5) == 0;
        let mut total = 0.0;
        for k in from..to {
            let t = k as i64 * 10_000;
            total = if random(17) == 0 { 0.0 } else { total + random(40) as f64 / 4.0 };
            let sample = match random(20) {
                0 | 1 => continue,
                2 => Sample::Float(model::stale_marker()),
                3 => Sample::Float(f64::NAN),
                _ if histogram => {
                    let mut h = model::Histogram {
                        schema: random(2) as i8,
                        count: total,
                        sum: total * 2.0,
                        positive_spans: vec![model::histogram::BucketSpan { offset: 0, length: 2 }],
                        positive_buckets: vec![total / 2.0, total / 2.0],
                        ..Default::default()
                    };
                    eval::histogram::compact(&mut h);
                    Sample::Histogram(Box::new(h))
                }
                _ => Sample::Float(total),
            };
            memory.put(&labels, t, 0, sample);
        }
    }
    Arc::new(memory)
}

/// The grammar of range against instant queries, and what is particular to clusters around it.
fn query() -> impl Strategy<Value = String> {
    let around = prop::sample::select(vec![
        "E",
        "sum by (cluster) (E)",
        "sum by (x) (E)",
        "avg(E)",
        "stddev by (i) (E)",
        "count without (s, cluster) (E)",
        "max(E)",
        "topk(2, E)",
        "bottomk by (cluster) (1, E)",
        "quantile by (cluster, x) (0.4, E)",
        "sort(sum by (x) (E))",
        "limitk(2, sum by (x) (E))",
        "E / on (cluster, s) a",
        "sum by (x) (a) / on (x) sum by (x) (E)",
        "label_replace(E, \"cluster\", \"one\", \"\", \"\")",
        "histogram_quantile(0.7, sum by (x) (E))",
        "histogram_count(sum(E))",
        "absent(sum(E))",
        "scalar(sum(E)) + a",
        "max_over_time(sum(E)[1m:20s])",
    ]);
    (around, property::query()).prop_map(|(around, e)| around.replace('E', &format!("({e})")))
}

fn context() -> QueryContext {
    QueryContext::new(Tenants::one(TenantId::new("test").unwrap()))
}

#[test]
fn random_queries_answer_the_same_over_parts() {
    let config = ProptestConfig {
        cases: 600,
        // Differences in the last digit may decide a comparison; the same queries every time keep that out.
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..Default::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pushes, answers) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let manners = prop::sample::select(vec![
        Manners::Evaluates,
        Manners::Evaluates,
        Manners::Selects,
        Manners::Declines,
    ]);
    let manners = prop::collection::vec(manners, 1..5);
    let strategy = (query(), any::<u64>(), manners, any::<bool>(), any::<bool>());
    let outcome = TestRunner::new(config).run(&strategy, |(q, seed, manners, delayed, instant)| {
        let memory = random_memory(seed, manners.len() as u64);
        let options = EngineOptions { delayed_name_removal: delayed, ..script::options() };
        let (whole, divided, counts) = engines(&memory, options, &manners);
        let ctx = context();
        let ask = |e: &Engine| match instant {
            true => runtime.block_on(e.instant(&q, 310_000, &ctx)),
            false => runtime.block_on(e.range(&q, 200_000, 420_000, 55_000, &ctx)),
        };
        let (a, b) = (ask(&whole), ask(&divided));
        pushes.fetch_add(counts.evaluated.load(Relaxed), Relaxed);
        answers.fetch_add(usize::from(a.is_ok()), Relaxed);
        let differ = difference(&a, &b);
        prop_assert!(differ.is_none(), "{q} over {manners:?}: {}", differ.unwrap_or_default());
        Ok(())
    });
    outcome.unwrap();
    let (pushes, answers) = (pushes.into_inner(), answers.into_inner());
    println!("{pushes} pushes, {answers} answers");
    assert!(pushes > 500 && answers > 300, "{pushes} pushes, {answers} answers");
}

/// `n` series of one metric in four clusters, every 15 s for two hours.
fn many(n: usize) -> Arc<Memory> {
    let memory = Memory::dealt_to(4);
    for s in 0..n {
        let labels = Labels::from_pairs([
            ("__name__", "requests_total".to_owned()),
            ("job", format!("j{}", s % 5)),
            ("s", s.to_string()),
        ]);
        for k in 0..480i64 {
            memory.put(&labels, k * 15_000, 0, Sample::Float((k * (1 + s as i64 % 7)) as f64));
        }
    }
    Arc::new(memory)
}

#[tokio::test]
async fn a_sum_moves_fifty_times_less_than_its_samples() {
    let memory = many(2_000);
    let (whole, divided, counts) = engines(&memory, EngineOptions::default(), &[Manners::Evaluates; 4]);
    let mut ctx = context();
    ctx.explain = true;
    let q = "sum by (job) (rate(requests_total[5m]))";
    let (a, b) = (
        whole.range(q, 600_000, 7_200_000, 60_000, &ctx).await,
        divided.range(q, 600_000, 7_200_000, 60_000, &ctx).await,
    );
    assert_eq!(difference(&a, &b), None);
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.stats.samples, a.stats.series), (b.stats.samples, b.stats.series));
    assert_eq!(a.stats.queryable_samples, b.stats.queryable_samples);
    assert_eq!((counts.selected.load(Relaxed), counts.evaluated.load(Relaxed)), (0, 4));
    // Sixteen bytes each: a time and a value.
    let (moved, samples) = (counts.values.load(Relaxed) * 16, a.stats.samples * 16);
    println!("{moved} bytes moved of {samples} bytes of samples");
    assert!(moved as u64 * 50 <= samples, "{moved} of {samples}");
    let nodes = b.explain.unwrap().nodes;
    let shown: Vec<&str> = nodes.iter().map(|n| n.operator.as_str()).collect();
    assert_eq!(shown, ["sum", "pushed to c0", "pushed to c1", "pushed to c2", "pushed to c3"]);
    let bytes: u64 = nodes.iter().skip(1).map(|n| n.bytes).sum();
    assert!(nodes[1].detail == q && bytes >= moved as u64 && bytes < 2 * moved as u64, "{bytes}");
    let read: u64 = nodes.iter().filter_map(|n| n.read.map(|r| r.samples)).sum();
    assert_eq!(read, a.stats.samples);
}

#[tokio::test]
async fn a_part_that_does_not_answer_is_missing() {
    use Manners::*;
    let memory = many(40);
    let ctx = context();
    for (bad, reason) in [(Gone, "connection refused"), (Garbles, "with what cannot be")] {
        let (_, divided, _) =
            engines(&memory, EngineOptions::default(), &[Evaluates, bad, Selects, Evaluates]);
        let a = divided.instant("sum(requests_total)", 600_000, &ctx).await.unwrap();
        let missing: Vec<_> =
            a.coverage.sources().iter().filter(|s| s.state == CoverageState::Missing).collect();
        assert_eq!(missing.len(), 1);
        assert!(missing[0].cluster == "c1" && missing[0].reason.contains(reason), "{missing:?}");
        let (whole, rest, _) = engines(&memory, EngineOptions::default(), &[Evaluates; 4]);
        let others = rest.instant("sum(requests_total{cluster!=\"c1\"})", 600_000, &ctx).await;
        let want = whole.instant("sum(requests_total{cluster!=\"c1\"})", 600_000, &ctx).await;
        assert_eq!(difference(&want, &others), None);
        assert!(same(&a.value, &want.unwrap().value));
    }
    let (_, divided, _) = engines(&memory, EngineOptions::default(), &[Gone; 4]);
    let e = divided.instant("sum(requests_total)", 600_000, &ctx).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::Unavailable);
    assert!(e.to_string().starts_with("none of the 4 parts asked answered: c0: connection refused"), "{e}");
}

#[tokio::test]
async fn limits_hold_over_all_parts_together() {
    let memory = many(400);
    let (_, divided, _) = engines(&memory, EngineOptions::default(), &[Manners::Evaluates; 4]);
    let q = "sum(rate(requests_total[5m]))";
    let mut ctx = context();
    // 20 samples of each.
    ctx.limits.max_samples = 5_000;
    let e = divided.instant(q, 3_600_000, &ctx).await.unwrap_err();
    assert_eq!((e.kind(), e.limit()), (base::Kind::Limited, Some("query.max_samples")));
    let mut ctx = context();
    ctx.limits.max_series = 300;
    let e = divided.instant(q, 3_600_000, &ctx).await.unwrap_err();
    assert_eq!((e.kind(), e.limit()), (base::Kind::Limited, Some("query.max_series")));
    ctx.limits.max_series = 400;
    assert!(divided.instant(q, 3_600_000, &ctx).await.is_ok());
}

#[tokio::test]
async fn equal_values_are_picked_as_over_the_whole() {
    let memory = many(60);
    let (whole, divided, counts) = engines(&memory, EngineOptions::default(), &[Manners::Evaluates; 4]);
    let ctx = context();
    for q in [
        "topk(3, requests_total)",
        "bottomk(2, sum by (s) (requests_total))",
        "sort(max by (s) (requests_total))",
    ] {
        let (a, b) = (whole.instant(q, 600_000, &ctx).await, divided.instant(q, 600_000, &ctx).await);
        assert_eq!(difference(&a, &b), None, "{q}");
    }
    assert!(counts.evaluated.load(Relaxed) > 0);
}
