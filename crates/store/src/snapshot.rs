//! Snapshots: another directory that holds what is published now and opens as a store of its own. Segments
//! never change, so they are linked, not copied; both directories may go on and neither sees the other.

use std::path::Path as FsPath;

use object_store::path::Path;

use crate::{Error, LocalObjects, Result, Store};

impl Store {
    /// Makes `into` a data directory of what is in segments; with `with_heads` of everything appended before
    /// the call. `own` is the directory this store's objects are in, on the same file system. On an error
    /// `into` may hold a part.
    pub async fn snapshot(&self, own: &LocalObjects, into: &FsPath, with_heads: bool) -> Result<()> {
        if with_heads {
            self.flush_all().await?;
        }
        let dir = into.join("objects");
        let target = LocalObjects::open(&dir)
            .map_err(|source| Error::Object { path: dir.display().to_string(), source })?;
        for shelf in self.core.shelves() {
            let live = shelf.live();
            let mut paths = shelf.catalog.files_of(live.version);
            paths.extend(live.segments.keys().map(|p| Path::from(p.as_str())));
            paths.extend(live.ids.iter().map(|i| Path::from(i.path.as_str())));
            let (own, target) = (own.clone(), target.clone());
            let linked = tokio::task::spawn_blocking(move || {
                paths.iter().try_for_each(|p| own.link_into(p, &target).map_err(|e| Error::object(p, e)))
            });
            linked.await.map_err(|e| Error::Internal(format!("taking a snapshot: {e}")))??;
        }
        Ok(())
    }
}
