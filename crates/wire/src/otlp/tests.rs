use std::path::Path;

use model::{
    AnyValue, Attributes, Histogram, Labels, LogBatch, LogRecord, LogStream, MetricBatch, MetricKind, Span,
    SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode,
    attributes::{Resource, Scope},
    histogram::BucketSpan,
    is_stale_marker,
    metric::HistogramSample,
    span::SpanOrigin,
};
use proptest::prelude::*;
use prost::Message;
use proto::otlp::collector::trace::ExportTraceServiceRequest;

use super::*;
use crate::Reason;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn options() -> Options {
    Options::default()
}

fn metrics_json(metrics: &str) -> crate::Decoded<MetricBatch> {
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[
            {{"key":"service.name","value":{{"stringValue":"shop"}}}},{{"key":"service.namespace","value":{{"stringValue":"eu"}}}},
            {{"key":"service.instance.id","value":{{"stringValue":"i1"}}}},{{"key":"host.name","value":{{"stringValue":"h1"}}}}]}},
            "scopeMetrics":[{{"scope":{{"name":"s"}},"metrics":[{metrics}]}}],"unknownField":{{"a":[1,2]}}}}]}}"#
    );
    metrics::decode_json(body.as_bytes(), NOW_NS, &options(), None).unwrap()
}

fn shown(batch: &MetricBatch) -> Vec<String> {
    (0..batch.samples.len())
        .map(|i| {
            let s = &batch.samples;
            let value = if is_stale_marker(s.value[i]) { "stale".to_owned() } else { s.value[i].to_string() };
            format!(
                "{} {value} @{} from {}",
                batch.series[s.series[i] as usize],
                s.timestamp_ms[i],
                s.start_of(i)
            )
        })
        .collect()
}

#[test]
fn sums_and_gauges_get_prometheus_names_and_identity() {
    let d = metrics_json(
        r#"{"name":"http.requests","unit":"{request}","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
              {"asInt":"7","timeUnixNano":"2000000000","startTimeUnixNano":1000000000,
               "attributes":[{"key":"http.method","value":{"stringValue":"GET"}},{"key":"code","value":{"intValue":200}}],
               "exemplars":[{"asDouble":0.5,"timeUnixNano":"1500000000","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174"}]}]}},
           {"name":"cpu.utilization","unit":"1","gauge":{"dataPoints":[{"asDouble":0.25,"timeUnixNano":"2000000000"},{"flags":1,"timeUnixNano":"3000000000"}]}},
           {"name":"queue","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[{"asInt":-3}]}}"#,
    );
    let mut lines = shown(&d.batch);
    let target: Vec<String> = lines.extract_if(.., |l| l.starts_with("target_info")).collect();
    assert_eq!(
        target.last().map(String::as_str),
        Some(r#"target_info{host_name="h1", instance="i1", job="eu/shop"} 1 @1700000000000 from 0"#)
    );
    assert_eq!(
        lines,
        [
            r#"http_requests_total{code="200", http_method="GET", instance="i1", job="eu/shop"} 7 @2000 from 1000"#,
            r#"cpu_utilization_ratio{instance="i1", job="eu/shop"} 0.25 @2000 from 0"#,
            r#"cpu_utilization_ratio{instance="i1", job="eu/shop"} stale @3000 from 0"#,
            r#"queue{instance="i1", job="eu/shop"} -3 @1700000000000 from 0"#,
        ]
    );
    assert!(!d.all_timed, "one point had no time");
    let (series, e) = &d.batch.exemplars[0];
    assert_eq!(
        (*series, e.timestamp_ms, e.labels.value("trace_id")),
        (0, 1500, "5b8efff798038103d269b633813fc60c")
    );
    let kinds: Vec<_> = d.batch.metadata.iter().map(|m| (m.family.as_str(), m.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("http_requests_total", MetricKind::Counter),
            ("cpu_utilization_ratio", MetricKind::Gauge),
            ("queue", MetricKind::Gauge),
            ("target_info", MetricKind::Gauge)
        ]
    );
}

