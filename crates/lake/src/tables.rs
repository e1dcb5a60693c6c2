//! The tables: what their columns are, and how what a `Select` gives becomes columns.
//!
//! ```text
//! logs      a row per record   newest first
//! metrics   a row per sample   by series; markers that end a series are no rows
//! spans     a row per span     no order
//! ```
//! What producers send has keys of any name, and of one type here and of another there, so attributes are maps.
//! `attributes` holds every value as text, `attributes_number` those that are numbers, and `attributes_type` says of each
//! what it was: a key that is a number in one service and a text in another is asked for as either.

mod logs;
mod maps;
mod metrics;
mod spans;

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use contract::SeriesData;
use datafusion::arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use model::{LogBatch, SpanBatch};

pub(crate) use self::spans::parts as span_parts;
use crate::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Logs,
    Metrics,
    Spans,
}

impl Table {
    pub(crate) const ALL: [Table; 3] = [Table::Logs, Table::Metrics, Table::Spans];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Logs => "logs",
            Table::Metrics => "metrics",
            Table::Spans => "spans",
        }
    }

    pub(crate) fn schema(self) -> SchemaRef {
        static LOGS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(logs::fields())));
        static METRICS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(metrics::fields())));
        static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(spans::fields())));
        match self {
            Table::Logs => LOGS.clone(),
            Table::Metrics => METRICS.clone(),
            Table::Spans => SPANS.clone(),
        }
    }
}

/// A piece of a selection that becomes rows.
pub(crate) trait Piece: Send + Sync + 'static {
    /// Rows, those included that do not count.
    fn len(&self) -> usize;

    /// When a row was, in nanoseconds; `None` where it is no row of the table.
    fn time_of(&self, row: usize) -> Option<i64>;

    /// Roughly the bytes that a row becomes.
    fn cost(&self, row: usize) -> usize;

    /// One column of these rows.
    fn column(&self, column: usize, rows: &[usize]) -> Result<ArrayRef, Error>;
}

macro_rules! piece {
    ($kind:ty, $module:ident) => {
        impl Piece for $kind {
            fn len(&self) -> usize {
                $module::len(self)
            }

            fn time_of(&self, row: usize) -> Option<i64> {
                $module::time_of(self, row)
            }

            fn cost(&self, row: usize) -> usize {
                $module::cost(self, row)
            }

            fn column(&self, column: usize, rows: &[usize]) -> Result<ArrayRef, Error> {
                $module::column(self, column, rows)
            }
        }
    };
}

piece!(LogBatch, logs);
piece!(SeriesData, metrics);
piece!(SpanBatch, spans);

/// Rows of a record batch at most, as the engine has it by default.
const MAX_ROWS: usize = 8192;
/// Bytes of a record batch at which no row is added any more.
const MAX_BYTES: usize = 4 << 20;

/// The next rows that make a record batch: where they end, and those in the range that count.
pub(crate) fn next_rows<P: Piece>(
    piece: &P,
    from: usize,
    most: usize,
    range: &Range<i64>,
) -> (usize, Vec<usize>) {
    let (mut rows, mut bytes, mut at) = (Vec::new(), 0usize, from);
    while at < piece.len() && rows.len() < MAX_ROWS.min(most) && bytes < MAX_BYTES {
        // The condition on time is taken from the engine, so it is kept here, whoever was asked.
        if piece.time_of(at).is_some_and(|t| range.contains(&t)) {
            bytes = bytes.saturating_add(piece.cost(at));
            rows.push(at);
        }
        at += 1;
    }
    (at, rows)
}

fn time(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), is_nullable)
}

const UTC: &str = "UTC";

/// Text that is always there.
fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

/// Text that is null where nobody said it.
fn said(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

/// A column that does not exist was asked for.
fn no_such(table: Table, column: usize) -> Error {
    Error::Internal(format!("table {} has no column {column}", table.name()))
}

/// Lower-case hexadecimal digits, null where the id is none.
fn hex(id: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    id.iter().any(|b| *b != 0).then(|| {
        id.iter().fold(String::with_capacity(id.len() * 2), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        })
    })
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
