use model::{SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode, span::SpanOrigin};
use proptest::{collection::vec, prelude::*};
use proto::Message;

use super::*;

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        "[a-zü]{0,200}".prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        any::<f64>().prop_map(AnyValue::Double),
        vec(any::<u8>(), 0..20).prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(AnyValue::Array),
            vec(("[a-c]{0,3}", inner), 0..3).prop_map(|m| AnyValue::Map(Attributes(m))),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec(("[a-c.]{0,140}", value()), 0..4).prop_map(Attributes)
}

fn span() -> impl Strategy<Value = Span> {
    let event = (0..i64::MAX, "[a-z]{0,9}", attributes(), 0..3u32).prop_map(
        |(timestamp_ns, name, attributes, dropped_attributes)| SpanEvent {
            timestamp_ns,
            name,
            attributes,
            dropped_attributes,
        },
    );
    let link = (any::<[u8; 16]>(), "[a-z]{0,9}", attributes(), any::<u32>()).prop_map(
        |(trace_id, trace_state, attributes, flags)| SpanLink {
            trace_id,
            span_id: [1; 8],
            trace_state,
            attributes,
            dropped_attributes: flags % 3,
            flags,
        },
    );
    let parts = (attributes(), vec(event, 0..3), vec(link, 0..3));
    let times = (0..i64::MAX, 0..i64::MAX);
    (any::<[u8; 8]>(), "[a-z]{0,300}", parts, times, (0..7i32, 0..3usize, any::<u32>()), "[a-z]{0,9}")
        .prop_map(|(parent, name, (attributes, events, links), times, (kind, status, flags), message)| Span {
            trace_id: [7; 16],
            span_id: [8; 8],
            parent_span_id: if flags % 2 == 0 { parent } else { [0; 8] },
            trace_state: message.clone(),
            flags,
            name,
            kind: SpanKind::from_number(kind),
            start_ns: times.0,
            end_ns: times.1,
            attributes,
            dropped_attributes: flags % 2,
            events,
            dropped_events: flags / 7,
            links,
            dropped_links: flags % 5,
            status: SpanStatus {
                code: [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][status],
                message,
            },
            ..Span::default()
        })
}

proptest! {
    #[test]
    fn the_size_is_that_of_the_message(span in span()) {
        let batch = SpanBatch { origins: vec![SpanOrigin::default()], spans: vec![span] };
        let request = wire::otlp::traces::encode(&batch);
        let message = &request.resource_spans[0].scope_spans[0].spans[0];
        prop_assert_eq!(otlp_bytes(&batch.spans[0]), message.encoded_len());
    }
}
