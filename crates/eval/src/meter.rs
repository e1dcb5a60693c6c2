//! What a query holds and how long it may run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use base::memory::{MemoryBudget, Reservation, Use};

use crate::{Error, Result};

/// Bytes are asked of the budget in pieces of this size: smaller ones would contend for the shared counter,
/// larger ones would refuse queries that fit.
const PIECE_BYTES: u64 = 256 << 10;

/// Cells computed between two looks at the clock: a few milliseconds of work.
const CELLS_PER_LOOK: usize = 1 << 20;

/// What handling one series costs beside its cells.
const CELLS_PER_SERIES: usize = CELLS_PER_LOOK / 64;

/// Counts bytes held by intermediate results against the node's budget and watches the deadline.
pub struct Meter {
    reservation: Option<Reservation>,
    held: u64,
    peak: u64,
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
    /// Cells since the last look at the clock.
    cells: usize,
}

impl Meter {
    /// Bounded by the node's budget and, if given, a deadline.
    pub fn new(budget: &MemoryBudget, deadline: Option<Instant>) -> Result<Self> {
        let reservation = Some(budget.reserve(Use::Query, 0)?);
        Ok(Meter { reservation, held: 0, peak: 0, deadline, cancelled: None, cells: 0 })
    }

    /// Bounded by nothing, for tests.
    pub fn unlimited() -> Self {
        Meter { reservation: None, held: 0, peak: 0, deadline: None, cancelled: None, cells: 0 }
    }

    /// Ends the work with [`Error::Cancelled`] soon after the flag is set.
    pub fn cancelled_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// Bytes are about to be held.
    pub fn charge(&mut self, bytes: usize) -> Result<()> {
        self.held = self.held.saturating_add(bytes as u64);
        self.peak = self.peak.max(self.held);
        if let Some(r) = &mut self.reservation
            && self.held > r.bytes()
        {
            let more = (self.held - r.bytes()).div_ceil(PIECE_BYTES) * PIECE_BYTES;
            r.grow(more)?;
        }
        Ok(())
    }

    /// Bytes charged before are no longer held.
    pub fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes as u64);
        if let Some(r) = &mut self.reservation
            && r.bytes() > self.held + 4 * PIECE_BYTES
        {
            r.shrink_to(self.held + PIECE_BYTES);
        }
    }

    /// To be called once per series by loops over series.
    pub fn tick(&mut self) -> Result<()> {
        self.work(CELLS_PER_SERIES)
    }

    /// To be called by loops over values, with how many there are.
    pub fn work(&mut self, cells: usize) -> Result<()> {
        self.cells = self.cells.saturating_add(cells);
        if self.cells < CELLS_PER_LOOK {
            return Ok(());
        }
        self.check_deadline()
    }

    /// Looks at the clock, and whether anyone still waits, at once.
    pub fn check_deadline(&mut self) -> Result<()> {
        self.cells = 0;
        if self.cancelled.as_ref().is_some_and(|c| c.load(Relaxed)) {
            return Err(Error::Cancelled);
        }
        match self.deadline {
            Some(d) if Instant::now() >= d => Err(Error::Timeout),
            _ => Ok(()),
        }
    }

    pub fn held_bytes(&self) -> u64 {
        self.held
    }

    pub fn peak_bytes(&self) -> u64 {
        self.peak
    }
}
