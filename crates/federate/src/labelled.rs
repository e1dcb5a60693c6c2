//! What one holds, with the labels that tell it from others.
//!
//! A node keeps series and log streams as they came, so that its own users see what they sent. Whoever asks it from
//! outside sees its external labels too (`replica`, `region`), as Thanos' sidecar shows those of a Prometheus: added
//! where absent, and matchers that ask for them are answered as if they had been there. Spans carry their cluster as
//! a resource attribute and pass as they are.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use base::memory::{Reservation, Use};
use contract::{
    Capabilities, Coverage, Error, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, LogCounts,
    LogCountsRequest, LogsRequest, MetadataRequest, NamedField, PatternsRequest, QueryLimits, Result, Select,
    Selection, SeriesData, SeriesRequest, SpanKeysRequest, SpanScope, SpanValue, SpanValuesRequest,
    SpansRequest,
};
use futures::{StreamExt, stream, stream::BoxStream};
use model::{Exemplar, Labels, LogBatch, MatchOp, Matcher, MetricMetadata, Signal, SpanBatch};

use crate::{rules::series_bytes, series::merge_two};

/// A `Select` whose series and streams all carry some labels.
#[derive(Clone)]
pub struct Labelled {
    select: Arc<dyn Select>,
    labels: Labels,
}

impl Labelled {
    /// Labels without a value are left out: they say nothing.
    pub fn new(select: Arc<dyn Select>, labels: &Labels) -> Self {
        let labels = Labels::from_pairs(labels.iter().filter(|(_, v)| !v.is_empty()));
        Labelled { select, labels }
    }

    /// The matchers that find among unlabelled series those that the given ones find among labelled ones.
    fn unlabelled(&self, matchers: &[Matcher]) -> Vec<Matcher> {
        matchers.iter().flat_map(|m| self.translate(m)).collect()
    }

    fn translate(&self, m: &Matcher) -> Vec<Matcher> {
        let Some(ours) = self.labels.get(&m.name) else { return vec![m.clone()] };
        match (m.matches(ours), m.matches_empty()) {
            // Series that lack the label are found as they are, or are not to be found and are not.
            (true, true) | (false, false) => vec![m.clone()],
            // They will have ours, which does not match.
            (false, true) => {
                vec![m.clone(), Matcher::new(&m.name, MatchOp::NotEqual, "").unwrap_or_else(|_| m.clone())]
            }
            (true, false) => or_absent(m).into_iter().collect(),
        }
    }

    /// Whether some matcher could not be asked for, so that what is found has to be looked at once more.
    fn loosens(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().any(|m| {
            let ours = self.labels.get(&m.name);
            m.op == MatchOp::NotRegex && ours.is_some_and(|ours| m.matches(ours)) && !m.matches_empty()
        })
    }

    /// Alternatives of matchers; none of them stays none, which means everything.
    fn alternatives(&self, selectors: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
        let translated: Vec<Vec<Matcher>> = selectors.iter().map(|s| self.unlabelled(s)).collect();
        // One that now asks for nothing finds everything, and with it the others do too.
        if translated.iter().any(Vec::is_empty) { Vec::new() } else { translated }
    }

    fn dressed(&self, labels: &Labels) -> Labels {
        let mut missing = self.labels.iter().filter(|(name, _)| labels.get(name).is_none()).peekable();
        if missing.peek().is_none() {
            return labels.clone();
        }
        let mut builder = labels.to_builder();
        missing.for_each(|(name, value)| {
            builder.set(name, value);
        });
        builder.build()
    }
}

/// A condition that what lacks the label fulfils too; `None` where no expression says it. What is found is looked
/// at once more.
fn or_absent(m: &Matcher) -> Option<Matcher> {
    let pattern = match m.op {
        MatchOp::Equal => regex::escape(&m.value),
        MatchOp::Regex => m.value.clone(),
        MatchOp::NotEqual | MatchOp::NotRegex => return None,
    };
    Matcher::new(&m.name, MatchOp::Regex, format!("(?:{pattern})|")).ok()
}

