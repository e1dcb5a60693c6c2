//! What can go wrong with a search.

use base::Kind;
use thiserror::Error;

#[derive(Debug, Clone, Error)]
pub enum Error {
    /// The request is not what the language has, or asks for what is not served; `name` is Elasticsearch's.
    #[error("{reason}")]
    Request { name: &'static str, reason: String },
    /// An index that is named exactly and is not there.
    #[error("no such index [{0}]")]
    NoIndex(String),
    /// More buckets or terms than one search may make.
    #[error("{0}")]
    TooManyBuckets(String),
    #[error(transparent)]
    Select(#[from] contract::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Request { .. } => Kind::Invalid,
            Error::NoIndex(_) => Kind::NotFound,
            Error::TooManyBuckets(_) => Kind::Limited,
            Error::Select(e) => e.kind(),
        }
    }

    /// What Elasticsearch calls it, where the kind does not say so.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Error::Request { name, .. } => Some(name),
            Error::NoIndex(_) => Some("index_not_found_exception"),
            Error::TooManyBuckets(_) => Some("too_many_buckets_exception"),
            Error::Select(_) => None,
        }
    }

    /// The JSON is not what is expected at its place.
    pub fn parsing(reason: impl Into<String>) -> Self {
        Error::Request { name: "parsing_exception", reason: reason.into() }
    }

    /// A value that makes no sense, or something that is not served.
    pub fn illegal(reason: impl Into<String>) -> Self {
        Error::Request { name: "illegal_argument_exception", reason: reason.into() }
    }
}

impl From<base::memory::OverLimit> for Error {
    fn from(e: base::memory::OverLimit) -> Self {
        Error::Select(e.into())
    }
}
