//! Delta to cumulative: a running total per series, to which the points of delta temporality are added
//! (OpenTelemetry, "Metrics Data Model" → "Sums: Delta-to-Cumulative").
//!
//! ```text
//! first point of a series              total begins at the point's start
//! begins where the last one ended      added
//! begins well after that               a restart or a loss: the total begins anew, after a sample of 0 at its start,
//!                                      so that rate() counts neither the gap nor the points before it twice
//! begins before that                   added, and counted as overlapping: two writers, or a clock that moved
//! ends before the last one did         refused: it may be part of the total already
//! ```
//! Totals are kept in memory, per tenant, in a bounded number, and end when a series is idle; a restart of the node
//! begins all of them anew, which readers see as a counter's reset. Requests with deltas pass one after the other per
//! tenant: their totals must reach the store in the order in which they were added up. A request that the store
//! refuses leaves no trace, and one that is sent again after it was stored is recognised, so a retry adds
//! nothing twice.

mod histogram;

use std::{
    collections::{HashMap, VecDeque},
    mem::size_of,
    sync::Arc,
};

use base::{
    MemoryBudget, Metrics,
    memory::{Reservation, Use},
    metrics::{Counters, Gauges, Pairs, pair},
};
use contract::{Receipt, RefusalReason};
use model::{
    BatchId, Histogram, Labels, MetricBatch, Signal, TenantId,
    metric::{HistogramSample, Samples},
};
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use wire::otlp::metrics::Deltas;

use crate::{DeltaLimits, Result};

/// Ids of requests that were added up, per tenant. More recognise later retries.
const KNOWN_IDS: usize = 1024;
/// A point that begins this much of its own length after the last one ended has left something out.
const GAP_SHARE: i64 = 2;

/// All tenants' totals.
pub(crate) struct Accumulator {
    tenants: Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<Table>>>>,
    budget: MemoryBudget,
    counts: Counts,
}

/// What became of the points.
#[derive(Clone)]
struct Counts {
    points: Counters,
    series: Gauges,
}

impl Counts {
    fn add(&self, outcome: Outcome) {
        let name = match outcome {
            Outcome::Started => "started",
            Outcome::Added => "added",
            Outcome::Overlapping => "overlapping",
            Outcome::Restarted => "restarted",
            Outcome::Late => "late",
            Outcome::Full => "limit",
        };
        self.points.get_or_create(&pair("outcome", name)).inc();
    }

    /// Changes the number of series with a total.
    fn series(&self, by: i64) {
        self.series.get_or_create(&Pairs::new()).inc_by(by);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Started,
    Added,
    Overlapping,
    Restarted,
    Late,
    Full,
}

/// One tenant's totals.
struct Table {
    totals: HashMap<Labels, Total>,
    /// Ids added up lately, oldest first.
    known: VecDeque<BatchId>,
    held: Option<Reservation>,
    swept_ns: i64,
}

#[derive(Clone)]
struct Total {
    start_ms: i64,
    last_ms: i64,
    seen_ns: i64,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Sum(f64),
    Histogram(Box<Histogram>),
}

/// When a point begins and ends.
#[derive(Clone, Copy)]
struct Span {
    start_ms: i64,
    at_ms: i64,
}

/// Marks of the points of a batch, by position.
#[derive(Default)]
struct Gone {
    samples: Vec<bool>,
    histograms: Vec<bool>,
}

impl Accumulator {
    pub(crate) fn new(metrics: &Metrics, budget: MemoryBudget) -> Self {
        let counts = Counts {
            points: metrics
                .counters("ingest_delta_points", "Points of delta temporality, by what became of them."),
            series: metrics.gauges("ingest_delta_series", "Series with a running total of their deltas."),
        };
        Accumulator { tenants: Mutex::default(), budget, counts }
    }

