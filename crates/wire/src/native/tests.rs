use model::{
    AnyValue, Attributes, Exemplar, Histogram, Labels, LogBatch, LogRecord, LogStream, MetricBatch,
    MetricKind, MetricMetadata, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode,
    attributes::{Resource, Scope},
    histogram::{BucketSpan, ResetHint},
    metric::{HistogramSample, Samples, stale_marker},
    span::SpanOrigin,
};
use proptest::{collection::vec, prelude::*};

use super::*;

fn tenant() -> TenantId {
    TenantId::new("team-a").unwrap()
}

/// Floats by their bits: every NaN is itself.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-100i32..100).prop_map(f64::from),
        Just(stale_marker())
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-e]{0,3}", 1 => "\\PC{0,200}", 1 => "x{120,140}"]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        text().prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        any::<i32>().prop_map(|d| AnyValue::Double(f64::from(d) / 8.0)),
        vec(any::<u8>(), 0..20).prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AnyValue::Array),
            vec((text(), inner), 0..4).prop_map(|m| AnyValue::Map(Attributes(m))),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec((text(), value()), 0..4).prop_map(Attributes)
}

fn labels() -> impl Strategy<Value = Labels> {
    vec((text(), text()), 0..6).prop_map(Labels::from_pairs)
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), any::<u32>(), text()).prop_map(|(attributes, dropped_attributes, schema_url)| Resource {
        attributes,
        dropped_attributes,
        schema_url,
    })
}

fn scope() -> impl Strategy<Value = Scope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes)| Scope {
            name,
            version,
            attributes,
            dropped_attributes,
        },
    )
}

fn spans_of_buckets() -> impl Strategy<Value = Vec<BucketSpan>> {
    vec((any::<i32>(), any::<u32>()).prop_map(|(offset, length)| BucketSpan { offset, length }), 0..4)
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let sides = (spans_of_buckets(), vec(float(), 0..5), spans_of_buckets(), vec(float(), 0..5));
    let hint = prop_oneof![
        Just(ResetHint::Unknown),
        Just(ResetHint::Reset),
        Just(ResetHint::NotReset),
        Just(ResetHint::Gauge)
    ];
    (hint, any::<i8>(), vec(float(), 4), sides, vec(float(), 0..4), any::<bool>()).prop_map(
        |(reset_hint, schema, f, sides, custom_values, is_integer)| Histogram {
            reset_hint,
            schema,
            zero_threshold: f[0],
            zero_count: f[1],
            count: f[2],
            sum: f[3],
            positive_spans: sides.0,
            positive_buckets: sides.1,
            negative_spans: sides.2,
            negative_buckets: sides.3,
            custom_values,
            is_integer,
        },
    )
}

fn metadata() -> impl Strategy<Value = MetricMetadata> {
    let kind = (0usize..8).prop_map(|i| MetricKind::ALL[i]);
    (text(), kind, text(), text()).prop_map(|(family, kind, unit, help)| MetricMetadata {
        family,
        kind,
        unit,
        help,
    })
}

fn metrics() -> impl Strategy<Value = MetricBatch> {
    vec(labels(), 1..6).prop_flat_map(|series| {
        let n = series.len() as u32;
        let starts = any::<bool>();
        let samples = vec((0..n, any::<i64>(), float(), any::<i64>()), 0..20);
        let histograms = vec((0..n, any::<i64>(), any::<i64>(), histogram()), 0..4);
        let exemplars = vec((0..n, labels(), -9.0..9.0f64, any::<i64>()), 0..4);
        (Just(series), starts, samples, histograms, exemplars, vec(metadata(), 0..4)).prop_map(
            |(series, starts, samples, histograms, exemplars, metadata)| {
                let mut columns = Samples::default();
                for (index, time, value, start) in samples {
                    columns.series.push(index);
                    columns.timestamp_ms.push(time);
                    columns.value.push(value);
                    if starts {
                        columns.start_ms.push(start);
                    }
                }
                let histograms = histograms.into_iter().map(|(series, timestamp_ms, start_ms, histogram)| {
                    HistogramSample { series, timestamp_ms, start_ms, histogram }
                });
                let exemplars = exemplars
                    .into_iter()
                    .map(|(i, labels, value, timestamp_ms)| (i, Exemplar { labels, value, timestamp_ms }));
                MetricBatch {
                    series,
                    samples: columns,
                    histograms: histograms.collect(),
                    exemplars: exemplars.collect(),
                    metadata,
                    hints: None,
                }
            },
        )
    })
}

