//! Real readers: promtool, and the calls Grafana makes to see whether a data source works.

use std::process::Command;

use crate::{
    lifecycle::now_ns,
    node::{Home, encode},
    peers,
};

#[tokio::test(flavor = "multi_thread")]
async fn promtool_queries_instant_range_series_and_labels() {
    let Some(promtool) = peers::program("promtool") else { return };
    let home = Home::new("");
    let node = home.start();
    let body = otlp_gauge(7.5);
    assert_eq!(node.post("/v1/metrics", "application/json", body).await.status, 200);
    let ask = |args: &[&str]| {
        let out = Command::new(&promtool).args(["query"]).args(args).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let instant = ask(&["instant", &node.http, "room_temperature"]);
    assert!(instant.contains("room_temperature") && instant.contains("=> 7.5 @"), "{instant}");
    let range = ask(&["range", "--step=15s", &node.http, "room_temperature * 2"]);
    assert!(range.contains("15 @"), "{range}");
    let series = ask(&["series", "--match=room_temperature", &node.http]);
    assert!(series.contains("room_temperature"), "{series}");
    let labels = ask(&["labels", &node.http, "__name__"]);
    assert!(labels.contains("room_temperature"), "{labels}");
}

#[tokio::test]
async fn grafana_finds_its_prometheus_and_loki_data_sources_healthy() {
    let home = Home::new("");
    let node = home.start();
    // The Prometheus data source evaluates a constant and asks what it talks to.
    assert_eq!(node.value("1+1").await, 2.0);
    assert_eq!(node.json("/api/v1/status/buildinfo").await["status"], "success");
    // The Loki data source evaluates a constant at a time far away and asks for labels.
    let query = encode("vector(1)+vector(1)");
    let v = node.json(&format!("/loki/api/v1/query?query={query}&time=4000000000000000000")).await;
    assert_eq!(v["data"]["result"][0]["value"][1], "2", "{v}");
    assert_eq!(node.json("/loki/api/v1/labels").await["status"], "success");
    // The Jaeger data source asks for services.
    assert!(node.json("/jaeger/api/services").await["data"].is_array());
}

#[tokio::test]
async fn every_answer_carries_coverage_in_body_and_header() {
    let home = Home::new("cluster: dev-01\n");
    let node = home.start();
    let (logs, start) = (encode("{a=\"b\"}"), now_ns() - 1_000_000_000);
    for path in [
        "/api/v1/query?query=up".to_owned(),
        "/api/v1/labels".to_owned(),
        format!("/loki/api/v1/query_range?query={logs}&start={start}"),
        "/jaeger/api/services".to_owned(),
        "/jaeger/api/traces?service=x".to_owned(),
    ] {
        let answer = node.get(&path).await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["coverage"][0]["cluster"], "dev-01", "{path}: {body}");
        assert_eq!(body["coverage"][0]["state"], "complete", "{path}");
        assert!(answer.header("x-orrery-coverage").starts_with("dev-01 "), "{path}");
    }
}

/// An OTLP/JSON export of one gauge.
fn otlp_gauge(value: f64) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"home"}}}}]}},
        "scopeMetrics":[{{"metrics":[{{"name":"room.temperature","gauge":{{"dataPoints":[{{"timeUnixNano":"{}","asDouble":{value}}}]}}}}]}}]}}]}}"#,
        now_ns()
    )
}
