//! Tempo's API as its clients use it: Grafana's data source, its tools, curl.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use api::Listeners;
use async_trait::async_trait;
use axum::{Router, body::Body};
use base::{MemoryBudget, Shutdown};
use contract::{Coverage, CoverageState, Select, Selection, SourceCoverage, SpansRequest};
use futures::StreamExt;
use http::Request;
use model::{Signal, SpanBatch};
use prost::Message;
use proto::{
    otlp::collector::trace::ExportTraceServiceRequest,
    tempo::{self as pb, streaming_querier_client::StreamingQuerierClient},
};
use serde_json::{Value, json};
use tonic::{Code, transport::Channel};

use crate::node::{self, Answer};

/// Two traces: an order that fails in another service, and a job whose root has not arrived.
const SPANS: &str = r#"{"resourceSpans": [
 {"resource": {"attributes": [
    {"key": "service.name", "value": {"stringValue": "shop"}}, {"key": "host.name", "value": {"stringValue": "h1"}}]},
  "scopeSpans": [{"scope": {"name": "lib", "version": "2", "attributes": [{"key": "lang", "value": {"stringValue": "rust"}}]},
   "spans": [
    {"traceId": "0000000000000000000000000000abcd", "spanId": "0000000000000001", "name": "GET /", "kind": 2,
     "startTimeUnixNano": "1699999990000001000", "endTimeUnixNano": "1699999990602001000", "traceState": "a=b",
     "attributes": [{"key": "http.status_code", "value": {"intValue": "500"}}, {"key": "ok", "value": {"boolValue": false}}],
     "events": [{"timeUnixNano": "1699999990001001000", "name": "boom",
       "attributes": [{"key": "fatal", "value": {"boolValue": true}}]}],
     "status": {"code": 2, "message": "no"}}]}]},
 {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
  "scopeSpans": [{"scope": {"name": "lib"}, "spans": [
    {"traceId": "0000000000000000000000000000abcd", "spanId": "0000000000000002", "parentSpanId": "0000000000000001",
     "name": "query", "kind": 3, "startTimeUnixNano": "1699999990001000000", "endTimeUnixNano": "1699999990001500000",
     "attributes": [{"key": "http.status_code", "value": {"intValue": "200"}}, {"key": "ratio", "value": {"doubleValue": 0.5}}],
     "links": [{"traceId": "11111111111111110000000000000000", "spanId": "000000000000000f",
       "attributes": [{"key": "why", "value": {"stringValue": "retry"}}]}]},
    {"traceId": "00000000000000000000000000001234", "spanId": "0000000000000003", "parentSpanId": "00000000000000ff",
     "name": "job", "startTimeUnixNano": "1699999995000000000", "endTimeUnixNano": "1699999995001000000"}]}]}]}"#;

