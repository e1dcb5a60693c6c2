use model::histogram::{BucketSpan, ResetHint};
use proptest::prelude::*;

use super::*;
use crate::protobuf::zigzag;

/// Reads what [`bits::BitWriter`] writes.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn take(&mut self, n: usize) -> u64 {
        (0..n).fold(0, |acc, _| {
            let bit = self.0[self.1 / 8] >> (7 - self.1 % 8) & 1;
            self.1 += 1;
            acc << 1 | u64::from(bit)
        })
    }

    fn signed(&mut self, n: usize) -> i64 {
        let v = self.take(n);
        if n < 64 && v > 1 << (n - 1) { v as i64 - (1 << n) } else { v as i64 }
    }

    fn ones(&mut self, max: usize) -> usize {
        (0..max).take_while(|_| self.take(1) == 1).count()
    }

    fn uvarint(&mut self) -> u64 {
        let (mut v, mut shift) = (0, 0);
        loop {
            let b = self.take(8);
            v |= (b & 0x7f) << shift;
            shift += 7;
            if b < 0x80 {
                return v;
            }
        }
    }

    fn varbit_int(&mut self) -> i64 {
        let width = [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)];
        if width == 0 { 0 } else { self.signed(width) }
    }

    fn varbit_uint(&mut self) -> u64 {
        let width = [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)];
        self.take(width)
    }

    fn xor(&mut self, value: &mut f64, window: &mut (usize, usize)) -> f64 {
        if self.take(1) == 1 {
            if self.take(1) == 1 {
                let (leading, significant) = (self.take(5) as usize, self.take(6) as usize);
                let significant = if significant == 0 { 64 } else { significant };
                *window = (significant, 64 - leading - significant);
            }
            *value = f64::from_bits(value.to_bits() ^ self.take(window.0) << window.1);
        }
        *value
    }
}

fn read_xor(data: &[u8]) -> Vec<(i64, u64)> {
    let n = u16::from_be_bytes([data[0], data[1]]);
    let mut b = Bits(&data[2..], 0);
    let (mut t, mut v, mut delta, mut window) = (0i64, 0.0, 0u64, (0, 0));
    (0..n)
        .map(|i| {
            match i {
                0 => {
                    t = zigzag(b.uvarint());
                    v = f64::from_bits(b.take(64));
                }
                1 => {
                    delta = b.uvarint();
                    t = t.wrapping_add(delta as i64);
                    b.xor(&mut v, &mut window);
                }
                _ => {
                    let width = [0, 14, 17, 20, 64][b.ones(4)];
                    let change = if width == 0 { 0 } else { b.signed(width) };
                    delta = delta.wrapping_add(change as u64);
                    t = t.wrapping_add(delta as i64);
                    b.xor(&mut v, &mut window);
                }
            }
            (t, v.to_bits())
        })
        .collect()
}

/// The histograms of a chunk, with the hint of the first.
fn read_histograms(data: &[u8]) -> Vec<(i64, Histogram)> {
    let n = u16::from_be_bytes([data[0], data[1]]);
    let mut b = Bits(&data[3..], 0);
    let mut h = Histogram::default();
    let hints = [ResetHint::Unknown, ResetHint::NotReset, ResetHint::Reset, ResetHint::Gauge];
    h.reset_hint = hints[usize::from(data[2] >> 6)];
    h.zero_threshold = match b.take(8) {
        0 => 0.0,
        255 => f64::from_bits(b.take(64)),
        e => 0.5 * 2f64.powi(e as i32 - 243),
    };
    h.schema = b.varbit_int() as i8;
    let spans = |b: &mut Bits<'_>| -> Vec<BucketSpan> {
        let n = b.varbit_uint();
        (0..n)
            .map(|_| {
                let length = b.varbit_uint() as u32;
                BucketSpan { offset: b.varbit_int() as i32, length }
            })
            .collect()
    };
    (h.positive_spans, h.negative_spans) = (spans(&mut b), spans(&mut b));
    if h.uses_custom_buckets() {
        let n = b.varbit_uint();
        h.custom_values = (0..n)
            .map(|_| match b.varbit_uint() {
                0 => f64::from_bits(b.take(64)),
                v => (v - 1) as f64 / 1000.0,
            })
            .collect();
    }
    let of = |s: &[BucketSpan]| s.iter().map(|s| s.length as usize).sum::<usize>();
    let (p, m) = (of(&h.positive_spans), of(&h.negative_spans));
    let mut columns = vec![(0.0, (0, 0)); 3 + p + m];
    let (mut t, mut delta) = (0, 0);
    (0..n)
        .map(|i| {
            if i == 0 {
                t = b.varbit_int();
                columns.iter_mut().for_each(|c| c.0 = f64::from_bits(b.take(64)));
            } else {
                delta += b.varbit_int();
                t += delta;
                columns.iter_mut().for_each(|(v, w)| {
                    b.xor(v, w);
                });
            }
            let at = |i: usize| columns[i].0;
            (h.count, h.zero_count, h.sum) = (at(0), at(1), at(2));
            h.positive_buckets = (3..3 + p).map(at).collect();
            h.negative_buckets = (3 + p..3 + p + m).map(at).collect();
            (t, h.clone())
        })
        .collect()
}

