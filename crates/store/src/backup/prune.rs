//! Forgets old backups and deletes the pieces that only they had.

use std::collections::HashSet;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::{
    Place,
    manifest::{self, Manifest},
};
use crate::{Error, Result};

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    pub backups: Vec<String>,
    pub pieces: u64,
    pub bytes: u64,
}

/// Keeps the newest `keep` backups. A manifest goes before its pieces, so that an interruption leaves pieces nobody
/// names, never a backup without its pieces; the next run finds them.
///
/// # Errors
/// There is no backup, so it may be a directory of somebody else. One of the backups that stay cannot be read: which pieces it needs is unknown, so nothing is deleted.
pub async fn prune(place: &Place, keep: usize) -> Result<Pruned> {
    let mut ids = Manifest::ids(place).await?;
    // Somebody else's directory may have blobs of its own.
    if ids.is_empty() {
        return Err(manifest::none());
    }
    let stay = ids.split_off(ids.len().saturating_sub(keep.max(1)));
    let mut needed = HashSet::new();
    for id in &stay {
        let manifest = Manifest::read(place, id).await?;
        needed.extend(manifest.files.into_iter().flat_map(|f| f.pieces));
    }
    let mut pruned = Pruned::default();
    for id in ids {
        let path = Manifest::path(&id);
        delete(place, &path).await?;
        pruned.backups.push(id);
    }
    let dir = Path::from("blobs");
    let blobs: Vec<_> =
        place.objects.list(Some(&dir)).try_collect().await.map_err(|e| Error::object(&dir, e))?;
    for blob in blobs {
        if blob.location.filename().is_some_and(|hash| !needed.contains(hash)) {
            delete(place, &blob.location).await?;
            pruned.pieces += 1;
            pruned.bytes += blob.size;
        }
    }
    Ok(pruned)
}

async fn delete(place: &Place, path: &Path) -> Result<()> {
    match place.objects.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(e) => Err(Error::object(path, e)),
    }
}
