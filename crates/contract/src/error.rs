//! What can go wrong at a seam.

use base::{Kind, memory::OverLimit};
use thiserror::Error;

/// An error with its kind. The message is lower case and says what was attempted with the values.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// The name of the limit that was reached (`memory.limit`, `query.max_samples`, ...), if one was.
    pub limit: Option<&'static str>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), limit: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// A limit with a name was reached.
    pub fn limited(limit: &'static str, message: impl Into<String>) -> Self {
        Error { kind: Kind::Limited, message: message.into(), limit: Some(limit) }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<OverLimit> for Error {
    fn from(e: OverLimit) -> Self {
        Error { kind: Kind::Unavailable, message: e.to_string(), limit: Some("memory.limit") }
    }
}
