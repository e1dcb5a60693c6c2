//! Sums that keep what plain addition would lose, and quantiles.

/// A running sum with its compensation (Neumaier's variant of Kahan summation).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Kahan {
    pub sum: f64,
    pub c: f64,
}

impl Kahan {
    pub fn new(value: f64) -> Self {
        Kahan { sum: value, c: 0.0 }
    }

    pub fn add(&mut self, value: f64) {
        let t = self.sum + value;
        self.c = if t.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.c + ((self.sum - t) + value)
        } else {
            self.c + ((value - t) + self.sum)
        };
        self.sum = t;
    }

    /// Adds what another sum has come to.
    pub fn absorb(&mut self, other: Kahan) {
        self.add(other.sum);
        self.c = if self.sum.is_infinite() { 0.0 } else { self.c + other.c };
    }

    pub fn scale(&mut self, factor: f64) {
        self.sum *= factor;
        self.c *= factor;
    }

    pub fn value(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.c }
    }
}

/// A mean that sums as long as the sum stays finite and falls back to incremental means when it would not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean {
    sum: Kahan,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.sum.is_infinite() || self.count == 1.0 {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum.scale(1.0 / (self.count - 1.0));
        }
        self.sum.scale((self.count - 1.0) / self.count);
        self.sum.add(value / self.count);
    }

    /// The sum, or the mean itself if the last is true, and of how many values.
    pub fn parts(self) -> (Kahan, f64, bool) {
        (self.sum, self.count, self.incremental)
    }

    /// As [`Mean::parts`] took it apart.
    pub fn from_parts(sum: Kahan, count: f64, incremental: bool) -> Self {
        Mean { sum, count, incremental }
    }

    /// Adds what another mean has come to.
    pub fn absorb(&mut self, mut other: Mean) {
        let count = self.count + other.count;
        if self.count == 0.0 {
            *self = other;
            return;
        }
        if !self.incremental && !other.incremental {
            let mut next = self.sum;
            next.absorb(other.sum);
            if !next.sum.is_infinite() {
                *self = Mean { sum: next, count, incremental: false };
                return;
            }
        }
        for mean in [&mut *self, &mut other] {
            if !mean.incremental {
                mean.sum.scale(1.0 / mean.count);
            }
            mean.sum.scale(mean.count / count);
        }
        self.sum.absorb(other.sum);
        (self.count, self.incremental) = (count, true);
    }

    pub fn value(self) -> f64 {
        if self.incremental { self.sum.value() } else { self.sum.sum / self.count + self.sum.c / self.count }
    }
}

/// Order in which not-a-number is the smallest.
pub fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        _ => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
    }
}

/// The q-quantile by linear interpolation between the two nearest ranks; sorts `values`. Infinite outside
/// `0..=1`, not-a-number for no values or `q` not a number.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    quantile_of_sorted(q, values)
}

/// As [`quantile`], over values in the order of [`nan_first`]; `q` lies in `0..=1`.
pub fn quantile_of_sorted(q: f64, values: &[f64]) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_between_large_ones() {
        let mut k = Kahan::default();
        for v in [1.0, 1e100, 1.0, -1e100] {
            k.add(v);
        }
        assert_eq!(k.value(), 2.0);
    }

    #[test]
    fn a_mean_of_large_values_does_not_overflow() {
        let mut m = Mean::default();
        for v in [f64::MAX, f64::MAX, f64::MAX] {
            m.add(v);
        }
        assert!((m.value() / f64::MAX - 1.0).abs() < 1e-12);
        let mut inf = Mean::default();
        inf.add(f64::INFINITY);
        inf.add(1.0);
        assert_eq!(inf.value(), f64::INFINITY);
    }

    #[test]
    fn quantiles_interpolate_between_ranks() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0, 4.0]), 2.5);
        assert_eq!(quantile(2.0, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.5, &mut []).is_nan());
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
    }
}
