//! What Jaeger's own tests ask of any storage (`internal/storage/integration`, `RunAll`), over gRPC as a Jaeger asks.

use std::collections::BTreeSet;

use axum::Router;
use model::{Attributes, Span, SpanBatch, SpanKind, span::SpanOrigin};
use proto::{
    jaeger::{
        Timestamp, expression,
        storage::{
            self, capabilities_client::CapabilitiesClient, dependency_reader_client::DependencyReaderClient,
            trace_reader_client::TraceReaderClient,
        },
    },
    otlp::{
        collector::trace::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
        trace::TracesData,
    },
};
use tonic::{Code, Streaming};

use crate::node;

const DAY_NS: i64 = 1_699_833_600_000_000_000;

/// Ids of the traces that come, without leading zeros.
pub async fn ids(stream: Streaming<TracesData>) -> BTreeSet<String> {
    let (messages, _) = all(stream).await;
    let spans = messages.iter().flat_map(|m| batch(m).spans);
    spans.map(|s| format!("{:x}", u128::from_be_bytes(s.trace_id))).collect()
}

/// Every message, and what the answer says it covers.
pub async fn all(mut stream: Streaming<TracesData>) -> (Vec<TracesData>, String) {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message);
    }
    let trailers = stream.trailers().await.unwrap().unwrap_or_default();
    let covered = trailers.get("x-orrery-coverage").map(|v| v.to_str().unwrap().to_owned());
    (messages, covered.unwrap_or_default())
}

fn batch(message: &TracesData) -> SpanBatch {
    let request = ExportTraceServiceRequest { resource_spans: message.resource_spans.clone() };
    wire::otlp::traces::from_message(request, &wire::otlp::Options::default()).batch
}

async fn write(router: &Router, batch: &SpanBatch) {
    let mut writer = TraceServiceClient::new(router.clone());
    let answer = writer.export(wire::otlp::traces::encode(batch)).await.unwrap().into_inner();
    assert_eq!(answer.partial_success, None);
}

fn origin(service: &str) -> SpanOrigin {
    let mut origin = SpanOrigin::default();
    origin.resource.attributes = Attributes::from_iter([("service.name", service)]);
    origin
}

fn span(trace: u8, id: u64, parent: u64, origin: u32, kind: SpanKind, name: &str) -> Span {
    Span {
        trace_id: [trace; 16],
        span_id: id.to_be_bytes(),
        parent_span_id: parent.to_be_bytes(),
        origin,
        kind,
        name: name.to_owned(),
        start_ns: DAY_NS + id as i64 * 1000,
        end_ns: DAY_NS + id as i64 * 1000 + 500,
        ..Span::default()
    }
}

/// As Jaeger's example trace: three services, of which one has operations of several kinds.
fn example() -> SpanBatch {
    use SpanKind::{Client, Server, Unspecified};
    SpanBatch {
        origins: vec![origin("example-service-1"), origin("example-service-2"), origin("example-service-3")],
        spans: vec![
            span(1, 4, 0, 1, Unspecified, "example-operation-2"),
            span(1, 5, 0, 2, Unspecified, "example-operation-1"),
            span(1, 3, 0, 0, Unspecified, "example-operation-1"),
            span(1, 6, 0, 0, Server, "example-operation-3"),
            span(1, 7, 0, 0, Client, "example-operation-4"),
        ],
    }
}

fn by_id(ids: &[u8]) -> storage::GetTracesRequest {
    let one = |n: &u8| storage::GetTraceParams { trace_id: vec![*n; 16], ..Default::default() };
    storage::GetTracesRequest { query: ids.iter().map(one).collect() }
}

async fn reader() -> (Router, TraceReaderClient<Router>) {
    let router = node::router();
    (router.clone(), TraceReaderClient::new(router))
}