async fn store(router: &Router, tenant: &str) {
    let request = Request::post("/v1/traces").header("content-type", "application/json");
    let request = request.header("x-scope-orgid", tenant).body(Body::from(SPANS)).unwrap();
    let answer = node::ask(router, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn filled() -> Router {
    let router = node::router();
    store(&router, "default").await;
    router
}

async fn get_as(router: &Router, path: &str, accept: &str) -> Answer {
    let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
    node::ask(router, request).await
}

fn without_coverage(answer: &Answer) -> Value {
    let mut body = answer.json();
    let coverage = body.as_object_mut().and_then(|b| b.remove("coverage"));
    assert_eq!(coverage.expect("coverage")[0]["signal"], "traces", "{}", answer.text());
    body
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// What a trace in protobuf holds: ids of its spans.
fn span_ids(trace: &[u8]) -> Vec<String> {
    let trace = ExportTraceServiceRequest::decode(trace).unwrap();
    let scopes = trace.resource_spans.iter().flat_map(|r| &r.scope_spans);
    scopes.flat_map(|s| &s.spans).map(|s| format!("{:x}", s.span_id[7])).collect()
}

#[tokio::test]
async fn a_trace_comes_as_protobuf_to_those_who_ask_for_it() {
    let router = filled().await;
    for path in
        ["/api/traces/abcd", "/tempo/api/traces/abcd", "/tempo/api/traces/0000000000000000000000000000ABCD"]
    {
        let answer = get_as(&router, path, "application/protobuf").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["content-type"]),
            (200, &"application/protobuf".parse().unwrap())
        );
        assert_eq!(answer.headers["x-orrery-coverage"], "local traces complete");
        let mut ids = span_ids(&answer.body);
        ids.sort();
        assert_eq!(ids, ["1", "2"], "{path}");
    }
    let answer = get_as(&router, "/api/v2/traces/abcd", "application/protobuf").await;
    let whole = wire::otlp::traces::by_id(&answer.body).unwrap();
    assert_eq!((span_ids(&whole.trace).len(), whole.partial, whole.message.as_str()), (2, false, ""));
    let metrics = pb::TraceByIdResponse::decode(&answer.body[..]).unwrap().metrics.unwrap();
    assert!(metrics.inspected_bytes > 0);
}

#[tokio::test]
async fn a_trace_in_json_is_as_tempo_writes_it() {
    let router = filled().await;
    let spans = json!([{"traceId": "AAAAAAAAAAAAAAAAAACrzQ==", "spanId": "AAAAAAAAAAE=", "traceState": "a=b", "name": "GET /",
        "kind": "SPAN_KIND_SERVER", "startTimeUnixNano": "1699999990000001000", "endTimeUnixNano": "1699999990602001000",
        "attributes": [{"key": "http.status_code", "value": {"intValue": "500"}}, {"key": "ok", "value": {"boolValue": false}}],
        "events": [{"timeUnixNano": "1699999990001001000", "name": "boom", "attributes": [{"key": "fatal", "value": {"boolValue": true}}]}],
        "status": {"message": "no", "code": "STATUS_CODE_ERROR"}}]);
    let shop = |batches: &Value| {
        let all = batches.as_array().unwrap().clone();
        let of = |b: &Value| b["resource"]["attributes"][0]["value"]["stringValue"] == "shop";
        all.into_iter().find(of).unwrap()
    };
    let first = get_as(&router, "/tempo/api/traces/abcd", "*/*").await;
    let batch = shop(&without_coverage(&first)["batches"]);
    assert_eq!(batch["scopeSpans"][0]["spans"], spans);
    assert_eq!(
        batch["scopeSpans"][0]["scope"],
        json!({"name": "lib", "version": "2", "attributes": [{"key": "lang", "value": {"stringValue": "rust"}}]})
    );
    let second = get_as(&router, "/api/v2/traces/abcd", "*/*").await;
    let body = without_coverage(&second);
    assert_eq!(shop(&body["trace"]["resourceSpans"])["scopeSpans"][0]["spans"], spans);
    assert!(body["metrics"]["inspectedBytes"].is_string() && body.get("status").is_none(), "{body}");
    // What reads into Tempo's messages fails on fields that these have not.
    let strict = get_as(&router, "/api/traces/abcd", "application/json").await;
    assert_eq!(strict.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["batches"]);
    assert_eq!(strict.headers["x-orrery-coverage"], "local traces complete");
    // Everybody else at this path is one of Jaeger's.
    let jaeger = get_as(&router, "/api/traces/abcd", "*/*").await;
    assert_eq!(jaeger.json()["data"][0]["traceID"], "000000000000abcd");
}

#[tokio::test]
async fn what_is_not_there_or_not_an_id_is_said_in_text() {
    let router = filled().await;
    for path in ["/tempo/api/traces/77", "/api/v2/traces/77"] {
        let answer = get_as(&router, path, "*/*").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (404, "trace not found\n"), "{path}");
    }
    for (path, what) in [
        ("/tempo/api/traces/xyz", "can only contain hex characters: invalid character 'x' at position 1"),
        ("/api/v2/traces/000000000000000000000000000000001", "1 to 32 hexadecimal digits"),
        ("/api/v2/traces/1?start=20&end=10", "start=20 end=10"),
        ("/api/v2/traces/1?start=now", "invalid start"),
        ("/api/v2/traces/1?mode=some", "invalid mode"),
        ("/api/v2/traces/1?q=%7B%7D", "invalid q"),
        ("/tempo/api/traces/1?partial=maybe", "partial"),
    ] {
        let answer = get_as(&router, path, "application/protobuf").await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text().contains(what), "{path}: {}", answer.text());
    }
    // The time is where to look, and a trace comes whole.
    let near = get_as(&router, "/tempo/api/traces/abcd?start=1699999000&end=1699999001", "*/*").await;
    assert_eq!(near.status, 200);
    let far = get_as(&router, "/tempo/api/traces/abcd?start=1600000000&end=1600000001", "*/*").await;
    assert_eq!(far.status, 404);
    let other = Request::get("/tempo/api/traces/abcd").header("x-scope-orgid", "other");
    assert_eq!(node::ask(&router, other.body(Body::empty()).unwrap()).await.status, 404);
}

