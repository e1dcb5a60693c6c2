//! Limits, errors and shapes of answers, over the fake of the seam.

use std::{sync::Arc, time::Instant};

use base::{Kind, MemoryBudget};
use contract::{Append, AppendUnit, Tenants, fake::Fake};
use model::{Batch, Labels, MetricBatch, TenantId};
use promql::{Engine, EngineOptions, Error, QueryContext, Value};

fn tenant() -> TenantId {
    TenantId::new("test").unwrap()
}

/// Ten series `m{i}` with a sample every 10 s for an hour.
async fn engine() -> (Engine, QueryContext) {
    let mut batch = MetricBatch::default();
    for i in 0..10 {
        let s = batch.push_series(Labels::from_pairs([("__name__", "m"), ("i", &i.to_string())]));
        for t in 0..360 {
            batch.samples.push(s, t * 10_000, t as f64 * f64::from(i));
        }
    }
    let fake = Arc::new(Fake::new());
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![Batch::Metrics(batch)] };
    fake.append(&tenant(), unit).await.unwrap();
    (Engine::new(fake, EngineOptions::default()), QueryContext::new(Tenants::one(tenant())))
}

#[tokio::test]
async fn instant_and_range_queries_answer_their_types() {
    let (e, ctx) = engine().await;
    let a = e.instant("sum(rate(m[5m]))", 1_800_000, &ctx).await.unwrap();
    let Value::Vector(v) = &a.value else { panic!("{:?}", a.value) };
    assert_eq!(v.len(), 1);
    let promql::SampleValue::Float(rate) = v[0].value else { panic!("{:?}", v[0].value) };
    assert!((rate - 4.5).abs() < 1e-12);
    assert!(a.coverage.is_complete() && !a.coverage.sources().is_empty());
    assert_eq!((a.stats.series, a.stats.samples), (10, 300));
    let a = e.range("m > 100", 0, 3_600_000, 60_000, &ctx).await.unwrap();
    let Value::Matrix(m) = &a.value else { panic!("{:?}", a.value) };
    assert_eq!(m.len(), 9);
    assert!(m.windows(2).all(|w| w[0].labels < w[1].labels));
    let a = e.range("1 + 1", 0, 60_000, 30_000, &ctx).await.unwrap();
    let Value::Matrix(m) = &a.value else { panic!("{:?}", a.value) };
    assert_eq!(m[0].floats, [(0, 2.0), (30_000, 2.0), (60_000, 2.0)]);
    assert_eq!(
        e.instant("\"x\"", 0, &ctx).await.unwrap().value,
        Value::String { t_ms: 0, s: "x".to_owned() }
    );
}

#[tokio::test]
async fn a_hint_names_the_place_it_is_about() {
    let (e, ctx) = engine().await;
    let a = e.instant("1 +\n quantile(2, m)", 0, &ctx).await.unwrap();
    assert_eq!(a.warnings, ["PromQL warning: quantile value should be between 0 and 1, got 2 (2:11)"]);
}

#[tokio::test]
async fn limits_refuse_by_name() {
    let (e, mut ctx) = engine().await;
    ctx.limits.max_samples = 100;
    let err = e.instant("rate(m[1h])", 3_600_000, &ctx).await.unwrap_err();
    assert_eq!((err.kind(), err.limit()), (Kind::Limited, Some("query.max_samples")));
    let err = e.instant("max_over_time(vector(1)[1y:1ms])", 0, &ctx).await.unwrap_err();
    assert_eq!((err.kind(), err.limit()), (Kind::Limited, Some("query.max_samples")));

    let (e, mut ctx) = engine().await;
    ctx.limits.memory = MemoryBudget::new(10_000);
    let err = e.range("m", 0, 3_600_000, 1_000, &ctx).await.unwrap_err();
    assert_eq!((err.kind(), err.limit()), (Kind::Unavailable, Some("memory.limit")));
    assert_eq!(ctx.limits.memory.reserved(), 0, "what was reserved is given back");

    let (e, mut ctx) = engine().await;
    ctx.limits.deadline = Some(Instant::now());
    assert_eq!(e.instant("m", 0, &ctx).await.unwrap_err().kind(), Kind::Timeout);
    let err = e.range("m", 0, 100_000_000, 1_000, &ctx).await.unwrap_err();
    assert!(err.to_string().contains("exceeded maximum resolution of 11000 points"));
}

#[tokio::test]
async fn what_can_never_work_is_invalid() {
    let (e, ctx) = engine().await;
    for q in ["m{", "m and 1", "sum(1)", "m + on() m"] {
        assert_eq!(e.instant(q, 0, &ctx).await.unwrap_err().kind(), Kind::Invalid, "{q}");
    }
    let err = e.range("m[5m]", 0, 10, 1, &ctx).await.unwrap_err();
    assert!(err.to_string().contains("invalid expression type \"range vector\" for range query"));
    assert!(matches!(e.range("m", 10, 0, 1, &ctx).await.unwrap_err(), Error::Parameter(_)));
    assert!(matches!(e.range("m", 0, 10, 0, &ctx).await.unwrap_err(), Error::Parameter(_)));
    assert!(matches!(e.instant("m", i64::MAX, &ctx).await.unwrap_err(), Error::Parameter(_)));
}

