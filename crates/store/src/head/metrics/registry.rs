//! The series a head knows, each in a slot of its own for as long as nothing is forgotten.

use std::{collections::HashMap, hash::BuildHasherDefault};

use base::hash::AsIs;
use model::{Labels, MetricBatch};
use wire::native::apart::Entry;

use super::{super::index::Index, SeriesStore, slab::Slab};
use crate::options::Limits;

pub(super) const NONE: u32 = u32::MAX;

/// Bytes of a registered series beside its labels and index entries: its slot, its place in the map, and what
/// the allocator keeps beside labels.
const SERIES_BYTES: usize = std::mem::size_of::<Series>() + 18 + 16;

pub(super) struct Series {
    pub(super) labels: Labels,
    /// Next series of the same place in the map.
    chain: u32,
    /// The series that followed last time.
    successor: u32,
    /// Where [`super::stage`] may have marked it.
    pub(super) pending: u32,
    pub(super) store: SeriesStore,
}

#[derive(Default)]
pub(super) struct Registry {
    pub(super) series: Slab<Series>,
    /// The newest series of each lower half of a hash.
    by_hash: HashMap<u32, u32, BuildHasherDefault<AsIs>>,
    pub(super) index: Index,
    hinted: Hinted,
    defined: Defined,
    /// Where the last batch ended: the next one is expected to begin with its successor.
    cursor: Option<u32>,
    bytes: usize,
}

/// The slots of the series that the decoder of the last batch has numbers for.
#[derive(Default)]
struct Hinted {
    source: u64,
    /// By number.
    slots: Vec<u32>,
}

/// The slots that stand for their series in the log.
#[derive(Default)]
struct Defined {
    epoch: u64,
    /// One bit each.
    slots: Vec<u64>,
}

impl Registry {
    /// The slot of every series of the batch; `NONE` for one that a limit refuses.
    pub(super) fn resolve(&mut self, batch: &MetricBatch, limits: Option<&Limits>) -> Vec<u32> {
        let hints = batch.hints.as_ref().filter(|h| h.numbers.len() == batch.series.len());
        let numbers = hints.map_or(&[][..], |h| &h.numbers);
        if let Some(h) = hints
            && h.source != self.hinted.source
        {
            self.hinted = Hinted { source: h.source, slots: Vec::new() };
        }
        let mut before = self.cursor;
        let mut slots = Vec::with_capacity(batch.series.len());
        for (i, labels) in batch.series.iter().enumerate() {
            let number = numbers.get(i).copied();
            let slot = match number.and_then(|n| self.hint(n, labels)) {
                Some(slot) => slot,
                None => self.find_or_register(labels, before, number, limits),
            };
            if slot != NONE {
                before = Some(slot);
            }
            slots.push(slot);
        }
        self.cursor = before;
        slots
    }

    #[inline]
    fn hint(&self, number: u32, labels: &Labels) -> Option<u32> {
        let slot = *self.hinted.slots.get(number as usize)?;
        self.series.get(slot).is_some_and(|s| s.labels == *labels).then_some(slot)
    }

    fn find_or_register(
        &mut self,
        labels: &Labels,
        before: Option<u32>,
        number: Option<u32>,
        limits: Option<&Limits>,
    ) -> u32 {
        let slot = match self.find(labels, before) {
            Some(slot) => slot,
            None if limits.is_some_and(|l| self.is_full(labels, l)) => return NONE,
            None => self.register(labels, before),
        };
        if let Some(number) = number {
            // A decoder forgets before it has many more series than there are here.
            self.hinted.learn(number, slot, 4 * self.series.len() + (1 << 16));
        }
        slot
    }

    /// Resolves a series, expecting it where its predecessor points.
    fn find(&mut self, labels: &Labels, before: Option<u32>) -> Option<u32> {
        if let Some(expected) = before.and_then(|b| self.series.get(b)).map(|s| s.successor)
            && self.series.get(expected).is_some_and(|s| s.labels == *labels)
        {
            return Some(expected);
        }
        let mut slot = self.by_hash.get(&(labels.stable_hash() as u32)).copied().unwrap_or(NONE);
        while let Some(s) = self.series.get(slot) {
            if s.labels == *labels {
                self.follow(before, slot);
                return Some(slot);
            }
            slot = s.chain;
        }
        None
    }

