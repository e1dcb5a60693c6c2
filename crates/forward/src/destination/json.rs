//! Attributes as JSON, as receivers of documents and events have them.

use model::{AnyValue, Attributes};
use serde_json::{Map, Value};

/// Of a key given twice the first stays.
pub(crate) fn object(all: &Attributes) -> Value {
    Value::Object(map(all))
}

pub(crate) fn map(all: &Attributes) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, v) in all.iter() {
        map.entry(key).or_insert_with(|| value(v));
    }
    map
}

/// Numbers that JSON does not have are texts, bytes hexadecimal digits.
pub(crate) fn value(v: &AnyValue) -> Value {
    match v {
        AnyValue::Empty => Value::Null,
        AnyValue::String(s) => Value::from(s.as_str()),
        AnyValue::Bool(b) => Value::from(*b),
        AnyValue::Int(i) => Value::from(*i),
        AnyValue::Double(d) if d.is_finite() => Value::from(*d),
        AnyValue::Double(d) => Value::from(d.to_string()),
        AnyValue::Bytes(b) => Value::from(hex(b)),
        AnyValue::Array(a) => Value::Array(a.iter().map(value).collect()),
        AnyValue::Map(m) => object(m),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|x| format!("{x:02x}")).collect()
}

/// An id of a trace or a span as text; none where it is not set.
pub(crate) fn id(bytes: &[u8]) -> Option<String> {
    bytes.iter().any(|b| *b != 0).then(|| hex(bytes))
}
