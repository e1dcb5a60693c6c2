//! Random queries over random traces answer as the oracle does, wherever the spans lie.

use std::{collections::BTreeMap, sync::Arc};

use contract::Select;
use model::SpanBatch;
use proptest::prelude::*;
use traceql::{
    FoundTrace, MetricSeries, MetricsRequest, Query, SearchRequest, SpanTest, ast::*, lenient,
    metrics_instant, metrics_range, parse, search,
};

use crate::{
    dealt::both,
    oracle::{self, Trace, V, everything, key, numbers},
    random::{condition, function, pipeline, traces},
    script::{id, scope, tenant},
};

const S: i64 = 1_000_000_000;

fn now<T>(f: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f)
}

fn spans(p: &Pipeline) -> Query {
    Query { expr: Expr::Spans(p.clone()), hints: Vec::new() }
}

/// A spanset's attributes, and its spans.
type Set = (Vec<(String, String)>, Vec<String>);

/// What is found of each trace, newest found span first. `None` where the query is refused.
fn expected(p: &Pipeline, all: &[Trace], start: i64, end: i64) -> Option<Vec<(i64, String, Vec<Set>)>> {
    let mut out = Vec::new();
    for t in all {
        let candidate = t.spans.iter().any(|(s, _)| start <= s.start_ns && s.start_ns < end);
        let Some(sets) = oracle::run(t, p, everything(t)) else {
            // Traces without a span in the range are not looked at.
            if candidate {
                return None;
            }
            continue;
        };
        let starts = sets.iter().flat_map(|s| &s.spans).map(|i| t.spans[*i].0.start_ns);
        let Some(newest) = starts.filter(|at| start <= *at && *at < end).max() else { continue };
        let set = |s: oracle::Set| {
            let spans = s.spans.iter().map(|i| id(&t.spans[*i].0.span_id)).collect();
            (s.attributes, spans)
        };
        out.push((-newest, id(&t.id), sets.into_iter().map(set).collect()));
    }
    out.sort();
    Some(out)
}

fn found(t: &FoundTrace) -> (String, Vec<Set>) {
    let set = |s: &traceql::FoundSpanset| {
        let told = |(k, v): &(String, model::AnyValue)| (k.clone(), v.to_string());
        let spans = s.spans.iter().map(|s| id(&s.span_id)).collect();
        (s.attributes.iter().map(told).collect(), spans)
    };
    (id(&t.trace_id), t.spansets.iter().map(set).collect())
}

async fn searched(
    select: &Arc<dyn Select>,
    p: &Pipeline,
    (start, end, limit): (i64, i64, usize),
) -> Option<Vec<(String, Vec<Set>)>> {
    let request = SearchRequest { scope: scope(start, end), limit, spans_per_spanset: 100 };
    let answer = search(select, &spans(p), request, |_| ()).await.ok()?;
    let mut all: Vec<_> = answer.traces.iter().map(found).collect();
    all.sort();
    Some(all)
}

/// Series by their labels, a sample per step.
type Series = BTreeMap<Vec<(String, String)>, Vec<Option<f64>>>;

/// `steps` are start and end of each, both as spans are counted: the first is not part of it, the second is.
fn expected_series(p: &Pipeline, f: &Function, all: &[Trace], steps: &[(i64, i64)]) -> Option<Series> {
    let mut seen: BTreeMap<Vec<(String, String)>, Vec<Vec<V>>> = BTreeMap::new();
    let buckets = matches!(f, Function::HistogramOverTime { .. });
    if f.by().is_empty() && !buckets {
        let labels = vec![("__name__".to_owned(), format!("string {}", f.name()))];
        seen.insert(labels, vec![Vec::new(); steps.len()]);
    }
    for t in all {
        let mut spans: Vec<usize> =
            oracle::run(t, p, everything(t))?.into_iter().flat_map(|s| s.spans).collect();
        spans.sort_unstable();
        spans.dedup();
        for i in spans {
            let at = t.spans[i].0.start_ns;
            let Some(step) = steps.iter().position(|(from, to)| *from < at && at <= *to) else { continue };
            let measured = f.of().map_or(vec![V::Nil], |of| numbers(t.get(i, of)));
            for v in measured {
                let bucket = if buckets { bucket(&v) } else { None };
                if buckets && bucket.is_none() {
                    continue;
                }
                let labels = labels(t, i, f, bucket);
                seen.entry(labels).or_insert_with(|| vec![Vec::new(); steps.len()])[step].push(v);
            }
        }
    }
    let row = |all: Vec<Vec<V>>| {
        let seconds = |step: usize| (steps[step].1 - steps[step].0) as f64 / 1e9;
        all.iter().enumerate().map(|(i, s)| sample(f, s, seconds(i))).collect::<Vec<_>>()
    };
    let rows = seen.into_iter().map(|(l, all)| (l, row(all)));
    Some(rows.filter(|(_, r)| r.iter().any(Option::is_some)).collect())
}

