//! Version 3: what it answers over HTTP and over gRPC, and its errors.

use axum::Router;
use proto::jaeger::api_v3::{self, query_service_client::QueryServiceClient};
use serde_json::json;
use tonic::{Code, codec::CompressionEncoding};

use super::{decode, encode, get, post, store};
use crate::node;

const TRACE: &str = r#"{"resourceSpans": [
  {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}},
    {"key": "host.name", "value": {"stringValue": "h1"}}]},
   "scopeSpans": [{"scope": {"name": "lib"}, "spans": [
    {"traceId": "000000000000000000000000000000ab", "spanId": "0000000000000001", "name": "GET /", "kind": 3,
     "startTimeUnixNano": "1699999990000000000", "endTimeUnixNano": "1699999990100000000",
     "status": {"code": 2, "message": "no"}}]}]},
  {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "api"}},
    {"key": "host.name", "value": {"stringValue": "h2"}}]},
   "scopeSpans": [{"scope": {}, "spans": [
    {"traceId": "000000000000000000000000000000ab", "spanId": "0000000000000002", "parentSpanId": "0000000000000001",
     "name": "serve", "kind": 2, "startTimeUnixNano": "1699999989990000000", "endTimeUnixNano": "1699999990010000000"},
    {"traceId": "000000000000000000000000000000ab", "spanId": "0000000000000003", "parentSpanId": "0000000000000009",
     "name": "lost", "startTimeUnixNano": "1699999990020000000", "endTimeUnixNano": "1699999990030000000"}]}]}]}"#;

const TIMES: &str = "query.startTimeMin=2023-11-14T22:00:00Z&query.startTimeMax=2023-11-14T23:00:00Z";

async fn router() -> Router {
    let router = node::router();
    store(&router, &decode(TRACE.as_bytes())).await;
    router
}

#[tokio::test]
async fn a_trace_is_otlp_inside_result_adjusted_unless_wanted_raw() {
    let router = router().await;
    for root in ["/jaeger/api/v3", "/api/v3"] {
        let answer = get(&router, &format!("{root}/traces/ab?rawTraces=true")).await;
        assert_eq!(answer.headers["x-orrery-coverage"], "local traces complete");
        let stored = decode(answer.json()["result"].to_string().as_bytes());
        assert_eq!(stored.spans.len(), 3);
        assert!(stored.spans.iter().all(|s| s.attributes.is_empty()));
        let answer = get(&router, &format!("{root}/traces/ab")).await;
        let adjusted = decode(answer.json()["result"].to_string().as_bytes());
        let serve = adjusted.spans.iter().find(|s| s.name == "serve").unwrap();
        // Of 80 ms that the client waited longer, half are the way there.
        assert_eq!(serve.start_ns, 1_699_999_990_040_000_000);
        let warnings = serve.attributes.get("@jaeger@warnings").unwrap().to_string();
        assert_eq!(warnings, r#"["This span's timestamps were adjusted by 50ms"]"#);
        let lost = adjusted.spans.iter().find(|s| s.name == "lost").unwrap();
        assert!(lost.attributes.get("@jaeger@warnings").unwrap().to_string().contains("is not in the trace"));
    }
    // Version 1 has a place for them.
    let v1 = get(&router, "/jaeger/api/traces/ab").await.json();
    let spans = v1["data"][0]["spans"].as_array().unwrap();
    let serve = spans.iter().find(|s| s["operationName"] == "serve").unwrap();
    assert_eq!(serve["warnings"], json!(["This span's timestamps were adjusted by 50ms"]));
    assert!(!serve["tags"].to_string().contains("@jaeger"));
    let raw = get(&router, "/jaeger/api/traces/ab?raw=true&prettyPrint=true").await;
    assert!(raw.text().contains("\n  \"data\": ["), "{}", raw.text());
    assert!(raw.json()["data"][0]["spans"].as_array().unwrap().iter().all(|s| s["warnings"].is_null()));
}

#[tokio::test]
async fn names_summaries_and_links_are_told_in_protobufs_json() {
    let router = router().await;
    assert_eq!(get(&router, "/api/v3/services").await.json(), json!({"services": ["api", "web"]}));
    assert_eq!(
        get(&router, "/jaeger/api/v3/operations?service=api").await.json(),
        json!({"operations": [{"name": "lost", "spanKind": "internal"}, {"name": "serve", "spanKind": "server"}]})
    );
    assert_eq!(
        get(&router, "/api/v3/operations?service=api&span_kind=server").await.json(),
        json!({"operations": [{"name": "serve", "spanKind": "server"}]})
    );
    let want = json!({"summaries": [{
        "traceId": "000000000000000000000000000000ab", "rootServiceName": "web", "rootOperationName": "GET /",
        "minStartTimeUnixNano": "1699999990000000000", "maxEndTimeUnixNano": "1699999990100000000",
        "spanCount": 3, "errorSpanCount": 1, "orphanSpanCount": 1,
        "services": [{"name": "api", "spanCount": 2}, {"name": "web", "spanCount": 1, "errorSpanCount": 1}]}]});
    let path = format!("/api/v3/trace-summaries?query.serviceName=web&{TIMES}");
    assert_eq!(get(&router, &path).await.json(), want);
    let body = r#"{"query":{"serviceName":"web","startTimeMin":"2023-11-14T22:00:00Z","startTimeMax":"2023-11-14T23:00:00Z"}}"#;
    assert_eq!(post(&router, "/jaeger/api/v3/trace-summaries", body).await.json(), want);
    let found = post(&router, "/api/v3/traces", body).await.json();
    assert_eq!(decode(found["result"].to_string().as_bytes()).spans.len(), 3);
    let path = "/api/v3/dependencies?startTime=2023-11-14T22:00:00Z&end_time=2023-11-14T23:00:00Z";
    let links = get(&router, path).await;
    assert_eq!(links.json(), json!({"dependencies": [{"parent": "web", "child": "api", "callCount": "1"}]}));
    assert!(links.headers["x-orrery-source"].to_str().unwrap().starts_with("computed from 3 spans"));
}

#[tokio::test]
async fn a_filter_says_what_attributes_cannot() {
    let router = router().await;
    let asked = async |filter: &str| {
        let path = format!("/api/v3/traces?{TIMES}&query.filter={}", encode(filter));
        get(&router, &path).await
    };
    let slow = r#"{"op":"and","args":[
      {"call":{"op":"gt","args":[{"field":{"level":"span","name":"duration"}},{"scalar":{"value":"50ms"}}]}},
      {"call":{"op":"ne","args":[{"attr":{"key":"host.name"}},{"scalar":{"value":"h2"}}]}}]}"#;
    assert_eq!(asked(slow).await.status, 200);
    assert_eq!(asked(&slow.replace("50ms", "500ms")).await.status, 404);
    let wrong = asked(&slow.replace("\"gt\"", "\"above\"")).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("unknown operator"), "{}", wrong.text());
}

