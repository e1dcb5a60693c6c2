//! Bodies that cannot be read.

use base::Kind;
use thiserror::Error;

/// Why a whole body was not read. Single items that break a rule are [`crate::Refusals`] instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("{what} is not valid protobuf: {reason}")]
    Protobuf { what: &'static str, reason: String },
    #[error("{what} is not valid JSON: {reason}")]
    Json { what: &'static str, reason: String },
    #[error("{what} is not valid Thrift: {reason}")]
    Thrift { what: &'static str, reason: String },
    /// Exposition text; lines count from 1.
    #[error("line {line} of the exposition: {reason}")]
    Exposition { line: usize, reason: String },
    /// A stream selector such as `{app="a"}`; the position counts bytes from 0.
    #[error("stream labels {labels}: {reason} at byte {at}")]
    StreamLabels { labels: String, at: usize, reason: &'static str },
    /// A line of a bulk request that is no action, or that lacks its document; lines count from 1.
    #[error("malformed action/metadata line [{line}]: {reason}")]
    Bulk { line: usize, reason: String },
    /// What Elasticsearch checks before it looks at any document, in its words.
    #[error("{reason}")]
    BulkValidation { reason: String },
    #[error("more than {max} items in one bulk request")]
    BulkItems { max: usize },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::BulkItems { .. } => Kind::Limited,
            _ => Kind::Invalid,
        }
    }

    pub(crate) fn protobuf(what: &'static str, reason: impl ToString) -> Self {
        Error::Protobuf { what, reason: reason.to_string() }
    }

    pub(crate) fn thrift(what: &'static str, reason: impl ToString) -> Self {
        Error::Thrift { what, reason: reason.to_string() }
    }

    pub(crate) fn json(what: &'static str, reason: impl ToString) -> Self {
        Error::Json { what, reason: crate::text::clip_to(&reason.to_string(), 300) }
    }
}
