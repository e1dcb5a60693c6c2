use model::{Labels, histogram::CUSTOM_BUCKETS_SCHEMA};
use proptest::prelude::*;

use super::*;
use crate::names::NameStrategy;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn with(change: impl FnOnce(&mut MetricOptions)) -> Options {
    let mut options = Options::default();
    change(&mut options.metrics);
    options
}

fn read(body: &str, options: &Options) -> Decoded<MetricBatch> {
    let mut deltas = Deltas::default();
    decode_json(body.as_bytes(), NOW_NS, options, Some(&mut deltas)).unwrap()
}

/// One resource with one scope.
fn request(resource: &str, metrics: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[{{
            "scope":{{"name":"lib","version":"1.2","attributes":[{{"key":"a.b","value":{{"stringValue":"x"}}}}]}},
            "schemaUrl":"https://s","metrics":[{metrics}]}}]}}]}}"#
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

fn gauge(attributes: &str, time_ms: u64) -> String {
    format!(
        r#"{{"name":"g","gauge":{{"dataPoints":[{{"asInt":1,"timeUnixNano":"{time_ms}000000","attributes":[{attributes}]}}]}}}}"#
    )
}

fn names(d: &Decoded<MetricBatch>) -> Vec<String> {
    d.batch.series.iter().map(ToString::to_string).collect()
}

