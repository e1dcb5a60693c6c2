//! Time comes from outside. Production uses [`Clock::system`]; simulations and tests use
//! [`Clock::manual`], which stands still until it is told to advance.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// A cheap handle to wall time (Unix, UTC) and to sleeping.
#[derive(Clone)]
pub struct Clock(Inner);

#[derive(Clone)]
enum Inner {
    System,
    Manual(Arc<Mutex<Manual>>),
}

struct Manual {
    now_ns: i64,
    next_id: u64,
    sleepers: BTreeMap<(i64, u64), oneshot::Sender<()>>,
}

impl Clock {
    pub fn system() -> Self {
        Clock(Inner::System)
    }

    /// A clock that starts at `now_ns` (nanoseconds since 1970) and moves only by [`Clock::advance`].
    pub fn manual(now_ns: i64) -> Self {
        Clock(Inner::Manual(Arc::new(Mutex::new(Manual { now_ns, next_id: 0, sleepers: BTreeMap::new() }))))
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[allow(clippy::disallowed_methods)] // The one place that may ask the system.
    pub fn now_ns(&self) -> i64 {
        match &self.0 {
            Inner::System => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| d.as_nanos() as i64),
            Inner::Manual(m) => m.lock().now_ns,
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_ms(&self) -> i64 {
        self.now_ns().div_euclid(1_000_000)
    }

    /// Monotonic reading for measuring durations; never compared across processes.
    pub fn monotonic(&self) -> Instant {
        Instant::now()
    }

    /// Sleeps for `d`. On a manual clock the sleeper wakes when `advance` has passed its time.
    pub async fn sleep(&self, d: Duration) {
        match &self.0 {
            Inner::System => tokio::time::sleep(d).await,
            Inner::Manual(m) => {
                let wake = {
                    let mut m = m.lock();
                    let (tx, rx) = oneshot::channel();
                    let at = m.now_ns.saturating_add(d.as_nanos() as i64);
                    let id = m.next_id;
                    m.next_id += 1;
                    m.sleepers.insert((at, id), tx);
                    rx
                };
                let _ = wake.await;
            }
        }
    }

    /// How many sleep on a manual clock: a simulation moves it on once everyone waits. 0 on a system clock.
    pub fn sleepers(&self) -> usize {
        match &self.0 {
            Inner::System => 0,
            Inner::Manual(m) => m.lock().sleepers.values().filter(|s| !s.is_closed()).count(),
        }
    }

    /// Moves a manual clock forward and wakes whoever is due, earliest first. No effect on a system clock.
    pub fn advance(&self, d: Duration) {
        if let Inner::Manual(m) = &self.0 {
            let due = {
                let mut m = m.lock();
                m.now_ns = m.now_ns.saturating_add(d.as_nanos() as i64);
                let first_later = (m.now_ns.saturating_add(1), 0);
                let later = m.sleepers.split_off(&first_later);
                std::mem::replace(&mut m.sleepers, later)
            };
            for (_, wake) in due {
                let _ = wake.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_only_when_their_time_has_come() {
        let clock = Clock::manual(0);
        let c = clock.clone();
        let task = tokio::spawn(async move {
            c.sleep(Duration::from_secs(5)).await;
            c.now_ns()
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(4));
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        assert_eq!(clock.sleepers(), 1);
        clock.advance(Duration::from_secs(2));
        assert_eq!(task.await.unwrap(), 6_000_000_000);
    }
}
