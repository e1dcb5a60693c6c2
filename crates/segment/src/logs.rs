//! Log segments: one row per record, sorted by stream and then time.
//!
//! ```text
//! column              type             what
//! ts                  timestamp(ns)    delta-packed
//! observed            timestamp(ns)    null where unknown
//! stream              u32              number of the stream in the blob `streams`
//! labels              dictionary text  the stream's labels as a JSON object, for other readers
//! severity_number     u8
//! severity_text       dictionary text  null where empty
//! body                text             the body where it is a string and stays plain
//! body_typed          text             any other body but an empty one, as typed JSON ([`crate::text`])
//! template            u32              number of a body's template, null where it is not cut ([`cut`])
//! values              bytes            its values
//! trace_id span_id    bytes 16, 8      null where all zero
//! flags, dropped      u32
//! event_name          dictionary text  null where empty
//! a_…, attributes_…                    attributes, see [`crate::attrs`]
//! ```
//! The blob `terms` ([`crate::terms::index`]) says which blocks of 4096 rows have a word of a body or of an attribute's
//! value, an attribute with a value, or an id. Segments without it were written before there was one, as those were
//! (up to format version 1) that have neither `template` nor `values`: all of their texts are in `body`.
//!
//! Everything is zstd-compressed. The blob `streams` is packed text ([`crate::file::blob`]): a typed JSON array
//! with one object per stream, `{"labels":{…},"first":row,"rows":n,"from":ns,"to":ns,…}`, plus resource and
//! scope. Streams are numbered in order of labels.

mod count;
mod cut;
pub(crate) mod decode;
mod merge;
mod reader;
mod select;
mod streams;
pub(crate) mod writer;

use std::sync::Arc;

use model::{Matcher, TimeRange};
use serde::{Deserialize, Serialize};

use crate::{lines::LineCondition, terms::Need};

pub use count::{Counter, Folding, Group, TooMany};
pub use merge::{Keep, merge};
pub use reader::Reader;
pub use writer::{write, write_of};

#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions {
    pub level: u8,
}

/// Order of the records of a selection, by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

#[derive(Clone)]
pub struct Selection {
    /// On stream labels; all must match.
    pub matchers: Vec<Matcher>,
    pub range: TimeRange,
    pub order: Order,
    /// Records the caller expects to need: the first piece is read for about this many.
    pub limit_hint: Option<usize>,
    /// Only records whose body passes, as text (strings bare, everything else as JSON), are returned.
    pub line: Option<Arc<LineCondition>>,
    /// What every wanted record has: blocks of rows that have not are left out. `line` must still say so itself.
    pub need: Need,
    /// Names and values, as LogQL knows them, of which every wanted record has all: blocks of rows that have not are left
    /// out where no stream can have them for its records.
    pub fields: Arc<[(String, String)]>,
}

impl Selection {
    pub fn new(matchers: Vec<Matcher>, range: TimeRange, order: Order) -> Self {
        Selection {
            matchers,
            range,
            order,
            limit_hint: None,
            line: None,
            need: Need::Any,
            fields: Arc::default(),
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
    /// Whether bodies may be cut: there are columns `template` and `values`, and a blob `templates`.
    #[serde(default)]
    cut: bool,
}

#[cfg(test)]
mod tests;
