//! `histogram </ x` and `histogram >/ x`: what lies below or above a bound.

use model::Histogram;

use super::{
    buckets::{Bucket, compact, negative_buckets, positive_buckets, zero_bucket},
    quantile::fraction_below,
};

/// Keeps observations up to `bound` (`keep_below`) or from it on. A bucket the bound lies in is split by
/// interpolation; an infinite one is kept or dropped whole, since nothing is known of its inside. Count and sum
/// are estimated anew where something was cut.
pub fn trim(h: &Histogram, bound: f64, keep_below: bool) -> Histogram {
    let mut out = h.clone();
    let (positive, negative) = (positive_buckets(h), negative_buckets(h));
    let mut t =
        Trimmer { bound, keep_below, linear: h.uses_custom_buckets(), count: 0.0, sum: 0.0, cut: false };
    for (kept, b) in out.positive_buckets.iter_mut().zip(&positive) {
        *kept = t.keep(b, true);
    }
    for (kept, b) in out.negative_buckets.iter_mut().zip(&negative) {
        *kept = t.keep(b, false);
    }
    if h.zero_count > 0.0 {
        let some = |l: &[Bucket]| l.iter().any(|b| b.count != 0.0);
        out.zero_count = t.keep_zero(zero_bucket(h), some(&negative), some(&positive));
    }
    if t.cut {
        out.is_integer = false;
        out.count = t.count;
        out.sum = t.sum;
        compact(&mut out);
    }
    out
}

struct Trimmer {
    bound: f64,
    keep_below: bool,
    /// Custom buckets are taken as evenly filled, exponential ones as even in the logarithm.
    linear: bool,
    count: f64,
    sum: f64,
    cut: bool,
}

impl Trimmer {
    /// The count that stays of a bucket.
    fn keep(&mut self, b: &Bucket, positive: bool) -> f64 {
        if b.count == 0.0 {
            return 0.0;
        }
        let whole = if self.keep_below { b.upper <= self.bound } else { b.lower >= self.bound };
        let part = if self.keep_below { b.lower < self.bound } else { b.upper > self.bound };
        if whole {
            self.take(b.count, midpoint(b.lower, b.upper, positive, self.linear));
            return b.count;
        }
        if !part {
            self.cut = true;
            return 0.0;
        }
        let (kept, middle) = if b.lower.is_infinite() || b.upper.is_infinite() {
            self.infinite(b)
        } else {
            self.split(b, positive)
        };
        self.take(kept, middle);
        self.cut |= kept != b.count;
        kept
    }

    fn take(&mut self, count: f64, middle: f64) {
        self.count += count;
        self.sum += count * middle;
    }

    fn split(&self, b: &Bucket, positive: bool) -> (f64, f64) {
        let below = b.count * fraction_below(b, self.bound, self.linear);
        if self.keep_below {
            (below, midpoint(b.lower, self.bound, positive, self.linear))
        } else {
            (b.count - below, midpoint(self.bound, b.upper, positive, self.linear))
        }
    }

    /// A bucket without a finite end that the bound lies in.
    fn infinite(&self, b: &Bucket) -> (f64, f64) {
        let finite = |v: f64| if v.is_infinite() { 0.0 } else { v };
        let x = self.bound;
        // With a positive end, the lowest custom bucket is taken to begin at zero.
        let from_zero = b.lower == f64::NEG_INFINITY && b.upper > x && b.upper.is_finite();
        match (b.lower == f64::NEG_INFINITY, self.keep_below) {
            (true, true) if x >= b.upper => (b.count, 0.0),
            (true, true) if from_zero && x > 0.0 => (b.count * x / b.upper, x / 2.0),
            (true, true) if b.upper <= 0.0 => (b.count, x),
            (true, true) => (0.0, finite(b.upper)),
            (true, false) if x <= b.lower => (b.count, 0.0),
            (true, false) if from_zero && x >= 0.0 => (b.count * (1.0 - x / b.upper), (x + b.upper) / 2.0),
            (true, false) => (0.0, finite(b.upper)),
            (false, true) => (0.0, finite(b.lower)),
            (false, false) if x >= b.lower => (b.count, x),
            (false, false) => (0.0, finite(b.lower)),
        }
    }

    /// The zero bucket reaches to the side that has observations.
    fn keep_zero(&mut self, b: Bucket, has_negative: bool, has_positive: bool) -> f64 {
        let upper = if has_negative && !has_positive { 0.0 } else { b.upper };
        let lower = if has_positive && !has_negative { 0.0 } else { b.lower };
        let (x, width) = (self.bound, upper - lower);
        let (share, middle) = if self.keep_below {
            if x <= lower {
                (0.0, 0.0)
            } else if x >= upper {
                (1.0, (lower + upper) / 2.0)
            } else {
                ((x - lower) / width, (lower + x) / 2.0)
            }
        } else if x <= lower {
            (1.0, (lower + upper) / 2.0)
        } else if x >= upper {
            (0.0, 0.0)
        } else {
            ((upper - x) / width, (x + upper) / 2.0)
        };
        let kept = b.count * share;
        self.take(kept, middle);
        self.cut |= kept != b.count;
        kept
    }
}

/// Where the observations of an interval lie on average.
fn midpoint(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        _ if linear => (lower + upper) / 2.0,
        _ => {
            let mean = (lower * upper).abs().sqrt();
            if positive { mean } else { -mean }
        }
    }
}
