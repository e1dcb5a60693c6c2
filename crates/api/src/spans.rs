//! The ways for spans besides OTLP: Zipkin's `POST /api/v2/spans`, and Jaeger's collector over HTTP and gRPC.
//!
//! All answer when everything is durable, and know no answer for a part: what was refused is told as an error of the
//! caller's, whose kind senders do not repeat, while the rest is stored. Sent again it would be known.

mod jaeger;
mod zipkin;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ingest::Receipt;

pub use self::{
    jaeger::{grpc_routes as jaeger_grpc, http_routes as jaeger_http},
    zipkin::routes as zipkin,
};
use crate::{Error, layers, push, status};

/// 202, or what went wrong as a text.
fn answer(outcome: Result<Receipt, Error>) -> Response {
    match outcome {
        Ok(receipt) => match push::refusals(&receipt) {
            None => StatusCode::ACCEPTED.into_response(),
            Some(text) => (StatusCode::BAD_REQUEST, text).into_response(),
        },
        Err(e) => layers::plain_error(&e, status::push(&e)),
    }
}
