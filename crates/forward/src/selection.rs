//! What of a unit goes to a destination: by tenant, by signal, by relabel rules. Rules are applied here, before the copy
//! is queued, so that what is queued never changes: a batch that is sent again is the same to the byte.

use std::{borrow::Cow, collections::HashMap};

use model::{
    Batch, Labels, LogBatch, Matcher, MetricBatch, Signal, SpanBatch, TenantId, attributes::Resource,
    matcher::all_match,
};
use parking_lot::Mutex;
use transform::relabel::{Rule, relabel, relabel_labels};

use crate::Class;

/// Label sets whose outcome is remembered. More save work where there are more series, some 300 bytes each.
const MAX_REMEMBERED: usize = 100_000;

/// Which telemetry a destination gets. The default is everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Empty for all.
    pub tenants: Vec<TenantId>,
    /// Empty for all.
    pub signals: Vec<Signal>,
    /// `write_relabel_configs`: applied in order to the labels of each series, which they drop or rewrite.
    pub write_relabel: Vec<Rule>,
    /// The same for logs and spans, over their resource attributes (under their own names) and, of logs, the labels of
    /// the stream. They keep or drop; nothing is rewritten.
    pub resource_relabel: Vec<Rule>,
    /// Series that match one of these selectors are of class [`Class::Critical`], by their labels before relabelling.
    pub critical: Vec<Vec<Matcher>>,
    pub keep: Keep,
}

/// What goes along with float samples; all of it unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub exemplars: bool,
    /// Native histograms.
    pub histograms: bool,
    /// Type, help and unit of the metrics.
    pub metadata: bool,
}

impl Default for Keep {
    fn default() -> Self {
        Keep { exemplars: true, histograms: true, metadata: true }
    }
}

/// A selection at work.
pub(crate) struct Selector {
    selection: Selection,
    /// Labels as they came, with what the rules make of them.
    known: Mutex<HashMap<Labels, Option<(Class, Labels)>>>,
}

impl Selector {
    pub(crate) fn new(selection: Selection) -> Self {
        Selector { selection, known: Mutex::default() }
    }

    /// Whether anything of this tenant and signal can be selected.
    pub(crate) fn may_take(&self, tenant: &TenantId, signal: &Signal) -> bool {
        let s = &self.selection;
        (s.tenants.is_empty() || s.tenants.contains(tenant))
            && (s.signals.is_empty() || s.signals.contains(signal))
    }

    /// The selected items, a batch per class; none that holds no item.
    pub(crate) fn select<'a>(&self, tenant: &TenantId, batch: &'a Batch) -> Vec<(Class, Cow<'a, Batch>)> {
        if !self.may_take(tenant, &batch.signal()) {
            return Vec::new();
        }
        let s = &self.selection;
        let by_series = !s.write_relabel.is_empty() || !s.critical.is_empty() || s.keep != Keep::default();
        let by_origin = !s.resource_relabel.is_empty();
        let selected = match batch {
            Batch::Metrics(m) if by_series => self.metrics(m),
            Batch::Metrics(_) => vec![(Class::Metrics, Cow::Borrowed(batch))],
            Batch::Logs(l) if by_origin => vec![(Class::Logs, Cow::Owned(Batch::Logs(self.logs(l))))],
            Batch::Logs(_) => vec![(Class::Logs, Cow::Borrowed(batch))],
            Batch::Spans(s) if by_origin => vec![(Class::Traces, Cow::Owned(Batch::Spans(self.spans(s))))],
            Batch::Spans(_) => vec![(Class::Traces, Cow::Borrowed(batch))],
            _ => Vec::new(),
        };
        selected.into_iter().filter(|(_, b)| b.item_count() > 0).collect()
    }

    fn metrics<'a>(&self, batch: &MetricBatch) -> Vec<(Class, Cow<'a, Batch>)> {
        let mut parts = [Class::Critical, Class::Metrics].map(|class| (class, MetricBatch::default()));
        // Where each series went: which part, and its index there.
        let mut placed: Vec<Option<(usize, u32)>> = Vec::with_capacity(batch.series.len());
        let mut indexes: [HashMap<Labels, u32>; 2] = Default::default();
        for labels in &batch.series {
            placed.push(self.series(labels).and_then(|(class, labels)| {
                let part = usize::from(class != Class::Critical);
                let (_, into) = parts.get_mut(part)?;
                // Rules may make two series one.
                let index = indexes.get_mut(part)?.entry(labels).or_insert_with_key(|l| {
                    into.series.push(l.clone());
                    into.series.len() as u32 - 1
                });
                Some((part, *index))
            }));
        }
        let place = |series: u32| placed.get(series as usize).copied().flatten();
        let s = &batch.samples;
        for (i, (series, (t, v))) in s.series.iter().zip(s.timestamp_ms.iter().zip(&s.value)).enumerate() {
            if let Some((part, index)) = place(*series)
                && let Some((_, into)) = parts.get_mut(part)
            {
                into.samples.push_started(index, *t, *v, s.start_of(i));
            }
        }
        let keep = self.selection.keep;
        for h in batch.histograms.iter().filter(|_| keep.histograms) {
            if let Some((part, index)) = place(h.series)
                && let Some((_, into)) = parts.get_mut(part)
            {
                into.histograms.push(model::metric::HistogramSample { series: index, ..h.clone() });
            }
        }
        for (series, e) in batch.exemplars.iter().filter(|_| keep.exemplars) {
            if let Some((part, index)) = place(*series)
                && let Some((_, into)) = parts.get_mut(part)
            {
                into.exemplars.push((index, e.clone()));
            }
        }
        parts
            .into_iter()
            .map(|(class, part)| {
                let metadata = if keep.metadata { batch.metadata.clone() } else { Vec::new() };
                let part = MetricBatch { metadata, ..part };
                (class, Cow::Owned(Batch::Metrics(part)))
            })
            .collect()
    }

    /// Class and labels of a series, unless it is dropped.
    fn series(&self, labels: &Labels) -> Option<(Class, Labels)> {
        if let Some(known) = self.known.lock().get(labels) {
            return known.clone();
        }
        let s = &self.selection;
        let class = match s.critical.iter().any(|m| all_match(m, labels)) {
            true => Class::Critical,
            false => Class::Metrics,
        };
        let relabelled = relabel_labels(labels, &s.write_relabel).filter(|l| !l.is_empty());
        let outcome = relabelled.map(|l| (class, l));
        let mut known = self.known.lock();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(labels.clone(), outcome.clone());
        outcome
    }

    fn logs(&self, batch: &LogBatch) -> LogBatch {
        let kept: Vec<bool> =
            batch.streams.iter().map(|s| self.origin(&s.resource, Some(&s.labels))).collect();
        retain_logs(batch, |_, stream| kept.get(stream as usize) == Some(&true))
    }

    fn spans(&self, batch: &SpanBatch) -> SpanBatch {
        let kept: Vec<bool> = batch.origins.iter().map(|o| self.origin(&o.resource, None)).collect();
        retain_spans(batch, |_, origin| kept.get(origin as usize) == Some(&true))
    }

    fn origin(&self, resource: &Resource, labels: Option<&Labels>) -> bool {
        let mut all = labels.map(Labels::to_builder).unwrap_or_default();
        for (key, value) in resource.attributes.iter() {
            all.set(key, value.to_string());
        }
        relabel(all, &self.selection.resource_relabel).is_some()
    }
}

