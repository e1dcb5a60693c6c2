//! The data model of telemetry: what a label, sample, log record, span and batch *is*.
//!
//! Everything here is plain data. It must never know I/O, async, a wire format or a storage format, so that
//! every other crate can share it. Start reading at [`batch`]; [`labels`] and [`histogram`] are its parts.

pub mod attributes;
pub mod batch;
pub mod histogram;
pub mod ids;
pub mod labels;
pub mod log;
pub mod matcher;
pub mod merge;
pub mod metric;
pub mod span;
pub mod time;

pub use attributes::{AnyValue, Attributes};
pub use batch::Batch;
pub use histogram::Histogram;
pub use ids::{BatchId, ClusterName, ReplicaName, Signal, TenantId};
pub use labels::{Labels, LabelsBuilder};
pub use log::{LogBatch, LogRecord, LogStream};
pub use matcher::{MatchOp, Matcher};
pub use metric::{Exemplar, MetricBatch, MetricKind, MetricMetadata, is_stale_marker, stale_marker};
pub use span::{Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode};
pub use time::{TimeRange, TimestampMs, TimestampNs};