#[test]
fn each_strategy_names_metrics_and_labels_its_way() {
    let point = r#"{"asInt":1,"timeUnixNano":"5000000","attributes":[{"key":"http.method","value":{"stringValue":"GET"}}]}"#;
    let body = request(
        &attribute("service.name", "shop"),
        &format!(
            r#"{{"name":"http.requests","unit":"By/s","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{point}]}}}}"#
        ),
    );
    for (strategy, want) in [
        (
            NameStrategy::UnderscoreEscapingWithSuffixes,
            r#"http_requests_bytes_per_second_total{http_method="GET", job="shop"}"#,
        ),
        (NameStrategy::UnderscoreEscapingWithoutSuffixes, r#"http_requests{http_method="GET", job="shop"}"#),
        (
            NameStrategy::NoUtf8EscapingWithSuffixes,
            r#"{"http.requests_bytes_per_second_total", "http.method"="GET", job="shop"}"#,
        ),
        (NameStrategy::NoTranslation, r#"{"http.requests", "http.method"="GET", job="shop"}"#),
    ] {
        let d = read(&body, &with(|m| m.naming.strategy = strategy));
        assert_eq!(names(&d), [want], "{strategy:?}");
        assert_eq!(d.batch.metadata[0].unit, "bytes_per_second");
    }
}

#[test]
fn promoted_attributes_give_way_to_the_points_and_identity_does_not() {
    let resource =
        [attribute("service.name", "shop"), attribute("k8s.pod", "p1"), attribute("zone", "z")].join(",");
    let point = [attribute("k8s.pod", "own"), attribute("job", "mine"), attribute("__name__", "n")].join(",");
    let body = request(&resource, &gauge(&point, 5));
    let only = Promote::Only(vec!["k8s.pod".into(), "zone".into(), "absent".into()]);
    let d = read(&body, &with(|m| m.promote = only));
    assert_eq!(names(&d)[0], r#"g{job="shop", k8s_pod="own", zone="z"}"#);
    let d = read(&body, &with(|m| m.promote = Promote::AllBut(vec!["zone".into(), "service.name".into()])));
    assert_eq!(names(&d)[0], r#"g{job="shop", k8s_pod="own"}"#);
    assert_eq!(names(&d)[1], r#"target_info{job="shop", k8s_pod="p1", zone="z"}"#, "it keeps the resource");
}

#[test]
fn scopes_become_labels_only_where_asked_and_never_of_target_info() {
    let resource = [attribute("service.name", "shop"), attribute("os", "linux")].join(",");
    let body = request(&resource, &gauge("", 5));
    assert_eq!(names(&read(&body, &Options::default()))[0], r#"g{job="shop"}"#);
    let d = read(&body, &with(|m| m.promote_scope = true));
    let want = r#"g{job="shop", otel_scope_a_b="x", otel_scope_name="lib", otel_scope_schema_url="https://s", otel_scope_version="1.2"}"#;
    assert_eq!(names(&d), [want, r#"target_info{job="shop", os="linux"}"#]);
}

#[test]
fn target_info_spans_the_points_keeps_identity_if_asked_and_is_bounded() {
    let resource = [attribute("service.name", "shop"), attribute("os", "linux")].join(",");
    let metrics = [gauge("", 1_000_000), gauge(&attribute("a", "b"), 1_400_000)].join(",");
    let d = read(&request(&resource, &metrics), &with(|m| m.keep_identifying = true));
    let target = d.batch.series.iter().position(|l| l.metric_name() == "target_info").unwrap();
    assert_eq!(
        d.batch.series[target].to_string(),
        r#"target_info{job="shop", os="linux", service_name="shop"}"#
    );
    let times = |d: &Decoded<MetricBatch>, s: usize| -> Vec<i64> {
        let of = d.batch.samples.series.iter().zip(&d.batch.samples.timestamp_ms);
        of.filter(|(i, _)| **i as usize == s).map(|(_, t)| *t).collect()
    };
    assert_eq!(times(&d, target), [1_100_000, 1_250_000, 1_400_000]);
    let metrics = [gauge("", 1), gauge(&attribute("a", "b"), 1_700_000_000_000)].join(",");
    let d = read(&request(&resource, &metrics), &Options::default());
    let target = d.batch.series.iter().position(|l| l.metric_name() == "target_info").unwrap();
    assert_eq!(times(&d, target).len(), 601);
    assert_eq!(times(&d, target).last(), Some(&1_700_000_000_000));
    let lone = read(&request(&attribute("service.name", "shop"), &gauge("", 5)), &Options::default());
    assert_eq!(names(&lone), [r#"g{job="shop"}"#], "identity alone needs no target_info");
}

const EXPLICIT: &str = r#"{"name":"rpc","unit":"s","histogram":{"aggregationTemporality":TEMPORALITY,"dataPoints":[{
    "count":"7","sum":3.5,"timeUnixNano":"9000000","startTimeUnixNano":"2000000","bucketCounts":["0","3","0","4"],"explicitBounds":[0.5,1,2],
    "exemplars":[{"asDouble":1.5,"timeUnixNano":"8000000","spanId":"00f067aa0ba902b7","traceId":"0af7651916cd43dd8448eb211c80319c",
      "filteredAttributes":[{"key":"http.path","value":{"stringValue":"/"}}]}]}]}}"#;

#[test]
fn explicit_histograms_become_custom_buckets_where_asked() {
    let body = request("", &EXPLICIT.replace("TEMPORALITY", "2"));
    let d = read(&body, &with(|m| m.histograms_to_custom = true));
    assert_eq!((names(&d), d.batch.samples.len()), (vec!["rpc_seconds".to_owned()], 0));
    let h = &d.batch.histograms[0];
    assert_eq!((h.timestamp_ms, h.start_ms, h.histogram.schema), (9, 2, CUSTOM_BUCKETS_SCHEMA));
    assert_eq!(h.histogram.custom_values, [0.5, 1.0, 2.0]);
    assert_eq!(h.histogram.positive_buckets, [3.0, 0.0, 4.0]);
    assert_eq!(h.histogram.positive_spans[0].offset, 1);
    let labels = Labels::from_pairs([
        ("http.path", "/"),
        ("span_id", "00f067aa0ba902b7"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ]);
    assert_eq!((&d.batch.exemplars[0].1.labels, d.batch.exemplars[0].1.timestamp_ms), (&labels, 8));
    let classic = read(&body, &Options::default());
    let of = classic.batch.exemplars[0].0 as usize;
    assert_eq!(classic.batch.series[of].value("le"), "2", "the exemplar goes with its bucket");
}

#[test]
fn deltas_are_marked_where_they_can_be_added_up_and_refused_where_not() {
    let metrics = [
        EXPLICIT.replace("TEMPORALITY", "1"),
        r#"{"name":"n","sum":{"aggregationTemporality":1,"dataPoints":[{"asInt":1,"timeUnixNano":"1"},{"flags":1,"timeUnixNano":"2"}]}}"#
            .to_owned(),
        r#"{"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":"1","zeroCount":"1","timeUnixNano":"1"}]}}"#
            .to_owned(),
        r#"{"name":"bad","sum":{"dataPoints":[{"asInt":1}]}}"#.to_owned(),
    ]
    .join(",");
    let body = request("", &metrics);
    let mut deltas = Deltas::default();
    let d = decode_json(body.as_bytes(), NOW_NS, &Options::default(), Some(&mut deltas)).unwrap();
    // Six series of the classic histogram, one sum; the stale marker is no difference.
    assert_eq!((d.batch.samples.len(), deltas.samples.as_slice()), (8, &[0, 1, 2, 3, 4, 5, 6][..]));
    assert_eq!(deltas.histograms, [0]);
    assert_eq!(d.refused.total(), 1, "a temporality that says nothing");
    assert!(d.batch.metadata.iter().any(|m| m.family == "rpc_seconds" && m.kind == MetricKind::Histogram));
    let d = decode_json(body.as_bytes(), NOW_NS, &Options::default(), None).unwrap();
    assert_eq!((d.refused.total(), d.batch.item_count()), (5, 0));
    assert!(d.refused.iter().all(|r| r.reason == Reason::Unsupported));
}

#[test]
fn points_whose_attributes_leave_no_name_are_refused_alone() {
    let metrics = [gauge(&attribute("__", "x"), 5), gauge(&attribute("", "x"), 5), gauge("", 5)].join(",");
    let d = read(&request("", &metrics), &Options::default());
    assert_eq!(names(&d), ["g"]);
    let refused = d.refused.iter().next().unwrap();
    assert_eq!((refused.reason, refused.count, refused.first), (Reason::InvalidLabels, 2, 0));
}

#[test]
fn a_long_description_costs_no_point() {
    let long = "ä".repeat(20_000);
    let body =
        request("", &gauge("", 5).replacen("\"name\"", &format!("\"description\":\"{long}\",\"name\""), 1));
    let d = read(&body, &Options::default());
    assert_eq!((d.refused.total(), d.batch.metadata[0].help.len()), (0, 16 << 10));
}

/// Number points and others in a request.
fn points(v: &serde_json::Value, kind: &str) -> (u64, u64) {
    match v {
        serde_json::Value::Object(o) => o.iter().map(|(k, v)| points(v, k)).fold((0, 0), add),
        serde_json::Value::Array(a) if kind == "dataPoints" => {
            let number = |p: &serde_json::Value| p.get("asInt").is_some() || p.get("asDouble").is_some();
            let numbers = a.iter().filter(|p| number(p)).count() as u64;
            (numbers, a.len() as u64 - numbers)
        }
        serde_json::Value::Array(a) => a.iter().map(|v| points(v, "")).fold((0, 0), add),
        _ => (0, 0),
    }
}

fn add(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0 + b.0, a.1 + b.1)
}

#[test]
fn every_point_of_pdatatest_is_stored_or_refused_with_a_reason() {
    let dir =
        std::path::Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data/pdatatest/pmetrictest/testdata");
    let Ok(cases) = std::fs::read_dir(&dir) else {
        println!("skipped: pdatatest is not beside the repository");
        return;
    };
    let (mut files, mut numbers, mut refused) = (0, 0, 0);
    for file in cases.flat_map(|c| std::fs::read_dir(c.unwrap().path()).unwrap()) {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let request: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let given = points(&request, "");
        let mut deltas = Deltas::default();
        let body = request.to_string();
        let d = decode_json(body.as_bytes(), NOW_NS, &Options::default(), Some(&mut deltas)).unwrap();
        let series = &d.batch.series;
        let own = |s: &u32| series[*s as usize].metric_name() != "target_info";
        let stored = d.batch.samples.series.iter().filter(|s| own(s)).count() as u64;
        if given.1 == 0 {
            assert_eq!(stored + d.refused.total(), given.0, "{}", path.display());
        }
        for r in d.refused.iter() {
            // Most of these sums leave their temporality out.
            assert!(
                matches!(r.reason, Reason::Unsupported | Reason::InvalidItem),
                "{r:?} in {}",
                path.display()
            );
        }
        (files, numbers, refused) = (files + 1, numbers + given.0, refused + d.refused.total());
    }
    println!("pdatatest: {files} files, {numbers} number points, {refused} points refused");
    assert!(files > 0 && refused < numbers);
}

proptest! {
    #[test]
    fn marks_point_at_what_was_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut deltas = Deltas::default();
        if let Ok(d) = decode_protobuf(&bytes, NOW_NS, &Options::default(), Some(&mut deltas)) {
            prop_assert!(deltas.samples.iter().all(|i| (*i as usize) < d.batch.samples.len()));
            prop_assert!(deltas.histograms.iter().all(|i| (*i as usize) < d.batch.histograms.len()));
        }
    }

    #[test]
    fn any_attributes_under_any_strategy_end_in_a_series_or_a_refusal(
        keys in proptest::collection::vec("[a-z_.é0-9]{0,6}", 0..6), strategy in 0..4usize, multiple: bool, prefix: bool,
    ) {
        let options = with(|m| {
            m.naming = Naming {
                strategy: NameStrategy::ALL[strategy],
                label_multiple_underscores: multiple,
                label_underscore_prefix: prefix,
            };
            m.promote = Promote::AllBut(Vec::new());
            m.promote_scope = true;
        });
        let attributes: Vec<_> = keys.iter().map(|k| attribute(k, "v")).collect();
        let d = read(&request(&attributes.join(","), &gauge(&attributes.join(","), 5)), &options);
        prop_assert!(d.batch.samples.len() as u64 + d.refused.total() >= 1);
    }
}
