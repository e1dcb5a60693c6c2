//! Whether a member is worth asking.
//!
//! ```text
//! closed ── so many failures in a row ──► open ── it is heard of, or its time is over ──► half open: one question
//!    ▲                                     ▲                                                  │
//!    └───────────────── it answers ────────┴───────────────── it fails: longer ───────────────┘
//! ```
//! The one question is whichever comes first: somebody's, or that of whoever watches the member.

use std::time::Duration;

use base::backoff::Backoff;
use rand::Rng;
use tokio::time::Instant;

/// Failures in a row after which a member is not asked any more. Fewer: one lost packet costs answers; more: a dead
/// member costs more questions their time.
pub(super) const FAILURES: u32 = 3;
/// How long it is then left alone at first, and at most.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

pub(super) struct Breaker {
    state: State,
    failures: u32,
    rest: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One question may pass; while it is under way, until when it is waited for.
    HalfOpen {
        trying: Option<Instant>,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { state: State::Closed, failures: 0, rest: Backoff::new(SHORTEST, LONGEST) }
    }
}

impl Breaker {
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Failures since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether a question may pass. `alive` says whether the member is heard of otherwise: only then is a question
    /// spent on finding out. `patience` is how long that one may take.
    pub(super) fn admit(&mut self, now: Instant, alive: bool, patience: Duration) -> bool {
        let passes = match self.state {
            State::Closed => return true,
            State::Open { until } => alive && now >= until,
            State::HalfOpen { trying } => alive && trying.is_none_or(|until| now >= until),
        };
        if passes {
            self.state = State::HalfOpen { trying: now.checked_add(patience) };
        }
        passes
    }

    /// When a question may pass next, where none may now.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        match self.state {
            State::Closed | State::HalfOpen { trying: None } => None,
            State::Open { until } | State::HalfOpen { trying: Some(until) } => Some(until),
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.state = State::Closed;
        self.failures = 0;
        self.rest.reset();
    }

    pub(super) fn failed(&mut self, now: Instant, rng: &mut impl Rng) {
        self.failures = self.failures.saturating_add(1);
        match self.state {
            State::Closed if self.failures < FAILURES => {}
            // Asked before it was opened.
            State::Open { .. } => {}
            State::Closed | State::HalfOpen { .. } => {
                self.state = State::Open { until: now + self.rest.next_wait(rng) };
            }
        }
    }

    /// The member could be reached again after it could not: one question may find out at once.
    pub(super) fn reached(&mut self) {
        if let State::Open { .. } = self.state {
            self.state = State::HalfOpen { trying: None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut b = Breaker::default();
        for i in 0..FAILURES {
            assert!(b.is_closed() && b.admit(now, true, SHORTEST), "{i}");
            b.failed(now, &mut rand::rng());
        }
        b
    }

    #[tokio::test]
    async fn it_opens_after_failures_in_a_row_and_lets_one_question_pass_later() {
        let now = Instant::now();
        let mut b = opened(now);
        assert!(!b.is_closed() && !b.admit(now, true, SHORTEST));
        let later = now + SHORTEST;
        assert!(!b.admit(later, false, SHORTEST), "nothing is spent on one that is not heard of");
        assert!(b.admit(later, true, SHORTEST) && !b.admit(later, true, SHORTEST));
        // A question that never says what became of it does not keep it shut.
        assert!(b.admit(later + SHORTEST, true, SHORTEST));
        b.failed(later, &mut rand::rng());
        assert!(!b.admit(later + SHORTEST / 2, true, SHORTEST));
        b.reached();
        assert!(b.admit(later, true, SHORTEST));
        b.succeeded();
        assert!(b.is_closed() && b.failures() == 0);
    }

    #[tokio::test]
    async fn a_success_between_failures_keeps_it_closed_and_stragglers_do_not_keep_it_open_longer() {
        let now = Instant::now();
        let mut b = Breaker::default();
        for _ in 0..10 {
            b.failed(now, &mut rand::rng());
            b.failed(now, &mut rand::rng());
            b.succeeded();
        }
        assert!(b.is_closed());
        let mut b = opened(now);
        (0..50).for_each(|_| b.failed(now, &mut rand::rng()));
        assert!(b.admit(now + SHORTEST, true, SHORTEST));
    }
}
