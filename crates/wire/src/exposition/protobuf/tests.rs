use model::{Histogram as Native, histogram::ResetHint};
use proptest::prelude::*;
use prost::Message;
use proto::exposition as pb;

use super::super::{Histograms, Limits};
use super::*;

fn text(s: &str) -> Option<String> {
    Some(s.to_owned())
}

fn pair(n: &str, v: &str) -> pb::LabelPair {
    pb::LabelPair { name: text(n), value: text(v) }
}

fn time(ms: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: ms / 1000, nanos: (ms % 1000 * 1_000_000) as i32 })
}

fn exemplar(value: f64, at: Option<i64>) -> pb::Exemplar {
    pb::Exemplar { label: vec![pair("trace_id", "t")], value: Some(value), timestamp: at.and_then(time) }
}

fn family(name: &str, kind: pb::MetricType, metric: pb::Metric) -> pb::MetricFamily {
    pb::MetricFamily {
        name: text(name),
        help: text("Help."),
        r#type: Some(kind as i32),
        metric: vec![pb::Metric { label: vec![pair("a", "b")], ..metric }],
        unit: None,
    }
}

fn body(families: &[pb::MetricFamily]) -> Vec<u8> {
    families.iter().flat_map(|f| f.encode_length_delimited_to_vec()).collect()
}

fn read_with(body: &[u8], histograms: Histograms) -> Result<Exposition, Error> {
    let limits = Limits::default();
    parse_protobuf(body, &ScrapeOptions { histograms, ..ScrapeOptions::new(1000, &limits) })
}

fn read(families: &[pb::MetricFamily]) -> Exposition {
    read_with(&body(families), Histograms::default()).unwrap()
}

fn lines(e: &Exposition) -> Vec<String> {
    let s = &e.batch.samples;
    (0..s.len())
        .map(|i| {
            let labels = &e.batch.series[s.series[i] as usize];
            format!("{labels} {} @{} from {}", s.value[i], s.timestamp_ms[i], s.start_of(i))
        })
        .collect()
}

#[test]
fn plain_types_are_read_with_times_starts_and_exemplars() {
    let counter = pb::Counter {
        value: Some(3.0),
        exemplar: Some(exemplar(0.5, Some(800))),
        created_timestamp: time(500),
    };
    let summary = pb::Summary {
        sample_count: Some(2),
        sample_sum: Some(1.5),
        quantile: vec![pb::Quantile { quantile: Some(0.5), value: Some(7.0) }],
        created_timestamp: time(400),
    };
    let gauge = pb::Gauge { value: Some(-1.0) };
    let e = read(&[
        family(
            "c_total",
            pb::MetricType::Counter,
            pb::Metric { counter: Some(counter), ..Default::default() },
        ),
        family(
            "g",
            pb::MetricType::Gauge,
            pb::Metric { gauge: Some(gauge), timestamp_ms: Some(900), ..Default::default() },
        ),
        family("s", pb::MetricType::Summary, pb::Metric { summary: Some(summary), ..Default::default() }),
        family("u", pb::MetricType::Untyped, pb::Metric::default()),
        pb::MetricFamily { name: text("nothing"), ..Default::default() },
    ]);
    assert_eq!(
        lines(&e),
        [
            r#"c_total{a="b"} 3 @1000 from 500"#,
            r#"g{a="b"} -1 @900 from 0"#,
            r#"s_count{a="b"} 2 @1000 from 400"#,
            r#"s_sum{a="b"} 1.5 @1000 from 400"#,
            r#"s{a="b", quantile="0.5"} 7 @1000 from 400"#,
            r#"u{a="b"} 0 @1000 from 0"#,
        ]
    );
    assert_eq!(e.timed, [false, true, false, false, false, false]);
    assert_eq!((e.batch.exemplars[0].1.timestamp_ms, e.batch.exemplars[0].1.value), (800, 0.5));
    let kinds: Vec<_> = e.batch.metadata.iter().map(|m| (m.family.as_str(), m.kind)).collect();
    assert_eq!(kinds[0], ("c_total", MetricKind::Counter));
    assert_eq!(kinds.len(), 4, "a family without metrics describes nothing");
}

/// A histogram that is both classic and native.
fn both() -> pb::Histogram {
    let bucket = |upper: f64, n: u64, at: Option<i64>| pb::Bucket {
        cumulative_count: Some(n),
        cumulative_count_float: None,
        upper_bound: Some(upper),
        exemplar: Some(exemplar(upper, at)),
    };
    pb::Histogram {
        sample_count: Some(6),
        sample_sum: Some(9.5),
        bucket: vec![bucket(1.0, 2, None), bucket(2.0, 5, Some(700))],
        created_timestamp: time(300),
        schema: Some(1),
        zero_threshold: Some(0.001),
        zero_count: Some(1),
        positive_span: vec![pb::BucketSpan { offset: Some(-1), length: Some(2) }],
        positive_delta: vec![1, 3],
        ..Default::default()
    }
}

fn histogram(h: pb::Histogram) -> pb::MetricFamily {
    family("h", pb::MetricType::Histogram, pb::Metric { histogram: Some(h), ..Default::default() })
}

