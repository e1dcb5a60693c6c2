//! What is known of one peer: written by the task that watches it and by every question, read without waiting.

use std::{sync::Arc, time::Duration};

use base::Clock;
use contract::{Coverage, CoverageState, Error as Told};
use model::{Labels, Signal, TimeRange, TimestampNs};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    Connected, Incomplete, Io, LinkState, PeerSettings, PeerStatus, breaker::Breaker, counts::LinkCounts,
    latencies::Latencies, recent::Recent,
};
use crate::{
    Error,
    error::{NOT_ASKED, QUERY_TIMEOUT},
    member::title,
    peer::{Announcement, Beyond},
};

/// An announcement that is older does not keep a peer from being asked: what it holds may have changed.
const FRESH: Duration = Duration::from_secs(60);
/// Clocks of nodes differ, and what comes late lies before what a node has said to be its oldest: only data that
/// begins this much after a range keeps a peer from being asked.
const MARGIN_NS: i64 = 3600 * 1_000_000_000;
/// Least and greatest [`PeerSettings::grace`] that is found by itself.
const GRACE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Waiting for less than this in vain does not speak against a peer: whoever asked was in a hurry.
const FAIR_WAIT: Duration = Duration::from_secs(2);
/// Whoever asks in vain has a lost peer looked for at once, unless it was looked for within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The connection to one peer, or to a system of another kind.
pub struct Link {
    settings: PeerSettings,
    /// Of what kind it is where it does not announce itself.
    foreign: Option<&'static str>,
    clock: Clock,
    counts: LinkCounts,
    recent: Arc<Recent>,
    state: Mutex<State>,
    /// Whether the first attempt to reach it is over.
    tried: watch::Sender<bool>,
    wake: Notify,
}

struct State {
    known: Option<Arc<Announcement>>,
    heard_at: Option<Instant>,
    /// When it was last not heard of.
    unheard_at: Option<Instant>,
    /// Whether the last announcement, or the last question to one that announces nothing, was answered.
    up: bool,
    since: TimestampNs,
    last_error: Option<String>,
    breaker: Breaker,
    latencies: Latencies,
    asked: u64,
    partial: u64,
    missing: u64,
    certificate_expires: Option<TimestampNs>,
    /// A connection that the peer has dialled and nobody has taken up yet.
    dialled: Option<Connected>,
}

impl Link {
    pub(super) fn new(
        settings: PeerSettings,
        foreign: Option<&'static str>,
        clock: Clock,
        counts: LinkCounts,
        recent: Arc<Recent>,
    ) -> Self {
        let state = State {
            known: None,
            heard_at: None,
            unheard_at: None,
            up: false,
            since: TimestampNs(clock.now_ns()),
            last_error: None,
            breaker: Breaker::default(),
            latencies: Latencies::default(),
            asked: 0,
            partial: 0,
            missing: 0,
            certificate_expires: None,
            dialled: None,
        };
        let tried = watch::Sender::new(foreign.is_some());
        Link {
            settings,
            foreign,
            clock,
            counts,
            recent,
            state: Mutex::new(state),
            tried,
            wake: Notify::new(),
        }
    }

    pub fn settings(&self) -> &PeerSettings {
        &self.settings
    }

    /// What it announced last, however long ago.
    pub(crate) fn known(&self) -> Option<Arc<Announcement>> {
        self.state.lock().known.clone()
    }

    /// The replica it is, as configured or as it says itself.
    pub(crate) fn replica(&self) -> Option<String> {
        self.settings.replica.clone().or_else(|| self.known().and_then(|k| k.replica.clone()))
    }

    pub(crate) fn is_up(&self) -> bool {
        let state = self.state.lock();
        state.up && state.breaker.is_closed()
    }

    /// Labels that everything it answers with carries, what is beyond it included.
    pub(crate) fn labels(&self) -> Labels {
        let Some(known) = self.known() else { return self.own_labels(None) };
        let own = self.own_labels(Some(&known));
        let everywhere = |name: &str| known.beyond.iter().all(|b| b.labels.get(name) == own.get(name));
        own.filter(everywhere)
    }

