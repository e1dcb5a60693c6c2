//! What every write has in common: one tenant, a sender, a bounded body, and for senders of plain protocols
//! an acknowledgement of nothing but a status.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    response::{IntoResponse, Response},
};
use base::{Kind, memory::Use};
use forward::destination::{BATCH_HEADER, ITEMS_HEADER, STORED_HEADER, parse_batch};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ingest::{Receipt, Sender};
use model::{ClusterName, TenantId};
use net::tls::PeerIdentity;

use crate::{
    AppState, Error,
    body::{self, Held},
    tenant,
};

/// The number that a forwarding node gives to a request.
const BATCH: HeaderName = HeaderName::from_static(BATCH_HEADER);
/// How many items that node counts in it.
const ITEMS: HeaderName = HeaderName::from_static(ITEMS_HEADER);
/// How many items of a write are stored, where others were refused: a status alone cannot say it.
const STORED: HeaderName = HeaderName::from_static(STORED_HEADER);

/// A write whose head is known to be good, before its body is read.
pub struct Push {
    tenant: TenantId,
    sender: Sender,
    headers: HeaderMap,
    incoming: Body,
}

impl Push {
    /// Takes the head of a write: its tenant, its sender, and whatever `check` reads from its headers. When
    /// one of them is refused, the body is taken off the connection before the answer goes out: its sender
    /// may be in the middle of writing, and would see the connection break instead of the status.
    pub async fn open<T>(
        state: &AppState,
        request: Request,
        check: impl FnOnce(&HeaderMap) -> Result<T, Error>,
    ) -> Result<(Self, T), Error> {
        let (head, incoming) = request.into_parts();
        let identity = head.extensions.get::<PeerIdentity>();
        let checked =
            check(&head.headers).and_then(|c| Ok((c, tenant::for_write(&head.headers)?, proved(identity)?)));
        let (checked, tenant, cluster) = match checked {
            Ok(good) => good,
            Err(e) => {
                body::discard(incoming, body::discarded_at_most(state.ingest.max_body_bytes())).await;
                return Err(e);
            }
        };
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
        let sender = Sender {
            addr: peer.map(|p| p.0.ip().to_string()).unwrap_or_default(),
            user_agent: header_text(&head.headers, &header::USER_AGENT).to_owned(),
            cluster,
            batch: parse_batch(header_text(&head.headers, &BATCH)),
            items: header_text(&head.headers, &ITEMS).parse().ok(),
        };
        Ok((Push { tenant, sender, headers: head.headers, incoming }, checked))
    }

    /// Reads the body under admission's own limit.
    pub async fn read(self, state: &AppState) -> Result<(TenantId, Sender, Held), Error> {
        let limit = state.ingest.max_body_bytes();
        let held =
            body::read(state, &self.headers, self.incoming, limit, "ingest.max_body", Use::Ingest).await?;
        Ok((self.tenant, self.sender, held))
    }
}

/// The cluster whose telemetry the sender may bring, where its certificate names one.
fn proved(identity: Option<&PeerIdentity>) -> Result<Option<ClusterName>, Error> {
    let named = identity.and_then(|i| i.cluster.as_deref());
    named
        .map(ClusterName::new)
        .transpose()
        .map_err(|e| Error::new(Kind::Denied, format!("the certificate's {e}")))
}

/// A header's text, empty where absent or not ASCII.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// The error for a content type nobody reads here.
pub fn unsupported_media(value: &str, wanted: &str) -> Error {
    let value: String = value.chars().take(100).collect();
    Error::UnsupportedMedia(format!("content type {value:?} is not supported, use {wanted}"))
}

/// 204, or 400 with what was refused; what was not refused is stored either way.
pub fn acknowledge(receipt: &Receipt) -> Response {
    match refusals(receipt) {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(text) => {
            let mut response = (StatusCode::BAD_REQUEST, text).into_response();
            response.headers_mut().insert(STORED, HeaderValue::from(receipt.accepted_items()));
            response
        }
    }
}

/// What was refused of a write and why, a line for each reason; none where nothing was.
pub fn refusals(receipt: &Receipt) -> Option<String> {
    if receipt.refused.is_empty() {
        return None;
    }
    let (refused, stored) = (receipt.refused_items(), receipt.accepted_items());
    let mut text = format!("{refused} items refused, {stored} stored:\n");
    for r in &receipt.refused {
        text.push_str(&format!("{} {}: {}\n", r.count, r.reason.as_str(), r.detail));
    }
    Some(text)
}
