//! Thanos StoreAPI over gRPC: a sidecar, a store gateway, or another query. What it holds comes as it was written, in
//! TSDB chunks; downsampled blocks are not asked for, so that a store that keeps nothing else of some time has nothing
//! of it.
//!
//! `Info` says which external labels it has and which time it holds: where those cannot match it is not asked. Series
//! carry its external labels already. A warning makes the answer partial, and so does a store that a query had and
//! has no longer. Stores do not merge replicas, whoever asks them does: series that differ in `replica_labels` only
//! are one.

mod channel;
mod told;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use contract::{
    Capabilities, Coverage, Error, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest,
    NamedField, QueryLimits, Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpansRequest,
};
use model::{Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TenantId, matcher::all_match};
use parking_lot::Mutex;
use proto::thanos::{self as pb, info::InfoRequest, series_response::Result as Frame};

use self::{
    channel::Link,
    told::{Heard, Told},
};
use super::{
    ForeignSettings, coverage,
    error::{garbled, not_held},
    gather::{Gather, Piece, parted},
    labels::Added,
    nothing, sorted, visible,
};
use crate::storeapi::convert::{from_labels, from_matchers, from_status};

pub(super) struct Thanos {
    link: Link,
    name: String,
    labels: Labels,
    owner: TenantId,
    replica_labels: Vec<String>,
    heard: Mutex<Heard>,
}

/// What is left to ask of a list.
struct Asked {
    added: Added,
    selectors: Vec<Vec<Matcher>>,
    range: (i64, i64),
    /// What is known to be missing before anything is asked.
    warnings: Vec<String>,
}

impl Thanos {
    pub(super) fn new(settings: ForeignSettings) -> crate::Result<Self> {
        let link = Link::new(&settings)?;
        let ForeignSettings { name, labels, owner, replica_labels, .. } = settings;
        Ok(Thanos { link, name, labels, owner, replica_labels, heard: Mutex::default() })
    }

    async fn told(&self, limits: &QueryLimits) -> Result<Told> {
        if let Some(told) = self.heard.lock().fresh() {
            return Ok(told);
        }
        let mut info = self.link.info()?;
        let asking = info.info(self.link.request(InfoRequest {}, limits)?);
        let answer = self.link.within(limits, asking).await?.into_inner();
        let told = self.heard.lock().hear(answer);
        told.ok_or_else(|| Error::invalid(format!("{} offers no StoreAPI", self.name)))
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
        if range.0 > range.1 {
            return Ok(None);
        }
        let left = if left.is_empty() { vec![Vec::new()] } else { left };
        let warnings = told.lacking(&left, range);
        let fitting = left.into_iter().filter(|s| told.overlaps(range) && told.may_match(s));
        let selectors: Vec<_> = fitting.map(|s| told.conditioned(s)).collect();
        let some = !selectors.is_empty() || !warnings.is_empty();
        Ok(some.then_some(Asked { added, selectors, range, warnings }))
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
        let mut gather = Gather::new(&self.name, &r, asked.added)?.without_replicas(&self.replica_labels);
        let mut warnings = asked.warnings;
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
            warnings.extend_from_slice(&asked.warnings);
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
            names.retain(|n| !self.replica_labels.contains(n));
        }
        Ok((sorted(names, r.limit), self.coverage(&r.scope, &warnings)))
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        let (mut values, mut warnings) = (Vec::new(), Vec::new());
        if let NamedField::Label(name) = &r.field
            && !self.replica_labels.contains(name)
            && let Some(asked) = self.asked(&r.scope, &r.selectors).await?
        {
            warnings.extend_from_slice(&asked.warnings);
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
            warnings.extend_from_slice(&asked.warnings);
            for s in &asked.selectors {
                let request = self.request(asked.range, s, true);
                let take = |s: pb::Series| {
                    let labels = asked.added.dress(from_labels(s.labels));
                    if r.selectors.is_empty() || r.selectors.iter().any(|s| all_match(s, &labels)) {
                        sets.push(parted(labels, &self.replica_labels).0);
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
