//! OTLP/JSON. Fields that are what they are when left out are left out, as protobuf's JSON has it; numbers of
//! 64 bits are strings, ids hexadecimal, enums numbers.

mod logs;
mod metrics;

use std::io::Write as _;

use proto::otlp::{
    collector::trace::ExportTraceServiceRequest,
    common::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::Resource,
    trace::{
        ResourceSpans, ScopeSpans, Span, Status,
        span::{Event, Link},
    },
};

pub(in crate::otlp) use self::{logs::request as logs, metrics::request as metrics};

/// The whole request of spans.
pub(in crate::otlp) fn request(request: &ExportTraceServiceRequest) -> Vec<u8> {
    let mut w = Writer::default();
    w.object(|o| o.list("resourceSpans", &request.resource_spans, resource_spans));
    w.0
}

fn resource_spans(o: &mut Object<'_>, r: &ResourceSpans) {
    o.message("resource", r.resource.as_ref(), resource);
    o.list("scopeSpans", &r.scope_spans, scope_spans);
    o.text("schemaUrl", &r.schema_url);
}

fn resource(o: &mut Object<'_>, r: &Resource) {
    o.list("attributes", &r.attributes, key_value);
    o.count("droppedAttributesCount", r.dropped_attributes_count);
}

fn scope_spans(o: &mut Object<'_>, s: &ScopeSpans) {
    o.message("scope", s.scope.as_ref(), scope);
    o.list("spans", &s.spans, span);
    o.text("schemaUrl", &s.schema_url);
}

fn scope(o: &mut Object<'_>, s: &InstrumentationScope) {
    o.text("name", &s.name);
    o.text("version", &s.version);
    o.list("attributes", &s.attributes, key_value);
    o.count("droppedAttributesCount", s.dropped_attributes_count);
}

fn span(o: &mut Object<'_>, s: &Span) {
    o.hex("traceId", &s.trace_id);
    o.hex("spanId", &s.span_id);
    o.text("traceState", &s.trace_state);
    o.hex("parentSpanId", &s.parent_span_id);
    o.count("flags", s.flags);
    o.text("name", &s.name);
    o.count("kind", s.kind.unsigned_abs());
    o.long("startTimeUnixNano", s.start_time_unix_nano);
    o.long("endTimeUnixNano", s.end_time_unix_nano);
    o.list("attributes", &s.attributes, key_value);
    o.count("droppedAttributesCount", s.dropped_attributes_count);
    o.list("events", &s.events, event);
    o.count("droppedEventsCount", s.dropped_events_count);
    o.list("links", &s.links, link);
    o.count("droppedLinksCount", s.dropped_links_count);
    o.message("status", s.status.as_ref(), status);
}

fn event(o: &mut Object<'_>, e: &Event) {
    o.long("timeUnixNano", e.time_unix_nano);
    o.text("name", &e.name);
    o.list("attributes", &e.attributes, key_value);
    o.count("droppedAttributesCount", e.dropped_attributes_count);
}

fn link(o: &mut Object<'_>, l: &Link) {
    o.hex("traceId", &l.trace_id);
    o.hex("spanId", &l.span_id);
    o.text("traceState", &l.trace_state);
    o.list("attributes", &l.attributes, key_value);
    o.count("droppedAttributesCount", l.dropped_attributes_count);
    o.count("flags", l.flags);
}

fn status(o: &mut Object<'_>, s: &Status) {
    o.text("message", &s.message);
    o.count("code", s.code.unsigned_abs());
}

fn key_value(o: &mut Object<'_>, kv: &KeyValue) {
    o.key("key").string(&kv.key);
    o.message("value", kv.value.as_ref(), any_value);
}

