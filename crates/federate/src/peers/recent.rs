//! The last answers that were not whole, and who was missing from them.

use std::collections::VecDeque;

use contract::CoverageState;
use model::{Signal, TimestampNs};
use parking_lot::Mutex;

/// Entries that are kept, over all members.
const KEPT: usize = 200;

/// One member's part in one answer that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    pub at: TimestampNs,
    pub signal: Signal,
    pub cluster: String,
    pub replica: Option<String>,
    pub state: CoverageState,
    pub reason: String,
}

#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<Incomplete>>);

impl Recent {
    pub(super) fn note(&self, one: Incomplete) {
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(one);
    }

    /// Newest first.
    pub(super) fn list(&self) -> Vec<Incomplete> {
        self.0.lock().iter().rev().cloned().collect()
    }
}
