//! A batch for Jaeger, written in JSON, in all of its encodings:
//!
//! ```text
//! {"process": {"service": "a", "tags": TAGS}, "spans": [
//!   {"trace": "0af7", "id": "1", "parent": "2", "name": "n", "flags": 1, "start": µs, "duration": µs, "tags": TAGS,
//!    "refs": [["child_of" or "follows_from", trace, id]], "logs": [[µs, TAGS]]}]}
//! TAGS := [[key, "string" "bool" "int64" "float64" "binary" (in hex) or a number of a type, value]]
//! ```
//! A span's own `process` and `warnings` exist in protobuf only; where one is given, that alone is run.

use prost::Message;
use prost_types::{Duration, Timestamp};
use proto::jaeger_v2::{
    Batch, KeyValue, Log, PostSpansRequest, Process, Span, SpanRef, SpanRefType, ValueType,
};
use serde_json::Value;

use super::outcome;
use crate::{
    Limits, jaeger,
    thrift::{Protocol, tests::writer::Writer},
};

/// What becomes of a batch, which has to be the same in every encoding.
pub(crate) fn shown_alike(text: &str) -> String {
    let batch: Value = serde_json::from_str(text).unwrap();
    let limits = Limits::default();
    let by_protobuf = outcome(jaeger::decode_protobuf(&protobuf(&batch), &limits));
    let only = |s: &Value| s.get("process").or(s.get("warnings")).is_some();
    if !each(&batch["spans"]).any(only) {
        for protocol in [Protocol::Binary, Protocol::Compact] {
            let by_thrift = outcome(jaeger::decode_thrift(&thrift(&batch, protocol), protocol, &limits));
            assert_eq!(by_thrift, by_protobuf, "{protocol:?} and protobuf differ for {text}");
        }
    }
    by_protobuf
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn number(digits: &Value) -> u128 {
    u128::from_str_radix(digits.as_str().unwrap_or("0"), 16).unwrap()
}

fn bytes(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap();
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

fn protobuf(batch: &Value) -> Vec<u8> {
    let batch = Batch { spans: each(&batch["spans"]).map(proto_span).collect(), process: process(batch) };
    PostSpansRequest { batch: Some(batch) }.encode_to_vec()
}

fn process(of: &Value) -> Option<Process> {
    let p = of.get("process")?;
    Some(Process { service_name: text(&p["service"]), tags: proto_tags(&p["tags"]) })
}

fn proto_span(s: &Value) -> Span {
    let trace_id = number(&s["trace"]).to_be_bytes().to_vec();
    let span_id = |v: &Value| (number(v) as u64).to_be_bytes().to_vec();
    let parent = s.get("parent").map(|id| SpanRef {
        trace_id: trace_id.clone(),
        span_id: span_id(id),
        ref_type: SpanRefType::ChildOf as i32,
    });
    let refs = each(&s["refs"]).map(|r| SpanRef {
        trace_id: number(&r[1]).to_be_bytes().to_vec(),
        span_id: span_id(&r[2]),
        ref_type: i32::from(r[0] == "follows_from"),
    });
    let us = |v: &Value| v.as_i64().unwrap_or_default();
    let time = |us: i64| Timestamp {
        seconds: us.div_euclid(1_000_000),
        nanos: us.rem_euclid(1_000_000) as i32 * 1000,
    };
    let length = us(&s["duration"]);
    Span {
        trace_id: trace_id.clone(),
        span_id: span_id(&s["id"]),
        operation_name: text(&s["name"]),
        references: parent.into_iter().chain(refs).collect(),
        flags: s["flags"].as_u64().unwrap_or_default() as u32,
        start_time: Some(time(us(&s["start"]))),
        duration: Some(Duration { seconds: length / 1_000_000, nanos: (length % 1_000_000) as i32 * 1000 }),
        tags: proto_tags(&s["tags"]),
        logs: each(&s["logs"])
            .map(|l| Log { timestamp: Some(time(us(&l[0]))), fields: proto_tags(&l[1]) })
            .collect(),
        process: process(s),
        process_id: String::new(),
        warnings: each(&s["warnings"]).map(text).collect(),
    }
}

fn proto_tags(tags: &Value) -> Vec<KeyValue> {
    each(tags)
        .map(|t| {
            let (key, value) = (text(&t[0]), &t[2]);
            let mut tag = KeyValue { key, ..KeyValue::default() };
            match t[1].as_str() {
                Some("string") => tag.v_str = text(value),
                Some("bool") => (tag.v_type, tag.v_bool) = (ValueType::Bool as i32, value == true),
                Some("int64") => {
                    (tag.v_type, tag.v_int64) = (ValueType::Int64 as i32, value.as_i64().unwrap());
                }
                Some("float64") => {
                    (tag.v_type, tag.v_float64) = (ValueType::Float64 as i32, value.as_f64().unwrap());
                }
                Some("binary") => (tag.v_type, tag.v_binary) = (ValueType::Binary as i32, bytes(value)),
                _ => tag.v_type = t[1].as_i64().unwrap() as i32,
            }
            tag
        })
        .collect()
}

fn thrift(batch: &Value, protocol: Protocol) -> Vec<u8> {
    let mut w = Writer::new(protocol);
    // After the spans that need it, as the definition allows.
    w.structs(2, each(&batch["spans"]).count());
    each(&batch["spans"]).for_each(|s| thrift_span(&mut w, s));
    w.i64(3, 7);
    w.structure(1);
    w.binary(1, text(&batch["process"]["service"]).as_bytes());
    thrift_tags(&mut w, 2, &batch["process"]["tags"]);
    w.end();
    w.structure(4);
    (1..4).for_each(|id| w.i64(id, 0));
    w.end();
    w.end();
    w.bytes
}

fn thrift_span(w: &mut Writer, s: &Value) {
    w.begin();
    trace_id(w, 1, &s["trace"]);
    w.i64(3, number(&s["id"]) as i64);
    w.i64(4, number(&s["parent"]) as i64);
    w.binary(5, text(&s["name"]).as_bytes());
    w.structs(6, each(&s["refs"]).count());
    for r in each(&s["refs"]) {
        w.begin();
        w.i32(1, i32::from(r[0] == "follows_from"));
        trace_id(w, 2, &r[1]);
        w.i64(4, number(&r[2]) as i64);
        w.end();
    }
    w.i32(7, s["flags"].as_i64().unwrap_or_default() as i32);
    w.i64(8, s["start"].as_i64().unwrap_or_default());
    w.i64(9, s["duration"].as_i64().unwrap_or_default());
    thrift_tags(w, 10, &s["tags"]);
    w.structs(11, each(&s["logs"]).count());
    for l in each(&s["logs"]) {
        w.begin();
        w.i64(1, l[0].as_i64().unwrap());
        thrift_tags(w, 2, &l[1]);
        w.end();
    }
    w.end();
}

fn trace_id(w: &mut Writer, first: i16, digits: &Value) {
    let id = number(digits);
    w.i64(first, id as u64 as i64);
    w.i64(first + 1, (id >> 64) as i64);
}

fn thrift_tags(w: &mut Writer, id: i16, tags: &Value) {
    w.structs(id, each(tags).count());
    for t in each(tags) {
        w.begin();
        w.binary(1, text(&t[0]).as_bytes());
        let value = &t[2];
        match t[1].as_str() {
            Some("string") => {
                w.i32(2, 0);
                // A sender that has no text leaves the field out.
                if let Some(s) = value.as_str() {
                    w.binary(3, s.as_bytes());
                }
            }
            Some("bool") => {
                w.i32(2, 2);
                w.bool(5, value == true);
            }
            Some("int64") => {
                w.i32(2, 3);
                w.i64(6, value.as_i64().unwrap());
            }
            Some("float64") => {
                w.i32(2, 1);
                w.double(4, value.as_f64().unwrap());
            }
            Some("binary") => {
                w.i32(2, 4);
                w.binary(7, &bytes(value));
            }
            _ => w.i32(2, t[1].as_i64().unwrap() as i32),
        }
        w.end();
    }
}
