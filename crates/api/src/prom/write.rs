//! Remote write 1.0 (`prometheus.io/docs/specs/prw/remote_write_spec`).
//!
//! 204 when everything is durable. When single samples were refused the rest is stored and the answer is 400
//! with the reasons, as Prometheus itself does: senders drop on 400, so nothing is sent again for ever.

use axum::{
    extract::{Request, State},
    response::Response,
};
use base::cap::Encoding;
use http::header;
use ingest::Receipt;

use crate::{
    AppState, Error, layers,
    push::{self, Push},
    status,
};

pub async fn write(State(state): State<AppState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(receipt) => push::acknowledge(&receipt),
        Err(e) => layers::plain_error(&e, status::push(&e)),
    }
}

async fn take(state: &AppState, request: Request) -> Result<Receipt, Error> {
    let push = Push::open(request)?;
    check_media(push.header(&header::CONTENT_TYPE))?;
    // The specification demands snappy, so some senders do not name it.
    let encoding = match push.header(&header::CONTENT_ENCODING) {
        "" => Encoding::Snappy,
        named => Encoding::parse(named)?,
    };
    let (tenant, sender, held) = push.read(state).await?;
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
    let wanted = "application/x-protobuf;proto=prometheus.WriteRequest (remote write 1.0)";
    Err(push::unsupported_media(value, wanted))
}
