//! What comes in by Jaeger's API: files of its UI, OTLP to be shown, archiving.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::{get, post};
use crate::node;

const SAVED: &str = r#"{"data":[{"traceID":"ab","spans":[
  {"traceID":"ab","spanID":"1","operationName":"GET /","references":[],"startTime":1699999990000000,"duration":250,
   "tags":[{"key":"span.kind","type":"string","value":"server"},{"key":"error","type":"bool","value":true}],
   "logs":[{"timestamp":1699999990000100,"fields":[{"key":"event","type":"string","value":"retry"}]}],"processID":"p1","warnings":["odd"]},
  {"traceID":"not an id","spanID":"2","startTime":1,"duration":1}],
  "processes":{"p1":{"serviceName":"web","tags":[{"key":"host","type":"string","value":"h1"}]}}}],"total":0,"errors":null}"#;

#[tokio::test]
async fn a_saved_trace_is_stored_and_what_is_refused_is_said() {
    let router = node::router();
    let answer = post(&router, "/jaeger/api/traces", SAVED).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["total"], 1);
    assert!(body["errors"][0]["msg"].as_str().unwrap().contains("not an id"), "{body}");
    let trace = get(&router, "/jaeger/api/traces/ab").await.json();
    let span = &trace["data"][0]["spans"][0];
    assert_eq!(span["warnings"], json!(["odd"]));
    assert_eq!(span["duration"], 250);
    assert_eq!(span["logs"][0]["fields"][0]["value"], "retry");
    assert_eq!(trace["data"][0]["processes"]["p1"]["tags"][0]["key"], "host");
    let found =
        get(&router, "/jaeger/api/traces?service=web&tags=event%3Dretry%20error%3Dtrue%20host%3Dh1").await;
    assert_eq!(found.json()["data"].as_array().map(Vec::len), Some(1), "{}", found.text());
    let wrong = post(&router, "/jaeger/api/traces", "{}").await;
    assert_eq!(wrong.status, 400);
    let request =
        Request::post("/jaeger/api/traces").header("content-type", "text/plain").body(Body::empty());
    assert_eq!(node::ask(&router, request.unwrap()).await.status, 415);
}

#[tokio::test]
async fn otlp_is_shown_as_jaegers_json_and_not_stored() {
    let router = node::router();
    let otlp = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},
      "scopeSpans":[{"spans":[
        {"traceId":"000000000000000000000000000000cd","spanId":"0000000000000001","name":"a","startTimeUnixNano":"1000","endTimeUnixNano":"3000"},
        {"traceId":"","spanId":"0000000000000002","name":"b"}]}]}]}"#;
    let shown = post(&router, "/jaeger/api/transform", otlp).await;
    assert_eq!(shown.status, 200);
    let body = shown.json();
    assert_eq!(body["data"][0]["spans"][0]["duration"], 2);
    assert_eq!(body["data"][0]["processes"]["p1"]["serviceName"], "web");
    assert!(body["errors"][0]["msg"].as_str().unwrap().starts_with("1 spans are left out"), "{body}");
    assert_eq!(get(&router, "/jaeger/api/services").await.json()["data"], json!([]));
    let wrong = post(&router, "/api/transform", "[").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["errors"][0]["msg"].as_str().unwrap().contains("cannot unmarshal OTLP"));
}

#[tokio::test]
async fn there_is_no_archive_and_nobody_is_told_otherwise() {
    let router = node::router();
    let answer = post(&router, "/jaeger/api/archive/ab", Body::empty()).await;
    assert_eq!((answer.status.as_u16(), answer.json()["data"].clone()), (501, Value::Null));
    assert!(answer.json()["errors"][0]["msg"].as_str().unwrap().contains("retention.traces"));
    assert_eq!(post(&router, "/jaeger/api/archive/xyz", Body::empty()).await.status, 400);
}
