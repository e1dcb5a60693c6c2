//! `bench peers`: the same data by the same sender into several programs, one after another on this machine.
//!
//! ```text
//! for each number of series, each order of sending, each program      load ─► CPU, memory, bytes on disk
//! for each program                                                    load ─► 40 queries ─► latency, CPU
//! ```
//! Programs are started from their binaries with an empty directory, measured through `/proc`, and stopped before
//! the next begins, so that they never compete. What is said about one holds for the version that was run here,
//! on this machine, in this run.

pub mod program;
pub mod report;

mod load;
mod queries;
pub(crate) mod running;

use std::{path::PathBuf, time::Duration};

use base::{Clock, Shutdown};

pub use self::{
    program::{Binary, Program},
    report::{Ingested, Order, PeersReport, Queried, QueryFigures},
};
use self::{
    report::ProgramInfo,
    running::{Running, Settling},
};
use crate::{Error, Result, process};

/// What is measured, and how much of it.
#[derive(Debug, Clone)]
pub struct PeersOptions {
    pub binaries: Vec<Binary>,
    /// Directories of the programs are made in here and removed afterwards.
    pub work_dir: PathBuf,
    /// Active series of each ingest run; none for no ingest run.
    pub sizes: Vec<usize>,
    /// Samples of each ingest run, as long as there are at least `min_scrapes` of every series.
    pub samples: usize,
    pub min_scrapes: usize,
    pub scrape_interval: Duration,
    pub orders: Vec<Order>,
    /// Series that are asked; 0 for no queries.
    pub query_series: usize,
    /// Ranges of queries are this long, a seventh, and a 168th of it: a week, a day, an hour.
    pub query_span: Duration,
    pub query_interval: Duration,
    /// How often each query is asked at least beside the first time, which is not counted.
    pub repeats: usize,
    /// A query is asked until it has cost so much CPU: the kernel counts in hundredths of a second.
    pub seen_cpu: Duration,
    pub concurrency: usize,
    pub seed: u64,
    /// A directory that has not changed in length for so long is taken for finished.
    pub quiet: Duration,
    /// And after so long it is measured as it is.
    pub settle_for: Duration,
    /// Directories that stay with the data of the query part, to be asked again by hand.
    pub keep: bool,
}

impl PeersOptions {
    /// Two minutes: shows that everything works, and little more.
    pub fn smoke(binaries: Vec<Binary>, work_dir: PathBuf) -> Self {
        PeersOptions {
            binaries,
            work_dir,
            sizes: vec![2_000, 10_000],
            samples: 120_000,
            min_scrapes: 20,
            scrape_interval: Duration::from_secs(15),
            orders: vec![Order::Fixed, Order::Shuffled],
            query_series: 2_000,
            query_span: Duration::from_secs(6 * 3600),
            query_interval: Duration::from_secs(60),
            repeats: 2,
            seen_cpu: Duration::from_millis(50),
            concurrency: 2,
            seed: 1,
            quiet: Duration::from_secs(2),
            settle_for: Duration::from_secs(6),
            keep: false,
        }
    }

    /// What claims are made from: 10k, 100k and 1M series, a week of 10k series to ask.
    pub fn full(binaries: Vec<Binary>, work_dir: PathBuf) -> Self {
        PeersOptions {
            sizes: vec![10_000, 100_000, 1_000_000],
            samples: 20_000_000,
            min_scrapes: 40,
            query_series: 10_000,
            query_span: Duration::from_secs(7 * 86_400),
            repeats: 5,
            seen_cpu: Duration::from_millis(300),
            quiet: Duration::from_secs(60),
            settle_for: Duration::from_secs(600),
            ..PeersOptions::smoke(binaries, work_dir)
        }
    }
}

