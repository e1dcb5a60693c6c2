//! What a bench is told.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// How items travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Prometheus remote write 1.0, snappy.
    RemoteWrite,
    /// OTLP over HTTP, protobuf, not compressed.
    OtlpHttp,
    /// OTLP over gRPC without TLS.
    OtlpGrpc,
    /// Loki push, snappy protobuf.
    Loki,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    Metrics,
    Logs,
    Traces,
}

macro_rules! names {
    ($t:ident, $($v:ident = $s:literal),*) => {
        impl $t {
            pub fn as_str(self) -> &'static str {
                match self { $($t::$v => $s),* }
            }
        }

        impl FromStr for $t {
            type Err = String;

            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($s => Ok($t::$v),)*
                    _ => Err(format!("{s:?} is none of {}", [$($s),*].join(", "))),
                }
            }
        }

        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names!(Protocol, RemoteWrite = "remote-write", OtlpHttp = "otlp-http", OtlpGrpc = "otlp-grpc", Loki = "loki");
names!(Signal, Metrics = "metrics", Logs = "logs", Traces = "traces");

impl Protocol {
    pub fn carries(self, signal: Signal) -> bool {
        match self {
            Protocol::RemoteWrite => signal == Signal::Metrics,
            Protocol::Loki => signal == Signal::Logs,
            Protocol::OtlpHttp | Protocol::OtlpGrpc => true,
        }
    }
}

/// Options of `bench write`.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// `http://host:port`; the protocol's usual path is added unless the URL has one of its own.
    pub target: String,
    pub protocol: Protocol,
    pub signal: Signal,
    /// Sent as `X-Scope-OrgID` where present.
    pub tenant: Option<String>,
    /// Further headers (metadata in gRPC), names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many scrape targets of 200 series each (metrics), or services (logs, traces), are imitated.
    pub targets: usize,
    /// Items (samples, records, spans) in one request.
    pub batch: usize,
    /// Items a second over all workers; `None` sends as fast as answers come.
    pub rate: Option<f64>,
    /// Requests under way at once.
    pub concurrency: usize,
    pub duration: Duration,
    /// The same seed generates the same items, times apart.
    pub seed: u64,
    /// One request's time-out.
    pub timeout: Duration,
    /// Simulated time of metrics: first stamp and step between two scrapes of a target, ms. `None` stamps with
    /// the present, so that any receiver takes it.
    pub simulated: Option<(i64, i64)>,
    /// Counting mode: every item is numbered, a request that gets no answer is sent again unchanged, and what
    /// was sent and acknowledged is written here.
    pub journal: Option<PathBuf>,
    /// Counting mode: how long an unanswered request is sent again, past the end too.
    pub retry_for: Duration,
    /// Counting mode: bytes that every log line and every span is filled up to.
    pub item_bytes: usize,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            target: "http://127.0.0.1:9494".to_owned(),
            protocol: Protocol::RemoteWrite,
            signal: Signal::Metrics,
            tenant: None,
            headers: Vec::new(),
            targets: 10,
            batch: 2000,
            rate: None,
            concurrency: 2,
            duration: Duration::from_secs(10),
            seed: 1,
            timeout: Duration::from_secs(30),
            simulated: None,
            journal: None,
            retry_for: Duration::from_secs(60),
            item_bytes: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryKind {
    /// `/api/v1/query`
    PromqlInstant,
    /// `/api/v1/query_range`
    PromqlRange,
    /// `/loki/api/v1/query_range`
    LogqlRange,
}

names!(QueryKind, PromqlInstant = "promql-instant", PromqlRange = "promql-range", LogqlRange = "logql-range");

/// One expression to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuerySpec {
    pub kind: QueryKind,
    pub expr: String,
}

/// Options of `bench query`.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Base URL; the API's paths are added.
    pub target: String,
    pub tenant: Option<String>,
    pub headers: Vec<(String, String)>,
    /// Asked in turn.
    pub queries: Vec<QuerySpec>,
    /// Range queries cover this much time up to now.
    pub range: Duration,
    pub step: Duration,
    /// Records a log query may return.
    pub limit: usize,
    pub concurrency: usize,
    pub duration: Duration,
    pub timeout: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        QueryOptions {
            target: "http://127.0.0.1:9494".to_owned(),
            tenant: None,
            headers: Vec::new(),
            queries: Vec::new(),
            range: Duration::from_secs(3600),
            step: Duration::from_secs(15),
            limit: 1000,
            concurrency: 2,
            duration: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
        }
    }
}

/// Options of `bench verify`.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    pub journal: PathBuf,
    /// Base URL of the query APIs; `None` takes scheme, host and port the journal names.
    pub target: Option<String>,
    pub tenant: Option<String>,
    pub headers: Vec<(String, String)>,
    /// Where traces are asked by id: `<target><path>/<trace id>`.
    pub traces_path: String,
    pub timeout: Duration,
    /// Questions under way at once.
    pub concurrency: usize,
}

impl VerifyOptions {
    pub fn new(journal: impl Into<PathBuf>) -> Self {
        VerifyOptions {
            journal: journal.into(),
            target: None,
            tenant: None,
            headers: Vec::new(),
            traces_path: "/jaeger/api/traces".to_owned(),
            timeout: Duration::from_secs(60),
            concurrency: 4,
        }
    }
}
