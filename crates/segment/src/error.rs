//! What can go wrong with a segment.

use base::Kind;
use thiserror::Error;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Error)]
pub enum Error {
    /// The caller handed in something the format cannot hold.
    #[error("cannot write segment: {0}")]
    Invalid(String),
    /// A search is none.
    #[error("{0}")]
    Pattern(String),
    /// The object does not say what its format promises.
    #[error("segment {path} is corrupt: expected {expected}")]
    Corrupt { path: String, expected: String },
    /// The object was written by a newer version.
    #[error("segment {path} has format version {found}, this version reads up to {known}: upgrade this node")]
    Version { path: String, found: u32, known: u32 },
    #[error("reading segment {path}: {source}")]
    Store { path: String, source: object_store::Error },
    /// The Parquet writer refused what we gave it.
    #[error("encoding segment: {0}")]
    Encode(String),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Invalid(_) | Error::Pattern(_) => Kind::Invalid,
            Error::Corrupt { .. } => Kind::Corrupt,
            Error::Version { .. } => Kind::Invalid,
            Error::Store { source: object_store::Error::NotFound { .. }, .. } => Kind::NotFound,
            Error::Store { .. } => Kind::Unavailable,
            Error::Encode(_) => Kind::Internal,
        }
    }

    pub(crate) fn corrupt(path: impl ToString, expected: impl Into<String>) -> Self {
        Error::Corrupt { path: path.to_string(), expected: expected.into() }
    }
}

impl From<parquet::errors::ParquetError> for Error {
    /// Used while writing only; a reader's errors carry the path and are [`Error::Corrupt`].
    fn from(e: parquet::errors::ParquetError) -> Self {
        Error::Encode(e.to_string())
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(e: arrow::error::ArrowError) -> Self {
        Error::Encode(e.to_string())
    }
}
