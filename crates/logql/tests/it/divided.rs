//! A query over records that lie in parts, which compute what they can of it, answers what it answers over all of
//! them in one place.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use async_trait::async_trait;
use base::Clock;
use contract::{
    Append, AppendUnit, Capabilities, Coverage, CoverageState, Direction, Error, EvaluateRequest, Evaluated,
    LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest, Part, QueryLimits, Result, Select,
    Selection, SeriesData, SeriesRequest, SpansRequest, Tenants, fake::Fake,
};
use futures::{StreamExt, stream};
use logql::{Answer, Engine, EngineOptions, Evaluating, QueryContext, Value};
use model::{
    Attributes, Batch, Labels, LogBatch, LogRecord, LogStream, Matcher, MetricMetadata, Signal, SpanBatch,
    TenantId, TimeRange,
};
use proptest::prelude::*;

const S: i64 = 1_000_000_000;

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

/// What the parts were asked, and what they gave.
#[derive(Default)]
struct Counts {
    selected: AtomicUsize,
    records: AtomicUsize,
    evaluated: AtomicUsize,
    values: AtomicUsize,
}

/// One cluster's records, and how it behaves.
struct Cluster {
    inner: Evaluating,
    manners: Manners,
    counts: Arc<Counts>,
}

fn only_logs<T>() -> Result<T> {
    Err(Error::invalid("only logs are kept here"))
}

#[async_trait]
impl Select for Cluster {
    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        self.counts.selected.fetch_add(1, Relaxed);
        if self.manners == Manners::Gone {
            return Err(Error::unavailable("connection refused"));
        }
        let (batches, coverage) = self.inner.logs(r).await?.collect().await?;
        self.counts.records.fetch_add(batches.iter().map(|b| b.records.len()).sum(), Relaxed);
        Ok(Selection::with_coverage(stream::iter(batches.into_iter().map(Ok)).boxed(), coverage))
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
            answer.series.iter_mut().for_each(|s| s.piece = 9);
        }
        Ok(answer)
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        only_logs()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        only_logs()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        only_logs()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        only_logs()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        only_logs()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        only_logs()
    }

    fn capabilities(&self) -> Capabilities {
        match self.manners {
            Manners::Selects => Capabilities::default(),
            _ => self.inner.capabilities(),
        }
    }
}

/// What lies in one place, with its parts beside it.
struct Divided {
    whole: Arc<Fake>,
    parts: Vec<Part>,
}

#[async_trait]
impl Select for Divided {
    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        self.whole.logs(r).await
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        only_logs()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        only_logs()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        only_logs()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        only_logs()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        only_logs()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        only_logs()
    }

    fn parts(&self, signal: &Signal, _: &[Vec<Matcher>], _: TimeRange) -> Option<Vec<Part>> {
        assert_eq!(*signal, Signal::LOGS);
        Some(self.parts.clone())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { filters_lines: true, ..Capabilities::default() }
    }
}

/// One record: its cluster, app, time and line.
#[derive(Debug, Clone)]
struct Line {
    cluster: usize,
    app: &'static str,
    at_ns: i64,
    text: String,
}

fn options() -> EngineOptions {
    EngineOptions { clock: Clock::manual(0), ..EngineOptions::default() }
}

fn run<T>(f: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f)
}

fn cluster(i: usize) -> String {
    format!("c{i}")
}

fn append(fake: &Fake, line: &Line) {
    let labels = Labels::from_pairs([("app", line.app), ("cluster", &cluster(line.cluster))]);
    let record = LogRecord {
        timestamp_ns: line.at_ns,
        body: line.text.as_str().into(),
        attributes: Attributes::from_iter([("zone", if line.at_ns % 2 == 0 { "even" } else { "odd" })]),
        ..LogRecord::default()
    };
    let streams = vec![LogStream { labels, ..LogStream::default() }];
    let batches = vec![Batch::Logs(LogBatch { streams, records: vec![record] })];
    run(fake.append(&TenantId::default(), AppendUnit { batch_id: None, received_ns: 0, batches })).unwrap();
}

