//! Spans as Jaeger's senders write them, in Thrift (`jaeger.thrift` of jaeger-idl, binary and compact) and in
//! protobuf (`api_v2/collector.proto`), by the rules of OpenTelemetry's translation (`pkg/translator/jaeger` of the
//! collector).
//!
//! ```text
//! Thrift bytes ─ thrift ────┐
//!                           ├─► Source ─ translate ─► Span and its scope ─► batch + refusals
//! protobuf ─ prost ─ proto ─┘
//! Process ─ process ─► Resource
//! ```
//! What the rules would lose is kept where there is a place for it: tags that are given twice, kinds and codes that are
//! not known stay tags, warnings become the attribute that Jaeger itself gives them.

mod process;
mod proto;
mod status;
mod thrift;
mod translate;

use model::{Attributes, SpanBatch};

pub use self::{proto::decode_protobuf, thrift::decode_thrift};
pub use crate::thrift::Protocol;

/// A span as it was sent, whichever way it was written.
#[derive(Debug, Default)]
struct Source {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    /// Thrift has a field for it; in protobuf it is one of the references.
    parent_span_id: [u8; 8],
    name: String,
    references: Vec<Reference>,
    flags: u32,
    start_ns: i64,
    duration_ns: i64,
    tags: Attributes,
    logs: Vec<Log>,
    warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reference {
    follows: bool,
    trace_id: [u8; 16],
    span_id: [u8; 8],
}

#[derive(Debug, Default)]
struct Log {
    timestamp_ns: i64,
    fields: Attributes,
}

/// The text that stands for a tag whose type is none.
fn unknown_type(number: i32) -> String {
    format!("<Unknown Jaeger TagType {number}>")
}

type Decoded = crate::Decoded<SpanBatch>;

#[cfg(test)]
mod tests;
