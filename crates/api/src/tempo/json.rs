//! Tempo's messages as JSON, as the protobuf library of Go writes them: camel case, 64-bit integers as text, bytes as
//! base64, enumerations by name, floats that are no numbers as text. Fields that a message has not are left out; lists
//! that clients look into are written even when they are empty.

use proto::{
    otlp::common::{AnyValue, KeyValue, any_value::Value},
    tempo as pb,
};

use crate::prom::json::Writer;

/// How deep attribute values are written; what nests deeper is written as nothing.
const MAX_DEPTH: usize = 64;

/// A message written as an object.
pub(super) trait Members {
    /// The members, without braces; at least one.
    fn write(&self, w: &mut Writer);
}

impl Members for pb::SearchResponse {
    fn write(&self, w: &mut Writer) {
        w.raw("\"traces\":").list(&self.traces, trace);
        search_metrics(w, self.metrics.as_ref());
    }
}

impl Members for pb::SearchTagsResponse {
    fn write(&self, w: &mut Writer) {
        w.raw("\"tagNames\":").strings(&self.tag_names);
        metadata_metrics(w, self.metrics.as_ref());
    }
}

impl Members for pb::SearchTagsV2Response {
    fn write(&self, w: &mut Writer) {
        w.raw("\"scopes\":").list(&self.scopes, |w, scope| {
            w.raw("{\"name\":").string(&scope.name).raw(",\"tags\":").strings(&scope.tags).raw("}");
        });
        metadata_metrics(w, self.metrics.as_ref());
    }
}

impl Members for pb::SearchTagValuesResponse {
    fn write(&self, w: &mut Writer) {
        w.raw("\"tagValues\":").strings(&self.tag_values);
        metadata_metrics(w, self.metrics.as_ref());
    }
}