/// The same records whole and in parts, and what the parts were asked.
fn engines(lines: &[Line], manners: &[Manners]) -> (Engine, Engine, Arc<Counts>) {
    let (counts, whole) = (Arc::new(Counts::default()), Arc::new(Fake::new()));
    let fakes: Vec<Arc<Fake>> = manners.iter().map(|_| Arc::new(Fake::new())).collect();
    for line in lines {
        append(&whole, line);
        append(&fakes[line.cluster], line);
    }
    let parts = manners.iter().zip(fakes).enumerate().map(|(i, (manners, fake))| {
        let inner = Evaluating::new(fake, options()).sifting();
        let select = Arc::new(Cluster { inner, manners: *manners, counts: counts.clone() });
        let labels = Labels::from_pairs([("cluster", cluster(i))]);
        Part { sources: vec![(cluster(i), None)], name: cluster(i), labels, select }
    });
    let divided = Divided { whole: whole.clone(), parts: parts.collect() };
    (Engine::new(whole, options()), Engine::new(Arc::new(divided), options()), counts)
}

fn ctx() -> QueryContext {
    QueryContext { tenants: Tenants::one(TenantId::default()), limits: QueryLimits::default() }
}

/// Where a query is evaluated.
#[derive(Debug, Clone, Copy)]
enum At {
    Instant(i64),
    Range(i64, i64, i64),
}

type Outcome = std::result::Result<Answer, logql::Error>;

fn ask(engine: &Engine, q: &str, at: At) -> Outcome {
    ask_within(engine, q, at, &ctx())
}

fn ask_within(engine: &Engine, q: &str, at: At, ctx: &QueryContext) -> Outcome {
    run(async {
        match at {
            At::Instant(t) => engine.instant(q, t, 100, Direction::NewestFirst, ctx).await,
            At::Range(a, b, step) => engine.range(q, a, b, step, 100, Direction::NewestFirst, ctx).await,
        }
    })
}

/// Sums are taken in another order.
fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Vector(a), Value::Vector(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((l, t, x), (m, u, y))| l == m && t == u && close(*x, *y))
        }
        (Value::Matrix(a), Value::Matrix(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((l, p), (m, q))| {
                    l == m
                        && p.len() == q.len()
                        && p.iter().zip(q).all(|((t, x), (u, y))| t == u && close(*x, *y))
                })
        }
        (a, b) => a == b,
    }
}

fn difference(whole: &Outcome, parts: &Outcome) -> Option<String> {
    match (whole, parts) {
        (Ok(a), Ok(b)) if same(&a.value, &b.value) => None,
        (Err(a), Err(b)) if a.to_string() == b.to_string() => None,
        (a, b) => Some(format!(
            "whole: {:?}\nparts: {:?}",
            a.as_ref().map(|a| &a.value),
            b.as_ref().map(|b| &b.value)
        )),
    }
}

fn line() -> impl Strategy<Value = Line> {
    let pair = prop_oneof![
        (0..3u8).prop_map(|l| format!("level={}", ["info", "warn", "error"][l as usize])),
        (-3..9i32).prop_map(|v| format!("v={v}")),
        (0..40i32).prop_map(|v| format!("v={}", f64::from(v) / 7.0)),
        (1..5i32).prop_map(|d| format!("d={d}s")),
        (0..3u8).prop_map(|c| format!("cluster=c{c}")),
        (0..3u8).prop_map(|c| format!("other=c{c}")),
    ];
    let text = prop_oneof![
        12 => prop::collection::vec(pair, 1..5).prop_map(|p| p.join(" ")),
        1 => Just("v=many level=info".to_owned()),
        1 => Just("{\"v\": 3, \"cluster\": \"c0\"}".to_owned()),
    ];
    (0..3usize, prop::sample::select(&["x", "y"][..]), 0..120_000i64, text)
        .prop_map(|(cluster, app, at_ms, text)| Line { cluster, app, at_ns: at_ms * 1_000_000 + 7, text })
}

