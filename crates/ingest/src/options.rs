//! What admission is told: limits and stamping from configuration, the sender from the connection.

use std::time::Duration;

use model::{BatchId, ClusterName};
use wire::jaeger::Protocol;
pub use wire::{
    names::{NameStrategy, Naming},
    otlp::metrics::{MetricOptions as OtlpMetrics, Promote},
};

use crate::Discover;

/// How large a request may be. What single items may look like is in `items`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as received (`ingest.max_body`).
    pub max_body_bytes: usize,
    /// Bytes of a body after unpacking (`ingest.max_unpacked`); what a bomb may cost.
    pub max_decompressed_bytes: usize,
    /// Label names and values, lines, attributes.
    pub items: wire::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_body_bytes: 16 << 20, max_decompressed_bytes: 64 << 20, items: wire::Limits::default() }
    }
}

/// Options of admission; replaceable while running.
#[derive(Debug, Clone)]
pub struct Options {
    pub limits: Limits,
    /// Stamped on everything that does not name a cluster itself; `None` stamps nothing.
    pub cluster: Option<ClusterName>,
    /// How OTLP metrics become series.
    pub otlp_metrics: OtlpMetrics,
    /// How OTLP points of delta temporality are added up; `None` refuses them.
    pub deltas: Option<DeltaLimits>,
    /// Resource attributes that become stream labels of OTLP log records; `None` is Loki's default list.
    pub promote_to_streams: Option<Vec<String>>,
    /// What is found out about logs; nothing unless asked for.
    pub discover: Discover,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limits: Limits::default(),
            cluster: None,
            otlp_metrics: OtlpMetrics::default(),
            deltas: Some(DeltaLimits::default()),
            promote_to_streams: None,
            discover: Discover::default(),
        }
    }
}

/// Bounds of the running totals that points of delta temporality are added to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaLimits {
    /// Series of one tenant with a total (`otlp.delta_max_series`). More costs memory, some 300 bytes a series and
    /// more for native histograms; with less, new series are refused while the known go on.
    pub max_series: usize,
    /// How long a total is kept without a new point (`otlp.delta_max_idle`). Afterwards the series begins anew.
    pub max_idle: Duration,
}

impl Default for DeltaLimits {
    fn default() -> Self {
        DeltaLimits { max_series: 500_000, max_idle: Duration::from_secs(3600) }
    }
}

impl Options {
    /// What the OTLP decoders take.
    pub(crate) fn otlp(&self) -> wire::otlp::Options {
        let defaults = wire::otlp::Options::default();
        wire::otlp::Options {
            limits: self.limits.items.clone(),
            metrics: self.otlp_metrics.clone(),
            promote_to_streams: self.promote_to_streams.clone().unwrap_or(defaults.promote_to_streams),
        }
    }
}

/// Who sent a request, as far as it tells one sender's repetition from another sender's equal body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// The peer's address without its port: a retry comes from another port.
    pub addr: String,
    pub user_agent: String,
    /// The cluster its certificate names. It brings that cluster's telemetry and no other's.
    pub cluster: Option<ClusterName>,
    /// The number another node gave to the request: equal numbers have equal items, however often they come.
    pub batch: Option<BatchId>,
    /// How many items that node counts in it: one of its items may become several here.
    pub items: Option<u64>,
}

/// What an OTLP request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Otlp {
    pub transport: OtlpTransport,
    pub signal: OtlpSignal,
    pub format: OtlpFormat,
}

/// How it came; senders of each are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpTransport {
    Http,
    Grpc,
    Kafka,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpFormat {
    Protobuf,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpSignal {
    Metrics,
    Logs,
    Traces,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LokiFormat {
    Json,
    /// `logproto.PushRequest`; without a content encoding it is snappy, as clients of Loki send it.
    Protobuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZipkinFormat {
    Json,
    /// `zipkin.proto3.ListOfSpans`.
    Protobuf,
}

/// How a batch for Jaeger's collector is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JaegerFormat {
    /// `Batch` of `jaeger.thrift`, over HTTP.
    Thrift(Protocol),
    /// `jaeger.api_v2.PostSpansRequest`, over gRPC.
    Protobuf,
}

impl OtlpFormat {
    /// From a `Content-Type`: `application/x-protobuf` or `application/json`, parameters ignored.
    pub fn from_content_type(value: &str) -> Option<Self> {
        match media_type(value).as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(OtlpFormat::Protobuf),
            "application/json" => Some(OtlpFormat::Json),
            _ => None,
        }
    }
}

impl LokiFormat {
    /// From a `Content-Type`; Loki's own clients send protobuf without fail, so an absent one means that.
    pub fn from_content_type(value: &str) -> Option<Self> {
        match media_type(value).as_str() {
            "" | "application/x-protobuf" | "application/protobuf" => Some(LokiFormat::Protobuf),
            "application/json" | "text/json" => Some(LokiFormat::Json),
            _ => None,
        }
    }
}

impl ZipkinFormat {
    /// From a `Content-Type`. What names neither protobuf nor Thrift is taken for JSON, as by Zipkin and OpenTelemetry's
    /// collector: senders are careless about it.
    pub fn from_content_type(value: &str) -> Option<Self> {
        let media = media_type(value);
        match media.as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(ZipkinFormat::Protobuf),
            thrift if thrift.contains("thrift") => None,
            _ => Some(ZipkinFormat::Json),
        }
    }
}

impl JaegerFormat {
    /// From a `Content-Type` over HTTP.
    pub fn from_content_type(value: &str) -> Option<Self> {
        match media_type(value).as_str() {
            "application/x-thrift" | "application/vnd.apache.thrift.binary" => {
                Some(JaegerFormat::Thrift(Protocol::Binary))
            }
            "application/vnd.apache.thrift.compact" => Some(JaegerFormat::Thrift(Protocol::Compact)),
            _ => None,
        }
    }
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
