//! Jaeger's APIs from outside: version 1 and 3 over HTTP, version 3 and remote storage over gRPC.

mod dependencies;
mod fixtures;
mod loads;
mod monitor;
mod shapes;
mod storage;
mod v3;

use axum::{Router, body::Body};
use http::Request;
use model::SpanBatch;
use prost::Message;

use crate::node;

fn decode(body: &[u8]) -> SpanBatch {
    wire::otlp::traces::decode_json(body, &wire::otlp::Options::default()).unwrap().batch
}

/// Sends spans the way an exporter does.
async fn store(router: &Router, batch: &SpanBatch) {
    let body = wire::otlp::traces::encode(batch).encode_to_vec();
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    let answer = node::ask(router, request.body(Body::from(body)).unwrap()).await;
    // An empty response says that nothing was refused.
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""));
}

async fn get(router: &Router, path: &str) -> node::Answer {
    node::ask(router, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(router: &Router, path: &str, body: impl Into<Body>) -> node::Answer {
    let request = Request::post(path).header("content-type", "application/json");
    node::ask(router, request.body(body.into()).unwrap()).await
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
