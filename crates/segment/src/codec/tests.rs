use model::{
    Histogram,
    histogram::{BucketSpan, ResetHint},
};
use proptest::prelude::*;

use super::*;

fn int_round_trip(values: &[i64]) -> usize {
    let mut out = Vec::new();
    ints::encode(values, &mut out);
    assert_eq!(ints::decode(&out, values.len()).as_deref(), Some(values));
    out.len()
}

fn float_round_trip(values: &[f64]) -> usize {
    let mut out = Vec::new();
    floats::encode(values, &mut out);
    let back: Vec<u64> = floats::decode(&out, values.len()).unwrap().iter().map(|v| v.to_bits()).collect();
    assert_eq!(back, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    out.len()
}

#[test]
fn constant_steps_take_a_few_bytes_however_many() {
    let times: Vec<i64> = (0..5760).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    assert!(int_round_trip(&times) <= 14);
    assert!(int_round_trip(&[7; 1000]) <= 5);
    int_round_trip(&[]);
    int_round_trip(&[i64::MIN]);
    int_round_trip(&[i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN]);
}

#[test]
fn an_outlier_is_patched_and_a_common_divisor_is_taken_out() {
    let mut v: Vec<i64> = (0..128i64).map(|i| (i * i * 31 + i / 3) * 2654435761 % 1009 % 16).collect();
    let plain = int_round_trip(&v);
    v[64] = 1 << 50;
    assert!(int_round_trip(&v) < plain + 24);
    let pages: Vec<i64> = (0..256i64).map(|i| (i * i * 31 + i / 3) * 2654435761 % 1009 % 16 * 4096).collect();
    assert!(int_round_trip(&pages) < 150);
}

#[test]
fn floats_that_are_not_numbers_come_back_to_the_bit() {
    let odd = [
        f64::from_bits(0x7ff0_0000_0000_0002),
        f64::from_bits(0x7ff8_0000_0000_0001),
        f64::from_bits(0xfff8_1234_0000_0001),
        f64::NAN,
        -0.0,
        0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::MAX,
        5009.4132671058105,
        1e300,
        0.1,
        9_007_199_254_740_993.0,
        9.3e18,
    ];
    float_round_trip(&odd);
    odd.iter().for_each(|v| {
        float_round_trip(&[*v]);
        float_round_trip(&[*v; 9]);
    });
    let mut counter: Vec<f64> = (0..480).map(|i| f64::from(i) * 3.0).collect();
    counter[100] = odd[0];
    counter[101] = -0.0;
    assert!(float_round_trip(&counter) < 60);
}

#[test]
fn short_decimals_take_bits_and_long_floats_fall_back() {
    let cpu: Vec<f64> = (0..480).map(|i| f64::from(123_456 + i * 15 + (i * 7919) % 5) / 100.0).collect();
    assert!(float_round_trip(&cpu) < 480);
    let noise: Vec<f64> = (0..480).map(|i| (f64::from(i) * 0.7321).sin()).collect();
    assert!(float_round_trip(&noise) <= 480 * 8 + 1);
    float_round_trip(&[]);
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-1_000_000i64..1_000_000, 0i32..6).prop_map(|(v, e)| v as f64 / 10f64.powi(e)),
        Just(model::stale_marker()),
        Just(-0.0),
        any::<i64>().prop_map(|v| v as f64),
    ]
}

pub(crate) fn any_histogram() -> impl Strategy<Value = Histogram> {
    let spans = || prop::collection::vec((any::<i32>(), any::<u32>()), 0..4);
    let buckets = || prop::collection::vec(any_float(), 0..6);
    (
        (0u8..4, any::<i8>(), any::<bool>()),
        (any_float(), any_float(), any_float(), any_float()),
        (spans(), buckets(), spans(), buckets(), buckets()),
    )
        .prop_map(|((hint, schema, is_integer), (zt, zc, count, sum), (ps, pb, ns, nb, custom))| {
            Histogram {
                reset_hint: [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge]
                    [usize::from(hint)],
                schema,
                zero_threshold: zt,
                zero_count: zc,
                count,
                sum,
                positive_spans: ps
                    .into_iter()
                    .map(|(offset, length)| BucketSpan { offset, length })
                    .collect(),
                positive_buckets: pb,
                negative_spans: ns
                    .into_iter()
                    .map(|(offset, length)| BucketSpan { offset, length })
                    .collect(),
                negative_buckets: nb,
                custom_values: custom,
                is_integer,
            }
        })
}

proptest! {
    #[test]
    fn every_list_of_integers_comes_back(values in prop::collection::vec(any::<i64>(), 0..400)) {
        int_round_trip(&values);
    }

    #[test]
    fn every_list_of_floats_comes_back(values in prop::collection::vec(any_float(), 0..300)) {
        float_round_trip(&values);
    }

    #[test]
    fn every_list_of_histograms_comes_back(
        values in prop::collection::vec(any_histogram(), 0..6),
        repeat in 1usize..4,
    ) {
        let all: Vec<&Histogram> = values.iter().flat_map(|h| std::iter::repeat_n(h, repeat)).collect();
        let mut out = Vec::new();
        histograms::encode(&all, &mut out);
        let back = histograms::decode(&out, all.len()).unwrap();
        prop_assert_eq!(back.iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn decoders_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), n in 0usize..2000, codec in 0u8..5) {
        let mut chunk = vec![match codec { 4 => 16, c => c }];
        chunk.extend_from_slice(&bytes);
        let _ = floats::decode(&chunk, n);
        let _ = ints::decode(&chunk, n);
        chunk[0] = 32;
        let _ = histograms::decode(&chunk, n);
    }

    #[test]
    fn a_damaged_chunk_never_panics(
        values in prop::collection::vec(any_float(), 1..200),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut out = Vec::new();
        floats::encode(&values, &mut out);
        let at = at.index(out.len());
        out[at] = with;
        let _ = floats::decode(&out, values.len());
        let _ = floats::decode(&out[..at], values.len());
    }
}
