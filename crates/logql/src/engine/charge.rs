//! What a query holds, charged to the node's memory budget.

use base::memory::{Reservation, Use};
use contract::QueryLimits;

use crate::Result;

/// The budget is asked for this much at a time, so that small items do not contend for it.
const STEP_BYTES: u64 = 64 << 10;

pub(super) struct Charge {
    held: Reservation,
    used: u64,
}

impl Charge {
    pub fn new(limits: &QueryLimits) -> Result<Self> {
        Ok(Charge { held: limits.memory.reserve(Use::Query, 0)?, used: 0 })
    }

    /// Counts `bytes` more as held until the query ends.
    pub fn add(&mut self, bytes: usize) -> Result<()> {
        self.used = self.used.saturating_add(bytes as u64);
        let over = self.used.saturating_sub(self.held.bytes());
        if over > 0 {
            self.held.grow(over.max(STEP_BYTES))?;
        }
        Ok(())
    }
}
