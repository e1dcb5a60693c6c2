//! Quantiles, fractions and variance, of native histograms and of classic buckets.

use model::Histogram;

use super::buckets::{Bucket, all_buckets};

/// A quantile and what is doubtful about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    pub value: f64,
    /// Not-a-number was observed and decides the result.
    pub nan_result: bool,
    /// Not-a-number was observed, so the result is too high.
    pub nan_skew: bool,
}

impl Quantile {
    fn of(value: f64) -> Self {
        Quantile { value, nan_result: false, nan_skew: false }
    }
}

/// Share of a bucket's width below `v`, which lies strictly inside.
pub(super) fn fraction_below(b: &Bucket, v: f64, linear: bool) -> f64 {
    if linear {
        return (v - b.lower) / (b.upper - b.lower);
    }
    let (lower, upper, at) = (b.lower.abs().log2(), b.upper.abs().log2(), v.abs().log2());
    if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
}

/// The quantile of a native histogram.
pub fn quantile(q: f64, h: &Histogram) -> Quantile {
    if q < 0.0 {
        return Quantile::of(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return Quantile::of(f64::INFINITY);
    }
    if h.count == 0.0 || q.is_nan() {
        return Quantile::of(f64::NAN);
    }
    // Counting from the nearer end keeps precision. Observations that are not a number are in no bucket, which
    // is the same as being in one above all: then counting begins at the bottom.
    let upwards = h.sum.is_nan() || q < 0.5;
    let mut buckets = all_buckets(h);
    if !upwards {
        buckets.reverse();
    }
    let mut rank = if upwards { q * h.count } else { (1.0 - q) * h.count };
    let mut count = 0.0;
    let mut bucket =
        Bucket { lower: 0.0, upper: 0.0, lower_inclusive: true, upper_inclusive: true, count: 0.0 };
    let mut rest = 0.0;
    let mut found = false;
    for b in &buckets {
        if found {
            rest += b.count;
        } else if b.count != 0.0 {
            bucket = *b;
            count += b.count;
            found = count >= rank;
        }
    }
    if let Some(v) = open_bucket(&mut bucket, h) {
        return Quantile::of(v);
    }
    count = count.min(h.count);
    if count < rank {
        if h.sum.is_nan() {
            return Quantile { value: f64::NAN, nan_result: true, nan_skew: false };
        }
        return Quantile::of(bucket.upper);
    }
    rank = if upwards { rank - (count - bucket.count) } else { count - rank };
    let nan_skew = h.sum.is_nan() && count + rest < h.count;
    let value = inside(&bucket, rank / bucket.count, h.uses_custom_buckets());
    Quantile { value, nan_result: false, nan_skew }
}

/// Narrows the zero bucket to the side in use; answers at once where a custom bucket has no end.
fn open_bucket(b: &mut Bucket, h: &Histogram) -> Option<f64> {
    if h.uses_custom_buckets() {
        if b.lower == f64::NEG_INFINITY {
            if b.upper <= 0.0 {
                return Some(b.upper);
            }
            b.lower = 0.0;
        } else if b.upper == f64::INFINITY {
            return Some(b.lower);
        }
    } else if b.lower < 0.0 && b.upper > 0.0 {
        narrow_zero(b, h);
    }
    None
}

fn narrow_zero(b: &mut Bucket, h: &Histogram) {
    if h.negative_buckets.is_empty() && !h.positive_buckets.is_empty() {
        b.lower = 0.0;
    } else if h.positive_buckets.is_empty() && !h.negative_buckets.is_empty() {
        b.upper = 0.0;
    }
}

fn inside(b: &Bucket, share: f64, custom: bool) -> f64 {
    if custom || (b.lower <= 0.0 && b.upper >= 0.0) {
        return b.lower + (b.upper - b.lower) * share;
    }
    let (lower, upper) = (b.lower.abs().log2(), b.upper.abs().log2());
    if b.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    }
}

