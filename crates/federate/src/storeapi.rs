//! Thanos StoreAPI and Info over any [`contract::Select`], so that a Thanos Query asks this node as it asks a sidecar
//! (`thanos.Store`, `thanos.info.Info`; proto files of thanos-io/thanos, pkg/store/storepb and pkg/info/infopb).
//!
//! Series come in ascending order of their whole label sets, which is what Thanos merges by. Where labels are added
//! (external ones) or taken away (replica labels) order changes, so that those answers are held, packed, and sorted;
//! otherwise they stream. What is missing is a warning frame, in words of the coverage, or an error where the caller
//! wants all or nothing.

pub(crate) mod convert;
mod series;

use std::{sync::Arc, time::Duration};

use contract::{
    Coverage, CoverageState, LabelNamesRequest, LabelValuesRequest, NamedField, QueryLimits, Scope, Select,
    Tenants,
};
use futures::stream::BoxStream;
use model::{Labels, Matcher, Signal, TenantId, TimeRange};
use proto::thanos::{
    self as pb,
    info::{
        InfoRequest, InfoResponse, LabelSet, StoreInfo,
        info_server::{Info, InfoServer},
    },
    store_server::{Store, StoreServer},
};
use tonic::{Request, Response, Status};

/// What the server gives out, and as what.
#[derive(Clone)]
pub struct StoreApi {
    pub select: Arc<dyn Select>,
    /// Thanos has tenants of its own; everything it may read here is one tenant's.
    pub tenant: TenantId,
    /// Put on series that lack them. They tell this node from others, so there should be some: Thanos takes stores
    /// with the same labels for replicas of each other.
    pub external: Labels,
    /// Of a node that answers for several clusters the external labels of each; empty for `external` alone. A Thanos
    /// Query asks a store only where one of its sets can match.
    pub label_sets: Vec<Labels>,
    /// First and last millisecond that are held, as far as known.
    pub held: Arc<dyn Fn() -> (i64, i64) + Send + Sync>,
    pub limits: QueryLimits,
    /// Longest a request may take.
    pub timeout: Duration,
}

/// Everything the other side may ask of the range; Thanos gives the ends of what a number holds for "all".
fn range(start_ms: i64, end_ms: i64) -> TimeRange {
    TimeRange::from_ms_inclusive(start_ms, end_ms)
}

impl StoreApi {
    /// Both services, to be put on a listener.
    pub fn into_routes(self) -> tonic::service::Routes {
        tonic::service::Routes::new(StoreServer::new(self.clone())).add_service(InfoServer::new(self))
    }

    fn scope(&self, range: TimeRange) -> Scope {
        let deadline = std::time::Instant::now().checked_add(self.timeout);
        let limits = QueryLimits { deadline, ..self.limits.clone() };
        Scope { tenants: Tenants::one(self.tenant.clone()), range, limits }
    }

    /// Whether anything here can match: an external label that a matcher rejects is on every series that has none of
    /// its own, which is all of them where clusters are told apart by it.
    fn may_match(&self, matchers: &[Matcher]) -> bool {
        let sets =
            if self.label_sets.is_empty() { std::slice::from_ref(&self.external) } else { &self.label_sets };
        sets.iter().any(|set| matchers.iter().all(|m| set.get(&m.name).is_none_or(|v| m.matches(v))))
    }

    fn external_of(&self, labels: &Labels) -> Labels {
        let mut all = labels.to_builder();
        for (n, v) in self.external.iter().filter(|(n, _)| labels.get(n).is_none()) {
            all.set(n, v);
        }
        all.build()
    }

    /// Matchers for our own data: those that an external label meets are met where a series lacks it.
    fn inner(&self, matchers: &[Matcher]) -> Vec<Matcher> {
        let met = |m: &&Matcher| !self.external.get(&m.name).is_some_and(|v| m.matches(v));
        matchers.iter().filter(met).cloned().collect()
    }

    /// Selectors for lists; no condition left means everything.
    fn selectors(&self, matchers: &[Matcher]) -> Vec<Vec<Matcher>> {
        let inner = self.inner(matchers);
        if inner.is_empty() { Vec::new() } else { vec![inner] }
    }
}

