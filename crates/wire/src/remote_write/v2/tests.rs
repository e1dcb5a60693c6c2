use model::{
    Histogram, Labels, MetricBatch,
    histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, ResetHint},
    stale_marker,
};
use proptest::prelude::*;
use prost::Message;
use proto::prometheus_v2 as pb;

use super::*;

/// Builds requests the way a sender does.
#[derive(Default)]
struct Sender(Vec<String>);

impl Sender {
    fn new() -> Self {
        Sender(vec![String::new()])
    }

    fn refer(&mut self, s: &str) -> u32 {
        let at = self.0.iter().position(|k| k == s);
        at.unwrap_or_else(|| {
            self.0.push(s.to_owned());
            self.0.len() - 1
        }) as u32
    }

    fn series(&mut self, labels: &[(&str, &str)]) -> pb::TimeSeries {
        let labels_refs = labels.iter().flat_map(|(n, v)| [self.refer(n), self.refer(v)]).collect();
        pb::TimeSeries { labels_refs, ..Default::default() }
    }

    fn sampled(&mut self, labels: &[(&str, &str)]) -> pb::TimeSeries {
        let samples = vec![pb::Sample { value: 1.0, timestamp: 5, start_timestamp: 0 }];
        pb::TimeSeries { samples, ..self.series(labels) }
    }

    fn send(self, timeseries: Vec<pb::TimeSeries>) -> Decoded<MetricBatch> {
        let body = pb::Request { symbols: self.0, timeseries }.encode_to_vec();
        decode(&body, &Limits::default()).unwrap()
    }
}

fn refusals(d: &Decoded<MetricBatch>) -> Vec<(Reason, u64, u64)> {
    d.refused.iter().map(|r| (r.reason, r.count, r.first)).collect()
}

