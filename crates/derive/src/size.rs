//! How many bytes a span takes as protobuf (`opentelemetry.proto.trace.v1.Span`), without writing it.

use model::{AnyValue, Attributes, Span};

/// Bytes of the span's OTLP message, fields with their default value left out.
pub fn otlp_bytes(span: &Span) -> usize {
    let mut n = id(&span.trace_id) + id(&span.span_id) + id(&span.parent_span_id);
    n += text(&span.trace_state) + text(&span.name);
    n += number(span.kind.number() as u64);
    n += fixed64(span.start_ns) + fixed64(span.end_ns);
    n += attributes(&span.attributes) + number(span.dropped_attributes.into());
    for e in &span.events {
        let inner = fixed64(e.timestamp_ns)
            + text(&e.name)
            + attributes(&e.attributes)
            + number(e.dropped_attributes.into());
        n += bytes(inner);
    }
    n += number(span.dropped_events.into());
    for l in &span.links {
        let mut inner = id(&l.trace_id) + id(&l.span_id) + text(&l.trace_state);
        inner += attributes(&l.attributes) + number(l.dropped_attributes.into());
        inner += if l.flags == 0 { 0 } else { 5 };
        n += bytes(inner);
    }
    n += number(span.dropped_links.into());
    // Senders write the status whatever it is.
    n += bytes(text(&span.status.message) + number(span.status.code as u64));
    // Field 16 and above have a key of two bytes.
    n + if span.flags == 0 { 0 } else { 6 }
}

/// A length-delimited field: key, length, content.
fn bytes(content: usize) -> usize {
    1 + varint(content as u64) + content
}

/// An id that is all zero is none.
fn id(bytes_of: &[u8]) -> usize {
    if bytes_of.iter().all(|b| *b == 0) { 0 } else { bytes(bytes_of.len()) }
}

fn text(s: &str) -> usize {
    if s.is_empty() { 0 } else { bytes(s.len()) }
}

fn number(n: u64) -> usize {
    if n == 0 { 0 } else { 1 + varint(n) }
}

fn fixed64(n: i64) -> usize {
    if n <= 0 { 0 } else { 9 }
}

fn varint(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

fn attributes(list: &Attributes) -> usize {
    list.0.iter().map(|(k, v)| bytes(text(k) + bytes(value(v)))).sum()
}

/// The content of an `AnyValue`, which has one field at most; a field of a choice is written whatever its value.
fn value(v: &AnyValue) -> usize {
    match v {
        AnyValue::Empty => 0,
        AnyValue::String(s) => bytes(s.len()),
        AnyValue::Bool(_) => 2,
        AnyValue::Int(i) => 1 + varint(*i as u64),
        AnyValue::Double(_) => 9,
        AnyValue::Bytes(b) => bytes(b.len()),
        AnyValue::Array(a) => bytes(a.iter().map(|v| bytes(value(v))).sum()),
        AnyValue::Map(m) => bytes(attributes(m)),
    }
}

#[cfg(test)]
mod tests;
