//! An `ExportTraceServiceRequest` in protobuf, read where it lies: spans are what most requests of a cluster are made
//! of, and messages in between would be built to be taken apart.

use model::{
    AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};

use super::{Refused, status_code, valid_ids};
use crate::{
    Decoded, Reason, Refusals,
    otlp::{Options, attributes::id, ns},
    protobuf::{Fault, Reader, Value},
    spans,
};

/// Messages within each other, as the generated decoders take them.
const MAX_NESTED: usize = 100;
/// Of a value of a span's attribute: request, resource spans, scope spans, span, pair.
const VALUE_DEPTH: usize = 5;
const USUAL_ATTRIBUTES: usize = 12;
/// Bytes of the shortest span that is taken: two ids and what says how long they are.
const LEAST_BYTES: usize = 28;

/// `Err` where the bytes are no such message.
pub(super) fn request(body: &[u8], options: &Options) -> Result<Decoded<SpanBatch>, Fault> {
    let mut d = Decoded { batch: SpanBatch::default(), refused: Refusals::default(), all_timed: true };
    // A span is large, and spans that move as their vector grows are a tenth of the work.
    d.batch.spans.reserve_exact(inside(body, &[1, 2, 2])?.min(body.len() / LEAST_BYTES));
    let (mut seen, mut r) = (0, Reader::new(body));
    while let Some((field, value)) = r.next()? {
        if field == 1 {
            resource_spans(&mut d, value.bytes()?, &mut seen, options)?;
        }
    }
    Ok(d)
}

/// How many messages lie at the end of a path of fields.
fn inside(bytes: &[u8], path: &[u32]) -> Result<usize, Fault> {
    let Some((wanted, rest)) = path.split_first() else { return Ok(1) };
    let (mut count, mut r) = (0, Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        if field == *wanted {
            count += inside(value.bytes()?, rest)?;
        }
    }
    Ok(count)
}

fn resource_spans(
    d: &mut Decoded<SpanBatch>,
    bytes: &[u8],
    seen: &mut u64,
    options: &Options,
) -> Result<(), Fault> {
    let (mut resource, mut scoped, mut r) = (Resource::default(), Vec::new(), Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        match field {
            1 => merge_resource(&mut resource, value.bytes()?)?,
            2 => scoped.push(value.bytes()?),
            3 => resource.schema_url = value.str()?.to_owned(),
            _ => {}
        }
    }
    let checked = options.limits.check_attributes("resource", &resource.attributes);
    for bytes in scoped {
        scope_spans(d, bytes, (&resource, checked.as_ref().err()), seen, options)?;
    }
    Ok(())
}

fn merge_resource(out: &mut Resource, bytes: &[u8]) -> Result<(), Fault> {
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => out.attributes.0.push(pair(value, 3)?),
            2 => out.dropped_attributes = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(())
}

fn merge_scope(out: &mut Scope, bytes: &[u8]) -> Result<(), Fault> {
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => out.name = value.str()?.to_owned(),
            2 => out.version = value.str()?.to_owned(),
            3 => out.attributes.0.push(pair(value, 4)?),
            4 => out.dropped_attributes = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(())
}

fn scope_spans(
    d: &mut Decoded<SpanBatch>,
    bytes: &[u8],
    (resource, unfit): (&Resource, Option<&String>),
    seen: &mut u64,
    options: &Options,
) -> Result<(), Fault> {
    let (mut scope, mut each, mut r) = (Scope::default(), Vec::new(), Reader::new(bytes));
    let mut schema_url = resource.schema_url.as_str();
    while let Some((field, value)) = r.next()? {
        match field {
            1 => merge_scope(&mut scope, value.bytes()?)?,
            2 => each.push(value.bytes()?),
            // There is one place for the two, and spans inherit the resource's where their scope names none.
            3 if resource.schema_url.is_empty() => schema_url = value.str()?,
            3 => _ = value.str()?,
            _ => {}
        }
    }
    let (first, count) = (*seen, each.len() as u64);
    *seen += count;
    let unfit = match unfit {
        Some(why) => Err(why.clone()),
        None => options.limits.check_attributes("scope", &scope.attributes),
    };
    let (origin, before) = (d.batch.origins.len() as u32, d.batch.spans.len());
    for (i, bytes) in each.into_iter().enumerate() {
        // What cannot be taken must be a message all the same.
        let read = span(bytes, origin)?;
        if unfit.is_ok() {
            match read.and_then(|s| spans::check(&s, &options.limits).map(|()| s)) {
                Ok(span) => d.batch.spans.push(span),
                Err((reason, why)) => d.refused.add(reason, first + i as u64, || why),
            }
        }
    }
    match unfit {
        Err(why) => d.refused.add_many(Reason::InvalidLabels, first, count, || why),
        Ok(()) if d.batch.spans.len() > before => {
            let resource = Resource { schema_url: schema_url.to_owned(), ..resource.clone() };
            d.batch.origins.push(SpanOrigin { resource, scope });
        }
        Ok(()) => {}
    }
    Ok(())
}

