//! OTLP/HTTP: `POST /v1/{metrics,logs,traces}`, protobuf or JSON, any content encoding we read.

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use base::cap::Encoding;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ingest::{Otlp, OtlpFormat, OtlpSignal, OtlpTransport, Receipt};
use prost::Message;

use super::answer;
use crate::{
    AppState, Error, layers,
    push::{Push, header_text, unsupported_media},
    status,
};

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/v1/metrics", post(metrics))
        .route("/v1/logs", post(logs))
        .route("/v1/traces", post(traces))
        // Where exporters set up for Loki, Prometheus and collectors behind a prefix send.
        .route("/otlp/v1/logs", post(logs))
        .route("/otlp/v1/metrics", post(metrics))
        .route("/otlp/v1/traces", post(traces))
        .route("/api/v1/otlp/v1/metrics", post(metrics))
}

async fn metrics(State(state): State<AppState>, request: Request) -> Response {
    export(state, request, OtlpSignal::Metrics).await
}

async fn logs(State(state): State<AppState>, request: Request) -> Response {
    export(state, request, OtlpSignal::Logs).await
}

async fn traces(State(state): State<AppState>, request: Request) -> Response {
    export(state, request, OtlpSignal::Traces).await
}

async fn export(state: AppState, request: Request, signal: OtlpSignal) -> Response {
    // The answer speaks the request's format, errors included.
    let named = header_text(request.headers(), &header::CONTENT_TYPE);
    let format = OtlpFormat::from_content_type(named).unwrap_or(OtlpFormat::Json);
    match take(&state, request, signal).await {
        Ok(receipt) => success(&receipt, signal, format),
        Err(e) => failure(&e, format),
    }
}

async fn take(state: &AppState, request: Request, signal: OtlpSignal) -> Result<Receipt, Error> {
    let (push, (format, encoding)) = Push::open(state, request, shape).await?;
    let (tenant, sender, held) = push.read(state).await?;
    let what = Otlp { transport: OtlpTransport::Http, signal, format };
    Ok(state.ingest.otlp(&tenant, &sender, what, encoding, held.bytes.clone()).await?)
}

/// What the head says about the body.
fn shape(headers: &HeaderMap) -> Result<(OtlpFormat, Encoding), Error> {
    let named = header_text(headers, &header::CONTENT_TYPE);
    let format = OtlpFormat::from_content_type(named)
        .ok_or_else(|| unsupported_media(named, "application/x-protobuf or application/json"))?;
    Ok((format, Encoding::parse(header_text(headers, &header::CONTENT_ENCODING))?))
}

fn success(receipt: &Receipt, signal: OtlpSignal, format: OtlpFormat) -> Response {
    let message = answer::export_response(receipt);
    match format {
        OtlpFormat::Protobuf => respond(StatusCode::OK, message.encode_to_vec(), format),
        OtlpFormat::Json => {
            respond(StatusCode::OK, answer::export_json(&message, signal).to_string().into_bytes(), format)
        }
    }
}

fn failure(e: &Error, format: OtlpFormat) -> Response {
    let status = answer::status_of(e);
    let body = match format {
        OtlpFormat::Protobuf => status.encode_to_vec(),
        OtlpFormat::Json => answer::status_json(&status).to_string().into_bytes(),
    };
    layers::finish_error(respond(status::otlp_http(e), body, format), e)
}

fn respond(code: StatusCode, body: Vec<u8>, format: OtlpFormat) -> Response {
    let media = match format {
        OtlpFormat::Protobuf => "application/x-protobuf",
        OtlpFormat::Json => "application/json",
    };
    let mut response = (code, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
