//! The protobuf form (`zipkin.proto3.ListOfSpans`), read field by field. What is no protobuf ends the request.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{AnyValue, SpanKind};

use super::{Decoded, Endpoint, Source, translate};
use crate::{
    Error, Limits, Reason,
    protobuf::{Fault, Reader, Value},
    spans::Gathered,
    text::quoted,
};

/// Reads a list of spans. `received_ns` is for those without any time.
pub fn decode_protobuf(body: &[u8], received_ns: i64, limits: &Limits) -> Result<Decoded, Error> {
    list(body, received_ns, limits).map_err(|fault| Error::protobuf("Zipkin ListOfSpans", fault))
}

fn list(body: &[u8], received_ns: i64, limits: &Limits) -> Result<Decoded, Fault> {
    let mut gathered = Gathered::new(limits);
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next()? {
        if field != 1 {
            continue;
        }
        let mut problem = None;
        let source = span(value.bytes()?, &mut problem)?;
        match problem {
            None => translate::push(&mut gathered, source, received_ns),
            Some((what, n)) => {
                let why = format!("span {} has {what} of {n} bytes", quoted(&source.name));
                gathered.refuse(Reason::InvalidItem, why);
            }
        }
    }
    Ok(gathered.finish())
}

/// Which field of the span is not what it should be, and how long it is.
type Problem = Option<(&'static str, usize)>;

fn span(bytes: &[u8], problem: &mut Problem) -> Result<Source, Fault> {
    let mut s = Source::default();
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => s.trace_id = id(value, "a trace id", problem)?,
            2 => s.parent_id = id(value, "a parent id", problem)?,
            3 => s.id = id(value, "an id", problem)?,
            4 => {
                s.kind = match value.varint()? {
                    1 => SpanKind::Client,
                    2 => SpanKind::Server,
                    3 => SpanKind::Producer,
                    4 => SpanKind::Consumer,
                    _ => SpanKind::Unspecified,
                }
            }
            5 => s.name = value.str()?.to_owned(),
            6 => s.timestamp_us = fixed(value)?,
            7 => s.duration_us = value.varint()?,
            8 => s.local = endpoint(value.bytes()?, problem)?,
            9 => s.remote = endpoint(value.bytes()?, problem)?,
            10 => s.annotations.push(annotation(value.bytes()?)?),
            11 => {
                let (key, text) = pair(value.bytes()?)?;
                s.tags.0.push((key, AnyValue::String(text)));
            }
            12 => s.debug = value.varint()? != 0,
            13 => s.shared = value.varint()? != 0,
            _ => {}
        }
    }
    Ok(s)
}

/// A trace id may have 8 bytes too; an empty id is an absent one.
fn id<const N: usize>(value: Value<'_>, what: &'static str, problem: &mut Problem) -> Result<[u8; N], Fault> {
    let bytes = value.bytes()?;
    if !matches!(bytes.len(), 0 | 8) && bytes.len() != N {
        *problem = Some((what, bytes.len()));
        return Ok([0; N]);
    }
    let mut out = [0; N];
    let free = N.saturating_sub(bytes.len());
    out.iter_mut().skip(free).zip(bytes).for_each(|(to, from)| *to = *from);
    Ok(out)
}

fn endpoint(bytes: &[u8], problem: &mut Problem) -> Result<Endpoint, Fault> {
    let mut e = Endpoint::default();
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => e.service = value.str()?.to_owned(),
            2 => e.ipv4 = address::<4, Ipv4Addr>(value, "an IPv4 address", problem)?,
            3 => e.ipv6 = address::<16, Ipv6Addr>(value, "an IPv6 address", problem)?,
            4 => e.port = u16::try_from(value.varint()?).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(e)
}

fn address<const N: usize, A: From<[u8; N]> + ToString>(
    value: Value<'_>,
    what: &'static str,
    problem: &mut Problem,
) -> Result<String, Fault> {
    let bytes = value.bytes()?;
    match <[u8; N]>::try_from(bytes) {
        Ok(whole) => Ok(A::from(whole).to_string()),
        Err(_) if bytes.is_empty() => Ok(String::new()),
        Err(_) => {
            *problem = Some((what, bytes.len()));
            Ok(String::new())
        }
    }
}

fn annotation(bytes: &[u8]) -> Result<(u64, String), Fault> {
    let (mut time, mut text) = (0, String::new());
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => time = fixed(value)?,
            2 => text = value.str()?.to_owned(),
            _ => {}
        }
    }
    Ok((time, text))
}

fn pair(bytes: &[u8]) -> Result<(String, String), Fault> {
    let (mut key, mut text) = (String::new(), String::new());
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => key = value.str()?.to_owned(),
            2 => text = value.str()?.to_owned(),
            _ => {}
        }
    }
    Ok((key, text))
}

fn fixed(value: Value<'_>) -> Result<u64, Fault> {
    match value {
        Value::Fixed64(v) => Ok(v),
        _ => Err("a field has another wire type than its definition"),
    }
}
