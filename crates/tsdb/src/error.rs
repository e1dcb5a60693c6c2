//! What can be wrong with a block.

use std::path::{Path, PathBuf};

use base::Kind;
use thiserror::Error;

/// What is wrong with bytes, said without knowing which file they are from.
pub type Fault = &'static str;

#[derive(Debug, Error)]
pub enum Error {
    #[error("{action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} at byte {offset}: {what}")]
    Corrupt { path: PathBuf, offset: u64, what: String },
    #[error("{path}: {what}")]
    Unsupported { path: PathBuf, what: String },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::NotFound,
            Error::Io { .. } => Kind::Unavailable,
            Error::Corrupt { .. } => Kind::Corrupt,
            Error::Unsupported { .. } => Kind::Invalid,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), offset, what: what.into() }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