/// The outer error: no message; the inner: no span.
fn span(bytes: &[u8], origin: u32) -> Result<Result<Span, Refused>, Fault> {
    let mut s = Span { origin, ..Span::default() };
    let (mut trace_id, mut span_id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => trace_id = value.bytes()?,
            2 => span_id = value.bytes()?,
            3 => s.trace_state = value.str()?.to_owned(),
            4 => parent = value.bytes()?,
            5 => s.name = value.str()?.to_owned(),
            6 => s.kind = SpanKind::from_number(value.varint()? as i32),
            7 => s.start_ns = ns(fixed64(value)?),
            8 => s.end_ns = ns(fixed64(value)?),
            9 => {
                if s.attributes.0.is_empty() {
                    s.attributes.0.reserve(USUAL_ATTRIBUTES);
                }
                s.attributes.0.push(pair(value, VALUE_DEPTH)?);
            }
            10 => s.dropped_attributes = value.varint()? as u32,
            11 => s.events.push(event(value.bytes()?)?),
            12 => s.dropped_events = value.varint()? as u32,
            13 => s.links.push(link(value.bytes()?)?),
            14 => s.dropped_links = value.varint()? as u32,
            15 => status(&mut s.status, value.bytes()?)?,
            16 => s.flags = fixed32(value)?,
            _ => {}
        }
    }
    s.attributes.0.shrink_to_fit();
    Ok(valid_ids(&s.name, trace_id, span_id, parent).map(|(trace_id, span_id, parent_span_id)| Span {
        trace_id,
        span_id,
        parent_span_id,
        ..s
    }))
}

fn status(out: &mut SpanStatus, bytes: &[u8]) -> Result<(), Fault> {
    let mut r = Reader::new(bytes);
    while let Some((field, value)) = r.next()? {
        match field {
            2 => out.message = value.str()?.to_owned(),
            3 => out.code = status_code(value.varint()? as i32),
            _ => {}
        }
    }
    Ok(())
}

fn event(bytes: &[u8]) -> Result<SpanEvent, Fault> {
    let (mut e, mut r) = (SpanEvent::default(), Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        match field {
            1 => e.timestamp_ns = ns(fixed64(value)?),
            2 => e.name = value.str()?.to_owned(),
            3 => e.attributes.0.push(pair(value, VALUE_DEPTH + 1)?),
            4 => e.dropped_attributes = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(e)
}

fn link(bytes: &[u8]) -> Result<SpanLink, Fault> {
    let (mut l, mut r) = (SpanLink::default(), Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        match field {
            // A link that names no valid span stays visible as a link to nothing.
            1 => l.trace_id = id(value.bytes()?).unwrap_or_default(),
            2 => l.span_id = id(value.bytes()?).unwrap_or_default(),
            3 => l.trace_state = value.str()?.to_owned(),
            4 => l.attributes.0.push(pair(value, VALUE_DEPTH + 1)?),
            5 => l.dropped_attributes = value.varint()? as u32,
            6 => l.flags = fixed32(value)?,
            _ => {}
        }
    }
    Ok(l)
}

/// A pair of an attribute whose value stands so deep.
fn pair(value: Value<'_>, depth: usize) -> Result<(String, AnyValue), Fault> {
    let (mut key, mut own, mut r) = (String::new(), AnyValue::Empty, Reader::new(value.bytes()?));
    while let Some((field, value)) = r.next()? {
        match field {
            1 => key = value.str()?.to_owned(),
            2 => own = any_value(value.bytes()?, depth)?,
            _ => {}
        }
    }
    Ok((key, own))
}

fn any_value(bytes: &[u8], depth: usize) -> Result<AnyValue, Fault> {
    if depth >= MAX_NESTED {
        return Err("messages are nested too deep");
    }
    let (mut out, mut r) = (AnyValue::Empty, Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        match field {
            1 => out = AnyValue::String(value.str()?.to_owned()),
            2 => out = AnyValue::Bool(value.varint()? != 0),
            3 => out = AnyValue::Int(value.varint()? as i64),
            4 => out = AnyValue::Double(value.double()?),
            5 => out = AnyValue::Array(array(value.bytes()?, depth + 1)?),
            6 => out = AnyValue::Map(map(value.bytes()?, depth + 1)?),
            7 => out = AnyValue::Bytes(value.bytes()?.to_vec()),
            _ => {}
        }
    }
    Ok(out)
}

fn array(bytes: &[u8], depth: usize) -> Result<Vec<AnyValue>, Fault> {
    let (mut items, mut r) = (Vec::new(), Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        if field == 1 {
            items.push(any_value(value.bytes()?, depth + 1)?);
        }
    }
    Ok(items)
}

fn map(bytes: &[u8], depth: usize) -> Result<Attributes, Fault> {
    let (mut pairs, mut r) = (Attributes::default(), Reader::new(bytes));
    while let Some((field, value)) = r.next()? {
        if field == 1 {
            pairs.0.push(pair(value, depth + 2)?);
        }
    }
    Ok(pairs)
}

fn fixed64(value: Value<'_>) -> Result<u64, Fault> {
    match value {
        Value::Fixed64(v) => Ok(v),
        _ => Err("a field has another wire type than its definition"),
    }
}

fn fixed32(value: Value<'_>) -> Result<u32, Fault> {
    match value {
        Value::Fixed32(v) => Ok(v),
        _ => Err("a field has another wire type than its definition"),
    }
}
