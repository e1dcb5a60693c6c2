//! What can go wrong while evaluating.

use base::{Kind, memory::OverLimit};
use thiserror::Error;

#[derive(Debug, Clone, Error)]
pub enum Error {
    /// The query asks for something that has no answer on this data, e.g. many-to-many matching.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Memory(#[from] OverLimit),
    /// A limit with a configuration name was reached.
    #[error("{limit} of {max} is reached: {what}")]
    Limited { limit: &'static str, max: u64, what: String },
    #[error("the query did not finish within its timeout (query.timeout)")]
    Timeout,
    #[error("the query was cancelled")]
    Cancelled,
}

impl Error {
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::Invalid(message.into())
    }

    pub fn kind(&self) -> Kind {
        match self {
            Error::Invalid(_) => Kind::Invalid,
            Error::Memory(_) => Kind::Unavailable,
            Error::Limited { .. } => Kind::Limited,
            Error::Timeout => Kind::Timeout,
            Error::Cancelled => Kind::Unavailable,
        }
    }

    /// The configuration name of the limit that was reached, if one was.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Error::Invalid(_) | Error::Cancelled => None,
            Error::Memory(_) => Some("memory.limit"),
            Error::Limited { limit, .. } => Some(limit),
            Error::Timeout => Some("query.timeout"),
        }
    }
}