/// A federation of which a cluster does not answer about spans.
struct Cut {
    all: Arc<dyn Select>,
}

#[async_trait]
impl Select for Cut {
    contract::passed_on!(all: series, logs, span_keys, span_values, label_names, label_values, label_sets, metadata, capabilities);

    async fn spans(&self, r: SpansRequest) -> contract::Result<Selection<SpanBatch>> {
        let found = self.all.spans(r).await?;
        let mut coverage = found.coverage();
        coverage.merge(Coverage::one(SourceCoverage {
            state: CoverageState::Missing,
            covered: Vec::new(),
            reason: "it is cut off".to_owned(),
            ..SourceCoverage::complete("prod-01", Signal::TRACES, model::TimeRange::ALL)
        }));
        Ok(Selection::with_coverage(found.items, coverage))
    }
}

#[tokio::test]
async fn a_trace_that_misses_a_cluster_is_partial_and_never_not_found() {
    let state = node::state_over(|all| Arc::new(Cut { all }), MemoryBudget::unlimited(), |_| {});
    let router = api::router(state);
    store(&router, "default").await;
    for (id, spans) in [("abcd", 2), ("77", 0)] {
        let answer = get_as(&router, &format!("/api/v2/traces/{id}"), "application/protobuf").await;
        let whole = wire::otlp::traces::by_id(&answer.body).unwrap();
        assert_eq!((answer.status.as_u16(), span_ids(&whole.trace).len(), whole.partial), (200, spans, true));
        assert!(
            whole.message.contains("prod-01") && whole.message.contains("it is cut off"),
            "{}",
            whole.message
        );
        let json = get_as(&router, &format!("/api/v2/traces/{id}"), "*/*").await.json();
        assert_eq!((&json["status"], &json["coverage"][1]["state"]), (&json!("PARTIAL"), &json!("missing")));
        let v1 = get_as(&router, &format!("/api/traces/{id}"), "application/protobuf").await;
        assert_eq!((v1.status.as_u16(), span_ids(&v1.body).len()), (200, spans));
        assert!(v1.headers["x-orrery-coverage"].to_str().unwrap().contains("prod-01 traces missing"));
        let denied = get_as(&router, &format!("/api/v2/traces/{id}?partial=deny"), "*/*").await;
        assert_eq!(denied.status, 503);
    }
    let found = get_as(&router, "/api/search?q=%7B%7D", "application/json").await.json();
    assert_eq!(found["metrics"]["totalJobs"], 2);
    assert_eq!(found["metrics"]["completedJobs"], 1);
    let metrics =
        get_as(&router, "/api/metrics/query?q=%7B%7D%7Ccount_over_time()", "application/json").await;
    assert_eq!(metrics.json()["status"], "PARTIAL", "{}", metrics.text());
}

#[tokio::test]
async fn a_trace_of_many_spans_comes_whole_and_each_span_once() {
    let router = node::router();
    let span = |i: usize| {
        json!({"traceId": "000000000000000000000000000000aa", "spanId": format!("{:016x}", i + 1), "name": format!("s{i}"),
            "startTimeUnixNano": (1_699_999_990_000_000_000 + i as i64).to_string(), "endTimeUnixNano": "1699999999000000000"})
    };
    for part in 0..4 {
        let spans: Vec<Value> = (part * 2500..(part + 1) * 2500 + 100).map(span).collect();
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
        let request = Request::post("/v1/traces").header("content-type", "application/json");
        assert_eq!(node::ask(&router, request.body(Body::from(body)).unwrap()).await.status, 200);
    }
    let answer = get_as(&router, "/tempo/api/traces/aa", "application/protobuf").await;
    let trace = ExportTraceServiceRequest::decode(&answer.body[..]).unwrap();
    let scopes = trace.resource_spans.iter().flat_map(|r| &r.scope_spans);
    let names: Vec<&str> = scopes.flat_map(|s| &s.spans).map(|s| s.name.as_str()).collect();
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (10_100, 10_100));
    let json = get_as(&router, "/api/v2/traces/aa", "*/*").await.json();
    let scopes = json["trace"]["resourceSpans"].as_array().unwrap().iter();
    let count: usize = scopes.map(|r| r["scopeSpans"][0]["spans"].as_array().unwrap().len()).sum();
    assert_eq!(count, 10_100);
}

