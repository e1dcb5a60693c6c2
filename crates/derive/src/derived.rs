//! Everything that is derived from one tenant's spans.
//!
//! Four steps, of which the caller keeps the order:
//!
//! 1. [`Derived::observe`] takes down the spans of a unit before it is stored;
//! 2. [`Derived::apply`] counts them once it is, but for what was refused. A unit that is not stored, or was stored
//!    before, is never applied;
//! 3. [`Derived::begin`], then [`Derived::write`] for each part, make samples of all counts;
//! 4. [`Derived::settle`] notes that a part is stored. Without it the next collection writes the same again.
//!
//! Between `observe` and `apply` of a unit nothing may be settled: numbers that `observe` gave out may be given anew.
//! Counters begin with the process. After a crash the spans that were stored and not yet collected are counted again
//! from the log: `observe` and `apply` for each of its units in order, [`Derived::collected`] for each collection.

use base::MemoryBudget;
use model::{MetricBatch, SpanBatch};
use parking_lot::{Mutex, RwLock};

use crate::{
    counts::{Counts, Tally},
    emit::{Emission, Part},
    intern::OVERFLOW,
    observe::{self, Names, Observed},
    options::Options,
    plan::Plan,
    room::Room,
    series,
};

/// Series of one part: what a unit of the log holds easily, labels of all of them included.
const PART_SERIES: usize = if cfg!(test) { 100 } else { 50_000 };

pub struct Derived {
    plan: Plan,
    names: RwLock<Names>,
    counts: Mutex<Counts>,
    room: Room,
    times: Mutex<Times>,
}

struct Times {
    /// The last collection, or the beginning.
    last_ms: i64,
    /// Nodes that were left after the last search for unused ones.
    nodes: usize,
    /// Families were described.
    described: bool,
}

/// One collection.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// When: later than any before.
    pub at_ms: i64,
    /// How many parts it has, at least one.
    pub parts: u32,
    /// What became of halves that waited long enough.
    pub tally: Tally,
    last_ms: i64,
}

impl Derived {
    /// Counts from now on. Series take memory of `budget`.
    pub fn new(options: Options, budget: MemoryBudget, now_ns: i64) -> Self {
        let room = Room::new(budget, options.max_series);
        let times = Times { last_ms: now_ns.div_euclid(1_000_000), nodes: 0, described: false };
        Derived {
            plan: Plan::new(options),
            names: RwLock::default(),
            counts: Mutex::default(),
            room,
            times: Mutex::new(times),
        }
    }