fn range_aggregation() -> impl Strategy<Value = String> {
    let selector = prop::sample::select(
        &[
            "{app=\"x\"}",
            "{app=~\"x|y\"}",
            "{app=~\".+\", cluster!=\"c1\"}",
            "{cluster=\"c2\"}",
            "{cluster=\"no\"}",
        ][..],
    );
    let stage = prop::sample::select(
        &[
            "",
            "| logfmt",
            "| logfmt",
            "|= \"level\"",
            "| level=\"error\"",
            "| v > 2",
            "| drop cluster",
            "| drop cluster=\"c1\"",
            "| keep cluster, v, level",
            "| keep cluster=~\"c0|c1\", v",
            "| label_format cluster=level",
            "| label_format cluster=\"one\"",
            "| label_format where=cluster",
            "| label_format both=\"{{.cluster}}{{.level}}\"",
            "| line_format \"{{.cluster}} {{.level}}\"",
            "| json",
            "| cluster=\"c2\"",
            "| __error__=\"\"",
            "| zone=\"even\"",
        ][..],
    );
    let log =
        (selector, prop::collection::vec(stage, 0..4)).prop_map(|(s, p)| format!("{s} {}", p.join(" ")));
    let counts = prop::sample::select(
        &["count_over_time", "rate", "bytes_over_time", "bytes_rate", "absent_over_time"][..],
    );
    let values = prop::sample::select(
        &[
            "sum_over_time(",
            "rate(",
            "avg_over_time(",
            "min_over_time(",
            "max_over_time(",
            "first_over_time(",
            "last_over_time(",
            "stddev_over_time(",
            "stdvar_over_time(",
            "quantile_over_time(0.7, ",
            "rate_counter(",
        ][..],
    );
    let window = prop::sample::select(&["[20s]", "[1m]", "[45s] offset 10s", "[30s] offset -5s"][..]);
    let by = prop::sample::select(
        &["", "", " by (cluster)", " by (level)", " without (cluster, d, other, zone, v)", " by ()"][..],
    );
    prop_oneof![
        (counts, log.clone(), window.clone()).prop_map(|(op, log, w)| format!("{op}({log} {w})")),
        (values, log, any::<bool>(), window, by).prop_map(|(op, log, safe, w, by)| {
            let safe = if safe { "| __error__=\"\"" } else { "" };
            let by = if op.starts_with("sum") || op.starts_with("rate") { "" } else { by };
            format!("{op}{log} | logfmt | unwrap v {safe} {w}){by}")
        }),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let grouping = prop::sample::select(
        &["", " by (cluster)", " by (level)", " by (cluster, app)", " without (cluster)", " without (v)"][..],
    );
    let op = prop::sample::select(
        &[
            "sum",
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "stddev",
            "stdvar",
            "topk 2,",
            "bottomk 1,",
            "approx_topk 3,",
            "sort",
            "sort_desc",
        ][..],
    );
    let between = prop::sample::select(
        &[
            "+",
            "/ on (cluster, app)",
            "* ignoring (level, v)",
            "or",
            "and on (cluster)",
            "unless on (app)",
            "> bool on (cluster) group_left ()",
            "or on (level)",
            "- on (app) group_right (cluster)",
        ][..],
    );
    range_aggregation().prop_recursive(3, 8, 2, move |inner| {
        prop_oneof![
            5 => (op.clone(), grouping.clone(), inner.clone()).prop_map(|(op, by, inner)| {
                let (name, parameter) = op.split_once(' ').unwrap_or((op, ""));
                let by = if name.starts_with("sort") { "" } else { by };
                format!("{name}{by} ({parameter} {inner})")
            }),
            1 => (inner.clone(), prop::sample::select(&["* 2", "> 1", "- vector(1)"][..]))
                .prop_map(|(inner, with)| format!("({inner}) {with}")),
            2 => (inner.clone(), between.clone(), inner.clone()).prop_map(|(l, op, r)| format!("({l}) {op} ({r})")),
            1 => (inner, prop::sample::select(&["cluster", "team"][..]))
                .prop_map(|(i, to)| format!("label_replace({i}, \"{to}\", \"$1\", \"app\", \"(.*)\")")),
        ]
    })
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![
        (0..130_000_000_000i64).prop_map(At::Instant),
        (0..60 * S, 1..30i64, 0..10i64).prop_map(|(from, step, n)| At::Range(
            from,
            from + n * step * S,
            step * S
        )),
    ]
}

fn manners() -> impl Strategy<Value = Vec<Manners>> {
    let one = prop_oneof![
        4 => Just(Manners::Evaluates),
        1 => Just(Manners::Selects),
        1 => Just(Manners::Declines),
    ];
    prop::collection::vec(one, 3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 600 } else { 3000 }))]

    #[test]
    fn parts_answer_what_one_place_does(
        lines in prop::collection::vec(line(), 0..60), q in query(), at in at(), manners in manners()
    ) {
        let (whole, divided, _) = engines(&lines, &manners);
        let difference = difference(&ask(&whole, &q, at), &ask(&divided, &q, at));
        prop_assert!(difference.is_none(), "{q}\n{}", difference.unwrap_or_default());
    }
}