    fn own_labels(&self, known: Option<&Announcement>) -> Labels {
        let mut labels = match known {
            // One that says that nothing is on everything is believed: it holds more than its cluster's.
            Some(known) => known.labels.to_builder(),
            None => Labels::from_pairs([("cluster", self.settings.name.as_str())]).to_builder(),
        };
        self.settings.labels.iter().for_each(|(n, v)| {
            labels.set(n, v);
        });
        labels.build()
    }

    /// Whether it, or something beyond it, has labels that fit.
    pub(crate) fn reaches(&self, fits: impl Fn(&Labels) -> bool) -> bool {
        let Some(known) = self.known() else { return true };
        fits(&self.own_labels(Some(&known))) || known.beyond.iter().any(|b| fits(&b.labels))
    }

    /// Where what it holds itself begins, as it said last.
    pub(crate) fn oldest(&self, signal: &Signal) -> Option<TimestampNs> {
        let known = self.known()?;
        known.held.iter().find(|h| h.signal == *signal).and_then(|h| h.oldest)
    }

    /// Whether everything it and those beyond it hold begins well after the range, as it said not long ago.
    pub(crate) fn begins_after(&self, signal: &Signal, range: TimeRange) -> bool {
        let state = self.state.lock();
        let fresh = state.up && state.heard_at.is_some_and(|at| at.elapsed() <= FRESH);
        let Some(known) = state.known.as_ref().filter(|_| fresh) else { return false };
        let mut all = std::iter::once(&known.held).chain(known.beyond.iter().map(|b| &b.held));
        all.all(|held| {
            let oldest = held.iter().find(|h| h.signal == *signal).and_then(|h| h.oldest);
            oldest.is_some_and(|o| o.0.saturating_sub(MARGIN_NS) >= range.end.0)
        })
    }

    pub(crate) fn grace(&self) -> Duration {
        let usual = || self.state.lock().latencies.within(0.95);
        let within = || usual().map_or(crate::member::GRACE, |d| d.clamp(GRACE.0, GRACE.1));
        self.settings.grace.unwrap_or_else(within)
    }

    /// Waits until something is known of the peer, and says why it is not to be asked where that is so.
    pub(super) async fn enter(&self) -> contract::Result<()> {
        let mut tried = self.tried.subscribe();
        // The sender lives as long as this does.
        let _ = tried.wait_for(|tried| *tried).await;
        let mut state = self.state.lock();
        let alive = state.up || self.foreign.is_some();
        let last = state.last_error.clone().unwrap_or_default();
        let reason = if state.known.is_none() && self.foreign.is_none() {
            // Never reached: whoever watches it finds out when it is there.
            last
        } else if state.breaker.admit(Instant::now(), alive, self.settings.timeout) {
            return Ok(());
        } else {
            let failures = state.breaker.failures();
            format!("not asked after {failures} failures in a row; the last: {last}")
        };
        self.counts.refused(&self.settings);
        if !state.up && state.unheard_at.is_some_and(|at| at.elapsed() >= LOOK_AGAIN) {
            // This question goes without it, the next one may not.
            self.wake.notify_one();
        }
        let (kind, limit) = (base::Kind::Unavailable, Some(NOT_ASKED));
        Err(Told { kind, message: reason, limit })
    }

    pub(crate) fn asked(&self) {
        self.state.lock().asked += 1;
    }

    /// A question was answered; `said` is how completely.
    pub(crate) fn answered(&self, took: Duration, said: &Coverage) {
        {
            let mut state = self.state.lock();
            state.latencies.note(took);
            state.breaker.succeeded();
            if self.foreign.is_some() {
                self.is_heard(&mut state);
            }
        }
        for source in said.sources().iter().filter(|s| s.state != CoverageState::Complete) {
            let mine = source.cluster == "local";
            self.recent.note(Incomplete {
                at: TimestampNs(self.clock.now_ns()),
                signal: source.signal.clone(),
                cluster: if mine { self.settings.name.clone() } else { source.cluster.clone() },
                replica: source.replica.clone(),
                state: source.state,
                reason: source.reason.clone(),
            });
        }
        self.show();
    }

