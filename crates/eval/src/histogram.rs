//! Arithmetic on native histograms.
//!
//! Operations take the sparse form apart into (bucket index, count) lists, work on these, and put the spans back
//! together without empty buckets. Semantics: `prometheus.io/docs/specs/native_histograms`.

mod buckets;
mod quantile;
mod reset;
mod sum;
mod text;
mod trim;

pub use buckets::{Bucket, all_buckets, upper_bound};
pub use quantile::{
    ClassicBucket, Forced, Quantile, classic_fraction, classic_quantile, fraction, quantile, stdvar,
};
pub use reset::detect_reset;
pub use sum::{Added, HistogramSum, IncompatibleSchemas};
pub use text::{describe, general, significant};
pub use trim::trim;

use model::{Histogram, histogram::ResetHint};

/// The histogram times a number. A negative factor makes it a gauge.
pub fn multiply(h: &Histogram, factor: f64) -> Histogram {
    let mut out = map_counts(h, |v| v * factor);
    if factor < 0.0 {
        out.reset_hint = ResetHint::Gauge;
    }
    buckets::compact(&mut out);
    out
}

/// The histogram divided by a number. Division by zero leaves no buckets.
pub fn divide(h: &Histogram, divisor: f64) -> Histogram {
    let mut out = map_counts(h, |v| v / divisor);
    if divisor == 0.0 {
        out.positive_spans.clear();
        out.positive_buckets.clear();
        out.negative_spans.clear();
        out.negative_buckets.clear();
    } else if divisor < 0.0 {
        out.reset_hint = ResetHint::Gauge;
    }
    buckets::compact(&mut out);
    out
}

fn map_counts(h: &Histogram, f: impl Fn(f64) -> f64) -> Histogram {
    let mut out = h.clone();
    out.is_integer = false;
    for v in [&mut out.zero_count, &mut out.count, &mut out.sum] {
        *v = f(*v);
    }
    out.positive_buckets.iter_mut().chain(&mut out.negative_buckets).for_each(|v| *v = f(*v));
    out
}

/// The same layout and the same counts, whatever the spans and the reset hint say.
pub fn same(a: &Histogram, b: &Histogram) -> bool {
    let bits = |x: f64, y: f64| x.to_bits() == y.to_bits();
    a.schema == b.schema
        && bits(a.count, b.count)
        && bits(a.sum, b.sum)
        && a.zero_threshold == b.zero_threshold
        && bits(a.zero_count, b.zero_count)
        && a.custom_values == b.custom_values
        && buckets::same(&buckets::positive(a), &buckets::positive(b))
        && buckets::same(&buckets::negative(a), &buckets::negative(b))
}

/// Puts the spans together anew without empty buckets.
pub fn compact(h: &mut Histogram) {
    buckets::compact(h);
}

#[cfg(test)]
mod tests;
