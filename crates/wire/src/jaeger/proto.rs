//! `PostSpansRequest` in protobuf. A span's own process wins over that of the batch.

use std::collections::HashMap;

use model::{AnyValue, Attributes, attributes::Resource};
use prost::Message;
use proto::jaeger_v2::{Batch, KeyValue, PostSpansRequest, Process, Span, SpanRefType, ValueType};

use super::{Decoded, Log, Reference, Source, process, translate, unknown_type};
use crate::{Error, Limits, Reason, spans::Gathered, text::quoted};

const NS_PER_S: i64 = 1_000_000_000;

/// Reads the request of `jaeger.api_v2.CollectorService/PostSpans`.
pub fn decode_protobuf(body: &[u8], limits: &Limits) -> Result<Decoded, Error> {
    let request =
        PostSpansRequest::decode(body).map_err(|e| Error::protobuf("Jaeger PostSpans request", e))?;
    Ok(from_batch(request.batch.unwrap_or_default(), limits))
}

fn from_batch(batch: Batch, limits: &Limits) -> Decoded {
    let mut gathered = Gathered::new(limits);
    let common = batch.process.map(resource).unwrap_or_default();
    let mut known: HashMap<Vec<u8>, Resource> = HashMap::new();
    for mut span in batch.spans {
        let own = span.process.take();
        let source = match source(span) {
            Ok(source) => source,
            Err(why) => {
                gathered.refuse(Reason::InvalidItem, why);
                continue;
            }
        };
        let (scope, span) = translate::span(source);
        match own {
            None => gathered.push(&common, scope, span, true),
            Some(own) => {
                let process = known.entry(own.encode_to_vec()).or_insert_with(|| resource(own));
                gathered.push(process, scope, span, true);
            }
        }
    }
    gathered.finish()
}

fn resource(p: Process) -> Resource {
    process::resource(p.service_name, tags(p.tags))
}

fn source(span: Span) -> Result<Source, String> {
    let name = span.operation_name;
    let wrong =
        |what: &str, bytes: &[u8]| format!("span {} has a {what} of {} bytes", quoted(&name), bytes.len());
    let trace_id = trace_id(&span.trace_id).ok_or_else(|| wrong("trace id", &span.trace_id))?;
    let span_id = span_id(&span.span_id).ok_or_else(|| wrong("span id", &span.span_id))?;
    let references = span.references.iter().map(|r| {
        Ok(Reference {
            follows: r.ref_type == SpanRefType::FollowsFrom as i32,
            trace_id: self::trace_id(&r.trace_id)
                .ok_or_else(|| wrong("reference with a trace id", &r.trace_id))?,
            span_id: self::span_id(&r.span_id)
                .ok_or_else(|| wrong("reference with a span id", &r.span_id))?,
        })
    });
    let references = references.collect::<Result<_, String>>()?;
    let logs = span.logs.into_iter().map(|l| Log {
        timestamp_ns: l.timestamp.map_or(0, |t| ns(t.seconds, t.nanos)),
        fields: tags(l.fields),
    });
    Ok(Source {
        trace_id,
        span_id,
        parent_span_id: [0; 8],
        references,
        flags: span.flags,
        start_ns: span.start_time.map_or(0, |t| ns(t.seconds, t.nanos)),
        duration_ns: span.duration.map_or(0, |d| ns(d.seconds, d.nanos)),
        tags: tags(span.tags),
        logs: logs.collect(),
        warnings: span.warnings,
        name,
    })
}

fn tags(list: Vec<KeyValue>) -> Attributes {
    let value = |t: &mut KeyValue| match ValueType::try_from(t.v_type) {
        Ok(ValueType::String) => AnyValue::String(std::mem::take(&mut t.v_str)),
        Ok(ValueType::Bool) => AnyValue::Bool(t.v_bool),
        Ok(ValueType::Int64) => AnyValue::Int(t.v_int64),
        Ok(ValueType::Float64) => AnyValue::Double(t.v_float64),
        Ok(ValueType::Binary) => AnyValue::Bytes(std::mem::take(&mut t.v_binary)),
        Err(_) => AnyValue::String(unknown_type(t.v_type)),
    };
    Attributes(
        list.into_iter()
            .map(|mut t| {
                let value = value(&mut t);
                (t.key, value)
            })
            .collect(),
    )
}

/// 16 bytes, or 8 of a trace id that has no upper half.
fn trace_id(bytes: &[u8]) -> Option<[u8; 16]> {
    match bytes.len() {
        8 => Some(u128::from(u64::from_be_bytes(bytes.try_into().ok()?)).to_be_bytes()),
        _ => bytes.try_into().ok(),
    }
}

fn span_id(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.try_into().ok()
}

fn ns(seconds: i64, nanos: i32) -> i64 {
    seconds.saturating_mul(NS_PER_S).saturating_add(i64::from(nanos))
}