    fn follow(&mut self, before: Option<u32>, slot: u32) {
        if let Some(s) = before.and_then(|b| self.series.get_mut(b)) {
            s.successor = slot;
        }
    }

    fn register(&mut self, labels: &Labels, before: Option<u32>) -> u32 {
        let slot = self.series.len() as u32;
        let chain = self.by_hash.insert(labels.stable_hash() as u32, slot).unwrap_or(NONE);
        self.bytes += SERIES_BYTES + labels.packed_len() + self.index.insert(slot, labels);
        self.series.push(Series {
            labels: labels.clone(),
            chain,
            successor: NONE,
            pending: NONE,
            store: SeriesStore::default(),
        });
        self.follow(before, slot);
        slot
    }

    fn is_full(&self, labels: &Labels, limits: &Limits) -> bool {
        self.series.len() >= limits.max_series.min(NONE as usize)
            || self.index.count(model::labels::METRIC_NAME, labels.metric_name())
                >= limits.max_series_per_metric as u64
    }

    /// Begins anew with the series that are not idle, in the same order, so that prediction goes on working.
    /// Says where each of them was and is.
    pub(super) fn forget(&mut self, idle: &[bool]) -> Vec<(u32, u32)> {
        let old = std::mem::take(self);
        let (mut before, mut moved) = (None, Vec::new());
        for (was, (s, idle)) in (0u32..).zip(old.series.into_iter().zip(idle)) {
            if !idle {
                let slot = self.register(&s.labels, before);
                if let Some(new) = self.series.get_mut(slot) {
                    new.store = s.store;
                }
                moved.push((was, slot));
                before = Some(slot);
            }
        }
        moved
    }

    /// See [`super::MetricsHead::table`].
    pub(super) fn table(&mut self, series: &[Labels], slots: &[u32], epoch: u64) -> Vec<u8> {
        if self.defined.epoch != epoch {
            self.defined.epoch = epoch;
            self.defined.slots.clear();
        }
        let entries = series.iter().zip(slots).map(|(labels, slot)| match *slot {
            NONE => Entry::Bare(labels),
            slot if self.defined.insert(slot) => Entry::Definition(slot, labels),
            slot => Entry::Reference(slot),
        });
        wire::native::apart::encode_table(entries)
    }

    /// See [`super::MetricsHead::table_bytes`].
    pub(super) fn table_bytes(&self, series: &[Labels], slots: &[u32], epoch: u64) -> usize {
        let known = |slot: u32| self.defined.epoch == epoch && self.defined.contains(slot);
        let new = series.iter().zip(slots).filter(|(_, slot)| !known(**slot));
        series.len() * 6 + new.map(|(labels, _)| 2 * labels.packed_len() + 12).sum::<usize>()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.hinted.slots.capacity() * 4 + self.defined.slots.capacity() * 8
    }
}

impl Hinted {
    fn learn(&mut self, number: u32, slot: u32, max: usize) {
        let at = number as usize;
        if at >= self.slots.len() && at < max {
            self.slots.resize(at + 1, NONE);
        }
        if let Some(known) = self.slots.get_mut(at) {
            *known = slot;
        }
    }
}

impl Defined {
    fn contains(&self, slot: u32) -> bool {
        self.slots.get(slot as usize / 64).is_some_and(|w| w & (1 << (slot % 64)) != 0)
    }

    /// Whether it was not before.
    fn insert(&mut self, slot: u32) -> bool {
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if word >= self.slots.len() {
            self.slots.resize(word + 1, 0);
        }
        match self.slots.get_mut(word) {
            Some(w) if *w & bit == 0 => {
                *w |= bit;
                true
            }
            _ => false,
        }
    }
}
