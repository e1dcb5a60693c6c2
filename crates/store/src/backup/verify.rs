//! Proves backups: every byte of every piece, and that each catalog's segments are there.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use base::Clock;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};

use super::{
    Place, Progress, blobs,
    manifest::{FileEntry, Manifest},
};
use crate::{Error, Result, catalog::Catalog};

/// What is wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    pub backup: String,
    /// The file that cannot be restored; empty where the whole backup cannot.
    pub file: String,
    pub what: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    pub backups: Vec<String>,
    /// Distinct pieces read, and their bytes.
    pub pieces: u64,
    pub bytes: u64,
    pub problems: Vec<Problem>,
}

/// Checks one backup, or all. Damage is in the answer; an error is only a place that cannot be read, or a backup
/// that is not there.
pub async fn verify(
    place: &Place,
    id: Option<&str>,
    clock: &Clock,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Verified> {
    let ids = match id {
        Some(id) => vec![id.to_owned()],
        None => Manifest::ids(place).await?,
    };
    let mut found = Verified::default();
    let mut manifests = Vec::new();
    for id in ids {
        match Manifest::read(place, &id).await {
            Ok(m) => manifests.push(m),
            Err(e @ Error::NotFound(_)) => return Err(e),
            Err(e) => {
                found.problems.push(Problem { backup: id.clone(), file: String::new(), what: e.to_string() })
            }
        }
        found.backups.push(id);
    }
    let mut progress = Progress {
        of_files: manifests.iter().map(|m| m.files.len() as u64).sum(),
        of_bytes: manifests.iter().map(Manifest::bytes).sum(),
        ..Progress::default()
    };
    // Pieces are shared; each is read once.
    let mut checked: HashMap<String, Option<String>> = HashMap::new();
    for m in &manifests {
        let problem =
            |file: &str, what: String| Problem { backup: m.id.clone(), file: file.to_owned(), what };
        for entry in &m.files {
            for (hash, len) in entry.pieces.iter().zip(blobs::lengths(entry.bytes)) {
                if !checked.contains_key(hash) {
                    let outcome = blobs::get(place, hash, len, &entry.path).await;
                    found.pieces += 1;
                    found.bytes += len;
                    checked.insert(hash.clone(), outcome.err().map(|e| e.to_string()));
                }
                if let Some(Some(what)) = checked.get(hash) {
                    found.problems.push(problem(&entry.path, what.clone()));
                }
                progress.bytes += len;
            }
            progress.files += 1;
            on_progress(&progress);
        }
        match catalogs_name_only_what_is_there(place, m, clock).await {
            Ok(missing) => {
                found.problems.extend(missing.into_iter().map(|(file, what)| problem(&file, what)));
            }
            // Its damaged piece has been told already.
            Err(_) if found.problems.iter().any(|p| p.backup == m.id) => {}
            Err(e) => found.problems.push(problem("", e.to_string())),
        }
    }
    Ok(found)
}

/// Replays the catalogs of a backup and compares them with its list of files.
async fn catalogs_name_only_what_is_there(
    place: &Place,
    m: &Manifest,
    clock: &Clock,
) -> Result<Vec<(String, String)>> {
    let files: BTreeMap<&str, &FileEntry> = m.files.iter().map(|f| (f.path.as_str(), f)).collect();
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for (path, entry) in &files {
        let Some(object) = path.strip_prefix("objects/").filter(|p| p.starts_with("catalog/")) else {
            continue;
        };
        let mut bytes = Vec::new();
        for (hash, len) in entry.pieces.iter().zip(blobs::lengths(entry.bytes)) {
            bytes.extend_from_slice(&blobs::get(place, hash, len, path).await?);
        }
        let location = Path::from(object);
        memory.put(&location, bytes.into()).await.map_err(|e| Error::object(&location, e))?;
    }
    let mut missing = Vec::new();
    for (tenant, signal) in Catalog::find_all(&memory).await? {
        let (_, state) = Catalog::open(memory.clone(), clock.clone(), &tenant, &signal, i64::MAX).await?;
        for s in state.segments.values() {
            let path = format!("objects/{}", s.path);
            match files.get(path.as_str()) {
                None => missing.push((path, "its catalog names it, and it is not in the backup".to_owned())),
                Some(f) if f.bytes != s.info.bytes => {
                    let what = format!("it has {} bytes, its catalog says {}", f.bytes, s.info.bytes);
                    missing.push((path, what));
                }
                Some(_) => {}
            }
        }
    }
    Ok(missing)
}
