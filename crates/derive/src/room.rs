//! How much the state of one tenant may take: a number of series, and memory that is set aside for them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use base::{
    MemoryBudget,
    memory::{Reservation, Use},
};
use parking_lot::Mutex;

pub(crate) struct Room {
    budget: MemoryBudget,
    max_series: usize,
    series: AtomicUsize,
    held: Mutex<Option<Reservation>>,
}

impl Room {
    pub(crate) fn new(budget: MemoryBudget, max_series: usize) -> Self {
        Room { budget, max_series, series: AtomicUsize::new(0), held: Mutex::new(None) }
    }

    /// Sets room aside, or says that there is none.
    pub(crate) fn take(&self, series: usize, bytes: usize) -> bool {
        let before = self.series.fetch_add(series, Relaxed);
        if before + series <= self.max_series && self.hold(bytes as u64) {
            return true;
        }
        self.series.fetch_sub(series, Relaxed);
        false
    }

    fn hold(&self, bytes: u64) -> bool {
        if bytes == 0 {
            return true;
        }
        let mut held = self.held.lock();
        match &mut *held {
            Some(held) => held.grow(bytes).is_ok(),
            none => {
                *none = self.budget.reserve(Use::Ingest, bytes).ok();
                none.is_some()
            }
        }
    }

    pub(crate) fn give_back(&self, series: usize, bytes: usize) {
        self.series.fetch_sub(series, Relaxed);
        if let Some(held) = &mut *self.held.lock() {
            let left = held.bytes().saturating_sub(bytes as u64);
            held.shrink_to(left);
        }
    }

    pub(crate) fn series(&self) -> usize {
        self.series.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let budget = MemoryBudget::new(1000);
        let room = Room::new(budget.clone(), 10);
        assert!(room.take(10, 500));
        assert!(!room.take(1, 10));
        assert_eq!((room.series(), budget.reserved()), (10, 500));
        room.give_back(4, 100);
        assert!(!room.take(2, 900), "there is no memory for it");
        assert!(room.take(2, 100));
        assert_eq!((room.series(), budget.reserved()), (8, 500));
    }
}