/// Series in order again after labels were added.
///
/// A set that gets a label in its middle may come to stand behind sets it stood before, but only among those that
/// agree up to that place: they share their first pair, the metric's name, if it sorts before every added label. So
/// one metric at a time is put in order. Two series may become the same one: one had the label, the other got it.
struct InOrder {
    items: BoxStream<'static, Result<SeriesData>>,
    of: Labelled,
    /// What series found must match with the labels they have now.
    matchers: Vec<Matcher>,
    held: Reservation,
    ready: std::vec::IntoIter<SeriesData>,
    /// First of the next group.
    pending: Option<SeriesData>,
}

impl InOrder {
    async fn next(&mut self) -> Result<Option<SeriesData>> {
        loop {
            if let Some(s) = self.ready.next() {
                return Ok(Some(s));
            }
            self.held.shrink_to(0);
            let mut group: Vec<SeriesData> = Vec::new();
            while let Some(s) = match self.pending.take() {
                Some(s) => Some(s),
                None => self.items.next().await.transpose()?,
            } {
                if group.first().is_some_and(|g| self.first_pair(&g.labels) != self.first_pair(&s.labels)) {
                    self.pending = Some(s);
                    break;
                }
                self.held.grow(series_bytes(&s))?;
                group.push(s);
            }
            if group.is_empty() {
                return Ok(None);
            }
            self.ready = self.sorted(group).into_iter();
        }
    }

    /// What series have in common that may change places; all without a pair before the added labels are one group.
    fn first_pair<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        let added = self.of.labels.iter().next().map(|(name, _)| name)?;
        labels.iter().next().filter(|(name, _)| *name < added)
    }

    fn sorted(&self, mut group: Vec<SeriesData>) -> Vec<SeriesData> {
        group.iter_mut().for_each(|s| s.labels = self.of.dressed(&s.labels));
        group.retain(|s| model::matcher::all_match(&self.matchers, &s.labels));
        group.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut out: Vec<SeriesData> = Vec::with_capacity(group.len());
        for s in group {
            match out.pop_if(|last| last.labels == s.labels) {
                Some(last) => out.push(merge_two(last, s)),
                None => out.push(s),
            }
        }
        out
    }
}

/// Series are found by something: where nothing is left, by having a name.
fn something(mut matchers: Vec<Matcher>) -> Result<Vec<Matcher>> {
    if matchers.iter().all(Matcher::matches_empty) {
        let named = Matcher::new(model::labels::METRIC_NAME, MatchOp::NotEqual, "");
        matchers.push(named.map_err(|e| contract::Error::invalid(e.to_string()))?);
    }
    Ok(matchers)
}

impl Labelled {
    fn held(limits: &QueryLimits) -> Result<Reservation> {
        Ok(limits.memory.reserve(Use::Query, 0)?)
    }

    fn is_about_labels(&self, signal: &Signal) -> bool {
        !self.labels.is_empty() && *signal != Signal::TRACES
    }

    /// Whether anything in range lacks the label.
    async fn lacks(&self, r: &LabelValuesRequest, name: &str) -> Result<(bool, Coverage)> {
        let mut selectors = self.alternatives(&r.selectors);
        if selectors.is_empty() {
            selectors.push(Vec::new());
        }
        selectors.iter_mut().for_each(|s| s.push(Matcher::equal(name, "")));
        let (scope, signal) = (r.scope.clone(), r.signal.clone());
        let ask = LabelNamesRequest { scope, signal, selectors, limit: Some(1) };
        let (names, coverage) = self.select.label_names(ask).await?;
        Ok((!names.is_empty(), coverage))
    }
}

