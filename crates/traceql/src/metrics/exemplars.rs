//! Examples of what a series counts: spread over its time, few of each piece, and always the same ones whatever the
//! order in which spans come.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use base::memory::Reservation;
use model::{AnyValue, Span};

use super::grid::Grid;
use crate::{
    Result,
    answer::MetricExemplar,
    eval::field::{Subject, hex_text},
    field::{Field, Intrinsic},
};

/// Exemplars of one piece of time.
const PER_PIECE: usize = 2;

/// By piece of time, in order of their scores.
#[derive(Default)]
pub(super) struct Exemplars(BTreeMap<usize, Vec<Kept>>);

struct Kept {
    score: u64,
    trace_id: [u8; 16],
    exemplar: MetricExemplar,
}

/// What exemplars of a query look like.
pub(super) struct Shape<'q> {
    fields: Vec<&'q Field>,
    grid: Grid,
    wanted: usize,
    pieces: usize,
}

impl<'q> Shape<'q> {
    pub fn new(fields: Vec<&'q Field>, grid: &Grid, wanted: usize) -> Self {
        let ids = [Field::Intrinsic(Intrinsic::TraceId), Field::Intrinsic(Intrinsic::SpanId)];
        let fields = fields.into_iter().filter(|f| !ids.contains(f)).collect();
        Shape { fields, grid: *grid, wanted, pieces: (wanted / PER_PIECE).max(1) }
    }

    /// What is told of each, ids apart.
    pub fn fields(&self) -> &[&'q Field] {
        &self.fields
    }

    /// Keeps the span as an example where it is among the first of its piece by score.
    pub fn offer(
        &self,
        to: &mut Exemplars,
        s: &Subject<'_>,
        value: Option<f64>,
        memory: &mut Reservation,
    ) -> Result<()> {
        if self.wanted == 0 {
            return Ok(());
        }
        let score = score(s.span);
        let piece = to.0.entry(self.piece(s.span.start_ns)).or_default();
        let before = piece.partition_point(|k| k.score < score);
        if before >= PER_PIECE || piece.iter().take(before).any(|k| k.trace_id == s.span.trace_id) {
            return Ok(());
        }
        piece.retain(|k| k.trace_id != s.span.trace_id);
        let exemplar = self.exemplar(s, value);
        let held = exemplar.labels.iter().map(|(k, v)| k.len() + v.heap_bytes() + 24).sum::<usize>();
        memory.grow((held + size_of::<Kept>()) as u64)?;
        piece.insert(before, Kept { score, trace_id: s.span.trace_id, exemplar });
        piece.truncate(PER_PIECE);
        Ok(())
    }

    fn piece(&self, at_ns: i64) -> usize {
        let range = self.grid.range();
        let width = i128::from(range.end.0) - i128::from(range.start.0);
        let at = (i128::from(at_ns) - i128::from(range.start.0)) * self.pieces as i128 / width.max(1);
        usize::try_from(at).unwrap_or_default().min(self.pieces - 1)
    }

    pub fn exemplar(&self, s: &Subject<'_>, value: Option<f64>) -> MetricExemplar {
        let mut labels: Vec<(String, AnyValue)> = vec![
            ("trace:id".to_owned(), AnyValue::String(hex_text(&s.span.trace_id))),
            ("span:id".to_owned(), AnyValue::String(hex_text(&s.span.span_id))),
        ];
        for f in &self.fields {
            labels.extend(s.get(f).filter(|v| !v.is_nil()).map(|v| (f.to_string(), v.to_any())));
        }
        let timestamp_ms = s.span.start_ns.div_euclid(1_000_000);
        MetricExemplar { labels, value: value.unwrap_or(f64::NAN), timestamp_ms }
    }

    /// Of all pieces, in order of time.
    pub fn take(&self, from: Exemplars) -> Vec<MetricExemplar> {
        let mut all: Vec<Kept> = from.0.into_values().flatten().collect();
        all.sort_by_key(|k| k.score);
        all.truncate(self.wanted);
        all.sort_by_key(|k| (k.exemplar.timestamp_ms, k.score));
        all.into_iter().map(|k| k.exemplar).collect()
    }
}

impl Exemplars {
    /// Those of another series that became part of this one.
    pub fn merge(&mut self, other: Exemplars) {
        for (piece, kept) in other.0 {
            let mine = self.0.entry(piece).or_default();
            mine.extend(kept);
            mine.sort_by_key(|k| k.score);
            mine.truncate(PER_PIECE);
        }
    }
}

fn score(span: &Span) -> u64 {
    let mut h = DefaultHasher::new();
    (span.trace_id, span.span_id).hash(&mut h);
    h.finish()
}