#[test]
fn explicit_histograms_become_classic_series_and_summaries_quantiles() {
    let d = metrics_json(
        r#"{"name":"lat","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":"6","sum":1.5,"timeUnixNano":"2000000000",
              "bucketCounts":["1","2","3"],"explicitBounds":[0.005,1],"exemplars":[{"asDouble":0.01}]}]}},
           {"name":"rpc","summary":{"dataPoints":[{"count":2,"sum":3,"timeUnixNano":"2000000000","quantileValues":[{"quantile":0.5,"value":1.25}]}]}}"#,
    );
    let lines: Vec<_> =
        shown(&d.batch).into_iter().map(|l| l.replace(r#"instance="i1", job="eu/shop""#, "..")).collect();
    assert_eq!(
        lines[..8],
        [
            "lat_seconds_count{..} 6 @2000 from 0",
            "lat_seconds_sum{..} 1.5 @2000 from 0",
            "lat_seconds_bucket{.., le=\"0.005\"} 1 @2000 from 0",
            "lat_seconds_bucket{.., le=\"1\"} 3 @2000 from 0",
            "lat_seconds_bucket{.., le=\"+Inf\"} 6 @2000 from 0",
            "rpc_sum{..} 3 @2000 from 0",
            "rpc_count{..} 2 @2000 from 0",
            "rpc{.., quantile=\"0.5\"} 1.25 @2000 from 0",
        ]
    );
    assert_eq!(d.batch.series[d.batch.exemplars[0].0 as usize].value("le"), "1");
}

#[test]
fn exponential_histograms_become_native_ones() {
    let d = metrics_json(
        r#"{"name":"size","unit":"By","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":"10","sum":30.5,"scale":1,"zeroCount":"1",
              "timeUnixNano":"2000000000","positive":{"offset":-2,"bucketCounts":["1","0","2","0","0","0","3"]},"negative":{"offset":0,"bucketCounts":[3]}}]}},
           {"name":"fine","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":"4","scale":10,"timeUnixNano":"2000000000",
              "positive":{"offset":0,"bucketCounts":["1","1","1","1"]}}]}}"#,
    );
    let h = &d.batch.histograms[0].histogram;
    assert_eq!(h.positive_spans, [BucketSpan { offset: -1, length: 3 }, BucketSpan { offset: 3, length: 1 }]);
    assert_eq!(h.positive_buckets, [1.0, 0.0, 2.0, 3.0]);
    assert_eq!((h.schema, h.count, h.sum, h.zero_count, h.is_integer), (1, 10.0, 30.5, 1.0, true));
    assert_eq!(h.negative_spans, [BucketSpan { offset: 1, length: 1 }]);
    let h = &d.batch.histograms[1].histogram;
    assert_eq!((h.schema, h.positive_buckets.as_slice()), (8, &[4.0][..]));
    assert_eq!(d.batch.series[0].metric_name(), "size_bytes");
}

#[test]
fn points_that_cannot_be_stored_are_refused_by_reason_and_the_rest_is_kept() {
    let d = metrics_json(
        r#"{"name":"d","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"asInt":1},{"asInt":2}]}},
           {"name":"日本","gauge":{"dataPoints":[{"asInt":1}]}},
           {"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":1,"bucketCounts":[1],"explicitBounds":[1,2]}]}},
           {"name":"ok","gauge":{"dataPoints":[{"asInt":1},{}]}}"#,
    );
    let refused: Vec<_> = d.refused.iter().map(|r| (r.reason, r.count, r.first)).collect();
    assert_eq!(refused, [(Reason::Unsupported, 2, 0), (Reason::InvalidItem, 3, 2)]);
    assert!(d.refused.iter().next().unwrap().detail.contains("delta"));
    assert_eq!(d.batch.samples.len(), 2, "ok and target_info");
}

