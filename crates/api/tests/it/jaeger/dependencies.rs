//! Links between services, from the service graph's metrics or from spans.

use serde_json::json;

use super::{decode, get, store};
use crate::node;

const SPANS: &str = r#"{"resourceSpans": [
  {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]}, "scopeSpans": [{"spans": [
    {"traceId": "000000000000000000000000000000ab", "spanId": "0000000000000001", "name": "a", "kind": 3,
     "startTimeUnixNano": "1699999990000000000", "endTimeUnixNano": "1699999990100000000"}]}]},
  {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "api"}}]}, "scopeSpans": [{"spans": [
    {"traceId": "000000000000000000000000000000ab", "spanId": "0000000000000002", "parentSpanId": "0000000000000001",
     "name": "b", "kind": 2, "startTimeUnixNano": "1699999990010000000", "endTimeUnixNano": "1699999990020000000"}]}]}]}"#;

#[tokio::test]
async fn without_a_service_graph_links_are_computed_from_spans_and_that_is_said() {
    let router = node::router();
    store(&router, &decode(SPANS.as_bytes())).await;
    let answer = get(&router, "/jaeger/api/dependencies?endTs=1700000000000&lookback=3600000").await;
    let body = answer.json();
    assert_eq!(body["data"], json!([{"parent": "web", "child": "api", "callCount": 1}]));
    assert!(body["warnings"][0].as_str().unwrap().starts_with("computed from 2 spans"), "{body}");
    assert_eq!(body["coverage"].as_array().map(Vec::len), Some(2));
    let other = get(&router, "/jaeger/api/dependencies?service=db").await.json();
    assert_eq!(other["data"], json!([]));
    // Before there was anything.
    let before = get(&router, "/api/dependencies?endTs=1600000000000&lookback=1000").await.json();
    assert_eq!((before["data"].clone(), before["warnings"].is_null()), (json!([]), true));
    for wrong in ["endTs=now", "lookback=1h", "lookback=0"] {
        assert_eq!(get(&router, &format!("/api/dependencies?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn the_service_graph_is_what_is_asked_where_it_has_calls() {
    let router = node::router();
    store(&router, &decode(SPANS.as_bytes())).await;
    let mut series = Vec::new();
    for (client, server, kind, calls) in [
        ("web", "api", "", 60.0),
        ("web", "api", "messaging_system", 30.0),
        ("api", "db", "database", 120.0),
        ("api", "idle", "", 0.0),
    ] {
        let labels = [("client", client), ("server", server), ("connection_type", kind)];
        series.push(("traces_service_graph_request_total", labels.to_vec(), calls));
    }
    super::monitor::write_counters(&router, &series).await;
    // Counters that rise over the whole hour that is asked for.
    let answer = get(&router, "/jaeger/api/dependencies?endTs=1700000000000&lookback=3600000").await;
    let body = answer.json();
    assert_eq!(
        body["data"],
        json!([{"parent": "api", "child": "db", "callCount": 120}, {"parent": "web", "child": "api", "callCount": 90}])
    );
    assert!(body["warnings"].is_null());
}

#[tokio::test]
async fn calls_whose_halves_are_on_two_nodes_are_found_among_spans() {
    let router = node::router();
    store(&router, &decode(SPANS.as_bytes())).await;
    let unpaired = "traces_service_graph_unpaired_spans_total";
    let calls = vec![("client", "api"), ("server", "db"), ("connection_type", "database")];
    let series = [
        ("traces_service_graph_request_total", calls, 120.0),
        (unpaired, vec![("client", "web")], 1.0),
        (unpaired, vec![("server", "api")], 1.0),
    ];
    super::monitor::write_counters(&router, &series).await;
    let body = get(&router, "/jaeger/api/dependencies?endTs=1700000000000&lookback=3600000").await.json();
    assert_eq!(
        body["data"],
        json!([{"parent": "api", "child": "db", "callCount": 120}, {"parent": "web", "child": "api", "callCount": 1}])
    );
    let path = "/api/v1/orrery/service_graph?start=1699996400&end=1700000000";
    let body = get(&router, path).await.json();
    let edge = json!({"labels": {"client": "web", "server": "api"}, "requests": 1, "failed": 0, "p95": 0.01});
    assert_eq!(body["data"], json!({"oneIn": 1, "spans": 2, "edges": [edge]}));
    assert_eq!(body["coverage"].as_array().map(Vec::len), Some(2), "{body}");
    let before = get(&router, "/api/v1/orrery/service_graph?start=1&end=2").await.json();
    assert_eq!(before["data"], json!({"oneIn": 1, "spans": 0, "edges": []}));
    for (wrong, field) in
        [("start=1", "end"), ("end=1", "start"), ("start=2&end=1", "end"), ("start=x&end=1", "start")]
    {
        let refused = get(&router, &format!("/api/v1/orrery/service_graph?{wrong}")).await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(refused.json()["error"].as_str().unwrap().contains(field), "{wrong}: {}", refused.text());
    }
}
