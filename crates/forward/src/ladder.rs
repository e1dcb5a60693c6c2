//! How a class that falls behind is thinned. What is decided for a run of the queue stands in its plan, so that the run is
//! thinned the same however often it is sent.
//!
//! ```text
//! metrics  the last sample of each series in an interval stays, and every mark that a series ended
//! traces   stay by a hash of their id: whole, and those kept at one step are among those kept at the step before
//! logs     stay by a hash of what they say; errors always do
//! ```

use std::collections::{HashMap, HashSet, VecDeque};

use model::{Batch, LogBatch, LogRecord, MetricBatch, Span, SpanBatch, is_stale_marker};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{
    Class,
    budget::Ladder,
    selection::{retain_logs, retain_metrics, retain_spans},
};

/// Traces whose fate is remembered, 24 bytes each: those still under way when the step changes.
const MAX_TRACES: usize = 65_536;
/// From here on a record is an error (OpenTelemetry, "Severity Fields").
const ERROR: u8 = 17;

/// How a run is thinned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Thin {
    /// 0 for not at all.
    pub(crate) step: u8,
    /// Of metrics: one sample of a series in this many milliseconds.
    #[serde(default)]
    pub(crate) interval_ms: i64,
    /// Traces of the run that were decided otherwise before, and keep to that.
    #[serde(default, skip_serializing_if = "HashSet::is_empty")]
    pub(crate) except: HashSet<u64>,
}

impl Thin {
    /// Whether anything is left out.
    pub(crate) fn is_none(&self) -> bool {
        self.step == 0 && self.except.is_empty()
    }

    /// What stays of a batch.
    pub(crate) fn apply(&self, batch: Batch) -> Batch {
        if self.is_none() {
            return batch;
        }
        match batch {
            Batch::Metrics(m) if self.interval_ms > 0 => Batch::Metrics(last_of_each(&m, self.interval_ms)),
            Batch::Logs(l) => Batch::Logs(self.logs(&l)),
            Batch::Spans(s) => Batch::Spans(self.spans(&s)),
            other => other,
        }
    }

    /// Whether the rule keeps what has this hash.
    fn keeps(&self, hash: u64) -> bool {
        hash <= u64::MAX >> self.step.min(63)
    }

    fn logs(&self, batch: &LogBatch) -> LogBatch {
        let keep = |r: &LogRecord| is_error(r) || self.keeps(log_hash(r));
        retain_logs(batch, |i, _| batch.records.get(i).is_some_and(keep))
    }

    fn spans(&self, batch: &SpanBatch) -> SpanBatch {
        let keep = |s: &Span| {
            let hash = trace_hash(s);
            self.keeps(hash) != self.except.contains(&hash)
        };
        retain_spans(batch, |i, _| batch.spans.get(i).is_some_and(keep))
    }
}

fn is_error(r: &LogRecord) -> bool {
    if r.severity_number > 0 {
        return r.severity_number >= ERROR;
    }
    let text = r.severity_text.to_ascii_lowercase();
    ["err", "fatal", "crit", "alert", "emerg", "panic"].iter().any(|level| text.starts_with(level))
}

fn log_hash(r: &LogRecord) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&r.timestamp_ns.to_le_bytes());
    match r.body.as_str() {
        Some(text) => hash.update(text.as_bytes()),
        None => hash.update(r.body.to_string().as_bytes()),
    }
    hash.digest()
}

/// A span without a trace stands for itself.
fn trace_hash(s: &Span) -> u64 {
    match s.trace_id == [0; 16] {
        true => xxh3_64(&s.span_id),
        false => xxh3_64(&s.trace_id),
    }
}