#[tokio::test]
async fn a_search_finds_traces_by_query_or_by_tags() {
    let router = filled().await;
    for (asked, want) in [
        (format!("q={}", encode("{ .http.status_code >= 500 }")), vec!["abcd"]),
        (
            format!("q={}&start=1699999000&end=1700000000", encode("{ resource.service.name = \"cart\" }")),
            vec!["1234", "abcd"],
        ),
        (format!("q={}&limit=1", encode("{}")), vec!["1234"]),
        (format!("tags={}", encode("service.name=SHOP http.status_code=500")), vec!["abcd"]),
        (format!("tags={}", encode("name=que")), vec!["abcd"]),
        ("minDuration=600ms".to_owned(), vec!["abcd"]),
        ("maxDuration=600ms".to_owned(), vec!["1234"]),
        ("tags=nothing%3Dlike-this".to_owned(), vec![]),
        ("start=1600000000&end=1600000001".to_owned(), vec![]),
    ] {
        let answer = get_as(&router, &format!("/api/search?{asked}"), "*/*").await;
        let body = without_coverage(&answer);
        let ids: Vec<&str> =
            body["traces"].as_array().unwrap().iter().map(|t| t["traceID"].as_str().unwrap()).collect();
        let ids: Vec<&str> = ids.iter().map(|id| id.trim_start_matches('0')).collect();
        assert_eq!(ids, want, "{asked}");
    }
}

#[tokio::test]
async fn a_found_trace_has_the_fields_that_grafana_shows() {
    let router = filled().await;
    let query = encode("{ .http.status_code >= 500 }");
    let answer = get_as(&router, &format!("/api/search?q={query}&spss=5"), "application/json").await;
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["traces", "metrics"]);
    let trace = &body["traces"][0];
    for (field, want) in [
        ("rootServiceName", json!("shop")),
        ("rootTraceName", json!("GET /")),
        ("startTimeUnixNano", json!("1699999990000001000")),
        ("durationMs", json!(602)),
        ("serviceStats", json!({"shop": {"spanCount": 1, "errorCount": 1}, "cart": {"spanCount": 1}})),
    ] {
        assert_eq!(trace[field], want, "{field} of {trace}");
    }
    assert_eq!(trace["spanSet"], trace["spanSets"][0]);
    let set = &trace["spanSet"];
    assert_eq!((&set["matched"], &set["spans"][0]["spanID"]), (&json!(1), &json!("0000000000000001")));
    assert_eq!(set["spans"][0]["durationNanos"], "602000000");
    assert_eq!(
        set["spans"][0]["attributes"],
        json!([{"key": "http.status_code", "value": {"intValue": "500"}}])
    );
    let unrooted = get_as(&router, "/api/search?q=%7Bname%3D%22job%22%7D", "application/json").await.json();
    assert_eq!(unrooted["traces"][0]["rootServiceName"], "<root span not yet received>");
    let message = get_as(&router, &format!("/api/search?q={query}"), "application/protobuf").await;
    let message = pb::SearchResponse::decode(&message.body[..]).unwrap();
    assert_eq!((message.traces.len(), message.traces[0].span_sets.len()), (1, 1));
}

