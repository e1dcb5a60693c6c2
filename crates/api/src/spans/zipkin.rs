//! Zipkin v2: 202 when everything is durable. What is asked of a Zipkin server besides is not served.

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use base::cap::Encoding;
use http::{HeaderMap, header};
use ingest::{Receipt, ZipkinFormat};

use crate::{
    AppState, Error,
    push::{Push, header_text, unsupported_media},
};

pub fn routes() -> Router<AppState> {
    Router::new().route("/api/v2/spans", post(spans)).route("/zipkin/api/v2/spans", post(spans))
}

async fn spans(State(state): State<AppState>, request: Request) -> Response {
    super::answer(take(&state, request).await)
}

async fn take(state: &AppState, request: Request) -> Result<Receipt, Error> {
    let (push, (format, encoding)) = Push::open(state, request, shape).await?;
    let (tenant, sender, held) = push.read(state).await?;
    Ok(state.ingest.zipkin(&tenant, &sender, format, encoding, held.bytes.clone()).await?)
}

/// What the head says about the body.
fn shape(headers: &HeaderMap) -> Result<(ZipkinFormat, Encoding), Error> {
    let media = header_text(headers, &header::CONTENT_TYPE);
    let format = ZipkinFormat::from_content_type(media)
        .ok_or_else(|| unsupported_media(media, "application/json or application/x-protobuf"))?;
    Ok((format, Encoding::parse(header_text(headers, &header::CONTENT_ENCODING))?))
}