    /// Takes down the spans of one unit, all of its batches in their order.
    pub fn observe<'b>(&self, batches: impl Iterator<Item = &'b SpanBatch>, received_ns: i64) -> Observed {
        observe::observe(&self.plan, &self.names, &self.room, batches, received_ns)
    }

    /// Counts what was taken down. `refused` are the places of spans that were not stored, ascending, counted
    /// through all batches of the unit.
    pub fn apply(&self, observed: Observed, refused: &[u32]) -> Tally {
        let born_ms = self.born_ms();
        self.counts.lock().add(&self.plan, &self.room, born_ms, observed, refused)
    }

    /// What begins to be counted now begins right behind the last collection, so that samples stay an interval apart.
    fn born_ms(&self) -> i64 {
        self.times.lock().last_ms + 1
    }

    /// Begins a collection: ends the waiting of halves, and chooses the time of all its samples.
    pub fn begin(&self, now_ms: i64) -> Collection {
        let last_ms = self.times.lock().last_ms;
        // Later than the zeros of what began since.
        let at_ms = now_ms.max(last_ms + 2);
        let now_ns = at_ms.saturating_mul(1_000_000);
        let tally = self.counts.lock().expire(&self.plan, &self.room, last_ms + 1, now_ns);
        let parts = self.room.series().div_ceil(PART_SERIES).max(1) as u32;
        Collection { at_ms, parts, tally, last_ms }
    }

    /// The samples of one part, counted from 0. Empty where nothing is counted; without samples where spans came of
    /// which none is counted, since a log must know that this is so.
    pub fn write(&self, collection: &Collection, part: u32) -> MetricBatch {
        let names = self.names.read();
        let mut counts = self.counts.lock();
        let mut batch = self.emission(&names, collection, part).write(&mut counts);
        let only_marks = batch.is_empty() && counts.met && part + 1 == collection.parts;
        let describes = !batch.is_empty() && part == 0 && !self.times.lock().described;
        if only_marks || describes {
            batch.metadata = series::metadata(&self.plan);
        }
        batch
    }

    /// The part is stored.
    pub fn settle(&self, collection: &Collection, part: u32) {
        let names = &mut *self.names.write();
        let counts = &mut *self.counts.lock();
        let gone = self.emission(names, collection, part).settle(counts);
        let shrinks = !gone.is_empty();
        gone.free(&self.plan, &self.room, names, counts);
        let last = part + 1 == collection.parts;
        let mut times = self.times.lock();
        times.described = true;
        if last {
            counts.met = false;
            times.last_ms = collection.at_ms;
            self.forget_uncounted(names, counts);
        }
        if shrinks || last && names.nodes.len() > times.nodes + times.nodes / 4 + 64 {
            self.forget_nodes(names, counts, &mut times);
        }
    }

    /// Of a log that is read again: a part of a collection at `at_ms` was stored here, so what was counted before is
    /// counted no more. Halves go on waiting.
    pub fn collected(&self, part: u32, parts: u32, at_ms: i64) {
        let names = &mut *self.names.write();
        let counts = &mut *self.counts.lock();
        let mut times = self.times.lock();
        let last_ms = times.last_ms;
        counts.expire(&self.plan, &self.room, last_ms + 1, at_ms.saturating_mul(1_000_000));
        let collection = Collection { at_ms, parts, tally: Tally::default(), last_ms };
        let gone = self.emission(names, &collection, part).all(counts);
        gone.free(&self.plan, &self.room, names, counts);
        counts.met &= part + 1 < parts;
        self.forget_nodes(names, counts, &mut times);
    }

    fn emission<'a>(&'a self, names: &'a Names, collection: &Collection, part: u32) -> Emission<'a> {
        Emission {
            plan: &self.plan,
            names,
            part: Part { index: part, of: collection.parts },
            at_ms: collection.at_ms,
            last_ms: collection.last_ms,
        }
    }

    /// Forgets keys of spans that were taken down and then not stored.
    fn forget_uncounted(&self, names: &mut Names, counts: &Counts) {
        let red: Vec<u32> = names.red.numbers().filter(|n| !counts.red.counts(*n)).collect();
        for number in red {
            let bytes = names.red.key(number).map_or(0, |key| observe::red_bytes(&self.plan, key));
            names.red.remove(number);
            self.room.give_back(self.plan.red_series(), bytes);
        }
        let targets: Vec<u32> =
            names.targets.numbers().filter(|n| !counts.red.targets.contains_key(n)).collect();
        for number in targets {
            let bytes = names.targets.key(number).map_or(0, observe::node_bytes);
            names.targets.remove(number);
            self.room.give_back(1, bytes);
        }
    }

    /// Forgets names that nothing refers to any more.
    fn forget_nodes(&self, names: &mut Names, counts: &Counts, times: &mut Times) {
        let mut used = std::collections::HashSet::from([OVERFLOW]);
        used.extend(counts.graph.nodes());
        let unused: Vec<u32> = names.nodes.numbers().filter(|n| !used.contains(n)).collect();
        for number in unused {
            let bytes = names.nodes.key(number).map_or(0, observe::node_bytes);
            names.nodes.remove(number);
            self.room.give_back(0, bytes);
        }
        times.nodes = names.nodes.len();
    }

    /// Series it has.
    pub fn series(&self) -> usize {
        self.room.series()
    }

    /// Halves of requests that wait for their other half.
    pub fn waiting(&self) -> usize {
        self.counts.lock().graph.waiting()
    }

    /// Nothing is counted and nothing waits: it can be forgotten.
    pub fn is_empty(&self) -> bool {
        let counts = self.counts.lock();
        counts.red.is_empty() && counts.graph.is_empty() && !counts.met
    }
}

#[cfg(test)]
mod tests;
