use super::*;
use crate::{
    Limits,
    exposition::{ScrapeOptions, parse_text},
};

fn exposed(pairs: &[(&str, &str)], value: ExposedValue) -> Exposed {
    Exposed { labels: Labels::from_pairs(pairs.iter().copied()), blank: None, at_ms: 1700, value }
}

fn custom() -> Histogram {
    Histogram {
        schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
        count: 7.0,
        sum: 12.5,
        custom_values: vec![0.5, 1.0, 2.0],
        positive_spans: vec![BucketSpan { offset: 0, length: 1 }, BucketSpan { offset: 1, length: 2 }],
        positive_buckets: vec![1.0, 2.0, 4.0],
        ..Histogram::default()
    }
}

#[test]
fn the_text_reads_back_as_it_was_and_leaves_native_histograms_out() {
    let native = Histogram { schema: 3, count: 1.0, ..Histogram::default() };
    let samples = [
        exposed(&[("__name__", "a"), ("l", "x\"\\\ny")], ExposedValue::Float(1e9)),
        exposed(&[("__name__", "a"), ("l", "z")], ExposedValue::Float(f64::NEG_INFINITY)),
        exposed(&[("__name__", "h")], ExposedValue::Histogram(Box::new(native))),
        exposed(&[("__name__", "k"), ("x", "1")], ExposedValue::Histogram(Box::new(custom()))),
        exposed(&[("__name__", "my.metric"), ("a.b", "c")], ExposedValue::Float(0.25)),
    ];
    let text = String::from_utf8(write_text(&samples, Names::Quoted)).unwrap();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "# TYPE a untyped",
            "a{l=\"x\\\"\\\\\\ny\"} 1e+09 1700",
            "a{l=\"z\"} -Inf 1700",
            "# TYPE k histogram",
            "k_bucket{x=\"1\",le=\"0.5\"} 1 1700",
            "k_bucket{x=\"1\",le=\"1\"} 1 1700",
            "k_bucket{x=\"1\",le=\"2\"} 3 1700",
            "k_bucket{x=\"1\",le=\"+Inf\"} 7 1700",
            "k_sum{x=\"1\"} 12.5 1700",
            "k_count{x=\"1\"} 7 1700",
            "# TYPE \"my.metric\" untyped",
            "{\"my.metric\",\"a.b\"=\"c\"} 0.25 1700",
        ]
    );
    let limits = Limits::default();
    let options = ScrapeOptions::new(0, &limits);
    let read = parse_text(text.as_bytes(), &options).unwrap().batch;
    assert_eq!(read.series[0].value("l"), "x\"\\\ny");
    assert_eq!(read.samples.timestamp_ms[0], 1700);
    let blank = [Exposed { blank: Some("instance"), ..samples[1].clone() }];
    let text = String::from_utf8(write_text(&blank, Names::Quoted)).unwrap();
    assert_eq!(text, "# TYPE a untyped\na{l=\"z\",instance=\"\"} -Inf 1700\n");
    let plain = String::from_utf8(write_text(&samples[4..], Names::Underscores)).unwrap();
    assert_eq!(plain, "# TYPE my_metric untyped\nmy_metric{a_b=\"c\"} 0.25 1700\n");
}

#[test]
fn numbers_look_as_go_prints_them() {
    let cases = [
        (0.0, "0"),
        (1.0, "1"),
        (999_999.0, "999999"),
        (1_234_567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (-2.5e100, "-2.5e+100"),
        (f64::INFINITY, "+Inf"),
    ];
    for (v, want) in cases {
        assert_eq!(float(v), want);
    }
}

#[test]
fn protobuf_families_carry_native_histograms_whole() {
    let native = Histogram {
        schema: 3,
        count: 3.0,
        sum: 2.0,
        zero_threshold: 0.001,
        positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..Histogram::default()
    };
    let samples = [
        exposed(&[("__name__", "a"), ("l", "x")], ExposedValue::Float(2.0)),
        exposed(&[("__name__", "h")], ExposedValue::Histogram(Box::new(native))),
        exposed(&[("__name__", "k")], ExposedValue::Histogram(Box::new(custom()))),
    ];
    let bytes = write_protobuf(&samples);
    let mut rest = &bytes[..];
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(pb::MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    assert_eq!(families.len(), 3);
    assert_eq!(families[0].metric[0].untyped.unwrap().value, Some(2.0));
    let h = families[1].metric[0].histogram.as_ref().unwrap();
    assert_eq!((h.schema, &h.positive_count), (Some(3), &vec![1.0, 2.0]));
    let k = families[2].metric[0].histogram.as_ref().unwrap();
    assert_eq!(
        k.bucket.iter().map(|b| b.cumulative_count_float.unwrap()).collect::<Vec<_>>(),
        [1.0, 1.0, 3.0, 7.0]
    );
}
