//! Scraping of Prometheus targets, with the semantics of Prometheus 3's `scrape_configs`.
//!
//! ```text
//! job ─ discovery ─ groups ─ target::resolve (relabel) ─┬─ pool: one loop per target
//!                                                       └─ dropped targets, for the API
//! loop ─ fetch ─ wire::exposition ─ ingest (target labels, metric relabel, limits) ─ memory (staleness) ─ append
//! ```
//! What is written besides the target's own samples: `up`, the `scrape_*` series, and staleness markers where a
//! series vanished, a scrape failed, or the target is gone.

mod classic;
mod counts;
mod duration;
mod failure;
mod failure_log;
mod fetch;
mod histograms;
mod ingest;
mod job;
mod memory;
mod negotiate;
mod pool;
mod report;
mod scraper;
mod target;

use std::{sync::Arc, time::Duration};

use base::Metrics;
use model::Labels;
use parking_lot::Mutex;

use crate::{Context, discovery};
use counts::Counts;
use duration::duration_text;
pub use job::{Escaping, Histograms, Limits, Names, Protocol, ScrapeConfig};
use pool::{Pool, Shared};
use target::Target;

/// On a node with no more targets than this, those of a new job are scraped at once: somebody who has just
/// started a small node is looking at it. More would all come at the same moment.
const EAGER_TARGETS: usize = 16;

/// Shortest time between two looks at what discovery found, since changes come in bursts.
const SYNC_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// What `/api/v1/targets` shows of an active target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStatus {
    /// The job's name.
    pub scrape_pool: String,
    pub discovered_labels: Labels,
    pub labels: Labels,
    pub scrape_url: String,
    pub health: Health,
    /// Empty when the last scrape worked.
    pub last_error: String,
    /// Milliseconds since 1970, 0 before the first scrape.
    pub last_scrape_ms: i64,
    pub last_scrape_seconds: f64,
    pub interval: Duration,
    pub timeout: Duration,
}

impl TargetStatus {
    fn new(config: &ScrapeConfig, target: &Target) -> Self {
        TargetStatus {
            scrape_pool: config.job_name.clone(),
            discovered_labels: target.discovered.clone(),
            labels: target.labels.clone(),
            scrape_url: target.url.clone(),
            health: Health::Unknown,
            last_error: String::new(),
            last_scrape_ms: 0,
            last_scrape_seconds: 0.0,
            interval: target.interval,
            timeout: target.timeout,
        }
    }
}

/// A target that relabelling dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct DroppedTarget {
    pub scrape_pool: String,
    pub discovered_labels: Labels,
}

/// Runs the loops of all jobs. Cheap to clone.
#[derive(Clone)]
pub struct Manager(Arc<Inner>);

struct Inner {
    shared: Shared,
    pools: Mutex<Pools>,
}

#[derive(Default)]
struct Pools {
    /// In the order configured.
    running: Vec<Arc<Mutex<Pool>>>,
    /// Jobs that are gone and whose series have not all ended.
    closing: Vec<Arc<Mutex<Pool>>>,
}

impl Manager {
    /// A manager without jobs; [`Manager::apply`] gives it some. `seed` names this node among replicas that
    /// have the same configuration, so that they do not ask a target at the same moment.
    pub fn new(context: &Context, metrics: &Metrics, seed: &str) -> Self {
        let shared = Shared {
            context: context.clone(),
            counts: Counts::new(metrics),
            discovery: discovery::Counts::new(metrics),
            seed: xxhash_rust::xxh3::xxh3_64(seed.as_bytes()),
            limits: Default::default(),
        };
        Manager(Arc::new(Inner { shared, pools: Mutex::default() }))
    }

    /// What exposed series may look like from the next scrape on; what breaks a limit fails its scrape.
    pub fn set_limits(&self, limits: wire::Limits) {
        *self.0.shared.limits.write() = Arc::new(limits);
    }

    /// Runs exactly these jobs. A job that is unchanged goes on undisturbed; one that is changed goes on with
    /// its series; those of one that is gone end.
    pub fn apply(&self, configs: Vec<ScrapeConfig>) {
        let mut pools = self.0.pools.lock();
        let mut before = std::mem::take(&mut pools.running);
        for config in configs {
            let named = |p: &Arc<Mutex<Pool>>| p.lock().config.job_name == config.job_name;
            let pool = match (before.iter().position(named), pools.closing.iter().position(named)) {
                (Some(i), _) => {
                    let pool = before.remove(i);
                    if *pool.lock().config != config {
                        pool.lock().reload(config);
                    }
                    pool
                }
                (None, Some(i)) => {
                    let pool = pools.closing.remove(i);
                    pool.lock().reload(config);
                    self.follow(&pool);
                    pool
                }
                (None, None) => {
                    let others: usize = pools.running.iter().map(|p| p.lock().len()).sum();
                    self.start(config, others)
                }
            };
            pools.running.push(pool);
        }
        for gone in before {
            gone.lock().close();
            pools.closing.push(gone);
        }
        pools.closing.retain(|p| !p.lock().is_over());
    }

    fn start(&self, config: ScrapeConfig, others: usize) -> Arc<Mutex<Pool>> {
        let mut pool = Pool::new(self.0.shared.clone(), config);
        pool.sync(others + pool.found() <= EAGER_TARGETS);
        let pool = Arc::new(Mutex::new(pool));
        self.follow(&pool);
        pool
    }

    /// Keeps a pool in step with its discoveries until it is closed.
    fn follow(&self, pool: &Arc<Mutex<Pool>>) {
        let (changed, closed) = {
            let pool = pool.lock();
            (pool.changed.clone(), pool.closed.clone())
        };
        let (pool, clock) = (Arc::downgrade(pool), self.0.shared.context.clock.clone());
        self.0.shared.context.shutdown.spawn(async move {
            loop {
                tokio::select! {
                    () = closed.started() => return,
                    () = changed.notified() => {}
                }
                let Some(pool) = pool.upgrade() else { return };
                {
                    let mut pool = pool.lock();
                    if closed.is_started() {
                        return;
                    }
                    pool.sync(false);
                }
                drop(pool);
                tokio::select! {
                    () = closed.started() => return,
                    () = clock.sleep(SYNC_PAUSE) => {}
                }
            }
        });
    }

    fn each<T>(&self, f: impl FnMut(&Pool) -> Vec<T>) -> Vec<T> {
        let mut f = f;
        let pools = self.0.pools.lock();
        pools.running.iter().flat_map(|p| f(&p.lock())).collect()
    }

    /// All targets being scraped, by job and in the order discovered.
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.each(|p| p.statuses().collect())
    }

    /// Targets that relabelling dropped, as many as each job keeps.
    pub fn dropped_targets(&self) -> Vec<DroppedTarget> {
        self.each(|p| p.dropped.clone())
    }

    /// How many targets relabelling dropped, by job.
    pub fn dropped_counts(&self) -> Vec<(String, usize)> {
        self.each(|p| vec![(p.config.job_name.clone(), p.dropped_count)])
    }
}

#[cfg(test)]
mod tests;
