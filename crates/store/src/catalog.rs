//! The catalog of one (tenant, signal): a log of numbered versions, each created only if absent. Publishing
//! is creating the next version; whoever loses the race reads what won, rebases and tries again.
//!
//! The bytes are described in [`document`]. Versions below the last but one snapshot are deleted.

mod document;

use std::sync::Arc;

use base::Clock;
use futures::{StreamExt, TryStreamExt};
use model::{Signal, TenantId};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, path::Path};

pub(crate) use document::{Change, Covered, DeletionRef, Document, IdsRef, SegmentRef, State};

use crate::{Error, Result};
use document::{FORMAT, PLAIN_FORMAT};

/// Every version divisible by this carries the whole state. Larger: fewer bytes written, slower opening.
const SNAPSHOT_EVERY: u64 = 64;
/// Rebasing more often than this means that something else is wrong.
const MAX_REBASES: usize = 1000;

/// One (tenant, signal). Commits of one process are made one at a time.
pub(crate) struct Catalog {
    objects: Arc<dyn ObjectStore>,
    clock: Clock,
    prefix: String,
    horizon_ns: i64,
    base: tokio::sync::Mutex<Arc<State>>,
}

/// A change under the name by which its writer recognises it.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) change: Change,
}

/// `*` may be in a tenant's name but not in an object's; `$` the other way round.
pub(crate) fn tenant_dir(tenant: &TenantId) -> String {
    tenant.as_str().replace('*', "$")
}

pub(crate) fn tenant_of_dir(dir: &str) -> Option<TenantId> {
    TenantId::new(&dir.replace('$', "*")).ok()
}

impl Catalog {
    /// Reads the newest state; an absent catalog is version 0.
    pub(crate) async fn open(
        objects: Arc<dyn ObjectStore>,
        clock: Clock,
        tenant: &TenantId,
        signal: &Signal,
        horizon_ns: i64,
    ) -> Result<(Catalog, Arc<State>)> {
        let prefix = format!("catalog/{}/{signal}", tenant_dir(tenant));
        let catalog = Catalog { objects, clock, prefix, horizon_ns, base: Default::default() };
        let state = Arc::new(catalog.load().await?);
        *catalog.base.lock().await = state.clone();
        Ok((catalog, state))
    }

    /// Tenants and signals that have a catalog.
    pub(crate) async fn find_all(objects: &Arc<dyn ObjectStore>) -> Result<Vec<(TenantId, Signal)>> {
        let root = Path::from("catalog");
        let mut found = Vec::new();
        let tenants = objects.list_with_delimiter(Some(&root)).await.map_err(|e| Error::object(&root, e))?;
        for dir in tenants.common_prefixes {
            let Some(tenant) = dir.filename().and_then(tenant_of_dir) else { continue };
            let signals =
                objects.list_with_delimiter(Some(&dir)).await.map_err(|e| Error::object(&dir, e))?;
            for signal in signals.common_prefixes.iter().filter_map(|p| p.filename()) {
                found.push((tenant.clone(), Signal::new(signal)));
            }
        }
        Ok(found)
    }

    fn path(&self, version: u64) -> Path {
        Path::from(format!("{}/v{version:020}.json", self.prefix))
    }

    /// The objects that a state of `version` is read from: the last snapshot and the versions since.
    pub(crate) fn files_of(&self, version: u64) -> Vec<Path> {
        let snapshot = version / SNAPSHOT_EVERY * SNAPSHOT_EVERY;
        (snapshot.max(1)..=version).map(|v| self.path(v)).collect()
    }

