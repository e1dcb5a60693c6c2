//! Targets from files (`file_sd_config`), read again as soon as one changes.
//!
//! The directories are watched, not the files: a file that is replaced by renaming another one over it, as
//! careful writers and mounted configuration do, would otherwise be lost from sight.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{FileDiscovery, Group, MAX_GROUP_BYTES, Source, parse_json, parse_yaml};
use crate::tail::glob;

const FILEPATH: &str = "__meta_filepath";

/// A writer is rarely done with its first change.
const SETTLE: Duration = Duration::from_millis(100);

/// Files read for one discovery; a pattern that matches more is a mistake.
const MAX_FILES: usize = 10_000;

pub(super) async fn run(source: Source, config: FileDiscovery) {
    let changed = Arc::new(Notify::new());
    let mut watched = Watched::new(changed.clone());
    let mut files = Files { source, config, known: BTreeMap::new(), failing: BTreeSet::new() };
    loop {
        files.refresh();
        watched.watch(&files.config.files);
        let context = &files.source.context;
        tokio::select! {
            () = context.shutdown.started() => return,
            () = context.clock.sleep(files.config.refresh) => {}
            () = changed.notified() => if !context.sleep(SETTLE).await { return },
        }
    }
}

struct Files {
    source: Source,
    config: FileDiscovery,
    /// What each file held when it was last read without an error.
    known: BTreeMap<PathBuf, Vec<Group>>,
    failing: BTreeSet<PathBuf>,
}

impl Files {
    fn refresh(&mut self) {
        let mut now = BTreeMap::new();
        let paths = self.config.files.iter().flat_map(|p| glob::expand(&p.to_string_lossy()));
        let paths: BTreeSet<PathBuf> = paths.take(MAX_FILES).collect();
        for path in paths {
            match read(&path) {
                Ok(groups) => {
                    self.failing.remove(&path);
                    now.insert(path, groups);
                }
                Err(error) => {
                    self.source.counts.file_read_errors.inc();
                    let already = !self.failing.insert(path.clone());
                    self.source.failed("file", already, &path.to_string_lossy(), &error);
                    if let Some(groups) = self.known.remove(&path) {
                        now.insert(path, groups);
                    }
                }
            }
        }
        self.known = now;
        self.source.found.set(self.known.values().flatten().cloned().collect());
    }
}

fn read(path: &Path) -> Result<Vec<Group>, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let bytes = base::cap::read_capped(file, MAX_GROUP_BYTES, "file").map_err(|e| e.to_string())?;
    let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let mut groups = match ending.as_str() {
        "json" => parse_json(&text)?,
        _ => parse_yaml(&text)?,
    };
    for g in &mut groups {
        g.labels = g.labels.with(FILEPATH, &path.to_string_lossy());
    }
    Ok(groups)
}

/// The directories of all patterns, watched where they exist.
struct Watched {
    watcher: Option<notify::RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
}

impl Watched {
    fn new(changed: Arc<Notify>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|e| !e.kind.is_access()) {
                changed.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "files of service discovery cannot be watched, they are read at intervals only");
        }
        Watched { watcher: watcher.ok(), directories: BTreeSet::new() }
    }

    /// A directory that is not there yet is tried again at the next refresh.
    fn watch(&mut self, patterns: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> =
            patterns.iter().map(|p| glob::base(&p.to_string_lossy())).filter(|d| d.is_dir()).collect();
        for gone in self.directories.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        let mut now = BTreeSet::new();
        for directory in wanted {
            let known = self.directories.contains(&directory);
            if known || watcher.watch(&directory, RecursiveMode::NonRecursive).is_ok() {
                now.insert(directory);
            }
        }
        self.directories = now;
    }
}