/// The samples for which `keep` says so, told their position: floats come before histograms. Exemplars stay where an
/// item of their series does, descriptions in any case.
pub(crate) fn retain_metrics(batch: &MetricBatch, keep: impl Fn(usize) -> bool) -> MetricBatch {
    let mut out = MetricBatch { metadata: batch.metadata.clone(), ..MetricBatch::default() };
    let mut moved: HashMap<u32, u32> = HashMap::new();
    let mut place = |out: &mut MetricBatch, series: u32| {
        let labels = batch.series.get(series as usize).cloned().unwrap_or_default();
        *moved.entry(series).or_insert_with(|| out.push_series(labels))
    };
    let s = &batch.samples;
    for (i, (series, (t, v))) in s.series.iter().zip(s.timestamp_ms.iter().zip(&s.value)).enumerate() {
        if keep(i) {
            let series = place(&mut out, *series);
            out.samples.push_started(series, *t, *v, s.start_of(i));
        }
    }
    for (i, h) in batch.histograms.iter().enumerate() {
        if keep(s.len() + i) {
            let series = place(&mut out, h.series);
            out.histograms.push(model::metric::HistogramSample { series, ..h.clone() });
        }
    }
    for (series, e) in &batch.exemplars {
        if let Some(at) = moved.get(series) {
            out.exemplars.push((*at, e.clone()));
        }
    }
    out
}

/// The records for which `keep` says so, told their position and stream; streams without any are left out.
pub(crate) fn retain_logs(batch: &LogBatch, keep: impl Fn(usize, u32) -> bool) -> LogBatch {
    let mut out = LogBatch::default();
    let mut moved: HashMap<u32, u32> = HashMap::new();
    for (i, record) in batch.records.iter().enumerate() {
        let Some(stream) = batch.streams.get(record.stream as usize) else { continue };
        if keep(i, record.stream) {
            let at = *moved.entry(record.stream).or_insert_with(|| {
                out.streams.push(stream.clone());
                out.streams.len() as u32 - 1
            });
            out.records.push(model::LogRecord { stream: at, ..record.clone() });
        }
    }
    out
}

/// The same for spans.
pub(crate) fn retain_spans(batch: &SpanBatch, keep: impl Fn(usize, u32) -> bool) -> SpanBatch {
    let mut out = SpanBatch::default();
    let mut moved: HashMap<u32, u32> = HashMap::new();
    for (i, span) in batch.spans.iter().enumerate() {
        let Some(origin) = batch.origins.get(span.origin as usize) else { continue };
        if keep(i, span.origin) {
            let at = *moved.entry(span.origin).or_insert_with(|| {
                out.origins.push(origin.clone());
                out.origins.len() as u32 - 1
            });
            out.spans.push(model::Span { origin: at, ..span.clone() });
        }
    }
    out
}

#[cfg(test)]
mod tests;