/// A hundred lines in each of three clusters, one a second.
fn many() -> Vec<Line> {
    let line = |i: usize| Line {
        cluster: i % 3,
        app: "x",
        at_ns: (i / 3) as i64 * S + 1,
        text: format!(
            "level={} v={} a line with some words that nobody asked for",
            ["info", "error"][i % 2],
            i % 7
        ),
    };
    (0..300).map(line).collect()
}

const ALL: [Manners; 3] = [Manners::Evaluates; 3];
const WHEN: At = At::Range(0, 100 * S, 20 * S);

#[test]
fn a_pushed_query_moves_rows_and_not_records() {
    for q in [
        "sum by (level) (count_over_time({app=\"x\"} | logfmt [20s]))",
        "avg_over_time({app=\"x\"} | logfmt | unwrap v [20s]) by (level)",
        "topk(2, rate({app=\"x\"} | logfmt | level=\"error\" [20s]))",
        "quantile_over_time(0.9, {app=\"x\"} | logfmt | unwrap v [20s]) by (cluster)",
        "absent_over_time({app=\"z\"}[20s])",
        "sum(rate({app=\"x\"} | drop cluster [20s])) / sum(rate({app=\"x\"}[20s]))",
    ] {
        let (whole, divided, counts) = engines(&many(), &ALL);
        let (a, b) = (ask(&whole, q, WHEN), ask(&divided, q, WHEN));
        assert_eq!(difference(&a, &b), None, "{q}");
        assert_eq!(counts.selected.load(Relaxed), 0, "{q}");
        assert!(counts.values.load(Relaxed) <= 120, "{q}: {}", counts.values.load(Relaxed));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.stats.lines, b.stats.lines, "{q}");
        assert_eq!(a.stats.bytes, b.stats.bytes, "{q}");
        assert_eq!(b.parts.iter().map(|p| p.lines).sum::<u64>(), b.stats.lines, "{q}");
    }
}

#[test]
fn a_part_without_the_language_is_selected_from() {
    let q = "sum by (level) (count_over_time({app=\"x\"} | logfmt | level=\"error\" [20s]))";
    for other in [Manners::Selects, Manners::Declines] {
        let (whole, divided, counts) = engines(&many(), &[Manners::Evaluates, other, Manners::Evaluates]);
        let (a, b) = (ask(&whole, q, WHEN), ask(&divided, q, WHEN));
        assert_eq!(difference(&a, &b), None);
        // Only what passes comes, even so.
        assert_eq!((counts.selected.load(Relaxed), counts.records.load(Relaxed)), (1, 50), "{other:?}");
        let here: Vec<bool> = b.unwrap().parts.iter().map(|p| p.here).collect();
        assert_eq!(here, [false, true, false]);
    }
}

#[test]
fn a_part_that_does_not_answer_or_answers_nonsense_is_named_and_others_count() {
    let q = "sum(count_over_time({app=\"x\"}[100s]))";
    for (manners, reason) in [(Manners::Gone, "connection refused"), (Manners::Garbles, "what cannot be")] {
        let (_, divided, _) = engines(&many(), &[Manners::Evaluates, manners, Manners::Evaluates]);
        let answer = ask(&divided, q, At::Instant(100 * S)).unwrap();
        let Value::Vector(v) = &answer.value else { panic!() };
        assert_eq!(v.iter().map(|(_, _, v)| *v).collect::<Vec<_>>(), [200.0]);
        let missing: Vec<_> =
            answer.coverage.sources().iter().filter(|s| s.state == CoverageState::Missing).collect();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].cluster, "c1");
        assert!(missing[0].reason.contains(reason), "{}", missing[0].reason);
        let (_, divided, _) = engines(&many(), &[manners; 3]);
        let e = ask(&divided, q, At::Instant(100 * S)).unwrap_err();
        assert!(e.to_string().contains("none of the 3 parts asked answered"), "{e}");
    }
}

