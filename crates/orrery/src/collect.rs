//! The collectors of this node: which of the agent's sources run, and how a changed configuration reaches
//! them. Scraping adapts in place; the others are stopped and started anew when their part changed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use agent::{Context, hostmetrics, scrape, selftrace, tail};
use anyhow::Result;
use async_trait::async_trait;
use base::{Clock, Metrics, Shutdown};
use contract::{Append, AppendUnit, Receipt};
use ingest::Discover;
use model::{ClusterName, TenantId};
use parking_lot::Mutex;

use crate::{listeners::own_client, node::settings};

/// Where a node exporter listens unless told otherwise.
const NODE_EXPORTER: &str = "127.0.0.1:9100";
/// How often a node exporter that was not there is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

pub struct Collect {
    context: Context,
    scraper: scrape::Manager,
    /// The sources that stop and start together.
    running: Mutex<Option<Shutdown>>,
    scraping: Mutex<Scraping>,
    discover: Arc<Mutex<Discover>>,
}

/// What decides which jobs are scraped. One lock, so that a reload and the node exporter's appearance cannot
/// undo each other.
#[derive(Default)]
struct Scraping {
    config: config::Node,
    /// This node's own address, once bound.
    own: Option<SocketAddr>,
    node_exporter: bool,
}

/// Does with what this node collects what admission does with what it is sent: stamps the cluster, and finds out
/// the level of a line.
struct Completed {
    inner: Arc<dyn Append>,
    cluster: Option<ClusterName>,
    discover: Arc<Mutex<Discover>>,
}

#[async_trait]
impl Append for Completed {
    async fn append(&self, tenant: &TenantId, mut unit: AppendUnit) -> contract::Result<Receipt> {
        let discover = *self.discover.lock();
        for batch in &mut unit.batches {
            if let Some(cluster) = &self.cluster {
                ingest::stamp_cluster(batch, cluster);
            }
            ingest::discover(batch, discover);
        }
        self.inner.append(tenant, unit).await
    }
}

impl Collect {
    pub fn new(
        append: Arc<dyn Append>,
        cluster: Option<ClusterName>,
        clock: Clock,
        metrics: &Metrics,
        shutdown: &Shutdown,
        seed: &str,
    ) -> Result<Self> {
        let discover = Arc::new(Mutex::new(Discover::default()));
        let append = Arc::new(Completed { inner: append, cluster, discover: discover.clone() });
        let host = hostmetrics::host_name();
        let context = Context::new(append, TenantId::default(), clock, shutdown.clone(), metrics, host);
        let scraper = scrape::Manager::new(&context, metrics, seed);
        Ok(Collect { context, scraper, running: Mutex::new(None), scraping: Mutex::default(), discover })
    }

    /// Starts everything the configuration asks for. `spans` are the node's own.
    pub fn start(
        self: &Arc<Self>,
        config: &config::Node,
        own: Option<SocketAddr>,
        spans: Option<selftrace::Spans>,
    ) {
        self.scraping.lock().own = own;
        *self.discover.lock() = settings::discover(config);
        if let Some(spans) = spans {
            let options = selftrace::Options {
                service_version: env!("CARGO_PKG_VERSION").to_owned(),
                cluster: config.cluster.as_ref().map(|c| c.as_str().to_owned()),
            };
            selftrace::start(&self.context, spans, options);
        }
        self.start_sources(config);
        self.scrape(|s| s.config = config.clone());
        self.look_for_node_exporter();
    }

    /// Applies what changed between two configurations.
    pub async fn reload(&self, old: &config::Node, new: &config::Node) {
        *self.discover.lock() = settings::discover(new);
        let sources = |c: &config::Node| {
            (c.collect.host.clone(), c.collect.files.clone(), c.collect.pods.clone(), c.ingest.max_line_bytes)
        };
        if sources(old) != sources(new) {
            let before = self.running.lock().take();
            if let Some(before) = before {
                before.start();
                // A file must have one reader: the old ones end before the new ones begin.
                if before.finished(Duration::from_secs(5)).await.is_err() {
                    tracing::warn!("a collector did not stop in time and is left to end by itself");
                }
            }
            self.start_sources(new);
        }
        self.scrape(|s| s.config = new.clone());
    }

    /// Changes what is scraped and applies it.
    fn scrape(&self, change: impl FnOnce(&mut Scraping)) {
        let mut scraping = self.scraping.lock();
        change(&mut scraping);
        self.scraper.set_limits(settings::items(&scraping.config));
        self.scraper.apply(scraping.jobs());
    }

    pub fn targets(&self) -> Vec<api::TargetStatus> {
        let host = &self.context.host_name;
        self.scraper.targets().into_iter().map(|t| shown(t, host)).collect()
    }

    /// Targets that relabelling dropped: job and labels before.
    pub fn dropped_targets(&self) -> Vec<api::DroppedTarget> {
        let shown = |d: scrape::DroppedTarget| api::DroppedTarget {
            scrape_pool: d.scrape_pool,
            discovered_labels: d.discovered_labels,
        };
        self.scraper.dropped_targets().into_iter().map(shown).collect()
    }

    /// How many targets relabelling dropped, by job.
    pub fn dropped_target_counts(&self) -> Vec<(String, usize)> {
        self.scraper.dropped_counts()
    }

