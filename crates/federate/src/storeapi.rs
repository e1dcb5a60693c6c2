//! Thanos StoreAPI and Info over any [`contract::Select`], so that a Thanos Query asks this node as it asks a sidecar
//! (`thanos.Store`, `thanos.info.Info`; proto files of thanos-io/thanos, pkg/store/storepb and pkg/info/infopb).
//!
//! Series come in ascending order of their whole label sets, which is what Thanos merges by. Where labels are added
//! (external ones) or taken away (replica labels) order changes, so that those answers are held, packed, and sorted;
//! otherwise they stream. What is missing is a warning frame, in words of the coverage, or an error where the caller
//! wants all or nothing.
//!
//! A Thanos Query asks a store only where the labels it announces can match. A series may carry an external label of
//! its own with another value, as those of several clusters do that one node is sent; such a label is not announced,
//! so that they are found by it.

pub(crate) mod convert;
mod series;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

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

/// How long it is believed which external labels series carry themselves. Longer: what is sent with another cluster's
/// name is found by it later.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Names of external labels that series carry themselves with another value, and when that was looked up.
pub type Overridden = Arc<tokio::sync::Mutex<Option<(Instant, BTreeSet<String>)>>>;

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
    /// Filled as it is needed.
    pub overridden: Overridden,
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

    /// The label sets to announce: labels that everything of one origin has.
    async fn announced(&self) -> Vec<Labels> {
        if !self.label_sets.is_empty() {
            return self.label_sets.clone();
        }
        let names: Vec<String> = self.overridden().await.into_iter().collect();
        vec![self.external.without(&names)]
    }

    async fn overridden(&self) -> BTreeSet<String> {
        let mut known = self.overridden.lock().await;
        if let Some((at, names)) = &*known
            && at.elapsed() < LOOK_AGAIN
        {
            return names.clone();
        }
        let mut names = BTreeSet::new();
        for (name, value) in &self.external {
            // Of two different ones at least one is not ours.
            let asked = LabelValuesRequest {
                scope: self.scope(TimeRange::ALL),
                signal: Signal::METRICS,
                field: NamedField::Label(name.to_owned()),
                selectors: Vec::new(),
                limit: Some(2),
            };
            match self.select.label_values(asked).await {
                Ok((own, _)) if own.iter().all(|v| v == value) => {}
                Ok(_) => {
                    names.insert(name.to_owned());
                }
                Err(e) => {
                    // A store that is asked too often is better than one that is not asked.
                    tracing::debug!(label = name, "own values of an external label are not known: {e}");
                    return self.external.iter().map(|(n, _)| n.to_owned()).collect();
                }
            }
        }
        *known = Some((Instant::now(), names.clone()));
        names
    }

    /// Whether anything here can match.
    async fn may_match(&self, matchers: &[Matcher]) -> bool {
        let fits = |set: &Labels| matchers.iter().all(|m| set.get(&m.name).is_none_or(|v| m.matches(v)));
        self.announced().await.iter().any(fits)
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
        let sets = self.announced().await;
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
        if !self.may_match(&matchers).await {
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
            return Err(Status::invalid_argument("label name parameter cannot be empty"));
        }
        let matchers = convert::matchers(&r.matchers)?;
        if r.without_replica_labels.contains(&r.label) || !self.may_match(&matchers).await {
            return Ok(Response::new(Default::default()));
        }
        let selectors = self.selectors(&matchers);
        let asked = LabelValuesRequest {
            scope: self.scope(range(r.start, r.end)),
            signal: Signal::METRICS,
            field: NamedField::Label(r.label.clone()),
            selectors: selectors.clone(),
            limit: None,
        };
        let (mut values, coverage) =
            self.select.label_values(asked.clone()).await.map_err(convert::status)?;
        if let Some(ours) = self.external.get(&r.label) {
            // It is on what is there, and without a condition it is there.
            let name = model::labels::METRIC_NAME.to_owned();
            let any = LabelValuesRequest { field: NamedField::Label(name), limit: Some(1), ..asked };
            if selectors.is_empty()
                || !self.select.label_values(any).await.map_err(convert::status)?.0.is_empty()
            {
                values.push(ours.to_owned());
            }
            values.retain(|v| matchers.iter().filter(|m| m.name == r.label).all(|m| m.matches(v)));
        }
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