#[test]
fn an_error_of_a_line_reads_as_it_does_over_the_whole() {
    let mut lines = many();
    lines[200].text = "level=error v=much".to_owned();
    lines[100].text = "level=error v=more".to_owned();
    for q in [
        "sum(sum_over_time({app=\"x\"} | logfmt | unwrap v [100s]))",
        "sum_over_time({app=\"x\"} | logfmt | unwrap v [100s])",
        "count_over_time({app=\"x\"} | logfmt [100s]) / on (app) count_over_time({app=\"x\"}[100s])",
        "sum(count_over_time({app=\"x\"} | json [100s]))",
        "count_over_time({app=\"x\"} | json [100s])",
    ] {
        let (whole, divided, _) = engines(&lines, &ALL);
        assert_eq!(difference(&ask(&whole, q, WHEN), &ask(&divided, q, WHEN)), None, "{q}");
    }
}

#[test]
fn limits_count_over_all_parts_together() {
    let limited = |q: &str, limits: QueryLimits| {
        let (whole, divided, _) = engines(&many(), &ALL);
        let ctx = QueryContext { limits, ..ctx() };
        let texts = [&whole, &divided].map(|e| match ask_within(e, q, WHEN, &ctx) {
            Ok(_) => "fine".to_owned(),
            Err(e) => e.to_string(),
        });
        assert_eq!(texts[0], texts[1], "{q}");
        texts[0].clone()
    };
    let bytes = |max_bytes| QueryLimits { max_bytes, ..QueryLimits::default() };
    let series = |max_series| QueryLimits { max_series, ..QueryLimits::default() };
    // No part reads more than a third.
    assert!(limited("sum(rate({app=\"x\"}[20s]))", bytes(12_000)).contains("query.max_bytes"));
    assert_eq!(limited("sum(rate({app=\"x\"}[20s]))", bytes(100_000)), "fine");
    assert!(limited("max(rate({app=\"x\"} | logfmt [20s]))", series(20)).contains("query.max_series"));
    assert_eq!(limited("sum by (level) (rate({app=\"x\"} | logfmt [20s]))", series(2)), "fine");
    assert!(limited("sum by (v) (rate({app=\"x\"} | logfmt [20s]))", series(6)).contains("query.max_series"));
}

#[test]
fn sums_over_parts_that_cancel_come_to_what_is_left() {
    let line = |cluster, text: &str| Line { cluster, app: "x", at_ns: S, text: text.to_owned() };
    let lines = [line(0, "v=1e20"), line(0, "v=3"), line(1, "v=-1e20"), line(2, "v=0.5")];
    let (whole, divided, _) = engines(&lines, &ALL);
    let q = "sum(sum_over_time({app=\"x\"} | logfmt | unwrap v [1m]))";
    for engine in [&whole, &divided] {
        let Value::Vector(v) = ask(engine, q, At::Instant(2 * S)).unwrap().value else { panic!() };
        assert_eq!(v.iter().map(|(_, _, v)| *v).collect::<Vec<_>>(), [3.5]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_left_out_where_records_are_kept_changes_no_answer(
        lines in prop::collection::vec(line(), 0..60),
        stages in prop::collection::vec(prop::sample::select(&[
            "| logfmt", "| level=\"error\"", "| v > 2", "|= \"level\"", "| line_format \"{{.cluster}} {{.v}}\"",
            "|~ \"c[01]\"", "| drop cluster", "| json", "| __error__=\"\"", "| cluster!=\"c1\"", "| decolorize",
            "| label_format cluster=level", "|> \"level=<_> v\"", "| zone=\"odd\"",
        ][..]), 0..5),
        limit in 1..20usize, forward in any::<bool>()
    ) {
        let q = format!("{{app=~\".+\"}} {}", stages.join(" "));
        let fake = Arc::new(Fake::new());
        lines.iter().for_each(|l| append(&fake, l));
        let sifting = Arc::new(Evaluating::new(fake.clone(), options()).sifting());
        let direction = if forward { Direction::OldestFirst } else { Direction::NewestFirst };
        let ask = |select: Arc<dyn Select>| {
            let engine = Engine::new(select, options());
            run(engine.range(&q, 0, 200 * S, S, limit, direction, &ctx())).unwrap()
        };
        let (all, some) = (ask(fake), ask(sifting));
        prop_assert_eq!(&all.value, &some.value);
        prop_assert!(some.stats.lines <= all.stats.lines);
        if q.contains("level=\"error\"") {
            prop_assert_eq!(some.stats.lines, some.stats.entries);
        }
    }
}