#[test]
fn a_series_is_read_with_starts_exemplars_and_its_familys_description() {
    let mut s = Sender::new();
    let mut t = s.series(&[("__name__", "rpc_bucket"), ("le", "1")]);
    t.samples = vec![
        pb::Sample { value: 3.0, timestamp: 10, start_timestamp: 7 },
        pb::Sample { value: stale_marker(), timestamp: 20, start_timestamp: 0 },
    ];
    let labels_refs = vec![s.refer("trace_id"), s.refer("abc")];
    t.exemplars = vec![pb::Exemplar { labels_refs, value: 0.5, timestamp: 9 }];
    let meta = pb::Metadata { r#type: 3, help_ref: s.refer("Calls."), unit_ref: s.refer("seconds") };
    t.metadata = Some(meta);
    let mut sum = s.sampled(&[("__name__", "rpc_sum")]);
    sum.metadata = Some(meta);
    let d = s.send(vec![t, sum]);
    assert_eq!(d.refused, Refusals::default());
    assert_eq!(d.batch.series[0], Labels::from_pairs([("__name__", "rpc_bucket"), ("le", "1")]));
    assert_eq!(d.batch.samples.timestamp_ms, [10, 20, 5]);
    assert_eq!(d.batch.samples.start_ms, [7, 0, 0]);
    assert!(model::is_stale_marker(d.batch.samples.value[1]));
    assert_eq!(d.batch.exemplars[0].1.labels, Labels::from_pairs([("trace_id", "abc")]));
    assert!(d.batch.metadata.iter().all(|m| m.family == "rpc" && m.kind == MetricKind::Histogram));
    assert_eq!((d.batch.metadata[0].help.as_str(), d.batch.metadata[0].unit.as_str()), ("Calls.", "seconds"));
}

#[test]
fn references_that_lead_nowhere_take_their_series_along_and_leave_the_rest() {
    let mut s = Sender::new();
    let good = s.sampled(&[("__name__", "good"), ("b", "2"), ("a", "1"), ("empty", "")]);
    let mut past = s.sampled(&[("__name__", "x")]);
    past.labels_refs.extend([99, 0]);
    let mut odd = s.sampled(&[("__name__", "x")]);
    odd.labels_refs.push(0);
    let mut help = s.sampled(&[("__name__", "x")]);
    help.metadata = Some(pb::Metadata { help_ref: 1000, ..Default::default() });
    let mut exemplar = s.sampled(&[("__name__", "y")]);
    exemplar.exemplars = vec![pb::Exemplar { labels_refs: vec![500, 501], value: 1.0, timestamp: 1 }];
    let nameless = s.sampled(&[("job", "a")]);
    let bare = s.sampled(&[]);
    let twice = s.sampled(&[("__name__", "x"), ("a", "1"), ("a", "2")]);
    let d = s.send(vec![good, past, odd, help, exemplar, nameless, bare, twice]);
    let names: Vec<_> = d.batch.series.iter().map(ToString::to_string).collect();
    assert_eq!(names, [r#"good{a="1", b="2"}"#, "y"]);
    assert_eq!(d.batch.samples.len(), 2);
    assert!(d.batch.exemplars.is_empty());
    // The exemplar counts beside the six samples.
    assert_eq!(refusals(&d), [(Reason::InvalidLabels, 7, 1)]);
    assert!(d.refused.iter().next().unwrap().detail.starts_with("reference 99 is past the"));
}

#[test]
fn series_of_metadata_or_exemplars_alone_are_taken() {
    let mut s = Sender::new();
    let mut described = s.series(&[("__name__", "orphan")]);
    described.metadata = Some(pb::Metadata { r#type: 1, help_ref: s.refer("help"), unit_ref: 0 });
    let mut exemplified = s.series(&[("__name__", "seen")]);
    exemplified.exemplars = vec![pb::Exemplar { labels_refs: vec![], value: 2.0, timestamp: 3 }];
    let d = s.send(vec![described, exemplified]);
    assert!(d.refused.is_empty());
    assert_eq!(d.batch.metadata[0].family, "orphan");
    assert_eq!(d.batch.series, [Labels::from_pairs([("__name__", "seen")])]);
    assert_eq!(d.batch.exemplars.len(), 1);
}

#[test]
fn floats_and_histograms_in_one_message_are_both_kept_and_bad_histograms_refused_alone() {
    let mut s = Sender::new();
    let mut t = s.sampled(&[("__name__", "h")]);
    let good = pb::Histogram {
        count: Some(pb::histogram::Count::CountInt(3)),
        schema: 20,
        positive_spans: vec![pb::BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![1, 1],
        timestamp: 8,
        start_timestamp: 4,
        ..Default::default()
    };
    let bad = pb::Histogram { count: Some(pb::histogram::Count::CountInt(9)), ..good.clone() };
    t.histograms = vec![bad, good];
    let d = s.send(vec![t]);
    let h = &d.batch.histograms[0];
    assert_eq!((h.timestamp_ms, h.start_ms, h.histogram.schema), (8, 4, 8), "finer schemas are merged");
    assert_eq!(h.histogram.positive_buckets, [3.0]);
    assert_eq!(refusals(&d), [(Reason::InvalidItem, 1, 1)]);
    assert!(d.refused.iter().next().unwrap().detail.contains("the buckets count 3, the count is 9"));
}

#[test]
fn a_body_of_version_1_is_an_empty_request() {
    let one = proto::prometheus::WriteRequest {
        timeseries: vec![proto::prometheus::TimeSeries::default()],
        metadata: vec![],
    };
    let d = decode(&one.encode_to_vec(), &Limits::default()).unwrap();
    assert!(d.batch.is_empty() && d.refused.is_empty());
}

#[test]
fn a_small_body_cannot_mean_gigabytes_of_labels() {
    let mut symbols: Vec<String> = vec![String::new(), "__name__".to_owned(), "x".repeat(16 << 10)];
    // Names differ so that every series is new, values are all the same long string.
    symbols.extend((0..100).map(|i| format!("label{i:02}")));
    symbols.extend((0..2000).map(|i| format!("m{i}")));
    let timeseries = (0..2000u32).map(|i| {
        let long = (3..103).flat_map(|name| [name, 2]);
        let labels_refs = [1, 103 + i].into_iter().chain(long).collect();
        let samples = vec![pb::Sample { value: 1.0, timestamp: 5, start_timestamp: 0 }];
        pb::TimeSeries { labels_refs, samples, ..Default::default() }
    });
    let request = pb::Request { timeseries: timeseries.collect(), symbols };
    let body = request.encode_to_vec();
    let d = decode(&body, &Limits::default()).unwrap();
    let held: usize = d.batch.series.iter().map(Labels::packed_len).sum();
    assert!(held <= body.len() * MAX_EXPANSION, "{held} bytes of labels from {}", body.len());
    let refused = d.refused.iter().next().unwrap();
    assert_eq!(refused.reason, Reason::TooLarge);
    assert_eq!(refused.count + d.batch.samples.len() as u64, 2000);
}

#[test]
fn bodies_that_contradict_themselves_are_errors() {
    let table = pb::Request { symbols: vec!["first".to_owned()], timeseries: vec![] }.encode_to_vec();
    let err = decode(&table, &Limits::default()).unwrap_err();
    assert!(err.to_string().contains("the first symbol is not the empty string"), "{err}");
    let mut s = Sender::new();
    let t = s.sampled(&[("__name__", "up")]);
    let body = pb::Request { symbols: s.0, timeseries: vec![t] }.encode_to_vec();
    for n in 3..body.len() {
        // A cut between two symbols is a shorter request.
        let cut = decode(&body[..n], &Limits::default());
        assert!(cut.is_err() || cut.unwrap().batch.is_empty(), "{n} of {} bytes", body.len());
    }
}

#[test]
fn a_symbol_that_is_no_text_refuses_who_uses_it() {
    let mut body = vec![0x22, 0, 0x22, 8];
    body.extend(b"__name__");
    body.extend([0x22, 2, 0xff, 0xfe, 0x22, 1, b'u']);
    for name in [2u32, 3] {
        let samples = vec![pb::Sample { value: 1.0, timestamp: 5, start_timestamp: 0 }];
        let t = pb::TimeSeries { labels_refs: vec![1, name], samples, ..Default::default() };
        prost::encoding::message::encode(5, &t, &mut body);
    }
    let d = decode(&body, &Limits::default()).unwrap();
    assert_eq!(d.batch.series, [Labels::from_pairs([("__name__", "u")])]);
    assert_eq!(refusals(&d), [(Reason::InvalidLabels, 1, 0)]);
}

fn batches() -> impl Strategy<Value = MetricBatch> {
    let labels = proptest::collection::btree_map("[a-z]{1,4}", ".{1,8}", 0..4);
    let samples = proptest::collection::vec((any::<i64>(), any::<u64>(), any::<i64>()), 0..4);
    let native = proptest::collection::vec((any::<i64>(), 0..9u8, any::<bool>()), 0..3);
    let series = proptest::collection::vec((labels, samples, native), 1..6);
    series.prop_map(|series| {
        let mut batch = MetricBatch::default();
        for (i, (labels, samples, native)) in series.into_iter().enumerate() {
            let s = batch.push_series(Labels::from_pairs(labels).with("__name__", &format!("m{i}")));
            for (t, bits, start) in samples {
                batch.samples.push_started(s, t, f64::from_bits(bits), start);
            }
            for (timestamp_ms, n, custom) in native {
                let histogram = histogram_of(n, custom);
                batch.histograms.push(HistogramSample { series: s, timestamp_ms, start_ms: 3, histogram });
            }
            let labels = Labels::from_pairs([("trace_id", "abc")]);
            batch.exemplars.push((s, Exemplar { labels, value: 0.5, timestamp_ms: 9 }));
            let (family, unit, help) = (format!("m{i}"), "bytes".to_owned(), "help".to_owned());
            batch.metadata.push(MetricMetadata { family, kind: MetricKind::Counter, unit, help });
        }
        batch
    })
}

fn histogram_of(n: u8, custom: bool) -> Histogram {
    let buckets: Vec<f64> = (0..=n).map(f64::from).collect();
    Histogram {
        reset_hint: ResetHint::Gauge,
        schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { 3 },
        count: buckets.iter().sum(),
        sum: 2.5,
        positive_spans: vec![BucketSpan { offset: 0, length: u32::from(n) + 1 }],
        positive_buckets: buckets,
        custom_values: if custom { (0..n).map(f64::from).collect() } else { vec![] },
        is_integer: n.is_multiple_of(2),
        ..Histogram::default()
    }
}

fn bits(batch: &MetricBatch) -> Vec<u64> {
    batch.samples.value.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_prost_reads_the_same(batch in batches()) {
        let bytes = encode(&batch);
        let d = decode(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(&d.refused, &Refusals::default());
        prop_assert_eq!(&d.batch.series, &batch.series);
        prop_assert_eq!(bits(&d.batch), bits(&batch));
        prop_assert_eq!(&d.batch.samples.timestamp_ms, &batch.samples.timestamp_ms);
        let starts = |b: &MetricBatch| (0..b.samples.len()).map(|i| b.samples.start_of(i)).collect::<Vec<_>>();
        prop_assert_eq!(starts(&d.batch), starts(&batch));
        prop_assert_eq!(&d.batch.histograms, &batch.histograms);
        prop_assert_eq!(&d.batch.exemplars, &batch.exemplars);
        prop_assert_eq!(&d.batch.metadata, &batch.metadata);
        let oracle = pb::Request::decode(&bytes[..]).unwrap();
        prop_assert!(oracle.timeseries.iter().all(|t| t.samples.is_empty() || t.histograms.is_empty()));
        let again = decode(&oracle.encode_to_vec(), &Limits::default()).unwrap();
        prop_assert_eq!(bits(&again.batch), bits(&batch));
        prop_assert_eq!(&again.batch.histograms, &batch.histograms);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes, &Limits::default());
    }

    #[test]
    fn damaged_requests_never_panic(batch in batches(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = encode(&batch);
        let at = at.index(bytes.len());
        bytes[at] = with;
        let _ = decode(&bytes, &Limits::default());
    }
}
