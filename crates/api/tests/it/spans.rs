//! Spans through the doors of Zipkin and Jaeger, as real exporters wrote them, on listeners of their own and on the main
//! port.

use std::net::SocketAddr;

use api::{Listener, Listeners};
use axum::{Router, body::Body};
use base::Shutdown;
use http::Request;
use proto::jaeger_v2::{
    Batch, PostSpansRequest, Process, Span, collector_service_client::CollectorServiceClient,
};
use serde_json::Value;
use tonic::{Code, codec::CompressionEncoding, transport::Channel};

use crate::{node, scenario::from_hex};

fn any_port() -> Option<Listener> {
    Some(SocketAddr::from(([127, 0, 0, 1], 0)).into())
}

/// The operations of a trace, each with its parent.
async fn operations(router: &Router, id: &str) -> Vec<(String, Option<String>)> {
    let answer = node::get(router, &format!("/jaeger/api/traces/{id}")).await;
    let trace = answer.json();
    let spans = trace["data"][0]["spans"].as_array().unwrap_or_else(|| panic!("{}", answer.text()));
    let name = |s: &Value| s["operationName"].as_str().unwrap().to_owned();
    let parent = |s: &Value| {
        let of = s["references"].as_array()?.iter().find(|r| r["refType"] == "CHILD_OF")?["spanID"].clone();
        spans.iter().find(|s| s["spanID"] == of).map(name)
    };
    let mut all: Vec<_> = spans.iter().map(|s| (name(s), parent(s))).collect();
    all.sort();
    all
}

fn an_order() -> Vec<(String, Option<String>)> {
    let order = "place order".to_owned();
    vec![
        ("charge".to_owned(), Some(order.clone())),
        (order.clone(), None),
        ("report".to_owned(), Some(order)),
    ]
}

async fn post(router: &Router, path: &str, media: &str, body: Vec<u8>) {
    let request = Request::post(path).header("content-type", media).body(Body::from(body)).unwrap();
    let answer = node::ask(router, request).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (202, ""));
}

#[tokio::test]
async fn what_exporters_send_over_http_comes_back_as_whole_traces() {
    let router = node::router();
    let json = include_str!("../../../wire/tests/fixtures/zipkin-otel.json");
    post(&router, "/api/v2/spans", "application/json", json.into()).await;
    let sent: Value = serde_json::from_str(json).unwrap();
    assert_eq!(operations(&router, sent[0]["traceId"].as_str().unwrap()).await, an_order());

    let protobuf = from_hex(include_bytes!("../../../wire/tests/fixtures/zipkin-otel-protobuf.hex")).unwrap();
    post(&router, "/api/v2/spans", "application/x-protobuf", protobuf).await;
    let thrift = from_hex(include_bytes!("../../../wire/tests/fixtures/jaeger-otel-thrift.hex")).unwrap();
    post(&router, "/api/traces?format=jaeger.thrift", "application/x-thrift", thrift).await;
    let found = node::get(&router, "/jaeger/api/traces?service=orders&start=0&end=4000000000000000").await;
    let traces = found.json()["data"].as_array().cloned().unwrap_or_default();
    assert_eq!(traces.len(), 3, "{}", found.text());
    for trace in traces {
        assert_eq!(operations(&router, trace["traceID"].as_str().unwrap()).await, an_order());
    }
}

fn batch(spans: &[(u8, &str)]) -> PostSpansRequest {
    let span = |(id, name): &(u8, &str)| Span {
        trace_id: vec![7; 16],
        span_id: vec![*id; 8],
        operation_name: (*name).to_owned(),
        start_time: Some(prost_types::Timestamp { seconds: 1_699_999_990, nanos: 0 }),
        ..Span::default()
    };
    let process = Process { service_name: "orders".to_owned(), tags: Vec::new() };
    PostSpansRequest {
        batch: Some(Batch { spans: spans.iter().map(span).collect(), process: Some(process) }),
    }
}

#[tokio::test]
async fn jaegers_grpc_call_is_taken_on_its_own_port_and_on_the_main_one() {
    let shutdown = Shutdown::new();
    let state = node::state();
    let listeners = Listeners {
        http: any_port(),
        zipkin: any_port(),
        jaeger_http: any_port(),
        jaeger_grpc: any_port(),
        ..Listeners::default()
    };
    let bound = api::serve(listeners, state.clone(), &shutdown).await.unwrap();
    let channel = async |at: Option<SocketAddr>| {
        Channel::from_shared(format!("http://{}", at.unwrap())).unwrap().connect().await.unwrap()
    };
    let mut main = CollectorServiceClient::new(channel(bound.http).await);
    main.post_spans(batch(&[(1, "by the main port")])).await.unwrap();
    let own = channel(bound.jaeger_grpc).await;
    for packing in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = CollectorServiceClient::new(own.clone()).send_compressed(packing);
        client.post_spans(batch(&[(2, "by its own")])).await.unwrap();
    }
    // A call of which some spans are refused says so, and the others are stored.
    let partly = CollectorServiceClient::new(own).post_spans(batch(&[(0, "bad"), (3, "good")])).await;
    let status = partly.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("1 items refused, 1 stored"), "{status}");
    let router = api::router(state);
    let names: Vec<String> =
        operations(&router, &"07".repeat(16)).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["by its own", "by the main port", "good"]);
    // The other listeners serve their own paths and no others.
    let mut wrong = CollectorServiceClient::new(channel(bound.jaeger_http).await);
    assert_eq!(wrong.post_spans(batch(&[])).await.unwrap_err().code(), Code::Unimplemented);
    let mut wrong = CollectorServiceClient::new(channel(bound.zipkin).await);
    assert_eq!(wrong.post_spans(batch(&[])).await.unwrap_err().code(), Code::Unimplemented);
    shutdown.start();
}
