//! Where backups are kept: a directory, or any object store.

use std::{path::Path as FsPath, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem};

use super::manifest;
use crate::{Error, LocalObjects, Result};

/// An open place. One writer at a time: a directory is locked while it is written to.
pub struct Place {
    pub(super) objects: Arc<dyn ObjectStore>,
    _lock: Option<Box<dyn Send + Sync>>,
}

impl Place {
    /// A directory to write to, made when absent.
    pub fn writing(dir: &FsPath) -> Result<Place> {
        std::fs::create_dir_all(dir).map_err(|e| Error::file("making", dir, e))?;
        let lock = disklog::Disk::lock(&disklog::RealDisk, dir).map_err(|e| match e.kind() {
            std::io::ErrorKind::WouldBlock => {
                Error::Conflict(format!("another backup is being written to {}", dir.display()))
            }
            _ => Error::file("locking", dir, e),
        })?;
        let objects = LocalObjects::open(dir).map_err(|e| Error::object(&"".into(), e))?;
        Ok(Place { objects: Arc::new(objects), _lock: Some(lock) })
    }

    /// A directory that keeps backups, to write to. Writing locks it, and one without any may be somebody else's.
    pub async fn with_backups(dir: &FsPath) -> Result<Place> {
        if Place::reading(dir)?.list().await?.is_empty() {
            return Err(manifest::none());
        }
        Place::writing(dir)
    }

    /// A directory to read from; nothing in it is changed.
    pub fn reading(dir: &FsPath) -> Result<Place> {
        let what = match std::fs::metadata(dir) {
            Ok(m) if m.is_dir() => None,
            Ok(_) => Some("is not a directory".to_owned()),
            Err(e) => Some(format!("cannot be read ({e})")),
        };
        if let Some(what) = what {
            return Err(Error::NotFound(format!(
                "{} {what}: name the directory that backups were written to",
                dir.display()
            )));
        }
        let objects = LocalFileSystem::new_with_prefix(dir).map_err(|e| Error::object(&"".into(), e))?;
        Ok(Place { objects: Arc::new(objects), _lock: None })
    }

    /// Any object store. Its puts must be durable when they return.
    pub fn of(objects: Arc<dyn ObjectStore>) -> Place {
        Place { objects, _lock: None }
    }
}
