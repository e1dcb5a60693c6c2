use model::{
    Histogram, Labels, MetricBatch,
    histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, ResetHint},
    stale_marker,
};
use proptest::prelude::*;
use prost::Message;
use proto::prometheus::{Label, Sample, TimeSeries, WriteRequest};

use super::*;

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    TimeSeries {
        labels: labels.iter().map(|(n, v)| label(n, v)).collect(),
        samples: samples
            .iter()
            .map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp })
            .collect(),
        ..Default::default()
    }
}

fn decode(request: &WriteRequest) -> Decoded<MetricBatch> {
    decode_v1(&request.encode_to_vec(), &Limits::default()).unwrap()
}

#[test]
fn a_series_sent_in_pieces_and_in_any_label_order_is_one_series() {
    let d = decode(&WriteRequest {
        timeseries: vec![
            series(&[("__name__", "up"), ("job", "a")], &[(1, 1.0), (2, 0.0)]),
            series(&[("job", "a"), ("empty", ""), ("__name__", "up")], &[(3, 5.0)]),
        ],
        metadata: vec![],
    });
    assert_eq!(d.batch.series, [Labels::from_pairs([("__name__", "up"), ("job", "a")])]);
    assert_eq!(d.batch.samples.timestamp_ms, [1, 2, 3]);
    assert!(d.refused.is_empty() && d.all_timed);
}

#[test]
fn series_that_break_a_rule_are_refused_with_their_samples() {
    let long = "x".repeat(1 << 20);
    let d = decode(&WriteRequest {
        timeseries: vec![
            series(&[("job", "a")], &[(1, 1.0), (2, 1.0)]),
            series(&[("__name__", "ok")], &[(1, 1.0)]),
            series(&[("__name__", "x"), (&long, "v")], &[(1, 1.0)]),
            series(&[("__name__", "x"), ("a", "1"), ("a", "2")], &[(1, 1.0)]),
            series(&[("__name__", "x"), ("", "1")], &[(1, 1.0)]),
        ],
        metadata: vec![],
    });
    assert_eq!(d.batch.series.len(), 1);
    let refused: Vec<_> = d.refused.into_iter().collect();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].reason, refused[0].count, refused[0].first), (Reason::InvalidLabels, 5, 0));
    assert_eq!(refused[0].detail, "a series has no __name__");
}

#[test]
fn labels_may_come_after_samples() {
    let request = series(&[("__name__", "late")], &[(7, 1.5)]);
    let mut bytes = Vec::new();
    // Samples first, labels last: allowed on the wire.
    for s in &request.samples {
        prost::encoding::message::encode(2, s, &mut bytes);
    }
    for l in &request.labels {
        prost::encoding::message::encode(1, l, &mut bytes);
    }
    let mut body = vec![0x0a, bytes.len() as u8];
    body.append(&mut bytes);
    let d = decode_v1(&body, &Limits::default()).unwrap();
    assert_eq!(d.batch.series[0].metric_name(), "late");
    assert_eq!(d.batch.samples.value, [1.5]);
}

#[test]
fn native_histograms_come_back_bit_for_bit() {
    let integer = Histogram {
        reset_hint: ResetHint::NotReset,
        schema: -4,
        zero_threshold: 1e-128,
        zero_count: 2.0,
        count: 12.0,
        sum: -3.25,
        positive_spans: vec![BucketSpan { offset: -3, length: 2 }, BucketSpan { offset: 5, length: 1 }],
        positive_buckets: vec![4.0, 1.0, 3.0],
        negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
        negative_buckets: vec![2.0],
        custom_values: vec![],
        is_integer: true,
    };
    let float = Histogram {
        is_integer: false,
        count: 0.5,
        positive_buckets: vec![0.25, 0.125, 0.5],
        ..integer.clone()
    };
    let custom = Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: vec![0.1, 1.0, 10.0],
        positive_spans: vec![BucketSpan { offset: 0, length: 4 }],
        positive_buckets: vec![1.0, 0.0, 2.0, 1.0],
        count: 4.0,
        sum: 22.0,
        is_integer: true,
        ..Histogram::default()
    };
    let stale = Histogram { sum: stale_marker(), is_integer: true, ..Histogram::default() };
    let mut batch = MetricBatch::default();
    let s = batch.push_series(Labels::from_pairs([("__name__", "h")]));
    for (i, histogram) in [integer, float, custom, stale].into_iter().enumerate() {
        batch.histograms.push(HistogramSample { series: s, timestamp_ms: i as i64, start_ms: 0, histogram });
    }
    let d = decode_v1(&encode(&batch), &Limits::default()).unwrap();
    assert_eq!(d.refused, Refusals::default());
    assert_eq!(d.batch, batch);
}

