//! A `Batch` in Thrift. A struct that lacks what its definition requires ends the request: nobody knows where the
//! next one begins.

use model::{AnyValue, Attributes, attributes::Resource};

use super::{Decoded, Log, Reference, Source, process, translate, unknown_type};
use crate::{
    Error, Limits,
    spans::Gathered,
    thrift::{Fault, Field, Protocol, Reader},
};

/// Reads a `Batch` that fills the whole body, as `POST /api/traces` carries it: no message head around it.
pub fn decode_thrift(body: &[u8], protocol: Protocol, limits: &Limits) -> Result<Decoded, Error> {
    batch(body, protocol, limits).map_err(|fault| Error::thrift("Jaeger batch", fault))
}

fn batch(body: &[u8], protocol: Protocol, limits: &Limits) -> Result<Decoded, Fault> {
    let mut r = Reader::new(body, protocol);
    let (mut process, mut spans) = (None, None);
    let mut last = 0;
    while let Some(f) = r.field(&mut last)? {
        match f.id {
            1 => {
                r.structure(f)?;
                process = Some(resource(&mut r)?);
            }
            2 => {
                // The process may stand after the spans, which need it.
                spans = Some((r, f));
                r.skip(f)?;
            }
            // 3 is a sequence number; 4 what a client counted, which it also serves as metrics.
            _ => r.skip(f)?,
        }
    }
    if r.rest() > 0 {
        return Err(r.broken("the batch ends, and more bytes follow"));
    }
    let process = process.ok_or_else(|| r.missing("Batch.process"))?;
    let (mut r, f) = spans.ok_or_else(|| r.missing("Batch.spans"))?;
    let mut gathered = Gathered::new(limits);
    for _ in 0..r.structs(f)? {
        let (scope, span) = translate::span(span(&mut r)?);
        gathered.push(&process, scope, span, true);
    }
    Ok(gathered.finish())
}

fn resource(r: &mut Reader<'_>) -> Result<Resource, Fault> {
    let (mut service, mut tags) = (None, Attributes::default());
    let mut last = 0;
    while let Some(f) = r.field(&mut last)? {
        match f.id {
            1 => service = Some(r.text(f)?.into_owned()),
            2 => tags = tag_list(r, f)?,
            _ => r.skip(f)?,
        }
    }
    Ok(process::resource(service.ok_or_else(|| r.missing("Process.serviceName"))?, tags))
}

fn span(r: &mut Reader<'_>) -> Result<Source, Fault> {
    let mut s = Source::default();
    let (mut low, mut high, mut id, mut name, mut start, mut duration) = (None, 0, None, None, None, None);
    let mut last = 0;
    while let Some(f) = r.field(&mut last)? {
        match f.id {
            1 => low = Some(r.i64(f)?),
            2 => high = r.i64(f)?,
            3 => id = Some(r.i64(f)?),
            4 => s.parent_span_id = r.i64(f)?.to_be_bytes(),
            5 => name = Some(r.text(f)?.into_owned()),
            6 => s.references = references(r, f)?,
            7 => s.flags = r.i32(f)? as u32,
            8 => start = Some(r.i64(f)?),
            9 => duration = Some(r.i64(f)?),
            10 => s.tags = tag_list(r, f)?,
            11 => s.logs = logs(r, f)?,
            _ => r.skip(f)?,
        }
    }
    s.trace_id = trace_id(high, low.ok_or_else(|| r.missing("Span.traceIdLow"))?);
    s.span_id = id.ok_or_else(|| r.missing("Span.spanId"))?.to_be_bytes();
    s.name = name.ok_or_else(|| r.missing("Span.operationName"))?;
    s.start_ns = ns(start.ok_or_else(|| r.missing("Span.startTime"))?);
    s.duration_ns = ns(duration.ok_or_else(|| r.missing("Span.duration"))?);
    Ok(s)
}

fn references(r: &mut Reader<'_>, f: Field) -> Result<Vec<Reference>, Fault> {
    let mut out = Vec::new();
    for _ in 0..r.structs(f)? {
        let (mut kind, mut low, mut high, mut id) = (None, None, 0, None);
        let mut last = 0;
        while let Some(f) = r.field(&mut last)? {
            match f.id {
                1 => kind = Some(r.i32(f)?),
                2 => low = Some(r.i64(f)?),
                3 => high = r.i64(f)?,
                4 => id = Some(r.i64(f)?),
                _ => r.skip(f)?,
            }
        }
        out.push(Reference {
            follows: kind.ok_or_else(|| r.missing("SpanRef.refType"))? != 0,
            trace_id: trace_id(high, low.ok_or_else(|| r.missing("SpanRef.traceIdLow"))?),
            span_id: id.ok_or_else(|| r.missing("SpanRef.spanId"))?.to_be_bytes(),
        });
    }
    Ok(out)
}

fn logs(r: &mut Reader<'_>, f: Field) -> Result<Vec<Log>, Fault> {
    let mut out = Vec::new();
    for _ in 0..r.structs(f)? {
        let (mut time, mut fields) = (None, Attributes::default());
        let mut last = 0;
        while let Some(f) = r.field(&mut last)? {
            match f.id {
                1 => time = Some(r.i64(f)?),
                2 => fields = tag_list(r, f)?,
                _ => r.skip(f)?,
            }
        }
        let timestamp_ns = ns(time.ok_or_else(|| r.missing("Log.timestamp"))?);
        out.push(Log { timestamp_ns, fields });
    }
    Ok(out)
}

fn tag_list(r: &mut Reader<'_>, f: Field) -> Result<Attributes, Fault> {
    let mut out = Attributes::default();
    for _ in 0..r.structs(f)? {
        out.0.push(tag(r)?);
    }
    Ok(out)
}

/// A tag holds a field for each type and says which counts. An absent one is that type's nothing, as in every client
/// that Thrift generates.
fn tag(r: &mut Reader<'_>) -> Result<(String, AnyValue), Fault> {
    let (mut key, mut kind) = (None, None);
    let (mut text, mut double, mut truth, mut long, mut binary) = (String::new(), 0.0, false, 0, Vec::new());
    let mut last = 0;
    while let Some(f) = r.field(&mut last)? {
        match f.id {
            1 => key = Some(r.text(f)?.into_owned()),
            2 => kind = Some(r.i32(f)?),
            3 => text = r.text(f)?.into_owned(),
            4 => double = r.double(f)?,
            5 => truth = r.bool(f)?,
            6 => long = r.i64(f)?,
            7 => binary = r.binary(f)?.to_vec(),
            _ => r.skip(f)?,
        }
    }
    let key = key.ok_or_else(|| r.missing("Tag.key"))?;
    let value = match kind.ok_or_else(|| r.missing("Tag.vType"))? {
        0 => AnyValue::String(text),
        1 => AnyValue::Double(double),
        2 => AnyValue::Bool(truth),
        3 => AnyValue::Int(long),
        4 => AnyValue::Bytes(binary),
        other => AnyValue::String(unknown_type(other)),
    };
    Ok((key, value))
}

fn trace_id(high: i64, low: i64) -> [u8; 16] {
    (u128::from(high as u64) << 64 | u128::from(low as u64)).to_be_bytes()
}

/// Thrift counts in microseconds.
fn ns(us: i64) -> i64 {
    us.saturating_mul(1000)
}
