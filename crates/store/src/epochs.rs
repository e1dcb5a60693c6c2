//! From where on the log can be understood.
//!
//! The log names series by numbers that were defined earlier in it. Every so often the numbers begin anew: with
//! each life of the process, with each freeze, and after each group that the log did not take. What lies between
//! two beginnings is an epoch. An epoch of which a head still needs something is kept from its beginning on.

use disklog::Position;
use parking_lot::Mutex;

/// Places before which no definition lies that is used behind them, ascending.
#[derive(Default)]
pub(crate) struct Epochs(Mutex<Vec<Position>>);

impl Epochs {
    /// What follows `at` uses nothing that was defined before.
    pub(crate) fn begun(&self, at: Position) {
        let mut starts = self.0.lock();
        if starts.last().is_none_or(|last| *last < at) {
            starts.push(at);
        }
    }

    /// Where the log must begin for what lies behind `needed` to be understood. Earlier epochs are forgotten.
    pub(crate) fn floor(&self, needed: Position) -> Position {
        let mut starts = self.0.lock();
        let before = starts.partition_point(|s| *s <= needed);
        starts.drain(..before.saturating_sub(1));
        // Before the first epoch units stand for themselves.
        starts.first().copied().filter(|s| *s <= needed).unwrap_or(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u64) -> Position {
        Position { segment, offset: 0 }
    }

    #[test]
    fn the_log_is_kept_from_the_beginning_of_the_epoch_that_is_needed() {
        let epochs = Epochs::default();
        assert_eq!(epochs.floor(at(3)), at(3));
        for segment in [5, 5, 9, 12] {
            epochs.begun(at(segment));
        }
        assert_eq!(epochs.floor(at(3)), at(3));
        assert_eq!(epochs.floor(at(8)), at(5));
        assert_eq!(epochs.floor(at(9)), at(9));
        assert_eq!(epochs.floor(at(8)), at(8), "what was cut is not asked for again");
        assert_eq!(epochs.floor(at(20)), at(12));
    }
}