#[tokio::test]
async fn tags_are_listed_by_where_they_stand() {
    let router = filled().await;
    let body = without_coverage(&get_as(&router, "/api/v2/search/tags", "*/*").await);
    let of = |body: &Value, scope: &str| -> Value {
        let scopes = body["scopes"].as_array().unwrap();
        scopes.iter().find(|s| s["name"] == scope).map_or(Value::Null, |s| s["tags"].clone())
    };
    assert_eq!(of(&body, "resource"), json!(["host.name", "service.name"]));
    assert_eq!(of(&body, "span"), json!(["http.status_code", "ok", "ratio"]));
    assert_eq!(of(&body, "event"), json!(["fatal"]));
    assert_eq!(of(&body, "link"), json!(["why"]));
    assert_eq!(of(&body, "instrumentation"), json!(["lang"]));
    assert!(of(&body, "intrinsic").as_array().unwrap().contains(&json!("rootServiceName")));
    let only = get_as(&router, "/api/v2/search/tags?scope=event", "*/*").await.json();
    assert_eq!(only["scopes"], json!([{"name": "event", "tags": ["fatal"]}]));
    let flat = get_as(&router, "/api/search/tags?limit=3", "*/*").await.json();
    assert_eq!(flat["tagNames"], json!(["fatal", "host.name", "http.status_code"]));
    let intrinsics = get_as(&router, "/api/search/tags?scope=intrinsic", "*/*").await.json();
    assert!(intrinsics["tagNames"].as_array().unwrap().contains(&json!("statusMessage")));
    // Those of spans that fit what is written so far.
    let query = encode("{ resource.service.name = \"cart\" && .ht");
    let fitting = get_as(&router, &format!("/api/v2/search/tags?scope=span&q={query}"), "*/*").await.json();
    assert_eq!(fitting["scopes"], json!([{"name": "span", "tags": ["http.status_code", "ratio"]}]));
    let wrong = get_as(&router, "/api/v2/search/tags?scope=blerg", "*/*").await;
    assert!(wrong.status == 400 && wrong.text().contains("invalid scope"));
}

#[tokio::test]
async fn values_are_listed_with_their_types() {
    let router = filled().await;
    let typed = |pairs: &[(&str, &str)]| -> Value {
        pairs.iter().map(|(t, v)| json!({"type": t, "value": v})).collect()
    };
    for (tag, want) in [
        ("resource.service.name", typed(&[("string", "cart"), ("string", "shop")])),
        (".service.name", typed(&[("string", "cart"), ("string", "shop")])),
        ("span.http.status_code", typed(&[("int", "200"), ("int", "500")])),
        ("span.ratio", typed(&[("float", "0.5")])),
        ("span.ok", typed(&[("bool", "false")])),
        ("event.fatal", typed(&[("bool", "true")])),
        ("link.why", typed(&[("string", "retry")])),
        ("instrumentation.lang", typed(&[("string", "rust")])),
        ("name", typed(&[("string", "GET /"), ("string", "job"), ("string", "query")])),
        ("rootName", typed(&[("string", "GET /")])),
        ("trace:rootService", typed(&[("string", "shop")])),
        ("event:name", typed(&[("string", "boom")])),
        ("statusMessage", typed(&[("string", "no")])),
        ("status", typed(&[("keyword", "ok"), ("keyword", "error"), ("keyword", "unset")])),
        ("duration", typed(&[])),
        ("span.nothing", typed(&[])),
    ] {
        let answer = get_as(&router, &format!("/api/v2/search/tag/{tag}/values"), "*/*").await;
        assert_eq!(answer.json()["tagValues"], want, "{tag}: {}", answer.text());
    }
    for (tag, query, want) in [
        ("resource.service.name", "{ .http.status_code = 500 }", typed(&[("string", "shop")])),
        ("span.http.status_code", "{ resource.service.name = \"cart\" && name = }", typed(&[("int", "200")])),
        ("name", "this is no query", typed(&[("string", "GET /"), ("string", "job"), ("string", "query")])),
    ] {
        let path = format!("/api/v2/search/tag/{tag}/values?q={}", encode(query));
        let answer = get_as(&router, &path, "application/json").await;
        assert_eq!(answer.json()["tagValues"], want, "{tag} {query}: {}", answer.text());
    }
    for (tag, want) in [
        ("service.name", json!(["cart", "shop"])),
        ("http.status_code", json!(["200", "500"])),
        ("status.code", json!(["error", "ok", "unset"])),
        ("name", json!(["GET /", "job", "query"])),
    ] {
        let answer = get_as(&router, &format!("/api/search/tag/{tag}/values"), "*/*").await;
        assert_eq!(answer.json()["tagValues"], want, "{tag}");
    }
    let wrong = get_as(&router, "/api/v2/search/tag/name-of-nothing/values", "*/*").await;
    assert!(
        wrong.status == 400 && wrong.text().contains("please provide a valid tagName"),
        "{}",
        wrong.text()
    );
    assert_eq!(get_as(&router, "/api/v2/search/tag/.a", "*/*").await.status, 404);
}

