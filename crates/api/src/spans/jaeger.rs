//! Jaeger's collector: `POST /api/traces` with a `Batch` in Thrift, and the gRPC call `PostSpans`.
//!
//! Its answer over HTTP is 202. `PostSpansResponse` has no fields, so that a call of which some spans were refused ends
//! as INVALID_ARGUMENT, and says how many were stored.

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    response::Response,
    routing::post,
};
use base::cap::Encoding;
use http::{HeaderMap, header};
use ingest::{JaegerFormat, Receipt};
use proto::jaeger_v2::PostSpansResponse;

use crate::{
    AppState, Error,
    otlp::grpc,
    push::{self, Push, header_text, unsupported_media},
};

/// The one format there is; clients of before 1.8 say so in a parameter.
const FORMAT: &str = "jaeger.thrift";
const MEDIA: &str = "application/x-thrift or application/vnd.apache.thrift.binary";

/// `GET` of the same path is the search for traces.
pub fn http_routes() -> Router<AppState> {
    Router::new().route("/api/traces", post(batch))
}

pub fn grpc_routes() -> Router<AppState> {
    Router::new().route("/jaeger.api_v2.CollectorService/PostSpans", post(post_spans))
}

async fn batch(State(state): State<AppState>, RawQuery(query): RawQuery, request: Request) -> Response {
    super::answer(take(&state, query.as_deref().unwrap_or_default(), request).await)
}

async fn take(state: &AppState, query: &str, request: Request) -> Result<Receipt, Error> {
    let (push, (format, encoding)) = Push::open(state, request, |headers| shape(headers, query)).await?;
    let (tenant, sender, held) = push.read(state).await?;
    Ok(state.ingest.jaeger(&tenant, &sender, format, encoding, held.bytes.clone()).await?)
}

/// What the head says about the body.
fn shape(headers: &HeaderMap, query: &str) -> Result<(JaegerFormat, Encoding), Error> {
    let mut named = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "format");
    if let Some((_, format)) = named.find(|(_, format)| !format.eq_ignore_ascii_case(FORMAT)) {
        let format: String = format.chars().take(100).collect();
        return Err(Error::invalid(format!("parameter format {format:?} is not supported, use {FORMAT}")));
    }
    let media = header_text(headers, &header::CONTENT_TYPE);
    let format = JaegerFormat::from_content_type(media).ok_or_else(|| unsupported_media(media, MEDIA))?;
    Ok((format, Encoding::parse(header_text(headers, &header::CONTENT_ENCODING))?))
}

async fn post_spans(State(state): State<AppState>, request: Request) -> Response {
    grpc::unary(request, async |request| {
        let call = grpc::Call::read(&state, request).await?;
        let (tenant, sender) = (&call.tenant, &call.sender);
        let format = JaegerFormat::Protobuf;
        let receipt =
            state.ingest.jaeger(tenant, sender, format, call.encoding, call.message.clone()).await?;
        match push::refusals(&receipt) {
            None => Ok(PostSpansResponse {}),
            Some(text) => Err(Error::invalid(text)),
        }
    })
    .await
}
