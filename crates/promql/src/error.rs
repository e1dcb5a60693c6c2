//! What can go wrong between a query's text and its answer.

use std::fmt;

use base::Kind;
use thiserror::Error;

use crate::Span;

/// The text is not a valid query. Displays as Prometheus does: `<line>:<column>: parse error: <message>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    /// Byte offsets in the text; empty at the end of the text.
    pub span: Span,
    line: usize,
    column: usize,
}

impl ParseError {
    pub fn new(text: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, span.start);
        ParseError { message: message.into(), span, line, column }
    }

    /// Line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column in bytes, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Line and column (in bytes), both from 1, of a byte offset.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset.min(text.len())).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.len() - before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) + 1;
    (line, column)
}

/// Why a query has no answer.
#[derive(Debug, Clone, Error)]
pub enum Error {
    #[error("invalid parameter \"query\": {0}")]
    Parse(#[from] ParseError),
    /// The language has it, this engine not yet. `what` names it: `function holt_winters`.
    #[error("{what} is not yet supported")]
    NotYetSupported { what: String },
    /// A time, step or other parameter outside the text is not usable.
    #[error("{0}")]
    Parameter(String),
    #[error("{0}")]
    Limit(String, &'static str),
    /// Evaluation met data the query is not defined on, or a limit.
    #[error(transparent)]
    Eval(#[from] eval::Error),
    /// The data could not be read.
    #[error("{0}")]
    Select(#[from] contract::Error),
    #[error("evaluation ended unexpectedly: {0}")]
    Internal(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Parse(_) | Error::NotYetSupported { .. } | Error::Parameter(_) => Kind::Invalid,
            Error::Limit(..) => Kind::Limited,
            Error::Eval(e) => e.kind(),
            Error::Select(e) => e.kind(),
            Error::Internal(_) => Kind::Internal,
        }
    }

    /// The configuration name of the limit that was reached, if one was.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Error::Limit(_, name) => Some(name),
            Error::Eval(e) => e.limit(),
            Error::Select(e) => e.limit,
            _ => None,
        }
    }
}