    /// A question was not answered, or not to its end; `used` says whether something of it is in the answer.
    pub(crate) fn failed(&self, error: &Error, signal: &Signal, used: bool) {
        if matches!(error, Error::Outrun) {
            return;
        }
        let state_of_it = if used { CoverageState::Partial } else { CoverageState::Missing };
        self.recent.note(Incomplete {
            at: TimestampNs(self.clock.now_ns()),
            signal: signal.clone(),
            cluster: self.settings.name.clone(),
            replica: self.replica(),
            state: state_of_it,
            reason: error.reason(),
        });
        let mut state = self.state.lock();
        match used {
            true => state.partial += 1,
            false => state.missing += 1,
        }
        if speaks_against(error, self.settings.timeout) {
            state.last_error = Some(error.reason());
            self.note_failure(&mut state);
            if self.foreign.is_some() {
                self.is_lost(&mut state);
            }
        } else if matches!(error, Error::Told(told) if told.limit != Some(NOT_ASKED)) {
            // It refuses, and so it is there.
            state.breaker.succeeded();
        }
        drop(state);
        self.show();
    }

    fn note_failure(&self, state: &mut State) {
        let was_closed = state.breaker.is_closed();
        state.breaker.failed(Instant::now(), &mut rand::rng());
        if was_closed && !state.breaker.is_closed() {
            // Whoever watches it has something to find out.
            self.wake.notify_one();
        }
    }

    /// Whether a question is due that finds out if the peer answers again; that question is begun with it.
    pub(super) fn begin_trial(&self) -> bool {
        let mut state = self.state.lock();
        !state.breaker.is_closed() && state.breaker.admit(Instant::now(), true, self.settings.timeout)
    }

    /// What became of that question.
    pub(super) fn tried(&self, outcome: Result<(), Error>) {
        let mut state = self.state.lock();
        match outcome {
            Ok(()) => state.breaker.succeeded(),
            Err(e) => {
                state.last_error = Some(e.reason());
                state.breaker.failed(Instant::now(), &mut rand::rng());
            }
        }
        drop(state);
        self.show();
    }

    /// The last minute.
    pub(super) fn lately(&self) -> TimeRange {
        let now = self.clock.now_ns();
        TimeRange::new(TimestampNs(now.saturating_sub(60_000_000_000)), TimestampNs(now))
    }

    /// How long it is still left alone.
    pub(super) fn rest(&self) -> Option<Duration> {
        let at = self.state.lock().breaker.opens_at()?;
        Some(at.saturating_duration_since(Instant::now()))
    }

    /// The peer has said who it is; true where that differs from what was known.
    pub(super) fn heard(&self, said: Announcement) -> bool {
        let mut state = self.state.lock();
        let changed = state.known.as_deref() != Some(&said);
        state.known = Some(Arc::new(said));
        state.heard_at = Some(Instant::now());
        if !state.up {
            // What failed before was reaching it. Questions that fail while it is heard of count by themselves.
            match state.breaker.is_closed() {
                true => state.breaker.succeeded(),
                false => state.breaker.reached(),
            }
        }
        self.is_heard(&mut state);
        drop(state);
        self.tried.send_replace(true);
        self.show();
        changed
    }

    /// The peer did not say who it is.
    pub(super) fn unheard(&self, error: &Error) {
        self.counts.unheard(&self.settings, error.class());
        let mut state = self.state.lock();
        state.last_error = Some(error.reason());
        state.unheard_at = Some(Instant::now());
        state.breaker.failed(Instant::now(), &mut rand::rng());
        self.is_lost(&mut state);
        drop(state);
        self.tried.send_replace(true);
        self.show();
    }

    fn is_heard(&self, state: &mut State) {
        if !state.up {
            state.up = true;
            state.since = TimestampNs(self.clock.now_ns());
            tracing::info!(peer = self.settings.name, address = self.settings.address, "peer is up");
        }
    }