#[tokio::test]
async fn deep_queries_and_long_chains_fit_the_stack() {
    let (e, ctx) = engine().await;
    let deep = format!("{}m{}", "abs(".repeat(199), ")".repeat(199));
    assert!(e.instant(&deep, 0, &ctx).await.is_ok());
    let subqueries = format!("{}m{}", "max_over_time((".repeat(60), ")[1m:30s])".repeat(60));
    assert!(e.instant(&subqueries, 3_000_000, &ctx).await.is_ok());
    let chain = format!("1{}", " + 1".repeat(20_000));
    let a = e.instant(&chain, 0, &ctx).await.unwrap();
    assert_eq!(a.value, Value::Scalar { t_ms: 0, v: 20_001.0 });
}

#[tokio::test]
async fn names_are_dropped_at_once_or_at_the_end() {
    let (at_once, ctx) = engine().await;
    let err = at_once.instant("rate({__name__=~\"m|m\"}[5m]) or m", 1_800_000, &ctx).await;
    assert!(err.is_ok());
    let a = at_once.instant("count by (__name__) (rate(m[5m]))", 1_800_000, &ctx).await.unwrap();
    let Value::Vector(v) = a.value else { panic!() };
    assert_eq!(v[0].labels.to_string(), "{}");
}

#[tokio::test]
async fn intermediate_results_have_a_limit_of_their_own() {
    let (e, mut ctx) = engine().await;
    ctx.limits.max_bytes = 100_000;
    let err = e.range("m", 0, 3_600_000, 1_000, &ctx).await.unwrap_err();
    assert_eq!((err.kind(), err.limit()), (Kind::Limited, Some("query.max_bytes")));
    assert_eq!(ctx.limits.memory.reserved(), 0);
}

#[test]
fn a_query_nobody_waits_for_stops() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (e, ctx) = runtime.block_on(engine());
    let memory = ctx.limits.memory.clone();
    // Left alone this would regress over some 10^9 samples.
    let asked = runtime.spawn(async move {
        let q = "deriv((vector(time()) + scalar(m{i=\"1\"}))[20h:1s])";
        e.range(q, 0, 11_000_000, 1_000, &ctx).await
    });
    runtime.block_on(async {
        while memory.reserved() == 0 {
            tokio::task::yield_now().await;
        }
        asked.abort();
    });
    // Waits for what still runs.
    drop(runtime);
    assert_eq!(memory.reserved(), 0);
}

#[tokio::test]
async fn statistics_count_what_each_step_looks_at() {
    let (e, mut ctx) = engine().await;
    ctx.per_step_stats = true;
    let a = e.range("m", 1_800_000, 1_920_000, 60_000, &ctx).await.unwrap();
    assert_eq!(a.stats.queryable_samples, 30);
    assert_eq!(a.stats.queryable_per_step, [(1_800_000, 10), (1_860_000, 10), (1_920_000, 10)]);
    let a = e.range("sum(rate(m[5m]))", 1_800_000, 1_860_000, 60_000, &ctx).await.unwrap();
    assert_eq!(a.stats.queryable_per_step, [(1_800_000, 300), (1_860_000, 300)]);
    // Looked at once, and again at every step.
    let a = e.range("sum(m @ 60) + sum(m @ 60)", 0, 60_000, 30_000, &ctx).await.unwrap();
    assert_eq!(a.stats.queryable_per_step, [(0, 20), (30_000, 20), (60_000, 20)]);
    let a = e.instant("max_over_time(m{i=\"1\"}[5m:1m])", 1_800_000, &ctx).await.unwrap();
    assert_eq!(a.stats.queryable_samples, 5);
    let a = e.instant("m[5m]", 1_800_000, &ctx).await.unwrap();
    assert_eq!(a.stats.queryable_samples, 300);
    assert!(a.stats.peak_samples() >= 300);
    ctx.per_step_stats = false;
    let a = e.range("m", 1_800_000, 1_920_000, 60_000, &ctx).await.unwrap();
    assert_eq!((a.stats.queryable_samples, a.stats.queryable_per_step.len()), (30, 0));
}

#[tokio::test]
async fn an_explained_query_shows_its_rewritten_plan() {
    let (e, mut ctx) = engine().await;
    assert!(e.instant("m", 0, &ctx).await.unwrap().explain.is_none());
    ctx.explain = true;
    let q = "sum by (i) (rate(m[5m])) / on () group_left () (sum(m @ 60) + sum(m @ 60)) + 2 * 3";
    let a = e.range(q, 1_800_000, 1_860_000, 60_000, &ctx).await.unwrap();
    let nodes = a.explain.unwrap().nodes;
    let shown: Vec<(Option<usize>, &str, &str)> =
        nodes.iter().map(|n| (n.parent, n.operator.as_str(), n.detail.as_str())).collect();
    assert_eq!(
        shown,
        [
            (None, "+", ""),
            (Some(0), "/", "on ()"),
            (Some(1), "sum", "by (i)"),
            (Some(2), "rate", ""),
            (Some(3), "range", "5m"),
            (Some(4), "selector", "{__name__=\"m\"}"),
            (Some(1), "+", ""),
            (Some(6), "sum", ""),
            (Some(7), "selector", "{__name__=\"m\"} @ 60"),
            (Some(6), "sum", ""),
            (Some(9), "selector", "{__name__=\"m\"} @ 60"),
            (Some(0), "number", "6"),
        ]
    );
    let (rate, once, again) = (&nodes[3], &nodes[6], &nodes[9]);
    assert!(rate.fused && rate.series == 10 && rate.bytes > 0);
    assert!(once.once && once.steps == 1);
    assert_eq!((nodes[7].reused, again.reused), (0, 1));
    let read = nodes[5].read.unwrap();
    assert_eq!((read.series, read.samples, read.first_ms, read.last_ms), (10, 360, 1_500_001, 1_860_000));
}
