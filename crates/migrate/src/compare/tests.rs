use std::collections::HashMap;

use axum::{
    Form, Json,
    extract::{Path, State},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::*;

/// Answers to expressions, as a Prometheus would give them.
type Canned = Arc<HashMap<&'static str, Value>>;

async fn query(State(c): State<Canned>, Form(f): Form<HashMap<String, String>>) -> Json<Value> {
    let expr = f.get("query").map_or("", String::as_str);
    Json(match (expr, c.get(expr)) {
        ("vector(1)", _) => answer("vector", json!([])),
        ("quantile(2, vector(1))", None) => answer("vector", json!([])),
        (_, Some(v)) => v.clone(),
        _ => json!({"status": "error", "errorType": "bad_data", "error": format!("parse error in {expr:?}")}),
    })
}

async fn values(Path(label): Path<String>) -> Json<Value> {
    let all = if label == "job" { json!(["node", "db"]) } else { json!([]) };
    Json(json!({"status": "success", "data": all}))
}

async fn prometheus(canned: &[(&'static str, Value)]) -> Target {
    let state: Canned = Arc::new(canned.iter().cloned().collect());
    let app = axum::Router::new()
        .route("/api/v1/query", post(query))
        .route("/api/v1/query_range", post(query))
        .route("/api/v1/label/{label}/values", get(values))
        .with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Target::new(&address, None, &[]).unwrap()
}

fn answer(kind: &str, result: Value) -> Value {
    json!({"status": "success", "data": {"resultType": kind, "result": result}})
}

fn one(l: &str, value: &str) -> Value {
    answer("matrix", json!([{"metric": {"l": l}, "values": [[1, value]]}]))
}

fn options(a: Target, b: Target) -> Options {
    Options {
        a,
        b,
        dashboards: Vec::new(),
        expressions: Vec::new(),
        ranges: vec![Range::new(1_000_000, Duration::from_secs(3600), None).unwrap()],
        tolerance: Tolerance::default(),
        ignore_labels: Vec::new(),
        variables: Vec::new(),
        scrape_interval: Duration::from_secs(15),
        concurrency: 2,
        timeout: Duration::from_secs(10),
    }
}

async fn compared(o: &Options) -> Result<Report> {
    run(o, &Clock::system(), &Shutdown::new(), |_| {}).await
}

#[tokio::test]
async fn what_differs_is_told_and_what_does_not_is_counted() {
    let empty = answer("matrix", json!([]));
    let a = prometheus(&[
        ("same", one("x", "1")),
        ("value", one("x", "1")),
        ("gone", one("x", "1")),
        ("empty", empty.clone()),
    ])
    .await;
    let b = prometheus(&[("same", one("x", "1.0")), ("value", one("x", "2")), ("empty", empty)]).await;
    let mut o = options(a, b);
    let names = ["same", "value", "gone", "empty", "both refuse"];
    o.expressions = names
        .iter()
        .map(|n| Expression { source: (*n).to_owned(), text: (*n).to_owned(), instant: false })
        .collect();
    let r = compared(&o).await.unwrap();
    let outcomes: Vec<_> = r.queries.iter().map(|q| q.outcome).collect();
    let different = Outcome::Different;
    assert_eq!(outcomes, [Outcome::Same, different, different, Outcome::Empty, Outcome::Refused]);
    assert!(!r.is_same());
    assert!(matches!(&r.queries[1].differences[0], Difference::Value { a, b, .. } if a == "1" && b == "2"));
    assert!(
        matches!(&r.queries[2].differences[0], Difference::Answer { b, .. } if b.contains("parse error"))
    );
    let told = r.to_string();
    assert!(told.contains("A has 1, B has 2") && told.contains("2 different"), "{told}");
    serde_json::to_string(&r).unwrap();
}

#[tokio::test]
async fn annotations_are_compared_where_both_sides_annotate() {
    let said =
        |w: &str| json!({"status": "success", "data": {"resultType": "vector", "result": []}, "infos": [w]});
    let (probe, odd) = ("quantile(2, vector(1))", said("PromQL warning: quantile value should be 0 to 1"));
    let told =
        [(probe, odd.clone()), ("q", said("PromQL info: no counter (1:1)")), ("w", said("a store is away"))];
    let quiet = [("q", answer("vector", json!([]))), ("w", answer("vector", json!([])))];
    let annotating = [(probe, odd), quiet[0].clone(), quiet[1].clone()];
    let ask = |a, b| {
        let mut o = options(a, b);
        for q in ["q", "w"] {
            o.expressions.push(Expression { source: q.to_owned(), text: q.to_owned(), instant: true });
        }
        o
    };
    let old = ask(prometheus(&quiet).await, prometheus(&told).await);
    let r = compared(&old).await.unwrap();
    assert_eq!((r.empty, r.different), (1, 1), "only what is said of data differs: {r}");
    assert!(r.notes[0].starts_with("A does not annotate"), "{:?}", r.notes);
    let new = ask(prometheus(&annotating).await, prometheus(&told).await);
    let r = compared(&new).await.unwrap();
    assert_eq!((r.different, r.notes.len()), (2, 0), "{r}");
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_an_error_not_a_difference() {
    let a = prometheus(&[]).await;
    let o = options(a, Target::new("127.0.0.1:1", None, &[]).unwrap());
    let e = compared(&o).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::Unavailable);
    assert!(e.to_string().contains("127.0.0.1:1"), "{e}");
}

const DASHBOARD: &str = r#"{
  "title": "T",
  "templating": {"list": [
    {"name": "ds", "type": "datasource", "query": "prometheus"},
    {"name": "logs", "type": "datasource", "query": "loki"},
    {"name": "job", "type": "query", "query": {"query": "label_values(up, job)"}, "includeAll": true},
    {"name": "one", "type": "query", "definition": "label_values(up, job)", "query": ""},
    {"name": "none", "type": "query", "query": "label_values(up, nothing)"}
  ]},
  "annotations": {"list": [{"name": "deploys", "datasource": {"type": "prometheus"}, "expr": "deploy"}]},
  "panels": [
    {"type": "row", "title": "Row", "panels": [
      {"title": "P", "datasource": {"type": "prometheus", "uid": "$ds"}, "targets": [
        {"refId": "A", "expr": "rate(x{job=~\"$job\", one=\"${one}\"}[$__rate_interval])"},
        {"refId": "B", "expr": "x{n=\"$none\"}", "instant": true},
        {"refId": "C", "expr": "  "}]}]},
    {"title": "L", "datasource": {"type": "loki"}, "targets": [{"refId": "A", "expr": "{a=\"b\"}"}]},
    {"title": "M", "datasource": "$logs", "targets": [{"refId": "A", "expr": "{a=\"b\"}"}]}
  ]}"#;

#[test]
fn a_dashboard_gives_its_prometheus_expressions_with_their_place() {
    let d = dashboard::parse(DASHBOARD.as_bytes(), "d.json").unwrap();
    let sources: Vec<_> = d.expressions.iter().map(|e| (e.source.as_str(), e.instant)).collect();
    assert_eq!(
        sources,
        [
            ("d.json › Row › P › A", false),
            ("d.json › Row › P › B", true),
            ("d.json › annotation deploys", false)
        ]
    );
    assert_eq!(d.variables[3].query, "label_values(up, job)");
    assert!(dashboard::parse(b"{}", "x").unwrap_err().contains("neither panels nor rows"));
    assert!(dashboard::parse(b"nonsense", "x").unwrap_err().contains("no JSON"));
}

#[tokio::test]
async fn variables_take_their_values_from_the_first_address() {
    let a = prometheus(&[("deploy", one("x", "1"))]).await;
    let mut o = options(a.clone(), a);
    o.dashboards = vec![dashboard::parse(DASHBOARD.as_bytes(), "d.json").unwrap()];
    let r = compared(&o).await.unwrap();
    let exprs: Vec<_> = r.queries.iter().map(|q| q.expr.as_str()).collect();
    assert_eq!(exprs, [r#"rate(x{job=~"(db|node)", one="db"}[60s])"#, "deploy"]);
    assert_eq!(r.skipped[0].why, "$none has no value");
    assert!(r.notes.iter().any(|n| n.contains("$none has no value")), "{:?}", r.notes);
    o.variables = vec![("none".to_owned(), "n".to_owned()), ("job".to_owned(), "j".to_owned())];
    let r = compared(&o).await.unwrap();
    assert!(r.skipped.is_empty() && r.queries[0].expr.contains(r#"job=~"j""#), "{:?}", r.queries[0]);
}

#[test]
fn a_range_ends_on_its_step_and_has_no_more_steps_than_servers_take() {
    let r = Range::new(1_000_007, Duration::from_secs(3600), Some(Duration::from_secs(60))).unwrap();
    assert_eq!((r.start_ms, r.end_ms, r.step_ms), (960_000 - 3_600_000, 960_000, 60_000));
    assert_eq!(Range::new(0, Duration::from_secs(7 * 86_400), None).unwrap().step_ms, 2_415_000);
    assert!(Range::new(0, Duration::from_secs(86_400), Some(Duration::from_secs(1))).is_err());
}

proptest::proptest! {
    #[test]
    fn random_text_is_never_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), text in ".{0,80}") {
        let _ = dashboard::parse(&bytes, "x");
        let wrapped = json!({"panels": [{"targets": [{"expr": text.clone()}]}], "templating": {"list": [{"query": text}]}});
        proptest::prop_assert!(dashboard::parse(wrapped.to_string().as_bytes(), "x").is_ok());
    }
}