fn logs() -> impl Strategy<Value = LogBatch> {
    let stream = (labels(), resource(), scope()).prop_map(|(labels, resource, scope)| LogStream {
        labels,
        resource,
        scope,
    });
    let ids = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>());
    let record =
        (any::<i64>(), any::<i64>(), any::<u8>(), text(), value(), attributes(), any::<u32>(), ids, text());
    (vec(stream, 1..4), vec((any::<u32>(), record), 0..6)).prop_map(|(streams, records)| {
        let n = streams.len() as u32;
        let records = records.into_iter().map(|(stream, r)| LogRecord {
            stream: stream % n,
            timestamp_ns: r.0,
            observed_ns: r.1,
            severity_number: r.2,
            severity_text: r.3,
            body: r.4,
            attributes: r.5,
            dropped_attributes: r.6,
            flags: r.6 / 3,
            trace_id: if r.7.2 { r.7.0 } else { [0; 16] },
            span_id: if r.7.2 { r.7.1 } else { [0; 8] },
            event_name: r.8,
        });
        LogBatch { records: records.collect(), streams }
    })
}

fn span() -> impl Strategy<Value = Span> {
    let event = (any::<i64>(), text(), attributes(), any::<u32>()).prop_map(
        |(timestamp_ns, name, attributes, dropped_attributes)| SpanEvent {
            timestamp_ns,
            name,
            attributes,
            dropped_attributes,
        },
    );
    let link = (any::<[u8; 16]>(), any::<[u8; 8]>(), text(), attributes(), any::<u32>(), any::<u32>())
        .prop_map(|(trace_id, span_id, trace_state, attributes, dropped_attributes, flags)| SpanLink {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes,
            flags,
        });
    let ids = (any::<[u8; 16]>(), any::<[u8; 8]>(), any::<[u8; 8]>());
    let numbers = (any::<u32>(), any::<u32>(), 0u32..3, 0u32..3, 0i32..6, 0usize..3);
    let times = (any::<i64>(), any::<i64>());
    (ids, text(), text(), numbers, times, attributes(), vec(event, 0..3), vec(link, 0..3), text()).prop_map(
        |(ids, trace_state, name, n, times, attributes, events, links, message)| Span {
            origin: n.0,
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state,
            flags: n.1,
            name,
            kind: SpanKind::from_number(n.4),
            start_ns: times.0,
            end_ns: times.1,
            attributes,
            dropped_attributes: n.2,
            events,
            dropped_events: n.3,
            links,
            dropped_links: n.2,
            status: SpanStatus { code: [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][n.5], message },
        },
    )
}

