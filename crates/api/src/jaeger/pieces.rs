//! Spans of traces sent in pieces: one trace after the other, a large one in several messages, none of them larger than
//! clients take. What is read is held for a few traces at a time, and of a single trace as it is stored not even that.

use std::collections::HashSet;

use futures::StreamExt;
use model::{SpanBatch, TimeRange};
use proto::otlp::trace::TracesData;
use tokio::sync::mpsc;

use super::{
    adjust::adjust,
    gathered::{self, SpanKey},
    reads::{Reads, grow_to},
    tags,
};
use crate::{Error, coverage};

/// Bytes of spans in one message, as they are held. Larger: gRPC refuses 4 MiB unless told otherwise. Smaller: more
/// messages, each with the resources of its spans.
const PIECE_BYTES: usize = 1 << 20;
/// Traces that are read at once. Larger: more is held. Smaller: peers are asked more often.
const GROUP: usize = 32;

/// The traces to send.
pub(super) struct Wanted {
    pub ids: Vec<[u8; 16]>,
    pub range: TimeRange,
    /// As stored.
    pub raw: bool,
}

/// Where messages go; at the other end somebody reads them or is gone.
pub(super) struct Outlet<T>(pub mpsc::Sender<T>);

impl<T> Outlet<T> {
    pub async fn send(&self, message: T) -> Result<(), Error> {
        self.0.send(message).await.map_err(|_| Error::unavailable("the client is gone"))
    }
}

impl Reads {
    /// Reads a few traces at a time and hands each over whole, in no promised order.
    pub async fn each_trace<F>(
        &mut self,
        wanted: &Wanted,
        mut with: impl FnMut([u8; 16], SpanBatch) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        for group in wanted.ids.chunks(GROUP) {
            let mut memory = self.reserve()?;
            let traces = self.traces(group, wanted.range, &mut memory, 1).await?;
            for (id, mut batch) in traces.newest_first() {
                if !wanted.raw {
                    adjust(&mut batch);
                }
                self.mark(&mut batch);
                with(id, batch).await?;
            }
        }
        Ok(())
    }

    /// Sends traces; whether there was any span.
    pub async fn send(&mut self, wanted: &Wanted, to: &Outlet<TracesData>) -> Result<bool, Error> {
        if let ([id], true) = (wanted.ids.as_slice(), wanted.raw) {
            return self.send_as_it_comes(*id, wanted.range, to).await;
        }
        let mut any = false;
        self.each_trace(wanted, |_, batch| {
            any = true;
            async move {
                for piece in pieces(batch) {
                    to.send(message(&piece)).await?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(any)
    }

    /// One trace as it is stored. The last piece is held back until it is known whether anything is missing.
    async fn send_as_it_comes(
        &mut self,
        id: [u8; 16],
        range: TimeRange,
        to: &Outlet<TracesData>,
    ) -> Result<bool, Error> {
        let mut found = self.spans(&[id], range).await?;
        let (mut seen, mut memory) = (HashSet::<SpanKey>::new(), self.reserve()?);
        let mut held: Option<SpanBatch> = None;
        while let Some(batch) = found.items.next().await {
            let mut batch = batch?;
            batch.spans.retain(|s| seen.insert(gathered::key(s)));
            grow_to(&mut memory, (seen.len() * 2 * std::mem::size_of::<SpanKey>()) as u64)?;
            for piece in pieces(batch) {
                if let Some(ready) = held.replace(piece) {
                    to.send(message(&ready)).await?;
                }
            }
        }
        self.coverage.merge(found.coverage());
        let Some(mut last) = held else { return Ok(false) };
        self.mark(&mut last);
        to.send(message(&last)).await?;
        Ok(true)
    }

    /// Says in a span of a trace that some of it may be missing.
    fn mark(&self, batch: &mut SpanBatch) {
        let Some(first) = batch.spans.first_mut() else { return };
        for why in coverage::warnings(&self.coverage) {
            tags::warn(first, why);
        }
    }
}

fn message(batch: &SpanBatch) -> TracesData {
    TracesData { resource_spans: wire::otlp::traces::encode(batch).resource_spans }
}

/// A batch in parts of at most [`PIECE_BYTES`], or of one span.
fn pieces(batch: SpanBatch) -> impl Iterator<Item = SpanBatch> {
    let SpanBatch { origins, spans } = batch;
    let mut spans = spans.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut piece = SpanBatch { origins: origins.clone(), spans: vec![spans.next()?] };
        let mut bytes = piece.spans.first().map_or(0, |s| s.heap_bytes());
        while let Some(next) = spans.next_if(|s| bytes + s.heap_bytes() <= PIECE_BYTES) {
            bytes += next.heap_bytes();
            piece.spans.push(next);
        }
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use model::Span;

    use super::*;

    #[test]
    fn pieces_hold_every_span_once_and_none_is_too_large() {
        let spans: Vec<Span> = (0..3000u64)
            .map(|i| Span { span_id: i.to_be_bytes(), name: "x".repeat(1000), ..Span::default() })
            .collect();
        let batch = SpanBatch { origins: vec![Default::default()], spans: spans.clone() };
        let all: Vec<SpanBatch> = pieces(batch).collect();
        assert!(all.len() > 2);
        for piece in &all {
            assert!(piece.spans.iter().map(Span::heap_bytes).sum::<usize>() <= PIECE_BYTES);
        }
        assert_eq!(all.into_iter().flat_map(|p| p.spans).collect::<Vec<_>>(), spans);
        let huge = Span { name: "x".repeat(2 * PIECE_BYTES), ..Span::default() };
        let batch = SpanBatch { origins: vec![Default::default()], spans: vec![huge.clone(), huge] };
        assert_eq!(pieces(batch).count(), 2);
    }
}