/// Runs everything. `tell` gets a line whenever something begins.
///
/// # Errors
/// A program that cannot be started, does not answer or refuses samples: figures of half a run would mislead.
pub async fn peers(
    o: &PeersOptions,
    clock: &Clock,
    stop: &Shutdown,
    mut tell: impl FnMut(String),
) -> Result<PeersReport> {
    check(o)?;
    let mut report = PeersReport { programs: Vec::new(), ..PeersReport::of_machine() };
    for b in &o.binaries {
        report.programs.push(ProgramInfo {
            name: b.program.as_str().to_owned(),
            path: b.path.display().to_string(),
            version: process::version(&b.path, b.program.version_flag()).await?,
        });
    }
    for &series in &o.sizes {
        for &order in &o.orders {
            for b in &o.binaries {
                if stop.is_started() {
                    return Ok(report);
                }
                tell(format!("{}: {series} series, {} order", b.program.as_str(), order.as_str()));
                report.ingested.push(ingest(o, b, series, order, clock).await?);
            }
        }
    }
    for b in o.binaries.iter().filter(|_| o.query_series > 0) {
        if stop.is_started() {
            return Ok(report);
        }
        tell(format!("{}: queries over {} series", b.program.as_str(), o.query_series));
        report.queried.push(query(o, b, clock, &mut tell).await?);
    }
    Ok(report)
}

fn check(o: &PeersOptions) -> Result<()> {
    let bad = |option, value: String, wanted| Err(Error::Option { option, value, wanted });
    if o.binaries.is_empty() {
        return bad("binaries", "none".to_owned(), "at least one program");
    }
    let asked = Some(&o.query_series).filter(|n| **n > 0);
    match o.sizes.iter().chain(asked).find(|n| **n < 200 || **n > 10_000_000) {
        Some(n) => bad("series", n.to_string(), "from 200 to 10000000"),
        None => Ok(()),
    }
}

/// Loads one program with fresh data and measures what that cost.
async fn ingest(
    o: &PeersOptions,
    b: &Binary,
    series: usize,
    order: Order,
    clock: &Clock,
) -> Result<Ingested> {
    let mut running = Running::start(b, &o.work_dir, clock).await?;
    let scrapes = (o.samples / series).max(o.min_scrapes);
    let plan = load::Plan {
        series,
        scrapes,
        interval: o.scrape_interval,
        order,
        seed: o.seed,
        concurrency: o.concurrency,
    };
    let began = clock.monotonic();
    let cpu_before = running.cpu_seconds()?;
    let loaded = load::run(&plan, &running.url, clock).await?;
    let seconds = clock.monotonic().duration_since(began).as_secs_f64();
    let cpu_acknowledged = running.cpu_seconds()? - cpu_before;
    // What is kept in memory belongs to the load until it is on the disk as it stays.
    let settled = running.settle(Settling { quiet: o.quiet, settle_for: o.settle_for }, clock).await?;
    let figures = Ingested {
        program: b.program.as_str().to_owned(),
        series: plan.targets() * load::SERIES_EACH,
        order,
        samples: loaded.samples,
        seconds,
        cpu_seconds: cpu_acknowledged,
        cpu_seconds_settled: cpu_acknowledged + settled.cpu_seconds,
        peak_rss_bytes: settled.peak_rss_bytes,
        disk_bytes: settled.disk_bytes,
    };
    running.stop(clock).await?;
    Ok(figures)
}

/// Loads one program with a long span of time and asks it.
async fn query(
    o: &PeersOptions,
    b: &Binary,
    clock: &Clock,
    tell: &mut impl FnMut(String),
) -> Result<Queried> {
    let mut running = Running::start(b, &o.work_dir, clock).await?;
    let scrapes = (o.query_span.as_secs() / o.query_interval.as_secs().max(1)).max(2) as usize;
    let plan = load::Plan {
        series: o.query_series,
        scrapes,
        interval: o.query_interval,
        order: Order::Fixed,
        seed: o.seed,
        concurrency: o.concurrency,
    };
    let loaded = load::run(&plan, &running.url, clock).await?;
    let settled = running.settle(Settling { quiet: o.quiet, settle_for: o.settle_for }, clock).await?;
    tell(format!(
        "{}: {} samples are loaded up to {} ms",
        b.program.as_str(),
        loaded.samples,
        loaded.last_ms
    ));
    if o.keep {
        running.keep();
    }
    let queries = queries::ask_all(o, &running, loaded.last_ms, clock).await?;
    let asked = Queried {
        program: b.program.as_str().to_owned(),
        samples: loaded.samples,
        disk_bytes: settled.disk_bytes,
        queries,
    };
    running.stop(clock).await?;
    Ok(asked)
}