fn series<'a>(
    labels: &'a Labels,
    t: &'a [i64],
    v: &'a [f64],
    h: &'a [(i64, i64, Histogram)],
) -> ReadSeries<'a> {
    ReadSeries { labels, timestamps_ms: t, values: v, histograms: h }
}

fn histogram(count: f64, buckets: &[f64]) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: 1.0,
        count,
        sum: 0.1 * count,
        positive_spans: vec![BucketSpan { offset: -5, length: buckets.len() as u32 }],
        positive_buckets: buckets.to_vec(),
        ..Histogram::default()
    }
}

#[test]
fn a_request_is_read_with_its_matchers_and_the_form_it_likes_best() {
    let mut m = Writer::default();
    m.varint(1, 2);
    m.str(2, "job");
    m.str(3, "a|b");
    let mut q = Writer::default();
    q.varint(1, (-5i64) as u64);
    q.varint(2, 7);
    q.bytes(3, &m.0);
    let mut r = Writer::default();
    r.bytes(1, &q.0);
    r.bytes(2, &[7, 1, 0]);
    let read = decode(&r.0).unwrap();
    let want = Matcher::new("job", MatchOp::Regex, "a|b").unwrap();
    assert_eq!(read.queries, [ReadQuery { start_ms: -5, end_ms: 7, matchers: vec![want] }]);
    assert_eq!(read.form().unwrap(), ReadForm::Chunks);
    assert_eq!(ReadRequest::default().form().unwrap(), ReadForm::Samples);
    assert!(ReadRequest { accepted: vec![9], ..Default::default() }.form().is_err());
    let mut bad = Writer::default();
    bad.varint(1, 2);
    bad.str(2, "job");
    bad.str(3, "(");
    let (mut q, mut r) = (Writer::default(), Writer::default());
    q.bytes(3, &bad.0);
    r.bytes(1, &q.0);
    assert!(decode(&r.0).unwrap_err().to_string().contains("job"));
}

#[test]
fn a_histogram_chunk_ends_where_counts_fall_layouts_change_or_floats_stand_between() {
    let labels = Labels::from_pairs([("__name__", "h")]);
    let mut hints = histogram(4.0, &[1.0, 2.0]);
    hints.reset_hint = ResetHint::Reset;
    let list = [
        (0, 0, histogram(3.0, &[1.0, 1.0])),
        (10, 0, histogram(4.0, &[1.0, 2.0])),
        (20, 0, histogram(3.0, &[1.0, 1.0])),
        (30, 0, histogram(9.0, &[1.0, 1.0, 4.0])),
        (40, 0, hints),
        (60, 0, histogram(5.0, &[2.0, 2.0])),
    ];
    let s = series(&labels, &[50], &[1.0], &list);
    let shape: Vec<_> = chunk::chunks(&s).map(|c| (c.encoding as u8, c.min_ms, c.max_ms)).collect();
    assert_eq!(shape, [(3, 0, 10), (3, 20, 20), (3, 30, 30), (3, 40, 40), (1, 50, 50), (3, 60, 60)]);
    let read: Vec<_> =
        chunk::chunks(&s).filter(|c| c.encoding as u8 == 3).flat_map(|c| read_histograms(&c.data)).collect();
    let want: Vec<_> = list.iter().map(|(t, _, h)| (*t, h.clone())).collect();
    assert_eq!(read, want);
}

