use model::{
    Histogram,
    histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, ResetHint},
    metric::stale_marker,
};
use proptest::prelude::*;

use super::*;
use crate::testing::chunks::encode;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        (0u32..1000).prop_map(f64::from),
        Just(stale_marker()),
        Just(f64::NAN),
        Just(f64::from_bits(0x7ff8_dead_beef_0001)),
        Just(-0.0),
    ]
}

fn times() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![Just(15_000i64), 14_990..15_010i64, 1..2_000_000i64, 1..(1i64 << 40)];
    (-(1i64 << 41)..1i64 << 41, proptest::collection::vec(step, 0..180)).prop_map(|(mut t, steps)| {
        let mut all = vec![t];
        for s in steps {
            t += s;
            all.push(t);
        }
        all
    })
}

fn floats(with_starts: bool) -> impl Strategy<Value = Points> {
    times().prop_flat_map(move |t| {
        let n = t.len();
        let starts = prop_oneof![
            Just(vec![0i64; n]),
            Just(vec![77i64; n]),
            (0..n).prop_map(move |at| (0..n).map(|i| if i < at { 0 } else { 5000 }).collect()),
            proptest::collection::vec(0i64..1 << 41, n),
        ];
        (proptest::collection::vec(value(), n), starts).prop_map(move |(v, s)| Points {
            floats: (0..n)
                .map(|i| FloatPoint {
                    timestamp_ms: t[i],
                    start_ms: if with_starts { s[i] } else { 0 },
                    value: v[i],
                })
                .collect(),
            histograms: Vec::new(),
        })
    })
}

/// Histograms of one layout, as one chunk holds them.
fn histograms(is_integer: bool) -> impl Strategy<Value = Points> {
    let spans = proptest::collection::vec((0i32..20, 0u32..4), 0..4).prop_map(|s| {
        s.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect::<Vec<_>>()
    });
    let layout = (
        prop_oneof![-4i8..=8, Just(CUSTOM_BUCKETS_SCHEMA)],
        prop_oneof![Just(0.0), Just(2f64.powi(-128)), Just(1e-7), Just(1024.0), Just(2f64.powi(-243))],
        spans.clone(),
        spans,
        proptest::collection::vec(
            prop_oneof![(0u32..100_000).prop_map(|n| f64::from(n) / 1000.0), any::<f64>()],
            0..5,
        ),
        any::<bool>(),
    );
    (layout, times(), any::<u64>()).prop_map(
        move |((schema, zero_threshold, pos, neg, custom, gauge), t, seed)| {
            let custom_values = if schema == CUSTOM_BUCKETS_SCHEMA { custom } else { Vec::new() };
            let size = |s: &[BucketSpan]| s.iter().map(|s| s.length as usize).sum::<usize>();
            let mut n = seed;
            let mut number = || {
                n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if is_integer { (n >> 40) as f64 } else { (n >> 33) as f64 / 7.0 }
            };
            let histograms = t
                .iter()
                .enumerate()
                .map(|(i, t)| {
                    let hint = match (gauge, i) {
                        (true, _) => ResetHint::Gauge,
                        (_, 0) => ResetHint::Unknown,
                        _ => ResetHint::NotReset,
                    };
                    let mut h = Histogram {
                        reset_hint: hint,
                        schema,
                        zero_threshold,
                        count: number(),
                        zero_count: number(),
                        sum: number() / 3.0,
                        positive_spans: pos.clone(),
                        negative_spans: neg.clone(),
                        positive_buckets: (0..size(&pos)).map(|_| number()).collect(),
                        negative_buckets: (0..size(&neg)).map(|_| number()).collect(),
                        custom_values: custom_values.clone(),
                        is_integer,
                    };
                    if i > 0 && i % 7 == 0 {
                        h = Histogram {
                            sum: stale_marker(),
                            is_integer,
                            reset_hint: hint,
                            ..Histogram::default()
                        };
                    }
                    HistogramPoint { timestamp_ms: *t, start_ms: 0, histogram: h }
                })
                .collect();
            Points { floats: Vec::new(), histograms }
        },
    )
}

/// What decoding must give back: nothing but the marker of a stale sample.
fn decoded(encoding: u8, p: &Points) {
    let got = decode(encoding, &encode(encoding, p)).unwrap();
    assert_eq!(got.len(), p.len());
    assert!(got == *p, "encoding {encoding}: {got:?}\n{p:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn float_chunks_read_back_bit_for_bit(p in floats(false)) {
        decoded(1, &p);
    }

    #[test]
    fn float_chunks_with_start_times_read_back_bit_for_bit(p in floats(true)) {
        decoded(4, &p);
    }

    #[test]
    fn integer_histogram_chunks_read_back(p in histograms(true)) {
        decoded(2, &p);
        decoded(5, &p);
    }

    #[test]
    fn float_histogram_chunks_read_back(p in histograms(false), start in 0i64..1 << 40) {
        decoded(3, &p);
        let mut started = p;
        for (i, h) in started.histograms.iter_mut().enumerate() {
            h.start_ms = if i < 3 { start } else { start + i as i64 };
        }
        decoded(6, &started);
    }

    #[test]
    fn random_bytes_are_an_error_or_samples_and_never_a_panic(
        encoding in 0u8..8,
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(p) = decode(encoding, &bytes) {
            prop_assert!(p.len() <= usize::from(u16::MAX));
        }
    }

    #[test]
    fn a_chunk_cut_short_is_an_error_or_fewer_bits_than_a_byte(p in floats(false), cut in 1usize..40) {
        let whole = encode(1, &p);
        prop_assert!(decode(1, &whole[..whole.len().saturating_sub(cut)]).is_err());
    }
}

#[test]
fn a_chunk_without_samples_is_empty() {
    assert!(decode(1, &[0, 0]).unwrap().is_empty());
    assert!(decode(2, &[0, 0, 0]).unwrap().is_empty());
    assert!(decode(7, &[0, 0, 0]).unwrap_err().contains("encoding"));
}

#[test]
fn a_histogram_with_more_buckets_than_bytes_is_refused_before_it_is_allocated() {
    // One sample, schema 0, one span of 65535 buckets.
    let p = Points {
        floats: Vec::new(),
        histograms: vec![HistogramPoint {
            timestamp_ms: 1,
            start_ms: 0,
            histogram: Histogram {
                positive_spans: vec![BucketSpan { offset: 0, length: 65_535 }],
                is_integer: true,
                ..Histogram::default()
            },
        }],
    };
    let e = decode(2, &encode(2, &p)).unwrap_err();
    assert!(e.contains("more buckets"), "{e}");
}
