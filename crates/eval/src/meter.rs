//! What a query holds and how long it may run.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use base::memory::{MemoryBudget, Reservation, Use};

use crate::{Error, Result};

/// Bytes are asked of the budget in pieces of this size: smaller ones would contend for the shared counter,
/// larger ones would refuse queries that fit.
const PIECE_BYTES: u64 = 256 << 10;

/// Cells computed between two looks at the clock: below a millisecond of work.
const CELLS_PER_LOOK: usize = 1 << 17;

/// What handling one series costs beside its cells.
const CELLS_PER_SERIES: usize = 64;

/// Counts bytes held by intermediate results against the node's budget and the query's own limit, and watches the
/// deadline. Threads that work on one query each take a [`Meter::fork`]; all count together.
pub struct Meter {
    held: Arc<Held>,
    max_bytes: u64,
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
    /// Cells since the last look at the clock.
    cells: usize,
}

struct Held {
    bytes: AtomicU64,
    peak: AtomicU64,
    /// What the reservation has grown to; all there is where there is no reservation.
    reserved: AtomicU64,
    reservation: Mutex<Option<Reservation>>,
}

impl Meter {
    fn with(reservation: Option<Reservation>, deadline: Option<Instant>) -> Self {
        let reserved = AtomicU64::new(if reservation.is_some() { 0 } else { u64::MAX });
        let reservation = Mutex::new(reservation);
        let held = Held { bytes: AtomicU64::new(0), peak: AtomicU64::new(0), reserved, reservation };
        Meter { held: Arc::new(held), max_bytes: u64::MAX, deadline, cancelled: None, cells: 0 }
    }

    /// Bounded by the node's budget and, if given, a deadline.
    pub fn new(budget: &MemoryBudget, deadline: Option<Instant>) -> Result<Self> {
        Ok(Self::with(Some(budget.reserve(Use::Query, 0)?), deadline))
    }

    /// Bounded by nothing, for tests.
    pub fn unlimited() -> Self {
        Self::with(None, None)
    }

    /// Ends the work with [`Error::Cancelled`] soon after the flag is set.
    pub fn cancelled_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// Refuses to hold more than `bytes` at once, whatever the node's budget has left.
    pub fn limited_to(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The same bounds and the same count, for another thread.
    pub fn fork(&self) -> Meter {
        Meter {
            held: Arc::clone(&self.held),
            max_bytes: self.max_bytes,
            deadline: self.deadline,
            cancelled: self.cancelled.clone(),
            cells: 0,
        }
    }

    /// Bytes are about to be held.
    pub fn charge(&mut self, bytes: usize) -> Result<()> {
        let held = self.held.bytes.fetch_add(bytes as u64, Relaxed).saturating_add(bytes as u64);
        self.held.peak.fetch_max(held, Relaxed);
        if held > self.max_bytes {
            return Err(Error::Limited {
                limit: "query.max_bytes",
                max: self.max_bytes,
                what: format!("samples and intermediate results would take {held} bytes"),
            });
        }
        if held > self.held.reserved.load(Relaxed) {
            self.grow()?;
        }
        Ok(())
    }

    fn grow(&self) -> Result<()> {
        let mut reservation = self.held.reservation.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.held.bytes.load(Relaxed);
        if let Some(r) = reservation.as_mut()
            && held > r.bytes()
        {
            let more = (held - r.bytes()).div_ceil(PIECE_BYTES) * PIECE_BYTES;
            r.grow(more)?;
            self.held.reserved.store(r.bytes(), Relaxed);
        }
        Ok(())
    }

    /// Bytes charged before are no longer held.
    pub fn release(&mut self, bytes: usize) {
        let less = |held: u64| Some(held.saturating_sub(bytes as u64));
        let before = self.held.bytes.fetch_update(Relaxed, Relaxed, less).unwrap_or_default();
        let held = before.saturating_sub(bytes as u64);
        if self.held.reserved.load(Relaxed) <= held.saturating_add(4 * PIECE_BYTES) {
            return;
        }
        let mut reservation = self.held.reservation.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(r) = reservation.as_mut() {
            r.shrink_to(self.held.bytes.load(Relaxed) + PIECE_BYTES);
            self.held.reserved.store(r.bytes(), Relaxed);
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
        self.held.bytes.load(Relaxed)
    }

    pub fn peak_bytes(&self) -> u64 {
        self.held.peak.load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
