//! The metrics head of one tenant: a registry of series that outlives flushes, and the samples since the
//! last one.
//!
//! A sender repeats its series. A decoder that tells them apart by number says so
//! ([`model::metric::SeriesHints`]), and the slot that the number had last time is looked at first. Where nobody
//! does, series mostly come in the same order: each remembers which one followed it last time, and the expected
//! next is compared. The hash is looked up only on a miss. Labels are compared each time, but those of a
//! repeated series share their memory with the slot's, and then none of it is read.
//!
//! Appending is two steps. [`MetricsHead::stage`] decides what is taken, before anything is durable and
//! visible to nobody; [`MetricsHead::insert`] makes visible what the log has. Between them only marks
//! (`pending_*`) remember what the same commit group has decided already.

mod frozen;
mod registry;
mod slab;
mod stage;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Labels, Matcher, MetricBatch, MetricMetadata, TimeRange};

pub(crate) use self::{
    frozen::{ExemplarCount, FrozenMetrics},
    stage::{Rules, Staged, remove_at, remove_samples},
};
use self::{registry::Registry, stage::Marks};
use super::{SeriesSnapshot, SeriesStore, series::PushedExemplar};

#[derive(Default)]
pub(crate) struct MetricsHead {
    registry: Registry,
    marks: Marks,
    /// Time of the newest native histogram of the series that have any.
    newest_histograms: HashMap<u32, i64>,
    metadata_bytes: usize,
    sample_bytes: usize,
    samples: u64,
    bounds_ms: Option<(i64, i64)>,
    /// Newest sample ever taken, flushed ones included.
    newest_ms: Option<i64>,
    exemplars: ExemplarCount,
    metadata: BTreeMap<String, MetricMetadata>,
    /// Families whose metadata changed since the last freeze.
    changed_families: BTreeSet<String>,
}

impl MetricsHead {
    /// A head that knows what earlier segments said.
    pub(crate) fn new(metadata: impl IntoIterator<Item = MetricMetadata>, newest_ms: Option<i64>) -> Self {
        let metadata = metadata.into_iter().map(|m| (m.family.clone(), m)).collect();
        MetricsHead { metadata, newest_ms, ..MetricsHead::default() }
    }

    /// The series of a staged batch as the log has them ([`wire::native::apart`]): by their slots, with the
    /// labels where the epoch does not have them yet. From now on it has.
    pub(crate) fn table(&mut self, series: &[Labels], slots: &[u32], epoch: u64) -> Vec<u8> {
        self.registry.table(series, slots, epoch)
    }

    /// How large [`MetricsHead::table`] would be at most.
    pub(crate) fn table_bytes(&self, series: &[Labels], slots: &[u32], epoch: u64) -> usize {
        self.registry.table_bytes(series, slots, epoch)
    }

    /// Makes a staged batch visible, or a replayed one: without `slots` the series are resolved anew and no
    /// rule is applied.
    pub(crate) fn insert(&mut self, batch: &MetricBatch, slots: Option<&[u32]>) {
        let resolved;
        let slots = match slots {
            Some(s) => s,
            None => {
                resolved = self.registry.resolve(batch, None);
                &resolved
            }
        };
        let samples = &batch.samples;
        let mut grown = 0;
        for i in 0..samples.len() {
            let (Some(at), Some(&t), Some(&v)) =
                (samples.series.get(i), samples.timestamp_ms.get(i), samples.value.get(i))
            else {
                break;
            };
            let Some(s) = slots.get(*at as usize).and_then(|slot| self.registry.series.get_mut(*slot)) else {
                continue;
            };
            let Some(bytes) = s.store.push(t, v, samples.start_of(i)) else { continue };
            grown += bytes;
            self.samples += 1;
            widen(&mut self.bounds_ms, t);
        }
        for h in &batch.histograms {
            let Some(&slot) = slots.get(h.series as usize) else { continue };
            let Some(s) = self.registry.series.get_mut(slot) else { continue };
            let newest = self.newest_histograms.entry(slot).or_insert(i64::MIN);
            *newest = (*newest).max(h.timestamp_ms);
            grown += s.store.push_histogram(h.timestamp_ms, h.start_ms, &h.histogram);
            self.samples += 1;
            widen(&mut self.bounds_ms, h.timestamp_ms);
        }
        self.sample_bytes += grown + self.insert_exemplars(batch, slots);
        self.newest_ms = self.newest_ms.max(self.bounds_ms.map(|(_, b)| b));
        self.learn(&batch.metadata);
    }

    /// Returns the bytes by which series grew.
    fn insert_exemplars(&mut self, batch: &MetricBatch, slots: &[u32]) -> usize {
        let mut grown = 0;
        for (at, exemplar) in &batch.exemplars {
            self.exemplars.taken += 1;
            let slot = slots.get(*at as usize).and_then(|slot| self.registry.series.get_mut(*slot));
            // One without a series stays among those that were taken and will not be found again.
            match slot.map(|s| s.store.push_exemplar(exemplar.clone())) {
                Some(PushedExemplar::Kept { grown: by }) => grown += by,
                Some(PushedExemplar::Repeated) => self.exemplars.taken -= 1,
                Some(PushedExemplar::Replaced) => self.exemplars.replaced += 1,
                None => {}
            }
        }
        grown
    }

