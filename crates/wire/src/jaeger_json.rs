//! Jaeger's JSON (`github.com/jaegertracing/jaeger` internal/uimodel), as its UI shows and saves it and its API answers, read
//! into spans. What OpenTelemetry's translation makes tags of is taken back out of them: kind, status, scope and state
//! (`opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger`).
//!
//! ```text
//! {"data": [trace, ...]}  or  [trace, ...]  or  trace
//! trace  {"spans": [{traceID, spanID, operationName, references, startTime µs, duration µs, tags, logs, processID}],
//!         "processes": {"p1": {serviceName, tags}}}
//! ```

use std::collections::BTreeMap;

use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode,
    attributes::{Resource, Scope},
    merge::SpanMerger,
    span::SpanOrigin,
};
use serde::Deserialize;

use crate::{
    Decoded, Error, Reason, Refusals,
    otlp::{
        Options,
        json::{Base64, Scalar},
    },
    spans,
    text::quoted,
};

const WHAT: &str = "Jaeger JSON";
/// The attribute Jaeger keeps a span's warnings in where its model has no place for them (`internal/jptrace`).
pub const WARNINGS: &str = "@jaeger@warnings";
/// What a reference is, where a link has to say it (OpenTelemetry's semantic conventions).
pub const REF_TYPE: &str = "opentracing.ref_type";

/// What a file or body of Jaeger's JSON holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Answer { data: Vec<Trace> },
    List(Vec<Trace>),
    One(Trace),
}

/// Reads traces. A span without valid ids, and one that breaks a limit, is refused.
pub fn decode(body: &[u8], options: &Options) -> Result<Decoded<SpanBatch>, Error> {
    let traces = match serde_json::from_slice(body).map_err(|e| Error::json(WHAT, e))? {
        Body::Answer { data } | Body::List(data) => data,
        Body::One(trace) => vec![trace],
    };
    let mut d = Decoded { batch: SpanBatch::default(), refused: Refusals::default(), all_timed: true };
    let mut merged = SpanMerger::default();
    let mut at = 0;
    for mut trace in traces {
        for span in std::mem::take(&mut trace.spans) {
            match trace.checked(span, options) {
                Ok((span, origin)) => {
                    let to = merged.origin(&origin);
                    merged.push(to, span);
                }
                Err((reason, why)) => d.refused.add(reason, at, || why),
            }
            at += 1;
        }
    }
    d.batch = merged.take();
    Ok(d)
}

/// One trace, as its spans and processes say it.
#[derive(Deserialize)]
pub struct Trace {
    spans: Vec<JsonSpan>,
    #[serde(default)]
    processes: BTreeMap<String, Process>,
}

#[derive(Deserialize, Default, Clone)]
struct Process {
    #[serde(default, rename = "serviceName")]
    service: String,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    /// Of servers before 1.0; later ones refer.
    #[serde(default, rename = "parentSpanID")]
    parent: String,
    #[serde(default)]
    flags: u32,
    #[serde(default)]
    operation_name: String,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    /// Microseconds.
    start_time: i64,
    duration: i64,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    logs: Option<Vec<Log>>,
    #[serde(default, rename = "processID")]
    process_id: String,
    #[serde(default)]
    process: Option<Process>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "refType")]
    kind: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct Log {
    timestamp: i64,
    #[serde(default)]
    fields: Option<Vec<Tag>>,
}

#[derive(Deserialize, Clone)]
struct Tag {
    key: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    value: serde_json::Value,
}

impl Tag {
    fn read(self) -> (String, AnyValue) {
        use serde_json::Value;
        let value = match (self.kind.as_str(), self.value) {
            (_, Value::Bool(b)) => AnyValue::Bool(b),
            ("float64", Value::Number(n)) => AnyValue::Double(n.as_f64().unwrap_or(f64::NAN)),
            (_, Value::Number(n)) => match n.as_i64() {
                Some(i) => AnyValue::Int(i),
                None => AnyValue::Double(n.as_f64().unwrap_or(f64::NAN)),
            },
            ("binary", Value::String(s)) => match Base64::from_text(&s) {
                Some(Base64(bytes)) => AnyValue::Bytes(bytes),
                None => AnyValue::String(s),
            },
            ("float64", Value::String(s)) => s.parse().map_or(AnyValue::String(s), AnyValue::Double),
            // Large integers come as text.
            ("int64", Value::String(s)) => s.parse().map_or(AnyValue::String(s), AnyValue::Int),
            (_, Value::String(s)) => AnyValue::String(s),
            (_, Value::Null) => AnyValue::Empty,
            (_, other) => AnyValue::String(other.to_string()),
        };
        (self.key, value)
    }
}

fn attributes(tags: Option<Vec<Tag>>) -> Attributes {
    Attributes(tags.unwrap_or_default().into_iter().map(Tag::read).collect())
}

/// Takes an attribute out.
fn take(from: &mut Attributes, key: &str) -> Option<AnyValue> {
    let at = from.0.iter().position(|(k, _)| k == key)?;
    Some(from.0.remove(at).1)
}

fn text(from: &mut Attributes, key: &str) -> String {
    take(from, key).map_or(String::new(), |v| v.to_string())
}

impl Trace {
    /// The trace's spans; the error names what is no id.
    pub fn read(mut self) -> Result<SpanBatch, String> {
        let mut merged = SpanMerger::default();
        for span in std::mem::take(&mut self.spans) {
            let (span, origin) = self.span(span)?;
            let to = merged.origin(&origin);
            merged.push(to, span);
        }
        Ok(merged.take())
    }

