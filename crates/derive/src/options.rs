//! What is derived, as configured. Defaults are those of Tempo's metrics-generator, where it has the option and
//! nothing else is said.

use std::time::Duration;

/// Most bounds of one histogram.
pub const MAX_BUCKETS: usize = 60;
/// Most dimensions of one kind.
pub const MAX_DIMENSIONS: usize = 20;

#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// RED for each service, operation, kind and status; `None` derives none.
    pub red: Option<Red>,
    /// The edges of the service graph; `None` derives none.
    pub graph: Option<Graph>,
    /// How often counters become samples. Shorter costs samples, longer is seen later.
    pub interval: Duration,
    /// A series that nothing was counted for in this long ends, and begins anew with the next span.
    pub stale_after: Duration,
    /// Series of one tenant. What comes on top is counted together, under `metric_overflow="true"`.
    pub max_series: usize,
    /// Spans that ended so long before they were received are not counted: a counter knows no past.
    pub max_age: Option<Duration>,
    /// Value of the label `__metrics_gen_instance`, which tells apart nodes that each count a part of the same spans.
    pub instance: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Red {
    /// Attributes of resource or span, in this order, that become labels.
    pub dimensions: Vec<String>,
    /// Whether the status message becomes a label.
    pub status_message: bool,
    /// Whether resources are described by `traces_target_info`, and series have its labels `job` and `instance`.
    pub target_info: bool,
    pub latency: Latency,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// How long half an edge waits for the other half.
    pub wait: Duration,
    /// Halves that wait at most; one more is dropped and counted. One takes some 150 bytes.
    pub max_items: usize,
    /// Attributes of resource or span that become labels with `client_` or `server_` before them.
    pub dimensions: Vec<String>,
    /// Attributes of a span that name a service which sends no spans itself.
    pub peer_attributes: Vec<String>,
    /// Attributes by which a client span is known to ask a database; the first one found is its last resort of a name.
    pub database_attributes: Vec<String>,
    pub latency: Latency,
}

/// The histograms of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// Upper bounds in seconds, ascending, without `+Inf`.
    pub buckets: Vec<f64>,
    pub histograms: Histograms,
}

/// How latencies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Histograms {
    /// `_bucket`, `_sum` and `_count`.
    #[default]
    Classic,
    /// One native histogram.
    Native,
    Both,
}

impl Histograms {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "classic" => Some(Histograms::Classic),
            "native" => Some(Histograms::Native),
            "both" => Some(Histograms::Both),
            _ => None,
        }
    }

    pub(crate) fn classic(self) -> bool {
        self != Histograms::Native
    }

    pub(crate) fn native(self) -> bool {
        self != Histograms::Classic
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            red: Some(Red::default()),
            graph: Some(Graph::default()),
            interval: Duration::from_secs(15),
            stale_after: Duration::from_secs(15 * 60),
            max_series: 200_000,
            max_age: Some(Duration::from_secs(24 * 3600)),
            instance: None,
        }
    }
}

/// Services of one name in several namespaces are several.
fn namespace() -> Vec<String> {
    vec!["k8s.namespace.name".to_owned()]
}

fn doubled(first: f64, n: i32) -> Vec<f64> {
    (0..n).map(|i| first * 2f64.powi(i)).collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

impl Default for Red {
    fn default() -> Self {
        Red {
            dimensions: namespace(),
            status_message: false,
            target_info: false,
            latency: Latency { buckets: doubled(0.002, 14), histograms: Histograms::Classic },
        }
    }
}

impl Default for Graph {
    fn default() -> Self {
        Graph {
            wait: Duration::from_secs(10),
            max_items: 100_000,
            dimensions: namespace(),
            peer_attributes: owned(&["peer.service", "db.name", "db.system", "db.system.name"]),
            database_attributes: owned(&["db.namespace", "db.name", "db.system", "db.system.name"]),
            latency: Latency { buckets: doubled(0.1, 8), histograms: Histograms::Classic },
        }
    }
}
