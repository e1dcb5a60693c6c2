//! What is decided about an item by looking at it alone: its time, its labels, its size, its own validity.
//! Runs in the caller's task, before the unit enters the commit queue; pure but for the clock's reading.
//!
//! What passes here satisfies what the heads and the log rely on: indexes in range, parallel arrays of equal
//! length, one metrics batch a unit with samples that ascend strictly per series.

use std::{collections::HashMap, time::Duration};

use contract::{Receipt, RefusalReason};
use model::{
    Batch, Labels, LogBatch, MetricBatch, Signal, SpanBatch,
    metric::{HistogramSample, LabelBounds, Samples},
};

use crate::{
    head::metrics::{remove_at, remove_samples},
    options::{Limits, Policy},
};

/// Times further from 1970 than this (in ms) cannot be held in nanoseconds.
const MAX_ABS_MS: i64 = i64::MAX / 1_000_000 - 1;
/// Longest text of a metadata field; the rest is cut.
const MAX_METADATA_BYTES: usize = 4096;

/// Takes out of the unit, which holds so many bytes, what can never be stored and writes why into the receipt.
/// Batches that end up empty are gone afterwards.
pub(crate) fn admit(
    batches: Vec<Batch>,
    unit_bytes: u64,
    policy: &Policy,
    now_ns: i64,
    receipt: &mut Receipt,
) -> Vec<Batch> {
    // No item is larger than its unit.
    let may_be_large = unit_bytes > policy.limits.max_item_bytes as u64;
    let mut metrics: Option<MetricBatch> = None;
    let mut out = Vec::with_capacity(batches.len());
    let mut spans_before = 0;
    for batch in batches {
        match batch {
            Batch::Metrics(b) => match &mut metrics {
                Some(first) => fold(first, b),
                None => metrics = Some(b),
            },
            Batch::Logs(mut b) => {
                let times = Times::new(policy, &Signal::LOGS, now_ns);
                logs(&mut b, &times, &policy.limits, may_be_large, receipt);
                if !b.records.is_empty() {
                    out.push(Batch::Logs(b));
                }
            }
            Batch::Spans(mut b) => {
                let count = b.spans.len() as u32;
                let times = Times::new(policy, &Signal::TRACES, now_ns);
                spans(&mut b, &times, &policy.limits, (may_be_large, spans_before), receipt);
                spans_before += count;
                if !b.spans.is_empty() {
                    out.push(Batch::Spans(b));
                }
            }
            other => {
                let signal = other.signal();
                for _ in 0..other.item_count() {
                    receipt.refuse(signal.clone(), RefusalReason::Unsupported, || format!("signal {signal}"));
                }
            }
        }
    }
    if let Some(mut b) = metrics {
        admit_metrics(&mut b, &Times::new(policy, &Signal::METRICS, now_ns), &policy.limits, receipt);
        if !b.is_empty() {
            out.push(Batch::Metrics(b));
        }
    }
    out
}

/// Believable times of one signal.
struct Times {
    oldest_ns: i64,
    newest_ns: i64,
    now_ns: i64,
    retention: Option<Duration>,
    max_future: Duration,
}

impl Times {
    fn new(policy: &Policy, signal: &Signal, now_ns: i64) -> Self {
        let retention = policy.retention.of(signal);
        let ns = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        Times {
            oldest_ns: retention.map_or(i64::MIN, |r| now_ns.saturating_sub(ns(r))),
            newest_ns: now_ns.saturating_add(ns(policy.max_future)),
            now_ns,
            retention,
            max_future: policy.max_future,
        }
    }

    fn check(&self, at_ns: i64) -> Option<RefusalReason> {
        if at_ns < self.oldest_ns {
            Some(RefusalReason::TooOld)
        } else if at_ns > self.newest_ns {
            Some(RefusalReason::TooFarInFuture)
        } else {
            None
        }
    }

    fn explain(&self, reason: RefusalReason, what: &str, at_ns: i64) -> String {
        match reason {
            RefusalReason::TooOld => format!(
                "{what} at {at_ns} ns is older than the retention of {:?} (now {} ns)",
                self.retention.unwrap_or_default(),
                self.now_ns
            ),
            _ => format!(
                "{what} at {at_ns} ns is more than {:?} ahead of now ({} ns)",
                self.max_future, self.now_ns
            ),
        }
    }
}

