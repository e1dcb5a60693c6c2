//! The metrics head of one tenant: a registry of series that outlives flushes, and the samples since the
//! last one.
//!
//! A sender repeats its series in the same order, so each series remembers which one followed it last time:
//! the expected next is compared by label bytes and the hash is looked up only on a miss.
//!
//! Appending is two steps. [`MetricsHead::stage`] decides what is taken, before anything is durable and
//! visible to nobody; [`MetricsHead::insert`] makes visible what the log has. Between them only marks
//! (`pending_*`) remember what the same commit group has decided already.

mod frozen;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use contract::{Receipt, RefusalReason};
use model::{Labels, Matcher, MetricBatch, MetricMetadata, Signal, TimeRange};

pub(crate) use frozen::{ExemplarCount, FrozenMetrics};

use super::{SeriesSnapshot, SeriesStore, index::Index, series::PushedExemplar};
use crate::options::Limits;

const NONE: u32 = u32::MAX;

/// Bytes of a registered series beside its labels and index entries.
const SERIES_BYTES: usize = std::mem::size_of::<Series>() + 40;

/// What staging goes by.
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) out_of_order_ms: i64,
    /// Commit group; a new number forgets all pending marks.
    pub(crate) group: u64,
    /// Unit inside the group.
    pub(crate) unit: u32,
}

/// The outcome of staging a batch.
pub(crate) enum Staged {
    /// Slot of each series of the batch. `changed`: refused samples were taken out of the batch.
    Taken { slots: Vec<u32>, changed: bool },
    /// It depends on a unit of the same group that is not visible yet: stage it again in the next group.
    NextGroup,
}

struct Series {
    labels: Labels,
    /// Next series with the same hash.
    chain: u32,
    /// The series that followed last time.
    successor: u32,
    store: SeriesStore,
    newest_ms: i64,
    newest_bits: u64,
    /// Which group and unit last decided on this series, and the newest sample it took (`i64::MIN`: none
    /// that was newer than the visible ones). Of the group's number these are the low bits.
    pending_group: u32,
    pending_unit: u32,
    pending_ms: i64,
    pending_bits: u64,
}

#[derive(Default)]
pub(crate) struct MetricsHead {
    series: Vec<Series>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    index: Index,
    /// Time of the newest native histogram of the series that have any.
    newest_histograms: HashMap<u32, i64>,
    /// Where the last batch ended: the next one is expected to begin with its successor.
    cursor: Option<u32>,
    registry_bytes: usize,
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

/// The hash is one already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }

    fn write_u64(&mut self, v: u64) {
        self.0 = v;
    }
}

impl MetricsHead {
    /// A head that knows what earlier segments said.
    pub(crate) fn new(metadata: impl IntoIterator<Item = MetricMetadata>, newest_ms: Option<i64>) -> Self {
        let metadata = metadata.into_iter().map(|m| (m.family.clone(), m)).collect();
        MetricsHead { metadata, newest_ms, ..MetricsHead::default() }
    }

    /// Resolves a series, expecting it where its predecessor points.
    fn find(&mut self, labels: &Labels, before: Option<u32>) -> Option<u32> {
        if let Some(expected) = before.and_then(|b| self.series.get(b as usize)).map(|s| s.successor)
            && self.series.get(expected as usize).is_some_and(|s| s.labels == *labels)
        {
            return Some(expected);
        }
        let mut slot = self.by_hash.get(&labels.stable_hash()).copied().unwrap_or(NONE);
        while let Some(s) = self.series.get(slot as usize) {
            if s.labels == *labels {
                self.follow(before, slot);
                return Some(slot);
            }
            slot = s.chain;
        }
        None
    }

    fn follow(&mut self, before: Option<u32>, slot: u32) {
        if let Some(s) = before.and_then(|b| self.series.get_mut(b as usize)) {
            s.successor = slot;
        }
    }

    fn register(&mut self, labels: &Labels, before: Option<u32>) -> u32 {
        let slot = self.series.len() as u32;
        let chain = self.by_hash.insert(labels.stable_hash(), slot).unwrap_or(NONE);
        self.registry_bytes += SERIES_BYTES + labels.packed_len() + self.index.insert(slot, labels);
        self.series.push(Series {
            labels: labels.clone(),
            chain,
            successor: NONE,
            store: SeriesStore::default(),
            newest_ms: i64::MIN,
            newest_bits: 0,
            pending_group: 0,
            pending_unit: 0,
            pending_ms: i64::MIN,
            pending_bits: 0,
        });
        self.follow(before, slot);
        slot
    }

