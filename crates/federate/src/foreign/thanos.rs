//! Thanos StoreAPI over gRPC: a sidecar, a store gateway, or another query. What it holds comes as it was written, in
//! TSDB chunks; downsampled blocks are not asked for, so that a store that keeps nothing else of some time has nothing
//! of it.
//!
//! `Info` says which external labels it has and which time it holds: where those cannot match it is not asked. Series
//! carry its external labels already. A warning makes the answer partial.

mod channel;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use contract::{
    Capabilities, Coverage, Error, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest,
    NamedField, QueryLimits, Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use model::{
    Labels, LogBatch, MatchOp, Matcher, MetricMetadata, Signal, SpanBatch, TenantId, matcher::all_match,
};
use parking_lot::Mutex;
use proto::thanos::{self as pb, info::InfoRequest, series_response::Result as Frame};

use self::channel::Link;
use super::{
    ForeignSettings, coverage,
    error::{garbled, not_held},
    gather::{Gather, Piece},
    labels::Added,
    nothing, sorted, visible,
};
use crate::storeapi::convert::{from_labels, from_matchers, from_status};

/// How long what a store says of itself is believed. Longer: a series with new external labels is found later.
const KEEP: Duration = Duration::from_secs(30);

pub(super) struct Thanos {
    link: Link,
    name: String,
    labels: Labels,
    owner: TenantId,
    told: Mutex<Option<(tokio::time::Instant, Told)>>,
}

/// What a store says of itself.
#[derive(Debug, Clone)]
struct Told {
    sets: Vec<Labels>,
    min_ms: i64,
    max_ms: i64,
}

impl Told {
    /// Whether it can have something for all the matchers, which are those it is sent.
    fn may_match(&self, matchers: &[Matcher]) -> bool {
        let fits = |set: &Labels| matchers.iter().all(|m| set.get(&m.name).is_none_or(|v| m.matches(v)));
        self.sets.is_empty() || self.sets.iter().any(fits)
    }

    fn overlaps(&self, (first, last): (i64, i64)) -> bool {
        first <= self.max_ms && self.min_ms <= last
    }

    /// Sidecars and gateways refuse matchers of which nothing is left without external labels.
    fn conditioned(&self, mut matchers: Vec<Matcher>) -> Vec<Matcher> {
        let external = |name: &str| self.sets.iter().any(|s| s.get(name).is_some());
        if matchers.iter().all(|m| m.matches_empty() || external(&m.name))
            && let Ok(any) = Matcher::new(model::labels::METRIC_NAME, MatchOp::Regex, ".+")
        {
            matchers.push(any);
        }
        matchers
    }
}

/// What is left to ask of a list.
struct Asked {
    added: Added,
    selectors: Vec<Vec<Matcher>>,
    range: (i64, i64),
}

impl Thanos {
    pub(super) fn new(settings: ForeignSettings) -> crate::Result<Self> {
        let link = Link::new(&settings)?;
        let ForeignSettings { name, labels, owner, .. } = settings;
        Ok(Thanos { link, name, labels, owner, told: Mutex::default() })
    }

    async fn told(&self, limits: &QueryLimits) -> Result<Told> {
        if let Some((at, told)) = &*self.told.lock()
            && at.elapsed() < KEEP
        {
            return Ok(told.clone());
        }
        let mut info = self.link.info()?;
        let answer = self
            .link
            .within(limits, info.info(self.link.request(InfoRequest {}, limits)?))
            .await?
            .into_inner();
        let sets = answer.label_sets.into_iter().map(|s| from_labels(s.labels)).collect();
        let store =
            answer.store.ok_or_else(|| Error::invalid(format!("{} offers no StoreAPI", self.name)))?;
        let told = Told { sets, min_ms: store.min_time, max_ms: store.max_time };
        *self.told.lock() = Some((tokio::time::Instant::now(), told.clone()));
        Ok(told)
    }

    fn coverage(&self, scope: &Scope, warnings: &[String]) -> Coverage {
        coverage(&self.name, Signal::METRICS, scope, warnings)
    }

    /// The selectors to ask one after the other; `None` where nothing can match.
    async fn asked(&self, scope: &Scope, selectors: &[Vec<Matcher>]) -> Result<Option<Asked>> {
        let Some(more) = visible(scope, &self.owner) else { return Ok(None) };
        let added = Added::new(&self.labels, &Labels::default()).and(&more);
        let Some(left) = added.alternatives(selectors) else { return Ok(None) };
        let told = self.told(&scope.limits).await?;
        let range = scope.range.to_ms_inclusive();
        let left = if left.is_empty() { vec![Vec::new()] } else { left };
        let fitting: Vec<_> =
            left.into_iter().filter(|s| told.may_match(s)).map(|s| told.conditioned(s)).collect();
        let some = !fitting.is_empty() && range.0 <= range.1 && told.overlaps(range);
        Ok(some.then_some(Asked { added, selectors: fitting, range }))
    }

    async fn frames(
        &self,
        request: pb::SeriesRequest,
        limits: &QueryLimits,
        mut take: impl FnMut(pb::Series) -> Result<()>,
    ) -> Result<Vec<String>> {
        let mut store = self.link.store()?;
        let asking = store.series(self.link.request(request, limits)?);
        let mut stream = self.link.within(limits, asking).await?.into_inner();
        let mut warnings = Vec::new();
        while let Some(message) = self.link.within(limits, stream.message()).await? {
            match message.result {
                Some(Frame::Series(s)) => take(s)?,
                Some(Frame::Batch(b)) => b.series.into_iter().try_for_each(&mut take)?,
                Some(Frame::Warning(w)) => warnings.push(w),
                Some(Frame::Hints(_)) | None => {}
            }
        }
        Ok(warnings)
    }