/// Appends `more` to `first`; series they share become one.
fn fold(first: &mut MetricBatch, more: MetricBatch) {
    first.hints = None;
    let mut known: HashMap<Labels, u32> =
        first.series.iter().enumerate().map(|(i, l)| (l.clone(), i as u32)).collect();
    let map: Vec<u32> = more
        .series
        .into_iter()
        .map(|l| *known.entry(l).or_insert_with_key(|l| first.push_series(l.clone())))
        .collect();
    // An index out of range stays one: it is refused with the others.
    let at = |i: u32| map.get(i as usize).copied().unwrap_or(u32::MAX);
    for (i, series) in more.samples.series.iter().enumerate() {
        if let (Some(t), Some(v)) = (more.samples.timestamp_ms.get(i), more.samples.value.get(i)) {
            first.samples.push_started(at(*series), *t, *v, more.samples.start_of(i));
        }
    }
    first
        .histograms
        .extend(more.histograms.into_iter().map(|h| HistogramSample { series: at(h.series), ..h }));
    first.exemplars.extend(more.exemplars.into_iter().map(|(i, e)| (at(i), e)));
    first.metadata.extend(more.metadata);
}

fn admit_metrics(b: &mut MetricBatch, times: &Times, limits: &Limits, receipt: &mut Receipt) {
    let len = b.samples.len().min(b.samples.series.len()).min(b.samples.timestamp_ms.len());
    cut(&mut b.samples, len);
    order(b, receipt);
    let bad_labels = bad_labels(b, limits);
    let name = |i: u32| b.series.get(i as usize).map(ToString::to_string).unwrap_or_default();
    let judge = |series: u32, t: i64, receipt: &mut Receipt| {
        if series as usize >= b.series.len() {
            receipt.refuse(Signal::METRICS, RefusalReason::InvalidItem, || {
                format!("series {series} is not in the batch")
            });
            return false;
        }
        if let Some(Some(why)) = bad_labels.get(series as usize) {
            receipt.refuse(Signal::METRICS, RefusalReason::InvalidLabels, || why.clone());
            return false;
        }
        if t.checked_abs().is_none_or(|a| a > MAX_ABS_MS) {
            receipt.refuse(Signal::METRICS, RefusalReason::InvalidItem, || {
                format!("{} has the impossible timestamp {t} ms", name(series))
            });
            return false;
        }
        if let Some(reason) = times.check(t * 1_000_000) {
            receipt.refuse(Signal::METRICS, reason, || times.explain(reason, &name(series), t * 1_000_000));
            return false;
        }
        true
    };
    let mut gone = Vec::new();
    for (i, (series, t)) in b.samples.series.iter().zip(&b.samples.timestamp_ms).enumerate() {
        if !judge(*series, *t, receipt) {
            gone.push(i);
        }
    }
    let mut gone_histograms = Vec::new();
    for (i, h) in b.histograms.iter().enumerate() {
        if !judge(h.series, h.timestamp_ms, receipt) {
            gone_histograms.push(i);
        } else if let Err(why) = h.histogram.validate() {
            gone_histograms.push(i);
            receipt.refuse(Signal::METRICS, RefusalReason::InvalidItem, || {
                format!("histogram {}: {why}", name(h.series))
            });
        } else if h.histogram.heap_bytes() > limits.max_item_bytes {
            gone_histograms.push(i);
            receipt.refuse(Signal::METRICS, RefusalReason::TooLarge, || {
                format!(
                    "histogram {} is larger than the {} bytes one may have (twice ingest.max_line)",
                    name(h.series),
                    limits.max_item_bytes
                )
            });
        }
    }
    let count = b.series.len();
    let good = |i: u32| (i as usize) < count && bad_labels.get(i as usize).is_none_or(Option::is_none);
    b.exemplars.retain(|(i, e)| {
        good(*i)
            && e.labels.packed_len() <= limits.max_label_value_bytes
            && e.timestamp_ms.checked_abs().is_some_and(|a| a <= MAX_ABS_MS)
    });
    remove_samples(b, &gone);
    remove_at(&mut b.histograms, &gone_histograms);
    for m in &mut b.metadata {
        for text in [&mut m.family, &mut m.unit, &mut m.help] {
            truncate(text, MAX_METADATA_BYTES);
        }
    }
    b.metadata.retain(|m| !m.family.is_empty());
}