#[async_trait]
impl Select for Labelled {
    async fn series(&self, mut r: SeriesRequest) -> Result<Selection<SeriesData>> {
        if self.labels.is_empty() {
            return self.select.series(r).await;
        }
        let held = Self::held(&r.scope.limits)?;
        let matchers = std::mem::take(&mut r.matchers);
        r.matchers = something(self.unlabelled(&matchers))?;
        let mut found = self.select.series(r).await?;
        let items = std::mem::replace(&mut found.items, stream::empty().boxed());
        let order =
            InOrder { items, of: self.clone(), matchers, held, ready: Vec::new().into_iter(), pending: None };
        let items = stream::try_unfold(order, |mut o| async move { Ok(o.next().await?.map(|s| (s, o))) });
        Ok(found.with_items(items.boxed()))
    }

    async fn logs(&self, mut r: LogsRequest) -> Result<Selection<LogBatch>> {
        if self.labels.is_empty() {
            return self.select.logs(r).await;
        }
        let wanted = self.loosens(&r.matchers).then(|| r.matchers.clone());
        if wanted.is_some() {
            // Of the first there may be some that do not fit.
            (r.limit, r.passing) = (None, None);
        }
        r.matchers = self.unlabelled(&r.matchers);
        // Below, nothing has these labels yet.
        r.fields.retain(|(name, _)| self.labels.get(name).is_none());
        let mut found = self.select.logs(r).await?;
        let of = self.clone();
        let items = std::mem::replace(&mut found.items, stream::empty().boxed());
        let dressed = items.map(move |batch| {
            let mut batch = batch?;
            batch.streams.iter_mut().for_each(|s| s.labels = of.dressed(&s.labels));
            if let Some(wanted) = &wanted {
                let fits = |s: &model::LogStream| model::matcher::all_match(wanted, &s.labels);
                let fit: Vec<bool> = batch.streams.iter().map(fits).collect();
                batch.records.retain(|r| fit.get(r.stream as usize).copied().unwrap_or(false));
            }
            Ok(batch)
        });
        Ok(found.with_items(dressed.boxed()))
    }

    async fn log_counts(&self, mut r: LogCountsRequest) -> Result<Option<Selection<LogCounts>>> {
        if self.labels.is_empty() {
            return self.select.log_counts(r).await;
        }
        if self.loosens(&r.matchers) {
            return Ok(None);
        }
        r.matchers = self.unlabelled(&r.matchers);
        let Some(mut found) = self.select.log_counts(r).await? else { return Ok(None) };
        let of = self.clone();
        let items = std::mem::replace(&mut found.items, stream::empty().boxed());
        let dressed = items.map(move |counts| {
            let mut counts = counts?;
            counts.streams.iter_mut().for_each(|s| s.labels = of.dressed(&s.labels));
            Ok(counts)
        });
        Ok(Some(found.with_items(dressed.boxed())))
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.select.spans(r).await
    }

