//! Scraping of Prometheus targets (`scrape_configs` with static targets).
//!
//! ```text
//! job ─ static targets ─ target::resolve (relabel) ─┬─ loops: one task per target
//!                                                   └─ dropped targets, for the API
//! loop ─ fetch ─ wire::exposition ─ ingest::labels (target labels, metric relabel) ─ ingest::stale ─ append
//! ```
//! What is written besides the target's own samples: `up`, `scrape_duration_seconds`,
//! `scrape_samples_scraped`, `scrape_samples_post_metric_relabeling`, `scrape_series_added`, and staleness
//! markers where a series vanished, a scrape failed, or the target is no longer scraped.

mod ingest;
mod scraper;
mod target;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use base::Shutdown;
use model::Labels;
use parking_lot::Mutex;
use transform::relabel::Rule;

use crate::Context;
use scraper::Scraper;

/// One `scrape_configs` entry, with Prometheus' defaults in place.
#[derive(Clone, PartialEq)]
pub struct ScrapeConfig {
    pub job_name: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target's own samples win over the target's labels.
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    /// Address (`host:port`) and the labels of its group.
    pub targets: Vec<(String, BTreeMap<String, String>)>,
    pub relabel: Vec<Rule>,
    pub metric_relabel: Vec<Rule>,
    /// Samples after relabelling above which a scrape fails; 0 is no limit, here and below.
    pub sample_limit: u64,
    pub label_limit: u64,
    pub body_size_limit: u64,
    pub auth: Auth,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        ScrapeConfig {
            job_name: String::new(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            targets: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            sample_limit: 0,
            label_limit: 0,
            body_size_limit: 0,
            auth: Auth::None,
        }
    }
}

impl std::fmt::Debug for ScrapeConfig {
    /// Without the authentication: a secret must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapeConfig")
            .field("job_name", &self.job_name)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// How a scrape identifies itself. Files are read at each scrape, so that a rotated secret is picked up.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Auth {
    #[default]
    None,
    Basic {
        username: Secret,
        password: Secret,
    },
    /// The `Authorization` header: scheme (usually `Bearer`) and credentials.
    Header {
        scheme: String,
        credentials: Secret,
    },
}

#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Inline(String),
    File(PathBuf),
}

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
    context: Context,
    client: net::Client,
    pools: Mutex<Vec<Pool>>,
}

struct Pool {
    config: ScrapeConfig,
    shutdown: Shutdown,
    targets: Vec<Arc<Mutex<TargetStatus>>>,
    dropped: Vec<DroppedTarget>,
}

impl Manager {
    /// A manager without jobs; [`Manager::apply`] gives it some.
    pub fn new(context: &Context, client: net::Client) -> Self {
        Manager(Arc::new(Inner { context: context.clone(), client, pools: Mutex::default() }))
    }

    /// Runs exactly these jobs. A job that is unchanged goes on undisturbed; one that is changed or gone
    /// ends, with staleness markers for its series.
    pub fn apply(&self, configs: Vec<ScrapeConfig>) {
        let mut pools = self.0.pools.lock();
        let mut before = std::mem::take(&mut *pools);
        for config in configs {
            let same = before.iter().position(|p| p.config == config);
            pools.push(match same {
                Some(i) => before.swap_remove(i),
                None => self.start_pool(config),
            });
        }
        before.iter().for_each(|gone| gone.shutdown.start());
    }

    fn start_pool(&self, config: ScrapeConfig) -> Pool {
        let shutdown = self.0.context.shutdown.child();
        let context = self.0.context.with_shutdown(shutdown.clone());
        let mut pool = Pool { config, shutdown, targets: Vec::new(), dropped: Vec::new() };
        for resolved in target::resolve_all(&pool.config) {
            match resolved {
                target::Resolved::Active(target) => {
                    let status = Arc::new(Mutex::new(target.status(&pool.config)));
                    pool.targets.push(status.clone());
                    let scraper =
                        Scraper::new(context.clone(), self.0.client.clone(), &pool.config, target, status);
                    context.shutdown.spawn(scraper.run());
                }
                target::Resolved::Dropped(discovered_labels) => pool
                    .dropped
                    .push(DroppedTarget { scrape_pool: pool.config.job_name.clone(), discovered_labels }),
            }
        }
        pool
    }

    /// All targets being scraped, by job and in the order configured.
    pub fn targets(&self) -> Vec<TargetStatus> {
        let pools = self.0.pools.lock();
        pools.iter().flat_map(|p| &p.targets).map(|t| t.lock().clone()).collect()
    }

    pub fn dropped_targets(&self) -> Vec<DroppedTarget> {
        self.0.pools.lock().iter().flat_map(|p| p.dropped.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
