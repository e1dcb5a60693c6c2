//! The blob `blocks`: what the rows of a page have in common, so that pages are left out unread.
//!
//! ```text
//! | rows of a block u32 | block ... |
//!   block = | first start i64 | last start i64 | shortest i64 | longest i64 | statuses u8 | kinds u8 |
//! ```
//! Integers little-endian; times in nanoseconds; a bit of `statuses` and `kinds` is set for each OTLP number that is
//! there. Segments without the blob were written before there was one.

use contract::{Comparison, SpanCondition, SpanField, SpanTest, SpanValue};
use model::{Span, SpanKind, StatusCode};

use super::Selection;
use crate::{
    Result,
    file::{File, blob::Blob},
};

const BLOB: &str = "blocks";
const BLOCK: usize = 34;

/// What one block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    first: i64,
    last: i64,
    shortest: i64,
    longest: i64,
    statuses: u8,
    kinds: u8,
}

impl Held {
    const NOTHING: Held = Held {
        first: i64::MAX,
        last: i64::MIN,
        shortest: i64::MAX,
        longest: i64::MIN,
        statuses: 0,
        kinds: 0,
    };

    fn add(&mut self, s: &Span) {
        let duration = s.duration_ns();
        (self.first, self.last) = (self.first.min(s.start_ns), self.last.max(s.start_ns));
        (self.shortest, self.longest) = (self.shortest.min(duration), self.longest.max(duration));
        self.statuses |= 1 << (s.status.code as u8);
        self.kinds |= kind_bit(s.kind);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for word in [self.first, self.last, self.shortest, self.longest] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&[self.statuses, self.kinds]);
    }

    fn decode(bytes: &[u8; BLOCK]) -> Held {
        let (words, flags) = bytes.as_chunks::<8>();
        let word = |i: usize| words.get(i).map_or(0, |w| i64::from_le_bytes(*w));
        let flag = |i: usize| flags.get(i).copied().unwrap_or_default();
        Held {
            first: word(0),
            last: word(1),
            shortest: word(2),
            longest: word(3),
            statuses: flag(0),
            kinds: flag(1),
        }
    }

    /// Whether a row of the block may be selected.
    fn may_match(&self, s: &Selection) -> bool {
        let error = 1 << (StatusCode::Error as u8);
        self.first < s.range.end.0
            && self.last >= s.range.start.0
            && s.min_duration_ns.is_none_or(|d| self.longest >= d)
            && s.max_duration_ns.is_none_or(|d| self.shortest <= d)
            && s.kind.is_none_or(|k| self.kinds & kind_bit(k) != 0)
            && s.error.is_none_or(|e| self.statuses & if e { error } else { !error } != 0)
            && (s.any_of.is_empty() || s.any_of.iter().any(|all| all.iter().all(|c| self.may_meet(c))))
    }

    fn may_meet(&self, c: &SpanCondition) -> bool {
        let SpanTest::Is(how, value) = &c.test else { return true };
        let has = |there: u8, wanted: u8| match how {
            Comparison::Equal => there & wanted != 0,
            Comparison::NotEqual => there & !wanted != 0,
            _ => false,
        };
        match (&c.field, value) {
            (SpanField::Status, SpanValue::Status(code)) => has(self.statuses, 1 << (*code as u8)),
            (SpanField::Kind, SpanValue::Kind(kind)) => has(self.kinds, kind_bit(*kind)),
            (SpanField::Duration, SpanValue::Int(d)) => match how {
                Comparison::Equal => self.shortest <= *d && *d <= self.longest,
                Comparison::NotEqual => self.shortest != *d || self.longest != *d,
                Comparison::Less => self.shortest < *d,
                Comparison::LessOrEqual => self.shortest <= *d,
                Comparison::Greater => self.longest > *d,
                Comparison::GreaterOrEqual => self.longest >= *d,
            },
            _ => true,
        }
    }
}

fn kind_bit(kind: SpanKind) -> u8 {
    1 << (kind.number() as u8 & 7)
}

/// Collects blocks in the order of rows.
pub(super) struct Builder {
    rows_of_block: usize,
    rows: usize,
    held: Vec<Held>,
}