#[test]
fn native_histograms_are_read_and_the_classic_part_where_asked() {
    let e = read(&[histogram(both())]);
    assert_eq!(e.batch.samples.len(), 0);
    let h = &e.batch.histograms[0];
    assert_eq!((h.timestamp_ms, h.start_ms), (1000, 300));
    let want = Native {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 1.0,
        count: 6.0,
        sum: 9.5,
        positive_spans: vec![model::histogram::BucketSpan { offset: -1, length: 2 }],
        positive_buckets: vec![1.0, 4.0],
        is_integer: true,
        ..Native::default()
    };
    assert_eq!(h.histogram, want);
    assert_eq!(e.batch.exemplars.len(), 1, "of the classic buckets only the one with a time");
    let classic = [
        r#"h_count{a="b"} 6 @1000 from 300"#,
        r#"h_sum{a="b"} 9.5 @1000 from 300"#,
        r#"h_bucket{a="b", le="1.0"} 2 @1000 from 300"#,
        r#"h_bucket{a="b", le="2.0"} 5 @1000 from 300"#,
        r#"h_bucket{a="b", le="+Inf"} 6 @1000 from 300"#,
    ];
    let bytes = body(&[histogram(both())]);
    let e = read_with(&bytes, Histograms { classic: true, ..Histograms::default() }).unwrap();
    assert_eq!((lines(&e), e.batch.histograms.len()), (classic.map(str::to_owned).to_vec(), 1));
    let e = read_with(&bytes, Histograms { native: false, classic: false }).unwrap();
    assert_eq!((lines(&e), e.batch.histograms.len()), (classic.map(str::to_owned).to_vec(), 0));
    assert_eq!(e.batch.exemplars.len(), 2);
}

#[test]
fn float_and_gauge_histograms_keep_what_they_are() {
    let h = pb::Histogram {
        sample_count_float: Some(2.5),
        zero_count_float: Some(1.0),
        schema: Some(0),
        positive_span: vec![
            pb::BucketSpan { offset: Some(0), length: Some(0) },
            pb::BucketSpan { offset: Some(3), length: Some(1) },
        ],
        positive_count: vec![1.5],
        exemplars: vec![exemplar(1.0, None), exemplar(2.0, Some(5))],
        ..Default::default()
    };
    let mut f = histogram(h);
    f.r#type = Some(pb::MetricType::GaugeHistogram as i32);
    let e = read(&[f]);
    let h = &e.batch.histograms[0].histogram;
    assert!(!h.is_integer && h.reset_hint == ResetHint::Gauge);
    assert_eq!((h.positive_spans[0].offset, h.positive_spans.len()), (3, 1), "a span of nothing is folded");
    assert_eq!(e.batch.exemplars.len(), 1);
    let empty = pb::Histogram {
        positive_span: vec![pb::BucketSpan { offset: Some(0), length: Some(0) }],
        ..Default::default()
    };
    let e = read(&[histogram(empty)]);
    assert_eq!((e.batch.histograms.len(), e.batch.samples.len()), (1, 0), "that span makes it native");
    let e = read(&[histogram(pb::Histogram::default())]);
    assert_eq!((e.batch.histograms.len(), e.batch.samples.len()), (0, 3));
}

#[test]
fn what_contradicts_itself_refuses_the_scrape_by_name() {
    let short = pb::Histogram { positive_delta: vec![1], ..both() };
    let err = read_with(&body(&[histogram(short)]), Histograms::default()).unwrap_err();
    assert!(err.to_string().contains("metric \"h\": positive spans cover 2 buckets but 1"), "{err}");
    let nameless = pb::MetricFamily { metric: vec![pb::Metric::default()], ..Default::default() };
    assert!(read_with(&body(&[nameless]), Histograms::default()).is_err());
    let mut unknown = family("x", pb::MetricType::Gauge, pb::Metric::default());
    unknown.r#type = Some(9);
    assert!(read_with(&body(&[unknown]), Histograms::default()).unwrap_err().to_string().contains("type 9"));
    let whole = body(&[histogram(both())]);
    assert!(read_with(&whole[..whole.len() - 1], Histograms::default()).is_err());
    let twice = pb::Metric { label: vec![pair("a", "1"), pair("a", "2")], ..Default::default() };
    let mut f = family("x", pb::MetricType::Gauge, pb::Metric::default());
    f.metric = vec![twice];
    assert!(read_with(&body(&[f]), Histograms::default()).unwrap_err().to_string().contains("given twice"));
}

#[test]
fn the_content_type_chooses_protobuf() {
    let limits = Limits::default();
    let options = ScrapeOptions::new(1000, &limits);
    let media =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let gauge = pb::Metric { gauge: Some(pb::Gauge { value: Some(1.0) }), ..Default::default() };
    let bytes = body(&[family("g", pb::MetricType::Gauge, gauge)]);
    assert_eq!(super::super::parse(media, &bytes, &options).unwrap().batch.samples.value, [1.0]);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), native: bool, classic: bool) {
        let _ = read_with(&bytes, Histograms { native, classic });
    }

    #[test]
    fn damaged_expositions_never_panic(at in any::<prop::sample::Index>(), with in any::<u8>(), native: bool) {
        let mut bytes = body(&[histogram(both())]);
        let at = at.index(bytes.len());
        bytes[at] = with;
        let _ = read_with(&bytes, Histograms { native, classic: true });
    }
}