    fn start_sources(&self, config: &config::Node) {
        // Tasks of their own tracker, so that a reload can wait for just them; ended by the node's stop too.
        let shutdown = Shutdown::new();
        let (node, mine) = (self.context.shutdown.clone(), shutdown.clone());
        self.context.shutdown.spawn(async move {
            tokio::select! {
                () = node.started() => mine.start(),
                () = mine.started() => {}
            }
            let _ = mine.finished(Duration::from_secs(3)).await;
        });
        let context = self.context.with_shutdown(shutdown.clone());
        let state_dir = config.data_dir.join("tail");
        if let Some(host) = &config.collect.host {
            let options = hostmetrics::Options {
                interval: host.interval,
                proc: host.proc.clone(),
                sys: host.sys.clone(),
                ..Default::default()
            };
            hostmetrics::start(&context, options);
        }
        if let Some(files) = &config.collect.files {
            let source = tail::Source::Files {
                paths: files.paths.clone(),
                exclude: files.exclude.clone(),
                job: "files".to_owned(),
                service_name: None,
            };
            let options = tail::Options::new("files", source, &state_dir);
            let (from_beginning, max_line_bytes) = (files.from_beginning, config.ingest.max_line_bytes);
            tail::start(&context, tail::Options { from_beginning, max_line_bytes, ..options });
        }
        if let Some(pods) = &config.collect.pods {
            let source = tail::Source::Pods { root: pods.path.clone(), exclude: Vec::new() };
            let options = tail::Options::new("pods", source, &state_dir);
            let (from_beginning, max_line_bytes) = (pods.from_beginning, config.ingest.max_line_bytes);
            tail::start(&context, tail::Options { from_beginning, max_line_bytes, ..options });
        }
        *self.running.lock() = Some(shutdown);
    }

    /// Adds the node exporter's job once one listens; from then on it is a target like any other.
    fn look_for_node_exporter(self: &Arc<Self>) {
        let (collect, clock) = (self.clone(), self.context.clock.clone());
        let shutdown = self.context.shutdown.clone();
        self.context.shutdown.spawn(async move {
            loop {
                let wanted = collect.scraping.lock().config.collect.scrape_defaults;
                if wanted && tokio::net::TcpStream::connect(NODE_EXPORTER).await.is_ok() {
                    collect.scrape(|s| s.node_exporter = true);
                    return;
                }
                tokio::select! {
                    () = shutdown.started() => return,
                    () = clock.sleep(LOOK_AGAIN) => {}
                }
            }
        });
    }
}

impl Scraping {
    /// The configured jobs, and unless switched off or named already: this node, and a node exporter.
    fn jobs(&self) -> Vec<scrape::ScrapeConfig> {
        let mut jobs = self.config.scrape.clone();
        if !self.config.collect.scrape_defaults {
            return jobs;
        }
        let mut add = |name: &str, target: String, (scheme, http): (&str, net::Settings)| {
            if !jobs.iter().any(|j| j.job_name == name) {
                jobs.push(scrape::ScrapeConfig {
                    interval: Duration::from_secs(15),
                    scheme: scheme.to_owned(),
                    http,
                    ..scrape::ScrapeConfig::of(name, [target])
                });
            }
        };
        if let Some(own) = self.own {
            add("orrery", own.to_string(), own_client(self.config.listen.http.as_ref()));
        }
        if self.node_exporter {
            add("node", NODE_EXPORTER.to_owned(), own_client(None));
        }
        jobs
    }
}

fn shown(t: scrape::TargetStatus, host: &str) -> api::TargetStatus {
    api::TargetStatus {
        scrape_pool: t.scrape_pool,
        global_url: global_url(&t.scrape_url, host),
        scrape_url: t.scrape_url,
        discovered_labels: t.discovered_labels,
        labels: t.labels,
        health: match t.health {
            scrape::Health::Unknown => api::TargetHealth::Unknown,
            scrape::Health::Up => api::TargetHealth::Up,
            scrape::Health::Down => api::TargetHealth::Down,
        },
        last_error: t.last_error,
        last_scrape_ns: (t.last_scrape_ms != 0).then_some(t.last_scrape_ms.saturating_mul(1_000_000)),
        last_duration: Duration::from_secs_f64(t.last_scrape_seconds.max(0.0)),
        interval: t.interval,
        timeout: t.timeout,
    }
}

/// A URL on this machine by the machine's name, so that it leads somewhere from another one.
fn global_url(url: &str, host: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let local = ["127.0.0.1", "localhost", "[::1]"].into_iter().find_map(|l| {
        let after = rest.strip_prefix(l)?;
        (after.is_empty() || after.starts_with([':', '/', '?'])).then_some(after)
    });
    match local {
        Some(after) => format!("{scheme}://{host}{after}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_on_this_machine_is_shown_with_its_name() {
        assert_eq!(global_url("http://127.0.0.1:9100/metrics", "box"), "http://box:9100/metrics");
        assert_eq!(global_url("http://localhost/m", "box"), "http://box/m");
        assert_eq!(global_url("http://localhost.example/m", "box"), "http://localhost.example/m");
    }
}
