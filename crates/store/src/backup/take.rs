//! Takes a backup.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path as FsPath, PathBuf},
};

use base::Clock;
use bytes::Bytes;

use super::{
    Place, Progress, Summary, blobs,
    manifest::{FileEntry, Manifest, id_of},
    snapshot::{self, Snapshot},
};
use crate::{Error, Result};

/// How often a backup begins anew because the node merged or expired segments while they were copied. What was
/// copied stays, so each time less is left.
const ATTEMPTS: usize = 20;

/// A backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Taken {
    #[serde(flatten)]
    pub summary: Summary,
    /// Bytes stored by this backup; the rest was there.
    pub new_bytes: u64,
    /// Catalog version of each tenant and signal.
    pub catalogs: Vec<(String, u64)>,
}

/// Backs up the store in `data_dir`, of a node that may run. The backup exists once this returns `Ok`; whatever
/// was copied before an error makes the next one shorter.
pub async fn take(
    data_dir: &FsPath,
    place: &Place,
    clock: &Clock,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Taken> {
    let known = match Manifest::ids(place).await?.last() {
        // A damaged manifest must not keep a sound backup from being taken.
        Some(id) => Manifest::read(place, id).await.map(|m| m.files).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut copier = Copier {
        data_dir,
        place,
        known: known.into_iter().map(|f| (f.path.clone(), f)).collect(),
        progress: Progress::default(),
        new_bytes: 0,
    };
    for _ in 0..ATTEMPTS {
        let snapshot = snapshot::read(data_dir, clock).await?;
        let catalogs = snapshot.catalogs.iter().map(|(name, s)| (name.clone(), s.version)).collect();
        let (taken_ns, log) = (clock.now_ns(), snapshot.log.clone());
        let Some(files) = copier.copy(snapshot, &mut on_progress).await? else { continue };
        let manifest = Manifest { id: id_of(taken_ns), taken_ns, log, files };
        manifest.write(place).await?;
        return Ok(Taken { summary: manifest.summary(), new_bytes: copier.new_bytes, catalogs });
    }
    Err(Error::Conflict(format!(
        "segments in {} went away {ATTEMPTS} times while they were copied: the next backup goes on from what was copied",
        data_dir.display()
    )))
}

struct Copier<'a> {
    data_dir: &'a FsPath,
    place: &'a Place,
    /// What the place holds already, by path; objects are immutable and their names unique.
    known: HashMap<String, FileEntry>,
    progress: Progress,
    new_bytes: u64,
}

impl Copier<'_> {
    /// `None` when an object is gone because a newer catalog no longer names it.
    async fn copy(
        &mut self,
        snapshot: Snapshot,
        on_progress: &mut impl FnMut(&Progress),
    ) -> Result<Option<Vec<FileEntry>>> {
        let of = |n: &Option<u64>| n.unwrap_or(0);
        self.progress = Progress {
            of_files: (snapshot.open.len() + snapshot.objects.len()) as u64,
            of_bytes: snapshot.open.iter().map(|f| f.2).sum::<u64>()
                + snapshot.objects.iter().map(|o| of(&o.1)).sum::<u64>(),
            ..Progress::default()
        };
        let mut files = Vec::new();
        for (path, named) in snapshot.objects {
            if let Some(entry) = self.held(&path, named).await? {
                self.progress.bytes += entry.bytes;
                files.push(entry);
            } else {
                let whole = self.data_dir.join(&path);
                let file = match File::open(&whole) {
                    Ok(file) => file,
                    // Ids past their horizon are deleted while the catalog still names them.
                    Err(e) if e.kind() == io::ErrorKind::NotFound && named.is_none() => continue,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(e) => return Err(Error::file("opening", &whole, e)),
                };
                let len = file.metadata().map_err(|e| Error::file("reading the length of", &whole, e))?.len();
                if let Some(named) = named.filter(|n| *n != len) {
                    return Err(Error::Corrupt(format!(
                        "{} has {len} bytes, its catalog says {named}: it is damaged and was not backed up",
                        whole.display()
                    )));
                }
                let entry = self.file(path, file, len, on_progress).await?;
                self.known.insert(entry.path.clone(), entry.clone());
                files.push(entry);
            }
            self.progress.files += 1;
            on_progress(&self.progress);
        }
        for (path, file, len) in snapshot.open {
            files.push(self.file(path, file, len, on_progress).await?);
            self.progress.files += 1;
            on_progress(&self.progress);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(files))
    }

    /// An object that an earlier backup has, if every piece of it is still there.
    async fn held(&self, path: &str, named: Option<u64>) -> Result<Option<FileEntry>> {
        let Some(entry) = self.known.get(path).filter(|e| named.is_none_or(|n| n == e.bytes)) else {
            return Ok(None);
        };
        for (hash, len) in entry.pieces.iter().zip(blobs::lengths(entry.bytes)) {
            if !blobs::has(self.place, hash, len).await? {
                return Ok(None);
            }
        }
        Ok(Some(entry.clone()))
    }

    async fn file(
        &mut self,
        path: String,
        file: File,
        len: u64,
        on_progress: &mut impl FnMut(&Progress),
    ) -> Result<FileEntry> {
        let file = std::sync::Arc::new(file);
        let whole = self.data_dir.join(&path);
        let mut named = NamedHash::of(&path);
        let (mut pieces, mut at) = (Vec::new(), 0);
        for piece in blobs::lengths(len) {
            let bytes = read(file.clone(), whole.clone(), at, piece).await?;
            named.update(&bytes);
            at += piece;
            let (hash, new) = blobs::put(self.place, bytes).await?;
            self.new_bytes += if new { piece } else { 0 };
            self.progress.bytes += piece;
            pieces.push(hash);
            on_progress(&self.progress);
        }
        named.check(&whole)?;
        Ok(FileEntry { path, bytes: len, pieces })
    }
}

async fn read(file: std::sync::Arc<File>, path: PathBuf, at: u64, len: u64) -> Result<Bytes> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut buf = vec![0u8; len as usize];
        file.read_exact_at(&mut buf, at)
            .map(|()| Bytes::from(buf))
            .map_err(|e| Error::file("reading", &path, e))
    });
    reading.await.map_err(|e| Error::Internal(format!("reading a file: {e}")))?
}

/// A segment's name begins with the hash of its bytes, so damage is noticed before it is kept.
struct NamedHash(Option<(String, xxhash_rust::xxh3::Xxh3)>);

impl NamedHash {
    fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().filter(|n| n.ends_with(".parquet"));
        let hash = name.and_then(|n| n.split('-').next()).filter(|h| h.len() == 32);
        NamedHash(hash.map(|h| (h.to_owned(), xxhash_rust::xxh3::Xxh3::new())))
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some((_, hash)) = &mut self.0 {
            hash.update(bytes);
        }
    }

    fn check(&self, path: &FsPath) -> Result<()> {
        match &self.0 {
            Some((named, hash)) if format!("{:032x}", hash.digest128()) != *named => {
                Err(Error::Corrupt(format!(
                    "{} does not hold what its name says: it is damaged and was not backed up",
                    path.display()
                )))
            }
            _ => Ok(()),
        }
    }
}
