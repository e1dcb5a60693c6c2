//! Asking in SQL. The trait exists to keep a query engine and its columns (DataFusion, Arrow) out of whoever serves the
//! answer: what crosses here is text, bytes and coverage.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use model::{TimeRange, TimestampNs};
use parking_lot::Mutex;

use crate::{Coverage, QueryLimits, Result, Tenants};

/// Answers SQL over what a [`crate::Select`] holds.
///
/// Implementations MUST take statements as untrusted: only queries are answered, nothing of the host is reachable, and no
/// statement can end the process. They run on the runtime they are called on.
#[async_trait]
pub trait Sql: Send + Sync {
    /// Plans the statement and begins to answer it. An error that is known before the first row comes from here; later
    /// ones end the pieces. Work stops soon after the answer is dropped, and at the deadline of the limits at the latest,
    /// whether or not somebody takes its pieces.
    async fn query(&self, request: SqlRequest) -> Result<SqlAnswer>;
}

/// A statement, and what bounds it.
#[derive(Clone)]
pub struct SqlRequest {
    pub statement: String,
    pub tenants: Tenants,
    pub limits: QueryLimits,
    /// Nothing before this is read, whatever the statement says.
    pub from: Option<TimestampNs>,
    /// Nothing at or after this is read, whatever the statement says.
    pub to: Option<TimestampNs>,
    /// Rows of the answer. What follows them is left out, and the end says so.
    pub limit: Option<u64>,
    pub format: SqlFormat,
}

/// Who asks over a protocol whose requests whoever serves them hands on as they are (Flight SQL): an extension of each.
#[derive(Clone)]
pub struct SqlCaller {
    pub tenants: Tenants,
    pub limits: QueryLimits,
    /// To be held while the answer is made.
    pub turn: Arc<dyn Any + Send + Sync>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlFormat {
    /// Rows as JSON arrays with commas between them, without anything around all of them. Integers that a double cannot
    /// hold, decimals and numbers that are none are strings; times are RFC 3339; maps are objects.
    JsonRows,
    /// RFC 4180 with a header row. A value that is absent is an empty field, an empty text is a quoted one.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlColumn {
    pub name: String,
    /// As Arrow calls it, e.g. `Utf8`, `Int64`, `Timestamp(ns, "UTC")`.
    pub kind: String,
}

/// The time of a table that a statement reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRead {
    pub table: String,
    pub range: TimeRange,
    /// Nobody said where it begins.
    pub is_assumed: bool,
}

/// An answer that is being made.
pub struct SqlAnswer {
    pub columns: Vec<SqlColumn>,
    /// What is read, one entry for each time a table is.
    pub reads: Vec<SqlRead>,
    /// Bytes in the asked format; any number of rows in each.
    pub pieces: BoxStream<'static, Result<Vec<u8>>>,
    pub end: Arc<Mutex<SqlEnd>>,
}

/// What is known once an answer's pieces have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlEnd {
    pub rows: u64,
    /// There were more rows than the request's limit.
    pub is_cut: bool,
    pub coverage: Coverage,
}
