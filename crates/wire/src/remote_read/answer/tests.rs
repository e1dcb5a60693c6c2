use model::{Matcher, histogram::BucketSpan};
use proptest::prelude::*;

use super::*;
use crate::remote_read::{ReadQuery, ReadSeries, decode, push_frames, push_series, response};

fn histogram() -> Histogram {
    Histogram {
        schema: 2,
        count: 5.0,
        sum: 1.25,
        zero_threshold: 0.001,
        zero_count: 2.0,
        positive_spans: vec![BucketSpan { offset: -1, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        is_integer: true,
        ..Histogram::default()
    }
}

#[test]
fn a_request_reads_back_as_it_was_written() {
    let matchers = vec![
        Matcher::equal("__name__", "up"),
        Matcher::new("job", MatchOp::NotRegex, "a|b").unwrap(),
        Matcher::new("x", MatchOp::NotEqual, "").unwrap(),
    ];
    let queries = vec![ReadQuery { start_ms: -5, end_ms: 7, matchers }];
    let request = ReadRequest { queries, accepted: vec![1, 0] };
    assert_eq!(decode(&encode(&request)).unwrap(), request);
    assert_eq!(decode(&encode(&ReadRequest::default())).unwrap(), ReadRequest::default());
}

#[test]
fn a_sampled_answer_reads_back_with_its_histograms() {
    let labels = Labels::from_pairs([("__name__", "up"), ("a", "b")]);
    let histograms = [(30, 0, histogram())];
    let series =
        ReadSeries { labels: &labels, timestamps_ms: &[1, 2], values: &[0.5, -1.0], histograms: &histograms };
    let mut result = Vec::new();
    push_series(&mut result, &series);
    let read = decode_answer(&response(&[result])).unwrap();
    let want = AnsweredSeries {
        labels,
        timestamps_ms: vec![1, 2],
        values: vec![0.5, -1.0],
        histograms: vec![(30, histogram())],
    };
    assert_eq!(read, [want]);
}

#[test]
fn frames_come_out_whole_however_they_come_in() {
    let labels = Labels::from_pairs([("__name__", "up")]);
    let times: Vec<i64> = (0..1000).map(|i| i * 15_000).collect();
    let values: Vec<f64> = (0..1000).map(|i| f64::from(i).sqrt()).collect();
    let series = ReadSeries { labels: &labels, timestamps_ms: &times, values: &values, histograms: &[] };
    let mut bytes = Vec::new();
    push_frames(&mut bytes, 0, &series, 2000);
    for step in [1, 7, 1000, bytes.len()] {
        let (mut frames, mut chunks) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(step) {
            frames.push(piece);
            while let Some(message) = frames.pull().unwrap() {
                for s in decode_frame(&message).unwrap() {
                    assert_eq!(s.labels, labels);
                    chunks.extend(s.chunks);
                }
            }
        }
        frames.end().unwrap();
        assert_eq!(chunks.len(), 9);
        assert!(chunks.windows(2).all(|w| w[0].max_ms < w[1].min_ms && w[0].encoding == 1));
    }
}

#[test]
fn a_cut_a_flipped_bit_and_a_huge_length_are_errors() {
    let labels = Labels::from_pairs([("__name__", "up")]);
    let series = ReadSeries { labels: &labels, timestamps_ms: &[1], values: &[1.0], histograms: &[] };
    let mut bytes = Vec::new();
    push_frames(&mut bytes, 0, &series, 2000);
    let mut cut = Frames::default();
    cut.push(&bytes[..bytes.len() - 1]);
    assert!(cut.pull().unwrap().is_none() && cut.end().is_err());
    *bytes.last_mut().unwrap() ^= 1;
    let mut flipped = Frames::default();
    flipped.push(&bytes);
    assert!(flipped.pull().unwrap_err().to_string().contains("checksum"));
    let mut huge = Frames::default();
    huge.push(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert!(huge.pull().is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_answer(&bytes);
        let _ = decode_frame(&Bytes::from(bytes.clone()));
        let mut frames = Frames::default();
        frames.push(&bytes);
        while let Ok(Some(_)) = frames.pull() {}
    }
}
