//! Events and links that OpenTelemetry packed into texts, since Zipkin has one text for an event and none for a link.
//! What is not packed as it should be stays the text that it is.

use model::{AnyValue, Attributes, SpanEvent, SpanLink};
use serde_json::Value;

use super::json::any;

/// Deeper nesting than the log of what was acknowledged can hold is left packed.
const MAX_DEPTH: usize = 32;
/// The collector reads no more links of one span.
const MAX_LINKS: usize = 128;

/// ```text
/// ws                                 Zipkin: a name
/// checked|{"stock":1}|0              the collector: name, attributes, how many were dropped
/// "checked": {"stock": 1}            the specification of the exporter ("Mapping to Zipkin", events)
/// {"checked": {"stock": 1}}          the same as exporters write it
/// ```
pub(super) fn event(timestamp_ns: i64, text: String) -> SpanEvent {
    let read = match text.as_bytes().first() {
        Some(b'{') => named(&text),
        Some(b'"') => named(&format!("{{{text}}}")),
        _ => joined(&text),
    };
    let (name, attributes, dropped_attributes) = read.unwrap_or((text, Attributes::default(), 0));
    SpanEvent { timestamp_ns, name, attributes, dropped_attributes }
}

type Unpacked = (String, Attributes, u32);

fn joined(text: &str) -> Option<Unpacked> {
    let (rest, dropped) = text.rsplit_once('|')?;
    let (name, attributes) = rest.split_once('|')?;
    Some((name.to_owned(), object(attributes)?, dropped.parse().ok()?))
}

fn named(text: &str) -> Option<Unpacked> {
    let all = object(text)?;
    let [(_, AnyValue::Map(_))] = all.0.as_slice() else { return None };
    match all.0.into_iter().next()? {
        (name, AnyValue::Map(attributes)) => Some((name, attributes, 0)),
        _ => None,
    }
}

/// Takes `otlp.link.0`, `otlp.link.1` and so on out of the tags.
pub(super) fn links(tags: &mut Attributes) -> Vec<SpanLink> {
    let mut out = Vec::new();
    for n in 0..MAX_LINKS {
        let key = format!("otlp.link.{n}");
        let Some(text) = tags.get_str(&key) else { break };
        if let Some(link) = link(text) {
            out.push(link);
            tags.0.retain(|(k, _)| *k != key);
        }
    }
    out
}

/// `trace id|span id|trace state|attributes|how many were dropped`.
fn link(text: &str) -> Option<SpanLink> {
    let mut parts = text.splitn(4, '|');
    let (trace, span, state) = (parts.next()?, parts.next()?, parts.next()?);
    let (attributes, dropped) = parts.next()?.rsplit_once('|')?;
    Some(SpanLink {
        trace_id: hex(trace)?,
        span_id: hex(span)?,
        trace_state: state.to_owned(),
        attributes: object(attributes)?,
        dropped_attributes: dropped.parse().ok()?,
        flags: 0,
    })
}

fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()?.to_be_bytes().last_chunk::<N>().copied()
}

/// Attributes of a JSON object; none where it is no object. `null`, which the collector writes for no attributes, is
/// empty.
fn object(text: &str) -> Option<Attributes> {
    let value: Value = serde_json::from_str(text).ok()?;
    match value {
        Value::Null => Some(Attributes::default()),
        Value::Object(_) if depth(&value) <= MAX_DEPTH => match any(value) {
            AnyValue::Map(attributes) => Some(attributes),
            _ => None,
        },
        _ => None,
    }
}

/// serde_json reads no more than 128 levels, so that this ends.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}
