//! The body of a log batch.
//!
//! ```text
//! body   := varint n, n × (labels, resource, scope)              streams
//!         | varint n, n × record
//! record := varint present | varint stream | zigzag ns - previous record's | value body
//!         | what is present, by bit:
//!           0 zigzag observed_ns - ns    1 severity number u8    2 string severity text
//!           3 attributes                 4 varint dropped        5 varint flags
//!           6 trace id, 16 bytes         7 span id, 8 bytes      8 string event name
//! ```

use model::{LogBatch, LogRecord, LogStream};

use super::{
    NativeError,
    reader::Reader,
    values::{
        decode_attributes, decode_labels, decode_resource, decode_scope, decode_value, encode_attributes,
        encode_body, encode_labels, encode_resource, encode_scope,
    },
    writer::Writer,
};

const OBSERVED: u64 = 1;
const SEVERITY: u64 = 1 << 1;
const SEVERITY_TEXT: u64 = 1 << 2;
const ATTRIBUTES: u64 = 1 << 3;
const DROPPED: u64 = 1 << 4;
const FLAGS: u64 = 1 << 5;
const TRACE_ID: u64 = 1 << 6;
const SPAN_ID: u64 = 1 << 7;
const EVENT_NAME: u64 = 1 << 8;
const KNOWN: u64 = (1 << 9) - 1;

pub(super) fn encode<'a>(w: &mut Writer<'a>, b: &'a LogBatch) -> Result<(), NativeError> {
    w.count(b.streams.len());
    for s in &b.streams {
        encode_labels(w, &s.labels);
        encode_resource(w, &s.resource)?;
        encode_scope(w, &s.scope)?;
    }
    w.count(b.records.len());
    let mut previous = 0;
    for r in &b.records {
        if r.stream as usize >= b.streams.len() {
            return Err(NativeError::BadIndex { what: "stream", index: r.stream, count: b.streams.len() });
        }
        encode_record(w, r, previous)?;
        previous = r.timestamp_ns;
    }
    Ok(())
}

pub(super) fn decode(r: &mut Reader<'_>) -> Result<LogBatch, NativeError> {
    let streams = r.many("streams", |r| {
        Ok(LogStream { labels: decode_labels(r)?, resource: decode_resource(r)?, scope: decode_scope(r)? })
    })?;
    let mut previous = 0;
    let records = r.many("log records", |r| {
        let record = decode_record(r, previous)?;
        if record.stream as usize >= streams.len() {
            return Err(r.invalid("stream of a record", format!("{} of {}", record.stream, streams.len())));
        }
        previous = record.timestamp_ns;
        Ok(record)
    })?;
    Ok(LogBatch { streams, records })
}

fn encode_record<'a>(w: &mut Writer<'a>, x: &'a LogRecord, previous: i64) -> Result<(), NativeError> {
    let present = [
        (OBSERVED, x.observed_ns != 0),
        (SEVERITY, x.severity_number != 0),
        (SEVERITY_TEXT, !x.severity_text.is_empty()),
        (ATTRIBUTES, !x.attributes.is_empty()),
        (DROPPED, x.dropped_attributes != 0),
        (FLAGS, x.flags != 0),
        (TRACE_ID, x.trace_id != [0; 16]),
        (SPAN_ID, x.span_id != [0; 8]),
        (EVENT_NAME, !x.event_name.is_empty()),
    ]
    .iter()
    .filter(|(_, is)| *is)
    .fold(0, |bits, (bit, _)| bits | bit);
    w.varint(present);
    w.varint(u64::from(x.stream));
    w.zigzag(x.timestamp_ns.wrapping_sub(previous));
    encode_body(w, &x.body)?;
    let has = |bit| present & bit != 0;
    if has(OBSERVED) {
        w.zigzag(x.observed_ns.wrapping_sub(x.timestamp_ns));
    }
    if has(SEVERITY) {
        w.byte(x.severity_number);
    }
    if has(SEVERITY_TEXT) {
        w.string(&x.severity_text);
    }
    if has(ATTRIBUTES) {
        encode_attributes(w, &x.attributes)?;
    }
    if has(DROPPED) {
        w.varint(u64::from(x.dropped_attributes));
    }
    if has(FLAGS) {
        w.varint(u64::from(x.flags));
    }
    if has(TRACE_ID) {
        w.raw(&x.trace_id);
    }
    if has(SPAN_ID) {
        w.raw(&x.span_id);
    }
    if has(EVENT_NAME) {
        w.string(&x.event_name);
    }
    Ok(())
}

fn decode_record(r: &mut Reader<'_>, previous: i64) -> Result<LogRecord, NativeError> {
    let present = r.varint("record")?;
    if present & !KNOWN != 0 {
        return Err(r.invalid("record", format!("parts {present:#x} are not known")));
    }
    let has = |bit| present & bit != 0;
    let mut x = LogRecord { stream: r.u32("stream of a record")?, ..Default::default() };
    x.timestamp_ns = previous.wrapping_add(r.zigzag("record time")?);
    x.body = decode_value(r)?;
    if has(OBSERVED) {
        x.observed_ns = x.timestamp_ns.wrapping_add(r.zigzag("observed time")?);
    }
    if has(SEVERITY) {
        x.severity_number = r.byte("severity")?;
    }
    if has(SEVERITY_TEXT) {
        x.severity_text = r.string("severity text")?.to_owned();
    }
    if has(ATTRIBUTES) {
        x.attributes = decode_attributes(r)?;
    }
    if has(DROPPED) {
        x.dropped_attributes = r.u32("dropped attributes")?;
    }
    if has(FLAGS) {
        x.flags = r.u32("record flags")?;
    }
    if has(TRACE_ID) {
        x.trace_id = r.array("trace id")?;
    }
    if has(SPAN_ID) {
        x.span_id = r.array("span id")?;
    }
    if has(EVENT_NAME) {
        x.event_name = r.string("event name")?.to_owned();
    }
    Ok(x)
}