impl Members for pb::SearchTagValuesV2Response {
    fn write(&self, w: &mut Writer) {
        w.raw("\"tagValues\":").list(&self.tag_values, |w, v| {
            w.raw("{\"type\":").string(&v.r#type).raw(",\"value\":").string(&v.value).raw("}");
        });
        metadata_metrics(w, self.metrics.as_ref());
    }
}

impl Members for pb::QueryRangeResponse {
    fn write(&self, w: &mut Writer) {
        w.raw("\"series\":").list(&self.series, |w, s| {
            w.raw("{\"labels\":").list(&s.labels, key_value);
            w.raw(",\"samples\":").list(&s.samples, |w, p| {
                w.raw("{\"timestampMs\":\"").raw(&p.timestamp_ms.to_string()).raw("\",\"value\":");
                double(w, p.value);
                w.raw("}");
            });
            if !s.exemplars.is_empty() {
                w.raw(",\"exemplars\":").list(&s.exemplars, exemplar);
            }
            w.raw("}");
        });
        search_metrics(w, self.metrics.as_ref());
        partial(w, self.status, &self.message);
    }
}

impl Members for pb::QueryInstantResponse {
    fn write(&self, w: &mut Writer) {
        w.raw("\"series\":").list(&self.series, |w, s| {
            w.raw("{\"labels\":").list(&s.labels, key_value).raw(",\"value\":");
            double(w, s.value);
            w.raw("}");
        });
        search_metrics(w, self.metrics.as_ref());
        partial(w, self.status, &self.message);
    }
}

/// `status` and `message` of an answer that is not whole.
pub(super) fn partial(w: &mut Writer, status: i32, message: &str) {
    if status == pb::PartialStatus::Partial as i32 {
        w.raw(",\"status\":\"PARTIAL\",\"message\":").string(message);
    }
}

fn exemplar(w: &mut Writer, e: &pb::Exemplar) {
    w.raw("{\"labels\":").list(&e.labels, key_value).raw(",\"value\":");
    double(w, e.value);
    w.raw(",\"timestampMs\":\"").raw(&e.timestamp_ms.to_string()).raw("\"}");
}

fn trace(w: &mut Writer, t: &pb::TraceSearchMetadata) {
    w.raw("{\"traceID\":").string(&t.trace_id);
    w.raw(",\"rootServiceName\":").string(&t.root_service_name);
    text(w, "rootTraceName", &t.root_trace_name);
    w.raw(",\"startTimeUnixNano\":\"").raw(&t.start_time_unix_nano.to_string()).raw("\"");
    number(w, "durationMs", t.duration_ms.into());
    if let Some(set) = &t.span_set {
        w.raw(",\"spanSet\":");
        span_set(w, set);
    }
    if !t.span_sets.is_empty() {
        w.raw(",\"spanSets\":").list(&t.span_sets, span_set);
    }
    if !t.service_stats.is_empty() {
        let mut sorted: Vec<_> = t.service_stats.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        w.raw(",\"serviceStats\":{");
        for (i, (name, stats)) in sorted.into_iter().enumerate() {
            w.raw(if i > 0 { "," } else { "" }).string(name);
            w.raw(":{\"spanCount\":").raw(&stats.span_count.to_string());
            number(w, "errorCount", stats.error_count.into());
            w.raw("}");
        }
        w.raw("}");
    }
    w.raw("}");
}

fn span_set(w: &mut Writer, set: &pb::SpanSet) {
    w.raw("{\"spans\":").list(&set.spans, |w, s| {
        w.raw("{\"spanID\":").string(&s.span_id);
        text(w, "name", &s.name);
        w.raw(",\"startTimeUnixNano\":\"").raw(&s.start_time_unix_nano.to_string());
        w.raw("\",\"durationNanos\":\"").raw(&s.duration_nanos.to_string()).raw("\"");
        if !s.attributes.is_empty() {
            w.raw(",\"attributes\":").list(&s.attributes, key_value);
        }
        w.raw("}");
    });
    number(w, "matched", set.matched.into());
    if !set.attributes.is_empty() {
        w.raw(",\"attributes\":").list(&set.attributes, key_value);
    }
    w.raw("}");
}

fn search_metrics(w: &mut Writer, metrics: Option<&pb::SearchMetrics>) {
    let Some(m) = metrics else { return };
    w.raw(",\"metrics\":{\"inspectedTraces\":").raw(&m.inspected_traces.to_string());
    jobs(w, m.inspected_bytes, m.completed_jobs, m.total_jobs);
}

fn metadata_metrics(w: &mut Writer, metrics: Option<&pb::MetadataMetrics>) {
    let Some(m) = metrics else { return };
    w.raw(",\"metrics\":{\"totalBlocks\":").raw(&m.total_blocks.to_string());
    jobs(w, m.inspected_bytes, m.completed_jobs, m.total_jobs);
}

fn jobs(w: &mut Writer, bytes: u64, completed: u32, total: u32) {
    w.raw(",\"inspectedBytes\":\"").raw(&bytes.to_string()).raw("\"");
    number(w, "completedJobs", completed.into());
    number(w, "totalJobs", total.into());
    w.raw("}");
}

/// A member behind others, where it says something.
pub(super) fn text(w: &mut Writer, name: &str, value: &str) {
    if !value.is_empty() {
        w.raw(",\"").raw(name).raw("\":").string(value);
    }
}

/// The same of a number of at most 32 bits.
pub(super) fn number(w: &mut Writer, name: &str, value: u64) {
    if value != 0 {
        w.raw(",\"").raw(name).raw("\":").raw(&value.to_string());
    }
}

pub(super) fn key_value(w: &mut Writer, kv: &KeyValue) {
    pair(w, kv, 0);
}

fn pair(w: &mut Writer, kv: &KeyValue, depth: usize) {
    w.raw("{\"key\":").string(&kv.key);
    if let Some(value) = &kv.value {
        w.raw(",\"value\":");
        any(w, value, depth);
    }
    w.raw("}");
}

fn any(w: &mut Writer, value: &AnyValue, depth: usize) {
    w.raw("{");
    match &value.value {
        None => {}
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) if depth >= MAX_DEPTH => {}
        Some(Value::StringValue(s)) => {
            w.raw("\"stringValue\":").string(s);
        }
        Some(Value::BoolValue(b)) => {
            w.raw("\"boolValue\":").raw(if *b { "true" } else { "false" });
        }
        Some(Value::IntValue(i)) => {
            w.raw("\"intValue\":\"").raw(&i.to_string()).raw("\"");
        }
        Some(Value::DoubleValue(d)) => {
            w.raw("\"doubleValue\":");
            double(w, *d);
        }
        Some(Value::BytesValue(b)) => {
            w.raw("\"bytesValue\":");
            bytes(w, b);
        }
        Some(Value::ArrayValue(a)) => {
            w.raw("\"arrayValue\":{\"values\":").list(&a.values, |w, v| any(w, v, depth + 1)).raw("}");
        }
        Some(Value::KvlistValue(m)) => {
            w.raw("\"kvlistValue\":{\"values\":").list(&m.values, |w, kv| pair(w, kv, depth + 1)).raw("}");
        }
    }
    w.raw("}");
}