    /// The tenant's totals, for one request at a time.
    pub(crate) async fn of(&self, tenant: &TenantId) -> Totals {
        let table = self.tenants.lock().entry(tenant.clone()).or_default().clone();
        Totals {
            table: table.lock_owned().await,
            undo: Vec::new(),
            counts: self.counts.clone(),
            budget: self.budget.clone(),
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Table { totals: HashMap::new(), known: VecDeque::new(), held: None, swept_ns: i64::MIN }
    }
}

/// One request's hold on its tenant's totals. Dropped without [`Totals::undo`] its additions stay: when a sender goes
/// away nobody knows what the store did, and a total that includes them is right either way.
pub(crate) struct Totals {
    table: OwnedMutexGuard<Table>,
    /// What the totals were before this request touched them; `None` for new ones.
    undo: Vec<(Labels, Option<Total>)>,
    counts: Counts,
    budget: MemoryBudget,
}

impl Totals {
    /// Whether the request was added up before.
    pub(crate) fn knows(&self, id: BatchId) -> bool {
        self.table.known.contains(&id)
    }

    /// Replaces the marked points by totals. Points that cannot be added go out of the batch and into the receipt.
    pub(crate) fn add_up(
        &mut self,
        batch: &mut MetricBatch,
        deltas: &Deltas,
        limits: &DeltaLimits,
        now_ns: i64,
        receipt: &mut Receipt,
    ) -> Result<()> {
        self.sweep(limits, now_ns);
        let mut gone = Gone {
            samples: vec![false; batch.samples.len()],
            histograms: vec![false; batch.histograms.len()],
        };
        let outcome = self
            .samples(batch, deltas, (limits, now_ns), receipt, &mut gone)
            .and_then(|()| self.histograms(batch, deltas, (limits, now_ns), receipt, &mut gone));
        if let Err(e) = outcome {
            self.put_back();
            return Err(e);
        }
        remove(batch, &gone);
        Ok(())
    }

    fn samples(
        &mut self,
        batch: &mut MetricBatch,
        deltas: &Deltas,
        (limits, now_ns): (&DeltaLimits, i64),
        receipt: &mut Receipt,
        gone: &mut Gone,
    ) -> Result<()> {
        let MetricBatch { series, samples, .. } = batch;
        let mut order = deltas.samples.clone();
        order.sort_by_key(|i| (samples.series.get(*i as usize), samples.timestamp_ms.get(*i as usize)));
        for i in order {
            let i = i as usize;
            let Some((labels, at_ms, delta)) = sample(series, samples, i) else { continue };
            let span = Span { start_ms: samples.start_of(i), at_ms };
            let hold = |t: &mut Total, anew: bool| match &mut t.value {
                Value::Sum(sum) if !anew => {
                    *sum += delta;
                    *sum
                }
                value => {
                    *value = Value::Sum(delta);
                    delta
                }
            };
            let (outcome, total) = self.step(labels, span, (limits, now_ns), hold)?;
            let Some((start_ms, sum)) = total else {
                refuse(receipt, labels, outcome, span, limits);
                mark(&mut gone.samples, i);
                continue;
            };
            if start_ms != 0 && samples.start_ms.is_empty() {
                samples.start_ms.resize(samples.value.len(), 0);
            }
            if let Some(value) = samples.value.get_mut(i) {
                *value = sum;
            }
            if let Some(start) = samples.start_ms.get_mut(i) {
                *start = start_ms;
            }
            if outcome == Outcome::Restarted {
                let of = samples.series.get(i).copied().unwrap_or_default();
                samples.push_started(of, start_ms, 0.0, start_ms);
                gone.samples.push(false);
            }
        }
        Ok(())
    }