/// The last sample of each series in each interval, and marks of the ends of series.
fn last_of_each(m: &MetricBatch, interval_ms: i64) -> MetricBatch {
    let floats = m.samples.len();
    let times = m.samples.series.iter().zip(&m.samples.timestamp_ms).map(|(s, t)| (*s, *t));
    let all = times.chain(m.histograms.iter().map(|h| (h.series, h.timestamp_ms)));
    let mut last: HashMap<(u32, i64, bool), (i64, usize)> = HashMap::new();
    for (i, (series, t)) in all.enumerate().filter(|(i, _)| !is_end(m, *i)) {
        let at = last.entry((series, t.div_euclid(interval_ms), i < floats)).or_insert((t, i));
        if t >= at.0 {
            *at = (t, i);
        }
    }
    let kept: HashSet<usize> = last.into_values().map(|(_, i)| i).collect();
    retain_metrics(m, |i| kept.contains(&i) || is_end(m, i))
}

fn is_end(m: &MetricBatch, item: usize) -> bool {
    match m.samples.value.get(item) {
        Some(v) => is_stale_marker(*v),
        None => m.histograms.get(item - m.samples.len()).is_some_and(|h| h.histogram.is_stale()),
    }
}

/// In which time metrics keep one sample of a series at a step, 0 for all.
pub(crate) fn interval_ms(ladder: &Ladder, step: u8) -> i64 {
    let base = ladder.aggregate.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    if step > 0 { base.saturating_mul(1 << (step - 1).min(32)) } else { 0 }
}

/// Whether a class may be thinned.
fn allowed(ladder: &Ladder, class: Class) -> bool {
    match class {
        Class::Critical => false,
        Class::Metrics => ladder.aggregate.is_some(),
        Class::Traces => ladder.sample_traces,
        Class::Logs => ladder.sample_logs,
    }
}

/// How far a lane is behind, and what was decided because of it.
#[derive(Default)]
pub(crate) struct Pressure {
    step: u8,
    fates: HashMap<u64, bool>,
    order: VecDeque<u64>,
}

impl Pressure {
    /// The step for the next run of a lane that is `behind_ns` behind.
    pub(crate) fn next_step(&mut self, ladder: &Ladder, class: Class, behind_ns: i64) -> u8 {
        let after = i64::try_from(ladder.thin_after.as_nanos()).unwrap_or(i64::MAX);
        if !allowed(ladder, class) {
            self.step = 0;
        } else if behind_ns > after {
            self.step = (self.step + 1).min(ladder.max_steps);
        } else if behind_ns < after / 2 {
            self.step = self.step.saturating_sub(1);
        }
        self.step
    }

    /// Whether a lane so far behind gives up its oldest, all else having been done.
    pub(crate) fn must_drop(&self, ladder: &Ladder, class: Class, behind_ns: i64) -> bool {
        let after = i64::try_from(ladder.drop_after.as_nanos()).unwrap_or(i64::MAX);
        let most = if allowed(ladder, class) { ladder.max_steps } else { 0 };
        class != Class::Critical && self.step >= most && behind_ns > after
    }

    pub(crate) fn step(&self) -> u8 {
        self.step
    }

    /// How a run with these batches is thinned at the present step. Traces that were decided before keep to it.
    pub(crate) fn thin<'a>(&mut self, ladder: &Ladder, batches: impl Iterator<Item = &'a Batch>) -> Thin {
        let interval_ms = interval_ms(ladder, self.step);
        let mut thin = Thin { step: self.step, interval_ms, except: HashSet::new() };
        for batch in batches {
            if let (Batch::Spans(s), true) = (batch, ladder.sample_traces) {
                for span in &s.spans {
                    let hash = trace_hash(span);
                    if self.fate(hash, thin.keeps(hash)) != thin.keeps(hash) {
                        thin.except.insert(hash);
                    }
                }
            }
        }
        thin
    }

    /// What was decided of a trace, or is now.
    fn fate(&mut self, hash: u64, now: bool) -> bool {
        if let Some(fate) = self.fates.get(&hash) {
            return *fate;
        }
        self.fates.insert(hash, now);
        self.order.push_back(hash);
        if self.order.len() > MAX_TRACES
            && let Some(oldest) = self.order.pop_front()
        {
            self.fates.remove(&oldest);
        }
        now
    }
}

#[cfg(test)]
mod tests;
