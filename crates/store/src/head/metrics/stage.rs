//! The first of the two steps of an append: what of a batch is taken, decided before anything is durable.

use contract::{Receipt, RefusalReason};
use model::{Labels, MetricBatch, Signal};

use super::{MetricsHead, registry::NONE};
use crate::options::Limits;

/// What staging goes by.
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) out_of_order_ms: i64,
    /// Commit group; a new number forgets all marks.
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

/// What a commit group has decided so far of what is not visible yet.
#[derive(Default)]
pub(super) struct Marks {
    group: u64,
    held: Vec<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    slot: u32,
    /// The unit that last decided on the series.
    unit: u32,
    /// The newest sample it took; `i64::MIN`: none that was newer than the visible ones.
    at_ms: i64,
    bits: u64,
}

impl Marks {
    fn begin(&mut self, group: u64) {
        if self.group != group {
            self.group = group;
            self.held.clear();
            // A large group must not hold its memory for ever.
            self.held.shrink_to(1 << 14);
        }
    }

    /// The mark of a series that remembers `place`.
    fn get(&self, place: u32, slot: u32) -> Option<Mark> {
        self.held.get(place as usize).filter(|m| m.slot == slot).copied()
    }

    fn set(&mut self, place: &mut u32, mark: Mark) {
        match self.held.get_mut(*place as usize) {
            Some(held) if held.slot == mark.slot => *held = mark,
            _ => {
                *place = self.held.len() as u32;
                self.held.push(mark);
            }
        }
    }
}

impl MetricsHead {
    /// Decides sample by sample and takes refused ones out of the batch. The batch's samples must ascend
    /// strictly per series and its indexes be in range, which `admit` sees to.
    pub(crate) fn stage(
        &mut self,
        batch: &mut MetricBatch,
        rules: &Rules<'_>,
        receipt: &mut Receipt,
    ) -> Staged {
        self.marks.begin(rules.group);
        let slots = self.registry.resolve(batch, Some(rules.limits));
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
        let Some(s) = self.registry.series.get_mut(slot) else {
            return Judgement::Refuse(RefusalReason::SeriesLimit);
        };
        let mark = self.marks.get(s.pending, slot);
        let visible = s.store.newest();
        let (newest, newest_bits) =
            mark.filter(|m| m.at_ms > visible.0).map_or(visible, |m| (m.at_ms, m.bits));
        if t > newest {
            self.marks.set(&mut s.pending, Mark { slot, unit: rules.unit, at_ms: t, bits });
            return Judgement::Take;
        }
        if t == newest {
            return match bits == newest_bits {
                true => Judgement::Repeat,
                false => Judgement::Refuse(RefusalReason::DuplicateConflict),
            };
        }
        if mark.is_some_and(|m| m.unit != rules.unit) {
            // What another unit of the group brings of this series cannot be looked up yet.
            return Judgement::Wait;
        }
        if t < oldest_ms {
            return Judgement::Refuse(RefusalReason::TooOld);
        }
        if mark.is_none() {
            self.marks.set(&mut s.pending, Mark { slot, unit: rules.unit, at_ms: i64::MIN, bits: 0 });
        }
        Judgement::Late
    }

    /// Those of the late samples that contradict what is held, and how many repeat it. Looks into each series
    /// once: what a series holds lies packed, and the committer serves everybody.
    fn conflicts(&self, mut late: Vec<Late>) -> (Vec<Late>, u64) {
        late.sort_unstable_by_key(|l| (l.slot, l.at_ms));
        let (mut conflicts, mut repeated) = (Vec::new(), 0);
        for of_series in late.chunk_by(|a, b| a.slot == b.slot) {
            let Some(s) = of_series.first().and_then(|l| self.registry.series.get(l.slot)) else { continue };
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
        let Some(s) = self.registry.series.get(slot) else { return Some(RefusalReason::SeriesLimit) };
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