/// Spans of a batch in an order of their own.
fn sorted(batch: &SpanBatch) -> Vec<(String, Span)> {
    let named = |s: &Span| {
        let service = batch.origins[s.origin as usize].service_name().to_owned();
        (service, Span { origin: 0, ..s.clone() })
    };
    let mut all: Vec<_> = batch.spans.iter().map(named).collect();
    all.sort_by_key(|(_, s)| (s.span_id, s.start_ns));
    all
}

#[tokio::test]
async fn services_and_operations_by_kind_are_listed() {
    let (router, mut reader) = reader().await;
    write(&router, &example()).await;
    let services = reader.get_services(storage::GetServicesRequest {}).await.unwrap();
    assert_eq!(services.metadata().get("x-orrery-coverage").unwrap(), "local traces complete");
    assert_eq!(
        services.into_inner().services,
        ["example-service-1", "example-service-2", "example-service-3"]
    );
    let mut asked = async |kind: &str| -> Vec<(String, String)> {
        let request = storage::GetOperationsRequest {
            service: "example-service-1".to_owned(),
            span_kind: kind.to_owned(),
        };
        let found = reader.get_operations(request).await.unwrap().into_inner().operations;
        found.into_iter().map(|o| (o.name, o.span_kind)).collect()
    };
    let pair = |name: &str, kind: &str| (format!("example-operation-{name}"), kind.to_owned());
    assert_eq!(asked("").await, [pair("1", ""), pair("3", "server"), pair("4", "client")]);
    assert_eq!(asked("server").await, [pair("3", "server")]);
    let request = storage::GetOperationsRequest { service: "x".to_owned(), span_kind: "boss".to_owned() };
    let refused = reader.get_operations(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("span_kind"), "{refused}");
}

#[tokio::test]
async fn a_trace_comes_back_as_it_was_written_and_one_that_is_not_there_is_nothing() {
    let (router, mut reader) = reader().await;
    write(&router, &example()).await;
    let (messages, covered) = all(reader.get_traces(by_id(&[1])).await.unwrap().into_inner()).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(sorted(&batch(&messages[0])), sorted(&example()));
    assert_eq!(covered, "local traces complete");
    let (none, _) = all(reader.get_traces(by_id(&[9])).await.unwrap().into_inner()).await;
    assert!(none.is_empty());
    let wrong = storage::GetTracesRequest { query: vec![storage::GetTraceParams::default()] };
    let mut refused = reader.get_traces(wrong).await.map(tonic::Response::into_inner);
    if let Ok(stream) = &mut refused {
        refused = Err(stream.message().await.unwrap_err());
    }
    assert_eq!(refused.err().unwrap().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_message_is_of_one_trace_and_those_of_a_trace_follow_each_other() {
    let (router, mut reader) = reader().await;
    // Spans of two traces that came together, large enough for several messages each.
    let mut both = SpanBatch { origins: vec![origin("a")], spans: Vec::new() };
    for i in 1..=3000u64 {
        for trace in [1, 2] {
            let mut s = span(trace, i, 0, 0, SpanKind::Internal, "x");
            s.attributes.push("padding", "y".repeat(600));
            both.spans.push(s);
        }
    }
    write(&router, &both).await;
    for request in [by_id(&[1, 2]), by_id(&[1])] {
        let traces = request.query.len();
        let (messages, _) = all(reader.get_traces(request).await.unwrap().into_inner()).await;
        assert!(messages.len() > traces, "{} messages", messages.len());
        let mut order = Vec::new();
        for m in &messages {
            let spans = batch(m).spans;
            assert!(!spans.is_empty() && spans.iter().all(|s| s.trace_id == spans[0].trace_id));
            assert!(prost::Message::encoded_len(m) < 4 << 20);
            order.push(spans[0].trace_id);
        }
        order.dedup();
        assert_eq!(order.len(), traces);
        assert_eq!(messages.iter().map(|m| batch(m).spans.len()).sum::<usize>(), 3000 * traces);
    }
}

#[tokio::test]
async fn a_trace_of_ten_thousand_spans_is_whole_and_spans_that_share_an_id_all_come() {
    for (count, repeated) in [(10_008u64, 0), (200, 20)] {
        let (router, mut reader) = reader().await;
        let id = |i: u64| if repeated > 0 && i > 0 && i.is_multiple_of(repeated) { 4 } else { i + 1 };
        let spans = (0..count).map(|i| {
            let start_ns = DAY_NS + (i as i64 + 1) * 1_000_000_000;
            let shared = span(1, id(i), 0, 0, SpanKind::Unspecified, "example-operation-2");
            Span { start_ns, end_ns: start_ns + 100_000, ..shared }
        });
        let large = SpanBatch { origins: vec![origin("example-service-2")], spans: spans.collect() };
        write(&router, &large).await;
        // Sent again by another of two collectors, each span is still there once.
        write(&router, &SpanBatch { spans: large.spans.iter().rev().cloned().collect(), ..large.clone() })
            .await;
        let (messages, _) = all(reader.get_traces(by_id(&[1])).await.unwrap().into_inner()).await;
        let spans: Vec<Span> = messages.iter().flat_map(|m| batch(m).spans).collect();
        assert_eq!(spans.len() as u64, count);
        let different: BTreeSet<[u8; 8]> = spans.iter().map(|s| s.span_id).collect();
        let wanted: BTreeSet<u64> = (0..count).map(id).collect();
        assert_eq!(different.len(), wanted.len());
    }
}

fn at(ns: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: ns.div_euclid(1_000_000_000), nanos: ns.rem_euclid(1_000_000_000) as i32 })
}