    async fn versions(&self) -> Result<Vec<u64>> {
        let prefix = Path::from(self.prefix.as_str());
        let names: Vec<_> = self
            .objects
            .list(Some(&prefix))
            .map_ok(|m| m.location)
            .try_collect()
            .await
            .map_err(|e| Error::object(&prefix, e))?;
        let number = |p: &Path| p.filename()?.strip_prefix('v')?.strip_suffix(".json")?.parse().ok();
        let mut versions: Vec<u64> = names.iter().filter_map(number).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    async fn load(&self) -> Result<State> {
        let versions = self.versions().await?;
        let Some(&newest) = versions.last() else { return Ok(State::default()) };
        let snapshot = newest / SNAPSHOT_EVERY * SNAPSHOT_EVERY;
        let mut state = State::default();
        if snapshot > 0 {
            let document = self.required(snapshot).await?;
            state = document.state.ok_or_else(|| {
                let path = self.path(snapshot);
                Error::Corrupt(format!("catalog version {path} has no state: restore it from a backup"))
            })?;
        }
        for version in snapshot + 1..=newest {
            state = self.applied(&state, &self.required(version).await?)?;
        }
        Ok(state)
    }

    fn applied(&self, state: &State, document: &Document) -> Result<State> {
        let expired = document.committed_ns.saturating_sub(self.horizon_ns);
        state.apply(&document.change, document.version, expired)
    }

    async fn required(&self, version: u64) -> Result<Document> {
        match self.read(version).await? {
            Some(d) => Ok(d),
            None => Err(Error::Corrupt(format!(
                "catalog version {} is missing while later ones exist: restore it from a backup",
                self.path(version)
            ))),
        }
    }

    async fn read(&self, version: u64) -> Result<Option<Document>> {
        let path = self.path(version);
        let bytes = match self.objects.get(&path).await {
            Ok(found) => found.bytes().await.map_err(|e| Error::object(&path, e))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(Error::object(&path, e)),
        };
        parse(&path, version, &bytes).map(Some)
    }

    /// Publishes a change and returns the state after it. `Conflict` when what it removes is gone already;
    /// after any other error it is unclear whether the change was published: commit the same one again.
    pub(crate) async fn commit(&self, commit: &Commit) -> Result<Arc<State>> {
        let mut base = self.base.lock().await;
        for _ in 0..MAX_REBASES {
            let version = base.version + 1;
            let mut document = Document {
                format: PLAIN_FORMAT,
                version,
                id: commit.id.clone(),
                committed_ns: self.clock.now_ns(),
                change: commit.change.clone(),
                state: None,
            };
            let next = self.applied(&base, &document)?;
            if !next.deletions.is_empty() {
                document.format = FORMAT;
            }
            if version.is_multiple_of(SNAPSHOT_EVERY) {
                document.state = Some(next.clone());
            }
            let path = self.path(version);
            let bytes =
                serde_json::to_vec(&document).map_err(|e| Error::Internal(format!("catalog {path}: {e}")))?;
            match self.objects.put_opts(&path, bytes.into(), PutMode::Create.into()).await {
                Ok(_) => {
                    *base = Arc::new(next);
                    return Ok(base.clone());
                }
                Err(object_store::Error::AlreadyExists { .. }) => {
                    let winner = self.required(version).await?;
                    *base = Arc::new(self.applied(&base, &winner)?);
                    if winner.id == commit.id {
                        return Ok(base.clone());
                    }
                }
                Err(e) => return Err(Error::object(&path, e)),
            }
        }
        Err(Error::Conflict(format!(
            "{}: lost {MAX_REBASES} races for the next catalog version",
            self.prefix
        )))
    }

    /// The newest state this process knows of.
    pub(crate) async fn known(&self) -> Arc<State> {
        self.base.lock().await.clone()
    }

    /// Deletes versions that neither of the last two snapshots needs. Returns how many.
    pub(crate) async fn delete_old(&self) -> Result<usize> {
        let versions = self.versions().await?;
        let newest = versions.last().copied().unwrap_or(0);
        let keep_from = (newest / SNAPSHOT_EVERY).saturating_sub(1) * SNAPSHOT_EVERY;
        let old: Vec<_> = versions.into_iter().filter(|v| *v < keep_from).map(|v| Ok(self.path(v))).collect();
        let count = old.len();
        let deleted: Vec<_> = self.objects.delete_stream(futures::stream::iter(old).boxed()).collect().await;
        for result in deleted {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(Error::object(&Path::from(self.prefix.as_str()), e)),
            }
        }
        Ok(count)
    }
}

fn parse(path: &Path, version: u64, bytes: &[u8]) -> Result<Document> {
    let bad =
        |what: String| Error::Corrupt(format!("catalog version {path}: {what}: restore it from a backup"));
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
    // The format is looked at first: a later one may have any other shape.
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(f) if f <= u64::from(FORMAT) => {}
        Some(f) => {
            return Err(Error::FutureVersion(format!(
                "catalog version {path} has format {f}, this version of orrery reads up to {FORMAT}: start the newer version that wrote it"
            )));
        }
        None => return Err(bad("it has no format".to_owned())),
    }
    let document: Document = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
    if document.version != version {
        return Err(bad(format!("it says that it is version {}", document.version)));
    }
    Ok(document)
}

#[cfg(test)]
mod tests;
