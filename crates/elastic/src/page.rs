//! The hits of one page: of all that are found the first by an order, and no more held than the page needs.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
};

use base::{MemoryBudget, memory::Reservation, memory::Use};
use model::{LogRecord, LogStream};

use crate::{
    Result,
    field::Doc,
    sort::{self, Rank, SortKey},
};

/// Where in an order reading goes on: behind so many of those that stand at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    place: Place,
    seen: u64,
}

/// By the keys, then newest first.
type Place = (Vec<Rank>, Reverse<i64>);

impl Position {
    /// The time of the place, in nanoseconds.
    pub fn time(&self) -> i64 {
        self.place.1.0
    }
}

/// One hit.
#[derive(Debug, Clone)]
pub struct Hit {
    pub index: Arc<str>,
    pub stream: Arc<LogStream>,
    pub record: LogRecord,
    pub ranks: Vec<Rank>,
}

struct Held {
    place: Place,
    /// In the order they came, which tells those of one place apart.
    number: u64,
    hit: Hit,
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}

/// Gathers a page.
pub struct Page {
    keys: Vec<SortKey>,
    /// Hits that are held at most.
    most: usize,
    from: Option<Position>,
    after: Option<Vec<Rank>>,
    /// The worst on top.
    held: BinaryHeap<Held>,
    number: u64,
    passed: u64,
    memory: Reservation,
}

impl Page {
    pub fn new(
        keys: Vec<SortKey>,
        most: usize,
        from: Option<Position>,
        after: Option<Vec<Rank>>,
        budget: &MemoryBudget,
    ) -> Result<Self> {
        let memory = budget.reserve(Use::Query, 0)?;
        Ok(Page { keys, most, from, after, held: BinaryHeap::new(), number: 0, passed: 0, memory })
    }

    pub fn is_full(&self) -> bool {
        self.held.len() >= self.most
    }

    pub fn offer(
        &mut self,
        doc: &Doc<'_>,
        index: &Arc<str>,
        stream: impl FnOnce() -> Arc<LogStream>,
    ) -> Result<()> {
        if self.most == 0 {
            return Ok(());
        }
        let ranks = sort::ranks(&self.keys, doc);
        if self.after.as_ref().is_some_and(|after| ranks <= *after) {
            return Ok(());
        }
        let place = (ranks, Reverse(doc.record.timestamp_ns));
        if let Some(from) = &self.from {
            match place.cmp(&from.place) {
                Ordering::Less => return Ok(()),
                Ordering::Equal if self.passed < from.seen => {
                    self.passed += 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        self.number += 1;
        // What came earlier goes before what stands at the same place.
        if self.is_full() && self.held.peek().is_some_and(|worst| worst.place <= place) {
            return Ok(());
        }
        let record = doc.record.clone();
        let ranks = place.0.clone();
        let hit = Hit { index: index.clone(), stream: stream(), record, ranks };
        self.memory.grow(bytes(&hit))?;
        self.held.push(Held { place, number: self.number, hit });
        if self.held.len() > self.most
            && let Some(out) = self.held.pop()
        {
            let left = self.memory.bytes().saturating_sub(bytes(&out.hit));
            self.memory.shrink_to(left);
        }
        Ok(())
    }

    /// The hits in order without the first `skip`, where the next page begins, and the memory they hold.
    pub fn finish(self, skip: usize) -> (Vec<Hit>, Option<Position>, Reservation) {
        let sorted = self.held.into_sorted_vec();
        let next = match sorted.last() {
            None => self.from,
            Some(last) => {
                let place = last.place.clone();
                let here = sorted.iter().rev().take_while(|h| h.place == place).count() as u64;
                let before = self.from.filter(|f| f.place == place).map_or(0, |f| f.seen);
                Some(Position { place, seen: before + here })
            }
        };
        (sorted.into_iter().skip(skip).map(|h| h.hit).collect(), next, self.memory)
    }
}

/// Both copies of the ranks, and the place in the heap.
fn bytes(hit: &Hit) -> u64 {
    let ranks: usize = hit.ranks.iter().map(Rank::heap_bytes).sum();
    (hit.record.heap_bytes() + 2 * ranks + std::mem::size_of::<Held>()) as u64
}