#[test]
fn frames_carry_their_length_and_checksum_and_split_long_series() {
    let labels = Labels::from_pairs([("__name__", "up")]);
    let t: Vec<i64> = (0..1000).map(|i| i * 15_000).collect();
    let v: Vec<f64> = (0..1000).map(|i| (i as f64).sin()).collect();
    let mut out = Vec::new();
    push_frames(&mut out, 3, &series(&labels, &t, &v, &[]), 2000);
    let (mut rest, mut frames, mut samples) = (&out[..], 0, 0);
    while !rest.is_empty() {
        let n = take_varint(&mut rest).unwrap() as usize;
        let (sum, message) = (u32::from_be_bytes(rest[..4].try_into().unwrap()), &rest[4..4 + n]);
        assert_eq!(sum, crc32c::crc32c(message));
        let mut r = Reader::new(message);
        while let Some((field, value)) = r.next().unwrap() {
            if field == 2 {
                assert_eq!(value.varint().unwrap(), 3);
                continue;
            }
            let mut inner = Reader::new(value.bytes().unwrap());
            while let Some((field, value)) = inner.next().unwrap() {
                if field == 2 {
                    let mut chunk = Reader::new(value.bytes().unwrap());
                    while let Some((field, value)) = chunk.next().unwrap() {
                        if field == 4 {
                            samples += read_xor(value.bytes().unwrap()).len();
                        }
                    }
                }
            }
        }
        rest = &rest[4 + n..];
        frames += 1;
    }
    assert_eq!(samples, 1000);
    assert!(frames > 1, "{frames}");
}

proptest! {
    #[test]
    fn floats_read_back_bit_for_bit(
        start in -1_000_000_000_000i64..2_000_000_000_000,
        gaps in proptest::collection::vec(prop_oneof![Just(15_000u64), 1..200_000u64, 1..40_000_000_000u64], 0..300),
        seed: u64,
    ) {
        let mut t = vec![start];
        for g in &gaps {
            t.push(t[t.len() - 1] + *g as i64);
        }
        let mut x = seed | 1;
        let v: Vec<f64> = t.iter().enumerate().map(|(i, _)| {
            x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(11);
            match i % 4 {
                0 => f64::from_bits(x),
                1 => (x >> 50) as f64,
                2 => model::stale_marker(),
                _ => 0.1 * (i as f64),
            }
        }).collect();
        let labels = Labels::default();
        let s = series(&labels, &t, &v, &[]);
        let read: Vec<_> = chunk::chunks(&s).flat_map(|c| read_xor(&c.data)).collect();
        let want: Vec<_> = t.iter().copied().zip(v.iter().map(|v| v.to_bits())).collect();
        prop_assert_eq!(read, want);
    }

    #[test]
    fn histograms_read_back_bit_for_bit(
        list in proptest::collection::vec((1..100_000i64, 0..50u32, any::<bool>(), 0..4u8), 1..200),
    ) {
        let mut t = 0;
        let list: Vec<(i64, i64, Histogram)> = list.into_iter().map(|(gap, n, custom, flavour)| {
            t += gap;
            let n = f64::from(n);
            let mut h = histogram(n * 3.0, &[n, n + 1.0, 0.5 * n]);
            if flavour == 1 {
                h.negative_spans = vec![BucketSpan { offset: 100_000, length: 1 }, BucketSpan { offset: 3, length: 1 }];
                h.negative_buckets = vec![n, 2.0 * n];
                h.zero_threshold = 0.001;
            }
            if flavour == 2 {
                h.reset_hint = ResetHint::Gauge;
            }
            if custom {
                h.schema = model::histogram::CUSTOM_BUCKETS_SCHEMA;
                h.custom_values = vec![0.005, 1.0, 12.5, 33_554.431, 1e10];
            }
            (t, 0, h)
        }).collect();
        let labels = Labels::default();
        let s = series(&labels, &[], &[], &list);
        let read: Vec<_> = chunk::chunks(&s).flat_map(|c| read_histograms(&c.data)).collect();
        prop_assert_eq!(read.len(), list.len());
        for ((at, got), (t, _, want)) in read.iter().zip(&list) {
            prop_assert_eq!(at, t);
            // Only the first of a chunk says its hint, and gauges are alone among themselves.
            let want = Histogram { reset_hint: got.reset_hint, ..want.clone() };
            prop_assert_eq!(got, &want);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}
