//! Spans put together to traces, in the UI's model.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{Span, SpanBatch, SpanLink, span::SpanOrigin};
use serde::Serialize;
use serde_json::{Map, Value};

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

/// Spans gathered by trace, until all of them are there.
#[derive(Default)]
pub(super) struct Traces(BTreeMap<[u8; 16], Trace>);

#[derive(Default)]
struct Trace {
    spans: Vec<(usize, Span)>,
    origins: Vec<SpanOrigin>,
    seen: HashSet<([u8; 8], i64, i32)>,
}

impl Traces {
    /// Adds a batch and returns the bytes it holds more. A span that came twice (from two replicas, or sent
    /// again) counts once.
    pub fn add(&mut self, batch: SpanBatch) -> usize {
        let mut bytes = 0;
        // Where each origin of the batch went, per trace.
        let mut placed: HashMap<([u8; 16], u32), usize> = HashMap::new();
        for span in batch.spans {
            let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
            let trace = self.0.entry(span.trace_id).or_default();
            if !trace.seen.insert((span.span_id, span.start_ns, span.kind.number())) {
                continue;
            }
            let at = *placed.entry((span.trace_id, span.origin)).or_insert_with(|| {
                bytes += origin.resource.attributes.heap_bytes() + std::mem::size_of::<SpanOrigin>();
                trace.origins.push(origin.clone());
                trace.origins.len() - 1
            });
            bytes += span.heap_bytes();
            trace.spans.push((at, span));
        }
        bytes
    }

    pub fn has(&self, id: &[u8; 16]) -> bool {
        self.0.contains_key(id)
    }

    /// Every trace in the UI's model, the one that began last first.
    pub fn into_ui(self) -> Vec<UiTrace> {
        let mut all: Vec<(i64, UiTrace)> = self
            .0
            .into_iter()
            .map(|(id, t)| {
                let start = t.spans.iter().map(|(_, s)| s.start_ns).min().unwrap_or(0);
                (start, t.into_ui(&id))
            })
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.trace_id.cmp(&b.1.trace_id)));
        all.into_iter().map(|(_, t)| t).collect()
    }
}

impl Trace {
    fn into_ui(mut self, id: &[u8; 16]) -> UiTrace {
        self.spans.sort_by_key(|(_, s)| (s.start_ns, s.span_id));
        let (mut processes, mut names) = (Map::new(), HashMap::new());
        let mut process_of: Vec<Option<String>> = vec![None; self.origins.len()];
        let trace_id = trace_text(id);
        let mut spans = Vec::with_capacity(self.spans.len());
        for (at, span) in &self.spans {
            let Some(origin) = self.origins.get(*at) else { continue };
            let name = match process_of.get(*at).cloned().flatten() {
                Some(name) => name,
                None => process(origin, &mut processes, &mut names),
            };
            if let Some(slot) = process_of.get_mut(*at) {
                *slot = Some(name.clone());
            }
            spans.push(ui_span(span, origin, &trace_id, name));
        }
        UiTrace { trace_id, spans, processes, warnings: None }
    }
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
        warnings: None,
    }
}

/// Links follow from what they name, unless they say that they are its child.
fn reference(link: &SpanLink) -> Reference {
    let child = link.attributes.get_str("opentracing.ref_type") == Some("child_of");
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
