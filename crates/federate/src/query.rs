//! One question to many: who was asked, for how long each is waited, and what became of each.
//!
//! Of replicas that mirror each other none is waited for longer than a grace once another has answered whole: what it
//! might add is gaps of seconds, and what it costs is the time of everybody who asks.

use std::{collections::BTreeMap, sync::Arc};

use base::Kind;
use contract::{Coverage, CoverageState, QueryLimits, Scope, SourceCoverage};
use model::{Signal, TimeRange};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use crate::{
    Counts, Error, Member, Replicas, Replication,
    error::{NOT_ASKED, QUERY_TIMEOUT},
    feed::{Feed, Next, Patience, Waited},
    member::GRACE,
    replicas::{Mark, together},
    routes::Told,
};

/// Mirrors observe at moments of their own: of two that were started together one begins up to a scrape interval after
/// the other, and has missed nothing by it.
const TOGETHER_NS: i64 = 60 * 1_000_000_000;

pub(crate) struct Query {
    /// What members are told: their deadline leaves time to answer with what the others said.
    pub(crate) scope: Scope,
    /// What the caller set.
    limits: QueryLimits,
    signal: Signal,
    asked: Vec<Asked>,
    /// Those that need not be asked, as all they have begins after the range.
    later: Vec<Arc<Member>>,
    counts: Counts,
    replicas: Option<Arc<Replicas>>,
    coverage: Arc<Mutex<Coverage>>,
}