fn labels(t: &Trace, i: usize, f: &Function, bucket: Option<f64>) -> Vec<(String, String)> {
    let value = |by: &traceql::Field| (by.to_string(), key(t.get(i, by)));
    let mut labels: Vec<(String, String)> =
        f.by().iter().map(value).filter(|(_, v)| *v != V::Nil).map(|(n, v)| (n, typed(&v))).collect();
    match bucket {
        Some(b) => labels.push(("__bucket".to_owned(), typed(&V::Float(b)))),
        None if f.by().is_empty() => labels.push(("__name__".to_owned(), format!("string {}", f.name()))),
        None if labels.is_empty() => labels.push((f.by()[0].to_string(), "string nil".to_owned())),
        None => {}
    }
    labels
}

/// Values of different types are different, even where they look alike.
fn typed(v: &V) -> String {
    let name = match v {
        V::Int(_) => "int64",
        V::Float(_) => "float64",
        V::Bool(_) => "bool",
        V::Bytes => "binary",
        V::List(_) => "array",
        _ => "string",
    };
    format!("{name} {}", v.show())
}

fn measure(v: &V) -> f64 {
    match v {
        V::Int(i) => *i as f64,
        V::Float(f) => *f,
        V::Duration(ns) => *ns as f64 / 1e9,
        _ => f64::NAN,
    }
}

/// The least power of two, of nanoseconds where it is a duration.
fn bucket(v: &V) -> Option<f64> {
    let (n, unit) = match v {
        V::Duration(ns) => (*ns as f64, 1e9),
        v => (measure(v), 1.0),
    };
    if n == 0.0 {
        return Some(0.0);
    }
    let mut b = 1.0 / 1024.0;
    while b < n {
        b *= 2.0;
    }
    (n > 0.0).then_some(b / unit)
}

fn sample(f: &Function, seen: &[V], seconds: f64) -> Option<f64> {
    let all: Vec<f64> = seen.iter().map(measure).collect();
    let sum: f64 = all.iter().sum();
    match f {
        Function::Rate { .. } => Some(seen.len() as f64 / seconds),
        Function::CountOverTime { .. } | Function::HistogramOverTime { .. } => Some(seen.len() as f64),
        _ if all.is_empty() => None,
        Function::OverTime { op: OverTimeOp::Min, .. } => all.into_iter().reduce(f64::min),
        Function::OverTime { op: OverTimeOp::Max, .. } => all.into_iter().reduce(f64::max),
        Function::OverTime { op: OverTimeOp::Sum, .. } => Some(sum),
        Function::OverTime { .. } => Some(sum / all.len() as f64),
        other => panic!("not generated: {other}"),
    }
}

fn shown(all: &[MetricSeries], times_ms: &[i64]) -> Series {
    let row = |s: &MetricSeries| {
        let labels = s.labels.iter().map(|(k, v)| (k.clone(), format!("{} {v}", v.type_name()))).collect();
        let sample = |t: &i64| s.samples.iter().find(|(at, _)| at == t).map(|(_, v)| *v);
        (labels, times_ms.iter().map(sample).collect())
    };
    all.iter().map(row).collect()
}

