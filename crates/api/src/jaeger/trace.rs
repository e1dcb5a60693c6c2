//! A trace in the UI's model.

use std::collections::HashMap;

use model::{Span, SpanBatch, SpanLink, span::SpanOrigin};
use serde::Serialize;
use serde_json::{Map, Value};
use wire::jaeger_json::REF_TYPE;

use super::tags::{self, Tag};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UiTrace {
    #[serde(rename = "traceID")]
    pub trace_id: String,
    spans: Vec<UiSpan>,
    /// Resources by the name spans call them: `p1`, `p2`, ...
    processes: Map<String, Value>,
    warnings: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UiSpan {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u32,
    operation_name: String,
    references: Vec<Reference>,
    /// Microseconds, as all times here.
    start_time: i64,
    duration: i64,
    tags: Vec<Tag>,
    logs: Vec<UiLog>,
    #[serde(rename = "processID")]
    process_id: String,
    warnings: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Debug, Serialize)]
struct UiLog {
    timestamp: i64,
    fields: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: String,
    tags: Vec<Tag>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A trace in the UI's model.
pub(super) fn ui(id: &[u8; 16], batch: &SpanBatch) -> UiTrace {
    let trace_id = trace_text(id);
    let mut processes = Map::new();
    let mut names = HashMap::new();
    let named: Vec<String> =
        batch.origins.iter().map(|origin| process(origin, &mut processes, &mut names)).collect();
    let spans = batch.spans.iter().filter_map(|span| {
        let at = span.origin as usize;
        let (origin, name) = (batch.origins.get(at)?, named.get(at)?);
        Some(ui_span(span, origin, &trace_id, name.clone()))
    });
    UiTrace { spans: spans.collect(), trace_id, processes, warnings: None }
}

/// The name of the origin's process, which it is given when its service and tags are new.
fn process(origin: &SpanOrigin, all: &mut Map<String, Value>, names: &mut HashMap<String, String>) -> String {
    let mut process = Process {
        service_name: origin.service_name().to_owned(),
        tags: tags::of_attributes(&origin.resource.attributes),
    };
    process.tags.retain(|t| t.key != "service.name");
    process.tags.sort_by(|a, b| a.key.cmp(&b.key));
    let value = serde_json::to_value(&process).unwrap_or_default();
    names
        .entry(value.to_string())
        .or_insert_with(|| {
            let name = format!("p{}", all.len() + 1);
            all.insert(name.clone(), value);
            name
        })
        .clone()
}

fn ui_span(span: &Span, origin: &SpanOrigin, trace_id: &str, process_id: String) -> UiSpan {
    let mut references = Vec::new();
    if span.parent_span_id != [0; 8] {
        references.push(Reference {
            ref_type: "CHILD_OF",
            trace_id: trace_id.to_owned(),
            span_id: hex(&span.parent_span_id),
        });
    }
    references.extend(span.links.iter().map(reference));
    let logs = span.events.iter().map(|e| {
        let mut fields = tags::of_attributes(&e.attributes);
        if !e.name.is_empty() && e.attributes.get("event").is_none() {
            fields.insert(0, Tag::of("event", &e.name.as_str().into()));
        }
        UiLog { timestamp: e.timestamp_ns.div_euclid(1000), fields }
    });
    UiSpan {
        trace_id: trace_id.to_owned(),
        span_id: hex(&span.span_id),
        // The low byte are W3C's flags; the rest is OTLP's own.
        flags: span.flags & 0xff,
        operation_name: span.name.clone(),
        references,
        start_time: span.start_ns.div_euclid(1000),
        duration: span.duration_ns() / 1000,
        tags: tags::of_span(span, origin),
        logs: logs.collect(),
        process_id,
        warnings: Some(tags::warnings(span)).filter(|w| !w.is_empty()),
    }
}

/// Links follow from what they name, unless they say that they are its child.
fn reference(link: &SpanLink) -> Reference {
    let child = link.attributes.get_str(REF_TYPE) == Some("child_of");
    Reference {
        ref_type: if child { "CHILD_OF" } else { "FOLLOWS_FROM" },
        trace_id: trace_text(&link.trace_id),
        span_id: hex(&link.span_id),
    }
}

/// 16 digits where the upper half is zero, else 32, as Jaeger writes them.
pub(super) fn trace_text(id: &[u8; 16]) -> String {
    let start = if id[..8] == [0; 8] { 8 } else { 0 };
    hex(&id[start..])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