/// A number, or the text that stands for what is none.
pub(super) fn double(w: &mut Writer, value: f64) {
    match value {
        v if v.is_nan() => w.raw("\"NaN\""),
        f64::INFINITY => w.raw("\"Infinity\""),
        f64::NEG_INFINITY => w.raw("\"-Infinity\""),
        v => {
            // Writing to a Vec cannot fail, and every finite number has a JSON form.
            let _ = serde_json::to_writer(&mut w.0, &v);
            w
        }
    };
}

/// Base64 with padding, as a string.
pub(super) fn bytes(w: &mut Writer, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    w.raw("\"");
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * i)) as usize & 63).copied().unwrap_or(b'=');
            w.0.push(if i <= group.len() { digit } else { b'=' });
        }
    }
    w.raw("\"");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn written(f: impl FnOnce(&mut Writer)) -> Json {
        let mut w = Writer::default();
        f(&mut w);
        serde_json::from_slice(&w.0).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&w.0)))
    }

    #[test]
    fn bytes_are_base64_with_padding() {
        for (from, to) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(written(|w| bytes(w, from.as_bytes())), json!(to), "{from}");
        }
    }

    #[test]
    fn values_have_the_members_of_their_type() {
        let kv = |key: &str, value: Option<Value>| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value }),
        };
        let list = proto::otlp::common::ArrayValue { values: vec![AnyValue { value: None }] };
        let map = proto::otlp::common::KeyValueList { values: vec![kv("x", Some(Value::BoolValue(false)))] };
        for (value, want) in [
            (None, json!({})),
            (Some(Value::IntValue(-5)), json!({"intValue": "-5"})),
            (Some(Value::DoubleValue(0.5)), json!({"doubleValue": 0.5})),
            (Some(Value::DoubleValue(f64::NAN)), json!({"doubleValue": "NaN"})),
            (Some(Value::DoubleValue(f64::NEG_INFINITY)), json!({"doubleValue": "-Infinity"})),
            (Some(Value::StringValue("a\"".into())), json!({"stringValue": "a\""})),
            (Some(Value::BytesValue(vec![255])), json!({"bytesValue": "/w=="})),
            (Some(Value::ArrayValue(list)), json!({"arrayValue": {"values": [{}]}})),
            (
                Some(Value::KvlistValue(map)),
                json!({"kvlistValue": {"values": [{"key": "x", "value": {"boolValue": false}}]}}),
            ),
        ] {
            let got = written(|w| key_value(w, &kv("k", value)));
            assert_eq!(got, json!({"key": "k", "value": want}));
        }
    }

    #[test]
    fn what_nests_too_deep_is_written_as_nothing() {
        let mut value = AnyValue { value: Some(Value::IntValue(1)) };
        for _ in 0..10_000 {
            let inner = proto::otlp::common::ArrayValue { values: vec![value] };
            value = AnyValue { value: Some(Value::ArrayValue(inner)) };
        }
        let mut w = Writer::default();
        any(&mut w, &value, 0);
        let text = String::from_utf8(w.0).unwrap();
        assert!(text.matches("arrayValue").count() == MAX_DEPTH && text.contains("[{}]"), "{text}");
        // A drop of such a value would recurse as deep.
        std::mem::forget(value);
    }

    #[test]
    fn an_empty_search_still_has_its_list() {
        let empty = pb::SearchResponse { traces: Vec::new(), metrics: Some(pb::SearchMetrics::default()) };
        let got = written(|w| {
            w.raw("{");
            empty.write(w);
            w.raw("}");
        });
        assert_eq!(got, json!({"traces": [], "metrics": {"inspectedTraces": 0, "inspectedBytes": "0"}}));
    }
}