    fn histograms(
        &mut self,
        batch: &mut MetricBatch,
        deltas: &Deltas,
        (limits, now_ns): (&DeltaLimits, i64),
        receipt: &mut Receipt,
        gone: &mut Gone,
    ) -> Result<()> {
        let MetricBatch { series, histograms, .. } = batch;
        let mut order = deltas.histograms.clone();
        order.sort_by_key(|i| histograms.get(*i as usize).map(|h| (h.series, h.timestamp_ms)));
        for i in order {
            let i = i as usize;
            let Some(point) = histograms.get(i) else { continue };
            let Some(labels) = series.get(point.series as usize) else { continue };
            let span = Span { start_ms: point.start_ms, at_ms: point.timestamp_ms };
            let hold = |t: &mut Total, anew: bool| {
                let added = match &mut t.value {
                    Value::Histogram(h) if !anew => histogram::add(h, &point.histogram),
                    _ => false,
                };
                if !added {
                    // Other bounds than before begin a total of their own.
                    t.start_ms = span.start_ms;
                    t.value = Value::Histogram(Box::new(point.histogram.clone()));
                }
                match &t.value {
                    Value::Histogram(h) => (**h).clone(),
                    Value::Sum(_) => Histogram::default(),
                }
            };
            let (outcome, total) = self.step(labels, span, (limits, now_ns), hold)?;
            let Some((start_ms, sum)) = total else {
                refuse(receipt, labels, outcome, span, limits);
                mark(&mut gone.histograms, i);
                continue;
            };
            if outcome == Outcome::Restarted {
                let (series, histogram) = (point.series, histogram::nothing_like(&sum));
                histograms.push(HistogramSample { series, timestamp_ms: start_ms, start_ms, histogram });
                gone.histograms.push(false);
            }
            if let Some(h) = histograms.get_mut(i) {
                (h.start_ms, h.histogram) = (start_ms, sum);
            }
        }
        Ok(())
    }

    /// Decides about one point and, where it counts, lets `hold` change the total; `true` tells it to begin anew.
    /// Answers with the total's start and what `hold` returned.
    fn step<R>(
        &mut self,
        labels: &Labels,
        span: Span,
        (limits, now_ns): (&DeltaLimits, i64),
        hold: impl FnOnce(&mut Total, bool) -> R,
    ) -> Result<(Outcome, Option<(i64, R)>)> {
        let Span { start_ms, at_ms } = span;
        let count = self.table.totals.len();
        if let Some(total) = self.table.totals.get_mut(labels) {
            let outcome = outcome(total, span);
            self.counts.add(outcome);
            if outcome == Outcome::Late {
                return Ok((outcome, None));
            }
            let before = (labels.clone(), Some(total.clone()));
            let anew = outcome == Outcome::Restarted;
            if anew {
                total.start_ms = start_ms;
            }
            let held = hold(total, anew);
            (total.last_ms, total.seen_ns) = (at_ms, now_ns);
            let start_ms = total.start_ms;
            self.undo.push(before);
            return Ok((outcome, Some((start_ms, held))));
        }
        if count >= limits.max_series {
            self.counts.add(Outcome::Full);
            return Ok((Outcome::Full, None));
        }
        let mut total = Total { start_ms, last_ms: at_ms, seen_ns: now_ns, value: Value::Sum(0.0) };
        let held = hold(&mut total, true);
        self.hold_memory(bytes_of(labels, &total))?;
        self.undo.push((labels.clone(), None));
        self.table.totals.insert(labels.clone(), total);
        self.counts.series(1);
        self.counts.add(Outcome::Started);
        Ok((Outcome::Started, Some((start_ms, held))))
    }

    fn hold_memory(&mut self, bytes: u64) -> Result<()> {
        match &mut self.table.held {
            Some(held) => held.grow(bytes)?,
            none => *none = Some(self.budget.reserve(Use::Ingest, bytes)?),
        }
        Ok(())
    }

    /// Forgets idle series, some times in the time that makes one idle.
    fn sweep(&mut self, limits: &DeltaLimits, now_ns: i64) {
        let idle = i64::try_from(limits.max_idle.as_nanos()).unwrap_or(i64::MAX);
        let table = &mut *self.table;
        if now_ns.saturating_sub(table.swept_ns) < idle / 4 {
            return;
        }
        table.swept_ns = now_ns;
        let before = table.totals.len();
        table.totals.retain(|_, t| now_ns.saturating_sub(t.seen_ns) < idle);
        self.counts.series(table.totals.len() as i64 - before as i64);
        let bytes = table.totals.iter().map(|(l, t)| bytes_of(l, t)).sum();
        if let Some(held) = &mut table.held {
            held.shrink_to(bytes);
        }
    }