#[test]
fn colliding_attribute_keys_are_joined() {
    let d = metrics_json(
        r#"{"name":"g","gauge":{"dataPoints":[{"asInt":1,"attributes":[{"key":"a_b","value":{"stringValue":"2"}},{"key":"a.b","value":{"stringValue":"1"}},
            {"key":"job","value":{"stringValue":"mine"}}]}]}}"#,
    );
    assert_eq!(d.batch.series[0].to_string(), r#"g{a_b="1;2", instance="i1", job="eu/shop"}"#);
}

#[test]
fn logs_keep_types_and_take_stream_labels_from_the_resource() {
    let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"k8s.namespace.name","value":{"stringValue":"prod"}},{"key":"os","value":{"stringValue":"linux"}}]},
        "scopeLogs":[{"scope":{"name":"lib","version":"1"},"logRecords":[
          {"timeUnixNano":"5","severityNumber":"SEVERITY_NUMBER_WARN","severityText":"warn","body":{"stringValue":"hi"},"traceId":"5b8efff798038103d269b633813fc60c",
           "attributes":[{"key":"n","value":{"intValue":"9007199254740993"}},{"key":"d","value":{"doubleValue":1.5}},{"key":"b","value":{"bytesValue":"AQID"}},
             {"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"arrayValue":{"values":[{"boolValue":true},{}]}}}]}}}]},
          {"observedTimeUnixNano":6,"severityNumber":99,"body":{"kvlistValue":{"values":[]}}},
          {"body":{"stringValue":"no time"},"spanId":"00"}]}]}]}"#;
    let d = logs::decode_json(body.as_bytes(), NOW_NS, &options()).unwrap();
    let s = &d.batch.streams[0];
    assert_eq!(
        s.labels,
        Labels::from_pairs([("k8s_namespace_name", "prod"), ("service_name", "unknown_service")])
    );
    assert_eq!(s.resource.attributes.get_str("os"), Some("linux"));
    let r = &d.batch.records;
    assert_eq!((r[0].timestamp_ns, r[0].severity_number), (5, 13));
    assert_eq!(r[0].attributes.get("n"), Some(&AnyValue::Int(9_007_199_254_740_993)));
    assert_eq!(r[0].attributes.get("b"), Some(&AnyValue::Bytes(vec![1, 2, 3])));
    assert_eq!(r[0].attributes.get("m").unwrap().to_string(), r#"{"x":[true,null]}"#);
    assert_eq!(r[0].trace_id[0], 0x5b);
    assert_eq!((r[1].timestamp_ns, r[1].severity_number), (6, 0));
    assert_eq!((r[2].timestamp_ns, r[2].span_id), (NOW_NS, [0; 8]));
    assert!(!d.all_timed);
}

#[test]
fn spans_without_valid_ids_are_refused() {
    let span = |t: &str, s: &str| {
        format!(
            r#"{{"traceId":"{t}","spanId":"{s}","name":"n","kind":"SPAN_KIND_SERVER","status":{{"code":2,"message":"m"}}}}"#
        )
    };
    let good = span("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    let spans = [
        good,
        span("", "eee19b7ec3c1b174"),
        span("5b8efff798038103d269b633813fc60c", "00"),
        span(&"0".repeat(32), "eee19b7ec3c1b174"),
    ];
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","));
    let d = traces::decode_json(body.as_bytes(), &options()).unwrap();
    assert_eq!(d.batch.spans.len(), 1);
    assert_eq!((d.batch.spans[0].kind, d.batch.spans[0].status.code), (SpanKind::Server, StatusCode::Error));
    assert_eq!(d.batch.origins[0].service_name(), "unknown_service");
    let refused: Vec<_> = d.refused.iter().map(|r| (r.reason, r.count, r.first)).collect();
    assert_eq!(refused, [(Reason::InvalidItem, 3, 1)]);
}