    /// The slot of every series of the batch; `NONE` for one that a limit refuses.
    fn resolve(&mut self, batch: &MetricBatch, limits: Option<&Limits>) -> Vec<u32> {
        let mut before = self.cursor;
        let mut slots = Vec::with_capacity(batch.series.len());
        for labels in &batch.series {
            let slot = match self.find(labels, before) {
                Some(slot) => slot,
                None if limits.is_some_and(|l| self.is_full(labels, l)) => NONE,
                None => self.register(labels, before),
            };
            if slot != NONE {
                before = Some(slot);
            }
            slots.push(slot);
        }
        self.cursor = before;
        slots
    }

    fn is_full(&self, labels: &Labels, limits: &Limits) -> bool {
        self.series.len() >= limits.max_series.min(NONE as usize)
            || self.index.count(model::labels::METRIC_NAME, labels.metric_name())
                >= limits.max_series_per_metric as u64
    }

    /// Decides sample by sample and takes refused ones out of the batch. The batch's samples must ascend
    /// strictly per series and its indexes be in range, which `admit` sees to.
    pub(crate) fn stage(
        &mut self,
        batch: &mut MetricBatch,
        rules: &Rules<'_>,
        receipt: &mut Receipt,
    ) -> Staged {
        let slots = self.resolve(batch, Some(rules.limits));
        let mut refused = Vec::new();
        let mut late = Vec::new();
        let oldest_ms = self.newest_ms.map_or(i64::MIN, |n| n.saturating_sub(rules.out_of_order_ms));
        for i in 0..batch.samples.len() {
            let Some((&at, (&t, v))) = batch
                .samples
                .series
                .get(i)
                .zip(batch.samples.timestamp_ms.get(i).zip(batch.samples.value.get(i)))
            else {
                break;
            };
            let slot = slots.get(at as usize).copied().unwrap_or(NONE);
            match self.judge(slot, t, v.to_bits(), rules, oldest_ms) {
                Judgement::Take => {}
                Judgement::Repeat => receipt.repeated += 1,
                Judgement::Late => late.push(Late { slot, at_ms: t, bits: v.to_bits(), position: i }),
                Judgement::Wait => return Staged::NextGroup,
                Judgement::Refuse(reason) => refused.push((i, t, reason)),
            }
        }
        let (conflicts, repeated) = self.conflicts(late);
        receipt.repeated += repeated;
        refused
            .extend(conflicts.into_iter().map(|l| (l.position, l.at_ms, RefusalReason::DuplicateConflict)));
        refused.sort_unstable_by_key(|(position, ..)| *position);
        for (position, t, reason) in &refused {
            let labels = batch.samples.series.get(*position).and_then(|s| batch.series.get(*s as usize));
            receipt.refuse(Signal::METRICS, *reason, || self.explain(*reason, labels, *t, rules));
        }
        let refused: Vec<usize> = refused.into_iter().map(|(position, ..)| position).collect();
        let mut refused_histograms = Vec::new();
        for (i, h) in batch.histograms.iter().enumerate() {
            let slot = slots.get(h.series as usize).copied().unwrap_or(NONE);
            if let Some(reason) = self.judge_histogram(slot, h, oldest_ms) {
                refused_histograms.push(i);
                receipt.refuse(Signal::METRICS, reason, || {
                    self.explain(reason, batch.series.get(h.series as usize), h.timestamp_ms, rules)
                });
            }
        }
        let changed = !refused.is_empty() || !refused_histograms.is_empty();
        if changed {
            remove_samples(batch, &refused);
            remove_at(&mut batch.histograms, &refused_histograms);
        }
        Staged::Taken { slots, changed }
    }

