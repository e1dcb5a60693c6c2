//! How long a member took lately.

use std::{collections::VecDeque, time::Duration};

/// Answers that are remembered. More: slower to notice that a member has become fast or slow.
const KEPT: usize = 256;

#[derive(Default)]
pub(super) struct Latencies(VecDeque<Duration>);

impl Latencies {
    pub(super) fn note(&mut self, took: Duration) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// The time within which this share of the answers came; `None` before the first.
    pub(super) fn within(&self, share: f64) -> Option<Duration> {
        let mut all: Vec<Duration> = self.0.iter().copied().collect();
        all.sort_unstable();
        let last = all.len().checked_sub(1)?;
        all.get(((last as f64) * share).ceil() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_answers() {
        let mut l = Latencies::default();
        assert_eq!(l.within(0.5), None);
        (0..1000).for_each(|_| l.note(Duration::from_secs(9)));
        (1..=KEPT as u64).for_each(|ms| l.note(Duration::from_millis(ms)));
        assert_eq!(l.within(0.0), Some(Duration::from_millis(1)));
        assert_eq!(l.within(0.5), Some(Duration::from_millis(129)));
        assert_eq!(l.within(1.0), Some(Duration::from_millis(KEPT as u64)));
    }
}
