//! The buckets of a native histogram as the Prometheus API lists them: ascending, without empty ones, each
//! with its bounds and which of them belong to it.
//!
//! ```text
//! [boundaries, "lower", "upper", "count"]     boundaries: 0 (a, b]   1 [a, b)   2 (a, b)   3 [a, b]
//! ```
//! Exponential bucket `i` of schema `s` ends at `2^(i / 2^s)`
//! (`prometheus.io/docs/specs/native_histograms`, "Schema").

use model::{Histogram, histogram::BucketSpan};

/// One bucket that counted something.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub boundaries: &'static str,
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
}

const OPEN_LEFT: &str = "0";
const OPEN_RIGHT: &str = "1";
const CLOSED: &str = "3";

/// All buckets with a count other than zero.
pub fn non_empty(h: &Histogram) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(h.positive_buckets.len() + h.negative_buckets.len() + 1);
    for (i, count) in indexed(&h.negative_spans, &h.negative_buckets) {
        let (lower, upper) = (-bound(h, i), -bound(h, i.saturating_sub(1)));
        out.push(Bucket { boundaries: OPEN_RIGHT, lower, upper, count });
    }
    out.reverse();
    if h.zero_count != 0.0 {
        let (lower, upper) = (-h.zero_threshold, h.zero_threshold);
        out.push(Bucket { boundaries: CLOSED, lower, upper, count: h.zero_count });
    }
    for (i, count) in indexed(&h.positive_spans, &h.positive_buckets) {
        let (lower, upper) = (bound(h, i.saturating_sub(1)), bound(h, i));
        // The first custom bucket has no lower bound and takes -Inf itself.
        let boundaries = if lower == f64::NEG_INFINITY { CLOSED } else { OPEN_LEFT };
        out.push(Bucket { boundaries, lower, upper, count });
    }
    out.retain(|b| b.count != 0.0);
    out
}

/// Bucket index and count, in the order of the spans.
fn indexed<'a>(spans: &'a [BucketSpan], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0i32;
    let indexes = spans.iter().flat_map(move |s| {
        let from = next.saturating_add(s.offset);
        next = from.saturating_add_unsigned(s.length);
        from..next
    });
    indexes.zip(counts.iter().copied())
}

/// Upper bound of bucket `i`.
fn bound(h: &Histogram, i: i32) -> f64 {
    if h.uses_custom_buckets() {
        return match usize::try_from(i) {
            Ok(i) => h.custom_values.get(i).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    // 2^(i / 2^s) as a whole power of two times a fraction of one, so that whole powers come out exact.
    let schema = i32::from(h.schema);
    if schema <= 0 {
        return exp2(i64::from(i) << schema.unsigned_abs().min(31));
    }
    let per_octave = 1i32 << schema.min(30);
    let (octave, rest) = (i.div_euclid(per_octave), i.rem_euclid(per_octave));
    exp2(i64::from(octave)) * (f64::from(rest) / f64::from(per_octave)).exp2()
}

/// Past the largest exponent the last bucket ends at the largest float, as Prometheus has it.
fn exp2(exponent: i64) -> f64 {
    match exponent {
        1024.. => f64::MAX,
        e => 2f64.powi(e.max(-1075) as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend_from_negative_over_zero_to_positive() {
        let h = Histogram {
            schema: 0,
            zero_threshold: 0.5,
            zero_count: 1.0,
            count: 7.0,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }, BucketSpan { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 0.0, 3.0],
            negative_spans: vec![BucketSpan { offset: 1, length: 1 }],
            negative_buckets: vec![2.0],
            ..Default::default()
        };
        let got: Vec<_> =
            non_empty(&h).into_iter().map(|b| (b.boundaries, b.lower, b.upper, b.count)).collect();
        assert_eq!(
            got,
            [("1", -2.0, -1.0, 2.0), ("3", -0.5, 0.5, 1.0), ("0", 0.5, 1.0, 1.0), ("0", 4.0, 8.0, 3.0)]
        );
    }

    #[test]
    fn custom_buckets_use_their_own_bounds_open_to_infinity() {
        let h = Histogram {
            schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
            count: 6.0,
            positive_spans: vec![BucketSpan { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 2.0, 3.0],
            custom_values: vec![5.0, 10.0],
            ..Default::default()
        };
        let got: Vec<_> = non_empty(&h).into_iter().map(|b| (b.boundaries, b.lower, b.upper)).collect();
        let inf = f64::INFINITY;
        assert_eq!(got, [("3", -inf, 5.0), ("0", 5.0, 10.0), ("0", 10.0, inf)]);
    }

    #[test]
    fn bounds_of_fine_and_coarse_schemas_are_powers_of_their_base() {
        let h = |schema| Histogram { schema, ..Default::default() };
        assert_eq!(bound(&h(3), 8), 2.0);
        assert_eq!(bound(&h(3), -8), 0.5);
        assert!((bound(&h(1), 1) - 2f64.sqrt()).abs() < 1e-15);
        assert_eq!(bound(&h(-2), 1), 16.0);
        assert_eq!(bound(&h(0), 2000), f64::MAX);
        assert!(bound(&h(-4), i32::MIN) >= 0.0);
    }
}
