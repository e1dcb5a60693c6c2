//! Blocks of Prometheus into a running node, or into any receiver of remote write.
//!
//! Over the wire rather than into a stopped store: the node goes on collecting and answering meanwhile, its
//! admission, limits, tenant and cluster name apply as to everybody, and the blocks may lie on another machine.
//!
//! ```text
//! read    block by block, oldest first; a block in slices of a day; a slice series by series    batches
//! send    a few requests at once, each until it is acknowledged or refused                      send
//! note    everything before the first unacknowledged batch is in the journal                    journal
//! ```
//! Slices keep what arrives together close in time, so that the node writes few segments. Batches depend on the
//! block alone: after an interruption the same ones are sent again, the node knows those it had by their
//! content, and samples that are stored twice in spite of that are the same sample.

mod batches;
mod journal;
mod send;

use std::{path::PathBuf, sync::Arc, time::Duration};

use base::{Clock, Shutdown};
use tokio::sync::mpsc;

use self::{
    batches::{Batch, Reader},
    journal::{Journal, Place},
    send::Sender,
};
use crate::{Error, Result, Target};

/// Batches encoded ahead of the senders.
const AHEAD: usize = 4;

/// What an import is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// A data directory, a snapshot, or one block.
    pub dir: PathBuf,
    pub target: Target,
    /// Part of what the journal belongs to.
    pub tenant: Option<String>,
    /// Added to every series; a label the series has already stays.
    pub labels: Vec<(String, String)>,
    /// Only samples from and to here, both included, in milliseconds.
    pub from_ms: i64,
    pub to_ms: i64,
    /// What has arrived is noted here.
    pub journal: PathBuf,
    /// Samples in one request.
    pub batch: usize,
    /// Requests under way at once.
    pub concurrency: usize,
    /// How long a receiver may take nothing before the import gives up. What arrived stays noted.
    pub retry_for: Duration,
    /// Goes on where the receiver refuses samples, and counts them.
    pub keep_going: bool,
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Progress {
    /// Blocks done or skipped, and all there are.
    pub blocks: (usize, usize),
    pub block: String,
    /// Samples acknowledged by this run, and as many as there were to send as far as the blocks say.
    pub samples: u64,
    pub of_samples: u64,
    pub per_second: f64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = 100.0 * self.samples as f64 / self.of_samples.max(1) as f64;
        write!(
            f,
            "block {}/{} {}  {} of {} samples ({percent:.0} %)  {:.0}/s",
            (self.blocks.0 + 1).min(self.blocks.1.max(1)),
            self.blocks.1,
            self.block,
            self.samples,
            self.of_samples,
            self.per_second
        )
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Report {
    pub blocks: usize,
    /// Blocks that an earlier run had finished.
    pub blocks_known: usize,
    /// Blocks that another one replaces.
    pub blocks_superseded: usize,
    /// Directories named like blocks whose meta.json is missing; they are not read.
    pub blocks_undescribed: Vec<PathBuf>,
    pub series: u64,
    /// Samples in requests that were acknowledged.
    pub samples: u64,
    pub requests: u64,
    pub retries: u64,
    /// Samples in requests that the receiver refused, in whole or in part; what it said, and how often.
    pub refused_samples: u64,
    pub refusals: std::collections::BTreeMap<String, u64>,
    pub seconds: f64,
    /// The directory has a write-ahead log, whose samples are in no block.
    pub has_log: bool,
}

impl Report {
    /// Answers that differ in numbers alone, such as times and counts, are kept as one.
    fn refuse(&mut self, answer: String, samples: u64) {
        const KEPT: usize = 100;
        let like = |text: &str| {
            text.split(|c: char| c.is_ascii_digit()).filter(|p| !p.is_empty()).collect::<String>()
        };
        self.refused_samples += samples;
        let known = self.refusals.keys().find(|k| like(k) == like(&answer)).cloned();
        if let Some(key) = known.or((self.refusals.len() < KEPT).then_some(answer)) {
            *self.refusals.entry(key).or_insert(0) += 1;
        }
    }
}

/// What is read and sent, in order. `Err` ends the import.
type Produced = Result<Batch>;

/// Imports everything that the journal does not name yet. `on_progress` is called about once a second.
///
/// # Errors
/// A damaged block, a receiver that refuses or takes nothing, a journal that belongs to another import. What
/// arrived until then is noted, and the next run goes on there.
pub async fn run(
    options: &Options,
    clock: &Clock,
    stop: &Shutdown,
    mut on_progress: impl FnMut(&Progress),
) -> Result<Report> {
    check(options)?;
    let started = clock.monotonic();
    let found = tsdb::blocks(&options.dir)?;
    if found.blocks.is_empty() {
        return Err(no_block(options, found.has_log));
    }
    let mut journal = Journal::open(&options.journal, &journal::belongs_to(options))?;
    let mut report =
        Report { blocks_superseded: found.superseded, has_log: found.has_log, ..Report::default() };
    report.blocks_undescribed = found.undescribed;
    let mut progress = Progress { blocks: (0, found.blocks.len()), ..Progress::default() };
    let overlaps = |m: &tsdb::Meta| m.max_time > options.from_ms && m.min_time <= options.to_ms;
    let todo: Vec<_> = found.blocks.into_iter().filter(|(_, m)| overlaps(m) && !journal.knows(m)).collect();
    report.blocks_known = progress.blocks.1 - todo.len();
    progress.blocks.0 = report.blocks_known;
    progress.of_samples = todo.iter().map(|(_, m)| m.stats.num_samples).sum();
    let sender = Arc::new(Sender::new(options, clock)?);
    for (dir, meta) in todo {
        progress.block.clone_from(&meta.ulid);
        let from = journal.place_in(&meta.ulid);
        let one = One { options, sender: &sender, clock, stop, started };
        one.block(dir, from, &mut journal, &mut report, &mut progress, &mut on_progress).await?;
        if stop.is_started() {
            break;
        }
        journal.finish(&meta)?;
        report.blocks += 1;
        progress.blocks.0 += 1;
    }
    report.seconds = clock.monotonic().duration_since(started).as_secs_f64();
    progress.per_second = progress.samples as f64 / report.seconds.max(1e-9);
    on_progress(&progress);
    Ok(report)
}

fn no_block(options: &Options, has_log: bool) -> Error {
    let hint = match has_log {
        true => {
            "all its samples are in the write-ahead log still; have Prometheus write them as blocks with POST \
             /api/v1/admin/tsdb/snapshot (it needs --web.enable-admin-api) and import the directory in snapshots/"
        }
        false => {
            "name the data directory of a Prometheus, a snapshot of one, or one block (a directory with meta.json)"
        }
    };
    Error::NoBlock { dir: options.dir.clone(), hint }
}

fn check(o: &Options) -> Result<()> {
    let bad = |option, value: String, wanted| Err(Error::Option { option, value, wanted });
    match o {
        _ if o.batch == 0 || o.batch > 1_000_000 => bad("batch", o.batch.to_string(), "it is 1 to 1000000"),
        _ if o.concurrency == 0 || o.concurrency > 64 => {
            bad("concurrency", o.concurrency.to_string(), "it is 1 to 64")
        }
        _ if o.from_ms > o.to_ms => bad("from", o.from_ms.to_string(), "it lies behind the end"),
        _ => Ok(()),
    }
}

/// One block under way.
struct One<'a> {
    options: &'a Options,
    sender: &'a Arc<Sender>,
    clock: &'a Clock,
    stop: &'a Shutdown,
    started: std::time::Instant,
}

