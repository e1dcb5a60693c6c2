//! What a chunk's columns say of its float samples, so that aligned windows need no decoding.

use model::is_stale_marker;

/// Over the float samples that are no stale markers. Without any, all but `resets` and `stale` is null in the
/// file; chunks of fewer than 64 samples have none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Summary {
    pub first: f64,
    pub last: f64,
    /// Smallest and largest that is a number; NaN when none is.
    pub min: f64,
    pub max: f64,
    /// With compensated (Kahan-Neumaier) summation, in order of time.
    pub sum: f64,
    /// What a counter grew between first and last: the sum of the steps up, and after a step down the value
    /// reached, because the counter began again at 0.
    pub increase: f64,
    /// Steps down.
    pub resets: u32,
    pub stale: u32,
    /// Samples that are no stale markers.
    pub live: u32,
}

impl Summary {
    pub fn of(values: &[f64]) -> Self {
        let mut s = Summary { min: f64::NAN, max: f64::NAN, ..Summary::default() };
        let mut compensation = 0.0;
        for v in values.iter().copied() {
            if is_stale_marker(v) {
                s.stale += 1;
                continue;
            }
            if s.live == 0 {
                s.first = v;
            } else if v < s.last {
                s.resets += 1;
                s.increase += v;
            } else {
                s.increase += v - s.last;
            }
            s.live += 1;
            s.last = v;
            s.min = s.min.min(v);
            s.max = s.max.max(v);
            let t = s.sum + v;
            if t.is_finite() {
                compensation += if s.sum.abs() >= v.abs() { (s.sum - t) + v } else { (v - t) + s.sum };
            }
            s.sum = t;
        }
        if s.sum.is_finite() {
            s.sum += compensation;
        }
        s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_and_stale_markers_do_not_spoil_the_increase() {
        let s = Summary::of(&[10.0, 12.0, model::stale_marker(), 3.0, 4.0]);
        assert_eq!((s.first, s.last, s.min, s.max), (10.0, 4.0, 3.0, 12.0));
        assert_eq!((s.increase, s.resets, s.stale, s.live, s.sum), (6.0, 1, 1, 4, 29.0));
    }

    #[test]
    fn a_chunk_of_stale_markers_has_no_live_sample() {
        let s = Summary::of(&[model::stale_marker()]);
        assert_eq!((s.live, s.stale), (0, 1));
        assert!(s.min.is_nan());
    }
}
