//! The engine's memory comes out of the node's budget, so that a statement that sorts or groups too much is refused
//! before the node is in danger. Nothing is written to disk instead.

use std::fmt;

use base::memory::{MemoryBudget, Reservation, Use};
use contract::Error;
use datafusion::{
    error::Result,
    execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation},
};
use parking_lot::Mutex;

use crate::error::through;

pub(crate) struct Pool {
    budget: MemoryBudget,
    held: Mutex<Held>,
}

struct Held {
    /// None until the first byte: an exhausted budget is told to who asks for memory.
    reservation: Option<Reservation>,
    /// What was taken by those who do not ask, and the budget would not give.
    beyond: usize,
}

impl Pool {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Pool { budget, held: Mutex::new(Held { reservation: None, beyond: 0 }) }
    }

    fn take(&self, held: &mut Held, bytes: usize) -> std::result::Result<(), Error> {
        match &mut held.reservation {
            Some(r) => r.grow(bytes as u64)?,
            none => *none = Some(self.budget.reserve(Use::Query, bytes as u64)?),
        }
        Ok(())
    }
}

impl MemoryPool for Pool {
    fn name(&self) -> &str {
        "memory.limit"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        let mut held = self.held.lock();
        if self.take(&mut held, additional).is_err() {
            held.beyond = held.beyond.saturating_add(additional);
        }
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        let mut held = self.held.lock();
        let from_beyond = held.beyond.min(shrink);
        held.beyond -= from_beyond;
        if let Some(r) = &mut held.reservation {
            r.shrink_to(r.bytes().saturating_sub((shrink - from_beyond) as u64));
        }
    }

    fn try_grow(&self, _: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held.lock();
        self.take(&mut held, additional).map_err(through)
    }

    fn reserved(&self) -> usize {
        let held = self.held.lock();
        held.beyond + held.reservation.as_ref().map_or(0, |r| r.bytes() as usize)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.budget.limit_bytes() as usize)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} bytes)", self.reserved())
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node's memory budget")
    }
}
