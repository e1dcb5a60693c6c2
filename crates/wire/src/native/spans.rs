//! The body of a span batch.
//!
//! ```text
//! body   := varint n, n × (resource, scope)                       origins
//!         | varint n, n × span
//! span   := varint present | varint origin | trace id, 16 bytes | span id, 8 bytes | string name
//!         | kind u8 | zigzag start_ns - previous span's | zigzag end_ns - start_ns
//!         | what is present, by bit:
//!           0 parent span id, 8 bytes    1 string trace state     2 varint flags
//!           3 attributes                 4 varint dropped         5 varint n, n × event
//!           6 varint dropped events      7 varint n, n × link     8 varint dropped links
//!           9 status code u8, text message
//! event  := zigzag ns - span's start_ns | string name | attributes | varint dropped
//! link   := trace id, 16 bytes | span id, 8 bytes | string trace state | attributes | varint dropped
//!         | varint flags
//! ```

use model::{Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode, span::SpanOrigin};

use super::{
    NativeError,
    reader::Reader,
    values::{
        decode_attributes, decode_resource, decode_scope, encode_attributes, encode_resource, encode_scope,
    },
    writer::Writer,
};

const PARENT: u64 = 1;
const TRACE_STATE: u64 = 1 << 1;
const FLAGS: u64 = 1 << 2;
const ATTRIBUTES: u64 = 1 << 3;
const DROPPED: u64 = 1 << 4;
const EVENTS: u64 = 1 << 5;
const DROPPED_EVENTS: u64 = 1 << 6;
const LINKS: u64 = 1 << 7;
const DROPPED_LINKS: u64 = 1 << 8;
const STATUS: u64 = 1 << 9;
const KNOWN: u64 = (1 << 10) - 1;

const KINDS: [SpanKind; 6] = [
    SpanKind::Unspecified,
    SpanKind::Internal,
    SpanKind::Server,
    SpanKind::Client,
    SpanKind::Producer,
    SpanKind::Consumer,
];
const CODES: [StatusCode; 3] = [StatusCode::Unset, StatusCode::Ok, StatusCode::Error];

pub(super) fn encode<'a>(w: &mut Writer<'a>, b: &'a SpanBatch) -> Result<(), NativeError> {
    w.count(b.origins.len());
    for o in &b.origins {
        encode_resource(w, &o.resource)?;
        encode_scope(w, &o.scope)?;
    }
    w.count(b.spans.len());
    let mut previous = 0;
    for s in &b.spans {
        if s.origin as usize >= b.origins.len() {
            return Err(NativeError::BadIndex { what: "origin", index: s.origin, count: b.origins.len() });
        }
        encode_span(w, s, previous)?;
        previous = s.start_ns;
    }
    Ok(())
}

pub(super) fn decode(r: &mut Reader<'_>) -> Result<SpanBatch, NativeError> {
    let origins =
        r.many("origins", |r| Ok(SpanOrigin { resource: decode_resource(r)?, scope: decode_scope(r)? }))?;
    let mut previous = 0;
    let spans = r.many("spans", |r| {
        let span = decode_span(r, previous)?;
        if span.origin as usize >= origins.len() {
            return Err(r.invalid("origin of a span", format!("{} of {}", span.origin, origins.len())));
        }
        previous = span.start_ns;
        Ok(span)
    })?;
    Ok(SpanBatch { origins, spans })
}

fn encode_span<'a>(w: &mut Writer<'a>, x: &'a Span, previous: i64) -> Result<(), NativeError> {
    let present = present(x);
    let has = |bit| present & bit != 0;
    w.varint(present);
    w.varint(u64::from(x.origin));
    w.raw(&x.trace_id);
    w.raw(&x.span_id);
    w.string(&x.name);
    w.byte(KINDS.iter().position(|k| *k == x.kind).unwrap_or(0) as u8);
    w.zigzag(x.start_ns.wrapping_sub(previous));
    w.zigzag(x.end_ns.wrapping_sub(x.start_ns));
    if has(PARENT) {
        w.raw(&x.parent_span_id);
    }
    if has(TRACE_STATE) {
        w.string(&x.trace_state);
    }
    if has(FLAGS) {
        w.varint(u64::from(x.flags));
    }
    if has(ATTRIBUTES) {
        encode_attributes(w, &x.attributes)?;
    }
    if has(DROPPED) {
        w.varint(u64::from(x.dropped_attributes));
    }
    if has(EVENTS) {
        w.count(x.events.len());
        x.events.iter().try_for_each(|e| encode_event(w, e, x.start_ns))?;
    }
    if has(DROPPED_EVENTS) {
        w.varint(u64::from(x.dropped_events));
    }
    if has(LINKS) {
        w.count(x.links.len());
        x.links.iter().try_for_each(|l| encode_link(w, l))?;
    }
    if has(DROPPED_LINKS) {
        w.varint(u64::from(x.dropped_links));
    }
    if has(STATUS) {
        w.byte(CODES.iter().position(|c| *c == x.status.code).unwrap_or(0) as u8);
        w.text(&x.status.message);
    }
    Ok(())
}

