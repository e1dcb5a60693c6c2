//! Attributes as Jaeger's tags, and the tags its translator of OTLP makes of a span's other fields.

use model::{AnyValue, Attributes, Span, SpanKind, StatusCode, span::SpanOrigin};
use serde::Serialize;
use serde_json::Value;

/// Tags that are made and not attributes, apart from `span.kind` and `error`.
pub(super) const MADE: [&str; 5] = [
    "otel.scope.name",
    "otel.scope.version",
    "otel.status_code",
    "otel.status_description",
    "w3c.tracestate",
];

/// The attribute of a span in which warnings about it are kept.
pub(super) use wire::jaeger_json::WARNINGS;

/// Whole numbers a browser can hold exactly; larger ones are sent as text, as Jaeger does.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Tag {
    pub key: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub value: Value,
}

impl Tag {
    pub fn of(key: &str, value: &AnyValue) -> Self {
        let (kind, value) = match value {
            AnyValue::String(s) => ("string", Value::from(s.as_str())),
            AnyValue::Bool(b) => ("bool", Value::from(*b)),
            AnyValue::Int(i) if i.unsigned_abs() > MAX_SAFE_INTEGER => ("int64", Value::from(i.to_string())),
            AnyValue::Int(i) => ("int64", Value::from(*i)),
            AnyValue::Double(d) if d.is_finite() => ("float64", Value::from(*d)),
            AnyValue::Double(d) => ("float64", Value::from(d.to_string())),
            AnyValue::Bytes(b) => ("binary", Value::from(base64(b))),
            AnyValue::Empty => ("string", Value::from("")),
            nested @ (AnyValue::Array(_) | AnyValue::Map(_)) => ("string", Value::from(nested.to_string())),
        };
        Tag { key: key.to_owned(), kind, value }
    }

    fn made(key: &str, value: &str) -> Self {
        Tag { key: key.to_owned(), kind: "string", value: Value::from(value) }
    }

    /// The value as text.
    pub fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

pub(super) fn of_attributes(attributes: &Attributes) -> Vec<Tag> {
    attributes.iter().map(|(k, v)| Tag::of(k, v)).collect()
}

/// A span's tags: its attributes, then what is made of scope, kind, status and trace state. An attribute of the
/// same name wins.
pub(super) fn of_span(span: &Span, origin: &SpanOrigin) -> Vec<Tag> {
    let mut tags = of_attributes(&span.attributes);
    tags.retain(|t| t.key != WARNINGS);
    let mut add = |tag: Tag| {
        if !tags.iter().any(|t| t.key == tag.key) {
            tags.push(tag);
        }
    };
    if !origin.scope.name.is_empty() {
        add(Tag::made("otel.scope.name", &origin.scope.name));
    }
    if !origin.scope.version.is_empty() {
        add(Tag::made("otel.scope.version", &origin.scope.version));
    }
    // Jaeger's translation leaves these out; then nothing would show them.
    for (key, value) in origin.scope.attributes.iter() {
        add(Tag::of(key, value));
    }
    if span.kind != SpanKind::Unspecified {
        add(Tag::made("span.kind", span.kind.as_str()));
    }
    match span.status.code {
        StatusCode::Unset => {}
        StatusCode::Ok => add(Tag::made("otel.status_code", "OK")),
        StatusCode::Error => {
            add(Tag::made("otel.status_code", "ERROR"));
            add(Tag { key: "error".to_owned(), kind: "bool", value: Value::Bool(true) });
        }
    }
    if !span.status.message.is_empty() {
        add(Tag::made("otel.status_description", &span.status.message));
    }
    if !span.trace_state.is_empty() {
        add(Tag::made("w3c.tracestate", &span.trace_state));
    }
    tags
}

/// What is wrong with a span, as far as anybody said.
pub(super) fn warnings(span: &Span) -> Vec<String> {
    match span.attributes.get(WARNINGS) {
        Some(AnyValue::Array(all)) => all.iter().map(AnyValue::to_string).collect(),
        Some(AnyValue::Empty) | None => Vec::new(),
        Some(one) => vec![one.to_string()],
    }
}

/// Adds to [`warnings`].
pub(super) fn warn(span: &mut Span, why: String) {
    let why = AnyValue::String(why);
    match span.attributes.0.iter_mut().find(|(k, _)| k == WARNINGS) {
        Some((_, AnyValue::Array(all))) => all.push(why),
        Some((_, other)) => *other = AnyValue::Array(vec![std::mem::take(other), why]),
        None => span.attributes.push(WARNINGS, AnyValue::Array(vec![why])),
    }
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = ALPHABET[(n >> (18 - 6 * i) & 63) as usize] as char;
            out.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_types_and_what_a_browser_cannot_hold_is_text() {
        let json = |v: AnyValue| serde_json::to_string(&Tag::of("k", &v)).unwrap();
        assert_eq!(json(5i64.into()), r#"{"key":"k","type":"int64","value":5}"#);
        assert_eq!(json(i64::MAX.into()), r#"{"key":"k","type":"int64","value":"9223372036854775807"}"#);
        assert_eq!(json(72.5.into()), r#"{"key":"k","type":"float64","value":72.5}"#);
        assert_eq!(json(true.into()), r#"{"key":"k","type":"bool","value":true}"#);
        assert_eq!(
            json(AnyValue::Bytes(vec![0, 0, 48, 57])),
            r#"{"key":"k","type":"binary","value":"AAAwOQ=="}"#
        );
        assert_eq!(json(AnyValue::Array(vec![1i64.into()])), r#"{"key":"k","type":"string","value":"[1]"}"#);
    }
}
