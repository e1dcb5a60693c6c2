//! One consistent moment of a store that is written to meanwhile, without asking it.
//!
//! The order does it. Everything of the log up to position *c* is covered by the catalogs read first, and the log
//! is opened afterwards, so it reaches to at least *c*; a log that was cut in between would begin behind *c*, and
//! then the whole reading is done again. Open files stay readable although the log loses them later. The end of the
//! log may be a write under way: opening the restored log cuts it, as after a crash, since nobody was told that
//! it had succeeded.

use std::{
    fs::{self, File},
    io,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use base::Clock;
use object_store::{ObjectStore, local::LocalFileSystem};

use crate::{
    Error, Result,
    catalog::{Catalog, State},
};

/// How often a log that is cut while it is read is tried again. A flush a minute would need as many minutes.
const ATTEMPTS: usize = 20;
const IDENTITY: &str = "wal/identity";
const LOG: &str = "wal/log";

/// What a backup is made of.
pub(super) struct Snapshot {
    /// Identity of the log.
    pub(super) log: String,
    pub(super) catalogs: Vec<(String, Arc<State>)>,
    /// Paths below the data directory, held open, with the bytes that count.
    pub(super) open: Vec<(String, File, u64)>,
    /// Paths of immutable objects below the data directory, and their lengths where the catalog names them.
    pub(super) objects: Vec<(String, Option<u64>)>,
}

/// Says why `data_dir` is nothing to back up.
///
/// # Errors
/// It is not the data directory of a node, or a restore into it was not finished.
pub fn check(data_dir: &FsPath) -> Result<()> {
    let identity = data_dir.join(IDENTITY);
    if !identity.is_file() {
        return Err(Error::NotFound(format!(
            "{} is not the data directory of a node, it has no {IDENTITY}: name it with --data-dir, or the node's configuration with --config",
            data_dir.display()
        )));
    }
    if data_dir.join(super::MARKER).exists() {
        return Err(Error::Conflict(format!(
            "a restore into {} was not finished: finish it before it is backed up",
            data_dir.display()
        )));
    }
    Ok(())
}

pub(super) async fn read(data_dir: &FsPath, clock: &Clock) -> Result<Snapshot> {
    check(data_dir)?;
    for _ in 0..ATTEMPTS {
        if let Some(found) = attempt(data_dir, clock).await? {
            return Ok(found);
        }
    }
    Err(Error::Conflict(format!(
        "the log in {} was cut {ATTEMPTS} times while it was read: try again when less is being flushed",
        data_dir.join(LOG).display()
    )))
}

/// `None` where the log was cut meanwhile.
async fn attempt(data_dir: &FsPath, clock: &Clock) -> Result<Option<Snapshot>> {
    let before = log_segments(data_dir)?.into_iter().next();
    let mut found =
        Snapshot { log: String::new(), catalogs: Vec::new(), open: Vec::new(), objects: Vec::new() };
    let root = data_dir.join("objects");
    if root.is_dir() && !read_catalogs(&root, clock, &mut found).await? {
        return Ok(None);
    }
    let segments = log_segments(data_dir)?;
    if segments.first() != before.as_ref() {
        return Ok(None);
    }
    for path in segments.into_iter().chain([PathBuf::from(IDENTITY)]) {
        if !open(data_dir, &path, &mut found)? {
            return Ok(None);
        }
    }
    let identity = data_dir.join(IDENTITY);
    let text = fs::read_to_string(&identity).map_err(|e| Error::file("reading", &identity, e))?;
    found.log = text.lines().nth(1).unwrap_or_default().to_owned();
    Ok(Some(found))
}

/// Segments of the log below the data directory, in their order.
fn log_segments(data_dir: &FsPath) -> Result<Vec<PathBuf>> {
    let dir = data_dir.join(LOG);
    let mut names = Vec::new();
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(e) => return Err(Error::file("listing", &dir, e)),
    };
    for entry in entries {
        let name = entry.map_err(|e| Error::file("listing", &dir, e))?.file_name();
        if name.to_str().and_then(disklog::segment::number).is_some() {
            names.push(PathBuf::from(LOG).join(name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Opens a file and notes its present length. False when it is gone.
fn open(data_dir: &FsPath, path: &FsPath, found: &mut Snapshot) -> Result<bool> {
    let whole = data_dir.join(path);
    let file = match File::open(&whole) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::file("opening", &whole, e)),
    };
    let len = file.metadata().map_err(|e| Error::file("reading the length of", &whole, e))?.len();
    found.open.push((path.to_string_lossy().into_owned(), file, len));
    Ok(true)
}

/// Reads all catalogs, and opens the files of their versions. False when one is gone.
async fn read_catalogs(root: &FsPath, clock: &Clock, found: &mut Snapshot) -> Result<bool> {
    let files = LocalFileSystem::new_with_prefix(root).map_err(|e| Error::object(&"".into(), e))?;
    let objects: Arc<dyn ObjectStore> = Arc::new(files);
    let data_dir = root.parent().unwrap_or(root);
    for (tenant, signal) in Catalog::find_all(&objects).await? {
        let opened = Catalog::open(objects.clone(), clock.clone(), &tenant, &signal, i64::MAX).await;
        let (catalog, state) = opened?;
        for path in catalog.files_of(state.version) {
            if !open(data_dir, &FsPath::new("objects").join(path.as_ref()), found)? {
                return Ok(false);
            }
        }
        let segments = state.segments.values().map(|s| (format!("objects/{}", s.path), Some(s.info.bytes)));
        let ids = state.ids.iter().map(|i| (format!("objects/{}", i.path), None));
        found.objects.extend(segments.chain(ids));
        found.catalogs.push((format!("{tenant}/{signal}"), state));
    }
    Ok(true)
}
