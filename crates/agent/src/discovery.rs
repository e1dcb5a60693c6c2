//! Service discovery: where targets come from. Targets come in groups with common labels; each discovery keeps
//! a list of groups up to date and says when it changed.
//!
//! ```text
//! static ─ written in the configuration ──────────────┐
//! file ─── watched files, JSON and YAML (groups) ─────┤
//! http ─── a list fetched from a URL (groups) ────────┼─► Found ─► scrape pool
//! dns ──── records of a name ─────────────────────────┘
//! ```
//! A discovery that cannot reach its source keeps what it found last.

mod dns;
mod file;
mod groups;
mod http;

use std::{path::PathBuf, sync::Arc, time::Duration};

use base::{
    Shutdown,
    metrics::{Counters, Gauges, Single, pair},
};
use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Context;

pub use groups::{MAX_GROUP_BYTES, parse_json, parse_yaml};

/// The label that holds what is connected to.
pub const ADDRESS: &str = "__address__";

/// Targets with common labels. A target's own labels win over the group's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Each with at least an [`ADDRESS`].
    pub targets: Vec<Labels>,
    pub labels: Labels,
}

impl Group {
    /// A group of plain addresses.
    pub fn of<A: AsRef<str>>(addresses: impl IntoIterator<Item = A>, labels: Labels) -> Self {
        let target = |a: A| Labels::from_pairs([(ADDRESS, a.as_ref())]);
        Group { targets: addresses.into_iter().map(target).collect(), labels }
    }
}

/// One source of targets, with Prometheus' defaults in place.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    Static(Vec<Group>),
    File(FileDiscovery),
    Http(Box<HttpDiscovery>),
    Dns(DnsDiscovery),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Absolute; the last element may hold wildcards. The ending says the format: `.json`, `.yml`, `.yaml`.
    pub files: Vec<PathBuf>,
    /// How often all are read even if nothing seems to have changed.
    pub refresh: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpDiscovery {
    pub url: String,
    pub refresh: Duration,
    pub http: net::Settings,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsDiscovery {
    pub names: Vec<String>,
    pub kind: net::dns::Kind,
    /// For all kinds but SRV, whose records name their port.
    pub port: u16,
    pub refresh: Duration,
}

impl Discovery {
    /// The name in Prometheus' own metrics.
    fn mechanism(&self) -> &'static str {
        match self {
            Discovery::Static(_) => "static",
            Discovery::File(_) => "file",
            Discovery::Http(_) => "http",
            Discovery::Dns(_) => "dns",
        }
    }
}

/// What a discovery found last.
#[derive(Clone)]
pub(crate) struct Found {
    groups: Arc<Mutex<Arc<Vec<Group>>>>,
    changed: Arc<Notify>,
}

impl Found {
    fn new(groups: Vec<Group>, changed: Arc<Notify>) -> Self {
        Found { groups: Arc::new(Mutex::new(Arc::new(groups))), changed }
    }

    pub(crate) fn get(&self) -> Arc<Vec<Group>> {
        self.groups.lock().clone()
    }

    /// Keeps `groups`; says so only when they are others than before.
    fn set(&self, groups: Vec<Group>) {
        let mut now = self.groups.lock();
        if **now != groups {
            *now = Arc::new(groups);
            self.changed.notify_one();
        }
    }
}

/// What all discoveries of a node count, under Prometheus' names.
#[derive(Clone)]
pub(crate) struct Counts {
    discovered: Gauges,
    refresh_failures: Counters,
    file_read_errors: Single,
    http_failures: Single,
    dns_lookups: Single,
    dns_failures: Single,
}

impl Counts {
    pub(crate) fn new(metrics: &base::Metrics) -> Self {
        let m = metrics.with_prefix("prometheus");
        Counts {
            discovered: m.gauges("sd_discovered_targets", "Current number of discovered targets."),
            refresh_failures: m.counters("sd_refresh_failures", "Refreshes of a discovery that failed."),
            file_read_errors: m
                .counter("sd_file_read_errors", "Files of file discovery that could not be read."),
            http_failures: m.counter("sd_http_failures", "Refreshes of http discovery that failed."),
            dns_lookups: m.counter("sd_dns_lookups", "Lookups of dns discovery."),
            dns_failures: m.counter("sd_dns_lookup_failures", "Lookups of dns discovery that failed."),
        }
    }

    fn found(&self, job: &str, groups: &[Group]) {
        let targets: usize = groups.iter().map(|g| g.targets.len()).sum();
        let pairs = vec![("name", "scrape".to_owned()), ("config", job.to_owned())];
        self.discovered.get_or_create(&pairs).set(targets as i64);
    }

    pub(crate) fn forget(&self, job: &str) {
        self.discovered.remove(&vec![("name", "scrape".to_owned()), ("config", job.to_owned())]);
    }

    fn failed(&self, mechanism: &'static str) {
        self.refresh_failures.get_or_create(&pair("mechanism", mechanism)).inc();
    }
}

/// A discovery at work for one job.
pub(crate) struct Running {
    pub(crate) config: Discovery,
    pub(crate) found: Found,
    stop: Shutdown,
}

impl Running {
    /// Starts a discovery. What is static is there at once; everything else reports through `changed`.
    pub(crate) fn start(
        context: &Context,
        counts: &Counts,
        job: &str,
        config: &Discovery,
        changed: Arc<Notify>,
    ) -> Self {
        let stop = context.shutdown.child();
        let context = context.with_shutdown(stop.clone());
        let groups = match config {
            Discovery::Static(groups) => groups.clone(),
            _ => Vec::new(),
        };
        let found = Found::new(groups, changed);
        let source = Source { context, counts: counts.clone(), found: found.clone(), job: job.to_owned() };
        let mechanism = config.mechanism();
        tracing::debug!(job, mechanism, "discovery starts");
        match config.clone() {
            Discovery::Static(_) => {}
            Discovery::File(c) => stop.spawn(file::run(source, c)),
            Discovery::Http(c) => stop.spawn(http::run(source, *c)),
            Discovery::Dns(c) => stop.spawn(dns::run(source, c)),
        }
        Running { config: config.clone(), found, stop }
    }

    pub(crate) fn stop(&self) {
        self.stop.start();
    }
}

/// Counts what all discoveries of a job found together.
pub(crate) fn count_found<'a>(counts: &Counts, job: &str, running: impl Iterator<Item = &'a Running>) {
    let all: Vec<Group> = running.flat_map(|r| r.found.get().as_ref().clone()).collect();
    counts.found(job, &all);
}

/// What a discovery's task is given.
struct Source {
    context: Context,
    counts: Counts,
    found: Found,
    job: String,
}

impl Source {
    /// Says that a refresh failed; once when it begins, then at debug level.
    fn failed(&self, mechanism: &'static str, already: bool, what: &str, error: &str) {
        self.counts.failed(mechanism);
        self.context.problem("discovery", mechanism);
        match already {
            false => tracing::warn!(
                job = self.job,
                mechanism,
                what,
                error,
                "discovery failed, what was found last stays"
            ),
            true => tracing::debug!(job = self.job, mechanism, what, error, "discovery failed"),
        }
    }
}

#[cfg(test)]
mod tests;
