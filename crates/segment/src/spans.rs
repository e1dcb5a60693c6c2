//! Trace segments: one row per span, the spans of a trace together, traces by the time they began.
//!
//! ```text
//! column                    type             what
//! trace_id span_id          bytes 16, 8      null where all zero
//! parent_span_id            bytes 8          null for a root span
//! service                   dictionary text  service.name of the resource, for filters and other readers
//! name                      dictionary text
//! kind status_code          u8               OTLP numbers
//! start end                 timestamp(ns)    delta-packed
//! status_message, trace_state                text, null where empty
//! flags, dropped_attributes, dropped_events, dropped_links   u32
//! origin                    u32              number of resource and scope in the blob `origins`
//! events links              text             typed JSON arrays ([`crate::text`]), null where empty
//! a_…, attributes_…                          attributes, see [`crate::attrs`]
//! ```
//! Everything is zstd-compressed. Row groups end between traces unless one trace is larger than four of them.
//!
//! Blobs: `traces` finds a trace's rows by its id ([`directory`]); `origins` (packed text, a typed JSON array
//! of resources and scopes), `services` (packed text, `{"service":{"span name":[kinds]}}`) and `keys` (packed
//! text, a JSON array of attribute keys) answer listings without reading rows.

mod columns;
mod decode;
mod directory;
mod listing;
mod reader;
mod tables;
mod writer;

use std::sync::Arc;

use model::{Span, SpanKind, TimeRange, span::SpanOrigin};
use serde::{Deserialize, Serialize};

pub use reader::Reader;
pub use writer::write;

#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    pub level: u8,
}

/// Decides over a whole span.
pub type SpanPredicate = Arc<dyn Fn(&Span, &SpanOrigin) -> bool + Send + Sync>;

/// All conditions must hold. The named ones are checked on columns before a span is put together.
#[derive(Clone)]
pub struct Selection {
    /// By start of the span.
    pub range: TimeRange,
    pub service: Option<String>,
    pub name: Option<String>,
    pub kind: Option<SpanKind>,
    pub min_duration_ns: Option<i64>,
    pub max_duration_ns: Option<i64>,
    /// Status is error, or anything else.
    pub error: Option<bool>,
    pub predicate: Option<SpanPredicate>,
}

impl Selection {
    pub fn new(range: TimeRange) -> Self {
        Selection {
            range,
            service: None,
            name: None,
            kind: None,
            min_duration_ns: None,
            max_duration_ns: None,
            error: None,
            predicate: None,
        }
    }
}

/// The footer entry `orrery.layout`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layout {
    attributes: crate::attrs::Plan,
}

#[cfg(test)]
mod tests;