    fn request(
        &self,
        (min_time, max_time): (i64, i64),
        matchers: &[Matcher],
        skip_chunks: bool,
    ) -> pb::SeriesRequest {
        // Aggregates: none but what was written (RAW is 0); resolution 0 for the same reason. Warnings are wanted.
        let matchers = from_matchers(matchers);
        pb::SeriesRequest {
            min_time,
            max_time,
            matchers,
            aggregates: vec![0],
            skip_chunks,
            ..Default::default()
        }
    }
}

/// Chunks of a series as pieces; `what` is wrong where it has none as they were written.
fn pieces(name: &str, chunks: Vec<pb::AggrChunk>) -> Result<Vec<Piece>> {
    let one = |c: pb::AggrChunk| {
        let raw = c
            .raw
            .ok_or_else(|| garbled(name, "a chunk", "it holds aggregates, though none were asked for"))?;
        let encoding = u8::try_from(raw.r#type + 1).unwrap_or(u8::MAX);
        Ok(Piece::Packed { encoding, data: Bytes::from(raw.data) })
    };
    chunks.into_iter().map(one).collect()
}

#[async_trait]
impl Select for Thanos {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        let Some(asked) = self.asked(&r.scope, std::slice::from_ref(&r.matchers)).await? else {
            return Ok(nothing(&self.name, Signal::METRICS, &r.scope));
        };
        let mut gather = Gather::new(&self.name, &r, asked.added)?;
        let mut warnings = Vec::new();
        for s in &asked.selectors {
            let request = self.request(asked.range, s, false);
            let said = self.frames(request, &r.scope.limits, |s| {
                gather.add(from_labels(s.labels), pieces(&self.name, s.chunks)?)
            });
            warnings.extend(said.await?);
        }
        Ok(gather.finish(self.coverage(&r.scope, &warnings)))
    }

    async fn logs(&self, _: LogsRequest) -> Result<Selection<LogBatch>> {
        not_held(&self.name, "logs")
    }

    async fn spans(&self, _: SpansRequest) -> Result<Selection<SpanBatch>> {
        not_held(&self.name, "traces")
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        let (mut names, mut warnings) = (Vec::new(), Vec::new());
        if let Some(asked) = self.asked(&r.scope, &r.selectors).await? {
            for s in &asked.selectors {
                let (start, end) = asked.range;
                let request =
                    pb::LabelNamesRequest { start, end, matchers: from_matchers(s), ..Default::default() };
                let mut store = self.link.store()?;
                let asking = store.label_names(self.link.request(request, &r.scope.limits)?);
                let answer = self.link.within(&r.scope.limits, asking).await?.into_inner();
                names.extend(answer.names);
                warnings.extend(answer.warnings);
            }
            if !names.is_empty() {
                names.extend(asked.added.names());
            }
        }
        Ok((sorted(names, r.limit), self.coverage(&r.scope, &warnings)))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let (mut values, mut warnings) = (Vec::new(), Vec::new());
        if let NamedField::Label(name) = &r.field
            && let Some(asked) = self.asked(&r.scope, &r.selectors).await?
        {
            // Of a label that everything carries there is one value, if there is anything.
            let fixed = asked.added.fixed(name).map(str::to_owned);
            let label = if fixed.is_some() { model::labels::METRIC_NAME.to_owned() } else { name.clone() };
            for s in &asked.selectors {
                let (start, end) = asked.range;
                let (label, matchers) = (label.clone(), from_matchers(s));
                let request = pb::LabelValuesRequest { label, start, end, matchers, ..Default::default() };
                let mut store = self.link.store()?;
                let asking = store.label_values(self.link.request(request, &r.scope.limits)?);
                let answer = self.link.within(&r.scope.limits, asking).await?.into_inner();
                values.extend(answer.values);
                warnings.extend(answer.warnings);
            }
            if let Some(fixed) = fixed {
                values = values.first().map(|_| fixed).into_iter().collect();
            }
        }
        Ok((sorted(values, r.limit), self.coverage(&r.scope, &warnings)))
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        let (mut sets, mut warnings) = (Vec::new(), Vec::new());
        if let Some(asked) = self.asked(&r.scope, &r.selectors).await? {
            for s in &asked.selectors {
                let request = self.request(asked.range, s, true);
                let take = |s: pb::Series| {
                    let labels = asked.added.dress(from_labels(s.labels));
                    if r.selectors.is_empty() || r.selectors.iter().any(|s| all_match(s, &labels)) {
                        sets.push(labels);
                    }
                    match sets.len() as u64 > r.scope.limits.max_series {
                        true => Err(Error::limited(
                            "query.max_series",
                            format!("{} has more than query.max_series series", self.name),
                        )),
                        false => Ok(()),
                    }
                };
                warnings.extend(self.frames(request, &r.scope.limits, take).await?);
            }
        }
        Ok((sorted(sets, r.limit), self.coverage(&r.scope, &warnings)))
    }

    /// StoreAPI has none.
    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        Ok((Vec::new(), self.coverage(&r.scope, &[])))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { signals: vec![Signal::METRICS], filters_lines: false, ..Capabilities::default() }
    }
}

/// How long something may take, from now.
fn left(timeout: Duration, limits: &QueryLimits) -> Duration {
    limits.deadline.map_or(timeout, |d| d.saturating_duration_since(Instant::now()).min(timeout))
}

fn refused(name: &str, status: &tonic::Status) -> Error {
    from_status(name, status)
}

#[cfg(test)]
mod tests;
