//! Why a whole request was not taken. Refusals of single items are in the receipt instead.

use std::time::Duration;

use base::{Kind, cap::CapError, memory::OverLimit};
use thiserror::Error;

/// What went wrong, finer than the kind, for protocols whose statuses tell these apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The body or its unpacked form is larger than allowed (HTTP 413).
    TooLarge,
    /// The content encoding or type is not one we read (HTTP 415).
    UnsupportedMedia,
    /// The body says nothing we can read (HTTP 400).
    Malformed,
    /// The body can be read, and lacks what its protocol requires (HTTP 400).
    Incomplete,
    /// No memory for it now (HTTP 429 or 503, each protocol its own).
    Overloaded,
    /// The append answered so; the kind says how.
    Append,
}

/// A refused request.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    pub cause: Cause,
    /// Lower case, with the values.
    pub message: String,
    /// The name of the limit that was reached, if one was.
    pub limit: Option<&'static str>,
    /// When to try again; present exactly where trying again may help.
    pub retry_after: Option<Duration>,
}

/// How long a sender should wait when this node is short of something. Shorter keeps a shedding node busy
/// refusing; longer makes senders' own queues overflow.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Error {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, Cause::UnsupportedMedia, message.into())
    }

    pub(crate) fn too_large(limit: &'static str, message: String) -> Self {
        Error { limit: Some(limit), ..Self::new(Kind::Limited, Cause::TooLarge, message) }
    }

    fn new(kind: Kind, cause: Cause, message: String) -> Self {
        let retry_after = kind.is_retryable().then_some(RETRY_AFTER);
        Error { kind, cause, message, limit: None, retry_after }
    }
}

impl From<CapError> for Error {
    fn from(e: CapError) -> Self {
        let message = e.to_string();
        match e {
            CapError::TooLarge { .. } => Self::too_large("ingest.max_unpacked", message),
            CapError::Malformed { .. } => Self::new(e.kind(), Cause::Malformed, message),
            CapError::UnknownEncoding(_) => Self::new(e.kind(), Cause::UnsupportedMedia, message),
        }
    }
}

impl From<wire::Error> for Error {
    fn from(e: wire::Error) -> Self {
        let message = e.to_string();
        match e {
            wire::Error::BulkItems { .. } => Self::too_large("bulk items", message),
            wire::Error::BulkValidation { .. } => Self::new(e.kind(), Cause::Incomplete, message),
            _ => Self::new(e.kind(), Cause::Malformed, message),
        }
    }
}

impl From<OverLimit> for Error {
    fn from(e: OverLimit) -> Self {
        Error {
            limit: Some("memory.limit"),
            ..Self::new(Kind::Unavailable, Cause::Overloaded, e.to_string())
        }
    }
}

impl From<contract::Error> for Error {
    fn from(e: contract::Error) -> Self {
        Error { limit: e.limit, ..Self::new(e.kind, Cause::Append, e.message) }
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(e: tokio::task::JoinError) -> Self {
        Self::new(Kind::Internal, Cause::Append, format!("the decoding task ended: {e}"))
    }
}
