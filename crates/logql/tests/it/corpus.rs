//! Expressions nobody on the project wrote, where the data is at hand.

use std::{fs, path::PathBuf, sync::Arc};

use contract::{Append, AppendUnit, Direction, QueryLimits, Tenants, fake::Fake};
use logql::{Engine, EngineOptions, QueryContext, Value, parse};
use model::{Batch, Labels, LogBatch, LogRecord, LogStream, TenantId};

use crate::shape;

fn data(path: &str) -> Option<String> {
    let file: PathBuf = [env!("ORRERY_CHECKOUT"), "../shared/data", path].iter().collect();
    match fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(_) => {
            println!("{path} is not there, skipped");
            None
        }
    }
}

#[test]
fn every_expression_of_the_editors_grammar_parses_to_the_same_tree_or_fails_where_that_has_an_error() {
    let Some(text) = data("lezer-logql/expression.txt") else { return };
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for case in text.split("\n# ").skip(usize::from(!text.starts_with("# "))) {
        let Some((head, tree)) = case.split_once("==>") else { continue };
        let expression = head.split_once('\n').map_or("", |(_, e)| e).trim();
        if expression.is_empty() {
            continue;
        }
        let broken = tree.contains('⚠');
        match (parse(expression), broken) {
            (Ok(e), false) => {
                good += 1;
                assert_eq!(parse(&e.to_string()).as_ref(), Ok(&e), "{e}");
                let (ours, theirs) = (shape::of(&e), shape::read(tree));
                if ours != theirs {
                    wrong.push(format!("{expression}\n  ours   {ours:?}\n  theirs {theirs:?}"));
                }
            }
            (Err(_), true) => bad += 1,
            (Ok(_), true) => wrong.push(format!("parses but should not: {expression}")),
            (Err(e), false) => wrong.push(format!("{e}: {expression}")),
        }
    }
    println!("lezer-logql: {good} parse, {bad} are refused as they should, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn queries_checked_against_a_real_loki_are_accepted_or_refused_alike() {
    let Some(text) = data("loki-vl-proxy/query-semantics-matrix.json") else { return };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut same, mut wrong) = (0, Vec::new());
    for case in all["cases"].as_array().unwrap() {
        let (query, endpoint) = (case["query"].as_str().unwrap(), case["endpoint"].as_str().unwrap());
        let wants_error = case["expectation"] == "client_error";
        let got = parse(query).and_then(|e| logql::check::check(&e).map(|()| e));
        // A log query is refused at the instant endpoint, by the engine.
        let refused = match &got {
            Err(_) => true,
            Ok(logql::Expr::Log(_)) => endpoint == "query",
            Ok(_) => false,
        };
        if refused == wants_error {
            same += 1;
        } else {
            wrong.push(format!("{query}: {got:?}"));
        }
    }
    println!("loki-vl-proxy: {same} as in Loki, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Streams as the matrix's own test data has them: three programs at several levels, and one in another cluster.
async fn matrix_data() -> Fake {
    let fake = Fake::new();
    let streams = [
        ("api-gateway", "info"),
        ("api-gateway", "error"),
        ("api-gateway", "debug"),
        ("payment-service", "info"),
        ("nginx-ingress", "info"),
    ];
    let mut batch = LogBatch::default();
    for (n, (app, level)) in streams.into_iter().enumerate() {
        let pod = format!("{app}-{n}");
        let labels = [
            ("app", app),
            ("level", level),
            ("namespace", "prod"),
            ("env", "production"),
            ("cluster", "us-east-1"),
            ("pod", &pod),
        ];
        batch.streams.push(LogStream { labels: Labels::from_pairs(labels), ..LogStream::default() });
        for k in 0..10i64 {
            let (method, status) =
                (if k % 2 == 0 { "GET" } else { "POST" }, if level == "error" { 502 } else { 200 });
            let body = format!(
                "{{\"method\":\"{method}\",\"path\":\"/api/v1/{k}\",\"status\":{status},\"duration_ms\":{}}}",
                50 + 20 * k
            );
            let timestamp_ns = (1000 + 6 * k) * 1_000_000_000;
            batch.records.push(LogRecord {
                stream: n as u32,
                timestamp_ns,
                body: body.into(),
                ..LogRecord::default()
            });
        }
    }
    let unit = AppendUnit { batch_id: None, received_ns: 0, batches: vec![Batch::Logs(batch)] };
    fake.append(&TenantId::default(), unit).await.unwrap();
    fake
}

#[test]
fn queries_checked_against_a_real_loki_have_answers_of_the_same_kind() {
    let Some(text) = data("loki-vl-proxy/query-semantics-matrix.json") else { return };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut same, mut wrong) = (0, Vec::new());
    runtime.block_on(async {
        let engine = Engine::new(Arc::new(matrix_data().await), EngineOptions::default());
        let tenants = Tenants::one(TenantId::default());
        let ctx = QueryContext { tenants, limits: QueryLimits::default() };
        for case in all["cases"].as_array().unwrap() {
            let (query, newest) = (case["query"].as_str().unwrap(), Direction::NewestFirst);
            const S: i64 = 1_000_000_000;
            let got = match case["endpoint"].as_str().unwrap() {
                "query" => engine.instant(query, 1100 * S, 100, newest, &ctx).await,
                _ => engine.range(query, 900 * S, 1200 * S, 60 * S, 100, newest, &ctx).await,
            };
            let shown = match &got {
                Err(e) if e.kind() == base::Kind::Invalid => ("client_error", 0),
                Err(_) => ("server_error", 0),
                Ok(a) => match &a.value {
                    Value::Streams(s) => ("streams", s.len()),
                    Value::Vector(v) => ("vector", v.len()),
                    Value::Matrix(m) => ("matrix", m.len()),
                    Value::Scalar(..) => ("scalar", 1),
                },
            };
            let wanted = case["expect_result_type"].as_str().unwrap_or("client_error");
            let filled = shown.1 > 0 || case["require_non_empty"] != true;
            if shown.0 == wanted && filled {
                same += 1;
            } else {
                wrong.push(format!("{query}: {shown:?} instead of {wanted}"));
            }
        }
    });
    println!("loki-vl-proxy: {same} answered as in Loki, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