#[test]
fn a_histogram_that_contradicts_itself_is_refused_alone() {
    let mut batch = MetricBatch::default();
    let s = batch.push_series(Labels::from_pairs([("__name__", "h")]));
    let bad = Histogram { schema: 60, is_integer: true, ..Histogram::default() };
    let far = Histogram {
        positive_spans: vec![
            BucketSpan { offset: i32::MAX, length: 1 },
            BucketSpan { offset: i32::MAX, length: 1 },
        ],
        positive_buckets: vec![1.0, 1.0],
        is_integer: true,
        ..Histogram::default()
    };
    for histogram in [bad, far, Histogram { is_integer: true, ..Histogram::default() }] {
        batch.histograms.push(HistogramSample { series: s, timestamp_ms: 1, start_ms: 0, histogram });
    }
    let d = decode_v1(&encode(&batch), &Limits::default()).unwrap();
    assert_eq!(d.batch.histograms.len(), 1);
    let refused: Vec<_> = d.refused.into_iter().collect();
    assert_eq!((refused[0].reason, refused[0].count), (Reason::InvalidItem, 2));
    assert!(refused[0].detail.contains("schema 60"), "{}", refused[0].detail);
}

#[test]
fn cut_and_foreign_bodies_are_errors() {
    let body =
        WriteRequest { timeseries: vec![series(&[("__name__", "up")], &[(1, 1.0)])], metadata: vec![] }
            .encode_to_vec();
    for n in 1..body.len() {
        let cut = decode_v1(&body[..n], &Limits::default());
        assert!(cut.is_err(), "{n} of {} bytes", body.len());
    }
    let err = decode_v1(b"{\"streams\":[]}", &Limits::default()).unwrap_err();
    assert!(err.to_string().starts_with("remote write request is not valid protobuf"), "{err}");
}

fn refusals(d: &Decoded<MetricBatch>) -> Vec<String> {
    d.refused.clone().into_iter().map(|r| format!("{r:?}")).collect()
}

/// Decodes with and without what is known; both must say the same.
fn both(bytes: &[u8], known: &mut KnownSeries) -> bool {
    let plain = decode_v1(bytes, &Limits::default());
    let quick = decode_v1_known(bytes, &Limits::default(), known);
    let (Ok(p), Ok(q)) = (&plain, &quick) else {
        assert_eq!(plain.is_err(), quick.is_err(), "{plain:?} {quick:?}");
        return false;
    };
    assert_eq!((&p.batch.series, bits(&p.batch)), (&q.batch.series, bits(&q.batch)));
    assert_eq!(
        (&p.batch.samples.series, &p.batch.samples.timestamp_ms),
        (&q.batch.samples.series, &q.batch.samples.timestamp_ms)
    );
    assert_eq!((&p.batch.exemplars, &p.batch.metadata), (&q.batch.exemplars, &q.batch.metadata));
    assert_eq!(refusals(p), refusals(q));
    true
}

#[test]
fn a_repeated_series_is_found_by_its_bytes_in_any_order_and_shares_its_labels() {
    let names: Vec<String> = (0..50).map(|i| format!("m{i}")).collect();
    let request = |order: &mut dyn Iterator<Item = usize>, t: i64| {
        let timeseries = order
            .map(|i| series(&[("__name__", &names[i]), ("job", "a")], &[(t, i as f64)]))
            .collect::<Vec<_>>();
        WriteRequest { timeseries, metadata: vec![] }.encode_to_vec()
    };
    let mut known = KnownSeries::new(1 << 20);
    assert!(both(&request(&mut (0..50), 1), &mut known));
    let held = known.bytes();
    assert!(both(&request(&mut (0..50), 2), &mut known));
    assert!(both(&request(&mut (0..50).rev(), 3), &mut known));
    assert!(both(&request(&mut (10..20).chain(0..30), 4), &mut known), "twice in one request");
    assert_eq!(known.bytes(), held, "nothing was new");
    let mut small = KnownSeries::new(held / 2);
    for t in 0..4 {
        assert!(both(&request(&mut (0..50), t), &mut small));
        assert!(small.bytes() <= held, "{}", small.bytes());
    }
}