fn present(x: &Span) -> u64 {
    [
        (PARENT, x.parent_span_id != [0; 8]),
        (TRACE_STATE, !x.trace_state.is_empty()),
        (FLAGS, x.flags != 0),
        (ATTRIBUTES, !x.attributes.is_empty()),
        (DROPPED, x.dropped_attributes != 0),
        (EVENTS, !x.events.is_empty()),
        (DROPPED_EVENTS, x.dropped_events != 0),
        (LINKS, !x.links.is_empty()),
        (DROPPED_LINKS, x.dropped_links != 0),
        (STATUS, x.status != SpanStatus::default()),
    ]
    .iter()
    .filter(|(_, is)| *is)
    .fold(0, |bits, (bit, _)| bits | bit)
}

fn decode_span(r: &mut Reader<'_>, previous: i64) -> Result<Span, NativeError> {
    let present = r.varint("span")?;
    if present & !KNOWN != 0 {
        return Err(r.invalid("span", format!("parts {present:#x} are not known")));
    }
    let has = |bit| present & bit != 0;
    let mut x = Span { origin: r.u32("origin of a span")?, ..Default::default() };
    x.trace_id = r.array("trace id")?;
    x.span_id = r.array("span id")?;
    x.name = r.string("span name")?.to_owned();
    x.kind = one_of(r, &KINDS, "span kind")?;
    x.start_ns = previous.wrapping_add(r.zigzag("span start")?);
    x.end_ns = x.start_ns.wrapping_add(r.zigzag("span duration")?);
    if has(PARENT) {
        x.parent_span_id = r.array("parent span id")?;
    }
    if has(TRACE_STATE) {
        x.trace_state = r.string("trace state")?.to_owned();
    }
    if has(FLAGS) {
        x.flags = r.u32("span flags")?;
    }
    if has(ATTRIBUTES) {
        x.attributes = decode_attributes(r)?;
    }
    if has(DROPPED) {
        x.dropped_attributes = r.u32("dropped attributes")?;
    }
    if has(EVENTS) {
        let start = x.start_ns;
        x.events = r.many("events", |r| decode_event(r, start))?;
    }
    if has(DROPPED_EVENTS) {
        x.dropped_events = r.u32("dropped events")?;
    }
    if has(LINKS) {
        x.links = r.many("links", decode_link)?;
    }
    if has(DROPPED_LINKS) {
        x.dropped_links = r.u32("dropped links")?;
    }
    if has(STATUS) {
        x.status = SpanStatus {
            code: one_of(r, &CODES, "status code")?,
            message: r.text("status message")?.to_owned(),
        };
    }
    Ok(x)
}

fn one_of<T: Copy>(r: &mut Reader<'_>, all: &[T], what: &'static str) -> Result<T, NativeError> {
    let n = r.byte(what)?;
    all.get(usize::from(n)).copied().ok_or_else(|| r.invalid(what, format!("{n} is not known")))
}

fn encode_event<'a>(w: &mut Writer<'a>, e: &'a SpanEvent, start: i64) -> Result<(), NativeError> {
    w.zigzag(e.timestamp_ns.wrapping_sub(start));
    w.string(&e.name);
    encode_attributes(w, &e.attributes)?;
    w.varint(u64::from(e.dropped_attributes));
    Ok(())
}

fn decode_event(r: &mut Reader<'_>, start: i64) -> Result<SpanEvent, NativeError> {
    Ok(SpanEvent {
        timestamp_ns: start.wrapping_add(r.zigzag("event time")?),
        name: r.string("event name")?.to_owned(),
        attributes: decode_attributes(r)?,
        dropped_attributes: r.u32("dropped attributes")?,
    })
}

fn encode_link<'a>(w: &mut Writer<'a>, l: &'a SpanLink) -> Result<(), NativeError> {
    w.raw(&l.trace_id);
    w.raw(&l.span_id);
    w.string(&l.trace_state);
    encode_attributes(w, &l.attributes)?;
    w.varint(u64::from(l.dropped_attributes));
    w.varint(u64::from(l.flags));
    Ok(())
}

fn decode_link(r: &mut Reader<'_>) -> Result<SpanLink, NativeError> {
    Ok(SpanLink {
        trace_id: r.array("trace id of a link")?,
        span_id: r.array("span id of a link")?,
        trace_state: r.string("trace state")?.to_owned(),
        attributes: decode_attributes(r)?,
        dropped_attributes: r.u32("dropped attributes")?,
        flags: r.u32("link flags")?,
    })
}