fn spans() -> impl Strategy<Value = SpanBatch> {
    let origin = (resource(), scope()).prop_map(|(resource, scope)| SpanOrigin { resource, scope });
    (vec(origin, 1..3), vec(span(), 0..5)).prop_map(|(origins, mut spans)| {
        spans.iter_mut().for_each(|s| s.origin %= origins.len() as u32);
        SpanBatch { origins, spans }
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    prop_oneof![
        metrics().prop_map(Batch::Metrics),
        logs().prop_map(Batch::Logs),
        spans().prop_map(Batch::Spans)
    ]
}

fn batch_id() -> impl Strategy<Value = Option<BatchId>> {
    prop_oneof![
        Just(None),
        any::<u128>().prop_map(|h| Some(BatchId::Content(h))),
        any::<(u64, u64, u64)>().prop_map(|(source, epoch, sequence)| Some(BatchId::Numbered {
            source,
            epoch,
            sequence
        })),
    ]
}

/// Bit patterns of all float samples, which `PartialEq` cannot compare when they are NaN.
fn bits(batches: &[Batch]) -> Vec<u64> {
    let metrics = batches.iter().filter_map(|b| match b {
        Batch::Metrics(m) => Some(m),
        _ => None,
    });
    metrics.flat_map(|m| m.samples.value.iter().map(|v| v.to_bits())).collect()
}

fn without_values(batches: &[Batch]) -> Vec<Batch> {
    let mut out = batches.to_vec();
    for b in &mut out {
        if let Batch::Metrics(m) = b {
            m.samples.value.clear();
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_field_comes_back_bit_for_bit(
        id in batch_id(), received in any::<i64>(), batches in vec(batch(), 0..4)
    ) {
        let bytes = encode(&tenant(), id, received, &batches).unwrap();
        let (t, i, r, b) = decode(&bytes).unwrap();
        prop_assert_eq!((t, i, r), (tenant(), id, received));
        prop_assert_eq!(bits(&b), bits(&batches));
        prop_assert_eq!(without_values(&b), without_values(&batches));
    }

    #[test]
    fn spans_of_otlp_are_in_the_log_with_all_they_had(mut batch in spans()) {
        batch.spans.sort_by_key(|s| s.origin);
        let used: Vec<bool> =
            (0..batch.origins.len()).map(|i| batch.spans.iter().any(|s| s.origin as usize == i)).collect();
        let place = |at: u32| used[..at as usize].iter().filter(|u| **u).count() as u32;
        batch.spans.iter_mut().for_each(|s| s.origin = place(s.origin));
        let mut keeps = used.iter();
        batch.origins.retain(|_| *keeps.next().unwrap());
        for s in &mut batch.spans {
            // Ids that are none are refused, and OTLP knows no time before 1970.
            (s.trace_id[0], s.span_id[0]) = (1, 1);
            (s.start_ns, s.end_ns) = (s.start_ns & i64::MAX, s.end_ns & i64::MAX);
            s.events.iter_mut().for_each(|e| e.timestamp_ns &= i64::MAX);
        }
        let sent = crate::otlp::traces::encode_bytes(&batch);
        let decoded = crate::otlp::traces::decode_protobuf(&sent, &crate::otlp::Options::default()).unwrap();
        prop_assert!(decoded.refused.is_empty());
        let unit = encode(&tenant(), None, 0, &[Batch::Spans(decoded.batch)]).unwrap();
        prop_assert_eq!(decode(&unit).unwrap().3, [Batch::Spans(batch)]);
    }

    #[test]
    fn random_bytes_are_an_error_or_a_unit_but_never_a_panic(mut bytes in vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = WHOLE;
        }
        let _ = decode(&bytes);
    }

    #[test]
    fn damaged_units_are_an_error_or_a_unit_but_never_a_panic(
        batches in vec(batch(), 1..3), at in any::<prop::sample::Index>(), b in any::<u8>()
    ) {
        let mut bytes = encode(&tenant(), None, 0, &batches).unwrap();
        let i = at.index(bytes.len());
        let cut = decode(&bytes[..i]);
        prop_assert!(cut.is_err(), "a shortened unit is never whole");
        bytes[i] = b;
        let _ = decode(&bytes);
    }
}

/// One batch of each kind, small and fixed.
fn sample_unit() -> Vec<Batch> {
    let mut metrics = MetricBatch::default();
    let up = metrics.push_series(Labels::from_pairs([("__name__", "up"), ("job", "node")]));
    let down = metrics.push_series(Labels::from_pairs([("__name__", "down"), ("job", "node")]));
    metrics.samples.push_started(up, 1_700_000_000_000, 1.0, 1_600_000_000_000);
    metrics.samples.push_started(down, 1_700_000_000_000, stale_marker(), 0);
    metrics.metadata.push(MetricMetadata {
        family: "up".into(),
        kind: MetricKind::Gauge,
        unit: String::new(),
        help: "Whether it is.".into(),
    });
    let logs = LogBatch {
        streams: vec![LogStream { labels: Labels::from_pairs([("job", "node")]), ..Default::default() }],
        records: vec![LogRecord {
            timestamp_ns: 1_700_000_000_000_000_000,
            severity_number: 9,
            body: "ready".into(),
            attributes: Attributes::from_iter([("pid", 7i64)]),
            ..Default::default()
        }],
    };
    let spans = SpanBatch {
        origins: vec![SpanOrigin::default()],
        spans: vec![Span {
            trace_id: [1; 16],
            span_id: [2; 8],
            name: "GET".into(),
            kind: SpanKind::Server,
            start_ns: 1_700_000_000_000_000_000,
            end_ns: 1_700_000_000_001_000_000,
            ..Default::default()
        }],
    };
    vec![Batch::Metrics(metrics), Batch::Logs(logs), Batch::Spans(spans)]
}

#[test]
fn version_2_is_these_bytes() {
    let id = Some(BatchId::Numbered { source: 1, epoch: 2, sequence: 300 });
    let bytes = encode(&tenant(), id, 5, &sample_unit()).unwrap();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, FIXTURE_V2);
}

#[test]
fn every_released_version_is_read() {
    let id = Some(BatchId::Numbered { source: 1, epoch: 2, sequence: 300 });
    for fixture in [FIXTURE_V1, FIXTURE_V2] {
        let digits = fixture.as_bytes().chunks(2);
        let bytes: Vec<u8> =
            digits.map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect();
        let (_, i, received, batches) = decode(&bytes).unwrap();
        assert_eq!((i, received, bits(&batches)), (id, 5, bits(&sample_unit())));
        assert_eq!(without_values(&batches), without_values(&sample_unit()));
    }
}

#[test]
fn repeated_strings_are_written_once() {
    let series = (0..1000).map(|i| {
        Labels::from_pairs([
            ("__name__", "http_requests_total".to_owned()),
            ("instance", "a-long-host-name:9100".to_owned()),
            ("path", format!("/{i}")),
        ])
    });
    let mut b = MetricBatch { series: series.collect(), ..Default::default() };
    for i in 0..1000 {
        b.samples.push(i, 1_700_000_000_000, f64::from(i));
    }
    let bytes = encode(&tenant(), None, 0, &[Batch::Metrics(b)]).unwrap();
    assert!(bytes.len() < 25_000, "{} bytes", bytes.len());
}

#[test]
fn unknown_versions_and_batch_kinds_are_named() {
    let mut bytes = encode(&tenant(), None, 0, &[]).unwrap();
    bytes[0] = VERSION + 1;
    assert_eq!(
        decode(&bytes).unwrap_err().to_string(),
        "encoded unit has version 4, this program reads version 3"
    );
    bytes[0] = 0;
    assert!(decode(&bytes).is_err());
    bytes[0] = WHOLE;
    *bytes.last_mut().unwrap() = 1;
    bytes.extend([77, 0]);
    assert_eq!(decode(&bytes).unwrap_err(), NativeError::UnknownBatch { kind: "77".into() });
}

#[test]
fn nesting_has_a_limit_on_both_sides() {
    let nested = |n: usize| (0..n).fold(AnyValue::Empty, |v, _| AnyValue::Array(vec![v]));
    let unit = |body| {
        let records = vec![LogRecord { body, ..Default::default() }];
        [Batch::Logs(LogBatch { streams: vec![LogStream::default()], records })]
    };
    let deep = unit(nested(MAX_DEPTH));
    let bytes = encode(&tenant(), None, 0, &deep).unwrap();
    assert_eq!(decode(&bytes).unwrap().3, deep);
    assert_eq!(encode(&tenant(), None, 0, &unit(nested(MAX_DEPTH + 1))), Err(NativeError::TooDeep));
    // One more array around the innermost value, as an attacker would write it.
    let mut hostile = vec![WHOLE, 0, 1, b'a', 0, 0, 1, LOGS];
    let mut body = vec![1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    body.extend([8u8, 1].repeat(100_000));
    body.push(0);
    let mut w = Writer::with_capacity(0);
    w.bytes(&body);
    hostile.extend(w.finish());
    assert!(decode(&hostile).is_err());
}

#[test]
fn counts_that_lie_cost_no_memory() {
    // A metrics batch that claims 2^40 series in ten bytes.
    let mut bytes = encode(&tenant(), None, 0, &[]).unwrap();
    *bytes.last_mut().unwrap() = 1;
    bytes.extend([METRICS, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
    let err = decode(&bytes).unwrap_err();
    assert!(err.to_string().contains("do not fit into what is left"), "{err}");
}

#[test]
fn a_batch_that_could_not_be_read_back_is_refused_before_it_is_written() {
    let mut m = MetricBatch::default();
    m.samples.push(3, 0, 0.0);
    let err = encode(&tenant(), None, 0, &[Batch::Metrics(m)]).unwrap_err();
    assert_eq!(err.to_string(), "series 3 is named in the batch, which has 0");
    let l = LogBatch { streams: vec![], records: vec![LogRecord::default()] };
    assert!(encode(&tenant(), None, 0, &[Batch::Logs(l)]).is_err());
    let mut m = MetricBatch { series: vec![Labels::default()], ..Default::default() };
    m.samples.push(0, 0, 0.0);
    m.samples.timestamp_ms.push(1);
    let err = encode(&tenant(), None, 0, &[Batch::Metrics(m)]).unwrap_err();
    assert_eq!(err.to_string(), "the batch has 1 sample values but 2 timestamps");
}

const FIXTURE_V2: &str = "0200067465616d2d61010102ac020a03015e02020f00085f5f6e616d655f5f0002757000036a6f6200046e6f64650202\
    0004646f776e0201000280a0abfef96200bfe003ffe0838080808080028080f4f6905dfffff3f6905d00000103020000\
    000e576865746865722069742069732e02270101040500000707070000010a008080d0e2c6bfce972f02057265616479\
    09010003706964050e033501000007070700000100000101010101010101010101010101010102020202020202020003\
    474554028080d0e2c6bfce972f80897a";

const FIXTURE_V1: &str = "0100067465616d2d61010102ac020a03015f020200085f5f6e616d655f5f0002757000036a6f6200046e6f646502\
    020004646f776e04050201000280a0abfef96200bfe003ffe0838080808080028080f4f6905dfffff3f6905d0000\
    0103020000000e576865746865722069742069732e02270101040500000707070000010a008080d0e2c6bfce972f\
    0205726561647909010003706964050e033501000007070700000100000101010101010101010101010101010102\
    020202020202020003474554028080d0e2c6bfce972f80897a";

#[test]
fn units_of_the_first_version_are_still_read() {
    let body = [
        &[2, 1, 0, 8][..],
        b"__name__",
        &[0, 1, b'a', 2, 2, 3, 0, 3, b'j', b'o', b'b', 0, 1, b'b'],
        &[1, 0, 2, 10, 0xbf, 0xe0, 0x03, 0, 0, 0],
    ]
    .concat();
    let unit = [&[1, 0, 1, b't', 0, 0, 1, METRICS, body.len() as u8][..], &body].concat();
    let (tenant, id, received_ns, batches) = decode(&unit).unwrap();
    assert_eq!((tenant.as_str(), id, received_ns), ("t", None, 0));
    let mut expected = MetricBatch::default();
    expected.push_series(Labels::from_pairs([("__name__", "a")]));
    let second = expected.push_series(Labels::from_pairs([("__name__", "a"), ("job", "b")]));
    expected.samples.push(second, 5, 1.0);
    assert_eq!(batches, [Batch::Metrics(expected)]);
}

#[test]
fn a_series_is_written_as_what_differs_from_the_one_before() {
    let long = "v".repeat(MAX_SYMBOL + 1);
    let many: Vec<(String, String)> = (0..40).map(|i| (format!("l{i:02}"), "x".to_owned())).collect();
    let mut b = MetricBatch::default();
    for i in 0..100 {
        let device = format!("d{i}");
        b.push_series(Labels::from_pairs([("__name__", "m"), ("device", &device), ("job", "node")]));
    }
    let short = encode(&tenant(), None, 0, &[Batch::Metrics(b.clone())]).unwrap();
    // Count and changes of the pairs, and the one new value as a new symbol.
    assert!(short.len() < 100 * 8 + 60, "{}", short.len());
    b.push_series(Labels::from_pairs([("long", long.as_str())]));
    b.push_series(Labels::from_pairs([("long", long.as_str()), ("z", "1")]));
    b.push_series(Labels::from_pairs(many.clone()));
    b.push_series(Labels::from_pairs(many.into_iter().chain([("z".to_owned(), "1".to_owned())])));
    b.push_series(Labels::default());
    b.push_series(Labels::from_pairs([("a", "b")]));
    let unit = encode(&tenant(), None, 0, &[Batch::Metrics(b.clone())]).unwrap();
    assert_eq!(decode(&unit).unwrap().3, [Batch::Metrics(b)]);
}