/// The share of observations between two values; true beside it if not-a-number was observed.
pub fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, bool) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let buckets = all_buckets(h);
    let in_buckets: f64 = buckets.iter().map(|b| b.count).sum();
    let nans = h.sum.is_nan() && in_buckets < h.count;
    let total = if h.sum.is_nan() { in_buckets } else { h.count };
    let rank_of = |v: f64| -> f64 {
        let mut rank = 0.0;
        for original in &buckets {
            let mut b = *original;
            let is_zero = b.lower <= 0.0 && b.upper >= 0.0;
            if is_zero {
                narrow_zero(&mut b, h);
            }
            if b.lower >= v {
                return rank;
            }
            if b.upper > v {
                let linear = h.uses_custom_buckets() || is_zero;
                if linear && b.lower == f64::NEG_INFINITY {
                    return b.count;
                }
                return rank + b.count * fraction_below(&b, v, linear);
            }
            rank += b.count;
        }
        total
    };
    let (from, to) = (rank_of(lower).min(total), rank_of(upper).min(total));
    ((to - from) / h.count, nans)
}

/// The variance, each observation taken to lie at the middle of its bucket.
pub fn stdvar(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let mut sum = crate::math::Kahan::default();
    for b in all_buckets(h).iter().filter(|b| b.count != 0.0) {
        let middle = if h.uses_custom_buckets() {
            (b.lower + b.upper) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            let m = (b.upper * b.lower).sqrt();
            if b.upper < 0.0 { -m } else { m }
        };
        let delta = middle - mean;
        sum.add(b.count * delta * delta);
    }
    (sum.sum + sum.c) / h.count
}

/// A classic bucket: everything up to its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassicBucket {
    pub upper: f64,
    pub count: f64,
}

/// Relative difference of counts that is taken for rounding.
const SMALL_DELTA: f64 = 1e-12;

/// Where counts fell from one bucket to the next and had to be raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forced {
    pub lowest_bound: f64,
    pub highest_bound: f64,
    /// The largest count that was added.
    pub largest: f64,
}

/// The quantile of classic buckets in any order, and what had to be repaired.
pub fn classic_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !order(buckets) {
        return (f64::NAN, None);
    }
    let forced = make_monotonic(buckets);
    let n = buckets.len();
    let observations = buckets.last().map_or(0.0, |b| b.count);
    if n < 2 || observations == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * observations;
    // Not-a-number is not enough for any rank.
    let at = buckets[..n - 1].partition_point(|b| b.count.is_nan() || rank.is_nan() || b.count < rank);
    let value = if at == n - 1 {
        buckets[n - 2].upper
    } else if at == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let (mut start, end, mut count) = (0.0, buckets[at].upper, buckets[at].count);
        if at > 0 {
            start = buckets[at - 1].upper;
            count -= buckets[at - 1].count;
            rank -= buckets[at - 1].count;
        }
        start + (end - start) * (rank / count)
    };
    (value, forced)
}

/// Sorts, adds up equal bounds; false unless the last bound is infinite.
fn order(buckets: &mut Vec<ClassicBucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    buckets.dedup_by(|b, a| {
        let same = a.upper == b.upper;
        if same {
            a.count += b.count;
        }
        same
    });
    buckets.last().is_some_and(|b| b.upper == f64::INFINITY)
}

fn make_monotonic(buckets: &mut [ClassicBucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets.first().map_or(0.0, |b| b.count);
    for b in buckets.iter_mut().skip(1) {
        if b.count == before {
            continue;
        }
        let close = (before - b.count).abs() <= SMALL_DELTA * before.abs().max(b.count.abs()) / 2.0;
        if close {
            b.count = before;
        } else if b.count < before {
            let f =
                forced.get_or_insert(Forced { lowest_bound: b.upper, highest_bound: b.upper, largest: 0.0 });
            f.highest_bound = b.upper;
            f.largest = f.largest.max(before - b.count);
            b.count = before;
        } else {
            before = b.count;
        }
    }
    forced
}

/// The share of observations between two values in classic buckets.
pub fn classic_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if !order(buckets) {
        return f64::NAN;
    }
    let total = buckets.last().map_or(0.0, |b| b.count);
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |v: f64| -> f64 {
        let mut rank = 0.0;
        let mut start = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        for b in buckets.iter() {
            if start >= v {
                return rank;
            }
            if b.upper > v {
                if start == f64::NEG_INFINITY {
                    return b.count;
                }
                return rank + (b.count - rank) * (v - start) / (b.upper - start);
            }
            rank = b.count;
            start = b.upper;
        }
        total
    };
    (rank_of(upper).min(total) - rank_of(lower).min(total)) / total
}
