//! What can go wrong with a query.

use std::{fmt, ops::Range};

use base::Kind;
use thiserror::Error;

/// Where and why a text is not TraceQL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ParseError {
    pub message: String,
    /// Bytes of the query the message is about; empty at its end.
    pub span: Range<usize>,
    /// Both count from 1 and are 0 where the message is about the query as a whole.
    pub line: usize,
    pub col: usize,
}

impl ParseError {
    /// An error about `span` of `text`.
    pub fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let col = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        ParseError { message: message.into(), span, line, col }
    }

    /// An error about the query as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        ParseError { message: message.into(), span: 0..0, line: 0, col: 0 }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "parse error: {}", self.message)
        } else {
            write!(f, "parse error at line {}, col {}: {}", self.line, self.col, self.message)
        }
    }
}

#[derive(Debug, Clone, Error)]
pub enum Error {
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query is well formed but cannot be evaluated as asked.
    #[error("{0}")]
    Invalid(String),
    /// A limit of the query was reached.
    #[error("{message} ({limit})")]
    Limited { limit: &'static str, message: String },
    #[error(transparent)]
    Select(#[from] contract::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Parse(_) | Error::Invalid(_) => Kind::Invalid,
            Error::Limited { .. } => Kind::Limited,
            Error::Select(e) => e.kind(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::Invalid(message.into())
    }
}

impl From<base::memory::OverLimit> for Error {
    fn from(e: base::memory::OverLimit) -> Self {
        Error::Select(e.into())
    }
}