impl One<'_> {
    async fn block(
        &self,
        dir: PathBuf,
        from: Place,
        journal: &mut Journal,
        report: &mut Report,
        progress: &mut Progress,
        on_progress: &mut impl FnMut(&Progress),
    ) -> Result<()> {
        let (produce, mut produced) = mpsc::channel::<Produced>(AHEAD);
        let reader = Reader::new(self.options, dir, from);
        let reading = tokio::task::spawn_blocking(move || reader.read(&produce));
        let mut under_way = futures::stream::FuturesOrdered::new();
        let mut last_note = self.clock.monotonic();
        let mut reading_ended = false;
        loop {
            let room =
                under_way.len() < self.options.concurrency && !reading_ended && !self.stop.is_started();
            let done = tokio::select! {
                batch = produced.recv(), if room => {
                    match batch {
                        Some(batch) => {
                            let batch = match batch {
                                Ok(batch) => batch,
                                Err(e) => {
                                    journal.save()?;
                                    return Err(e);
                                }
                            };
                            let sender = self.sender.clone();
                            under_way.push_back(tokio::spawn(async move { (sender.send(&batch).await, batch) }));
                        }
                        None => reading_ended = true,
                    }
                    continue;
                }
                done = futures::StreamExt::next(&mut under_way), if !under_way.is_empty() => done,
                else => break,
            };
            let Some(done) = done else { continue };
            let (outcome, batch) = done.map_err(|e| Error::Internal(format!("a sender ended: {e}")))?;
            let retries = match outcome {
                Err(e) => {
                    journal.save()?;
                    return Err(e);
                }
                Ok(sent) => {
                    if let Some(answer) = sent.refused {
                        report.refuse(answer, batch.samples);
                    } else {
                        report.samples += batch.samples;
                    }
                    sent.retries
                }
            };
            report.retries += retries;
            report.requests += 1;
            report.series += batch.series;
            progress.samples += batch.samples;
            // Acknowledgements are taken in the order of sending, so all before this place have arrived.
            journal.arrived(batch.next, batch.samples);
            let now = self.clock.monotonic();
            if now.duration_since(last_note) >= Duration::from_secs(1) {
                last_note = now;
                journal.save()?;
                let seconds = now.duration_since(self.started).as_secs_f64();
                progress.per_second = progress.samples as f64 / seconds.max(1e-9);
                on_progress(progress);
            }
        }
        drop(produced);
        journal.save()?;
        reading.await.map_err(|e| Error::Internal(format!("reading a block ended: {e}")))
    }
}

#[cfg(test)]
mod tests;
