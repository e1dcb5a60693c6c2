//! What a loop remembers of its target from one scrape to the next: which stored series an exposed one became,
//! so that relabelling is done once, and which series must be ended when they vanish.
//!
//! ```text
//! exposed labels ──► slot ──► series {labels after relabelling, live, seen in scrape n, place in the batch}
//!              └──► dropped by relabelling
//! ```

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use model::{Labels, MetricBatch, stale_marker};

/// Entries that failed scrapes may leave behind before they are cleaned up by force.
const SLACK: usize = 1000;

type ByLabels<V> = HashMap<Labels, V, BuildHasherDefault<OneShot>>;

#[derive(Default)]
pub(super) struct Memory {
    /// Number of the current scrape.
    scrape: u64,
    exposed: ByLabels<Exposed>,
    by_labels: ByLabels<u32>,
    series: Vec<Series>,
    free: Vec<u32>,
    /// Entries there were after the last scrape that worked.
    settled: usize,
    /// Whether report series exist that must be ended.
    pub(super) reported: bool,
}

struct Exposed {
    /// None where relabelling drops it.
    slot: Option<u32>,
    scrape: u64,
}

#[derive(Clone)]
struct Series {
    labels: Labels,
    /// Stored, and not ended yet.
    live: bool,
    /// Last scrape that exposed it at all.
    used: u64,
    /// Last scrape that exposed it in a way that counts for its end.
    tracked: u64,
    /// Last scrape that had a sample without its own time.
    untimed: u64,
    /// Last scrape in which it has a place in the batch, and the place.
    placed: (u64, u32),
}

/// An exposed series as the memory knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    No,
    Dropped,
    Series(u32),
}

impl Memory {
    /// Begins a scrape.
    pub(super) fn begin(&mut self) {
        self.scrape += 1;
    }

    /// Forgets what relabelling made of exposed series, not the series: for rules that changed.
    pub(super) fn forget_relabelling(&mut self) {
        self.exposed.clear();
    }

    pub(super) fn lookup(&mut self, exposed: &Labels) -> Known {
        let Some(e) = self.exposed.get_mut(exposed) else { return Known::No };
        e.scrape = self.scrape;
        match e.slot {
            None => Known::Dropped,
            Some(slot) => {
                if let Some(s) = self.series.get_mut(slot as usize) {
                    s.used = self.scrape;
                }
                Known::Series(slot)
            }
        }
    }

    pub(super) fn remember_dropped(&mut self, exposed: &Labels) {
        self.exposed.insert(exposed.clone(), Exposed { slot: None, scrape: self.scrape });
    }

    /// Notes that `exposed` is stored as `labels`; returns the slot.
    pub(super) fn remember(&mut self, exposed: &Labels, labels: Labels) -> u32 {
        let scrape = self.scrape;
        let slot = match self.by_labels.get(&labels) {
            Some(slot) => *slot,
            None => {
                let new = Series {
                    labels: labels.clone(),
                    live: false,
                    used: scrape,
                    tracked: 0,
                    untimed: 0,
                    placed: (0, 0),
                };
                let slot = match self.free.pop() {
                    Some(slot) => {
                        if let Some(s) = self.series.get_mut(slot as usize) {
                            *s = new;
                        }
                        slot
                    }
                    None => {
                        self.series.push(new);
                        (self.series.len() - 1) as u32
                    }
                };
                self.by_labels.insert(labels, slot);
                slot
            }
        };
        if let Some(s) = self.series.get_mut(slot as usize) {
            s.used = scrape;
        }
        self.exposed.insert(exposed.clone(), Exposed { slot: Some(slot), scrape });
        slot
    }

    /// Notes a sample without its own time; false when the series has had one in this scrape.
    pub(super) fn first_untimed(&mut self, slot: u32) -> bool {
        let scrape = self.scrape;
        self.series
            .get_mut(slot as usize)
            .is_some_and(|s| std::mem::replace(&mut s.untimed, scrape) != scrape)
    }

    /// Notes that the series is to be ended when a later scrape does not have it.
    pub(super) fn track(&mut self, slot: u32) {
        if let Some(s) = self.series.get_mut(slot as usize) {
            s.tracked = self.scrape;
        }
    }

    /// The place of the series in `batch`, where it is added when this scrape has not done so.
    pub(super) fn place(&mut self, slot: u32, batch: &mut MetricBatch) -> u32 {
        let Some(s) = self.series.get_mut(slot as usize) else { return 0 };
        if s.placed.0 != self.scrape {
            s.placed = (self.scrape, batch.push_series(s.labels.clone()));
        }
        s.placed.1
    }

    /// The place given by [`Memory::place`] in this scrape.
    pub(super) fn placed(&self, slot: u32) -> Option<u32> {
        let s = self.series.get(slot as usize)?;
        (s.placed.0 == self.scrape).then_some(s.placed.1)
    }

    /// Adds staleness markers at `at_ms` for what is live and was not seen, or for all that is live where the
    /// scrape failed.
    pub(super) fn mark_stale(&mut self, batch: &mut MetricBatch, at_ms: i64, failed: bool) {
        let scrape = self.scrape;
        let gone: Vec<u32> = (0u32..)
            .zip(&self.series)
            .filter(|(_, s)| s.live && (failed || s.tracked != scrape))
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            let series = if failed { self.push(slot, batch) } else { self.place(slot, batch) };
            batch.samples.push(series, at_ms, stale_marker());
        }
    }

    fn push(&self, slot: u32, batch: &mut MetricBatch) -> u32 {
        let labels = self.series.get(slot as usize).map(|s| s.labels.clone()).unwrap_or_default();
        batch.push_series(labels)
    }

    /// Ends the scrape. What was not stored leaves what was there before waiting to be ended, and what is new
    /// may have to be.
    pub(super) fn settle(&mut self, failed: bool, stored: bool) {
        let scrape = self.scrape;
        for s in &mut self.series {
            let seen = !failed && s.tracked == scrape;
            s.live = if stored { seen } else { s.live || seen };
        }
        if stored {
            self.reported = true;
        }
        let entries = self.exposed.len();
        if !failed || entries > self.settled * 2 + SLACK {
            self.clean();
        }
        if !failed {
            self.settled = self.exposed.len();
        }
    }

    /// Whether failed scrapes left so much behind that the next [`Memory::settle`] cleans up by force.
    pub(super) fn is_overgrown(&self) -> bool {
        self.exposed.len() > self.settled * 2 + SLACK
    }

    fn clean(&mut self) {
        let scrape = self.scrape;
        self.exposed.retain(|_, e| e.scrape == scrape);
        for (slot, s) in (0u32..).zip(&mut self.series) {
            if s.used != scrape && !s.live && !s.labels.is_empty() {
                self.by_labels.remove(&s.labels);
                s.labels = Labels::default();
                self.free.push(slot);
            }
        }
    }
}

/// Hashes the packed bytes of labels in one go.
#[derive(Default)]
struct OneShot(u64);

impl Hasher for OneShot {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ xxhash_rust::xxh3::xxh3_64(bytes);
    }

    /// The length prefix; the bytes tell as much.
    fn write_usize(&mut self, _: usize) {}
}