#[tokio::test]
async fn metrics_are_series_of_samples_or_one_value_each() {
    let router = filled().await;
    let query = encode("{} | count_over_time() by (resource.service.name)");
    let path = format!("/api/metrics/query_range?query={query}&start=1699999980&end=1700000010&step=30s");
    let body = get_as(&router, &path, "application/json").await.json();
    let mut counts: Vec<(String, f64)> = Vec::new();
    for series in body["series"].as_array().unwrap() {
        assert_eq!(series["labels"][0]["key"], "resource.service.name");
        let samples = series["samples"].as_array().unwrap();
        assert!(samples.iter().all(|s| s["timestampMs"].is_string()));
        let sum = samples.iter().filter_map(|s| s["value"].as_f64()).sum();
        counts.push((series["labels"][0]["value"]["stringValue"].as_str().unwrap().to_owned(), sum));
        let exemplar = &series["exemplars"][0];
        assert!(
            exemplar["value"].as_f64().unwrap() >= 1.0 && exemplar["timestampMs"].is_string(),
            "{exemplar}"
        );
    }
    assert_eq!(counts, [("cart".to_owned(), 2.0), ("shop".to_owned(), 1.0)]);
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["series", "metrics"]);
    let path = format!("/tempo/api/metrics/query?q={query}&start=1699999980&end=1700000010");
    let instant = without_coverage(&get_as(&router, &path, "*/*").await);
    let values: Vec<f64> =
        instant["series"].as_array().unwrap().iter().map(|s| s["value"].as_f64().unwrap()).collect();
    assert_eq!(values, [2.0, 1.0]);
    let cut = get_as(&router, &format!("/api/metrics/query_range?q={query}&maxSeries=1&since=1h"), "*/*")
        .await
        .json();
    assert_eq!((cut["series"].as_array().unwrap().len(), &cut["status"]), (1, &json!("PARTIAL")));
    assert!(cut["message"].as_str().unwrap().contains("maximum series limit of 1"));
    for (asked, what) in [
        ("q=%7B%7D", "makes no series"),
        ("start=1&end=2", "\"q\" is missing"),
        ("q=%7B%7D%7Crate()&start=20&end=10", "end must be greater than start"),
        ("q=%7B%7D%7Crate()&step=-1s", "step must be positive"),
        ("q=%7B%7D%7Crate()&since=1h&step=1ms", "too small"),
        ("q=%7B%7D%7C", "invalid TraceQL query"),
    ] {
        let answer = get_as(&router, &format!("/api/metrics/query_range?{asked}"), "*/*").await;
        assert!(answer.status == 400 && answer.text().contains(what), "{asked}: {}", answer.text());
    }
}

async fn listening(state: api::AppState, shutdown: &Shutdown) -> [StreamingQuerierClient<Channel>; 2] {
    let any = || Some(SocketAddr::from(([127, 0, 0, 1], 0)).into());
    let listeners = Listeners { http: any(), otlp_grpc: any(), ..Listeners::default() };
    let bound = api::serve(listeners, state, shutdown).await.unwrap();
    let client = |at: SocketAddr| async move {
        let channel = Channel::from_shared(format!("http://{at}")).unwrap().connect().await.unwrap();
        StreamingQuerierClient::new(channel)
    };
    [client(bound.http.unwrap()).await, client(bound.otlp_grpc.unwrap()).await]
}

/// All messages of a stream, and its trailer that says what they cover.
async fn drain<T>(mut stream: tonic::Streaming<T>) -> (Vec<T>, String) {
    let mut all = Vec::new();
    while let Some(message) = stream.next().await {
        all.push(message.unwrap());
    }
    let trailers = stream.trailers().await.unwrap().unwrap_or_default();
    let coverage = trailers.get("x-orrery-coverage").map(|v| v.to_str().unwrap().to_owned());
    (all, coverage.unwrap_or_default())
}

