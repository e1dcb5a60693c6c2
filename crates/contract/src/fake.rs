//! A [`crate::Select`] and [`crate::Append`] over plain vectors, for tests of languages and APIs. It holds
//! everything in memory, applies the same rules as the store and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use model::{
    AnyValue, Attributes, Batch, BatchId, Exemplar, Labels, LogBatch, Matcher, MetricMetadata, Signal, Span,
    SpanBatch, TenantId, matcher::all_match, span::SpanOrigin,
};
use parking_lot::Mutex;

use crate::{
    Append, AppendUnit, Capabilities, Coverage, Direction, Error, ExemplarsRequest, LabelNamesRequest,
    LabelValuesRequest, LineFilter, LogsRequest, MetadataRequest, NamedField, Receipt, Result, Scope, Select,
    Selection, SeriesData, SeriesRequest, SourceCoverage, SpanKeysRequest, SpanScope, SpanValue,
    SpanValuesRequest, SpansRequest, spans::passes_any,
};

/// The fake; keeps all units of all tenants.
#[derive(Default)]
pub struct Fake {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    units: Vec<(TenantId, Batch)>,
    ids: HashSet<(TenantId, BatchId)>,
}

impl Fake {
    pub fn new() -> Self {
        Self::default()
    }

    fn batches(&self, scope: &Scope) -> Vec<Batch> {
        let held = self.held.lock();
        held.units
            .iter()
            .filter(|(t, _)| scope.tenants.iter().any(|x| x == t))
            .map(|(_, b)| b.clone())
            .collect()
    }

    fn series_of(&self, scope: &Scope, matchers: &[Matcher]) -> Vec<SeriesData> {
        let (first, last) = scope.range.to_ms_inclusive();
        let mut floats: BTreeMap<Labels, BTreeMap<i64, (f64, i64)>> = BTreeMap::new();
        let mut hists: BTreeMap<Labels, BTreeMap<i64, (i64, model::Histogram)>> = BTreeMap::new();
        for batch in self.batches(scope) {
            let Batch::Metrics(m) = batch else { continue };
            for i in 0..m.samples.len() {
                let labels = &m.series[m.samples.series[i] as usize];
                let t = m.samples.timestamp_ms[i];
                if first <= t && t <= last && all_match(matchers, labels) {
                    let sample = (m.samples.value[i], m.samples.start_of(i));
                    floats.entry(labels.clone()).or_default().entry(t).or_insert(sample);
                }
            }
            for h in &m.histograms {
                let labels = &m.series[h.series as usize];
                if first <= h.timestamp_ms && h.timestamp_ms <= last && all_match(matchers, labels) {
                    let sample = (h.start_ms, h.histogram.clone());
                    hists.entry(labels.clone()).or_default().entry(h.timestamp_ms).or_insert(sample);
                }
            }
        }
        let names: BTreeSet<Labels> = floats.keys().chain(hists.keys()).cloned().collect();
        names
            .into_iter()
            .map(|labels| {
                let f = floats.remove(&labels).unwrap_or_default();
                let starts: Vec<i64> = f.values().map(|(_, s)| *s).collect();
                SeriesData {
                    timestamps_ms: f.keys().copied().collect(),
                    values: f.values().map(|(v, _)| *v).collect(),
                    starts_ms: if starts.iter().any(|s| *s != 0) { starts } else { Vec::new() },
                    histograms: hists
                        .remove(&labels)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(t, (start, h))| (t, start, h))
                        .collect(),
                    labels,
                }
            })
            .collect()
    }

    fn each_span(&self, scope: &Scope, mut each: impl FnMut(&Span, &SpanOrigin)) {
        for batch in self.batches(scope) {
            let Batch::Spans(b) = batch else { continue };
            let inside = |s: &&Span| scope.range.contains(model::TimestampNs(s.start_ns));
            b.spans.iter().filter(inside).for_each(|s| each(s, &b.origins[s.origin as usize]));
        }
    }

    fn label_sets_of(&self, scope: &Scope, signal: &Signal, selectors: &[Vec<Matcher>]) -> BTreeSet<Labels> {
        let any = |l: &Labels| selectors.is_empty() || selectors.iter().any(|m| all_match(m, l));
        if *signal == Signal::METRICS {
            return self.series_of(scope, &[]).into_iter().map(|s| s.labels).filter(any).collect();
        }
        let mut out = BTreeSet::new();
        for batch in self.batches(scope) {
            let Batch::Logs(l) = batch else { continue };
            for r in l.records.iter().filter(|r| scope.range.contains(model::TimestampNs(r.timestamp_ns))) {
                let labels = &l.streams[r.stream as usize].labels;
                if any(labels) {
                    out.insert(labels.clone());
                }
            }
        }
        out
    }
}

