//! What every handler is given: the seams and engines, the options, and the hooks into the node.

use std::{collections::BTreeMap, ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use base::{Clock, MemoryBudget, Metrics, Shutdown};
use contract::{QueryLimits, Select, Sql, Tenants};
use model::{ClusterName, Labels, Matcher, TimeRange};

use crate::{
    es::Scrolls,
    gate::{Gate, Pool},
    layers::HttpMetrics,
    loki::Tails,
};

/// What reads are answered from.
#[derive(Clone)]
pub struct Reads {
    pub select: Arc<dyn Select>,
    pub promql: Arc<promql::Engine>,
    pub logql: Arc<logql::Engine>,
    /// None where the build leaves SQL out.
    pub sql: Option<Arc<dyn Sql>>,
}

/// Services of gRPC that others implement.
pub type GrpcRoutes = tonic::service::Routes;

/// Everything the API is made of. Handed over once, at start.
pub struct Parts {
    pub reads: Reads,
    /// The same with every replica by itself, for `dedup=false`.
    pub reads_apart: Reads,
    pub ingest: Arc<ingest::Ingest>,
    pub metrics: Metrics,
    pub clock: Clock,
    /// Request bodies are reserved here while they are read and handled.
    pub budget: MemoryBudget,
    pub options: ApiOptions,
    pub hooks: Arc<dyn NodeHooks>,
    /// Ends what outlasts its request: live tails.
    pub shutdown: Shutdown,
    /// Thanos' StoreAPI and Info, for the main port.
    pub store_api: Option<tonic::service::Routes>,
    /// Flight SQL, for the main port and that of OTLP over gRPC. Requests come with a [`contract::SqlCaller`].
    pub flight: Option<GrpcRoutes>,
}

/// Cheap to clone; derefs to its [`Parts`].
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    parts: Parts,
    gate: Gate,
    pool: Pool,
    tails: Tails,
    scrolls: Scrolls,
    http: HttpMetrics,
    started_ns: i64,
}

impl AppState {
    /// Registers the API's metrics, so a registry takes one `AppState`.
    pub fn new(parts: Parts) -> Self {
        let gate =
            Gate::new(parts.options.max_concurrent_queries, parts.options.max_queued_queries, &parts.metrics);
        let pool = Pool::new(parts.options.query_threads);
        let tails = Tails::new(parts.options.max_tails, parts.options.max_tails_per_tenant, &parts.metrics);
        let http = HttpMetrics::new(&parts.metrics);
        let started_ns = parts.clock.now_ns();
        AppState(Arc::new(Inner { parts, gate, pool, tails, scrolls: Scrolls::default(), http, started_ns }))
    }

    /// Bounds the queries that run at once.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Where queries run.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Bounds live tails.
    pub fn tails(&self) -> &Tails {
        &self.0.tails
    }

    /// Open scrolls of Elasticsearch's API.
    pub(crate) fn scrolls(&self) -> &Scrolls {
        &self.0.scrolls
    }

    /// When this state was made, nanoseconds since 1970.
    pub fn started_ns(&self) -> i64 {
        self.0.started_ns
    }

    pub(crate) fn http(&self) -> &HttpMetrics {
        &self.0.http
    }