    fn judge(&mut self, slot: u32, t: i64, bits: u64, rules: &Rules<'_>, oldest_ms: i64) -> Judgement {
        let Some(s) = self.series.get_mut(slot as usize) else {
            return Judgement::Refuse(RefusalReason::SeriesLimit);
        };
        let group = rules.group as u32;
        let marked = s.pending_group == group;
        let (newest, newest_bits) = if marked && s.pending_ms > s.newest_ms {
            (s.pending_ms, s.pending_bits)
        } else {
            (s.newest_ms, s.newest_bits)
        };
        if t > newest {
            (s.pending_group, s.pending_unit, s.pending_ms, s.pending_bits) = (group, rules.unit, t, bits);
            return Judgement::Take;
        }
        if t == newest {
            let same = bits == newest_bits;
            return if same {
                Judgement::Repeat
            } else {
                Judgement::Refuse(RefusalReason::DuplicateConflict)
            };
        }
        if marked && s.pending_unit != rules.unit {
            // What another unit of the group brings of this series cannot be looked up yet.
            return Judgement::Wait;
        }
        if t < oldest_ms {
            return Judgement::Refuse(RefusalReason::TooOld);
        }
        if !marked {
            (s.pending_group, s.pending_unit, s.pending_ms) = (group, rules.unit, i64::MIN);
        }
        Judgement::Late
    }

    /// Those of the late samples that contradict what is held, and how many repeat it. Looks into each series
    /// once: what a series holds lies packed, and the committer serves everybody.
    fn conflicts(&self, mut late: Vec<Late>) -> (Vec<Late>, u64) {
        late.sort_unstable_by_key(|l| (l.slot, l.at_ms));
        let (mut conflicts, mut repeated) = (Vec::new(), 0);
        for of_series in late.chunk_by(|a, b| a.slot == b.slot) {
            let Some(s) = of_series.first().and_then(|l| self.series.get(l.slot as usize)) else { continue };
            let held = s.store.floats_at(of_series.iter().map(|l| l.at_ms));
            for (l, held) in of_series.iter().zip(held) {
                match held {
                    Some(bits) if bits != l.bits => conflicts.push(*l),
                    Some(_) => repeated += 1,
                    None => {}
                }
            }
        }
        (conflicts, repeated)
    }

    fn judge_histogram(
        &self,
        slot: u32,
        h: &model::metric::HistogramSample,
        oldest_ms: i64,
    ) -> Option<RefusalReason> {
        let Some(s) = self.series.get(slot as usize) else { return Some(RefusalReason::SeriesLimit) };
        if self.newest_histograms.get(&slot).is_none_or(|newest| h.timestamp_ms > *newest) {
            return None;
        }
        match s.store.histogram_at(h.timestamp_ms) {
            Some(held) if *held != h.histogram => Some(RefusalReason::DuplicateConflict),
            None if h.timestamp_ms < oldest_ms => Some(RefusalReason::TooOld),
            _ => None,
        }
    }

    fn explain(&self, reason: RefusalReason, labels: Option<&Labels>, t: i64, rules: &Rules<'_>) -> String {
        let series = labels.map(ToString::to_string).unwrap_or_default();
        match reason {
            RefusalReason::SeriesLimit => format!(
                "series {series} is new and ingest.max_series ({}) or ingest.max_series_per_metric ({}) is reached",
                rules.limits.max_series, rules.limits.max_series_per_metric
            ),
            RefusalReason::TooOld => format!(
                "sample of {series} at {t} ms is out of order and more than {} ms older than the newest",
                rules.out_of_order_ms
            ),
            _ => format!("series {series} has another value at {t} ms already"),
        }
    }