fn cut(s: &mut Samples, len: usize) {
    s.series.truncate(len);
    s.timestamp_ms.truncate(len);
    s.value.truncate(len);
    if !s.start_ms.is_empty() {
        s.start_ms.resize(len, 0);
    }
}

fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
}

/// Makes samples of a series ascend strictly. Of several at one time the first stays; equal ones are taken
/// silently, others refused.
fn order(b: &mut MetricBatch, receipt: &mut Receipt) {
    let mut newest = vec![i64::MIN; b.series.len()];
    let ascends = |newest: &mut [i64], series: u32, t: i64| match newest.get_mut(series as usize) {
        Some(n) if t > *n => {
            *n = t;
            true
        }
        Some(_) => false,
        None => true,
    };
    let pairs = b.samples.series.iter().zip(&b.samples.timestamp_ms);
    if !pairs.map(|(s, t)| ascends(&mut newest, *s, *t)).fold(true, |all, one| all & one) {
        let s = std::mem::take(&mut b.samples);
        let mut rows: Vec<(u32, i64, f64, i64)> = (0..s.len())
            .filter_map(|i| {
                Some((*s.series.get(i)?, *s.timestamp_ms.get(i)?, *s.value.get(i)?, s.start_of(i)))
            })
            .collect();
        rows.sort_by_key(|r| (r.0, r.1));
        let mut last: Option<(u32, i64, u64)> = None;
        for (series, t, v, start) in rows {
            match last {
                Some((ls, lt, bits)) if (ls, lt) == (series, t) => {
                    if bits != v.to_bits() {
                        receipt.refuse(Signal::METRICS, RefusalReason::DuplicateConflict, || {
                            let name =
                                b.series.get(series as usize).map(ToString::to_string).unwrap_or_default();
                            format!("series {name} has two values at {t} ms in one batch")
                        });
                    } else {
                        receipt.accept(Signal::METRICS, 1);
                        receipt.repeated += 1;
                    }
                }
                _ => {
                    b.samples.push_started(series, t, v, start);
                    last = Some((series, t, v.to_bits()));
                }
            }
        }
    }
    newest.fill(i64::MIN);
    let sorted = b
        .histograms
        .iter()
        .map(|h| ascends(&mut newest, h.series, h.timestamp_ms))
        .fold(true, |all, one| all & one);
    if !sorted {
        b.histograms.sort_by_key(|h| (h.series, h.timestamp_ms));
        let all = std::mem::take(&mut b.histograms);
        for h in all {
            match b.histograms.last() {
                Some(l) if (l.series, l.timestamp_ms) == (h.series, h.timestamp_ms) => {
                    if l.histogram == h.histogram {
                        receipt.accept(Signal::METRICS, 1);
                        receipt.histograms += 1;
                        receipt.repeated += 1;
                    } else {
                        receipt.refuse(Signal::METRICS, RefusalReason::DuplicateConflict, || {
                            format!("two histograms of one series at {} ms in one batch", h.timestamp_ms)
                        });
                    }
                }
                _ => b.histograms.push(h),
            }
        }
    }
}

/// Why label sets of the batch cannot be stored, by their index; empty where all of them can.
fn bad_labels(b: &MetricBatch, limits: &Limits) -> Vec<Option<String>> {
    let checked = b.hints.as_ref().and_then(|h| h.checked);
    let within = |c: LabelBounds| {
        c.labels <= limits.max_labels
            && c.name_bytes <= limits.max_label_name_bytes
            && c.value_bytes <= limits.max_label_value_bytes
    };
    if checked.is_some_and(within) {
        return Vec::new();
    }
    b.series.iter().map(|l| check_labels(l, limits)).collect()
}

/// Why a label set cannot be stored.
fn check_labels(labels: &Labels, limits: &Limits) -> Option<String> {
    // Nearly every one can, and to see that takes lengths only.
    let mut count = 0;
    let mut fits = |(name, value): (&[u8], &[u8])| {
        count += 1;
        !name.is_empty()
            && name.len() <= limits.max_label_name_bytes
            && value.len() <= limits.max_label_value_bytes
    };
    if !labels.is_empty() && labels.iter_bytes().all(&mut fits) && count <= limits.max_labels {
        return None;
    }
    explain_labels(labels, limits)
}

