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
//! of resources and scopes), `services` (packed text, `{"service":{"span name":[kinds]}}`) `keys` (packed
//! text, a JSON array of attribute keys of spans and resources) and `scoped_keys` (packed text, a JSON object of such
//! lists by where keys stand: `span`, `resource`, `scope`, `event`, `link`) answer listings without reading rows.
//! `blocks` ([`blocks`]) says what pages of 2048 rows have in common, and `terms` ([`crate::terms::index`]) which of them
//! have an attribute of a span, an event or a link with a value, a name, or an origin. Segments without these three were
//! written before there were any.

mod blocks;
mod columns;
mod conditions;
mod decode;
mod directory;
mod listing;
mod merge;
mod reader;
mod tables;
mod writer;

use std::sync::Arc;

use contract::{SpanCondition, SpanParts};
use model::{AnyValue, SpanKind, TimeRange};
use serde::{Deserialize, Serialize};

pub use listing::Keys;
pub use merge::merge;
pub use reader::{Located, Reader};
pub use writer::{write, write_of};

#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    pub level: u8,
}

/// All conditions must hold. They are decided on columns, before a span is put together.
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
    /// As [`contract::SpanFilter::Attribute`] has them.
    pub attributes: Vec<(String, AnyValue)>,
    /// As [`contract::SpansRequest::any_of`] has them.
    pub any_of: Arc<[Vec<SpanCondition>]>,
    /// What is read of the spans that are selected.
    pub wanted: SpanParts,
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
            attributes: Vec::new(),
            any_of: Arc::default(),
            wanted: SpanParts::everything(),
        }
    }
}

/// The footer entry `orrery.layout`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Layout {
    attributes: crate::attrs::Plan,
    /// Bytes of the blob `terms` before its pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<u32>,
}

#[cfg(test)]
mod tests;
