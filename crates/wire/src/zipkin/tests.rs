use std::path::Path;

use model::{Batch, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::{
    Limits,
    spans::tests::{RECEIVED_NS, outcome},
};

fn json(text: &str) -> Decoded {
    decode_json(text.as_bytes(), RECEIVED_NS, &Limits::default()).unwrap()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

#[test]
fn what_the_opentelemetry_exporter_sends_is_read_in_both_encodings_alike() {
    let by_json = json(include_str!("../../tests/fixtures/zipkin-otel.json"));
    let bytes = from_hex(include_str!("../../tests/fixtures/zipkin-otel-protobuf.hex"));
    let by_protobuf = decode_protobuf(&bytes, RECEIVED_NS, &Limits::default()).unwrap();
    for d in [by_json, by_protobuf] {
        assert!(d.refused.is_empty() && d.all_timed);
        let o = &d.batch.origins[0];
        assert_eq!((d.batch.origins.len(), o.service_name()), (1, "orders"));
        assert_eq!(o.resource.attributes.get_str("host.name"), Some("h1"));
        assert_eq!((o.scope.name.as_str(), o.scope.version.as_str()), ("shop.orders", "1.2.3"));
        let [charge, report, order] = d.batch.spans.as_slice() else { panic!("{:?}", d.batch.spans) };
        assert_eq!(
            (charge.kind, report.kind, order.kind),
            (SpanKind::Client, SpanKind::Unspecified, SpanKind::Server)
        );
        assert_eq!(
            (charge.parent_span_id, report.parent_span_id, order.parent_span_id),
            (order.span_id, order.span_id, [0; 8])
        );
        assert_eq!((charge.status.code, charge.status.message.as_str()), (StatusCode::Error, "card refused"));
        assert_eq!(order.attributes.get_str("order.price"), Some("0.0"));
        assert_eq!((order.flags, charge.attributes.len()), (1, 0));
        assert_eq!(order.events[0].name, "checked");
        assert_eq!(order.events[0].attributes.get("stock"), Some(&model::AnyValue::Int(0)));
    }
}

#[test]
fn what_py_zipkin_sends_is_read() {
    let d = json(include_str!("../../tests/fixtures/zipkin-py.json"));
    let [charge, order] = d.batch.spans.as_slice() else { panic!("{:?}", d.batch.spans) };
    assert_eq!((charge.trace_id[..8].iter().max(), charge.trace_id == order.trace_id), (Some(&0), true));
    assert_eq!(charge.status.message, "card refused");
    assert_eq!(charge.attributes.get_str("peer.service"), Some("bank"));
    assert_eq!(charge.attributes.get("net.peer.port"), Some(&model::AnyValue::Int(9000)));
    assert_eq!((order.events[0].name.as_str(), order.kind), ("checked", SpanKind::Server));
}

#[test]
fn the_spans_of_zipkins_own_benchmarks_are_read_whole() {
    let dir = Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data/zipkin");
    if !dir.is_dir() {
        println!("skipped: zipkin is not beside the repository");
        return;
    }
    let read = |name: &str| json(&format!("[{}]", std::fs::read_to_string(dir.join(name)).unwrap()));
    let client = read("zipkin2-client.json");
    let s = &client.batch.spans[0];
    assert_eq!(s.attributes.get_str("net.host.ip"), Some("2001:db8::c001"));
    assert_eq!(s.attributes.get_str("clnt/finagle.version"), Some("6.45.0"));
    assert_eq!((s.start_ns, s.duration_ns()), (1_472_470_996_199_000_000, 207_000_000));
    assert_eq!(s.events.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["foo", "bar"]);
    let chinese = read("zipkin2-chinese.json");
    assert_eq!(chinese.batch.origins[0].service_name(), "订单维护服务");
    assert_eq!(chinese.batch.spans[0].status.message, "此用户没有操作权限");
}

#[test]
fn protobuf_names_the_field_of_a_bad_span_and_keeps_the_others() {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat();
    let span = |trace: &[u8]| field(1, &[field(1, trace), field(3, &[7; 8]), field(5, b"n")].concat());
    let body = [span(&[1; 8]), span(&[1; 5]), span(&[1; 16])].concat();
    let shown = outcome(decode_protobuf(&body, RECEIVED_NS, &Limits::default()));
    assert!(shown.contains("refused 1 InvalidItem at 1: span \"n\" has a trace id of 5 bytes"), "{shown}");
    assert!(shown.contains("  00000000000000000101010101010101/0707070707070707 \"n\""), "{shown}");
    assert!(shown.contains("  01010101010101010101010101010101/0707070707070707 \"n\""), "{shown}");
    assert!(decode_protobuf(&body[..body.len() - 1], RECEIVED_NS, &Limits::default()).is_err());
}

#[test]
fn a_stack_trace_stays_a_tag_of_a_span_that_failed() {
    let trace = "at a.b(C.java:1)\n".repeat(2000);
    let sent = serde_json::json!([{"traceId": "1", "id": "1", "timestamp": 1, "tags": {"error": trace}}]);
    let d = json(&sent.to_string());
    let s = &d.batch.spans[0];
    assert_eq!((s.status.code, s.status.message.as_str()), (StatusCode::Error, ""));
    assert_eq!(s.attributes.get_str("error"), Some(trace.as_str()));
}

#[test]
fn of_a_span_that_is_refused_the_field_is_named() {
    for (sent, why) in [
        (r#""traceId":"xyz""#, "traceId \"xyz\" is not up to 32 hexadecimal digits"),
        (r#""traceId":"+1""#, "traceId \"+1\" is not up to 32"),
        (r#""traceId":"463ac35c9f6413ad48485a3953bb61240""#, "is not up to 32 hexadecimal digits"),
        (r#""id":7"#, "id 7 is not up to 16 hexadecimal digits"),
        (r#""parentId":"11112222333344445""#, "parentId "),
        (r#""kind":"CALLER""#, "kind \"CALLER\" is not known"),
        (r#""name":{}"#, "name {} is not a text"),
        (r#""timestamp":"soon""#, "timestamp \"soon\" is not a number of microseconds"),
        (r#""duration":-1"#, "duration -1 is not a number"),
        (r#""localEndpoint":"a""#, "localEndpoint is not an object"),
        (r#""remoteEndpoint":{"port":70000}"#, "remoteEndpoint port 70000 is not a port"),
        (r#""annotations":[{"value":"a"}]"#, "annotations timestamp null is not a number"),
        (r#""tags":{"a":[1]}"#, "tags \"a\" has a value that is not a text"),
        (r#""shared":1"#, "shared 1 is neither true nor false"),
        (r#""id":"0""#, "has a span id that is all zero"),
    ] {
        // What comes later wins.
        let d = json(&format!(
            r#"[{{"traceId":"1","id":"1","timestamp":1,{sent}}},{{"traceId":"1","id":"2","timestamp":1}}]"#
        ));
        assert_eq!((d.batch.spans.len(), d.refused.total()), (1, 1), "{sent}");
        let r = d.refused.iter().next().unwrap();
        assert!(r.detail.contains(why) && r.first == 0, "{sent}: {}", r.detail);
    }
    let d = json(r#"[7, {"traceId":"1","id":"0"}]"#);
    assert!(d.all_timed, "what is refused needs no time");
    assert_eq!(d.refused.iter().next().unwrap().detail, "a span is not an object");
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let brackets = format!("[{}", "[".repeat(1_000_000));
    assert!(decode_json(brackets.as_bytes(), RECEIVED_NS, &Limits::default()).is_err());
    let packed = format!("{{\"a\": {{\"b\": {}1{}}}}}", "[".repeat(40), "]".repeat(40));
    let text = serde_json::json!([{"traceId": "1", "id": "1", "timestamp": 1, "annotations": [{"timestamp": 1, "value": packed}]}]);
    assert_eq!(json(&text.to_string()).batch.spans[0].events[0].name, packed, "left as it is");
}

proptest! {
    #[test]
    fn any_bytes_end_in_spans_or_an_error_and_take_memory_in_proportion(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        json in "\\[(\\{(\"(traceId|id|tags|annotations|timestamp|value|kind)\": ?(\"[a-f0-9|{}:]{0,9}\"|1|\\{\\}|\\[\\]|null),?){0,6}\\},?){0,4}\\]?",
    ) {
        for body in [bytes.as_slice(), json.as_bytes()] {
            let limits = Limits::default();
            for d in [decode_json(body, RECEIVED_NS, &limits), decode_protobuf(body, RECEIVED_NS, &limits)].into_iter().flatten() {
                prop_assert!(d.batch.origins.len() <= d.batch.spans.len());
                let bytes = Batch::Spans(d.batch).heap_bytes();
                prop_assert!(bytes <= 1024 + 256 * body.len(), "{} of {}", bytes, body.len());
            }
        }
    }
}
