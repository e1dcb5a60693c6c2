//! A trace put together as it comes, already in the form that goes out.
//!
//! ```text
//! protobuf   0a <length> <resource spans> 0a <length> …     tempopb.Trace: batches simply follow one another
//! JSON       {resource spans},{resource spans},…            what stands between the brackets of the list
//! ```
//! Of each batch only this is kept, so that a trace of many spans costs the bytes of its answer, which are accounted for
//! until the last is on its way.

use std::collections::HashSet;

use axum::body::Body;
use base::{
    MemoryBudget,
    memory::{Reservation, Use},
};
use bytes::Bytes;
use futures::stream;
use model::SpanBatch;
use prost::Message;

use super::{form::Form, otlp_json};
use crate::{Error, prom::json::Writer};

/// What a span that was seen takes in the set of them.
const SEEN_BYTES: u64 = 48;

pub(super) struct Gathered {
    form: Form,
    pieces: Vec<Bytes>,
    bytes: usize,
    /// Of the spans as they lie in memory.
    pub inspected_bytes: u64,
    seen: HashSet<([u8; 8], i64, i32)>,
    memory: Reservation,
}

impl Gathered {
    pub fn new(form: Form, budget: &MemoryBudget) -> Result<Self, Error> {
        let memory = budget.reserve(Use::Query, 0)?;
        let (pieces, seen) = (Vec::new(), HashSet::new());
        Ok(Gathered { form, pieces, bytes: 0, inspected_bytes: 0, seen, memory })
    }

    /// Adds a batch. A span that came twice (from two replicas, or sent again) counts once.
    pub fn add(&mut self, mut batch: SpanBatch) -> Result<(), Error> {
        let before = self.seen.len();
        batch.spans.retain(|s| self.seen.insert((s.span_id, s.start_ns, s.kind.number())));
        if batch.spans.is_empty() {
            return Ok(());
        }
        self.memory.grow((self.seen.len() - before) as u64 * SEEN_BYTES)?;
        self.inspected_bytes += batch.spans.iter().map(|s| s.heap_bytes() as u64).sum::<u64>();
        batch.spans.sort_by_key(|s| (s.start_ns, s.span_id));
        let message = wire::otlp::traces::encode(&batch);
        drop(batch);
        let expected = self.form.expected_bytes(message.encoded_len());
        self.memory.grow(expected)?;
        let piece = match self.form {
            // `tempopb.Trace` has its resource spans where an export request has them.
            Form::Protobuf => message.encode_to_vec(),
            Form::Json(_) => {
                let mut w = Writer::default();
                for (i, spans) in message.resource_spans.iter().enumerate() {
                    w.raw(if i > 0 || !self.pieces.is_empty() { "," } else { "" });
                    otlp_json::resource_spans(&mut w, spans);
                }
                w.0.shrink_to_fit();
                w.0
            }
        };
        match expected.checked_sub(piece.len() as u64) {
            Some(spare) => self.memory.shrink_to(self.memory.bytes() - spare),
            None => self.memory.grow(piece.len() as u64 - expected)?,
        }
        self.bytes += piece.len();
        self.pieces.push(piece.into());
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes of all that was gathered.
    pub fn len(&self) -> usize {
        self.bytes
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// A body of what stands before, what was gathered, and what stands behind.
    pub fn body(self, before: Vec<u8>, behind: Vec<u8>) -> Body {
        // The connection buffers a few of these; larger ones would leave the account before they leave the node.
        const PIECE_BYTES: usize = 64 << 10;
        let mut pieces = vec![Bytes::from(before)];
        pieces.extend(self.pieces);
        pieces.push(behind.into());
        let mut left = pieces.into_iter();
        let mut memory = self.memory;
        let mut current = Bytes::new();
        Body::from_stream(stream::iter(std::iter::from_fn(move || {
            while current.is_empty() {
                current = left.next()?;
            }
            let piece = current.split_to(current.len().min(PIECE_BYTES));
            memory.shrink_to(memory.bytes().saturating_sub(piece.len() as u64));
            Some(Ok::<_, std::convert::Infallible>(piece))
        })))
    }
}
