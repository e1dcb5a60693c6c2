//! One question to many: who was asked, for how long each is waited, and what became of each.

use std::{collections::BTreeMap, sync::Arc};

use base::Kind;
use contract::{Coverage, CoverageState, QueryLimits, Scope, SourceCoverage};
use model::{Signal, TimeRange};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    Counts, Error, Member, Replicas, Replication,
    error::QUERY_TIMEOUT,
    feed::{Feed, Next, Patience},
    replicas::{Mark, together},
};

pub(crate) struct Query {
    /// What members are told: their deadline leaves time to answer with what the others said.
    pub(crate) scope: Scope,
    /// What the caller set.
    limits: QueryLimits,
    signal: Signal,
    asked: Vec<Asked>,
    counts: Counts,
    replicas: Option<Arc<Replicas>>,
    coverage: Arc<Mutex<Coverage>>,
}

struct Asked {
    member: Arc<Member>,
    began: Instant,
    /// Something of it is in the answer.
    used: bool,
    state: State,
}

enum State {
    Asked,
    Answered(Coverage),
    Failed { error: Error, said: Coverage, covered: Vec<TimeRange> },
}

impl Query {
    pub(crate) fn new(
        scope: &Scope,
        signal: Signal,
        members: Vec<Arc<Member>>,
        counts: &Counts,
        replicas: Option<Arc<Replicas>>,
    ) -> contract::Result<Self> {
        let began = Instant::now();
        let mut told = scope.clone();
        if let Some(deadline) = scope.limits.deadline {
            let left = Instant::from_std(deadline).saturating_duration_since(began);
            if left.is_zero() {
                return Err(too_late());
            }
            told.limits.deadline = Some((began + left / 10 * 9).into_std());
        }
        members.iter().for_each(|m| counts.asked(&m.title(), &signal));
        let asked = |member| Asked { member, began, used: false, state: State::Asked };
        Ok(Query {
            limits: scope.limits.clone(),
            scope: told,
            signal,
            asked: members.into_iter().map(asked).collect(),
            counts: counts.clone(),
            replicas,
            coverage: Arc::default(),
        })
    }

    /// The coverage of the answer, final after [`Query::finish`].
    pub(crate) fn coverage(&self) -> Arc<Mutex<Coverage>> {
        self.coverage.clone()
    }

    pub(crate) fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    pub(crate) fn range(&self) -> TimeRange {
        self.scope.range
    }

    /// Those asked, in the order of the list.
    pub(crate) fn members(&self) -> impl Iterator<Item = (usize, Arc<Member>)> {
        self.asked.iter().map(|a| a.member.clone()).enumerate()
    }

    /// What a member's items carry to tell them from those of other replicas; `None` where it is no replica, or where
    /// replicas are to be told apart.
    pub(crate) fn mark(&self, member: &Member) -> Option<Mark> {
        self.replicas.as_ref()?.mark(member)
    }

    /// Of each member asked the number of its group: those of one number are replicas of each other.
    pub(crate) fn groups(&self) -> Vec<Option<usize>> {
        let number = |a: &Asked| {
            self.mark(&a.member)?;
            self.asked.iter().position(|b| b.member.name == a.member.name && b.member.replica.is_some())
        };
        self.asked.iter().map(number).collect()
    }

    /// How replicas of a cluster share the signal that is asked for.
    pub(crate) fn replication(&self, cluster: &str) -> Option<Replication> {
        self.replicas.as_ref().map(|r| r.of(cluster, &self.signal))
    }

    /// How long a member is waited for: its own timeout, or nine tenths of what the query has left.
    pub(crate) fn patience(&self, member: &Member) -> Patience {
        let until = self.scope.limits.deadline.map(Instant::from_std);
        let left = until.map(|u| u.saturating_duration_since(Instant::now()));
        Patience::new(left.map_or(member.timeout, |l| l.min(member.timeout)), until)
    }

    pub(crate) fn check_deadline(&self) -> contract::Result<()> {
        match self.limits.deadline {
            Some(d) if Instant::now() >= Instant::from_std(d) => Err(too_late()),
            _ => Ok(()),
        }
    }

    /// Notes that something a member gave is in the answer.
    pub(crate) fn used(&mut self, i: usize) {
        if let Some(asked) = self.asked.get_mut(i) {
            asked.used = true;
        }
    }

    pub(crate) fn answered(&mut self, i: usize, said: Coverage) {
        let Some(asked) = self.asked.get_mut(i) else { return };
        self.counts.answered(&asked.member.title(), &self.signal, asked.began.elapsed());
        asked.state = State::Answered(said);
        self.publish();
    }

    /// Notes that a member did not answer, or not to its end; `covered` is what came nonetheless, whole. An error
    /// where that is the query's own fault.
    pub(crate) fn failed(
        &mut self,
        i: usize,
        error: Error,
        said: Coverage,
        covered: Vec<TimeRange>,
    ) -> contract::Result<()> {
        if error.is_of_query() {
            return Err(error.into());
        }
        let Some(asked) = self.asked.get_mut(i) else { return Ok(()) };
        let (title, took) = (asked.member.title(), asked.began.elapsed());
        tracing::debug!(member = title, signal = %self.signal, error = %error, "a member did not answer to the end");
        self.counts.failed(&title, &self.signal, asked.used, error.class(), took);
        let covered = if asked.used && !error.is_distrust() { covered } else { Vec::new() };
        asked.state = State::Failed { error, said, covered };
        self.publish();
        Ok(())
    }

