//! A node: the roles of this process, started in order and stopped in reverse.
//!
//! ```text
//! store ──► query ──┐
//!   │               ├──► api
//!   └───► ingest ───┘
//!   └───► collect
//!   └───► onward       around the way in
//! ```
//! Parts meet here only: `store` is both seams, the engines read through one, admission and the collectors
//! write through the other, the API serves them all.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use base::{Clock, MemoryBudget, Metrics, Shutdown};
use contract::{Append, QueryLimits, Select, Witness};
use federate::storeapi::StoreApi;
use model::{Labels, Signal, TenantId};
use parking_lot::Mutex;
use store::{LocalObjects, Store};

use crate::{
    collect::Collect,
    ends::Ends,
    fleet::Fleet,
    hooks::Hooks,
    listeners,
    logging::OwnTraces,
    origin::{KeepsNothing, Noted, Origin},
    peering::{Ground, Peering},
    receiving::Receiving,
    sql, watch,
};

pub struct Node {
    shared: Arc<Shared>,
    shutdown: Shutdown,
}

/// What the parts of a node have in common, and what a reload changes.
pub struct Shared {
    pub path: Option<PathBuf>,
    pub config: ArcSwap<config::Node>,
    /// None where the node keeps nothing (`roles: [query]`).
    pub store: Option<Arc<Store>>,
    /// What is read of it.
    local: Option<Arc<dyn Select>>,
    /// What is learnt of log lines on their way in.
    pub patterns: Option<Arc<ingest::Patterns>>,
    pub ingest: Arc<ingest::Ingest>,
    pub collect: Arc<Collect>,
    receiving: Receiving,
    pub ends: Ends,
    pub fleet: Fleet,
    pub budget: MemoryBudget,
    objects: Option<LocalObjects>,
    peering: Option<Arc<Peering>>,
    /// One reload at a time: two at once could leave two readers on one file.
    reloading: tokio::sync::Mutex<()>,
    last_reload: Mutex<LastReload>,
    clock: Clock,
    shutdown: Shutdown,
}

/// How the last attempt ended, and since when the configuration in effect is.
struct LastReload {
    taken: bool,
    configured_ns: i64,
}

impl Node {
    /// Starts every role. `traces` is where the node's own spans wait for a store.
    pub async fn start(path: Option<PathBuf>, config: config::Node, traces: OwnTraces) -> Result<Node> {
        show_notices(&config);
        let (clock, metrics, shutdown) = (Clock::system(), Metrics::default(), Shutdown::new());
        let budget = MemoryBudget::new(config.memory.limit_bytes);
        watch::start(budget.clone(), &metrics, clock.clone(), &shutdown);

        // First, so that whoever watches the node is told that it lives while a long log is read.
        let tls_metrics = net::tls::TlsMetrics::new(&metrics);
        let listeners = listeners::of(&config, &clock, &tls_metrics)?;
        let mut doors = api::open(listeners, &settings::api(&config), &shutdown).await?;
        // Before the store, which tells it what its log holds.
        let derive = derive(&config, &clock, &budget, &metrics);
        let (store, objects) = match config.keeps {
            true => {
                let (store, objects) = open_store(&config, &clock, &budget, &metrics, derive.clone()).await?;
                store.run(&shutdown).context("starting the store's background work")?;
                (Some(store), Some(objects))
            }
            false => (None, None),
        };
        let origin = Origin::new(config.cluster.clone(), &config.external_labels);
        let append = way_in(&config, store.clone(), &origin).await?;
        let patterns = patterns(&config, &clock);
        let (append, local) = with_patterns(patterns.clone(), append, store.clone());
        let ends = Ends::open(&config, &clock, &metrics, &shutdown).await?;
        let append = with_derived(derive, ends.onward.around(append), &shutdown);
        let ground = Ground {
            config: &config,
            store: store.clone(),
            local: local.clone(),
            origin,
            clock: clock.clone(),
            metrics: metrics.clone(),
            tls: tls_metrics,
            shutdown: shutdown.clone(),
        };
        let peering = Peering::start(ground).await?;
        let ingest = ends.counting(ingest::Ingest::new(
            append.clone(),
            budget.clone(),
            &metrics,
            clock.clone(),
            settings::ingest(&config),
        ));
        // Replicas differ in a label, machines in their name.
        let seed = format!("{}/{:?}", agent::hostmetrics::host_name(), config.external_labels);
        let collect = Arc::new(Collect::new(
            append,
            config.cluster.clone(),
            clock.clone(),
            &metrics,
            &shutdown,
            &seed,
        )?);
        let receiving = Receiving::new(ingest.clone(), &metrics, clock.clone(), shutdown.child());
        let name = config.cluster.as_ref().map_or("local".to_owned(), |c| c.as_str().to_owned());
        let replica = config.replica.as_ref().map(|r| r.as_str().to_owned());
        let shared = Arc::new(Shared {
            path,
            fleet: Fleet::new(clock.clone(), budget.clone(), name, replica),
            config: ArcSwap::from_pointee(config),
            store,
            local,
            patterns,
            ingest: ingest.clone(),
            collect,
            receiving,
            ends,
            budget: budget.clone(),
            objects,
            peering,
            reloading: tokio::sync::Mutex::new(()),
            last_reload: Mutex::new(LastReload { taken: true, configured_ns: clock.now_ns() }),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        });
        let config = shared.config.load_full();
        let (together, apart) = shared.selects()?;
        let store_api = shared.store_api(together.clone(), &config);
        let flight = sql::flight(together.clone(), &clock);
        let state = api::AppState::new(api::Parts {
            reads: reads(together, &config, &clock),
            reads_apart: reads(apart, &config, &clock),
            ingest,
            metrics,
            clock,
            budget,
            options: settings::api(&config),
            hooks: Arc::new(Hooks(shared.clone())),
            shutdown: shutdown.clone(),
            store_api: Some(store_api.into_routes()),
            flight,
        });
        if let Some(peering) = &shared.peering {
            peering.answer_others(&config, &shared.budget, &shutdown);
        }
        if let (Some(peering), Some(connections)) = (&shared.peering, doors.peers.take()) {
            peering.serve(connections, &config, &shared.budget, &shutdown);
        }
        let bound = doors.serve(state);
        // Collectors last: the node they scrape first of all is this one.
        if config.keeps {
            shared.receiving.set(&config.receive).await;
            shared.collect.start(&config, bound.http, traces.0);
        }
        announce(&bound, &config.listen);
        Ok(Node { shared, shutdown })
    }