    /// The limits for one query that may take `timeout` at most.
    pub fn query_limits(&self, timeout: Duration) -> QueryLimits {
        let timeout = timeout.min(self.options.query_timeout);
        QueryLimits {
            deadline: self.clock.monotonic().checked_add(timeout),
            memory: self.budget.clone(),
            ..self.options.limits.clone()
        }
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

/// Options of the listeners and routes. [`ApiOptions::default`] holds what a node uses when told nothing.
#[derive(Clone)]
pub struct ApiOptions {
    /// Longest a query may take; a client's `timeout` can only shorten it (`query.timeout`).
    pub query_timeout: Duration,
    /// How far back an instant selector looks for a sample (`query.lookback`).
    pub lookback_delta: Duration,
    /// Queries that run at once (`query.max_concurrent`).
    pub max_concurrent_queries: usize,
    /// Queries that may wait for their turn; one more is refused at once (`query.max_queued`).
    pub max_queued_queries: usize,
    /// Live tails that are open at once, on the node (`query.max_tails`) and of one tenant
    /// (`query.max_tails_per_tenant`); one more is refused.
    pub max_tails: usize,
    pub max_tails_per_tenant: usize,
    /// What of logs is found out when they come in, for clients that adapt to it.
    pub log_options: LogOptions,
    /// Template of what a query may cost; its deadline and memory are replaced per query.
    pub limits: QueryLimits,
    /// Longest a client may take to send the head of its first request.
    pub header_read_timeout: Duration,
    /// Longest a connection may wait for its next request. Shorter than a sender's interval: each of its
    /// requests races with the connection being closed.
    pub idle_timeout: Duration,
    /// Longest a client may take no byte of an answer.
    pub write_timeout: Duration,
    /// Longest a client may take to send its body.
    pub body_read_timeout: Duration,
    /// Longest open requests are waited for at shutdown.
    pub drain_timeout: Duration,
    /// Threads that queries run on, apart from those that serve connections: evaluation holds its thread for
    /// long, and `/-/healthy` answers whatever is asked. 0 runs queries where their connection is served.
    pub query_threads: usize,
    /// Connections open at once per listener; more wait in the kernel's backlog.
    pub max_connections: usize,
    pub cluster: Option<ClusterName>,
    pub external_labels: Labels,
    pub version: VersionInfo,
    /// Allows `POST /-/reload` (`http.enable_lifecycle`).
    pub enable_lifecycle: bool,
    /// Allows deleting series and taking snapshots (`http.enable_admin`).
    pub enable_admin: bool,
    /// The one foreign origin whose pages may read answers (`http.cors_origin`, `*` for all); none by default.
    pub cors_origin: Option<String>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        ApiOptions {
            query_timeout: Duration::from_secs(120),
            lookback_delta: Duration::from_secs(300),
            max_concurrent_queries: 20,
            max_queued_queries: 100,
            max_tails: 100,
            max_tails_per_tenant: 10,
            log_options: LogOptions::default(),
            limits: QueryLimits::default(),
            header_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(180),
            write_timeout: Duration::from_secs(30),
            body_read_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(5),
            query_threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_connections: 4096,
            cluster: None,
            external_labels: Labels::default(),
            version: VersionInfo::default(),
            enable_lifecycle: true,
            enable_admin: false,
            cors_origin: None,
        }
    }
}

/// What a node does about logs beyond keeping them; see `ingest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    pub discover_service_name: bool,
    pub discover_log_levels: bool,
    pub patterns: bool,
    /// How long they are kept; `None` is for ever.
    pub retention: Option<Duration>,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { discover_service_name: true, discover_log_levels: true, patterns: true, retention: None }
    }
}

/// What was built. Empty strings where the build did not know.
#[derive(Debug, Clone, Default)]
pub struct VersionInfo {
    /// Of Orrery, e.g. `0.1.0`.
    pub version: String,
    pub revision: String,
    pub branch: String,
    pub build_date: String,
    /// The compiler.
    pub rustc: String,
}

/// What the API asks the node itself. Implementations MUST answer without blocking: `/-/healthy`,
/// `/-/ready`, the Fleet page and `/api/v1/targets` call them on the request's own task. The admin calls may
/// wait.
#[async_trait]
pub trait NodeHooks: Send + Sync {
    /// `Err` says why the process must be started again to work: a supervisor that asks `/-/healthy` does it.
    fn is_healthy(&self) -> Result<(), String> {
        Ok(())
    }

    /// `Err` says what is not ready yet (replaying the log, shutting down).
    fn is_ready(&self) -> Result<(), String>;

    /// Reads the configuration again and applies it. `Err` says why the old one stays.
    async fn reload(&self) -> Result<(), String>;

    /// The status of this node and of what it knows of others, for the Fleet page: an object, shown as it is.
    fn fleet(&self) -> serde_json::Value;

    /// This node's peers and their links, for the Federation page: an object, shown as it is.
    fn federation(&self) -> serde_json::Value;