fn complete(scope: &Scope, signal: Signal) -> Coverage {
    Coverage::one(SourceCoverage::complete("local", signal, scope.range))
}

fn cut<T>(values: impl IntoIterator<Item = T>, limit: Option<usize>) -> Vec<T> {
    values.into_iter().take(limit.unwrap_or(usize::MAX)).collect()
}

/// Whether a line passes every filter.
pub fn line_passes(filters: &[LineFilter], line: &str) -> Result<bool> {
    for f in filters {
        let regex = |p: &str| regex_lite_find(p, line);
        let pass = match f {
            LineFilter::Contains(s) => line.contains(s.as_str()),
            LineFilter::NotContains(s) => !line.contains(s.as_str()),
            LineFilter::Regex(p) => regex(p)?,
            LineFilter::NotRegex(p) => !regex(p)?,
        };
        if !pass {
            return Ok(false);
        }
    }
    Ok(true)
}

fn regex_lite_find(pattern: &str, line: &str) -> Result<bool> {
    // A matcher is anchored, so an unanchored search is spelled out around it.
    Matcher::new("line", model::MatchOp::Regex, format!(".*(?:{pattern}).*"))
        .map(|m| m.matches(line))
        .map_err(|e| Error::invalid(e.to_string()))
}

#[async_trait]
impl Append for Fake {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> Result<Receipt> {
        let mut held = self.held.lock();
        if let Some(id) = unit.batch_id
            && !held.ids.insert((tenant.clone(), id))
        {
            return Ok(Receipt { duplicate: true, ..Receipt::default() });
        }
        let mut receipt = Receipt::default();
        for b in unit.batches {
            receipt.accept(b.signal(), b.item_count() as u64);
            if let Batch::Metrics(m) = &b {
                receipt.histograms += m.histograms.len() as u64;
                receipt.exemplars += m.exemplars.len() as u64;
            }
            held.units.push((tenant.clone(), b));
        }
        Ok(receipt)
    }
}