struct Asked {
    member: Arc<Member>,
    told: Told,
    /// When it has answered whole.
    ended: Option<watch::Receiver<Option<Instant>>>,
    /// How long it was waited for: what the caller or another member took is no latency of it.
    waited: Waited,
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
        members: Vec<(Arc<Member>, Told)>,
        later: Vec<Arc<Member>>,
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
        let asked = |(member, told): (Arc<Member>, Told)| {
            counts.asked(&member.title(), &signal);
            if let Some(link) = &member.link {
                link.asked();
            }
            Asked { member, told, ended: None, waited: Waited::default(), used: false, state: State::Asked }
        };
        Ok(Query {
            limits: scope.limits.clone(),
            scope: told,
            asked: members.into_iter().map(asked).collect(),
            signal,
            later,
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

    /// What a member is told: the scope of the question, and whom others are asked for.
    pub(crate) fn told(&self, i: usize) -> Scope {
        let mut scope = self.scope.clone();
        scope.limits.elsewhere = self.asked.get(i).map(|a| a.told.elsewhere.clone()).unwrap_or_default();
        scope
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

    /// How long member `i` is waited for: its own timeout, or nine tenths of what the query has left.
    pub(crate) fn patience(&self, i: usize, member: &Member) -> Patience {
        let until = self.scope.limits.deadline.map(Instant::from_std);
        let left = until.map(|u| u.saturating_duration_since(Instant::now()));
        let waited = self.asked.get(i).map(|a| a.waited.clone()).unwrap_or_default();
        Patience::new(left.map_or(member.timeout, |l| l.min(member.timeout)), until, waited)
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
        let took = asked.waited.so_far();
        self.counts.answered(&asked.member.title(), &self.signal, took);
        if let Some(link) = &asked.member.link {
            link.answered(took, &said);
        }
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
        let (title, took) = (asked.member.title(), asked.waited.so_far());
        tracing::debug!(member = title, signal = %self.signal, error = %error, "a member did not answer to the end");
        self.counts.failed(&title, &self.signal, asked.used, error.class(), took);
        if let Some(link) = &asked.member.link {
            link.failed(&error, &self.signal, asked.used);
        }
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
        if let Some(item) = open.ready() {
            return Ok(Some(item));
        }
        let next = tokio::select! {
            biased;
            next = open.next() => next,
            () = self.outrun(i) => Next::Failed(Error::Outrun),
        };
        match next {
            Next::Item(item) => return Ok(Some(item)),
            Next::End => self.answered(i, open.said()),
            Next::Failed(e) => self.failed(i, e, open.said(), covered())?,
        }
        *feed = None;
        Ok(None)
    }

    /// Takes down when each member will have answered whole, in the order of the list.
    pub(crate) fn watch(&mut self, ended: impl Iterator<Item = Option<watch::Receiver<Option<Instant>>>>) {
        for (asked, ended) in self.asked.iter_mut().zip(ended) {
            asked.ended = ended;
        }
    }

    /// Comes when another that mirrors the member has answered whole and the member has had its grace since; never
    /// where there is none.
    fn outrun(&self, i: usize) -> impl Future<Output = ()> + use<> {
        let mirrors = self.mirrors(i).filter_map(|(_, a)| a.ended.clone());
        let ends: Vec<_> =
            mirrors.map(|mut ended| Box::pin(async move { whole(&mut ended).await })).collect();
        let grace = self.asked.get(i).map_or(GRACE, |a| a.member.grace());
        async move {
            if ends.is_empty() {
                return std::future::pending().await;
            }
            let (at, ..) = futures::future::select_all(ends).await;
            tokio::time::sleep_until(at + grace).await;
        }
    }

    /// When a member that answers all at once has had its grace, where `ended` is when those that answered whole did.
    pub(crate) fn overdue(&self, i: usize, ended: &[Option<Instant>]) -> Option<Instant> {
        let first = self.mirrors(i).filter_map(|(j, _)| ended.get(j).copied().flatten()).min()?;
        Some(first + self.asked.get(i)?.member.grace())
    }

    /// Others that hold whatever the member holds.
    fn mirrors(&self, i: usize) -> impl Iterator<Item = (usize, &Asked)> {
        let mine = self.asked.get(i).filter(|a| {
            self.mark(&a.member).is_some() && self.replication(&a.member.name) == Some(Replication::Mirrored)
        });
        let others = self.asked.iter().enumerate().filter(move |(j, _)| *j != i);
        others.filter(move |(_, a)| {
            mine.is_some_and(|m| {
                a.member.name == m.member.name
                    && a.member.replica.is_some()
                    && !self.begins_later(&a.member, &m.member)
            })
        })
    }

    /// Whether one is known to have begun later than another, by more than [`TOGETHER_NS`] and where it matters to the
    /// question.
    fn begins_later(&self, one: &Member, than: &Member) -> bool {
        let oldest = |m: &Member| m.link.as_ref().and_then(|l| l.oldest(&self.signal));
        match (oldest(one), oldest(than)) {
            (Some(one), Some(than)) => {
                one > self.scope.range.start && one.0.saturating_sub(TOGETHER_NS) > than.0
            }
            _ => false,
        }
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
                let took = asked.waited.so_far();
                self.counts.answered(&asked.member.title(), &self.signal, took);
                if let Some(link) = &asked.member.link {
                    link.answered(took, &Coverage::default());
                }
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
            Error::Told(told) => told.limit.filter(|l| *l != NOT_ASKED),
            _ => None,
        });
        let list = match self.asked.len() {
            1 => list.join("; "),
            n => format!("none of the {n} members asked answered: {}", list.join("; ")),
        };
        Error::Nobody { list, kind, limit }
    }

    /// Writes down how complete the answer is as far as it is known: of what has been read so far that is all.
    pub(crate) fn publish(&self) {
        let mut all = Coverage::default();
        let mut groups: BTreeMap<&str, Coverage> = BTreeMap::new();
        for asked in &self.asked {
            let grouped = self.mark(&asked.member).is_some();
            for source in self.coverage_of(asked).sources() {
                let source = &self.as_far_as_held(asked, source.clone());
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
        for member in self.later.iter().filter(|m| self.mark(m).is_none()) {
            let own = SourceCoverage::complete(member.name.clone(), self.signal.clone(), self.scope.range);
            all.merge(Coverage::one(SourceCoverage { replica: member.replica.clone(), ..own }));
        }
        *self.coverage.lock() = all;
    }

    /// What a mirror covers: where another that is not whole is known to have begun before it, it stands in for that
    /// one from its own beginning only.
    fn as_far_as_held(&self, asked: &Asked, mut source: SourceCoverage) -> SourceCoverage {
        let member = &asked.member;
        let mirrored = self.mark(member).is_some()
            && self.replication(&member.name) == Some(Replication::Mirrored)
            && source.cluster == member.name
            && source.state == CoverageState::Complete;
        let oldest = member.link.as_ref().and_then(|l| l.oldest(&self.signal));
        let Some(oldest) = oldest.filter(|_| mirrored) else { return source };
        let older = |a: &&Asked| {
            a.member.name == member.name
                && matches!(a.state, State::Failed { .. })
                && self.begins_later(member, &a.member)
        };
        if let Some(older) = self.asked.iter().find(older) {
            let held = TimeRange::new(oldest, self.scope.range.end);
            source.state = CoverageState::Partial;
            source.covered =
                source.covered.iter().map(|r| r.intersect(held)).filter(|r| !r.is_empty()).collect();
            source.reason = format!("what lies before it began only {} has", older.member.title());
        }
        source
    }

    fn coverage_of(&self, asked: &Asked) -> Coverage {
        let member = &asked.member;
        let own = SourceCoverage {
            replica: member.replica.clone(),
            ..SourceCoverage::complete(member.name.clone(), self.signal.clone(), self.scope.range)
        };
        let (error, said, covered) = match &asked.state {
            // Whoever stops reading before the end has what it needs of this one.
            State::Asked => return Coverage::one(own),
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
        // Nobody else was asked for what lies beyond it.
        for b in &asked.told.beyond {
            let known = all.sources().iter().any(|s| s.cluster == b.cluster && s.replica == b.replica);
            if !known {
                let reason = format!("beyond {}: {}", member.title(), error.reason());
                let none = SourceCoverage::complete(b.cluster.clone(), self.signal.clone(), self.scope.range);
                let (replica, covered) = (b.replica.clone(), Vec::new());
                let none = SourceCoverage { replica, covered, state: CoverageState::Missing, reason, ..none };
                all.merge(Coverage::one(none));
            }
        }
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

/// When a member has answered whole; never where it does not.
async fn whole(ended: &mut watch::Receiver<Option<Instant>>) -> Instant {
    match ended.wait_for(Option::is_some).await.map(|at| *at) {
        Ok(Some(at)) => at,
        _ => std::future::pending().await,
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
