//! Where samples lie and which spans each is of.

use model::{TimeRange, TimestampNs};

use crate::{Error, Result};

/// Equal intervals one after another; the sample of each stands at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// First nanosecond of the first interval.
    pub start_ns: i64,
    pub step_ns: i64,
    pub len: usize,
    /// From the first nanosecond after an interval to its sample.
    at_ns: i64,
}

impl Grid {
    /// Samples at multiples of the step, around the whole range; that of `t` is of `(t - step, t]`.
    pub fn of_range(range: TimeRange, step_ns: i64, max_steps: i64) -> Result<Self> {
        let (start, end) = (range.start.0, range.end.0);
        if step_ns <= 0 {
            return Err(Error::invalid(format!("step must be above 0, not {step_ns} ns")));
        }
        if end <= start {
            return Err(Error::invalid("the end of the range must lie after its start"));
        }
        let far = || Error::invalid(format!("the range from {start} to {end} ns is out of bounds"));
        let first = start.div_euclid(step_ns).checked_mul(step_ns).ok_or_else(far)?;
        let last = end.checked_add(step_ns - 1).ok_or_else(far)?.div_euclid(step_ns) * step_ns;
        let steps = last.checked_sub(first).ok_or_else(far)? / step_ns + 1;
        if steps > max_steps {
            let message =
                format!("{steps} samples per series are asked for, more than {max_steps}: use a longer step");
            return Err(Error::invalid(message));
        }
        let start_ns = first.checked_sub(step_ns).ok_or_else(far)? + 1;
        Ok(Grid { start_ns, step_ns, len: steps as usize, at_ns: -1 })
    }

    /// One sample at the end of the range, of all of it.
    pub fn of_instant(range: TimeRange) -> Result<Self> {
        match range.end.0.checked_sub(range.start.0) {
            Some(width) if width > 0 => {
                Ok(Grid { start_ns: range.start.0, step_ns: width, len: 1, at_ns: 0 })
            }
            _ => Err(Error::invalid("the end of the range must lie after its start")),
        }
    }

    /// The time of all spans that count.
    pub fn range(&self) -> TimeRange {
        let end = self.start_ns.saturating_add(self.step_ns.saturating_mul(self.len as i64));
        TimeRange::new(TimestampNs(self.start_ns), TimestampNs(end))
    }

    pub fn step_of(&self, at_ns: i64) -> Option<usize> {
        let step = usize::try_from(at_ns.checked_sub(self.start_ns)?.div_euclid(self.step_ns)).ok()?;
        (step < self.len).then_some(step)
    }

    /// Milliseconds.
    pub fn sample_ms(&self, step: usize) -> i64 {
        let end = self.start_ns.saturating_add(self.step_ns.saturating_mul(step as i64 + 1));
        end.saturating_add(self.at_ns).div_euclid(1_000_000)
    }

    pub fn step_seconds(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(TimestampNs(start), TimestampNs(end))
    }

    #[test]
    fn samples_stand_at_multiples_of_the_step_around_the_range() {
        let g = Grid::of_range(range(15 * S, 41 * S), 10 * S, 100).unwrap();
        assert_eq!(
            (0..g.len).map(|i| g.sample_ms(i)).collect::<Vec<_>>(),
            [10_000, 20_000, 30_000, 40_000, 50_000]
        );
        assert_eq!(g.range(), range(1, 50 * S + 1));
        for (at, step) in
            [(0, None), (1, Some(0)), (10 * S, Some(0)), (10 * S + 1, Some(1)), (50 * S, Some(4))]
        {
            assert_eq!(g.step_of(at), step, "{at}");
        }
        assert_eq!(g.step_of(50 * S + 1), None);
    }

    #[test]
    fn an_instant_is_one_sample_of_the_whole_range() {
        let g = Grid::of_instant(range(5 * S, 9 * S)).unwrap();
        assert_eq!((g.len, g.sample_ms(0), g.step_seconds()), (1, 9_000, 4.0));
        assert_eq!((g.step_of(5 * S), g.step_of(9 * S)), (Some(0), None));
    }

    #[test]
    fn ranges_without_sense_are_refused() {
        assert!(Grid::of_range(range(0, 10), 0, 100).is_err());
        assert!(Grid::of_range(range(10, 10), 1, 100).is_err());
        assert!(Grid::of_range(range(0, 1000), 1, 100).is_err());
        assert!(Grid::of_range(TimeRange::ALL, S, 100).is_err());
        assert!(Grid::of_instant(TimeRange::ALL).is_err());
    }
}
