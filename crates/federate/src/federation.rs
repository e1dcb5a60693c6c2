//! [`Federation`]: the list of members, and the questions it passes on to them.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, Dialect, EvaluateRequest, Evaluated, ExemplarsRequest, LabelNamesRequest,
    LabelValuesRequest, LogsRequest, MetadataRequest, Part, Result, Scope, Select, Selection, SeriesData,
    SeriesRequest, SpansRequest,
};
use model::{Exemplar, Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TimeRange};

use crate::{Counts, Member, Replicas, lists, logs, parts, query::Query, series, spans};

/// Many members that answer as one. A node's own store is a member like the others, as a rule the first.
///
/// - A member is asked where its signals and its labels can satisfy the question, all of them at once.
/// - Of two values of one series at one time the member that stands earlier in the list counts.
/// - A member that is silent, fails, breaks off or sends what cannot be merged is named in the coverage, and costs no
///   more than its time. What came before is used. The answer is an error only where nobody answered, or where a
///   limit of the query itself is reached: by one member, or by all together.
/// - Members of one name that are replicas answer as one: see [`Replicas`] and [`Federation::without_dedup`].
/// - Where nobody is to be asked the answer is empty and complete.
#[derive(Clone)]
pub struct Federation {
    members: Arc<[Arc<Member>]>,
    counts: Counts,
    /// `None` where replicas are shown one by one.
    replicas: Option<Arc<Replicas>>,
}

impl Federation {
    pub fn new(members: Vec<Member>, counts: Counts) -> Self {
        let members = members.into_iter().map(Arc::new).collect();
        Federation { members, counts, replicas: Some(Arc::default()) }
    }

    /// What the clusters' replicas have declared, where that differs from [`Replicas::default`].
    pub fn with_replicas(mut self, replicas: Replicas) -> Self {
        self.replicas = Some(Arc::new(replicas));
        self
    }

    /// The same members with every replica by itself, under its own label (`dedup=false`).
    pub fn without_dedup(&self) -> Self {
        Federation { replicas: None, ..self.clone() }
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(Arc::as_ref)
    }

    /// The same, of some of the members only.
    pub(crate) fn of(&self, members: impl IntoIterator<Item = Arc<Member>>) -> Self {
        Federation { members: members.into_iter().collect(), ..self.clone() }
    }

    pub(crate) fn shared_members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.iter()
    }

    /// Whether a member's series are shown as those of a replica, and so not as they come.
    pub(crate) fn is_replica(&self, member: &Member) -> bool {
        self.replicas.as_ref().is_some_and(|r| r.mark(member).is_some())
    }

    /// What of a member's labels all its series carry as they are shown here.
    pub(crate) fn shown_labels(&self, member: &Member) -> Labels {
        match self.replicas.as_ref().and_then(|r| r.mark(member)) {
            Some(mark) => member.labels.without(&[mark.label]),
            None => member.labels.clone(),
        }
    }

    fn evaluates(&self) -> Vec<Dialect> {
        match self.members.as_ref() {
            [one] if !self.is_replica(one) => one.select.capabilities().evaluates,
            _ => Vec::new(),
        }
    }

    /// Begins a question to those members that have the signal and are `wanted`.
    pub(crate) fn ask(
        &self,
        scope: &Scope,
        signal: &Signal,
        wanted: impl Fn(&Member) -> bool,
    ) -> Result<Query> {
        let chosen = self.members.iter().filter(|m| m.has(signal) && wanted(m)).cloned().collect();
        Query::new(scope, signal.clone(), chosen, &self.counts, self.replicas.clone())
    }
}

#[async_trait]
impl Select for Federation {
    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        series::series(self, r)
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        logs::logs(self, r)
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        spans::spans(self, r)
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        lists::label_names(self, r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        lists::label_values(self, r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        lists::label_sets(self, r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        lists::metadata(self, r).await
    }

    async fn exemplars(&self, r: ExemplarsRequest) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
        lists::exemplars(self, r).await
    }

    /// Passed on where there is one member, whose series are shown as they come. Whoever wants more divides the whole
    /// into its parts.
    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        parts::evaluate(self, r).await
    }

    fn parts(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Option<Vec<Part>> {
        let _ = range;
        parts::parts(self, selectors)
    }

    /// What every member can do is what the whole can do. Signals are the exception: one that a single member has can
    /// be asked for, since the others are then not asked.
    fn capabilities(&self) -> Capabilities {
        let all: Vec<Capabilities> = self.members.iter().map(|m| m.select.capabilities()).collect();
        let mut signals: Vec<Signal> = all.iter().flat_map(|c| c.signals.iter().cloned()).collect();
        signals.sort_unstable();
        signals.dedup();
        let filters_lines = all
            .iter()
            .filter(|c| c.signals.is_empty() || c.signals.contains(&Signal::LOGS))
            .all(|c| c.filters_lines);
        Capabilities { signals, filters_lines, evaluates: self.evaluates() }
    }
}

#[cfg(test)]
mod tests;
