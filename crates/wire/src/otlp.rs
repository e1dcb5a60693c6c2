//! OTLP: metrics, logs and traces as the OpenTelemetry collector services carry them, in protobuf and in JSON
//! (`opentelemetry.io/docs/specs/otlp`).
//!
//! ```text
//! protobuf bytes ─ prost ─┐
//!                         ├─► Export…ServiceRequest ─► from_message ─► batch + refusals
//! JSON bytes ─ json ──────┘
//! batch ─ encode ─► Export…ServiceRequest
//! ```

pub(crate) mod attributes;
pub(crate) mod json;
pub mod logs;
pub mod metrics;
pub mod traces;

use model::AnyValue;
use proto::otlp::common::KeyValue;

use crate::Limits;

/// One attribute as OTLP has it.
pub fn key_value(key: &str, value: &AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(attributes::to_value(value)) }
}

/// What decoding needs besides the bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub limits: Limits,
    /// How metrics become series.
    pub metrics: metrics::MetricOptions,
    /// Resource attributes that become stream labels of log records; Loki's default list unless changed.
    pub promote_to_streams: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limits: Limits::default(),
            metrics: metrics::MetricOptions::default(),
            promote_to_streams: STREAM_ATTRIBUTES.iter().map(|s| (*s).to_owned()).collect(),
        }
    }
}

/// What Loki makes stream labels of when nothing else is configured
/// (`grafana.com/docs/loki` → "Ingest OpenTelemetry logs").
pub const STREAM_ATTRIBUTES: [&str; 17] = [
    "cloud.availability_zone",
    "cloud.region",
    "container.name",
    "deployment.environment",
    "deployment.environment.name",
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.cronjob.name",
    "k8s.daemonset.name",
    "k8s.deployment.name",
    "k8s.job.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.replicaset.name",
    "k8s.statefulset.name",
    "service.name",
    "service.namespace",
];

/// Nanoseconds as OTLP writes them, in our signed form.
pub(crate) fn ns(t: u64) -> i64 {
    i64::try_from(t).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(t: i64) -> u64 {
    u64::try_from(t).unwrap_or(0)
}

#[cfg(test)]
mod tests;
