//! Brings a backup back.
//!
//! ```text
//! write <data_dir>/restoring (which backup)   write and sync every file   remove <data_dir>/restoring
//! ```
//! A store does not open where the marker lies, so a restore that was cut short is never taken for a store. The
//! same restore may be run again and begins anew.

use std::path::{Path as FsPath, PathBuf};

use disklog::{Disk, DiskFile};

use super::{Place, Progress, Summary, blobs, manifest::Manifest};
use crate::{Error, Result};

/// Name of the marker in the data directory.
pub const MARKER: &str = "restoring";

/// What file systems put at the top of themselves.
const LOST: &str = "lost+found";

/// Restores backup `id`, or the newest, into `data_dir`, which must be empty or absent. Every byte is proven
/// before it is written.
pub async fn restore(
    place: &Place,
    id: Option<&str>,
    data_dir: &FsPath,
    disk: &dyn Disk,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Summary> {
    let manifest = Manifest::find(place, id).await?;
    let marker = data_dir.join(MARKER);
    disk.create_dir(data_dir).map_err(|e| Error::file("making", data_dir, e))?;
    check_target(data_dir, disk, &manifest.id)?;
    let (need, free) = (manifest.bytes(), free(data_dir, disk)?);
    if need > free {
        return Err(Error::Refused {
            limit: None,
            message: format!("the backup needs {need} bytes, {free} are free at {}", data_dir.display()),
        });
    }
    write(disk, &marker, manifest.id.as_bytes())?;
    disk.sync_dir(data_dir).map_err(|e| Error::file("syncing", data_dir, e))?;
    let mut progress =
        Progress { of_files: manifest.files.len() as u64, of_bytes: need, ..Progress::default() };
    let mut dirs = std::collections::BTreeSet::new();
    for entry in &manifest.files {
        let path = data_dir.join(&entry.path);
        dirs.extend(make_parents(disk, data_dir, &path)?);
        let file = disk.create(&path).map_err(|e| Error::file("creating", &path, e))?;
        let mut at = 0;
        for (hash, len) in entry.pieces.iter().zip(blobs::lengths(entry.bytes)) {
            let bytes = blobs::get(place, hash, len, &entry.path).await?;
            file.write_at(&bytes, at).map_err(|e| Error::file("writing", &path, e))?;
            at += len;
            progress.bytes += len;
            on_progress(&progress);
        }
        file.sync().map_err(|e| Error::file("syncing", &path, e))?;
        progress.files += 1;
        on_progress(&progress);
    }
    // Names become durable before the marker goes, deepest first.
    for dir in dirs.iter().rev() {
        disk.sync_dir(dir).map_err(|e| Error::file("syncing", dir, e))?;
    }
    disk.remove(&marker).map_err(|e| Error::file("removing", &marker, e))?;
    disk.sync_dir(data_dir).map_err(|e| Error::file("syncing", data_dir, e))?;
    Ok(manifest.summary())
}

fn free(dir: &FsPath, disk: &dyn Disk) -> Result<u64> {
    disk.free_bytes(dir).map_err(|e| Error::file("asking for the free space of", dir, e))
}

/// Nothing may lie there, unless this very restore was cut short before.
fn check_target(data_dir: &FsPath, disk: &dyn Disk, id: &str) -> Result<()> {
    let names = disk.list(data_dir).map_err(|e| Error::file("listing", data_dir, e))?;
    if names.iter().any(|n| n == MARKER) {
        let path = data_dir.join(MARKER);
        let file = disk.open(&path).map_err(|e| Error::file("opening", &path, e))?;
        let mut begun = vec![0; 64];
        let n = file.read_at(&mut begun, 0).map_err(|e| Error::file("reading", &path, e))?;
        begun.truncate(n);
        let begun = String::from_utf8_lossy(&begun);
        return match begun == id || begun.is_empty() {
            true => Ok(()),
            false => Err(Error::Conflict(format!(
                "a restore of backup {begun} into {} was not finished: finish it, or empty the directory first",
                data_dir.display()
            ))),
        };
    }
    let is_store = |n: &&String| *n == "wal" || *n == "objects";
    let what = match (
        names.iter().find(is_store),
        names.iter().filter(|n| *n != LOST).min_by_key(|n| (n.starts_with('.'), *n)),
    ) {
        (None, None) => return Ok(()),
        (Some(name), _) => format!("holds a store already ({name})"),
        (None, Some(name)) => format!("is not empty ({name})"),
    };
    Err(Error::Conflict(format!(
        "{} {what}: a backup is restored into an empty directory, move this one away or name another",
        data_dir.display()
    )))
}

fn write(disk: &dyn Disk, path: &FsPath, bytes: &[u8]) -> Result<()> {
    let file: Box<dyn DiskFile> = disk.create(path).map_err(|e| Error::file("creating", path, e))?;
    file.write_at(bytes, 0).map_err(|e| Error::file("writing", path, e))?;
    file.sync().map_err(|e| Error::file("syncing", path, e))
}

/// Makes the directories between; answers them all, so that they are synced.
fn make_parents(disk: &dyn Disk, root: &FsPath, path: &FsPath) -> Result<Vec<PathBuf>> {
    let mut dirs: Vec<PathBuf> =
        path.ancestors().skip(1).take_while(|d| *d != root).map(FsPath::to_owned).collect();
    dirs.reverse();
    for dir in &dirs {
        disk.create_dir(dir).map_err(|e| Error::file("making", dir, e))?;
    }
    Ok(dirs)
}
