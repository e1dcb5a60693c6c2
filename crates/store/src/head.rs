//! What was appended and is not in a segment yet: one head per (tenant, signal).
//!
//! A head is *active* (appended to in the order of the log), then *frozen* as a whole (readable, unchanging,
//! being flushed), then dropped in the moment its segments are published.

pub(crate) mod index;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod run;
pub(crate) mod series;
pub(crate) mod spans;

pub(crate) use logs::{LogPart, LogsHead};
pub(crate) use metrics::{FrozenMetrics, MetricsHead};
pub(crate) use series::{SeriesSnapshot, SeriesStore};
pub(crate) use spans::{SpanPart, SpansHead};