    fn is_lost(&self, state: &mut State) {
        if state.up {
            state.up = false;
            state.since = TimestampNs(self.clock.now_ns());
            let error = state.last_error.as_deref();
            tracing::warn!(peer = self.settings.name, address = self.settings.address, error, "peer is lost");
        }
    }

    /// A connection has come about.
    pub(super) fn connected(&self, certificate_expires: Option<TimestampNs>) {
        self.state.lock().certificate_expires = certificate_expires;
        self.counts.connected(&self.settings);
    }

    /// The same connection with its bytes counted.
    pub(super) fn counted(&self, io: Box<dyn Io>) -> Box<dyn Io> {
        self.counts.counted(&self.settings, io)
    }

    /// Hands over a connection that the peer dialled; one that waited till now is dropped.
    pub(super) fn dialled(&self, connected: Connected) {
        self.state.lock().dialled = Some(connected);
        self.wake.notify_one();
    }

    pub(super) fn take_dialled(&self) -> Option<Connected> {
        self.state.lock().dialled.take()
    }

    /// Comes when there is a reason to ask at once who the peer is.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Comes when the first attempt to reach it is over.
    pub(super) async fn was_tried(&self) {
        let mut tried = self.tried.subscribe();
        let _ = tried.wait_for(|tried| *tried).await;
    }

    fn show(&self) {
        let (up, closed) = {
            let state = self.state.lock();
            (state.up, state.breaker.is_closed())
        };
        self.counts.show(&self.settings, up, closed);
    }

    /// Itself, as it is announced to others.
    pub(super) fn as_beyond(&self) -> (Beyond, Option<Arc<Announcement>>) {
        let known = self.known();
        let beyond = Beyond {
            cluster: self.settings.name.clone(),
            replica: self.replica(),
            labels: self.own_labels(known.as_deref()),
            hops: 1,
            held: known.as_ref().map(|k| k.held.clone()).unwrap_or_default(),
        };
        (beyond, known)
    }

    /// What a page about peers shows.
    pub fn status(&self) -> PeerStatus {
        let replica = self.replica();
        let labels = self.labels();
        let state = self.state.lock();
        let known = state.known.clone().unwrap_or_default();
        PeerStatus {
            name: self.settings.name.clone(),
            replica,
            address: self.settings.address.clone(),
            kind: self.foreign.unwrap_or("orrery"),
            state: match (state.up, state.breaker.is_closed()) {
                (_, false) => LinkState::Open,
                (true, true) => LinkState::Up,
                (false, true) if state.last_error.is_none() => LinkState::Connecting,
                (false, true) => LinkState::Failing,
            },
            since: state.since,
            last_error: state.last_error.clone(),
            failures: state.breaker.failures(),
            version: known.version.clone(),
            labels,
            held: known.held.clone(),
            beyond: known.beyond.iter().map(|b| title(&b.cluster, b.replica.as_deref())).collect(),
            certificate_expires: state.certificate_expires,
            asked: state.asked,
            partial: state.partial,
            missing: state.missing,
            latency_p50: state.latencies.within(0.5),
            latency_p99: state.latencies.within(0.99),
            replication: self.settings.replication.clone(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.counts.forget(&self.settings);
    }
}

/// Whether an error says that asking again now is in vain. What a peer refuses, or what this node is too small for,
/// says nothing of the kind.
fn speaks_against(error: &Error, timeout: Duration) -> bool {
    match error {
        Error::Silent { allowed } | Error::Stopped { allowed } => *allowed >= timeout.min(FAIR_WAIT),
        Error::Order { .. } | Error::Malformed { .. } => true,
        Error::Told(told) if told.limit.is_some_and(|l| l == NOT_ASKED || l == QUERY_TIMEOUT) => false,
        Error::Told(told) => {
            told.limit.is_none()
                && matches!(told.kind, base::Kind::Unavailable | base::Kind::Timeout | base::Kind::Corrupt)
        }
        Error::Outrun | Error::Lost | Error::Memory(_) | Error::Nobody { .. } | Error::Setting { .. } => {
            false
        }
    }
}
