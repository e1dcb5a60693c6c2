//! The checked configuration: every default filled in, every number in its unit.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use model::{ClusterName, ReplicaName};

use crate::{error::Problem, listen::Listen};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    pub cluster: Option<ClusterName>,
    /// `external_labels.replica`, when given.
    pub replica: Option<ReplicaName>,
    /// All external labels, `replica` included.
    pub external_labels: BTreeMap<String, String>,
    /// Whether the node has a store; one without asks its peers only.
    pub keeps: bool,
    pub peers: crate::peers::Peers,
    pub data_dir: PathBuf,
    pub listen: Listen,
    /// This node towards other clusters.
    pub tls: Option<net::tls::ClientSettings>,
    pub http: Http,
    pub retention: Retention,
    pub memory: Memory,
    pub disk: Disk,
    pub ingest: Ingest,
    pub otlp: crate::otlp::Otlp,
    /// What is derived from spans; `None` where nothing is.
    pub derive: Option<derive::Options>,
    pub query: Query,
    /// Names of experimental PromQL features switched on; `["all"]` for all.
    pub promql_experimental: Vec<String>,
    pub collect: Collect,
    pub scrape: Vec<agent::scrape::ScrapeConfig>,
    /// Where telemetry is sent onward to; those of `remote_write` come last.
    pub forward: Vec<crate::forward::Destination>,
    /// What is taken from topics of Kafka.
    pub receive: Vec<bus::ReceiveOptions>,
    /// The text this was read from, for `/api/v1/status/config`.
    pub text: String,
    /// What the files ask for that this version does not do, each with its line.
    pub notices: Vec<Problem>,
}

/// What the HTTP API allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Reloading by `POST /-/reload`.
    pub enable_lifecycle: bool,
    /// Deleting series and taking snapshots by `POST /api/v1/admin/tsdb/…`.
    pub enable_admin: bool,
    /// The one foreign origin whose pages may read answers; `*` is all.
    pub cors_origin: Option<String>,
}

impl Default for Http {
    fn default() -> Self {
        Http { enable_lifecycle: true, enable_admin: false, cors_origin: None }
    }
}

/// How long each signal is kept; `None` keeps for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    pub metrics: Option<Duration>,
    pub logs: Option<Duration>,
    pub traces: Option<Duration>,
    /// All signals together, WAL included; `None` is no limit.
    pub max_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    pub limit_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disk {
    /// Free space below which the node refuses what it is sent.
    pub reserve_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingest {
    pub max_body_bytes: usize,
    pub max_unpacked_bytes: usize,
    /// Series in the head, per tenant.
    pub max_series: usize,
    pub max_series_per_metric: usize,
    /// Tenants this node keeps data of.
    pub max_tenants: usize,
    pub max_labels: usize,
    pub max_label_name_bytes: usize,
    pub max_label_value_bytes: usize,
    pub max_line_bytes: usize,
    pub out_of_order_window: Duration,
    /// Whether log streams are given the label `service_name`.
    pub discover_service_name: bool,
    /// Whether log records are given the attribute `detected_level`.
    pub discover_log_levels: bool,
    /// Whether patterns of log lines are mined.
    pub patterns: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    pub timeout: Duration,
    pub max_concurrent: usize,
    /// Queries that wait for their turn; one more is refused.
    pub max_queued: usize,
    /// Live tails that are open at once, on the node and of one tenant; one more is refused.
    pub max_tails: usize,
    pub max_tails_per_tenant: usize,
    pub max_samples: u64,
    pub max_series: u64,
    pub max_bytes: u64,
    pub max_rows: u64,
    pub lookback: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collect {
    pub host: Option<Host>,
    pub files: Option<Files>,
    pub pods: Option<Pods>,
    pub traces: Option<OwnTraces>,
    pub scrape_defaults: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub interval: Duration,
    pub proc: PathBuf,
    pub sys: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Glob patterns.
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    /// Begin new files at their first byte rather than at their end.
    pub from_beginning: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pods {
    pub path: PathBuf,
    pub from_beginning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnTraces;