fn query() -> storage::TraceQueryParameters {
    storage::TraceQueryParameters {
        start_time_min: at(DAY_NS - 3_600_000_000_000),
        start_time_max: at(DAY_NS + 3_600_000_000_000),
        search_depth: 10,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_search_needs_no_service_and_is_summed_up() {
    let (router, mut reader) = reader().await;
    write(&router, &example()).await;
    let mut marked =
        SpanBatch { origins: vec![origin("cross-service-a"), origin("cross-service-b")], spans: Vec::new() };
    for (i, trace) in [2u8, 3].into_iter().enumerate() {
        let mut s = span(trace, 8, 0, i as u32, SpanKind::Server, "cross-service-op");
        s.attributes.push("marker", "yes");
        marked.spans.push(s);
    }
    write(&router, &marked).await;
    let attribute = storage::KeyValue {
        key: "marker".to_owned(),
        value: Some(storage::AnyValue {
            value: Some(storage::any_value::Value::StringValue("yes".to_owned())),
        }),
    };
    let asked = storage::TraceQueryParameters { attributes: vec![attribute], ..query() };
    let request = storage::FindTracesRequest { query: Some(asked) };
    let found = ids(reader.find_traces(request).await.unwrap().into_inner()).await;
    assert_eq!(
        found,
        ["02".repeat(16), "03".repeat(16)].map(|t| t.trim_start_matches('0').to_owned()).into()
    );
    let asked = storage::TraceQueryParameters { service_name: "example-service-1".to_owned(), ..query() };
    let request = storage::FindTraceSummariesRequest { query: Some(asked) };
    let mut stream = reader.find_trace_summaries(request).await.unwrap().into_inner();
    let s = stream.message().await.unwrap().unwrap().summaries.remove(0);
    assert_eq!((s.trace_id, s.span_count, s.error_span_count), (vec![1; 16], 5, 0));
    assert_eq!(s.min_start_time_unix_nano, (DAY_NS + 3000) as u64);
    assert_eq!(s.max_end_time_unix_nano, (DAY_NS + 7500) as u64);
    assert_eq!(s.services.iter().map(|s| s.span_count).collect::<Vec<_>>(), [3, 1, 1]);
    assert!(stream.message().await.unwrap().is_none());
}

#[tokio::test]
async fn structured_filters_are_answered_as_far_as_the_capabilities_say() {
    let (router, mut reader) = reader().await;
    write(&router, &example()).await;
    let mut capabilities = CapabilitiesClient::new(router);
    let told = capabilities.get_capabilities(storage::GetCapabilitiesRequest {}).await.unwrap().into_inner();
    let told = told.search.unwrap();
    assert!(told.without_service_name && told.same_span_conjunction);
    let filter = told.filter.unwrap();
    assert!(filter.operators.contains(&"some".to_owned()) && filter.levels.contains(&"link".to_owned()));
    let term = |t| expression::Expression { term: Some(t) };
    let field = |level: &str, name: &str| {
        term(expression::expression::Term::Field(expression::FieldReference {
            name: name.to_owned(),
            level: level.to_owned(),
        }))
    };
    let scalar = |value: &str| {
        term(expression::expression::Term::Scalar(expression::Scalar {
            value: value.to_owned(),
            r#type: String::new(),
        }))
    };
    let call = |op: &str, args| expression::Call { op: op.to_owned(), args };
    let mut asked = async |filter: expression::Call, service: &str| {
        let query = storage::TraceQueryParameters {
            filter: Some(filter),
            service_name: service.to_owned(),
            ..query()
        };
        let request = storage::FindTraceIDsRequest { query: Some(query) };
        reader.find_trace_i_ds(request).await.map(|r| r.into_inner().trace_ids.len())
    };
    let of = |kind: &str| call("eq", vec![field("span", "kind"), scalar(kind)]);
    assert_eq!(asked(of("client"), "").await.unwrap(), 1);
    assert_eq!(asked(of("producer"), "").await.unwrap(), 0);
    let beside = asked(of("client"), "example-service-1").await.unwrap_err();
    assert_eq!(beside.code(), Code::InvalidArgument);
    let unknown = asked(call("near", vec![]), "").await.unwrap_err();
    assert!(unknown.message().contains("near"), "{unknown}");
}

#[tokio::test]
async fn links_between_services_are_told_with_where_they_are_from() {
    let router = node::router();
    let mut batch = SpanBatch { origins: vec![origin("hello"), origin("world")], spans: Vec::new() };
    batch.spans.push(span(1, 1, 0, 0, SpanKind::Client, "a"));
    batch.spans.push(span(1, 2, 1, 1, SpanKind::Server, "b"));
    for i in 0..3 {
        batch.spans.push(span(1, 10 + i, 2, 0, SpanKind::Server, "c"));
    }
    write(&router, &batch).await;
    let mut reader = DependencyReaderClient::new(router);
    let request = storage::GetDependenciesRequest {
        start_time: at(DAY_NS - 60_000_000_000),
        end_time: at(DAY_NS + 60_000_000_000),
    };
    let found = reader.get_dependencies(request).await.unwrap().into_inner().dependencies;
    let found: Vec<_> = found
        .iter()
        .map(|d| (d.parent.as_str(), d.child.as_str(), d.call_count, d.source.as_str()))
        .collect();
    assert_eq!(found, [("hello", "world", 1, "spans"), ("world", "hello", 3, "spans")]);
    let empty = reader.get_dependencies(storage::GetDependenciesRequest::default()).await.unwrap_err();
    assert_eq!(empty.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let (router, mut reader) = reader().await;
    write(&router, &example()).await;
    let mut request = tonic::Request::new(storage::GetServicesRequest {});
    request.metadata_mut().insert("x-scope-orgid", "other".parse().unwrap());
    assert!(reader.get_services(request).await.unwrap().into_inner().services.is_empty());
    let mut request = tonic::Request::new(storage::GetServicesRequest {});
    request.metadata_mut().insert("x-scope-orgid", "../x".parse().unwrap());
    assert_eq!(reader.get_services(request).await.unwrap_err().code(), Code::InvalidArgument);
}