    /// What this node sent onward and received from other nodes, both ends compared: an object, shown as it is.
    async fn ledger(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    /// What this node counted of these sources, for the node that sent it: an object, shown as it is.
    fn received(&self, _sources: &[u64]) -> serde_json::Value {
        serde_json::json!({"sources": []})
    }

    /// Sources, queue and destinations, for the Pipelines page: an object, shown as it is.
    async fn pipelines(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    /// Scrape targets.
    fn targets(&self) -> Vec<TargetStatus>;

    /// Targets that relabelling dropped, as many as each job keeps.
    fn dropped_targets(&self) -> Vec<DroppedTarget> {
        Vec::new()
    }

    /// How many targets relabelling dropped, by job.
    fn dropped_target_counts(&self) -> Vec<(String, usize)> {
        Vec::new()
    }

    /// How long log records are kept; `None` for ever, or where that is not known.
    fn logs_retention(&self) -> Option<Duration> {
        None
    }

    /// The configuration in effect, secrets masked.
    fn config_yaml(&self) -> String;

    /// Deletes what series that match one of the selectors have in the range; `Ok` once no read finds it.
    /// May take long, as the next two.
    async fn delete_series(
        &self,
        tenants: Tenants,
        selectors: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> contract::Result<()>;

    /// Deletes what log streams that match have in the range; `Ok` once no read finds it.
    async fn delete_logs(
        &self,
        tenants: Tenants,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> contract::Result<()> {
        let _ = (tenants, matchers, range);
        Err(contract::Error::unavailable("logs cannot be deleted here"))
    }

    /// Deletions of logs whose bytes are still there.
    fn log_deletions(&self, tenants: &Tenants) -> contract::Result<Vec<LogDeletion>> {
        let _ = tenants;
        Ok(Vec::new())
    }

    /// Frees the space of what was deleted.
    async fn clean_tombstones(&self) -> contract::Result<()>;

    /// Takes a snapshot and says its name; with or without what is not in segments yet.
    async fn snapshot(&self, with_head: bool) -> contract::Result<String>;

    /// What the configuration in effect amounts to, and when it was read.
    fn running(&self) -> Running;
}

/// What `/api/v1/status/runtimeinfo` and `/api/v1/status/flags` show of a node's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    /// Whether the last attempt to read the configuration again was taken over.
    pub reloaded: bool,
    /// When the configuration in effect was read, nanoseconds since 1970.
    pub configured_ns: i64,
    /// How long and how much metrics are kept, e.g. `30d or 80GiB`.
    pub storage_retention: String,
    /// Settings by the names Prometheus' flags have.
    pub flags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetHealth {
    #[default]
    Unknown,
    Up,
    Down,
}

impl TargetHealth {
    pub fn as_str(self) -> &'static str {
        match self {
            TargetHealth::Unknown => "unknown",
            TargetHealth::Up => "up",
            TargetHealth::Down => "down",
        }
    }
}

/// One deletion of logs.
#[derive(Debug, Clone)]
pub struct LogDeletion {
    pub id: String,
    pub matchers: Vec<Matcher>,
    /// Both ends included.
    pub first_ms: i64,
    pub last_ms: i64,
    /// When it was asked for; 0 where that is not known.
    pub made_ms: i64,
}

/// A target that relabelling dropped, with its labels before.
#[derive(Debug, Clone, Default)]
pub struct DroppedTarget {
    pub scrape_pool: String,
    pub discovered_labels: Labels,
}

/// One scrape target, as `/api/v1/targets` shows it.
#[derive(Debug, Clone, Default)]
pub struct TargetStatus {
    /// The job it belongs to.
    pub scrape_pool: String,
    pub scrape_url: String,
    /// The same for somebody on another machine; empty where it is the same.
    pub global_url: String,
    /// Before relabelling.
    pub discovered_labels: Labels,
    /// After relabelling.
    pub labels: Labels,
    pub health: TargetHealth,
    /// Empty when the last scrape worked.
    pub last_error: String,
    /// Nanoseconds since 1970, `None` before the first scrape.
    pub last_scrape_ns: Option<i64>,
    pub last_duration: Duration,
    pub interval: Duration,
    pub timeout: Duration,
}