    /// The next item of a member's feed; `None` once it has ended, one way or the other. `covered` is asked when it
    /// breaks off.
    pub(crate) async fn next<T: Send + 'static>(
        &mut self,
        i: usize,
        feed: &mut Option<Feed<T>>,
        covered: impl FnOnce() -> Vec<TimeRange>,
    ) -> contract::Result<Option<T>> {
        let Some(open) = feed else { return Ok(None) };
        match open.next().await {
            Next::Item(item) => return Ok(Some(item)),
            Next::End => self.answered(i, open.said()),
            Next::Failed(e) => self.failed(i, e, open.said(), covered())?,
        }
        *feed = None;
        Ok(None)
    }

    /// Ends the answer: those that were not read to their end gave what was needed of them. An error where all were
    /// asked in vain.
    pub(crate) fn finish(&mut self) -> contract::Result<()> {
        let in_vain = |a: &Asked| !a.used && matches!(a.state, State::Failed { .. });
        if !self.asked.is_empty() && self.asked.iter().all(in_vain) {
            return Err(self.nobody().into());
        }
        for asked in &mut self.asked {
            if matches!(asked.state, State::Asked) {
                self.counts.answered(&asked.member.title(), &self.signal, asked.began.elapsed());
                asked.state = State::Answered(Coverage::default());
            }
        }
        self.publish();
        Ok(())
    }

    fn nobody(&self) -> Error {
        let failed = self.asked.iter().filter_map(|a| match &a.state {
            State::Failed { error, .. } => Some((a.member.title(), error)),
            _ => None,
        });
        let list: Vec<String> = failed.clone().map(|(title, e)| format!("{title}: {}", e.reason())).collect();
        let kinds: Vec<Kind> = failed.clone().map(|(_, e)| e.kind()).collect();
        // What is wrong with the question stays wrong however often it is put.
        let kind = match kinds.first() {
            Some(first) if kinds.iter().all(|k| k == first) => *first,
            _ if kinds.contains(&Kind::Invalid) => Kind::Invalid,
            _ => Kind::Unavailable,
        };
        let limit = failed.clone().find_map(|(_, e)| match e {
            Error::Told(told) => told.limit,
            _ => None,
        });
        let list = match self.asked.len() {
            1 => list.join("; "),
            n => format!("none of the {n} members asked answered: {}", list.join("; ")),
        };
        Error::Nobody { list, kind, limit }
    }

    /// Writes down how complete the answer is as far as it is known.
    fn publish(&self) {
        let mut all = Coverage::default();
        let mut groups: BTreeMap<&str, Coverage> = BTreeMap::new();
        for asked in &self.asked {
            let grouped = self.mark(&asked.member).is_some();
            for source in self.coverage_of(asked).sources() {
                let own = source.cluster == asked.member.name && source.replica.is_some();
                let to =
                    if grouped && own { groups.entry(&asked.member.name).or_default() } else { &mut all };
                to.merge(Coverage::one(source.clone()));
            }
        }
        for (cluster, each) in groups {
            let replication = self.replication(cluster).unwrap_or(Replication::Sharded);
            all.merge(together(replication, self.scope.range, each.sources().to_vec()));
        }
        *self.coverage.lock() = all;
    }

    fn coverage_of(&self, asked: &Asked) -> Coverage {
        let member = &asked.member;
        let own = SourceCoverage {
            replica: member.replica.clone(),
            ..SourceCoverage::complete(member.name.clone(), self.signal.clone(), self.scope.range)
        };
        let (error, said, covered) = match &asked.state {
            State::Asked => return Coverage::default(),
            State::Answered(said) if said.sources().is_empty() => return Coverage::one(own),
            State::Answered(said) => return self.named(member, said, |source| source),
            State::Failed { error, said, covered } => (error, said, covered),
        };
        let state = if asked.used { CoverageState::Partial } else { CoverageState::Missing };
        // Whoever it spoke for has to be doubted as much as the member itself.
        let mut all = self.named(member, said, |mut source| {
            if source.cluster == member.name && source.replica == member.replica {
                source.covered = covered.clone();
            } else {
                source.covered.clear();
            }
            source.state = source.state.max(state);
            source.reason = [source.reason, error.reason()].join(", ");
            source
        });
        let own = SourceCoverage { state, covered: covered.clone(), reason: error.reason(), ..own };
        all.merge(Coverage::one(own));
        all
    }

    /// What a member said, under its name where it has none of its own.
    fn named(
        &self,
        member: &Member,
        said: &Coverage,
        change: impl Fn(SourceCoverage) -> SourceCoverage,
    ) -> Coverage {
        let mut all = Coverage::default();
        for source in said.sources() {
            let mut source = source.clone();
            if source.cluster == "local" {
                source.cluster = member.name.clone();
            }
            if source.cluster == member.name {
                source.replica = source.replica.or_else(|| member.replica.clone());
            }
            all.merge(Coverage::one(change(source)));
        }
        all
    }
}

fn too_late() -> contract::Error {
    contract::Error {
        kind: Kind::Timeout,
        message: "the query did not finish within its timeout".to_owned(),
        limit: Some(QUERY_TIMEOUT),
    }
}

/// Counts what an answer takes against the limits of the query, over all members together.
pub(crate) struct Tally {
    bytes: u64,
    max_bytes: u64,
    what: &'static str,
}

impl Tally {
    pub(crate) fn new(limits: &QueryLimits, what: &'static str) -> Self {
        Tally { bytes: 0, max_bytes: limits.max_bytes, what }
    }

    pub(crate) fn take(&mut self, bytes: u64) -> contract::Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.max_bytes {
            let message =
                format!("the query reads more than query.max_bytes ({}) of {}", self.max_bytes, self.what);
            return Err(contract::Error::limited("query.max_bytes", message));
        }
        Ok(())
    }
}