#[test]
fn requests_that_write_labels_in_another_way_are_read_as_ever() {
    let mut known = KnownSeries::new(1 << 20);
    let good = series(&[("__name__", "up"), ("job", "a")], &[(1, 1.0)]);
    let odd = [
        series(&[("job", "a"), ("__name__", "up")], &[(2, 2.0)]),
        series(&[("__name__", "up"), ("empty", ""), ("job", "a")], &[(3, 3.0)]),
        series(&[("job", "a")], &[(4, 4.0)]),
        series(&[("__name__", "up"), ("job", "a"), ("job", "a")], &[(5, 5.0)]),
        series(&[("__name__", "up"), ("job", "a")], &[]),
    ];
    for odd in odd {
        for timeseries in [vec![good.clone(), odd.clone()], vec![odd, good.clone()]] {
            assert!(both(&WriteRequest { timeseries, metadata: vec![] }.encode_to_vec(), &mut known));
        }
    }
}

fn batches() -> impl Strategy<Value = MetricBatch> {
    let labels = proptest::collection::btree_map("[a-z]{1,4}", ".{1,8}", 0..4);
    let samples = proptest::collection::vec((any::<i64>(), any::<u64>()), 1..4);
    let series = proptest::collection::vec((labels, samples), 1..6);
    (series, proptest::collection::vec(("[a-z]{1,6}", 0..8usize, ".{0,9}"), 0..3)).prop_map(
        |(series, metadata)| {
            let mut batch = MetricBatch::default();
            for (i, (labels, samples)) in series.into_iter().enumerate() {
                let labels = Labels::from_pairs(labels).with("__name__", &format!("m{i}"));
                let s = batch.push_series(labels);
                for (t, bits) in samples {
                    batch.samples.push(s, t, f64::from_bits(bits));
                }
                let labels = Labels::from_pairs([("trace_id", "abc")]);
                batch.exemplars.push((s, Exemplar { labels, value: 0.5, timestamp_ms: 9 }));
            }
            for (family, kind, help) in metadata {
                let kind = MetricKind::ALL[kind];
                batch.metadata.push(MetricMetadata { family, kind, unit: "bytes".to_owned(), help });
            }
            batch
        },
    )
}

fn bits(batch: &MetricBatch) -> Vec<u64> {
    batch.samples.value.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_prost_reads_the_same(batch in batches()) {
        let bytes = encode(&batch);
        let d = decode_v1(&bytes, &Limits::default()).unwrap();
        prop_assert!(d.refused.is_empty());
        prop_assert_eq!(&d.batch.series, &batch.series);
        prop_assert_eq!(bits(&d.batch), bits(&batch));
        prop_assert_eq!(&d.batch.samples.timestamp_ms, &batch.samples.timestamp_ms);
        prop_assert_eq!(&d.batch.exemplars, &batch.exemplars);
        prop_assert_eq!(&d.batch.metadata, &batch.metadata);
        let oracle = WriteRequest::decode(&bytes[..]).unwrap();
        prop_assert_eq!(oracle.timeseries.len(), batch.series.len());
        let again = decode_v1(&oracle.encode_to_vec(), &Limits::default()).unwrap();
        prop_assert_eq!(bits(&again.batch), bits(&batch));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        both(&bytes, &mut KnownSeries::new(1 << 10));
    }

    #[test]
    fn what_is_known_changes_no_answer(
        sent in proptest::collection::vec(batches(), 1..4),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut known = KnownSeries::new(1 << 12);
        for batch in sent.iter().chain(&sent) {
            prop_assert!(both(&encode(batch), &mut known));
            if let Some((at, with)) = damage {
                let mut bytes = encode(batch);
                let at = at.index(bytes.len());
                bytes[at] = with;
                both(&bytes, &mut known);
            }
        }
    }

    #[test]
    fn damaged_requests_never_panic(batch in batches(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = encode(&batch);
        let at = at.index(bytes.len());
        bytes[at] = with;
        let _ = decode_v1(&bytes, &Limits::default());
    }
}
