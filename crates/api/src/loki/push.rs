//! Push: JSON or snappy protobuf. 204 when everything is durable, 400 with the reasons when entries were
//! refused (the rest is stored; senders drop on 400), 503 when this node cannot accept now.

use axum::{
    extract::{Request, State},
    response::Response,
};
use base::cap::Encoding;
use http::{HeaderMap, header};
use ingest::{LokiFormat, Receipt};

use crate::{
    AppState, Error, layers,
    push::{self, Push, header_text},
    status,
};

pub async fn push(State(state): State<AppState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(receipt) => push::acknowledge(&receipt),
        Err(e) => layers::plain_error(&e, status::push(&e)),
    }
}

async fn take(state: &AppState, request: Request) -> Result<Receipt, Error> {
    let (push, (format, encoding)) = Push::open(state, request, shape).await?;
    let (tenant, sender, held) = push.read(state).await?;
    Ok(state.ingest.loki_push(&tenant, &sender, format, encoding, held.bytes.clone()).await?)
}

/// What the head says about the body.
fn shape(headers: &HeaderMap) -> Result<(LokiFormat, Encoding), Error> {
    let media = header_text(headers, &header::CONTENT_TYPE);
    let format = LokiFormat::from_content_type(media)
        .ok_or_else(|| push::unsupported_media(media, "application/json or application/x-protobuf"))?;
    Ok((format, Encoding::parse(header_text(headers, &header::CONTENT_ENCODING))?))
}
