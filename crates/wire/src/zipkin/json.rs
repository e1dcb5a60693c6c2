//! The JSON form. What is no JSON ends the request; a span that is not what it should be harms itself only.

use std::fmt;

use model::{AnyValue, Attributes};
use serde::{
    Deserializer as _,
    de::{SeqAccess, Visitor},
};
use serde_json::Value;

use super::{Decoded, Endpoint, Source, kind_of, translate};
use crate::{Error, Limits, Reason, spans::Gathered, text::quoted};

const WHAT: &str = "Zipkin spans";

/// Reads a list of spans. `received_ns` is for those without any time.
pub fn decode_json(body: &[u8], received_ns: i64, limits: &Limits) -> Result<Decoded, Error> {
    let mut gathered = Gathered::new(limits);
    let mut json = serde_json::Deserializer::from_slice(body);
    json.deserialize_seq(Spans { into: &mut gathered, received_ns }).map_err(|e| Error::json(WHAT, e))?;
    json.end().map_err(|e| Error::json(WHAT, e))?;
    Ok(gathered.finish())
}

/// Takes one span after the other, so that no more than one is held in both forms.
struct Spans<'a, 'l> {
    into: &'a mut Gathered<'l>,
    received_ns: i64,
}

impl<'de> Visitor<'de> for Spans<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<Value>()? {
            match source(value) {
                Ok(source) => translate::push(self.into, source, self.received_ns),
                Err(why) => self.into.refuse(Reason::InvalidItem, why),
            }
        }
        Ok(())
    }
}

/// The fields of one span; the error names the field.
fn source(value: Value) -> Result<Source, String> {
    let Value::Object(fields) = value else { return Err("a span is not an object".to_owned()) };
    let mut s = Source::default();
    for (key, value) in fields {
        // Exporters write null for what they do not know.
        if value.is_null() {
            continue;
        }
        read(&mut s, &key, value).map_err(|why| format!("{key} {why}"))?;
    }
    Ok(s)
}

fn read(s: &mut Source, key: &str, value: Value) -> Result<(), String> {
    match key {
        "traceId" => s.trace_id = id(&value)?,
        "id" => s.id = id(&value)?,
        "parentId" => s.parent_id = id(&value)?,
        "kind" => {
            let named = text(value)?;
            s.kind = kind_of(&named).ok_or_else(|| format!("{} is not known", quoted(&named)))?;
        }
        "name" => s.name = text(value)?,
        "timestamp" => s.timestamp_us = number(&value)?,
        "duration" => s.duration_us = number(&value)?,
        "localEndpoint" => s.local = endpoint(value)?,
        "remoteEndpoint" => s.remote = endpoint(value)?,
        "annotations" => s.annotations = annotations(value)?,
        "tags" => s.tags = tags(value)?,
        "debug" => s.debug = truth(&value)?,
        "shared" => s.shared = truth(&value)?,
        _ => {}
    }
    Ok(())
}

/// Up to `N` bytes in hexadecimal digits; shorter ones are the lower end, as Zipkin itself reads them. An empty text is an
/// absent id.
fn id<const N: usize>(value: &Value) -> Result<[u8; N], String> {
    let wrong = || format!("{} is not up to {} hexadecimal digits", clipped(value), 2 * N);
    let digits = value.as_str().ok_or_else(wrong)?;
    if digits.is_empty() {
        return Ok([0; N]);
    }
    // A sign would be read as a part of the number.
    if digits.len() > 2 * N || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let number = u128::from_str_radix(digits, 16).map_err(|_| wrong())?;
    number.to_be_bytes().last_chunk::<N>().copied().ok_or_else(wrong)
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(s) => Ok(s),
        other => Err(format!("{} is not a text", clipped(&other))),
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{} is neither true nor false", clipped(value)))
}

/// A whole number that is not negative; some senders write it as a fraction or as a text.
fn number(value: &Value) -> Result<u64, String> {
    let read = match value {
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().and_then(whole)),
        Value::String(s) => s.parse().ok(),
        _ => None,
    };
    read.ok_or_else(|| format!("{} is not a number of microseconds", clipped(value)))
}

fn whole(n: f64) -> Option<u64> {
    (n >= 0.0 && n < u64::MAX as f64).then_some(n.round() as u64)
}

fn endpoint(value: Value) -> Result<Endpoint, String> {
    let Value::Object(fields) = value else { return Err("is not an object".to_owned()) };
    let mut e = Endpoint::default();
    for (key, value) in fields.into_iter().filter(|(_, v)| !v.is_null()) {
        let named = |why| format!("{key} {why}");
        match key.as_str() {
            "serviceName" => e.service = text(value).map_err(named)?,
            "ipv4" => e.ipv4 = text(value).map_err(named)?,
            "ipv6" => e.ipv6 = text(value).map_err(named)?,
            "port" => {
                let port = value.as_u64().and_then(|p| u16::try_from(p).ok());
                e.port = port.ok_or_else(|| named(format!("{} is not a port", clipped(&value))))?;
            }
            _ => {}
        }
    }
    Ok(e)
}

fn annotations(value: Value) -> Result<Vec<(u64, String)>, String> {
    let Value::Array(list) = value else { return Err("is not an array".to_owned()) };
    let one = |value: Value| {
        let Value::Object(mut fields) = value else { return Err("holds what is not an object".to_owned()) };
        let time =
            number(fields.get("timestamp").unwrap_or(&Value::Null)).map_err(|e| format!("timestamp {e}"))?;
        let said = fields.get_mut("value").map(Value::take).unwrap_or_default();
        Ok((time, text(said).map_err(|e| format!("value {e}"))?))
    };
    list.into_iter().map(one).collect()
}

/// Values should be texts; single values of other types are kept as they are.
fn tags(value: Value) -> Result<Attributes, String> {
    let Value::Object(fields) = value else { return Err("is not an object".to_owned()) };
    let mut out = Attributes::default();
    for (key, value) in fields {
        let value = match value {
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("{} has a value that is not a text", quoted(&key)));
            }
            single => any(single),
        };
        out.0.push((key, value));
    }
    Ok(out)
}

/// A JSON value as an attribute's, with its type. Nesting is bounded by serde_json.
pub(super) fn any(value: Value) -> AnyValue {
    match value {
        Value::Null => AnyValue::Empty,
        Value::Bool(b) => AnyValue::Bool(b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| AnyValue::Double(n.as_f64().unwrap_or_default()), AnyValue::Int)
        }
        Value::String(s) => AnyValue::String(s),
        Value::Array(list) => AnyValue::Array(list.into_iter().map(any).collect()),
        Value::Object(fields) => {
            AnyValue::Map(Attributes(fields.into_iter().map(|(k, v)| (k, any(v))).collect()))
        }
    }
}

fn clipped(value: &Value) -> String {
    crate::text::clip(&value.to_string())
}
