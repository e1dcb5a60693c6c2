use model::{Attributes, SpanEvent, SpanKind, SpanLink, span::SpanOrigin};
use proptest::prelude::*;

use super::*;
use crate::jaeger::tags::warnings;

const MS: i64 = 1_000_000;

fn span(id: u8, parent: u8, origin: u32, start_ms: i64, end_ms: i64) -> Span {
    let at = |n: u8| [0, 0, 0, 0, 0, 0, 0, n];
    Span {
        trace_id: [1; 16],
        span_id: at(id),
        parent_span_id: at(parent),
        origin,
        start_ns: start_ms * MS,
        end_ns: end_ms * MS,
        ..Span::default()
    }
}

fn host(name: &str) -> SpanOrigin {
    let mut origin = SpanOrigin::default();
    origin.resource.attributes = Attributes::from_iter([("host.name", name)]);
    origin
}

fn adjusted(spans: Vec<Span>) -> Vec<Span> {
    let mut batch = SpanBatch { origins: vec![host("a"), host("b")], spans };
    adjust(&mut batch);
    batch.spans
}

#[test]
fn a_span_that_begins_before_its_parent_of_another_machine_is_moved_with_what_it_called() {
    let mut early = span(2, 1, 1, 90, 130);
    early.events.push(SpanEvent { timestamp_ns: 100 * MS, ..SpanEvent::default() });
    let out = adjusted(vec![span(1, 0, 0, 100, 200), early, span(3, 2, 1, 95, 96), span(4, 1, 0, 50, 60)]);
    // Of 60 ms that are not the child's, half are the way there.
    assert_eq!(
        (out[1].start_ns, out[1].end_ns, out[1].events[0].timestamp_ns),
        (130 * MS, 170 * MS, 140 * MS)
    );
    assert_eq!(out[2].start_ns, 135 * MS);
    assert_eq!(warnings(&out[1]), ["This span's timestamps were adjusted by 40ms"]);
    // The same machine has the same clock, whatever it says.
    assert_eq!((out[3].start_ns, warnings(&out[3])), (50 * MS, vec![]));
}

#[test]
fn work_that_outlives_its_caller_and_clocks_that_are_far_off_stay() {
    let out = adjusted(vec![span(1, 0, 0, 100, 200), span(2, 1, 1, 150, 900), span(3, 1, 1, -5000, -4990)]);
    assert_eq!((out[1].start_ns, warnings(&out[1]).len()), (150 * MS, 0));
    assert_eq!(out[2].start_ns, -5000 * MS);
    assert!(warnings(&out[2])[0].contains("max clock skew adjustment delta of 1s exceeded"), "{out:?}");
}

#[test]
fn a_missing_parent_and_an_id_given_twice_are_said() {
    let out = adjusted(vec![span(1, 9, 0, 1, 2), span(1, 9, 0, 3, 4)]);
    assert_eq!(
        warnings(&out[0]),
        ["parent span ID=0000000000000009 is not in the trace; skipping clock skew adjustment"]
    );
    assert_eq!(warnings(&out[1]), ["duplicate span IDs; skipping clock skew adjustment"]);
}

#[test]
fn a_server_that_shares_its_clients_id_gets_its_own_and_keeps_its_children() {
    let kind = |kind, s: Span| Span { kind, ..s };
    let out = adjusted(vec![
        kind(SpanKind::Client, span(1, 7, 0, 0, 10)),
        kind(SpanKind::Server, span(1, 7, 1, 2, 8)),
        span(3, 1, 1, 4, 5),
    ]);
    assert_eq!(out[0].span_id[7], 1);
    assert_eq!((out[1].span_id[7], out[1].parent_span_id[7]), (2, 1));
    assert_eq!(out[2].parent_span_id[7], 2);
}

#[test]
fn addresses_libraries_and_links_are_put_right() {
    let mut s = span(1, 0, 0, 0, 1);
    s.attributes = Attributes::from_iter([("peer.ipv4", AnyValue::Int(134_744_072)), ("ip", "x".into())]);
    s.attributes.push("telemetry.sdk.name", "otel");
    s.links = vec![SpanLink::default(), SpanLink { trace_id: [2; 16], ..SpanLink::default() }];
    let mut other = span(2, 1, 0, 0, 1);
    other.attributes.push("telemetry.sdk.name", "else");
    let mut batch = SpanBatch { origins: vec![host("a")], spans: vec![s, other] };
    adjust(&mut batch);
    assert_eq!(batch.spans[0].attributes.get_str("peer.ipv4"), Some("8.8.8.8"));
    assert_eq!(batch.origins[0].resource.attributes.get_str("telemetry.sdk.name"), Some("otel"));
    assert_eq!((batch.spans[0].links.len(), warnings(&batch.spans[0]).len()), (1, 1));
    assert!(warnings(&batch.spans[1])[0].contains("conflicting values"));
}

proptest! {
    /// Circles, spans that are their own parent, and chains as deep as may be.
    #[test]
    fn any_shape_ends_and_keeps_durations(shape in proptest::collection::vec((0u8..8, 0u8..8, 0u32..2, -50i64..50, 0i64..50), 0..40)) {
        let spans: Vec<Span> = shape.iter().map(|(id, parent, o, start, d)| span(*id, *parent, *o, *start, start + d)).collect();
        let out = adjusted(spans.clone());
        for (before, after) in spans.iter().zip(&out) {
            prop_assert_eq!(before.duration_ns(), after.duration_ns());
        }
    }
}
