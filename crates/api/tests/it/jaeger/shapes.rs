//! The exact shape of version 1's answers.

use axum::Router;
use serde_json::{Value, json};

use super::{decode, encode, get, store};
use crate::node;

const TRACE: &str = r#"{"resourceSpans": [{"resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "shop"}},
    {"key": "host.name", "value": {"stringValue": "h1"}}]},
  "scopeSpans": [{"scope": {"name": "lib", "version": "2"}, "spans": [
    {"traceId": "0000000000000000000000000000abcd", "spanId": "0000000000000001", "name": "GET /", "kind": 2,
     "startTimeUnixNano": "1699999990000001000", "endTimeUnixNano": "1699999990002001000", "traceState": "a=b",
     "attributes": [{"key": "http.status_code", "value": {"intValue": "500"}}],
     "events": [{"timeUnixNano": "1699999990001001000", "name": "boom",
       "attributes": [{"key": "fatal", "value": {"boolValue": true}}]}],
     "status": {"code": 2, "message": "no"}},
    {"traceId": "0000000000000000000000000000abcd", "spanId": "0000000000000002", "parentSpanId": "0000000000000001",
     "name": "query", "kind": 3, "startTimeUnixNano": "1699999990001000000", "endTimeUnixNano": "1699999990001500000",
     "links": [{"traceId": "11111111111111110000000000000000", "spanId": "000000000000000f"}]}]}]}]}"#;

async fn shop() -> Router {
    let router = node::router();
    let mut batch = decode(TRACE.as_bytes());
    store(&router, &batch).await;
    // The same spans in another order, as from a second replica.
    batch.spans.reverse();
    store(&router, &batch).await;
    router
}

#[tokio::test]
async fn a_trace_has_the_shape_the_ui_reads() {
    let router = shop().await;
    for root in ["/jaeger/api", "/api"] {
        let answer = get(&router, &format!("{root}/traces/abcd")).await;
        let mut body = answer.json();
        assert_eq!(body["coverage"][0]["signal"], "traces");
        body.as_object_mut().unwrap().remove("coverage");
        assert_eq!(
            body,
            json!({"data": [{"traceID": "000000000000abcd", "spans": [
                {"traceID": "000000000000abcd", "spanID": "0000000000000001", "operationName": "GET /",
                 "references": [], "startTime": 1_699_999_990_000_001i64, "duration": 2000,
                 "tags": [
                    {"key": "http.status_code", "type": "int64", "value": 500},
                    {"key": "otel.scope.name", "type": "string", "value": "lib"},
                    {"key": "otel.scope.version", "type": "string", "value": "2"},
                    {"key": "span.kind", "type": "string", "value": "server"},
                    {"key": "otel.status_code", "type": "string", "value": "ERROR"},
                    {"key": "error", "type": "bool", "value": true},
                    {"key": "otel.status_description", "type": "string", "value": "no"},
                    {"key": "w3c.tracestate", "type": "string", "value": "a=b"}],
                 "logs": [{"timestamp": 1_699_999_990_001_001i64, "fields": [
                    {"key": "event", "type": "string", "value": "boom"},
                    {"key": "fatal", "type": "bool", "value": true}]}],
                 "processID": "p1", "warnings": null},
                {"traceID": "000000000000abcd", "spanID": "0000000000000002", "operationName": "query",
                 "references": [
                    {"refType": "CHILD_OF", "traceID": "000000000000abcd", "spanID": "0000000000000001"},
                    {"refType": "FOLLOWS_FROM", "traceID": "11111111111111110000000000000000",
                     "spanID": "000000000000000f"}],
                 "startTime": 1_699_999_990_001_000i64, "duration": 500,
                 "tags": [
                    {"key": "otel.scope.name", "type": "string", "value": "lib"},
                    {"key": "otel.scope.version", "type": "string", "value": "2"},
                    {"key": "span.kind", "type": "string", "value": "client"}],
                 "logs": [], "processID": "p1", "warnings": null}],
              "processes": {"p1": {"serviceName": "shop", "tags": [
                {"key": "host.name", "type": "string", "value": "h1"}]}},
              "warnings": null}],
              "total": 0, "limit": 0, "offset": 0, "errors": null})
        );
    }
}

#[tokio::test]
async fn services_and_operations_are_listed_with_their_number() {
    let router = shop().await;
    let body = |a: node::Answer| {
        let mut b = a.json();
        b.as_object_mut().unwrap().remove("coverage");
        b
    };
    let list = |data: Value, total: usize| json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": null});
    assert_eq!(body(get(&router, "/jaeger/api/services").await), list(json!(["shop"]), 1));
    let of = get(&router, "/jaeger/api/services/shop/operations").await;
    assert_eq!(body(of), list(json!(["GET /", "query"]), 2));
    let kinds = get(&router, "/api/operations?service=shop").await;
    let both = json!([{"name": "GET /", "spanKind": "server"}, {"name": "query", "spanKind": "client"}]);
    assert_eq!(body(kinds), list(both, 2));
    let servers = get(&router, "/jaeger/api/operations?service=shop&spanKind=server").await;
    assert_eq!(body(servers), list(json!([{"name": "GET /", "spanKind": "server"}]), 1));
}

#[tokio::test]
async fn tags_that_the_translation_makes_can_be_searched_for() {
    let router = shop().await;
    for (tags, found) in [
        ("error=true", 1),
        ("span.kind=server http.status_code=500", 1),
        ("span.kind=client http.status_code=500", 0),
        ("otel.scope.name=lib", 1),
        ("otel.scope.name=other", 0),
        ("otel.status_code=ERROR otel.status_description=no", 1),
        ("w3c.tracestate=\"a=b\"", 1),
        ("host.name=h1 fatal=true", 1),
        ("error=false span.kind=server", 0),
    ] {
        let path = format!("/jaeger/api/traces?service=shop&tags={}", encode(tags));
        let answer = get(&router, &path).await;
        assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(found), "{tags}: {}", answer.text());
        if found == 1 {
            assert_eq!(answer.json()["data"][0]["spans"].as_array().map(Vec::len), Some(2), "{tags}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_readable_is_said_in_jaegers_shape() {
    let router = shop().await;
    let gone = get(&router, "/jaeger/api/traces/12345").await;
    assert_eq!(gone.status, 404);
    assert_eq!(
        gone.json(),
        json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": 404, "msg": "trace not found"}]})
    );
    assert_eq!(get(&router, "/jaeger/api/traces/xyz").await.status, 400);
    assert_eq!(get(&router, "/jaeger/api/traces").await.status, 400);
    assert_eq!(get(&router, "/jaeger/api/operations").await.status, 400);
    let some = get(&router, "/jaeger/api/traces?traceID=abcd&traceID=ffff").await.json();
    assert_eq!(some["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        some["errors"],
        json!([{"code": 404, "msg": "trace not found", "traceID": "000000000000ffff"}])
    );
}