#[async_trait]
impl Select for Fake {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        let coverage = complete(&r.scope, Signal::METRICS);
        let all = self.series_of(&r.scope, &r.matchers);
        Ok(Selection::with_coverage(stream::iter(all.into_iter().map(Ok)).boxed(), coverage))
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        let coverage = complete(&r.scope, Signal::LOGS);
        let mut records = Vec::new();
        for batch in self.batches(&r.scope) {
            let Batch::Logs(l) = batch else { continue };
            for rec in &l.records {
                let stream = &l.streams[rec.stream as usize];
                if r.scope.range.contains(model::TimestampNs(rec.timestamp_ns))
                    && all_match(&r.matchers, &stream.labels)
                    && line_passes(&r.line_filters, &rec.body.to_string())?
                {
                    records.push((stream.clone(), rec.clone()));
                }
            }
        }
        records.sort_by_key(|(_, rec)| rec.timestamp_ns);
        if r.direction == Direction::NewestFirst {
            records.reverse();
        }
        let mut out = LogBatch::default();
        for (stream, mut rec) in cut(records, r.limit) {
            let at = out.streams.iter().position(|s| *s == stream).unwrap_or_else(|| {
                out.streams.push(stream);
                out.streams.len() - 1
            });
            rec.stream = at as u32;
            out.records.push(rec);
        }
        Ok(Selection::with_coverage(stream::iter([Ok(out)]).boxed(), coverage))
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        let coverage = complete(&r.scope, Signal::TRACES);
        let mut found = Vec::new();
        for batch in self.batches(&r.scope) {
            let Batch::Spans(b) = batch else { continue };
            for span in &b.spans {
                if r.scope.range.contains(model::TimestampNs(span.start_ns))
                    && (r.trace_ids.is_empty() || r.trace_ids.contains(&span.trace_id))
                    && r.passes(span, &b.origins[span.origin as usize])
                {
                    found.push((b.origins[span.origin as usize].clone(), span.clone()));
                }
            }
        }
        found.sort_by_key(|(_, s)| std::cmp::Reverse(s.start_ns));
        let (mut seen, mut out) = (HashSet::new(), SpanBatch::default());
        for (origin, mut span) in found {
            if seen.len() >= r.max_traces.unwrap_or(usize::MAX) && !seen.contains(&span.trace_id) {
                continue;
            }
            seen.insert(span.trace_id);
            r.wanted.trim(&mut span);
            span.origin = out.origins.len() as u32;
            out.origins.push(origin);
            out.spans.push(span);
        }
        Ok(Selection::with_coverage(stream::iter([Ok(out)]).boxed(), coverage))
    }

    async fn span_keys(&self, r: SpanKeysRequest) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
        let mut keys = BTreeSet::new();
        self.each_span(&r.scope, |span, origin| {
            let mut add = |scope: SpanScope, a: &Attributes| {
                keys.extend(a.iter().filter(|_| r.of.takes_in(scope)).map(|(k, _)| (scope, k.to_owned())));
            };
            add(SpanScope::Span, &span.attributes);
            add(SpanScope::Resource, &origin.resource.attributes);
            add(SpanScope::Instrumentation, &origin.scope.attributes);
            span.events.iter().for_each(|e| add(SpanScope::Event, &e.attributes));
            span.links.iter().for_each(|l| add(SpanScope::Link, &l.attributes));
        });
        Ok((cut(keys, r.limit), complete(&r.scope, Signal::TRACES)))
    }

    async fn span_values(&self, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
        let mut values = BTreeSet::new();
        self.each_span(&r.scope, |span, origin| {
            if passes_any(&r.any_of, span, origin) {
                r.field.any(span, origin, &mut |seen| {
                    values.extend(seen.to_value());
                    false
                });
            }
        });
        Ok((cut(values, r.limit), complete(&r.scope, Signal::TRACES)))
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        let mut names = BTreeSet::new();
        for l in self.label_sets_of(&r.scope, &r.signal, &r.selectors) {
            names.extend(l.iter().map(|(n, _)| n.to_owned()));
        }
        Ok((cut(names, r.limit), complete(&r.scope, r.signal)))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let mut values = BTreeSet::new();
        if let NamedField::Label(name) = &r.field {
            for l in self.label_sets_of(&r.scope, &r.signal, &r.selectors) {
                values.extend(l.get(name).map(str::to_owned));
            }
        }
        for batch in self.batches(&r.scope) {
            let Batch::Spans(b) = batch else { continue };
            for span in &b.spans {
                let origin = &b.origins[span.origin as usize];
                match &r.field {
                    NamedField::Label(_) => {}
                    NamedField::Service => {
                        values.insert(origin.service_name().to_owned());
                    }
                    NamedField::Operation { service, kind } => {
                        if service.as_ref().is_none_or(|s| s == origin.service_name())
                            && kind.is_none_or(|k| k == span.kind)
                        {
                            values.insert(span.name.clone());
                        }
                    }
                    NamedField::Attribute(key) => {
                        let found = span.attributes.get(key).or_else(|| origin.resource.attributes.get(key));
                        values.extend(found.map(AnyValue::to_string));
                    }
                }
            }
        }
        Ok((cut(values, r.limit), complete(&r.scope, r.signal)))
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        let sets = self.label_sets_of(&r.scope, &r.signal, &r.selectors);
        Ok((cut(sets, r.limit), complete(&r.scope, r.signal)))
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        let mut found: BTreeMap<String, MetricMetadata> = BTreeMap::new();
        for batch in self.batches(&r.scope) {
            if let Batch::Metrics(m) = batch {
                found.extend(m.metadata.into_iter().map(|x| (x.family.clone(), x)));
            }
        }
        let wanted = found.into_values().filter(|m| r.family.as_ref().is_none_or(|f| *f == m.family));
        Ok((cut(wanted, r.limit), complete(&r.scope, Signal::METRICS)))
    }

    async fn exemplars(&self, r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        let (first, last) = r.scope.range.to_ms_inclusive();
        let mut found: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for batch in self.batches(&r.scope) {
            let Batch::Metrics(m) = batch else { continue };
            for (series, e) in &m.exemplars {
                let labels = &m.series[*series as usize];
                let wanted = r.selectors.iter().any(|s| all_match(s, labels));
                if wanted && first <= e.timestamp_ms && e.timestamp_ms <= last {
                    found.entry(labels.clone()).or_default().push(e.clone());
                }
            }
        }
        found.values_mut().for_each(|list| list.sort_by_key(|e| e.timestamp_ms));
        Ok((found.into_iter().collect(), complete(&r.scope, Signal::METRICS)))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            signals: Signal::KNOWN.to_vec(),
            filters_lines: true,
            filters_spans: true,
            ..Capabilities::default()
        }
    }
}

/// What holds series and nothing else; a [`Select`] that refuses all other questions. For tests and benchmarks of
/// PromQL, which want samples held their own way.
pub trait SeriesOnly: Send + Sync {
    /// As [`Select::series`] gives them, for the request's matchers and range.
    fn find(&self, request: &SeriesRequest) -> Vec<SeriesData>;
}

fn only_series<T>() -> Result<T> {
    Err(Error::invalid("only series are kept here"))
}

#[async_trait]
impl<T: SeriesOnly> Select for T {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        let found = self.find(&r).into_iter().map(Ok);
        Ok(Selection::with_coverage(stream::iter(found).boxed(), Coverage::default()))
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        only_series()
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        only_series()
    }

    async fn label_names(&self, _: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        only_series()
    }

    async fn label_values(&self, _: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        only_series()
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        only_series()
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        only_series()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