/// What is missing, a sentence for each source.
fn warnings(coverage: &Coverage) -> Vec<String> {
    let lacking = coverage.sources().iter().filter(|s| s.state != CoverageState::Complete);
    lacking
        .map(|s| {
            let title = s.replica.as_ref().map_or(s.cluster.clone(), |r| format!("{}/{r}", s.cluster));
            format!("{title} {}: {}", s.state.as_str(), s.reason)
        })
        .collect()
}

/// Whether the caller takes all or nothing.
fn aborts(disabled: bool, strategy: i32) -> bool {
    disabled || strategy == 1
}

/// The warnings of an answer, or an error where there are some and none are wanted.
fn told(coverage: &Coverage, abort: bool) -> Result<Vec<String>, Status> {
    let list = warnings(coverage);
    match abort && !list.is_empty() {
        true => Err(Status::aborted(list.join("; "))),
        false => Ok(list),
    }
}

#[tonic::async_trait]
impl Info for StoreApi {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let (min_time, max_time) = (self.held)();
        let sets =
            if self.label_sets.is_empty() { std::slice::from_ref(&self.external) } else { &self.label_sets };
        let label_sets = sets.iter().map(|s| LabelSet { labels: convert::labels(s) }).collect();
        Ok(Response::new(InfoResponse {
            label_sets,
            // What holds the newest data of a cluster is a sidecar to Thanos.
            component_type: "sidecar".to_owned(),
            store: Some(StoreInfo {
                min_time,
                max_time,
                supports_sharding: false,
                supports_without_replica_labels: true,
            }),
        }))
    }
}

#[tonic::async_trait]
impl Store for StoreApi {
    type SeriesStream = BoxStream<'static, Result<pb::SeriesResponse, Status>>;

    async fn series(
        &self,
        request: Request<pb::SeriesRequest>,
    ) -> Result<Response<Self::SeriesStream>, Status> {
        series::answer(self, request.into_inner()).await.map(Response::new)
    }

    async fn label_names(
        &self,
        request: Request<pb::LabelNamesRequest>,
    ) -> Result<Response<pb::LabelNamesResponse>, Status> {
        let r = request.into_inner();
        let matchers = convert::matchers(&r.matchers)?;
        if !self.may_match(&matchers) {
            return Ok(Response::new(Default::default()));
        }
        let asked = LabelNamesRequest {
            scope: self.scope(range(r.start, r.end)),
            signal: Signal::METRICS,
            selectors: self.selectors(&matchers),
            limit: None,
        };
        let (mut names, coverage) = self.select.label_names(asked).await.map_err(convert::status)?;
        if !names.is_empty() {
            names.extend(self.external.iter().map(|(n, _)| n.to_owned()));
        }
        names.retain(|n| !r.without_replica_labels.contains(n));
        let warnings = told(&coverage, aborts(r.partial_response_disabled, r.partial_response_strategy))?;
        Ok(Response::new(pb::LabelNamesResponse { names: cut(names, r.limit), warnings }))
    }

    async fn label_values(
        &self,
        request: Request<pb::LabelValuesRequest>,
    ) -> Result<Response<pb::LabelValuesResponse>, Status> {
        let r = request.into_inner();
        if r.label.is_empty() {
            return Err(Status::invalid_argument("label values of no label"));
        }
        let matchers = convert::matchers(&r.matchers)?;
        if !self.may_match(&matchers) || r.without_replica_labels.contains(&r.label) {
            return Ok(Response::new(Default::default()));
        }
        let asked = LabelValuesRequest {
            scope: self.scope(range(r.start, r.end)),
            signal: Signal::METRICS,
            field: NamedField::Label(r.label.clone()),
            selectors: self.selectors(&matchers),
            limit: None,
        };
        let (mut values, coverage) = self.select.label_values(asked).await.map_err(convert::status)?;
        values.extend(self.external.get(&r.label).map(str::to_owned));
        let warnings = told(&coverage, aborts(r.partial_response_disabled, r.partial_response_strategy))?;
        Ok(Response::new(pb::LabelValuesResponse { values: cut(values, r.limit), warnings }))
    }
}

/// Sorted and distinct; a limit of 0 is none.
fn cut(mut list: Vec<String>, limit: i64) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    if let Ok(limit @ 1..) = usize::try_from(limit) {
        list.truncate(limit);
    }
    list
}

#[cfg(test)]
mod tests;
