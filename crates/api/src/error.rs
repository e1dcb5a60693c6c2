//! What can go wrong between a socket and an engine.

use std::net::SocketAddr;

use base::{Kind, cap::CapError, memory::OverLimit};
use ingest::Cause;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    /// A listener could not be opened; names the configuration key.
    #[error("{key}: cannot listen on {addr}: {source}")]
    Bind { key: &'static str, addr: SocketAddr, source: std::io::Error },
    /// A request that an engine, the ingest path or this crate refused.
    #[error("{message}")]
    Request { kind: Kind, message: String },
    /// The body, packed or unpacked, is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// A content type or encoding that is not read here.
    #[error("{0}")]
    UnsupportedMedia(String),
    /// A body that lacks what its protocol requires.
    #[error("{0}")]
    Incomplete(String),
    /// No memory for it now.
    #[error("{0}")]
    Overloaded(String),
    /// More queries wait than may.
    #[error(
        "query.max_concurrent {running} queries run and query.max_queued {queued} more wait: try again later"
    )]
    QueueFull { running: usize, queued: usize },
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error::Request { kind, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    pub fn kind(&self) -> Kind {
        match self {
            Error::Bind { .. } => Kind::Unavailable,
            Error::Request { kind, .. } => *kind,
            Error::TooLarge(_) => Kind::Limited,
            Error::UnsupportedMedia(_) | Error::Incomplete(_) => Kind::Invalid,
            Error::Overloaded(_) | Error::QueueFull { .. } => Kind::Unavailable,
        }
    }
}

impl From<contract::Error> for Error {
    fn from(e: contract::Error) -> Self {
        let message = match e.limit {
            Some(limit) if !e.message.contains(limit) => format!("{limit}: {}", e.message),
            _ => e.message,
        };
        Error::Request { kind: e.kind, message }
    }
}

impl From<OverLimit> for Error {
    fn from(e: OverLimit) -> Self {
        Error::Overloaded(e.to_string())
    }
}

impl From<CapError> for Error {
    fn from(e: CapError) -> Self {
        match e {
            CapError::UnknownEncoding(_) => Error::UnsupportedMedia(e.to_string()),
            CapError::TooLarge { .. } => Error::TooLarge(e.to_string()),
            CapError::Malformed { .. } => Error::invalid(e.to_string()),
        }
    }
}

impl From<ingest::Error> for Error {
    fn from(e: ingest::Error) -> Self {
        let message = match e.limit {
            Some(limit) if !e.message.contains(limit) => format!("{} ({limit})", e.message),
            _ => e.message,
        };
        match e.cause {
            Cause::TooLarge => Error::TooLarge(message),
            Cause::UnsupportedMedia => Error::UnsupportedMedia(message),
            Cause::Overloaded => Error::Overloaded(message),
            Cause::Incomplete => Error::Incomplete(message),
            Cause::Malformed | Cause::Append => Error::new(e.kind, message),
        }
    }
}

impl From<promql::Error> for Error {
    fn from(e: promql::Error) -> Self {
        let kind = match &e {
            // The query is well formed; what it met in the data makes it fail. Prometheus says 422 execution.
            promql::Error::Eval(_) if e.kind() == Kind::Invalid => Kind::Limited,
            _ => e.kind(),
        };
        let mut message = e.to_string();
        if let Some(limit) = e.limit()
            && !message.contains(limit)
        {
            message = format!("{message} ({limit})");
        }
        Error::new(kind, message)
    }
}

impl From<traceql::Error> for Error {
    fn from(e: traceql::Error) -> Self {
        match e {
            traceql::Error::Select(e) => e.into(),
            other => Error::new(other.kind(), other.to_string()),
        }
    }
}

impl From<logql::Error> for Error {
    fn from(e: logql::Error) -> Self {
        match e {
            logql::Error::Select(e) => e.into(),
            other => Error::new(other.kind(), other.to_string()),
        }
    }
}
