//! Bodies in and out. Requests are read never past a cap and never without memory set aside for them; large
//! answers keep theirs until the last piece is on its way.
//!
//! Content-Length is not trusted to be true, only to be worth refusing early. What arrives is reserved in the
//! node's budget before it is kept; at the limit the sender gets its protocol's retryable answer.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use base::{
    Kind,
    memory::{Reservation, Use},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use crate::{AppState, Error};

/// A body and the memory it occupies, given back on drop.
pub struct Held {
    pub bytes: Bytes,
    _memory: Reservation,
}

/// Growing in steps keeps the budget's counters quiet under many small chunks.
const STEP_BYTES: u64 = 64 << 10;

/// Room made at once for a body of several chunks, on the word of its sender.
const ROOM_BYTES: u64 = 1 << 20;

/// How long the rest of a refused body is waited for. Longer: slow senders get their status, and hold a
/// connection for it. Shorter: they see a broken connection.
const DISCARD_WITHIN: Duration = Duration::from_secs(2);

/// Reads the whole body of at most `limit` bytes; `name` is the limit's name, `who` whose share of the memory
/// it takes.
pub async fn read(
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    name: &'static str,
    who: Use,
) -> Result<Held, Error> {
    let too_large = || Error::TooLarge(format!("the request body is larger than {name}, {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let first = announced.unwrap_or(0).clamp(1, STEP_BYTES);
    let mut body = body;
    let whole = async {
        if announced.is_some_and(|n| n > limit as u64) {
            return Err(too_large());
        }
        let memory = state.budget.reserve(who, first)?;
        let expected = announced.unwrap_or(0).min(limit as u64).min(ROOM_BYTES) as usize;
        collect(&mut body, memory, (limit, expected), too_large).await
    };
    let outcome = match tokio::time::timeout(state.options.body_read_timeout, whole).await {
        Ok(held) => held,
        Err(_) => Err(Error::new(
            Kind::Timeout,
            format!("the request body did not arrive within {:?}", state.options.body_read_timeout),
        )),
    };
    if outcome.as_ref().is_err_and(|e| matches!(e.kind(), Kind::Unavailable | Kind::Limited)) {
        discard(body, discarded_at_most(limit)).await;
    }
    outcome
}

/// How much of a refused body is waited for where one of `limit` bytes would be read.
pub fn discarded_at_most(limit: usize) -> usize {
    limit.saturating_mul(4)
}

/// Takes the rest of a refused body without keeping it, up to `limit` bytes and a moment. A sender in the
/// middle of writing sees its connection break otherwise, and never the status that tells it to come back or
/// to give up.
pub async fn discard(mut body: Body, limit: usize) {
    let rest = async {
        let mut length = 0;
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, Bytes::len);
            if length > limit {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_WITHIN, rest).await;
}

async fn collect(
    body: &mut Body,
    mut memory: Reservation,
    (limit, expected): (usize, usize),
    too_large: impl Fn() -> Error,
) -> Result<Held, Error> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Error::invalid(format!("the request body broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(too_large());
        }
        while memory.bytes() < length as u64 {
            memory.grow(STEP_BYTES.max(length as u64 / 2))?;
        }
        // A body of one chunk, the usual case, is never copied.
        match &first {
            None => first = Some(data),
            Some(f) => {
                if rest.is_empty() {
                    rest.reserve(expected);
                    rest.extend_from_slice(f);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    let bytes = if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() };
    memory.shrink_to(bytes.len() as u64);
    Ok(Held { bytes, _memory: memory })
}

/// An answer in pieces, so that what a slow reader has not taken stays accounted for.
pub struct Outgoing {
    rest: Bytes,
    _memory: Option<Reservation>,
}

/// The connection buffers a few of these; larger pieces would leave the account before they leave the node.
const PIECE_BYTES: usize = 64 << 10;

impl Outgoing {
    pub fn body(bytes: Vec<u8>, memory: Option<Reservation>) -> Body {
        Body::new(Outgoing { rest: bytes.into(), _memory: memory })
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