/// Of a `oneof` the member is there even where it is its type's zero.
fn any_value(o: &mut Object<'_>, v: &AnyValue) {
    match &v.value {
        None => {}
        Some(Value::StringValue(s)) => o.key("stringValue").string(s),
        Some(Value::BoolValue(b)) => o.key("boolValue").raw(if *b { "true" } else { "false" }),
        Some(Value::IntValue(i)) => o.key("intValue").display(format_args!("\"{i}\"")),
        Some(Value::DoubleValue(d)) => o.key("doubleValue").double(*d),
        Some(Value::BytesValue(b)) => o.key("bytesValue").base64(b),
        Some(Value::ArrayValue(a)) => {
            o.key("arrayValue").object(|o| o.list("values", &a.values, any_value));
        }
        Some(Value::KvlistValue(m)) => {
            o.key("kvlistValue").object(|o| o.list("values", &m.values, key_value));
        }
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

/// An object that is being written.
struct Object<'a> {
    to: &'a mut Writer,
    is_empty: bool,
}

// Writing to a Vec cannot fail.
impl Writer {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn display(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(what);
    }

    fn string(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    fn double(&mut self, d: f64) {
        match d {
            d if d.is_finite() => drop(serde_json::to_writer(&mut self.0, &d)),
            d if d.is_nan() => self.raw("\"NaN\""),
            d if d > 0.0 => self.raw("\"Infinity\""),
            _ => self.raw("\"-Infinity\""),
        }
    }

    /// RFC 4648 with padding.
    fn base64(&mut self, bytes: &[u8]) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        self.raw("\"");
        for chunk in bytes.chunks(3) {
            let n = chunk.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
            let digit = |i: usize| ALPHABET.get((n >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            self.0.extend((0..4).map(|i| if i <= chunk.len() { digit(i) } else { b'=' }));
        }
        self.raw("\"");
    }

    fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        self.raw("{");
        fill(&mut Object { to: self, is_empty: true });
        self.raw("}");
    }
}

impl Object<'_> {
    fn key(&mut self, key: &'static str) -> &mut Writer {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.to.raw(",");
        }
        self.to.display(format_args!("\"{key}\":"));
        self.to
    }

    fn text(&mut self, key: &'static str, text: &str) {
        if !text.is_empty() {
            self.key(key).string(text);
        }
    }

    fn flag(&mut self, key: &'static str, is_set: bool) {
        if is_set {
            self.key(key).raw("true");
        }
    }

    /// Zero is left out but for that below zero, which JSON can tell.
    fn double(&mut self, key: &'static str, d: f64) {
        if d.to_bits() != 0 {
            self.key(key).double(d);
        }
    }

    /// Written where it is there, zero or not.
    fn optional_double(&mut self, key: &'static str, d: Option<f64>) {
        if let Some(d) = d {
            self.key(key).double(d);
        }
    }

    fn signed(&mut self, key: &'static str, n: i32) {
        if n != 0 {
            self.key(key).display(format_args!("{n}"));
        }
    }

    fn longs(&mut self, key: &'static str, all: &[u64]) {
        self.values(key, all, |w, n| w.display(format_args!("\"{n}\"")));
    }

    fn doubles(&mut self, key: &'static str, all: &[f64]) {
        self.values(key, all, |w, d| w.double(*d));
    }

    fn values<V>(&mut self, key: &'static str, all: &[V], write: fn(&mut Writer, &V)) {
        if all.is_empty() {
            return;
        }
        let to = self.key(key);
        for (i, v) in all.iter().enumerate() {
            to.raw(if i == 0 { "[" } else { "," });
            write(to, v);
        }
        to.raw("]");
    }

    fn count(&mut self, key: &'static str, n: u32) {
        if n != 0 {
            self.key(key).display(format_args!("{n}"));
        }
    }

    fn long(&mut self, key: &'static str, n: u64) {
        if n != 0 {
            self.key(key).display(format_args!("\"{n}\""));
        }
    }

    fn hex(&mut self, key: &'static str, id: &[u8]) {
        if id.is_empty() {
            return;
        }
        let to = self.key(key);
        to.raw("\"");
        id.iter().for_each(|b| to.display(format_args!("{b:02x}")));
        to.raw("\"");
    }

    fn message<M>(&mut self, key: &'static str, m: Option<&M>, write: fn(&mut Object<'_>, &M)) {
        if let Some(m) = m {
            self.key(key).object(|o| write(o, m));
        }
    }

    fn list<M>(&mut self, key: &'static str, all: &[M], write: fn(&mut Object<'_>, &M)) {
        if all.is_empty() {
            return;
        }
        let to = self.key(key);
        for (i, m) in all.iter().enumerate() {
            to.raw(if i == 0 { "[" } else { "," });
            to.object(|o| write(o, m));
        }
        to.raw("]");
    }
}

