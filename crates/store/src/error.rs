//! What can go wrong inside the store, and which kind each is.

use base::Kind;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("reading or writing the write-ahead log: {0}")]
    Log(#[from] disklog::Error),
    #[error("segment {path}: {source}")]
    Segment { path: String, source: segment::Error },
    #[error("object {path}: {source}")]
    Object { path: String, source: object_store::Error },
    #[error("{action} {path}: {source}")]
    File { action: &'static str, path: String, source: std::io::Error },
    /// Bytes at rest that do not say what they should. The message names the object and what to do.
    #[error("{0}")]
    Corrupt(String),
    /// Data written by a newer version. The message says what to do.
    #[error("{0}")]
    FutureVersion(String),
    /// What was named is not there. The message says what was looked for and what to name instead.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else changed what this change was built on.
    #[error("{0}")]
    Conflict(String),
    /// The node cannot take this now; `limit` is the name of the limit that says so.
    #[error("{message}")]
    Refused { limit: Option<&'static str>, message: String },
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Log(e) => e.kind(),
            Error::Segment { source, .. } => source.kind(),
            Error::Object { source: object_store::Error::NotFound { .. }, .. } => Kind::NotFound,
            Error::NotFound(_) => Kind::NotFound,
            Error::Object { .. } | Error::File { .. } | Error::Refused { .. } => Kind::Unavailable,
            Error::Corrupt(_) | Error::FutureVersion(_) => Kind::Corrupt,
            Error::Conflict(_) => Kind::Conflict,
            Error::Internal(_) => Kind::Internal,
        }
    }

    pub(crate) fn object(path: &object_store::path::Path, source: object_store::Error) -> Self {
        Error::Object { path: path.to_string(), source }
    }

    pub(crate) fn file(action: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Error::File { action, path: path.display().to_string(), source }
    }
}

impl From<Error> for contract::Error {
    fn from(e: Error) -> Self {
        let limit = if let Error::Refused { limit, .. } = &e { *limit } else { None };
        contract::Error { kind: e.kind(), message: e.to_string(), limit }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