    fn checked(&self, span: JsonSpan, options: &Options) -> Result<(Span, SpanOrigin), (Reason, String)> {
        let (span, origin) = self.span(span).map_err(|why| (Reason::InvalidItem, why))?;
        let limits = &options.limits;
        let resource = limits.check_attributes("resource", &origin.resource.attributes);
        resource.map_err(|why| (Reason::InvalidLabels, why))?;
        spans::check(&span, limits)?;
        Ok((span, origin))
    }

    fn span(&self, span: JsonSpan) -> Result<(Span, SpanOrigin), String> {
        let named = || self.processes.get(&span.process_id).cloned();
        let process = span.process.clone().or_else(named).unwrap_or_default();
        let (span, scope) = span.read()?;
        let mut resource = attributes(process.tags);
        if take(&mut resource, "service.name").is_none() || !process.service.is_empty() {
            resource.0.insert(0, ("service.name".to_owned(), AnyValue::String(process.service)));
        }
        let resource = Resource { attributes: resource, ..Resource::default() };
        Ok((span, SpanOrigin { resource, scope }))
    }
}

/// An id in hexadecimal, shorter ones filled with zeros in front as Jaeger leaves them out.
pub fn id<const N: usize>(text: &str) -> Option<[u8; N]> {
    let padded = format!("{text:0>width$}", width = 2 * N);
    if padded.len() != 2 * N || !padded.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(padded.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// An id in base64, as protobuf's JSON has bytes.
pub fn base64_id<const N: usize>(text: &str) -> Option<[u8; N]> {
    Base64::from_text(text)?.0.try_into().ok()
}

impl JsonSpan {
    fn read(self) -> Result<(Span, Scope), String> {
        let ids = |trace: &str, span: &str| {
            let bad = |what: &str, text: &str| format!("{} is no {what} id", quoted(text));
            Ok::<_, String>((
                id::<16>(trace).ok_or_else(|| bad("trace", trace))?,
                id::<8>(span).ok_or_else(|| bad("span", span))?,
            ))
        };
        let (trace_id, span_id) = ids(&self.trace_id, &self.span_id)?;
        let mut parent_span_id = id::<8>(&self.parent).unwrap_or_default();
        let mut links = Vec::new();
        for r in self.references.unwrap_or_default() {
            let (to_trace, to_span) = ids(&r.trace_id, &r.span_id)?;
            if r.kind == "CHILD_OF" && to_trace == trace_id && parent_span_id == [0; 8] {
                parent_span_id = to_span;
            } else if parent_span_id != to_span || to_trace != trace_id {
                let kind = if r.kind == "CHILD_OF" { "child_of" } else { "follows_from" };
                let attributes = Attributes::from_iter([(REF_TYPE, kind)]);
                links.push(SpanLink {
                    trace_id: to_trace,
                    span_id: to_span,
                    attributes,
                    ..SpanLink::default()
                });
            }
        }
        let mut own = attributes(self.tags);
        let kind = match text(&mut own, "span.kind").as_str() {
            "internal" => SpanKind::Internal,
            "server" => SpanKind::Server,
            "client" => SpanKind::Client,
            "producer" => SpanKind::Producer,
            "consumer" => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        };
        let status = status(&mut own);
        let scope = Scope {
            name: first(&mut own, ["otel.scope.name", "otel.library.name"]),
            version: first(&mut own, ["otel.scope.version", "otel.library.version"]),
            ..Scope::default()
        };
        if let Some(warnings) = self.warnings.filter(|w| !w.is_empty()) {
            own.push(WARNINGS, AnyValue::Array(warnings.into_iter().map(AnyValue::String).collect()));
        }
        let start_ns = self.start_time.saturating_mul(1000);
        let span = Span {
            trace_id,
            span_id,
            parent_span_id,
            trace_state: text(&mut own, "w3c.tracestate"),
            flags: self.flags,
            name: self.operation_name,
            kind,
            start_ns,
            end_ns: start_ns.saturating_add(self.duration.max(0).saturating_mul(1000)),
            attributes: own,
            events: self.logs.unwrap_or_default().into_iter().map(event).collect(),
            links,
            status,
            ..Span::default()
        };
        Ok((span, scope))
    }
}

fn first(own: &mut Attributes, keys: [&str; 2]) -> String {
    let found: Vec<String> = keys.iter().map(|k| text(own, k)).collect();
    found.into_iter().find(|t| !t.is_empty()).unwrap_or_default()
}

/// From OpenTelemetry's tags, or from OpenTracing's `error`.
fn status(own: &mut Attributes) -> SpanStatus {
    let code = text(own, "otel.status_code");
    let message = text(own, "otel.status_description");
    let error = own.get("error").is_some_and(|v| v.to_string() == "true");
    let code = match code.as_str() {
        "ERROR" => StatusCode::Error,
        "OK" => StatusCode::Ok,
        _ if error => StatusCode::Error,
        _ => StatusCode::Unset,
    };
    if error {
        take(own, "error");
    }
    SpanStatus { code, message }
}

/// The field `event` is the name.
fn event(log: Log) -> SpanEvent {
    let mut attributes = attributes(log.fields);
    let name = text(&mut attributes, "event");
    SpanEvent { timestamp_ns: log.timestamp.saturating_mul(1000), name, attributes, dropped_attributes: 0 }
}

#[cfg(test)]
mod tests;