#[tokio::test]
async fn grafanas_streams_are_answered_on_both_ports_of_grpc() {
    let shutdown = Shutdown::new();
    let state = node::state();
    store(&api::router(state.clone()), "default").await;
    for mut client in listening(state, &shutdown).await {
        let asked =
            pb::SearchRequest { query: "{}".into(), limit: 20, spans_per_span_set: 3, ..Default::default() };
        let (found, coverage) = drain(client.search(asked).await.unwrap().into_inner()).await;
        assert_eq!(coverage, "local traces complete");
        let ids: Vec<&str> = found.iter().flat_map(|m| &m.traces).map(|t| t.trace_id.as_str()).collect();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!((ids.len(), distinct.len()), (2, 2), "each trace is told once: {ids:?}");
        let last = found.last().unwrap().metrics.unwrap();
        assert_eq!((last.completed_jobs, last.total_jobs), (1, 1));

        let tags = pb::SearchTagsRequest { scope: "resource".into(), ..Default::default() };
        let (names, _) = drain(client.search_tags_v2(tags.clone()).await.unwrap().into_inner()).await;
        assert_eq!(names[0].scopes[0].tags, ["host.name", "service.name"]);
        let (names, _) = drain(client.search_tags(tags).await.unwrap().into_inner()).await;
        assert_eq!(names[0].tag_names, ["host.name", "service.name"]);

        let asked = pb::SearchTagValuesRequest {
            tag_name: "resource.service.name".into(),
            query: "{ status = error }".into(),
            ..Default::default()
        };
        let (values, _) = drain(client.search_tag_values_v2(asked).await.unwrap().into_inner()).await;
        let values: Vec<_> =
            values[0].tag_values.iter().map(|v| (v.r#type.as_str(), v.value.as_str())).collect();
        assert_eq!(values, [("string", "shop")]);
        let asked = pb::SearchTagValuesRequest { tag_name: "service.name".into(), ..Default::default() };
        let (values, _) = drain(client.search_tag_values(asked).await.unwrap().into_inner()).await;
        assert_eq!(values[0].tag_values, ["cart", "shop"]);

        let (start, end) = (1_699_999_980_000_000_000, 1_700_000_010_000_000_000);
        let query = "{} | count_over_time()".to_owned();
        let range = pb::QueryRangeRequest { query: query.clone(), start, end, ..Default::default() };
        let (series, coverage) = drain(client.metrics_query_range(range).await.unwrap().into_inner()).await;
        assert_eq!(coverage, "local traces complete");
        let sum: f64 = series.iter().flat_map(|m| &m.series).flat_map(|s| &s.samples).map(|s| s.value).sum();
        assert_eq!(sum, 3.0);
        let instant = pb::QueryInstantRequest { query, start, end };
        let (value, _) = drain(client.metrics_query_instant(instant).await.unwrap().into_inner()).await;
        assert_eq!(value[0].series[0].value, 3.0);
    }
    shutdown.start();
}

#[tokio::test]
async fn a_stream_is_of_one_tenant_and_says_what_is_wrong() {
    let shutdown = Shutdown::new();
    let state = node::state();
    store(&api::router(state.clone()), "a").await;
    let [mut client, _] = listening(state, &shutdown).await;
    let asked = |query: &str, tenant: &str| {
        let query = query.to_owned();
        let mut request =
            tonic::Request::new(pb::SearchRequest { query, spans_per_span_set: 3, ..Default::default() });
        request.metadata_mut().insert("x-scope-orgid", tenant.parse().unwrap());
        request
    };
    for (tenant, want) in [("a", 2), ("b", 0), ("a|b", 2)] {
        let (found, _) = drain(client.search(asked("{}", tenant)).await.unwrap().into_inner()).await;
        assert_eq!(found.iter().map(|m| m.traces.len()).sum::<usize>(), want, "{tenant}");
    }
    let parse = client.search(asked("{", "a")).await.unwrap_err();
    assert!(
        parse.code() == Code::InvalidArgument && parse.message().contains("invalid TraceQL query"),
        "{parse}"
    );
    let tenant = client.search(asked("{}", "../etc")).await.unwrap_err();
    assert!(tenant.code() == Code::InvalidArgument && tenant.message().contains("X-Scope-OrgID"), "{tenant}");
    let metrics = client.search(asked("{} | rate()", "a")).await;
    let told = match metrics {
        Err(status) => status,
        Ok(stream) => stream.into_inner().next().await.unwrap().unwrap_err(),
    };
    assert_eq!(told.code(), Code::InvalidArgument, "{told}");
    let nothing = pb::QueryRangeRequest { query: "{} | rate()".into(), ..Default::default() };
    let bounds = client.metrics_query_range(nothing).await.unwrap_err();
    assert!(bounds.message().contains("end must be greater than start"), "{bounds}");
    shutdown.start();
}
