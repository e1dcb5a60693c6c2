//! Push: JSON or snappy protobuf. 204 when everything is durable, 400 with the reasons when entries were
//! refused (the rest is stored; senders drop on 400), 503 when this node cannot accept now.

use axum::{
    extract::{Request, State},
    response::Response,
};
use base::cap::Encoding;
use http::header;
use ingest::{LokiFormat, Receipt};

use crate::{
    AppState, Error, body, layers,
    prom::write::{acknowledge, header_text, sender},
    status, tenant,
};

pub async fn push(State(state): State<AppState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(receipt) => acknowledge(&receipt),
        Err(e) => layers::plain_error(&e, status::push(&e)),
    }
}

async fn take(state: &AppState, request: Request) -> Result<Receipt, Error> {
    let sender = sender(&request);
    let (head, incoming) = request.into_parts();
    let tenant = tenant::for_write(&head.headers)?;
    let media = header_text(&head.headers, &header::CONTENT_TYPE);
    let format = LokiFormat::from_content_type(media).ok_or_else(|| {
        let media: String = media.chars().take(100).collect();
        Error::UnsupportedMedia(format!(
            "content type {media:?} is not supported, use application/json or application/x-protobuf"
        ))
    })?;
    let encoding = Encoding::parse(header_text(&head.headers, &header::CONTENT_ENCODING))?;
    let held = body::read_ingest(state, &head.headers, incoming).await?;
    Ok(state.ingest.loki_push(&tenant, &sender, format, encoding, held.bytes.clone()).await?)
}
