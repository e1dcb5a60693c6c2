//! Remote write 1.0 (`prometheus.io/docs/specs/prw/remote_write_spec`).
//!
//! 204 when everything is durable. When single samples were refused the rest is stored and the answer is 400
//! with the reasons, as Prometheus itself does: senders drop on 400, so nothing is sent again for ever.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use base::cap::Encoding;
use http::{HeaderMap, StatusCode, header};
use ingest::{Receipt, Sender};

use crate::{AppState, Error, body, layers, status, tenant};

pub async fn write(State(state): State<AppState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(receipt) => acknowledge(&receipt),
        Err(e) => layers::plain_error(&e, status::push(&e)),
    }
}

async fn take(state: &AppState, request: Request) -> Result<Receipt, Error> {
    let sender = sender(&request);
    let (head, incoming) = request.into_parts();
    let tenant = tenant::for_write(&head.headers)?;
    check_media(header_text(&head.headers, &header::CONTENT_TYPE))?;
    // The specification demands snappy, so some senders do not name it.
    let encoding = match header_text(&head.headers, &header::CONTENT_ENCODING) {
        "" => Encoding::Snappy,
        named => Encoding::parse(named)?,
    };
    let held = body::read_ingest(state, &head.headers, incoming).await?;
    Ok(state.ingest.remote_write_v1(&tenant, &sender, encoding, held.bytes.clone()).await?)
}

/// Protobuf, and of it 1.0 only: a sender of 2.0 falls back to 1.0 when it reads 415.
fn check_media(value: &str) -> Result<(), Error> {
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let proto = parts.find_map(|p| p.strip_prefix("proto=")).unwrap_or("prometheus.WriteRequest");
    let known = matches!(media, "" | "application/x-protobuf" | "application/protobuf");
    if known && proto == "prometheus.WriteRequest" {
        return Ok(());
    }
    let value: String = value.chars().take(100).collect();
    Err(Error::UnsupportedMedia(format!(
        "content type {value:?} is not supported, use application/x-protobuf;proto=prometheus.WriteRequest (remote write 1.0)"
    )))
}

/// What senders of single signals are told: 204, or 400 with what was refused.
pub(crate) fn acknowledge(receipt: &Receipt) -> Response {
    if receipt.refused.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let mut text =
        format!("{} items refused, {} stored:\n", receipt.refused_items(), receipt.accepted_items());
    for r in &receipt.refused {
        text.push_str(&format!("{} {}: {}\n", r.count, r.reason.as_str(), r.detail));
    }
    (StatusCode::BAD_REQUEST, text).into_response()
}

/// Who sent it, as far as a repetition by the same sender has in common with the first time.
pub(crate) fn sender(request: &Request) -> Sender {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    Sender {
        addr: peer.map(|p| p.0.ip().to_string()).unwrap_or_default(),
        user_agent: header_text(request.headers(), &header::USER_AGENT).to_owned(),
    }
}

/// A header's text, empty where absent or not ASCII.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}
