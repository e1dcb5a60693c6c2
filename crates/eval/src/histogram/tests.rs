use model::histogram::BucketSpan;

use super::*;

fn h(offset: i32, counts: &[f64]) -> Histogram {
    Histogram {
        positive_spans: vec![BucketSpan { offset, length: counts.len() as u32 }],
        positive_buckets: counts.to_vec(),
        count: counts.iter().sum(),
        sum: 1.0,
        ..Default::default()
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
    Histogram { schema: -53, custom_values: bounds.to_vec(), ..h(0, counts) }
}

#[test]
fn bounds_are_powers_of_two_at_schema_zero() {
    assert_eq!(upper_bound(0, 0, &[]), 1.0);
    assert_eq!(upper_bound(3, 0, &[]), 8.0);
    assert_eq!(upper_bound(1, 1, &[]), 2f64.sqrt());
    assert_eq!(upper_bound(1, -2, &[]), 16.0);
    assert_eq!(upper_bound(1024, 0, &[]), f64::MAX);
    assert_eq!(upper_bound(-1, -53, &[5.0]), f64::NEG_INFINITY);
    assert_eq!(upper_bound(1, -53, &[5.0]), f64::INFINITY);
}

#[test]
fn sums_merge_buckets_and_come_down_to_the_coarser_schema() {
    let mut s = HistogramSum::new(&h(0, &[1.0, 2.0]));
    s.add(&h(1, &[3.0, 4.0])).unwrap();
    let sum = s.finish();
    assert_eq!(sum.positive_buckets, [1.0, 5.0, 4.0]);
    assert_eq!(sum.count, 10.0);

    let mut s = HistogramSum::new(&Histogram { schema: 1, ..h(1, &[1.0, 2.0]) });
    s.add(&h(1, &[10.0])).unwrap();
    let sum = s.finish();
    assert_eq!((sum.schema, sum.positive_buckets), (0, vec![13.0]));
}

#[test]
fn a_wider_zero_bucket_swallows_whole_buckets_only() {
    let wide = Histogram { zero_threshold: 1.5, zero_count: 1.0, count: 1.0, ..Default::default() };
    let mut s = HistogramSum::new(&wide);
    s.add(&h(0, &[1.0, 2.0, 4.0])).unwrap();
    let sum = s.finish();
    assert_eq!((sum.zero_threshold, sum.zero_count), (2.0, 4.0));
    assert_eq!(sum.positive_buckets, [4.0]);
}

#[test]
fn custom_bounds_are_reduced_to_the_common_ones() {
    let mut s = HistogramSum::new(&custom(&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0, 1.0]));
    let added = s.add(&custom(&[2.0, 5.0], &[10.0, 10.0, 10.0])).unwrap();
    assert!(added.reconciled);
    let sum = s.finish();
    assert_eq!((sum.custom_values, sum.positive_buckets), (vec![2.0], vec![12.0, 22.0]));
    let mut s = HistogramSum::new(&h(0, &[1.0]));
    assert_eq!(s.add(&custom(&[1.0], &[1.0])), Err(IncompatibleSchemas));
}

#[test]
fn a_reset_is_anything_that_became_smaller() {
    let a = h(0, &[1.0, 2.0]);
    assert!(!detect_reset(&h(0, &[1.0, 3.0]), &a));
    assert!(detect_reset(&h(0, &[0.0, 9.0]), &a));
    assert!(detect_reset(&h(1, &[9.0]), &a));
    let hinted = Histogram { reset_hint: ResetHint::NotReset, ..h(0, &[0.0]) };
    assert!(!detect_reset(&hinted, &a));
}

#[test]
fn quantiles_interpolate_in_the_logarithm() {
    let x = h(1, &[4.0]);
    assert!((quantile(0.5, &x).value - 2f64.sqrt()).abs() < 1e-12);
    assert_eq!(quantile(0.5, &custom(&[0.0, 10.0], &[0.0, 4.0])).value, 5.0);
    assert_eq!(fraction(1.0, 2.0, &x).0, 1.0);
}

#[test]
fn classic_buckets_answer_linearly_and_say_when_they_were_repaired() {
    let b = |l: &[(f64, f64)]| {
        l.iter().map(|(upper, count)| ClassicBucket { upper: *upper, count: *count }).collect()
    };
    let inf = f64::INFINITY;
    assert_eq!(classic_quantile(0.5, &mut b(&[(inf, 10.0), (1.0, 0.0), (2.0, 10.0)])), (1.5, None));
    let (_, forced) = classic_quantile(0.5, &mut b(&[(1.0, 5.0), (2.0, 4.0), (inf, 10.0)]));
    assert_eq!(forced, Some(Forced { lowest_bound: 2.0, highest_bound: 2.0, largest: 1.0 }));
    assert!(classic_quantile(0.5, &mut b(&[(1.0, 5.0)])).0.is_nan());
    assert_eq!(classic_fraction(0.0, 1.5, &mut b(&[(1.0, 5.0), (2.0, 10.0), (inf, 10.0)])), 0.75);
}

#[test]
fn trimming_splits_the_bucket_the_bound_lies_in() {
    let x = custom(&[0.0, 10.0], &[0.0, 4.0]);
    let below = trim(&x, 5.0, true);
    assert_eq!((below.count, below.sum), (2.0, 5.0));
    let above = trim(&x, 5.0, false);
    assert_eq!((above.count, above.sum), (2.0, 15.0));
}

#[test]
fn a_histogram_in_words() {
    assert_eq!(describe(&h(0, &[1.0, 2.0])), "{count:3, sum:1, (0.5,1]:1, (1,2]:2}");
}