    fn learn(&mut self, metadata: &[MetricMetadata]) {
        for m in metadata {
            if self.metadata.get(&m.family) != Some(m) {
                self.metadata_bytes += m.family.len() * 3 + m.help.len() + m.unit.len() + 160;
                self.changed_families.insert(m.family.clone());
                self.metadata.insert(m.family.clone(), m.clone());
            }
        }
    }

    /// Takes the samples out; the registry stays, without the series that brought nothing since last time if
    /// these are many. `None` when there is nothing to flush. Exemplars of series without a sample go, nothing
    /// could keep them; that they were taken is known to what is frozen.
    pub(crate) fn freeze(&mut self) -> Option<FrozenMetrics> {
        let changed: Vec<_> = std::mem::take(&mut self.changed_families)
            .iter()
            .filter_map(|f| self.metadata.get(f))
            .cloned()
            .collect();
        let mut series = Vec::new();
        let mut idle = vec![false; self.registry.series.len()];
        let mut idle_count = 0;
        for (s, idle) in self.registry.series.iter_mut().zip(&mut idle) {
            let store = s.store.take();
            if store.is_empty() {
                *idle = true;
                idle_count += 1;
            } else {
                series.push(SeriesSnapshot { labels: s.labels.clone(), store });
            }
        }
        let frozen = FrozenMetrics {
            series,
            samples: std::mem::take(&mut self.samples),
            bounds_ms: self.bounds_ms.take(),
            exemplars: std::mem::take(&mut self.exemplars),
            metadata: changed,
        };
        self.sample_bytes = 0;
        if idle_count * 4 > self.registry.series.len() {
            self.forget(&idle);
        }
        let any = frozen.samples > 0 || frozen.exemplars.taken > 0 || !frozen.metadata.is_empty();
        any.then_some(frozen)
    }

    /// Whether a freeze would bring something to flush.
    pub(crate) fn has_content(&self) -> bool {
        self.samples > 0 || !self.changed_families.is_empty()
    }

    /// Bytes of the registry that a freeze would free, at least, by forgetting idle series.
    pub(crate) fn idle_bytes(&self) -> u64 {
        let (series, busy) = (self.registry.series.len() as u64, self.samples);
        let idle = series.saturating_sub(busy);
        if idle * 4 <= series {
            return 0;
        }
        (self.registry_bytes() as u64 / series.max(1)).saturating_mul(idle)
    }

    /// Rebuilds the registry without idle series.
    fn forget(&mut self, idle: &[bool]) {
        let moved = self.registry.forget(idle);
        self.metadata_bytes = self.metadata.values().map(|m| m.family.len() * 3 + m.help.len() + 160).sum();
        let histograms = std::mem::take(&mut self.newest_histograms);
        let newest = |(was, slot): (u32, u32)| histograms.get(&was).map(|newest| (slot, *newest));
        self.newest_histograms = moved.into_iter().filter_map(newest).collect();
    }

    /// Series that match and hold something in the range, in no order; at most one more than `max`.
    pub(crate) fn select(&self, matchers: &[Matcher], range: TimeRange, max: u64) -> Vec<SeriesSnapshot> {
        let (first, last) = range.to_ms_inclusive();
        if !self.bounds_ms.is_some_and(|(a, b)| a <= last && first <= b) {
            return Vec::new();
        }
        let slots = self.registry.index.select(matchers);
        slots
            .iter()
            .filter_map(|slot| self.registry.series.get(slot))
            .filter(|s| s.store.overlaps(first, last))
            .map(|s| SeriesSnapshot { labels: s.labels.clone(), store: s.store.clone() })
            .take(usize::try_from(max).unwrap_or(usize::MAX).saturating_add(1))
            .collect()
    }

    /// Labels of such series; one of the selectors must match where there is any.
    pub(crate) fn label_sets(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<Labels> {
        let (first, last) = range.to_ms_inclusive();
        let mut slots = roaring::RoaringBitmap::new();
        if selectors.is_empty() {
            slots = self.registry.index.select(&[]);
        }
        for matchers in selectors {
            slots |= self.registry.index.select(matchers);
        }
        let held = slots.iter().filter_map(|slot| self.registry.series.get(slot));
        held.filter(|s| s.store.overlaps(first, last)).map(|s| s.labels.clone()).collect()
    }

    pub(crate) fn metadata(&self) -> impl Iterator<Item = &MetricMetadata> {
        self.metadata.values()
    }

    pub(crate) fn metadata_count(&self) -> usize {
        self.metadata.len()
    }

    pub(crate) fn knows_family(&self, family: &str) -> bool {
        self.metadata.contains_key(family)
    }

    /// Bytes of what is known of series, which stays when samples are flushed.
    pub(crate) fn registry_bytes(&self) -> usize {
        self.registry.bytes() + self.metadata_bytes
    }

    pub(crate) fn bytes(&self) -> usize {
        self.registry_bytes() + self.sample_bytes
    }

    /// Bytes that a flush would free.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    pub(crate) fn series_count(&self) -> usize {
        self.registry.series.len()
    }

    pub(crate) fn bounds_ms(&self) -> Option<(i64, i64)> {
        self.bounds_ms
    }
}

fn widen(bounds: &mut Option<(i64, i64)>, t: i64) {
    let (a, b) = bounds.unwrap_or((t, t));
    *bounds = Some((a.min(t), b.max(t)));
}

#[cfg(test)]
mod tests;
