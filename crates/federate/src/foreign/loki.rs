//! Loki's HTTP API (`grafana.com/docs/loki/latest/reference/loki-http-api`): records in pages, line filters applied
//! there.
//!
//! Loki refuses a selector that every stream could meet, and such a one is what `{cluster="legacy"}` becomes once the
//! label that only we know is taken off. Then all streams are asked by the names of their labels, in disjoint parts:
//! those that have the first, those that lack it and have the second, and so on.

mod lists;
mod page;
mod pages;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use base::Clock;
use contract::{
    Capabilities, Coverage, Direction, Error, LabelNamesRequest, LabelValuesRequest, LineFilter, LogsRequest,
    MetadataRequest, NamedField, QueryLimits, Result, Scope, Select, Selection, SeriesData, SeriesRequest,
    SpansRequest,
};
use futures::{StreamExt, stream};
use model::{
    Labels, LogBatch, LogRecord, LogStream, MatchOp, Matcher, MetricMetadata, Signal, SpanBatch, TenantId,
    matcher::all_match,
};

use self::{
    lists::Width,
    page::Entry,
    pages::{Pages, Question},
};
use super::{
    ForeignSettings, coverage,
    error::not_held,
    labels::Added,
    nothing,
    selector::{quote, selector},
    site::{Form, Site, segment},
    sorted, visible,
};

/// Where a search without a beginning begins: Loki does not say where its data do, and refuses or ignores what lies
/// further back than it is told to look. Earlier: more empty windows to ask for.
const OLDEST_NS: i64 = 2 * 365 * DAY_NS;
/// Lists are not asked further back than Loki answers by default (`max_query_length`, 30 days and an hour).
const OLDEST_LIST_NS: i64 = 30 * DAY_NS;
pub(super) const DAY_NS: i64 = 86_400_000_000_000;
/// Names of labels by which all streams can be told apart. More: as many questions for one answer.
const MAX_PARTS: usize = 64;
/// Records that leave together.
const PIECE: usize = 512;

pub(super) struct Loki {
    site: Arc<Site>,
    width: Width,
    labels: Labels,
    owner: TenantId,
    clock: Clock,
}

impl Loki {
    pub(super) fn new(settings: ForeignSettings, clock: Clock) -> crate::Result<Self> {
        let site = Arc::new(Site::new(&settings)?);
        let ForeignSettings { labels, owner, .. } = settings;
        Ok(Loki { site, width: Width::default(), labels, owner, clock })
    }

    fn coverage(&self, scope: &Scope, warnings: &[String]) -> Coverage {
        coverage(&self.site.name, Signal::LOGS, scope, warnings)
    }

    fn added(&self, scope: &Scope) -> Option<Added> {
        Some(Added::new(&self.labels, &Labels::default()).and(&visible(scope, &self.owner)?))
    }

    /// The asked nanoseconds, the end not included, as far as Loki can be asked.
    fn bounded(&self, scope: &Scope, oldest_ns: i64) -> Option<(i64, i64)> {
        let now = self.clock.now_ns();
        let start = scope.range.start.0.max(now.saturating_sub(oldest_ns)).max(0);
        let end = scope.range.end.0.min(now.saturating_add(DAY_NS));
        (start < end).then_some((start, end))
    }