#[test]
fn the_schema_of_spans_is_kept_where_their_resource_names_none() {
    let url_of = |resource: &str, scope: &str| {
        let body = format!(
            r#"{{"resourceSpans":[{{"schemaUrl":"{resource}","scopeSpans":[{{"schemaUrl":"{scope}","spans":[
              {{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}}]}}]}}]}}"#
        );
        let d = traces::decode_json(body.as_bytes(), &options()).unwrap();
        d.batch.origins[0].resource.schema_url.clone()
    };
    assert_eq!((url_of("", "s"), url_of("r", "s"), url_of("r", "")), ("s".into(), "r".into(), "r".into()));
}

#[test]
fn oversized_names_and_lines_are_refused_by_name_of_the_limit() {
    let key = "k".repeat(1 << 20);
    let d = metrics_json(&format!(
        r#"{{"name":"g","gauge":{{"dataPoints":[{{"asInt":1,"attributes":[{{"key":"{key}","value":{{"stringValue":"v"}}}}]}}]}}}}"#
    ));
    let r = d.refused.iter().next().unwrap();
    assert_eq!(r.reason, Reason::InvalidLabels);
    assert!(r.detail.contains("ingest.max_label_name") && r.detail.len() < 400, "{}", r.detail);
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{}"}}}}]}}]}}]}}"#,
        "x".repeat(2 << 20)
    );
    let d = logs::decode_json(body.as_bytes(), NOW_NS, &options()).unwrap();
    assert_eq!(d.refused.iter().next().unwrap().reason, Reason::TooLarge);
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = |n: usize| format!("{}1{}", r#"{"arrayValue":{"values":["#.repeat(n), "]}}".repeat(n));
    let body =
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{}}}]}}]}}]}}"#, deep(100_000));
    assert!(logs::decode_json(body.as_bytes(), NOW_NS, &options()).is_err());
    let brackets = format!(r#"{{"x":{}"#, "[".repeat(1_000_000));
    assert!(logs::decode_json(brackets.as_bytes(), NOW_NS, &options()).is_err());
    // Protobuf: a body nested in itself, one array after the other.
    let mut value = Vec::new();
    for _ in 0..5000 {
        let mut array = Vec::new();
        prost::encoding::bytes::encode(1, &value, &mut array);
        value.clear();
        prost::encoding::bytes::encode(5, &array, &mut value);
    }
    let mut body = Vec::new();
    prost::encoding::bytes::encode(5, &value, &mut body);
    for tag in [2, 2, 1] {
        let inner = std::mem::take(&mut body);
        prost::encoding::bytes::encode(tag, &inner, &mut body);
    }
    assert!(logs::decode_protobuf(&body, NOW_NS, &options()).is_err());
}

#[test]
fn the_examples_of_the_specification_are_read_whole() {
    let dir = Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data/otlp-json");
    if !dir.is_dir() {
        println!("skipped: otlp-json is not beside the repository");
        return;
    }
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let m = metrics::decode_json(&read("metrics.json"), NOW_NS, &options(), None).unwrap();
    let l = logs::decode_json(&read("logs.json"), NOW_NS, &options()).unwrap();
    let e = logs::decode_json(&read("events.json"), NOW_NS, &options()).unwrap();
    let t = traces::decode_json(&read("trace.json"), &options()).unwrap();
    assert!(l.refused.is_empty() && e.refused.is_empty() && t.refused.is_empty());
    // The examples use delta temporality wherever there is one.
    assert_eq!((m.refused.total(), m.batch.samples.len()), (3, 1));
    let text = String::from_utf8(read("metrics.json")).unwrap();
    let cumulative = text.replace("\"aggregationTemporality\": 1", "\"aggregationTemporality\": 2");
    let m = metrics::decode_json(cumulative.as_bytes(), NOW_NS, &options(), None).unwrap();
    assert_eq!((m.refused.total(), m.batch.histograms.len()), (0, 1));
    assert_eq!(
        shown(&m.batch)[0],
        r#"my_counter_total{job="my.service", my_counter_attr="some value"} 5 @1544712660300 from 1544712660300"#
    );
    assert_eq!((l.batch.records.len(), e.batch.records.len(), t.batch.spans.len()), (1, 1, 1));
    assert_eq!(t.batch.spans[0].trace_id[0], 0x5b);
}

