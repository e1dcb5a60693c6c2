use model::{Batch, Span, SpanKind, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::{
    Limits,
    thrift::{Protocol, tests::writer::Writer},
};

const BOTH: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

/// What an OpenTelemetry SDK of 2023 sent by its exporters for Jaeger.
fn sent() -> [Decoded; 3] {
    let limits = Limits::default();
    let binary = from_hex(include_str!("../../tests/fixtures/jaeger-otel-thrift.hex"));
    let compact = from_hex(include_str!("../../tests/fixtures/jaeger-otel-compact.hex"));
    let protobuf = from_hex(include_str!("../../tests/fixtures/jaeger-otel-protobuf.hex"));
    [
        decode_thrift(&binary, Protocol::Binary, &limits).unwrap(),
        decode_thrift(&compact, Protocol::Compact, &limits).unwrap(),
        decode_protobuf(&protobuf, &limits).unwrap(),
    ]
}

#[test]
fn what_opentelemetrys_exporters_send_is_read() {
    for d in sent() {
        assert!(d.refused.is_empty() && d.all_timed);
        let o = &d.batch.origins[0];
        assert_eq!((d.batch.origins.len(), o.service_name()), (1, "orders"));
        assert_eq!((o.scope.name.as_str(), o.scope.version.as_str()), ("shop.orders", "1.2.3"));
        let [charge, report, order] = d.batch.spans.as_slice() else { panic!("{:?}", d.batch.spans) };
        assert_eq!(
            (charge.kind, report.kind, order.kind),
            (SpanKind::Client, SpanKind::Internal, SpanKind::Server)
        );
        let parents = |s: &Span| s.parent_span_id;
        assert_eq!([charge, report, order].map(parents), [order.span_id, order.span_id, [0; 8]]);
        assert_eq!((charge.status.code, charge.status.message.as_str()), (StatusCode::Error, "card refused"));
        assert_eq!(order.attributes.get("order.number"), Some(&model::AnyValue::Int(0)));
        assert_eq!(order.attributes.get("order.express"), Some(&model::AnyValue::Bool(true)));
        assert_eq!(order.attributes.get("order.price"), Some(&model::AnyValue::Double(0.0)));
        assert_eq!(order.events[0].attributes.get("stock"), Some(&model::AnyValue::Int(0)));
        let [link] = report.links.as_slice() else { panic!("{:?}", report.links) };
        assert_eq!((link.trace_id, link.span_id), (order.trace_id, order.span_id));
        assert_eq!(link.attributes.get_str("opentracing.ref_type"), Some("follows_from"));
        assert_eq!(order.flags, 1);
    }
    let [binary, compact, _] = sent();
    assert_eq!(binary, compact);
}

/// A batch with a process, and what `span` writes of its one span.
fn batch(protocol: Protocol, span: impl Fn(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new(protocol);
    w.structure(1);
    w.binary(1, b"a");
    w.end();
    w.structs(2, 1);
    w.begin();
    span(&mut w);
    w.end();
    w.end();
    w.bytes
}

fn whole_span(w: &mut Writer) {
    w.i64(1, 1);
    w.i64(3, 2);
    w.binary(5, b"n\xff");
    w.i64(8, 5);
    w.i64(9, 6);
}

#[test]
fn what_a_batch_lacks_is_named() {
    for protocol in BOTH {
        let decode = |body: &[u8]| decode_thrift(body, protocol, &Limits::default());
        let err = decode(&batch(protocol, |w| w.i64(3, 2))).unwrap_err().to_string();
        assert!(
            err.starts_with("Jaeger batch is not valid Thrift: Span.traceIdLow is missing before byte"),
            "{err}"
        );
        let err = decode(&[0]).unwrap_err().to_string();
        assert!(err.contains("Batch.process is missing"), "{err}");
        let whole = batch(protocol, whole_span);
        let err = decode(&[&whole[..], &whole].concat()).unwrap_err().to_string();
        assert!(err.contains("more bytes follow"), "{err}");
        assert!(decode(&whole[..whole.len() - 1]).is_err());
        // The other protocol's bytes are no batch of this one.
        let other = if protocol == Protocol::Binary { Protocol::Compact } else { Protocol::Binary };
        assert!(decode(&batch(other, whole_span)).is_err());
    }
}

#[test]
fn a_text_that_is_no_utf_8_costs_its_own_letters_only_and_unknown_fields_are_skipped() {
    for protocol in BOTH {
        let body = batch(protocol, |w| {
            whole_span(w);
            w.structure(30);
            w.bool(1, true);
            w.structs(2, 1);
            w.begin();
            w.double(3, 1.0);
            w.end();
            w.end();
        });
        let d = decode_thrift(&body, protocol, &Limits::default()).unwrap();
        assert_eq!((d.batch.spans[0].name.as_str(), d.batch.spans[0].end_ns), ("n\u{fffd}", 11_000));
    }
}

#[test]
fn what_breaks_a_limit_is_refused_with_its_name() {
    let limits = Limits { max_span_children: 2, max_label_value_bytes: 8, ..Limits::default() };
    for protocol in BOTH {
        let refused = |body: &[u8]| {
            let d = decode_thrift(body, protocol, &limits).unwrap();
            assert!(d.batch.spans.is_empty() && d.batch.origins.is_empty());
            d.refused.iter().next().unwrap().detail.clone()
        };
        let many = batch(protocol, |w| {
            whole_span(w);
            w.structs(11, 3);
            for _ in 0..3 {
                w.begin();
                w.i64(1, 1);
                w.end();
            }
        });
        assert!(refused(&many).contains("3 events and links"));
        let long = batch(protocol, |w| {
            whole_span(w);
            w.binary(5, b"a name of many letters");
        });
        assert!(refused(&long).contains("ingest.max_label_value is 8"));
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_spans_or_an_error_and_take_memory_in_proportion(
        bytes in proptest::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), b in any::<u8>(),
    ) {
        for (i, protocol) in BOTH.into_iter().enumerate() {
            // Nonsense, and a real batch with one byte changed or its end cut off.
            let fixtures = [include_str!("../../tests/fixtures/jaeger-otel-thrift.hex"), include_str!("../../tests/fixtures/jaeger-otel-compact.hex")];
            let mut real = from_hex(fixtures[i]);
            let at = at.index(real.len());
            let cut = real[..at].to_vec();
            real[at] = b;
            let limits = Limits::default();
            prop_assert!(decode_thrift(&cut, protocol, &limits).is_err());
            for body in [&bytes, &real] {
                for d in [decode_thrift(body, protocol, &limits), decode_protobuf(body, &limits)].into_iter().flatten() {
                    let bytes = Batch::Spans(d.batch).heap_bytes();
                    prop_assert!(bytes <= 1024 + 256 * body.len(), "{} of {}", bytes, body.len());
                }
            }
        }
    }
}