fn explain_labels(labels: &Labels, limits: &Limits) -> Option<String> {
    let short = |s: &str| s.chars().take(64).collect::<String>();
    if labels.is_empty() {
        return Some("a series without labels".to_owned());
    }
    let mut count = 0;
    for (name, value) in labels {
        count += 1;
        if name.is_empty() {
            return Some(format!("a label of {} has no name", short(labels.metric_name())));
        }
        if name.len() > limits.max_label_name_bytes {
            return Some(format!(
                "label name {:?}… has {} bytes, ingest.max_label_name is {}",
                short(name),
                name.len(),
                limits.max_label_name_bytes
            ));
        }
        if value.len() > limits.max_label_value_bytes {
            return Some(format!(
                "value {:?}… of label {:?} has {} bytes, ingest.max_label_value is {}",
                short(value),
                short(name),
                value.len(),
                limits.max_label_value_bytes
            ));
        }
    }
    (count > limits.max_labels).then(|| {
        format!(
            "{} has {count} labels, ingest.max_labels is {}",
            short(labels.metric_name()),
            limits.max_labels
        )
    })
}

fn logs(b: &mut LogBatch, times: &Times, limits: &Limits, may_be_large: bool, receipt: &mut Receipt) {
    let bad: Vec<Option<String>> = b
        .streams
        .iter()
        .map(|s| if s.labels.is_empty() { None } else { check_labels(&s.labels, limits) })
        .collect();
    let mut next = 0;
    b.records.retain(|r| {
        let position = next;
        next += 1;
        let refuse = |receipt: &mut Receipt, reason, why: &dyn Fn() -> String| {
            receipt.refuse_record(position, reason, why);
            false
        };
        match bad.get(r.stream as usize) {
            None => {
                let why = || format!("stream {} is not in the batch", r.stream);
                return refuse(receipt, RefusalReason::InvalidItem, &why);
            }
            Some(Some(why)) => return refuse(receipt, RefusalReason::InvalidLabels, &|| why.clone()),
            Some(None) => {}
        }
        if let Some(reason) = times.check(r.timestamp_ns) {
            return refuse(receipt, reason, &|| times.explain(reason, "log record", r.timestamp_ns));
        }
        let bytes = if may_be_large { r.heap_bytes() } else { 0 };
        if bytes > limits.max_item_bytes {
            let why = || {
                format!(
                    "log record of {bytes} bytes, at most {} are taken (twice ingest.max_line)",
                    limits.max_item_bytes
                )
            };
            return refuse(receipt, RefusalReason::TooLarge, &why);
        }
        true
    });
    // Nothing later refuses a record or a span, so they count as accepted here.
    receipt.accept(Signal::LOGS, b.records.len() as u64);
}

/// `next` is where the first span stands among those of the unit.
fn spans(
    b: &mut SpanBatch,
    times: &Times,
    limits: &Limits,
    (may_be_large, mut next): (bool, u32),
    receipt: &mut Receipt,
) {
    let origins = b.origins.len();
    b.spans.retain(|s| {
        let position = next;
        next += 1;
        let refuse = |receipt: &mut Receipt, reason, why: &dyn Fn() -> String| {
            receipt.refuse_span(position, reason, why);
            false
        };
        if s.origin as usize >= origins {
            let why = || format!("origin {} is not in the batch", s.origin);
            return refuse(receipt, RefusalReason::InvalidItem, &why);
        }
        if s.trace_id == [0; 16] || s.span_id == [0; 8] {
            let why = || {
                format!(
                    "span {:?} has no trace id or no span id",
                    s.name.chars().take(64).collect::<String>()
                )
            };
            return refuse(receipt, RefusalReason::InvalidItem, &why);
        }
        if let Some(reason) = times.check(s.start_ns) {
            return refuse(receipt, reason, &|| times.explain(reason, "span", s.start_ns));
        }
        let bytes = if may_be_large { s.heap_bytes() } else { 0 };
        if bytes > limits.max_item_bytes {
            let why = || {
                format!(
                    "span of {bytes} bytes, at most {} are taken (twice ingest.max_line)",
                    limits.max_item_bytes
                )
            };
            return refuse(receipt, RefusalReason::TooLarge, &why);
        }
        true
    });
    receipt.accept(Signal::TRACES, b.spans.len() as u64);
}

#[cfg(test)]
mod tests;