#[tokio::test]
async fn what_is_not_there_or_not_readable_is_said_in_the_shape_of_grpc_gateway() {
    let router = router().await;
    assert_eq!(
        get(&router, "/api/v3/traces/12").await.json(),
        json!({"error": {"grpcCode": 5, "httpCode": 404, "message": "trace not found", "httpStatus": "Not Found"}})
    );
    for path in [
        "/api/v3/traces/xyz",
        "/api/v3/traces",
        "/api/v3/traces?query.startTimeMin=2023-11-14T22:00:00Z",
        "/api/v3/operations",
        "/api/v3/dependencies",
        "/api/v3/traces/ab?startTime=noon",
    ] {
        let answer = get(&router, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["error"]["grpcCode"].as_i64()),
            (400, Some(3)),
            "{path}"
        );
    }
    assert_eq!(post(&router, "/api/v3/traces", "{}").await.status, 400);
    let none = get(&router, &format!("/api/v3/traces?query.serviceName=nobody&{TIMES}")).await;
    assert_eq!(
        (none.status.as_u16(), none.json()["error"]["message"].as_str()),
        (404, Some("No traces found"))
    );
}

#[tokio::test]
async fn the_service_over_grpc_answers_as_http_does_packed_or_not() {
    let router = router().await;
    let mut plain = QueryServiceClient::new(router.clone());
    let mut packed = QueryServiceClient::new(router)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip);
    for client in [&mut plain, &mut packed] {
        let request = api_v3::GetTraceRequest { trace_id: "ab".to_owned(), ..Default::default() };
        let (messages, covered) =
            super::storage::all(client.get_trace(request).await.unwrap().into_inner()).await;
        assert_eq!(messages.iter().map(|m| m.resource_spans.len()).sum::<usize>(), 2);
        assert_eq!(covered, "local traces complete");
        let services = client.get_services(api_v3::GetServicesRequest {}).await.unwrap();
        assert_eq!(services.into_inner().services, ["api", "web"]);
        let request = api_v3::GetOperationsRequest { service: "api".to_owned(), span_kind: String::new() };
        let operations = client.get_operations(request).await.unwrap().into_inner().operations;
        let named: Vec<_> = operations.iter().map(|o| (o.name.as_str(), o.span_kind.as_str())).collect();
        assert_eq!(named, [("lost", ""), ("serve", "server")]);
    }
    let gone = api_v3::GetTraceRequest { trace_id: "12".to_owned(), ..Default::default() };
    let mut stream = plain.get_trace(gone).await.unwrap().into_inner();
    let status = stream.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "trace not found"));
    let at = |seconds| Some(proto::jaeger::Timestamp { seconds, nanos: 0 });
    let request =
        api_v3::GetDependenciesRequest { start_time: at(1_699_999_000), end_time: at(1_700_000_000) };
    let links = plain.get_dependencies(request).await.unwrap();
    assert!(links.metadata().get("x-orrery-source").unwrap().to_str().unwrap().contains("3 spans"));
    assert_eq!(links.into_inner().dependencies.len(), 1);
    for (start_time, end_time) in [(None, at(5)), (at(5), None), (at(5), at(4))] {
        let refused = plain.get_dependencies(api_v3::GetDependenciesRequest { start_time, end_time }).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
    let refused = plain.find_traces(api_v3::FindTracesRequest { query: None }).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}