    /// Selectors that Loki takes and that together say the same, no stream in two of them.
    async fn parts(
        &self,
        matchers: Vec<Matcher>,
        range: (i64, i64),
        limits: &QueryLimits,
    ) -> Result<Vec<Vec<Matcher>>> {
        if !matchers.iter().all(Matcher::matches_empty) {
            return Ok(vec![matchers]);
        }
        let mut names: Vec<String> = self.listed("/loki/api/v1/labels", range, &Form::new(), limits).await?;
        names.sort_unstable();
        names.dedup();
        // What nearly everything has comes first, so that the other parts are empty.
        names.sort_by_key(|n| (!matches!(n.as_str(), "service_name" | "job"), n.clone()));
        if names.len() > MAX_PARTS {
            let message = format!(
                "{} has {} label names; name one of its own labels, since more than {MAX_PARTS} are not gone through",
                self.site.name,
                names.len()
            );
            return Err(Error::invalid(message));
        }
        let mut parts = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            let mut part = matchers.clone();
            part.extend(names.iter().take(i).map(|n| Matcher::equal(n.clone(), "")));
            part.extend(Matcher::new(name.clone(), MatchOp::Regex, ".+").ok());
            parts.push(part);
        }
        Ok(parts)
    }

    /// Label sets of streams under our labels; `None` where nothing can match.
    async fn streams(&self, scope: &Scope, selectors: &[Vec<Matcher>]) -> Result<Vec<Labels>> {
        let Some(added) = self.added(scope) else { return Ok(Vec::new()) };
        let Some(left) = added.alternatives(selectors) else { return Ok(Vec::new()) };
        let Some(range) = self.bounded(scope, OLDEST_LIST_NS) else { return Ok(Vec::new()) };
        let left = if left.is_empty() { vec![Vec::new()] } else { left };
        let mut sets = BTreeSet::new();
        for matchers in left {
            for part in self.parts(matchers, range, &scope.limits).await? {
                let form = vec![("match[]", selector(&part))];
                let found: Vec<BTreeMap<String, String>> =
                    self.listed("/loki/api/v1/series", range, &form, &scope.limits).await?;
                let dressed = found.into_iter().map(|pairs| added.dress(Labels::from_pairs(pairs)));
                sets.extend(
                    dressed.filter(|l| selectors.is_empty() || selectors.iter().any(|s| all_match(s, l))),
                );
            }
        }
        Ok(sets.into_iter().collect())
    }
}

fn window(range: (i64, i64)) -> Form {
    vec![("start", range.0.to_string()), ("end", range.1.to_string())]
}

/// The selector and the filters on lines, in LogQL.
fn query(matchers: &[Matcher], filters: &[LineFilter]) -> String {
    let mut out = selector(matchers);
    for f in filters {
        let (op, text) = match f {
            LineFilter::Contains(t) => (" |= ", t),
            LineFilter::NotContains(t) => (" != ", t),
            LineFilter::Regex(t) => (" |~ ", t),
            LineFilter::NotRegex(t) => (" !~ ", t),
        };
        out.push_str(op);
        quote(&mut out, text);
    }
    out
}

/// What is read of all parts, merged by time.
struct Reading {
    parts: Vec<Pages>,
    request: LogsRequest,
    added: Added,
    left: usize,
    bytes: u64,
    warnings: Arc<parking_lot::Mutex<Coverage>>,
    loki: Arc<Site>,
}

impl Reading {
    /// The next records in order; `None` when there are no more.
    async fn piece(&mut self) -> Result<Option<LogBatch>> {
        let mut batch = LogBatch::default();
        let mut streams: HashMap<Labels, u32> = HashMap::new();
        while batch.records.len() < PIECE && self.left > 0 {
            let Some(entry) = self.next().await? else { break };
            let labels = self.added.dress(entry.labels);
            if !all_match(&self.request.matchers, &labels) {
                continue;
            }
            self.left -= 1;
            let stream = *streams.entry(labels).or_insert_with_key(|labels| {
                batch.streams.push(LogStream { labels: labels.clone(), ..LogStream::default() });
                (batch.streams.len() - 1) as u32
            });
            let record = LogRecord {
                stream,
                timestamp_ns: entry.at_ns,
                body: entry.line.into(),
                attributes: entry.metadata,
                ..LogRecord::default()
            };
            self.bytes = self.bytes.saturating_add(record.heap_bytes() as u64);
            let most = self.request.scope.limits.max_bytes;
            if self.bytes > most {
                let message = format!("the query reads more than query.max_bytes ({most}) of logs");
                return Err(Error::limited("query.max_bytes", message));
            }
            batch.records.push(record);
        }
        let warnings: Vec<String> =
            self.parts.iter_mut().flat_map(|p| std::mem::take(&mut p.warnings)).collect();
        if !warnings.is_empty() {
            let told = coverage(&self.loki.name, Signal::LOGS, &self.request.scope, &warnings);
            self.warnings.lock().merge(told);
        }
        Ok((!batch.records.is_empty()).then_some(batch))
    }

