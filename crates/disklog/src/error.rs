//! What can go wrong with a log.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::Kind;
use thiserror::Error;

use crate::Position;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Cheap to clone, since one failed commit is told to every waiter.
#[derive(Debug, Clone, Error)]
pub enum Error {
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// Writing failed and so did both ways of undoing it. The only error after which the frame may be found
    /// in the log again, once the process was restarted before the disk healed.
    #[error("{cause}; undoing it did not work either ({undo}), the frame may come back after a restart")]
    Undetermined { cause: Box<Error>, undo: Box<Error> },
    #[error("{path} is damaged at byte {offset}: {reason}")]
    Corrupt { path: PathBuf, offset: u64, reason: String },
    #[error(
        "{path} has format version {found}, this version reads up to {known}: open it with the newer one"
    )]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
    #[error("frame of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge { bytes: usize, limit: usize },
    #[error("position {position} lies before the log, which begins at {first}")]
    Gone { position: Position, first: Position },
    #[error("{dir} is in use by another process")]
    Locked { dir: PathBuf },
    #[error("{field} {value} is not valid: {reason}")]
    Option { field: &'static str, value: u64, reason: &'static str },
    #[error("the log is closed")]
    Closed,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Io { .. } | Error::Undetermined { .. } | Error::Closed => Kind::Unavailable,
            Error::Corrupt { .. } => Kind::Corrupt,
            Error::NewerFormat { .. } | Error::Option { .. } => Kind::Invalid,
            Error::TooLarge { .. } => Kind::Limited,
            Error::Gone { .. } => Kind::NotFound,
            Error::Locked { .. } => Kind::Conflict,
        }
    }

    /// Whether the disk (or its quota) is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Error::Undetermined { cause, .. } => cause.is_disk_full(),
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source: Arc::new(source) }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, reason: impl Into<String>) -> Error {
        Error::Corrupt { path: path.to_owned(), offset, reason: reason.into() }
    }
}
