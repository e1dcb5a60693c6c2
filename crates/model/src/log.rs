//! Log records. A record belongs to a stream: the labels a log query selects by, and the resource and scope
//! it came from.

use crate::{
    attributes::{AnyValue, Attributes, Resource, Scope},
    labels::Labels,
};

/// What records of one origin share. `labels` are what LogQL selects streams by: for Loki pushes exactly what
/// was pushed, for OTLP the promoted resource attributes (`service_name`, `k8s_namespace_name`, ...).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogStream {
    pub labels: Labels,
    pub resource: Resource,
    pub scope: Scope,
}

/// One log record (OpenTelemetry `logs/v1` LogRecord).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogRecord {
    /// Index into [`LogBatch::streams`].
    pub stream: u32,
    /// When it happened; where the producer did not say, when it was observed.
    pub timestamp_ns: i64,
    /// When it was first seen by a collector, 0 where unknown.
    pub observed_ns: i64,
    /// 1 (TRACE) to 24 (FATAL4), 0 where unknown.
    pub severity_number: u8,
    pub severity_text: String,
    pub body: AnyValue,
    /// Structured metadata in Loki's words.
    pub attributes: Attributes,
    pub dropped_attributes: u32,
    pub flags: u32,
    /// All zero where the record belongs to no trace.
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub event_name: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogBatch {
    pub streams: Vec<LogStream>,
    pub records: Vec<LogRecord>,
}

impl LogRecord {
    /// Bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        std::mem::size_of::<Self>()
            + self.severity_text.len()
            + self.body.heap_bytes()
            + self.attributes.heap_bytes()
            + self.event_name.len()
    }
}
