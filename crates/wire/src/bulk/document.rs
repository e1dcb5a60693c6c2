//! A record as a document again.

use model::{AnyValue, Attributes, LogRecord, LogStream};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{ID, MESSAGE, SCOPE, TIMESTAMP};
use crate::dates;

/// Whether a stream's records came as documents.
pub fn is_document(stream: &LogStream) -> bool {
    stream.scope.name == SCOPE
}

/// The fields of a record: those of the document it came as, or what it says under the names of OpenTelemetry, its
/// stream's labels, attributes and resource among them.
pub fn source(stream: &LogStream, record: &LogRecord) -> Attributes {
    let mut out = Attributes::default();
    if record.attributes.get(TIMESTAMP).is_none() {
        out.push(TIMESTAMP, dates::format(record.timestamp_ns));
    }
    if record.body != AnyValue::Empty {
        out.push(MESSAGE, text(&record.body));
    }
    out.0.extend(record.attributes.0.iter().filter(|(k, _)| k != ID).cloned());
    if is_document(stream) {
        return out;
    }
    let mut put = |key: &str, value: AnyValue| {
        if out.get(key).is_none() {
            out.push(key, value);
        }
    };
    if record.severity_number != 0 {
        put("severity_number", i64::from(record.severity_number).into());
    }
    if !record.severity_text.is_empty() {
        put("severity_text", record.severity_text.as_str().into());
    }
    for (key, id) in [("trace_id", &record.trace_id[..]), ("span_id", &record.span_id[..])] {
        if id.iter().any(|b| *b != 0) {
            put(key, hex(id).into());
        }
    }
    if !record.event_name.is_empty() {
        put("event_name", record.event_name.as_str().into());
    }
    for (key, value) in stream.resource.attributes.iter() {
        put(key, value.clone());
    }
    for (key, value) in &stream.labels {
        put(key, value.into());
    }
    out
}

/// The text of a body.
fn text(body: &AnyValue) -> AnyValue {
    match body {
        AnyValue::String(s) => AnyValue::String(s.clone()),
        other => AnyValue::String(other.to_string()),
    }
}

/// The id of a record that was given none: a hash of its index, time and content, the same whenever it is asked for.
/// The order of fields does not change it.
pub fn id(index: &str, record: &LogRecord) -> String {
    let mut whole = Xxh3::new();
    whole.update(index.as_bytes());
    whole.update(&record.timestamp_ns.to_le_bytes());
    whole.update(&hash(&record.body).to_le_bytes());
    whole.update(&hash_all(&record.attributes).to_le_bytes());
    hex(&whole.digest128().to_be_bytes())
}

fn hash_all(all: &Attributes) -> u128 {
    let each = all.iter().map(|(k, v)| {
        let mut pair = Xxh3::new();
        pair.update(k.as_bytes());
        pair.update(&hash(v).to_le_bytes());
        pair.digest128()
    });
    each.fold(0, u128::wrapping_add)
}

fn hash(value: &AnyValue) -> u128 {
    let tagged = |tag: u8, bytes: &[u8]| {
        let mut one = Xxh3::with_seed(u64::from(tag));
        one.update(bytes);
        one.digest128()
    };
    match value {
        AnyValue::Empty => 1,
        AnyValue::String(s) => xxh3_128(s.as_bytes()),
        AnyValue::Bool(b) => 2 + u128::from(*b),
        AnyValue::Int(i) => tagged(1, &i.to_le_bytes()),
        AnyValue::Double(d) => tagged(2, &d.to_bits().to_le_bytes()),
        AnyValue::Bytes(b) => tagged(3, b),
        AnyValue::Array(a) => {
            let all: Vec<u8> = a.iter().flat_map(|v| hash(v).to_le_bytes()).collect();
            tagged(4, &all)
        }
        AnyValue::Map(m) => tagged(5, &hash_all(m).to_le_bytes()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
