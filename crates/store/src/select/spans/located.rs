//! Looking traces up: in which sources they lie, and where stretches of their spans begin.

use contract::Result;
use futures::{StreamExt, stream};
use model::{TimeRange, TimestampNs};
use segment::spans::Located;

use super::{PIECE_SPANS, Place, Source, Walk};
use crate::{readers::Reader, select::Answer};

/// Segments that are looked into side by side.
const AT_ONCE: usize = 8;

impl Walk {
    /// Finds the places that have spans of the traces, forgets the others, and cuts what is left of the range so that
    /// no stretch has many more than [`PIECE_SPANS`].
    pub(super) async fn locate(&mut self) -> Result<()> {
        let Some(by_id) = &mut self.by_id else { return Ok(()) };
        by_id.ids.sort_unstable();
        by_id.ids.dedup();
        if by_id.ids.is_empty() {
            self.places.clear();
        }
        let before = self.answer.range.intersect(TimeRange::new(TimestampNs(i64::MIN), self.cursor));
        let (answer, ids) = (&self.answer, by_id.ids.as_slice());
        let places =
            std::mem::take(&mut self.places).into_iter().filter(|p| p.source.range().overlaps(before));
        let found = stream::iter(places).map(|p| located(answer, p, ids)).buffered(AT_ONCE);
        let found: Vec<(Place, usize)> = found.filter_map(futures::future::ready).collect().await;
        let total: usize = found.iter().map(|(_, spans)| spans).sum();
        self.places = found.into_iter().map(|(place, _)| place).collect();
        let mut edges = Vec::new();
        if total > PIECE_SPANS {
            let starts = self.starts(before).await?;
            edges.extend(
                starts.chunks(PIECE_SPANS).filter_map(|piece| piece.first()).map(|t| TimestampNs(*t)),
            );
            edges.dedup();
            if let Some(oldest) = edges.first_mut() {
                *oldest = before.start;
            }
        }
        if let Some(by_id) = &mut self.by_id {
            by_id.edges = Some(edges);
        }
        Ok(())
    }

    /// When the spans begin, ascending: eight bytes for each.
    async fn starts(&mut self, before: TimeRange) -> Result<Vec<i64>> {
        let ids = self.by_id.as_ref().map(|b| b.ids.as_slice()).unwrap_or_default();
        let mut starts = Vec::new();
        for place in &self.places {
            self.answer.limits.check_deadline()?;
            match (&place.source, &place.located) {
                (Source::Part(part), _) => {
                    let own = part.spans(ids).map(|(s, _)| s.start_ns);
                    starts.extend(own.filter(|t| before.contains(TimestampNs(*t))));
                }
                (Source::Segment(segment), Some(located)) => {
                    let Some(Reader::Spans(reader)) = self.answer.open(segment).await else { continue };
                    match reader.starts(located, before).await {
                        Ok(own) => starts.extend(own),
                        Err(e) => self.answer.missing(segment, &e),
                    }
                }
                _ => {}
            }
            self.held.shrink_to(0);
            self.held.grow((starts.len() * size_of::<i64>()) as u64)?;
        }
        starts.sort_unstable();
        Ok(starts)
    }
}

/// A place with some of the traces, and how many spans of them it has.
async fn located(answer: &Answer, mut place: Place, ids: &[[u8; 16]]) -> Option<(Place, usize)> {
    let spans = match &place.source {
        Source::Part(part) => part.spans(ids).count(),
        Source::Segment(segment) => {
            let Some(Reader::Spans(reader)) = answer.open(segment).await else { return None };
            let located: Located = match reader.locate(ids).await {
                Ok(located) => located,
                Err(e) => {
                    answer.missing(segment, &e);
                    return None;
                }
            };
            let spans = located.spans();
            place.located = Some(located);
            spans
        }
    };
    (spans > 0).then_some((place, spans))
}
