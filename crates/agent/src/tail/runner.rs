//! The task of one tail: cycles of the [`Tailer`], appends, and waiting for something to happen.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{
    Options,
    tailer::{Cycle, Planned, Tailer},
};
use crate::{Context, Delivery};

const SOURCE: &str = "tail";
/// Files whose ranges are appended at the same time; they share the log's group commit.
const CONCURRENT_APPENDS: usize = 16;
/// Lines that come close together are read together. Larger: fewer checkpoints; smaller: lines are seen sooner.
const GATHER: Duration = Duration::from_millis(200);
/// Wait before trying a state directory again that cannot be written.
const BLOCKED_WAIT: Duration = Duration::from_secs(5);
const MAX_WATCHES: usize = 4096;

pub(super) async fn run(context: Context, options: Options) {
    let Some(mut tailer) = open(&context, &options).await else { return };
    let mut watch = Watch::new();
    loop {
        let now_ns = context.clock.now_ns();
        let done = tokio::task::spawn_blocking(move || {
            let cycle = tailer.cycle(now_ns);
            let directories = tailer.directories();
            (tailer, cycle, directories)
        });
        let (t, cycle, directories) = match done.await {
            Ok(done) => done,
            Err(e) => {
                tracing::error!(tail = options.name, error = %e, "following files ended");
                return;
            }
        };
        tailer = t;
        count(&context, &options, &cycle);
        watch.cover(&directories);
        if let Some(reason) = cycle.blocked {
            tracing::warn!(tail = options.name, reason, "the checkpoint cannot be written; reading waits");
            if !context.sleep(BLOCKED_WAIT).await {
                return;
            }
            continue;
        }
        if cycle.planned.is_empty() {
            if !wait(&context, &watch, options.poll_interval).await {
                return;
            }
            continue;
        }
        let stopped = append(&context, &mut tailer, cycle.planned).await;
        if stopped || context.shutdown.is_started() {
            // What is acknowledged is remembered; what is not is in the plan on disk.
            let saved = tokio::task::spawn_blocking(move || tailer.save()).await;
            if let Ok(Err(e)) = saved {
                tracing::warn!(tail = options.name, error = %e, "the last checkpoint could not be written");
            }
            return;
        }
    }
}

/// Opens the tailer, trying for as long as it takes.
async fn open(context: &Context, options: &Options) -> Option<Tailer> {
    loop {
        let (o, host, now_ns) = (options.clone(), context.host_name.clone(), context.clock.now_ns());
        let opened = tokio::task::spawn_blocking(move || Tailer::open(o, &host, now_ns)).await;
        match opened {
            Ok(Ok((tailer, said))) => {
                if let Some(reason) = said {
                    context.problem(SOURCE, "checkpoint_broken");
                    tracing::warn!(
                        tail = options.name,
                        reason,
                        "the checkpoint is not usable; files begin anew"
                    );
                }
                return Some(tailer);
            }
            Ok(Err(e)) => {
                context.problem(SOURCE, "state_dir");
                tracing::warn!(dir = %options.state_dir.display(), error = %e, "cannot open the state of a tail");
            }
            Err(_) => return None,
        }
        if !context.sleep(BLOCKED_WAIT).await {
            return None;
        }
    }
}

/// Appends all ranges; a refusal that may pass holds the file, not the others. Returns whether the node is
/// shutting down.
async fn append(context: &Context, tailer: &mut Tailer, planned: Vec<Planned>) -> bool {
    let mut answers = stream::iter(planned)
        .map(|p| async move {
            let delivery = context.deliver(SOURCE, p.unit.clone(), None).await;
            (p, delivery)
        })
        .buffer_unordered(CONCURRENT_APPENDS);
    let mut stopped = false;
    while let Some((p, delivery)) = answers.next().await {
        match delivery {
            Delivery::Stored(_) | Delivery::Dropped(_) => tailer.acknowledged(&p),
            Delivery::Stopped => stopped = true,
        }
    }
    stopped
}

/// Until something changed, the poll is due, or shutdown (`false`).
async fn wait(context: &Context, watch: &Watch, poll: Duration) -> bool {
    tokio::select! {
        biased;
        () = context.shutdown.started() => return false,
        () = watch.changed.notified() => {}
        () = context.clock.sleep(poll) => return true,
    }
    tokio::select! {
        biased;
        () = context.shutdown.started() => false,
        () = context.clock.sleep(GATHER) => true,
        // A clock that stands still must not hold up a reading for ever.
        () = context.clock.sleep(poll) => true,
    }
}

fn count(context: &Context, options: &Options, cycle: &Cycle) {
    cycle.problems.iter().for_each(|p| context.problem(SOURCE, p));
    for _ in 0..cycle.split_lines {
        context.problem(SOURCE, "line_too_long");
    }
    context.following(&options.name, cycle.following);
}

/// Directories watched by the kernel. Losing a watch costs time only: the poll finds the change.
struct Watch {
    watcher: Option<notify::RecommendedWatcher>,
    changed: Arc<Notify>,
    covered: BTreeSet<PathBuf>,
}

impl Watch {
    fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let signal = changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too; only what changes something may wake the reader.
            if event.is_ok_and(|e| !e.kind.is_access()) {
                signal.notify_one();
            }
        });
        if let Err(e) = &watcher {
            tracing::info!(error = %e, "directories are polled, since they cannot be watched");
        }
        Watch { watcher: watcher.ok(), changed, covered: BTreeSet::new() }
    }

    fn cover(&mut self, directories: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let gone: Vec<PathBuf> = self.covered.difference(directories).cloned().collect();
        for dir in gone {
            let _ = watcher.unwatch(&dir);
            self.covered.remove(&dir);
        }
        for dir in directories {
            let room = self.covered.len() < MAX_WATCHES;
            if room && !self.covered.contains(dir) && watcher.watch(dir, RecursiveMode::NonRecursive).is_ok()
            {
                self.covered.insert(dir.clone());
            }
        }
    }
}