fn values() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        ".{0,8}".prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        (-1e9..1e9f64).prop_map(AnyValue::Double),
        proptest::collection::vec(any::<u8>(), 0..5).prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(AnyValue::Array),
            proptest::collection::vec(("[a-z.]{1,5}", inner), 0..3)
                .prop_map(|v| AnyValue::Map(Attributes(v))),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    proptest::collection::vec(("[a-z.]{1,6}", values()), 0..4).prop_map(Attributes)
}

#[test]
fn labels_that_the_resource_does_not_say_travel_as_its_attributes() {
    let resource =
        Resource { attributes: [("k8s.cluster.name", "dev")].into_iter().collect(), ..Resource::default() };
    let labels = Labels::from_pairs([
        ("cluster", "dev"),
        ("sender", "x"),
        ("service_name", "api"),
        ("k8s_pod_name", "p"),
    ]);
    let streams = vec![LogStream { labels, resource, ..LogStream::default() }];
    let batch = LogBatch { streams, records: vec![LogRecord { timestamp_ns: 1, ..LogRecord::default() }] };
    let bytes = logs::encode(&batch).encode_to_vec();
    let back = logs::decode_protobuf(&bytes, NOW_NS, &options()).unwrap().batch.streams.remove(0);
    let said: Vec<_> = back.resource.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(said, ["k8s.cluster.name=dev", "k8s.pod.name=p", "sender=x", "service.name=api"]);
    assert_eq!((back.labels.value("service_name"), back.labels.value("k8s_pod_name")), ("api", "p"));
}

