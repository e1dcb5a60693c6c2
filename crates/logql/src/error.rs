//! What can go wrong with a query.

use std::{fmt, ops::Range};

use base::Kind;
use model::Labels;
use thiserror::Error;

/// Where and why a text is not LogQL.
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
    /// In Loki's words, which clients show as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "parse error : {}", self.message)
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
    /// A line of a metric query carries an error of the pipeline. The advice is Loki's, since dashboards and
    /// people look for it.
    #[error(
        "pipeline error: '{name}' for series: '{series}'.\n\
         Use a label filter to intentionally skip this error. (e.g | __error__!=\"{name}\").\n\
         To skip all potential errors you can match empty errors.(e.g __error__=\"\")\n\
         The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
    )]
    Pipeline { name: String, series: Labels },
    /// Part of the language this version does not evaluate.
    #[error("not yet supported: {0}")]
    NotYetSupported(String),
    /// A limit of the query was reached.
    #[error("{message} ({limit})")]
    Limited { limit: &'static str, message: String },
    #[error(transparent)]
    Select(#[from] contract::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Parse(_) | Error::Invalid(_) | Error::Pipeline { .. } | Error::NotYetSupported(_) => {
                Kind::Invalid
            }
            Error::Limited { .. } => Kind::Limited,
            Error::Select(e) => e.kind(),
        }
    }

    pub(crate) fn too_many_bytes(max: u64) -> Self {
        let message = format!("the query would read more than {max} bytes");
        Error::Limited { limit: "query.max_bytes", message }
    }

    pub(crate) fn too_many_series(max: u64) -> Self {
        let message = format!("maximum number of series ({max}) reached for a single query");
        Error::Limited { limit: "query.max_series", message }
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
