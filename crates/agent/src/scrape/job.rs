//! One `scrape_configs` entry: what is scraped and how, with Prometheus' defaults in place.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use model::labels::{is_classic_label_name, is_classic_metric_name};
use model::{Labels, labels::METRIC_NAME};
pub use transform::relabel::Names;
use transform::relabel::Rule;

use crate::discovery::{Discovery, Group};

#[derive(Clone, PartialEq)]
pub struct ScrapeConfig {
    pub job_name: String,
    pub interval: Duration,
    /// Not longer than the interval.
    pub timeout: Duration,
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target's own samples win over the target's labels.
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    /// Whether series that carry their own time are marked stale when they vanish.
    pub track_timestamps_staleness: bool,
    /// What is asked for, best first.
    pub protocols: Vec<Protocol>,
    /// How an answer is read whose content type is missing or not known. Without, such a scrape fails.
    pub fallback_protocol: Option<Protocol>,
    pub compression: bool,
    pub histograms: Histograms,
    pub limits: Limits,
    pub names: Names,
    pub escaping: Escaping,
    /// Stores `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes` too.
    pub extra_metrics: bool,
    /// Gets a line of JSON for each failed scrape.
    pub failure_log: Option<PathBuf>,
    pub discovery: Vec<Discovery>,
    pub relabel: Vec<Rule>,
    pub metric_relabel: Vec<Rule>,
    pub http: net::Settings,
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
            track_timestamps_staleness: false,
            protocols: Protocol::TEXT_FIRST.to_vec(),
            fallback_protocol: None,
            compression: true,
            histograms: Histograms::default(),
            limits: Limits::default(),
            names: Names::Utf8,
            escaping: Escaping::AllowUtf8,
            extra_metrics: false,
            failure_log: None,
            discovery: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            http: net::Settings::default(),
        }
    }
}

impl ScrapeConfig {
    /// A job over plain addresses.
    pub fn of<A: AsRef<str>>(job_name: impl Into<String>, addresses: impl IntoIterator<Item = A>) -> Self {
        let group = Group::of(addresses, Labels::default());
        ScrapeConfig {
            job_name: job_name.into(),
            discovery: vec![Discovery::Static(vec![group])],
            ..ScrapeConfig::default()
        }
    }
}

impl std::fmt::Debug for ScrapeConfig {
    /// Without the client settings and parameters: a secret must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapeConfig")
            .field("job_name", &self.job_name)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// What becomes of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Histograms {
    /// Native histograms are taken; otherwise only their classic part is.
    pub native: bool,
    /// The classic part is kept beside the native one.
    pub always_classic: bool,
    /// Classic histograms become native ones with custom buckets.
    pub classic_to_custom: bool,
    /// Buckets of one native histogram above which it is made coarser; 0 is no limit.
    pub bucket_limit: u64,
    /// The smallest growth from bucket to bucket; finer histograms are made coarser. 0 is no limit.
    pub min_bucket_factor: f64,
}

/// Limits of one target or job; 0 is no limit. Exceeding one fails the scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Unpacked bytes of an answer.
    pub body_size_bytes: u64,
    /// Samples after relabelling.
    pub samples: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Labels of a series, target labels included.
    pub labels: u64,
    pub label_name_bytes: u64,
    pub label_value_bytes: u64,
    /// Dropped targets remembered for the API; fails nothing.
    pub keep_dropped: u64,
}

/// Exposition formats that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    PrometheusProto,
    PrometheusText004,
    PrometheusText100,
    OpenMetrics001,
    OpenMetrics100,
}

impl Protocol {
    pub const ALL: [Protocol; 5] = [
        Protocol::PrometheusProto,
        Protocol::PrometheusText004,
        Protocol::PrometheusText100,
        Protocol::OpenMetrics001,
        Protocol::OpenMetrics100,
    ];

    /// What is asked for unless something else is configured.
    pub const TEXT_FIRST: [Protocol; 4] = [
        Protocol::OpenMetrics100,
        Protocol::OpenMetrics001,
        Protocol::PrometheusText100,
        Protocol::PrometheusText004,
    ];

    /// The default where native histograms are wanted, which only protobuf carries.
    pub const PROTO_FIRST: [Protocol; 5] = [
        Protocol::PrometheusProto,
        Protocol::OpenMetrics100,
        Protocol::OpenMetrics001,
        Protocol::PrometheusText100,
        Protocol::PrometheusText004,
    ];

    /// The name in `scrape_protocols`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::PrometheusProto => "PrometheusProto",
            Protocol::PrometheusText004 => "PrometheusText0.0.4",
            Protocol::PrometheusText100 => "PrometheusText1.0.0",
            Protocol::OpenMetrics001 => "OpenMetricsText0.0.1",
            Protocol::OpenMetrics100 => "OpenMetricsText1.0.0",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Protocol::ALL.into_iter().find(|p| p.as_str() == name)
    }
}

/// How a target is asked to write names that are not classic ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escaping {
    #[default]
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

impl Escaping {
    pub const ALL: [Escaping; 4] =
        [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

    pub fn as_str(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Escaping::ALL.into_iter().find(|e| e.as_str() == name)
    }
}

/// Whether all names of a series are of the allowed kind.
pub(super) fn names_allowed(names: Names, labels: &Labels) -> bool {
    names == Names::Utf8
        || labels.iter().all(|(n, v)| match n {
            METRIC_NAME => is_classic_metric_name(v),
            n => is_classic_label_name(n),
        })
}