    pub async fn reload(&self) -> Result<()> {
        self.shared.reload().await
    }

    /// Stops listeners and collectors, waits for what is under way, then ends forwarding and closes the store.
    pub async fn stop(self) -> Result<()> {
        self.shutdown.start();
        if let Err(left) = self.shutdown.finished(Duration::from_secs(4)).await {
            tracing::warn!("{left} task(s) did not end in time");
        }
        self.shared.receiving.close().await;
        self.shared.ends.close().await;
        if let Some(store) = &self.shared.store {
            store.close(Duration::from_secs(4)).await.context("closing the store")?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

impl Shared {
    /// The store, for what needs one.
    pub fn store(&self) -> contract::Result<&Arc<Store>> {
        self.store.as_ref().ok_or_else(keeps_nothing)
    }

    /// What queries read from: replicas as one, and apart.
    fn selects(&self) -> Result<(Arc<dyn Select>, Arc<dyn Select>)> {
        match (&self.peering, &self.local) {
            (Some(peering), _) => Ok(peering.reads()),
            (None, Some(local)) => Ok((local.clone(), local.clone())),
            (None, None) => anyhow::bail!("a node that keeps nothing needs peers: it would answer nothing"),
        }
    }

    /// What a Thanos Query is answered with: everything of the default tenant, each cluster under its own labels.
    fn store_api(&self, select: Arc<dyn Select>, config: &config::Node) -> StoreApi {
        let options = settings::api(config);
        let label_sets = self.peering.as_ref().map(|p| p.label_sets()).unwrap_or_default();
        let (store, has_peers) = (self.store.clone(), self.peering.is_some());
        let held = move || {
            let status = store.as_ref().map(|s| s.status());
            let metrics = status.iter().flat_map(|s| &s.signals).find(|s| s.signal == Signal::METRICS);
            // What peers hold is not known exactly; a store that says too much is asked in vain at most.
            (metrics.and_then(|m| m.oldest_ns).map_or(0, |ns| ns / 1_000_000), i64::MAX)
        };
        let begins = move || if has_peers { (0, i64::MAX) } else { held() };
        StoreApi {
            select,
            tenant: TenantId::default(),
            // A federation's series have the labels of whom they are from already.
            external: if has_peers {
                Labels::default()
            } else {
                Origin::new(config.cluster.clone(), &config.external_labels).external().clone()
            },
            label_sets,
            held: Arc::new(begins),
            limits: QueryLimits { memory: self.budget.clone(), ..options.limits },
            timeout: options.query_timeout,
            overridden: Default::default(),
        }
    }

    /// For the Fleet page.
    pub fn fleet(&self) -> serde_json::Value {
        let status = self.store.as_ref().map(|s| s.status());
        self.fleet.describe(status.as_ref(), self.peering.as_ref().map(|p| p.status()).unwrap_or_default())
    }

    /// For the Federation page.
    pub fn federation(&self) -> serde_json::Value {
        self.fleet.federation(self.peering.as_deref())
    }

    pub fn now_ns(&self) -> i64 {
        self.clock.now_ns()
    }

    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_started()
    }

    /// Reads the file again and applies what may change while running. Nothing changes on an error.
    pub async fn reload(&self) -> Result<()> {
        let Some(path) = &self.path else {
            anyhow::bail!("the node runs without a configuration file, there is nothing to read again");
        };
        let _one = self.reloading.lock().await;
        let outcome = self.take_over(path).await;
        let mut last = self.last_reload.lock();
        last.taken = outcome.is_ok();
        if outcome.is_ok() {
            last.configured_ns = self.clock.now_ns();
        }
        outcome
    }

    pub fn running(&self) -> api::Running {
        let (config, last) = (self.config.load(), self.last_reload.lock());
        api::Running {
            reloaded: last.taken,
            configured_ns: last.configured_ns,
            storage_retention: settings::retention_text(&config),
            flags: settings::flags(&config, self.path.as_deref()),
        }
    }

    /// Takes a snapshot beside the store, named by the time, and says its name. Nothing is left of one that
    /// did not succeed.
    pub async fn snapshot(&self, with_heads: bool) -> contract::Result<String> {
        let now = self.clock.now_ns();
        let seconds = now / 1_000_000_000 * 1_000_000_000;
        let time = api::params::format_rfc3339(seconds).replace(['-', ':'], "");
        let name = format!("{time}-{now:016x}");
        let dir = self.config.load().data_dir.join("snapshots").join(&name);
        let Some(objects) = &self.objects else { return Err(keeps_nothing()) };
        let taken = self.store()?.snapshot(objects, &dir, with_heads).await;
        if taken.is_err() {
            let _ = std::fs::remove_dir_all(&dir);
        }
        taken?;
        tracing::info!(snapshot = %dir.display(), "a snapshot was taken");
        Ok(name)
    }

    async fn take_over(&self, path: &Path) -> Result<()> {
        let new = config::load(path)?;
        show_notices(&new);
        let old = self.config.load_full();
        settings::only_reloadable(&old, &new)?;
        self.budget.set_limit(new.memory.limit_bytes);
        if let Some(peering) = &self.peering {
            peering.set(&new)?;
        }
        self.ends.onward.set(&new).await?;
        self.receiving.set(&new.receive).await;
        if let Some(store) = &self.store {
            store.set_policy(settings::policy(&new));
        }
        self.ingest.set_options(settings::ingest(&new));
        if new.keeps {
            self.collect.reload(&old, &new).await;
        }
        self.config.store(Arc::new(new));
        tracing::info!(file = %path.display(), "the configuration was reloaded");
        Ok(())
    }
}

fn keeps_nothing() -> contract::Error {
    contract::Error::invalid("this node keeps nothing (roles: [query]); ask a node of the cluster for it")
}

/// Engines over one way of looking at what there is.
fn reads(select: Arc<dyn Select>, config: &config::Node, clock: &Clock) -> api::Reads {
    api::Reads {
        promql: Arc::new(promql::Engine::new(select.clone(), settings::promql(config))),
        logql: Arc::new(logql::Engine::new(select.clone(), settings::logql(clock))),
        sql: sql::engine(select.clone(), clock),
        select,
    }
}

/// Where what the node is sent and collects goes.
async fn way_in(
    config: &config::Node,
    store: Option<Arc<Store>>,
    origin: &Arc<Origin>,
) -> Result<Arc<dyn Append>> {
    let Some(store) = store else { return Ok(Arc::new(KeepsNothing)) };
    if config.listen.peers.is_none() && config.peers == config::Peers::default() {
        return Ok(store);
    }
    let tenants = store.status().tenants;
    origin.learn(&*store, tenants).await.context("looking for clusters in the store")?;
    Ok(Arc::new(Noted { append: store, origin: origin.clone() }))
}

/// Where patterns of log lines are kept, if the node keeps any.
fn patterns(config: &config::Node, clock: &Clock) -> Option<Arc<ingest::Patterns>> {
    let cluster = config.cluster.as_ref().map_or("local", |c| c.as_str());
    let replica = config.replica.as_ref().map(|r| r.as_str().to_owned());
    (config.keeps && config.ingest.patterns).then(|| ingest::Patterns::new(clock.clone(), cluster, replica))
}

/// Both ways, with patterns between them and the store where there are any.
fn with_patterns(
    patterns: Option<Arc<ingest::Patterns>>,
    append: Arc<dyn Append>,
    store: Option<Arc<Store>>,
) -> (Arc<dyn Append>, Option<Arc<dyn Select>>) {
    let select = store.map(|s| s as Arc<dyn Select>);
    let (Some(patterns), Some(select)) = (patterns, select.clone()) else { return (append, select) };
    let append = Arc::new(ingest::Mining { append, patterns: patterns.clone() });
    (append, Some(Arc::new(ingest::WithPatterns { select, patterns })))
}

/// What is derived from spans, if the node keeps any.
fn derive(
    config: &config::Node,
    clock: &Clock,
    budget: &MemoryBudget,
    metrics: &Metrics,
) -> Option<Arc<ingest::Derive>> {
    let options = config.derive.clone().filter(|_| config.keeps)?;
    Some(ingest::Derive::new(options, budget.clone(), metrics, clock.clone()))
}

/// The way in with spans counted on it; what is derived from them goes in behind that.
fn with_derived(
    derive: Option<Arc<ingest::Derive>>,
    append: Arc<dyn Append>,
    shutdown: &Shutdown,
) -> Arc<dyn Append> {
    let Some(derive) = derive else { return append };
    derive.start(append.clone(), shutdown);
    Arc::new(ingest::Deriving { append, derive })
}

/// Says what the configuration asks for and this version does not do.
fn show_notices(config: &config::Node) {
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
}

async fn open_store(
    config: &config::Node,
    clock: &Clock,
    budget: &MemoryBudget,
    metrics: &Metrics,
    derive: Option<Arc<ingest::Derive>>,
) -> Result<(Arc<Store>, LocalObjects)> {
    let dir = &config.data_dir;
    std::fs::create_dir_all(dir).with_context(|| format!("making data_dir {}", dir.display()))?;
    let objects = LocalObjects::open(dir.join("objects"))
        .with_context(|| format!("opening {}", dir.join("objects").display()))?;
    let options = store::Options {
        cluster: config.cluster.clone(),
        replica: config.replica.clone(),
        policy: settings::policy(config),
        witness: derive.map(|d| d as Arc<dyn Witness>),
        ..store::Options::new(dir)
    };
    let disk = Arc::new(disklog::RealDisk);
    let (store, found) =
        Store::open(options, Arc::new(objects.clone()), disk, clock.clone(), budget.clone(), metrics)
            .await
            .with_context(|| format!("opening the store in {}", dir.display()))?;
    if let Some(cut) = &found.torn_tail {
        tracing::warn!("the write-ahead log ended in the middle of a write and was cut: {cut}");
    }
    tracing::info!(
        units = found.units,
        items = found.items,
        segments = found.segments,
        "the store is open after {:?}",
        found.elapsed
    );
    Ok((store, objects))
}

/// Plain lines for whoever started the node by hand; the node goes on where nobody reads them to the end.
fn announce(bound: &api::Bound, listen: &config::Listen) {
    let shown = |a: Option<std::net::SocketAddr>| a.map_or("off".to_owned(), |a| a.to_string());
    let mut lines = String::new();
    if let Some(http) = bound.http {
        let scheme = if listen.http.as_ref().is_some_and(|l| l.tls.is_some()) { "https" } else { "http" };
        let _ = writeln!(lines, "Orrery {} is ready: {scheme}://{http}/", env!("CARGO_PKG_VERSION"));
    }
    let _ = writeln!(lines, "OTLP gRPC {}, OTLP HTTP {}", shown(bound.otlp_grpc), shown(bound.otlp_http));
    let others = [
        ("Elasticsearch", bound.elasticsearch),
        ("Zipkin", bound.zipkin),
        ("Jaeger HTTP", bound.jaeger_http),
        ("Jaeger gRPC", bound.jaeger_grpc),
        ("syslog", bound.syslog),
        ("peers", bound.peers),
    ];
    for (name, at) in others.into_iter().filter_map(|(name, at)| Some((name, at?))) {
        let _ = writeln!(lines, "{name} {at}");
    }
    let _ = std::io::stdout().write_all(lines.as_bytes());
}

/// From the checked configuration to the options of each part.
#[path = "settings.rs"]
pub mod settings;