fn close(a: &Series, b: &Series) -> bool {
    let near = |(x, y): (&Option<f64>, &Option<f64>)| match (x, y) {
        (Some(x), Some(y)) => (x - y).abs() <= 1e-9 * x.abs().max(1.0),
        (x, y) => x == y,
    };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((la, ra), (lb, rb))| la == lb && ra.len() == rb.len() && ra.iter().zip(rb).all(near))
}

fn check_search(batch: &SpanBatch, p: &Pipeline, range: (i64, i64, usize)) -> Result<(), TestCaseError> {
    let all = oracle::traces(batch);
    let (start, end, limit) = range;
    let want = expected(p, &all, start, end);
    for (what, select) in now(both(&tenant(), std::slice::from_ref(batch))) {
        let got = now(searched(&select, p, range));
        // Whether a refused query meets the trace that it is refused for depends on what is looked at first.
        let (Some(want), Some(got)) = (&want, &got) else {
            prop_assert!(want.is_none() || got.is_some(), "{}: {} is refused", what, p);
            continue;
        };
        let mut want: Vec<_> = want.iter().take(limit).map(|(_, t, s)| (t.clone(), s.clone())).collect();
        want.sort();
        prop_assert_eq!(got, &want, "{}: {}", what, p);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_the_oracle_finds(
        batch in traces(), p in pipeline(), start in 0..10i64, width in 1..25i64, limit in 1..4usize,
    ) {
        check_search(&batch, &p, (start * S, (start + width) * S, limit))?;
    }

    #[test]
    fn series_are_those_of_the_oracle(
        batch in traces(), p in pipeline(), f in function(), start in 0..10i64, width in 1..25i64, step in 1..9i64,
    ) {
        let all = oracle::traces(&batch);
        let expr = MetricsExpr::Query { pipeline: p, function: f };
        let query = Query { expr: Expr::Metrics(expr.clone()), hints: Vec::new() };
        let MetricsExpr::Query { pipeline: p, function: f } = &expr else { unreachable!() };
        let (from, to) = (start.div_euclid(step), (start + width + step - 1).div_euclid(step));
        let steps: Vec<(i64, i64)> = (from..=to).map(|i| ((i - 1) * step * S, i * step * S)).collect();
        let times: Vec<i64> = steps.iter().map(|(_, t)| t / 1_000_000).collect();
        let whole = [(start * S - 1, (start + width) * S - 1)];
        for (what, select) in now(both(&tenant(), std::slice::from_ref(&batch))) {
            let request = || MetricsRequest {
                scope: scope(start * S, (start + width) * S), step_ns: step * S, exemplars: 3,
            };
            // A query that is refused for a trace that nobody had to look at may be answered.
            let Some(want) = expected_series(p, f, &all, &steps) else { continue };
            let got = now(metrics_range(&select, &query, request())).unwrap();
            let got = shown(&got.series, &times);
            prop_assert!(close(&got, &want), "{what}: {query}\n got {got:?}\nwant {want:?}");
            let Some(want) = expected_series(p, f, &all, &whole) else { continue };
            let got = now(metrics_instant(&select, &query, request())).unwrap();
            let got = shown(&got.series, &[(start + width) * 1000]);
            prop_assert!(close(&got, &want), "{what} at once: {query}\n got {got:?}\nwant {want:?}");
        }
    }

    #[test]
    fn a_span_alone_is_never_refused_that_its_trace_would_find(batch in traces(), e in condition()) {
        let pipeline = Pipeline(vec![Stage::Spans(SpansetExpr::Filter(Some(e.clone())))]);
        let test = SpanTest::of(&spans(&pipeline));
        let (filters, any_of) = (test.filters(), test.any_of());
        for t in oracle::traces(&batch) {
            for (i, (span, origin)) in t.spans.iter().enumerate() {
                if t.holds(i, &e) {
                    prop_assert!(test.passes(span, origin), "{e}");
                    prop_assert!(filters.iter().all(|f| f.passes(span, origin)), "{e}: {filters:?}");
                    prop_assert!(contract::spans::passes_any(&any_of, span, origin), "{e}: {any_of:?}");
                }
            }
        }
    }

    #[test]
    fn a_query_reads_back_as_it_prints(p in pipeline(), f in function(), metrics in any::<bool>()) {
        let expr = match metrics {
            true => Expr::Metrics(MetricsExpr::Query { pipeline: p, function: f }),
            false => Expr::Spans(p),
        };
        let text = Query { expr, hints: Vec::new() }.to_string();
        // What breaks a rule of types is refused, as it would be from anybody.
        if let Ok(read) = parse(&text) {
            prop_assert_eq!(read.to_string(), text.clone());
            prop_assert_eq!(parse(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn no_text_makes_the_parser_fall(text in r#"[ {}()|&!<>=~.,+*/^%"`a-f0-9_:s-]{0,60}"#) {
        let _ = parse(&text);
        let certain = lenient(&text);
        prop_assert_eq!(parse(&certain.to_string()).map(|q| q.to_string()), Ok(certain.to_string()));
    }
}

#[test]
fn operators_bind_as_in_tempos_grammar() {
    for (query, same) in [
        ("{ .a = 1 || .b = 2 && .c = 3 }", "{ (.a = 1 || .b = 2) && .c = 3 }"),
        ("{ .a = 1 && .b = 2 || .c = 3 }", "{ (.a = 1 && .b = 2) || .c = 3 }"),
        ("{ .a + 2 * .b > 3 - 1 }", "{ (.a + (2 * .b)) > (3 - 1) }"),
        ("{ .a - 1 - 2 = 0 }", "{ ((.a - 1) - 2) = 0 }"),
        ("{ .a ^ 2 ^ 3 = 1 }", "{ (.a ^ (2 ^ 3)) = 1 }"),
        ("{ -.a * 2 = 1 }", "{ (-(.a * 2)) = 1 }"),
        ("{ -.a + 2 = 1 }", "{ ((-.a) + 2) = 1 }"),
        ("{ !.a = true }", "{ (!.a) = true }"),
        ("{ .a } > { .b } && { .c } > { .d }", "({ .a } > { .b }) && ({ .c } > { .d })"),
        ("{ .a } || { .b } && { .c }", "({ .a } || { .b }) && { .c }"),
        ("{ .a } >> { .b } > { .c }", "({ .a } >> { .b }) > { .c }"),
        ("count() + 1 * 2 > 3 - 1", "(count() + (1 * 2)) > (3 - 1)"),
    ] {
        let plain = |text: &str| bare(&parse(text).unwrap());
        assert_eq!(plain(query), plain(same), "{query}");
        assert_ne!(parse(query), parse(same), "{query}");
    }
}

/// The tree with every operator in brackets and no other parentheses.
fn bare(q: &Query) -> String {
    fn field(e: &FieldExpr) -> String {
        match e {
            FieldExpr::Paren(e) => field(e),
            FieldExpr::Not(e) => format!("[!{}]", field(e)),
            FieldExpr::Negate(e) => format!("[-{}]", field(e)),
            FieldExpr::Binary { op, left, right } => {
                format!("[{} {} {}]", field(left), op.as_str(), field(right))
            }
            other => other.to_string(),
        }
    }
    fn spansets(e: &SpansetExpr) -> String {
        match e {
            SpansetExpr::Filter(e) => e.as_ref().map_or(String::new(), field),
            SpansetExpr::Paren(e) => spansets(e),
            SpansetExpr::Operation { op, left, right } => {
                format!("[{} {} {}]", spansets(left), op.as_str(), spansets(right))
            }
            other => other.to_string(),
        }
    }
    fn scalar(e: &ScalarExpr) -> String {
        match e {
            ScalarExpr::Paren(e) => scalar(e),
            ScalarExpr::Binary { op, left, right } => {
                format!("[{} {} {}]", scalar(left), op.as_str(), scalar(right))
            }
            other => other.to_string(),
        }
    }
    let Expr::Spans(p) = &q.expr else { panic!("{q}") };
    match &p.0[..] {
        [Stage::Spans(e)] => spansets(e),
        [Stage::Scalar(f)] => format!("{} {} {}", scalar(&f.left), f.op.as_str(), scalar(&f.right)),
        _ => panic!("{q}"),
    }
}