proptest! {
    #[test]
    fn logs_come_back_from_protobuf_as_they_were(
        resource in attributes(), scope in attributes(), body in values(), attrs in attributes(),
        time in 1..i64::MAX, severity in 0..25u8, ids in any::<([u8; 16], [u8; 8])>(),
    ) {
        let resource = Resource { attributes: resource, dropped_attributes: 1, schema_url: "u".into() };
        let labels = logs::stream_labels(&resource, &options()).unwrap();
        let scope = Scope { name: "n".into(), version: "v".into(), attributes: scope, dropped_attributes: 2 };
        let record = LogRecord {
            timestamp_ns: time, observed_ns: time / 2, severity_number: severity, severity_text: "t".into(), body,
            attributes: attrs, dropped_attributes: 3, flags: 1, trace_id: ids.0, span_id: ids.1, event_name: "e".into(), stream: 0,
        };
        let mut resource_set = LogBatch { streams: vec![LogStream { labels, resource, scope }], records: vec![record] };
        if resource_set.streams[0].resource.attributes.is_empty() {
            // Then the labels travel as the resource.
            resource_set.streams[0].resource.attributes.push("service.name", "unknown_service");
        }
        let bytes = logs::encode(&resource_set).encode_to_vec();
        let d = logs::decode_protobuf(&bytes, NOW_NS, &options()).unwrap();
        prop_assert_eq!(d.batch, resource_set);
    }

    #[test]
    fn spans_come_back_from_protobuf_as_they_were(
        resource in attributes(), attrs in attributes(), event in attributes(), link in attributes(),
        cut in any::<proptest::sample::Index>(), times in any::<(u32, u32)>(), ids in any::<([u8; 16], [u8; 8], [u8; 8])>(),
    ) {
        prop_assume!(ids.0 != [0; 16] && ids.1 != [0; 8]);
        let span = Span {
            origin: 0, trace_id: ids.0, span_id: ids.1, parent_span_id: ids.2, trace_state: "a=b".into(), flags: 257, name: "op".into(),
            kind: SpanKind::Producer, start_ns: i64::from(times.0), end_ns: i64::from(times.1), attributes: attrs, dropped_attributes: 1,
            events: vec![SpanEvent { timestamp_ns: 5, name: "ev".into(), attributes: event, dropped_attributes: 2 }], dropped_events: 3,
            links: vec![SpanLink { trace_id: ids.0, span_id: ids.1, trace_state: "c".into(), attributes: link, dropped_attributes: 4, flags: 5 }],
            dropped_links: 6, status: SpanStatus { code: StatusCode::Ok, message: "m".into() },
        };
        let resource = Resource { attributes: resource, dropped_attributes: 0, schema_url: String::new() };
        let batch = SpanBatch { origins: vec![SpanOrigin { resource, scope: Scope::default() }], spans: vec![span] };
        let body = traces::encode(&batch).encode_to_vec();
        let d = traces::decode_protobuf(&body, &options()).unwrap();
        prop_assert!(d.refused.is_empty());
        prop_assert_eq!(d.batch, batch);
        // Read in place, and by the generated messages.
        for body in [&body[..cut.index(body.len() + 1)], &body] {
            let message = ExportTraceServiceRequest::decode(body);
            let read = traces::decode_protobuf(body, &options());
            prop_assert_eq!(message.is_ok(), read.is_ok());
            if let (Ok(message), Ok(read)) = (message, read) {
                let by_message = traces::from_message(message, &options());
                prop_assert_eq!(read.batch, by_message.batch);
                prop_assert_eq!(read.refused.total(), by_message.refused.total());
            }
        }
    }

    #[test]
    fn metrics_come_back_with_the_names_they_had(
        series in proptest::collection::btree_map("[a-z]{1,5}(_total)?", proptest::collection::btree_map("[a-z]{1,4}", "[a-z]{1,4}", 0..3), 1..5),
        value in -1e9..1e9f64, buckets in proptest::collection::vec(0..50u32, 1..30), offset in -20..20i32,
    ) {
        let mut batch = MetricBatch::default();
        for (name, labels) in series {
            let s = batch.push_series(Labels::from_pairs(labels).with("job", "ns/svc").with("instance", "i").with("__name__", &name));
            batch.samples.push_started(s, 5000, value, 1000);
        }
        let s = batch.push_series(Labels::from_pairs([("__name__", "hist")]));
        let mut positive = Vec::new();
        let mut spans = vec![BucketSpan { offset, length: buckets.len() as u32 }];
        positive.extend(buckets.iter().map(|b| f64::from(*b + 1)));
        spans.push(BucketSpan { offset: 5, length: 1 });
        positive.push(1.0);
        let histogram = Histogram {
            schema: 3, zero_threshold: 0.5, count: positive.iter().sum(), sum: value, positive_spans: spans,
            positive_buckets: positive, is_integer: true, ..Histogram::default()
        };
        batch.histograms.push(HistogramSample { series: s, timestamp_ms: 9, start_ms: 7, histogram });
        let d = metrics::decode_protobuf(&metrics::encode(&batch).encode_to_vec(), NOW_NS, &options(), None).unwrap();
        prop_assert!(d.refused.is_empty());
        prop_assert_eq!(&d.batch.series, &batch.series);
        prop_assert_eq!(&d.batch.samples.value, &batch.samples.value);
        prop_assert_eq!(&d.batch.histograms, &batch.histograms);
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        json in "[{}\\[\\]\":,a-z0-9.\\\\-]{0,200}",
    ) {
        for body in [bytes.as_slice(), json.as_bytes()] {
            let _ = metrics::decode_protobuf(body, NOW_NS, &options(), None);
            let _ = logs::decode_protobuf(body, NOW_NS, &options());
            let _ = traces::decode_protobuf(body, &options());
            let _ = traces::by_id(body);
            let _ = metrics::decode_json(body, NOW_NS, &options(), None);
            let _ = logs::decode_json(body, NOW_NS, &options());
            let _ = traces::decode_json(body, &options());
        }
    }
}
