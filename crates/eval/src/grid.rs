//! The instants at which a query is evaluated.

/// `start`, `start + step`, … up to and including `end`; milliseconds since 1970. A grid has at least one
/// step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    pub start_ms: i64,
    pub step_ms: i64,
    steps: usize,
}

impl Grid {
    /// One instant.
    pub fn instant(at_ms: i64) -> Self {
        Grid { start_ms: at_ms, step_ms: 1, steps: 1 }
    }

    /// `None` if `end < start` or `step <= 0`.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Option<Self> {
        if step_ms <= 0 || end_ms < start_ms {
            return None;
        }
        let steps = end_ms.checked_sub(start_ms)? / step_ms + 1;
        Some(Grid { start_ms, step_ms, steps: usize::try_from(steps).ok()? })
    }

    /// Number of steps, at least 1.
    pub fn len(&self) -> usize {
        self.steps
    }

    pub fn is_empty(&self) -> bool {
        false
    }

    /// Time of step `i`.
    pub fn at(&self, i: usize) -> i64 {
        self.start_ms.saturating_add((i as i64).saturating_mul(self.step_ms))
    }

    /// Time of the last step, which may lie before the end that was asked for.
    pub fn last_ms(&self) -> i64 {
        self.at(self.steps - 1)
    }

    pub fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.steps).map(|i| self.at(i))
    }
}