    /// Makes a staged batch visible, or a replayed one: without `slots` the series are resolved anew and no
    /// rule is applied.
    pub(crate) fn insert(&mut self, batch: &MetricBatch, slots: Option<&[u32]>) {
        let resolved;
        let slots = match slots {
            Some(s) => s,
            None => {
                resolved = self.resolve(batch, None);
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
            let Some(s) = slots.get(*at as usize).and_then(|slot| self.series.get_mut(*slot as usize)) else {
                continue;
            };
            if t > s.newest_ms {
                (s.newest_ms, s.newest_bits) = (t, v.to_bits());
            }
            let Some(bytes) = s.store.push(t, v, samples.start_of(i)) else { continue };
            grown += bytes;
            self.samples += 1;
            widen(&mut self.bounds_ms, t);
        }
        for h in &batch.histograms {
            let Some(&slot) = slots.get(h.series as usize) else { continue };
            let Some(s) = self.series.get_mut(slot as usize) else { continue };
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
            let slot = slots.get(*at as usize).and_then(|slot| self.series.get_mut(*slot as usize));
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
                self.registry_bytes += m.family.len() * 3 + m.help.len() + m.unit.len() + 160;
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
        let mut idle = vec![false; self.series.len()];
        let mut idle_count = 0;
        for (s, idle) in self.series.iter_mut().zip(&mut idle) {
            if s.store.is_empty() {
                *idle = true;
                idle_count += 1;
                s.store = SeriesStore::default();
            } else {
                series.push(SeriesSnapshot { labels: s.labels.clone(), store: std::mem::take(&mut s.store) });
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
        if idle_count * 4 > self.series.len() {
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
        let (series, busy) = (self.series.len() as u64, self.samples);
        let idle = series.saturating_sub(busy);
        if idle * 4 <= series {
            return 0;
        }
        (self.registry_bytes as u64 / series.max(1)).saturating_mul(idle)
    }

    /// Rebuilds the registry without idle series, in the same order, so that prediction goes on working.
    fn forget(&mut self, idle: &[bool]) {
        let old = std::mem::take(&mut self.series);
        self.by_hash.clear();
        self.index = Index::default();
        self.cursor = None;
        self.registry_bytes = self.metadata.values().map(|m| m.family.len() * 3 + m.help.len() + 160).sum();
        let histograms = std::mem::take(&mut self.newest_histograms);
        let mut before = None;
        for (was, (s, idle)) in (0u32..).zip(old.into_iter().zip(idle)) {
            if !idle {
                let slot = self.register(&s.labels, before);
                if let Some(new) = self.series.get_mut(slot as usize) {
                    new.newest_ms = s.newest_ms;
                    new.newest_bits = s.newest_bits;
                }
                self.newest_histograms.extend(histograms.get(&was).map(|newest| (slot, *newest)));
                before = Some(slot);
            }
        }
    }

    /// Series that match and hold something in the range, in no order; at most one more than `max`.
    pub(crate) fn select(&self, matchers: &[Matcher], range: TimeRange, max: u64) -> Vec<SeriesSnapshot> {
        let (first, last) = range.to_ms_inclusive();
        if !self.bounds_ms.is_some_and(|(a, b)| a <= last && first <= b) {
            return Vec::new();
        }
        let slots = self.index.select(matchers);
        slots
            .iter()
            .filter_map(|slot| self.series.get(slot as usize))
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
            slots = self.index.select(&[]);
        }
        for matchers in selectors {
            slots |= self.index.select(matchers);
        }
        let held = slots.iter().filter_map(|slot| self.series.get(slot as usize));
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

    pub(crate) fn bytes(&self) -> usize {
        self.registry_bytes + self.sample_bytes
    }

    /// Bytes that a flush would free.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn bounds_ms(&self) -> Option<(i64, i64)> {
        self.bounds_ms
    }
}

enum Judgement {
    Take,
    /// Taken without effect: it is there already.
    Repeat,
    /// Older than the newest: taken unless another value is held for its time.
    Late,
    Wait,
    Refuse(RefusalReason),
}

/// A sample behind its series' newest, and where it stands in the batch.
#[derive(Clone, Copy)]
struct Late {
    slot: u32,
    at_ms: i64,
    bits: u64,
    position: usize,
}

fn widen(bounds: &mut Option<(i64, i64)>, t: i64) {
    let (a, b) = bounds.unwrap_or((t, t));
    *bounds = Some((a.min(t), b.max(t)));
}

/// Takes the samples at ascending positions `gone` out of all parallel arrays.
pub(crate) fn remove_samples(batch: &mut MetricBatch, gone: &[usize]) {
    let s = &mut batch.samples;
    remove_at(&mut s.series, gone);
    remove_at(&mut s.timestamp_ms, gone);
    remove_at(&mut s.value, gone);
    if !s.start_ms.is_empty() {
        remove_at(&mut s.start_ms, gone);
    }
}

/// Takes the elements at ascending positions `gone` out of a vector.
pub(crate) fn remove_at<T>(items: &mut Vec<T>, gone: &[usize]) {
    if gone.is_empty() {
        return;
    }
    let (mut at, mut gone) = (0, gone.iter().peekable());
    items.retain(|_| {
        let goes = gone.next_if(|g| **g == at).is_some();
        at += 1;
        !goes
    });
}

#[cfg(test)]
mod tests;