    /// The request is stored: its additions stay, and it is known from now on.
    pub(crate) fn keep(mut self, id: Option<BatchId>) {
        let known = &mut self.table.known;
        known.extend(id);
        while known.len() > KNOWN_IDS {
            known.pop_front();
        }
    }

    /// The request was not stored: the totals are what they were.
    pub(crate) fn undo(mut self) {
        self.put_back();
    }

    fn put_back(&mut self) {
        while let Some((labels, before)) = self.undo.pop() {
            match before {
                Some(total) => {
                    self.table.totals.insert(labels, total);
                }
                None => {
                    self.table.totals.remove(&labels);
                    self.counts.series(-1);
                }
            }
        }
    }
}

/// What a point is to the total it belongs to.
fn outcome(total: &Total, Span { start_ms, at_ms }: Span) -> Outcome {
    if at_ms <= total.last_ms || (start_ms != 0 && start_ms < total.start_ms) {
        return Outcome::Late;
    }
    // Points that do not say where they begin follow the one before.
    if start_ms == 0 {
        return Outcome::Added;
    }
    let tolerated = at_ms.saturating_sub(start_ms).max(0) / GAP_SHARE;
    if start_ms > total.last_ms.saturating_add(tolerated) {
        Outcome::Restarted
    } else if start_ms < total.last_ms.saturating_sub(tolerated) {
        Outcome::Overlapping
    } else {
        Outcome::Added
    }
}

fn sample<'s>(series: &'s [Labels], samples: &Samples, i: usize) -> Option<(&'s Labels, i64, f64)> {
    let labels = series.get(*samples.series.get(i)? as usize)?;
    Some((labels, *samples.timestamp_ms.get(i)?, *samples.value.get(i)?))
}

fn bytes_of(labels: &Labels, total: &Total) -> u64 {
    let value = match &total.value {
        Value::Sum(_) => 0,
        Value::Histogram(h) => h.heap_bytes(),
    };
    (labels.packed_len() + size_of::<Labels>() + size_of::<Total>() + 32 + value) as u64
}

fn refuse(receipt: &mut Receipt, labels: &Labels, outcome: Outcome, span: Span, limits: &DeltaLimits) {
    let reason = match outcome {
        Outcome::Full => RefusalReason::SeriesLimit,
        _ => RefusalReason::TooOld,
    };
    receipt.refuse(Signal::METRICS, reason, || match outcome {
        Outcome::Full => format!(
            "series {labels} of delta temporality is new and otlp.delta_max_series ({}) is reached",
            limits.max_series
        ),
        _ => format!(
            "the point of delta temporality of {labels} from {} to {} ms is late: newer ones were added already",
            span.start_ms, span.at_ms
        ),
    });
}

fn mark(gone: &mut [bool], i: usize) {
    if let Some(g) = gone.get_mut(i) {
        *g = true;
    }
}

/// Takes the points marked out of the batch.
fn remove(batch: &mut MetricBatch, gone: &Gone) {
    let stays = |marks: &[bool], i: usize| !marks.get(i).copied().unwrap_or(false);
    if gone.samples.contains(&true) {
        let all = std::mem::take(&mut batch.samples);
        for i in (0..all.len()).filter(|i| stays(&gone.samples, *i)) {
            if let (Some(s), Some(t), Some(v)) =
                (all.series.get(i), all.timestamp_ms.get(i), all.value.get(i))
            {
                batch.samples.push_started(*s, *t, *v, all.start_of(i));
            }
        }
    }
    if gone.histograms.contains(&true) {
        let mut i = 0;
        batch.histograms.retain(|_| {
            i += 1;
            stays(&gone.histograms, i - 1)
        });
    }
}

#[cfg(test)]
mod tests;
