//! Objects in a local directory, durable when a put returns.
//!
//! The library's own file system store does not sync, and a catalog version that vanishes in a power cut
//! would lose what was acknowledged. So puts are done here:
//!
//! ```text
//! write <root>/.tmp/<n>   fsync   link(2) to the final name (create) or rename(2) over it (overwrite)
//! fsync the directory, and each directory that had to be made
//! ```
//! `link` fails when the name exists, which is what makes a put with `PutMode::Create` the arbiter between
//! two writers. Reading, listing and deleting are the library's.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path as FsPath, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    local::LocalFileSystem, path::Path,
};

const STORE: &str = "LocalObjects";
const TEMPORARY: &str = ".tmp";

/// Numbers temporaries; shared by all directories of the process, so that two handles of one never collide.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LocalObjects(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    files: LocalFileSystem,
}

impl LocalObjects {
    /// Opens `root`, making it when absent, and removes what interrupted puts left behind.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root: PathBuf = root.into();
        let temporary = root.join(TEMPORARY);
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(|e| generic(&temporary, e))?;
        }
        make_dirs(&temporary).map_err(|e| generic(&temporary, e))?;
        let files = LocalFileSystem::new_with_prefix(&root)?;
        Ok(LocalObjects(Arc::new(Inner { root, files })))
    }

    /// Gives an object a second name in another directory of the same file system. Durable on return; an
    /// object that is there already stays as it is.
    pub(crate) fn link_into(&self, location: &Path, other: &LocalObjects) -> Result<()> {
        let from = self.0.files.path_to_filesystem(location)?;
        let to = other.0.files.path_to_filesystem(location)?;
        let dir = to.parent().unwrap_or(&other.0.root).to_owned();
        make_dirs(&dir).map_err(|e| generic(&dir, e))?;
        match fs::hard_link(&from, &to) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(generic(&to, e)),
            _ => sync_dir(&dir).map_err(|e| generic(&dir, e)),
        }
    }
}

impl Inner {
    fn put(&self, location: &Path, payload: &PutPayload, mode: &PutMode) -> Result<()> {
        let to = self.files.path_to_filesystem(location)?;
        let dir = to.parent().unwrap_or(&self.root).to_owned();
        let from = self.root.join(TEMPORARY).join(NEXT.fetch_add(1, Relaxed).to_string());
        let written = write_synced(&from, payload).and_then(|()| make_dirs(&dir));
        let named = written.as_ref().map_or(Ok(()), |()| match mode {
            PutMode::Create => fs::hard_link(&from, &to),
            _ => fs::rename(&from, &to),
        });
        // After a rename the temporary is gone already.
        let _ = fs::remove_file(&from);
        written.map_err(|e| generic(&to, e))?;
        match named {
            Ok(()) => sync_dir(&dir).map_err(|e| generic(&dir, e)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // The answer lets the caller build on what is there, so that must be durable too.
                sync_dir(&dir).map_err(|e| generic(&dir, e))?;
                Err(Error::AlreadyExists { path: location.to_string(), source: e.into() })
            }
            Err(e) => Err(generic(&to, e)),
        }
    }
}

fn write_synced(path: &FsPath, payload: &PutPayload) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    for part in payload.iter() {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// Makes `dir` and its ancestors; whatever was made is durable on return.
fn make_dirs(dir: &FsPath) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent)?;
        let made = match fs::create_dir(dir) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => return Err(e),
        };
        if let Err(e) = sync_dir(parent) {
            if made {
                // Left behind, the next put would take it for durable.
                let _ = fs::remove_dir(dir);
            }
            return Err(e);
        }
    }
    Ok(())
}

fn sync_dir(dir: &FsPath) -> io::Result<()> {
    // An empty parent of a relative path means the working directory.
    let dir = if dir.as_os_str().is_empty() { FsPath::new(".") } else { dir };
    fs::File::open(dir)?.sync_all()
}

fn generic(path: &FsPath, e: io::Error) -> Error {
    Error::Generic { store: STORE, source: format!("{}: {e}", path.display()).into() }
}

impl fmt::Display for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.0.root.display())
    }
}

#[async_trait]
impl ObjectStore for LocalObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) {
            return Err(Error::NotSupported { source: "a conditional update of a local object".into() });
        }
        let (inner, location) = (self.0.clone(), location.clone());
        tokio::task::spawn_blocking(move || inner.put(&location, &payload, &options.mode)).await??;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Segments are put whole; the library's own upload would not be durable.
        Err(Error::NotSupported { source: "multipart uploads to a local directory".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.files.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let hidden = Path::from(TEMPORARY);
        let visible = move |m: &Result<ObjectMeta>| {
            futures::future::ready(!m.as_ref().is_ok_and(|m| m.location.prefix_matches(&hidden)))
        };
        self.0.files.list(prefix).filter(visible).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.0.files.list_with_delimiter(prefix).await?;
        found.common_prefixes.retain(|p| p.as_ref() != TEMPORARY);
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let bytes = self.get(from).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_opts(to, bytes.into(), mode.into()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, LocalObjects) {
        let dir = tempfile::tempdir().unwrap();
        let objects = LocalObjects::open(dir.path().join("a/b")).unwrap();
        (dir, objects)
    }

    #[tokio::test]
    async fn of_many_creators_of_one_name_exactly_one_wins() {
        let (_dir, objects) = store();
        let path = Path::from("catalog/default/logs/v1.json");
        let racers = (0..16u8).map(|i| {
            let (objects, path) = (objects.clone(), path.clone());
            async move { objects.put_opts(&path, vec![i].into(), PutMode::Create.into()).await.is_ok() }
        });
        let won = futures::future::join_all(racers).await.into_iter().filter(|w| *w).count();
        assert_eq!(won, 1);
        let lost = objects.put_opts(&path, vec![9].into(), PutMode::Create.into()).await;
        assert!(matches!(lost, Err(Error::AlreadyExists { .. })), "{lost:?}");
    }

    #[tokio::test]
    async fn what_was_put_is_read_listed_and_deleted_and_temporaries_are_hidden() {
        let (_dir, objects) = store();
        let path = Path::from("x/y.parquet");
        objects.put(&path, vec![1, 2, 3].into()).await.unwrap();
        objects.put(&path, vec![4, 5].into()).await.unwrap();
        assert_eq!(&objects.get(&path).await.unwrap().bytes().await.unwrap()[..], [4, 5]);
        let listed: Vec<_> = objects.list(None).map(|m| m.unwrap().location).collect().await;
        assert_eq!(listed, std::slice::from_ref(&path));
        objects.delete(&path).await.unwrap();
        assert!(matches!(objects.get(&path).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn what_an_interrupted_put_left_is_removed_at_the_next_open() {
        let (dir, objects) = store();
        let left = dir.path().join("a/b/.tmp/7");
        fs::write(&left, b"half").unwrap();
        drop(objects);
        LocalObjects::open(dir.path().join("a/b")).unwrap();
        assert!(!left.exists());
    }
}
