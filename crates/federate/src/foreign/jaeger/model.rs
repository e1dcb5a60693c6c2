//! Jaeger's JSON (`github.com/jaegertracing/jaeger` model/json), as its UI reads it, and what OpenTelemetry's
//! translation to it makes of spans: kind, status, scope and state are tags there
//! (`opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger`).

use std::collections::BTreeMap;

use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};
use serde::Deserialize;

use crate::foreign::traces::id;

#[derive(Deserialize)]
pub(super) struct Trace {
    #[serde(default)]
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
    pub(super) fn read(self) -> Result<SpanBatch, String> {
        let mut batch = SpanBatch::default();
        for s in self.spans {
            let process =
                s.process.clone().or_else(|| self.processes.get(&s.process_id).cloned()).unwrap_or_default();
            let (span, scope) = s.read()?;
            let mut resource = attributes(process.tags);
            if take(&mut resource, "service.name").is_none() || !process.service.is_empty() {
                resource.0.insert(0, ("service.name".to_owned(), AnyValue::String(process.service)));
            }
            let origin =
                SpanOrigin { resource: Resource { attributes: resource, ..Resource::default() }, scope };
            let known = batch.origins.iter().position(|o| *o == origin);
            let index = known.unwrap_or_else(|| {
                batch.origins.push(origin);
                batch.origins.len() - 1
            });
            batch.spans.push(Span { origin: index as u32, ..span });
        }
        Ok(batch)
    }
}

impl JsonSpan {
    fn read(self) -> Result<(Span, Scope), String> {
        let ids = |trace: &str, span: &str| {
            let bad = |what: &str, text: &str| {
                format!("{:?} is no {what} id", text.chars().take(64).collect::<String>())
            };
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
                links.push(SpanLink { trace_id: to_trace, span_id: to_span, ..SpanLink::default() });
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<SpanBatch, String> {
        serde_json::from_str::<Trace>(text).map_err(|e| e.to_string())?.read()
    }

    #[test]
    fn a_trace_is_read_with_what_stands_in_tags() {
        let batch = read(
            r#"{"traceID":"ab","spans":[{"traceID":"ab","spanID":"1","flags":1,"operationName":"GET /","references":[
              {"refType":"CHILD_OF","traceID":"ab","spanID":"2"},{"refType":"FOLLOWS_FROM","traceID":"cd","spanID":"3"}],
              "startTime":1700000000000001,"duration":250,"tags":[
              {"key":"span.kind","type":"string","value":"server"},{"key":"error","type":"bool","value":true},
              {"key":"otel.status_description","type":"string","value":"boom"},{"key":"n","type":"int64","value":7},
              {"key":"otel.library.name","type":"string","value":"lib"}],
              "logs":[{"timestamp":1700000000000009,"fields":[{"key":"event","type":"string","value":"retry"},
              {"key":"try","type":"int64","value":2}]}],"processID":"p1","warnings":null}],
              "processes":{"p1":{"serviceName":"web","tags":[{"key":"host","type":"string","value":"h1"}]}},"warnings":null}"#,
        );
        let batch = batch.unwrap();
        let s = &batch.spans[0];
        assert_eq!((s.trace_id[15], s.span_id[7], s.parent_span_id[7]), (0xab, 1, 2));
        assert_eq!(
            (s.start_ns, s.end_ns, s.kind),
            (1_700_000_000_000_001_000, 1_700_000_000_000_251_000, SpanKind::Server)
        );
        assert_eq!((s.status.code, s.status.message.as_str()), (StatusCode::Error, "boom"));
        assert_eq!(s.attributes, Attributes::from_iter([("n", 7i64)]));
        assert_eq!((s.events[0].name.as_str(), s.links.len(), s.links[0].trace_id[15]), ("retry", 1, 0xcd));
        assert_eq!((batch.origins[0].service_name(), batch.origins[0].scope.name.as_str()), ("web", "lib"));
        assert_eq!(batch.origins[0].resource.attributes.get_str("host"), Some("h1"));
    }

    #[test]
    fn an_id_that_is_none_is_named() {
        let e = read(r#"{"spans":[{"traceID":"xyz","spanID":"1","startTime":1,"duration":1}]}"#).unwrap_err();
        assert!(e.contains("xyz"), "{e}");
    }

    proptest! {
        #[test]
        fn random_texts_and_numbers_never_panic(
            trace in "[0-9a-gé]{0,40}", span in "[0-9a-f]{0,20}", start: i64, duration: i64, value in "[ -~]{0,9}",
        ) {
            let tag = serde_json::json!({"key": "span.kind", "type": value, "value": value});
            let span = serde_json::json!({"traceID": trace, "spanID": span, "startTime": start, "duration": duration, "tags": [tag]});
            let _ = read(&serde_json::json!({"spans": [span]}).to_string());
        }
    }
}