impl Builder {
    pub fn new(rows_of_block: usize) -> Self {
        Builder { rows_of_block: rows_of_block.max(1), rows: 0, held: Vec::new() }
    }

    pub fn add(&mut self, s: &Span) {
        if self.rows.is_multiple_of(self.rows_of_block) {
            self.held.push(Held::NOTHING);
        }
        self.rows += 1;
        if let Some(last) = self.held.last_mut() {
            last.add(s);
        }
    }

    /// By start, first and last; `None` where there is no row.
    pub fn bounds(&self) -> Option<(i64, i64)> {
        let first = self.held.iter().map(|h| h.first).min()?;
        Some((first, self.held.iter().map(|h| h.last).max()?))
    }

    pub fn finish(self) -> Blob {
        let mut bytes = (self.rows_of_block as u32).to_le_bytes().to_vec();
        self.held.iter().for_each(|h| h.encode(&mut bytes));
        Blob::whole(BLOB, bytes)
    }
}

/// The blocks of a segment.
#[derive(Debug)]
pub(super) struct Blocks {
    rows_of_block: usize,
    held: Vec<Held>,
}

impl Blocks {
    /// `None` where the segment has no such blob.
    pub async fn read(file: &File, rows: usize) -> Result<Option<Self>> {
        let Some(bytes) = file.blob(BLOB).await? else { return Ok(None) };
        let decoded = bytes.split_first_chunk::<4>().and_then(|(size, rest)| {
            let rows_of_block = u32::from_le_bytes(*size) as usize;
            let (blocks, left) = rest.as_chunks::<BLOCK>();
            let fits = left.is_empty() && rows_of_block > 0 && blocks.len() == rows.div_ceil(rows_of_block);
            fits.then(|| Blocks { rows_of_block, held: blocks.iter().map(Held::decode).collect() })
        });
        decoded.map(Some).ok_or_else(|| file.corrupt("a block for each page of rows in the blob blocks"))
    }

    pub fn heap_bytes(&self) -> usize {
        self.held.len() * size_of::<Held>()
    }

    /// The parts of a range of rows that may have what is selected, ascending.
    pub fn within<'a>(
        &'a self,
        rows: std::ops::Range<usize>,
        s: &'a Selection,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        let size = self.rows_of_block;
        (rows.start / size..rows.end.div_ceil(size))
            .filter(|b| self.held.get(*b).is_some_and(|h| h.may_match(s)))
            .map(move |b| rows.start.max(b * size)..rows.end.min((b + 1) * size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TimeRange;

    #[test]
    fn a_block_comes_back_and_says_what_it_may_have() {
        let mut h = Held::NOTHING;
        let span = |start_ns, end_ns, kind| Span { start_ns, end_ns, kind, ..Span::default() };
        h.add(&span(10, 15, SpanKind::Server));
        h.add(&span(-3, 97, SpanKind::Client));
        let mut bytes = Vec::new();
        h.encode(&mut bytes);
        let bytes: [u8; BLOCK] = bytes.try_into().unwrap();
        assert_eq!(Held::decode(&bytes), h);
        assert_eq!((h.first, h.last, h.shortest, h.longest), (-3, 10, 5, 100));
        let with = |field, how, v| Selection {
            any_of: [vec![SpanCondition::new(field, SpanTest::Is(how, v))]].into(),
            ..Selection::new(TimeRange::ALL)
        };
        let may = |field, how, v| h.may_match(&with(field, how, v));
        assert!(may(SpanField::Duration, Comparison::Greater, SpanValue::Int(99)));
        assert!(!may(SpanField::Duration, Comparison::Greater, SpanValue::Int(100)));
        assert!(may(SpanField::Kind, Comparison::Equal, SpanValue::Kind(SpanKind::Client)));
        assert!(!may(SpanField::Kind, Comparison::Equal, SpanValue::Kind(SpanKind::Producer)));
        assert!(!may(SpanField::Status, Comparison::NotEqual, SpanValue::Status(StatusCode::Unset)));
    }
}
