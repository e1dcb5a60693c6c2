//! [`Federation`]: the list of members, and the questions it passes on to them.

use std::sync::Arc;

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, Dialect, EvaluateRequest, Evaluated, ExemplarsRequest, LabelNamesRequest,
    LabelValuesRequest, LogCounts, LogCountsRequest, LogsRequest, MetadataRequest, Part, PatternsRequest,
    Result, Scope, Select, Selection, SeriesData, SeriesRequest, SpanKeysRequest, SpanScope, SpanValue,
    SpanValuesRequest, SpansRequest,
};
use model::{Exemplar, Labels, LogBatch, Matcher, MetricMetadata, Signal, SpanBatch, TimeRange};

use crate::{
    Counts, Member, Members, Replicas, lists, logs, parts, patterns, query::Query, replicas::Mark, routes,
    series, spans,
};

/// Many members that answer as one. A node's own store is a member like the others, as a rule the first.
///
/// - A member is asked where its signals, its labels and the time it holds can satisfy the question, all of them at
///   once, and where nobody else is asked for it (see [`routes`](crate::routes)).
/// - Of two values of one series at one time the member that stands earlier in the list counts.
/// - A member that is silent, fails, breaks off or sends what cannot be merged is named in the coverage, and costs no
///   more than its time. What came before is used. The answer is an error only where nobody answered, or where a
///   limit of the query itself is reached: by one member, or by all together.
/// - Members of one name that are replicas answer as one: see [`Replicas`] and [`Federation::without_dedup`].
/// - Where nobody is to be asked the answer is empty and complete.
/// - The list may change at any time; a question is put to those that stood in it when it came.
#[derive(Clone)]
pub struct Federation {
    members: Members,
    /// Of these only some are asked; the others are as if somebody else asked them.
    only: Option<Arc<[Arc<Member>]>>,
    /// What this node is called where it is asked for others, so that no question comes back to it.
    own: Arc<[String]>,
    counts: Counts,
    /// Whether replicas are shown as one.
    dedup: bool,
}

impl Federation {
    /// Over members that stay.
    pub fn new(members: Vec<Member>, counts: Counts) -> Self {
        Self::over(Members::new(members, Replicas::default()), Vec::new(), counts)
    }

    /// Over a list that somebody else may change. `own` are the names of this node that a question may have come by:
    /// its cluster (`cluster` or `cluster/replica`) and that of its process.
    pub fn over(members: Members, own: Vec<String>, counts: Counts) -> Self {
        Federation { members, only: None, own: own.into(), counts, dedup: true }
    }

    /// What the clusters' replicas have declared, where that differs from [`Replicas::default`].
    pub fn with_replicas(self, replicas: Replicas) -> Self {
        let members = self.members.get().members.to_vec();
        Federation { members: Members::shared(members, replicas), ..self }
    }

    /// The same members with every replica by itself, under its own label (`dedup=false`).
    pub fn without_dedup(&self) -> Self {
        Federation { dedup: false, ..self.clone() }
    }

    /// Those that a question would be put to now.
    pub fn members(&self) -> Arc<[Arc<Member>]> {
        self.only.clone().unwrap_or_else(|| self.members.get().members)
    }

    /// The same with the list as it is now.
    pub(crate) fn now(&self) -> Self {
        Federation { members: Members::of(self.members.get()), ..self.clone() }
    }

    /// The same of some of the members only. Every member is still told that the others are asked elsewhere, so take
    /// [`Federation::now`] before choosing.
    pub(crate) fn of(&self, members: impl IntoIterator<Item = Arc<Member>>) -> Self {
        Federation { only: Some(members.into_iter().collect()), ..self.clone() }
    }

    fn mark(&self, member: &Member) -> Option<Mark> {
        self.members.get().replicas.mark(member).filter(|_| self.dedup)
    }

    /// Whether a member's series are shown as those of a replica, and so not as they come.
    pub(crate) fn is_replica(&self, member: &Member) -> bool {
        self.mark(member).is_some()
    }

    /// What of a member's labels all its series carry as they are shown here.
    pub(crate) fn shown_labels(&self, member: &Member) -> Labels {
        match self.mark(member) {
            Some(mark) => member.labels.without(&[mark.label]),
            None => member.labels.clone(),
        }
    }

    fn evaluates(&self) -> Vec<Dialect> {
        match self.members().as_ref() {
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
        let list = self.members.get();
        let replicas = self.dedup.then(|| list.replicas.clone());
        let told = routes::divide(&list.members, &self.own, &scope.limits.elsewhere);
        let (mut asked, mut later) = (Vec::new(), Vec::new());
        for (member, told) in list.members.iter().zip(told) {
            let chosen = self.only.as_ref().is_none_or(|only| only.iter().any(|m| Arc::ptr_eq(m, member)));
            let Some(told) = told.filter(|_| chosen && member.has(signal) && wanted(member)) else {
                continue;
            };
            if member.begins_after(signal, scope.range) {
                later.push(member.clone());
            } else {
                asked.push((member.clone(), told));
            }
        }
        Query::new(scope, signal.clone(), asked, later, &self.counts, replicas)
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

    /// Only where the node's own store is all there is to ask.
    async fn log_counts(&self, r: LogCountsRequest) -> Result<Option<Selection<LogCounts>>> {
        let members = self.members();
        let [one] = members.as_ref() else { return Ok(None) };
        if one.link.is_some() || self.is_replica(one) || !one.may_match(&r.matchers) {
            return Ok(None);
        }
        // Where somebody else asks it, it is not counted here.
        let list = self.members.get();
        let told = routes::divide(&list.members, &self.own, &r.scope.limits.elsewhere);
        let asked = list.members.iter().zip(told).any(|(m, told)| Arc::ptr_eq(m, one) && told.is_some());
        if asked { one.select.log_counts(r).await } else { Ok(None) }
    }

    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        spans::spans(self, r)
    }

    async fn span_keys(&self, r: SpanKeysRequest) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
        lists::span_keys(self, r).await
    }

    async fn span_values(&self, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
        lists::span_values(self, r).await
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

    async fn patterns(&self, r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
        patterns::patterns(self, r).await
    }

    /// Passed on where there is one member, whose series are shown as they come. Whoever wants more divides the whole
    /// into its parts.
    async fn evaluate(&self, r: EvaluateRequest) -> Result<Evaluated> {
        parts::evaluate(self, r).await
    }

    fn parts(&self, signal: &Signal, selectors: &[Vec<Matcher>], range: TimeRange) -> Option<Vec<Part>> {
        let _ = range;
        parts::parts(self, signal, selectors)
    }

    /// What every member can do is what the whole can do. Signals are the exception: one that a single member has can
    /// be asked for, since the others are then not asked.
    fn capabilities(&self) -> Capabilities {
        let all: Vec<Capabilities> = self.members().iter().map(|m| m.select.capabilities()).collect();
        let mut signals: Vec<Signal> = all.iter().flat_map(|c| c.signals.iter().cloned()).collect();
        signals.sort_unstable();
        signals.dedup();
        let filters_lines = all
            .iter()
            .filter(|c| c.signals.is_empty() || c.signals.contains(&Signal::LOGS))
            .all(|c| c.filters_lines);
        // Whoever does not filter spans itself has them filtered here.
        Capabilities { signals, filters_lines, filters_spans: true, evaluates: self.evaluates() }
    }
}

#[cfg(test)]
mod tests;
