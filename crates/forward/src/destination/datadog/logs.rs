//! Log records as entries of logs v2: `message`, `ddsource`, `ddtags`, `hostname` and `service` have a meaning of their
//! own, everything else is an attribute.

use model::{AnyValue, LogBatch, LogRecord, LogStream};
use serde_json::{Map, Value, json};

use super::DatadogOptions;
use crate::destination::json;

pub(super) fn body(batch: &LogBatch, o: &DatadogOptions) -> Vec<u8> {
    let nowhere = LogStream::default();
    let entries: Vec<Value> = batch
        .records
        .iter()
        .map(|r| entry(batch.streams.get(r.stream as usize).unwrap_or(&nowhere), r, o))
        .collect();
    serde_json::to_vec(&entries).unwrap_or_default()
}

fn entry(stream: &LogStream, r: &LogRecord, o: &DatadogOptions) -> Value {
    let resource = &stream.resource.attributes;
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    put("message", json!(r.body.to_string()));
    put("ddsource", json!(o.source));
    let own = stream.labels.iter().map(|(n, v)| format!("{n}:{v}"));
    put("ddtags", json!(own.chain(o.tags.iter().cloned()).collect::<Vec<_>>().join(",")));
    if let Some(host) = resource.get_str("host.name") {
        put("hostname", json!(host));
    }
    let service = resource.get_str("service.name").or(stream.labels.get("service_name"));
    if let Some(service) = service {
        put("service", json!(service));
    }
    put("timestamp", json!(r.timestamp_ns.div_euclid(1_000_000)));
    if let Some(status) = status(r) {
        put("status", json!(status));
    }
    if let Some(id) = json::id(&r.trace_id) {
        put("trace_id", json!(id));
    }
    if let Some(id) = json::id(&r.span_id) {
        put("span_id", json!(id));
    }
    // What has a meaning of its own is not overwritten.
    let structured = match &r.body {
        AnyValue::Map(m) => Some(m),
        _ => None,
    };
    let further = [Some(&r.attributes), structured, Some(resource)];
    for (key, value) in further.into_iter().flatten().flat_map(|a| a.iter()) {
        map.entry(key).or_insert_with(|| json::value(value));
    }
    Value::Object(map)
}

/// As Datadog names levels.
fn status(r: &LogRecord) -> Option<String> {
    Some(match r.severity_number {
        0 if r.severity_text.is_empty() => return None,
        0 => r.severity_text.to_lowercase(),
        1..=4 => "trace".to_owned(),
        5..=8 => "debug".to_owned(),
        9..=12 => "info".to_owned(),
        13..=16 => "warn".to_owned(),
        17..=20 => "error".to_owned(),
        _ => "critical".to_owned(),
    })
}