#[cfg(test)]
mod tests {
    use model::{AnyValue, Attributes, Span, SpanBatch, SpanEvent, SpanKind, SpanLink};
    use proptest::prelude::*;

    use crate::otlp::{Options, traces};

    fn value() -> impl Strategy<Value = AnyValue> {
        let leaf = prop_oneof![
            any::<String>().prop_map(AnyValue::String),
            any::<bool>().prop_map(AnyValue::Bool),
            any::<i64>().prop_map(AnyValue::Int),
            // Of longer numbers the reader may take the one beside.
            any::<i32>().prop_map(|n| AnyValue::Double(f64::from(n) / 8.0)),
            Just(AnyValue::Double(f64::INFINITY)),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(AnyValue::Bytes),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(AnyValue::Array),
                proptest::collection::vec((".{0,4}", inner), 0..4)
                    .prop_map(|all| AnyValue::Map(Attributes(all))),
            ]
        })
    }

    fn attributes() -> impl Strategy<Value = Attributes> {
        proptest::collection::vec(("[a-z.\"é]{1,8}", value()), 0..4).prop_map(Attributes)
    }

    prop_compose! {
        fn span()(
            ids in (1u128.., 1u64.., any::<u64>()),
            name in ".{0,12}",
            kind in 0..6,
            (start, end) in (0i64.., 0i64..),
            attributes in attributes(),
            of_event in attributes(),
            of_link in attributes(),
            counts in any::<(u32, u32, u32, u32)>(),
        ) -> Span {
            Span {
                trace_id: ids.0.to_be_bytes(),
                span_id: ids.1.to_be_bytes(),
                parent_span_id: ids.2.to_be_bytes(),
                name: name.clone(),
                kind: SpanKind::from_number(kind),
                start_ns: start,
                end_ns: end,
                attributes,
                flags: counts.0,
                dropped_attributes: counts.1,
                dropped_events: counts.2,
                dropped_links: counts.3,
                events: vec![SpanEvent { timestamp_ns: start, name, attributes: of_event, dropped_attributes: 1 }],
                links: vec![SpanLink { trace_id: ids.0.to_be_bytes(), span_id: ids.1.to_be_bytes(), attributes: of_link, ..SpanLink::default() }],
                ..Span::default()
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(spans in proptest::collection::vec(span(), 1..4)) {
            let batch = SpanBatch { origins: vec![Default::default()], spans };
            let json = traces::encode_json(&batch);
            let back = traces::decode_json(&json, &Options::default()).unwrap();
            prop_assert_eq!(back.refused.total(), 0);
            prop_assert_eq!(back.batch, batch);
        }
    }

    #[test]
    fn what_is_left_at_its_default_is_left_out() {
        let span = Span { trace_id: [1; 16], span_id: [2; 8], name: "a\"b".to_owned(), ..Span::default() };
        let batch = SpanBatch { origins: vec![Default::default()], spans: vec![span] };
        assert_eq!(
            String::from_utf8(traces::encode_json(&batch)).unwrap(),
            r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"traceId":"01010101010101010101010101010101","spanId":"0202020202020202","name":"a\"b","status":{}}]}]}]}"#
        );
    }
}