    /// The next record of all parts, in the asked direction; of two at one time the earlier part's.
    async fn next(&mut self) -> Result<Option<Entry>> {
        let limits = &self.request.scope.limits;
        let mut best: Option<(i64, usize)> = None;
        for (i, part) in self.parts.iter_mut().enumerate() {
            let Some(at) = part.peek(&self.loki, limits, self.left).await? else { continue };
            let better = best.is_none_or(|(b, _)| match self.request.direction {
                Direction::NewestFirst => at > b,
                Direction::OldestFirst => at < b,
            });
            if better {
                best = Some((at, i));
            }
        }
        Ok(best.and_then(|(_, i)| self.parts.get_mut(i)?.take()))
    }
}

#[async_trait]
impl Select for Loki {
    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        r.scope.limits.check_deadline()?;
        let none = || Ok(nothing(&self.site.name, Signal::LOGS, &r.scope));
        let Some(added) = self.added(&r.scope) else { return none() };
        let Some(sent) = added.sent(&r.matchers) else { return none() };
        let Some(range) = self.bounded(&r.scope, OLDEST_NS) else { return none() };
        let parts = self.parts(sent, range, &r.scope.limits).await?;
        let question =
            |m: Vec<Matcher>| Question { query: query(&m, &r.line_filters), range, direction: r.direction };
        let warnings = Arc::new(parking_lot::Mutex::new(self.coverage(&r.scope, &[])));
        let reading = Reading {
            parts: parts.into_iter().map(|m| Pages::new(question(m))).collect(),
            added,
            left: r.limit.unwrap_or(usize::MAX),
            bytes: 0,
            warnings: warnings.clone(),
            loki: self.site.clone(),
            request: r,
        };
        let items = stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.piece().await {
                Ok(Some(batch)) => Some((Ok(batch), Some(reading))),
                Ok(None) => None,
                Err(e) => Some((Err(e), None)),
            }
        });
        Ok(Selection::new(items.boxed(), warnings))
    }

    async fn series(&self, _: SeriesRequest) -> Result<Selection<SeriesData>> {
        not_held(&self.site.name, "metrics")
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        not_held(&self.site.name, "traces")
    }

    /// With selectors by the streams that match: the list itself takes none before Loki 3.
    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        let mut names: Vec<String> = Vec::new();
        if !r.selectors.is_empty() {
            for set in self.streams(&r.scope, &r.selectors).await? {
                names.extend(set.iter().map(|(n, _)| n.to_owned()));
            }
        } else if let Some(added) = self.added(&r.scope)
            && let Some(range) = self.bounded(&r.scope, OLDEST_LIST_NS)
        {
            names = self.listed("/loki/api/v1/labels", range, &Form::new(), &r.scope.limits).await?;
            if !names.is_empty() {
                names.extend(added.names());
            }
        }
        Ok((sorted(names, r.limit), self.coverage(&r.scope, &[])))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let mut values: Vec<String> = Vec::new();
        if let NamedField::Label(name) = &r.field
            && let Some(added) = self.added(&r.scope)
        {
            let ours = added.fixed(name).is_some();
            if !r.selectors.is_empty() || ours {
                let sets = self.streams(&r.scope, &r.selectors).await?;
                values.extend(sets.iter().filter_map(|s| s.get(name)).map(str::to_owned));
            } else if let Some(range) = self.bounded(&r.scope, OLDEST_LIST_NS) {
                let path = format!("/loki/api/v1/label/{}/values", segment(name));
                values = self.listed(&path, range, &Form::new(), &r.scope.limits).await?;
            }
        }
        Ok((sorted(values, r.limit), self.coverage(&r.scope, &[])))
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        let sets = self.streams(&r.scope, &r.selectors).await?;
        Ok((sorted(sets, r.limit), self.coverage(&r.scope, &[])))
    }

    async fn metadata(&self, _: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        not_held(&self.site.name, "metrics")
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { signals: vec![Signal::LOGS], filters_lines: true, ..Capabilities::default() }
    }
}

#[cfg(test)]
mod tests;