    async fn span_keys(&self, r: SpanKeysRequest) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
        self.select.span_keys(r).await
    }

    async fn span_values(&self, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
        self.select.span_values(r).await
    }

    async fn label_names(&self, mut r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        if !self.is_about_labels(&r.signal) {
            return self.select.label_names(r).await;
        }
        let limit = r.limit;
        if r.selectors.iter().any(|s| self.loosens(s)) {
            let (sets, coverage) = self.label_sets(LabelNamesRequest { limit: None, ..r }).await?;
            let names: BTreeSet<&str> = sets.iter().flat_map(Labels::iter).map(|(name, _)| name).collect();
            let first = names.into_iter().take(limit.unwrap_or(usize::MAX));
            return Ok((first.map(str::to_owned).collect(), coverage));
        }
        r.selectors = self.alternatives(&r.selectors);
        let (mut names, coverage) = self.select.label_names(r).await?;
        if !names.is_empty() {
            names.extend(self.labels.iter().map(|(name, _)| name.to_owned()));
            names.sort_unstable();
            names.dedup();
            names.truncate(limit.unwrap_or(usize::MAX));
        }
        Ok((names, coverage))
    }

    async fn label_values(&self, mut r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let ours = match &r.field {
            NamedField::Label(name) => self.labels.get(name).map(|v| (name.clone(), v.to_owned())),
            _ => None,
        };
        if !self.is_about_labels(&r.signal) {
            return self.select.label_values(r).await;
        }
        if let (NamedField::Label(name), true) = (&r.field, r.selectors.iter().any(|s| self.loosens(s))) {
            let LabelValuesRequest { scope, signal, selectors, limit, .. } = r.clone();
            let (sets, coverage) =
                self.label_sets(LabelNamesRequest { scope, signal, selectors, limit: None }).await?;
            let values: BTreeSet<&str> = sets.iter().filter_map(|l| l.get(name)).collect();
            let first = values.into_iter().take(limit.unwrap_or(usize::MAX));
            return Ok((first.map(str::to_owned).collect(), coverage));
        }
        let lacking = match &ours {
            Some((name, _)) => Some(self.lacks(&r, name).await?),
            None => None,
        };
        r.selectors = self.alternatives(&r.selectors);
        let limit = r.limit;
        let (mut values, mut coverage) = self.select.label_values(r).await?;
        if let (Some((lacks, more)), Some((_, ours))) = (lacking, ours) {
            coverage.merge(more);
            if let (true, Err(at)) = (lacks, values.binary_search(&ours)) {
                values.insert(at, ours);
                values.truncate(limit.unwrap_or(usize::MAX));
            }
        }
        Ok((values, coverage))
    }

    async fn label_sets(&self, mut r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        if !self.is_about_labels(&r.signal) {
            return self.select.label_sets(r).await;
        }
        let wanted = std::mem::take(&mut r.selectors);
        r.selectors = self.alternatives(&wanted);
        // Which come first is known once all are in their new order.
        let limit = r.limit.take();
        let (sets, coverage) = self.select.label_sets(r).await?;
        let mut sets: Vec<Labels> = sets.iter().map(|l| self.dressed(l)).collect();
        let fits = |l: &Labels| wanted.is_empty() || wanted.iter().any(|m| model::matcher::all_match(m, l));
        sets.retain(fits);
        sets.sort_unstable();
        sets.dedup();
        sets.truncate(limit.unwrap_or(usize::MAX));
        Ok((sets, coverage))
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.select.metadata(r).await
    }

    async fn exemplars(&self, mut r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        if self.labels.is_empty() {
            return self.select.exemplars(r).await;
        }
        let wanted = std::mem::take(&mut r.selectors);
        r.selectors = wanted.iter().map(|s| something(self.unlabelled(s))).collect::<Result<_>>()?;
        let (found, coverage) = self.select.exemplars(r).await?;
        let mut dressed: Vec<(Labels, Vec<Exemplar>)> =
            found.into_iter().map(|(l, e)| (self.dressed(&l), e)).collect();
        dressed.retain(|(l, _)| wanted.iter().any(|m| model::matcher::all_match(m, l)));
        dressed.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out: Vec<(Labels, Vec<Exemplar>)> = Vec::with_capacity(dressed.len());
        for (labels, mut more) in dressed {
            match out.last_mut().filter(|(l, _)| *l == labels) {
                Some((_, list)) => {
                    list.append(&mut more);
                    list.sort_by_key(|e| e.timestamp_ms);
                }
                None => out.push((labels, more)),
            }
        }
        Ok((out, coverage))
    }

    async fn patterns(&self, mut r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        // Patterns carry no labels of their streams, so what was loosened cannot be looked at once more.
        if self.loosens(&r.matchers) {
            return Err(Error::invalid("patterns cannot be told apart by a label that is added to streams"));
        }
        r.matchers = self.unlabelled(&r.matchers);
        self.select.patterns(r).await
    }

    fn capabilities(&self) -> Capabilities {
        self.select.capabilities()
    }
}

#[cfg(test)]
mod tests;
