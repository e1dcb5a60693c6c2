//! What a link carries: so many bytes a second, and who goes first.
//!
//! ```text
//! a lane asks for the bytes of its next request ─► it waits until the link owes nothing
//!   first   a lower class that was kept from its guaranteed share for long enough
//!   then    the highest class that asks
//! what was really sent is told afterwards, and the link owes it
//! ```
//! A request that has begun is not interrupted, so requests are cut to what the link carries in [`Budget::quantum`]: no
//! class waits longer than that for one below it.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use base::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Class;

/// What may go over a link, and what gives way when it does not suffice.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Destinations of one name share the bytes; they must agree on everything here. Empty for a link of one's own.
    pub link: String,
    pub bytes_per_second: u64,
    /// How long one request may take of the link. Smaller: higher classes wait less, and more is spent on headers.
    pub quantum: Duration,
    pub guaranteed: Shares,
    pub ladder: Ladder,
}

/// Percent of the link that a class gets at least, while it has something to send. What is above goes by priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    pub metrics: u8,
    pub traces: u8,
    pub logs: u8,
}

/// What is done to a class that falls behind: it waits, then it is thinned, step by step, and at last its oldest is dropped.
/// Critical items wait, and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// Behind by more than this, a class is thinned by one step more with each request, and less once it is half as far
    /// behind.
    pub thin_after: Duration,
    /// Metrics keep one sample of a series in this time; twice as long with each step more. None: they are never thinned.
    pub aggregate: Option<Duration>,
    /// Of traces half are kept, then a quarter and so on, each whole.
    pub sample_traces: bool,
    /// The same for log records; errors are all kept.
    pub sample_logs: bool,
    /// Steps at most: 6 keep one of 64.
    pub max_steps: u8,
    /// Behind by more than this though thinned as far as may be, the oldest is dropped.
    pub drop_after: Duration,
}

impl Default for Shares {
    fn default() -> Self {
        Shares { metrics: 10, traces: 5, logs: 5 }
    }
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder {
            thin_after: Duration::from_secs(60),
            aggregate: Some(Duration::from_secs(60)),
            sample_traces: true,
            sample_logs: true,
            max_steps: 6,
            drop_after: Duration::from_secs(3600),
        }
    }
}

impl Budget {
    pub fn new(bytes_per_second: u64) -> Self {
        Budget {
            link: String::new(),
            bytes_per_second,
            quantum: Duration::from_millis(500),
            guaranteed: Shares::default(),
            ladder: Ladder::default(),
        }
    }

    /// What is wrong with it: the setting, its value, what is wanted.
    pub(crate) fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let Shares { metrics, traces, logs } = self.guaranteed;
        let sum = u32::from(metrics) + u32::from(traces) + u32::from(logs);
        if self.bytes_per_second == 0 {
            return Some(("budget", "0".to_owned(), "at least a byte per second"));
        }
        if self.quantum.is_zero() {
            return Some(("budget quantum", "0".to_owned(), "more than nothing"));
        }
        if sum > 50 {
            return Some((
                "budget guaranteed",
                format!("{sum} %"),
                "at most 50 %, the rest goes by priority",
            ));
        }
        if self.ladder.max_steps > 16 {
            return Some(("budget max_steps", self.ladder.max_steps.to_string(), "at most 16"));
        }
        if self.ladder.aggregate.is_some_and(|d| d < Duration::from_millis(1)) {
            return Some(("budget aggregate", "0".to_owned(), "at least 1 ms"));
        }
        None
    }

    fn share(&self, class: Class) -> f64 {
        let percent = match class {
            Class::Critical => 0,
            Class::Metrics => self.guaranteed.metrics,
            Class::Traces => self.guaranteed.traces,
            Class::Logs => self.guaranteed.logs,
        };
        f64::from(percent) / 100.0
    }

    fn quantum_bytes(&self) -> f64 {
        (self.bytes_per_second as f64 * self.quantum.as_secs_f64()).max(1.0)
    }
}

/// Counts the bytes that a delivery put on the wire, where its link has a budget.
#[derive(Debug, Clone, Default)]
pub struct Meter(Option<Arc<AtomicU64>>);

impl Meter {
    pub(crate) fn wanted() -> Self {
        Meter(Some(Arc::default()))
    }

    /// Whether anybody wants to know.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// A destination says what it sent.
    pub fn sent(&self, bytes: usize) {
        if let Some(total) = &self.0 {
            total.fetch_add(bytes as u64, Relaxed);
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |total| total.load(Relaxed))
    }
}

/// What was sent does not tell deliveries apart.
impl PartialEq for Meter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Lets requests onto a link.
pub(crate) struct Governor {
    pub(crate) budget: Budget,
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    at_ns: i64,
    /// Bytes the link has left; below zero it owes them.
    left: f64,
    by_class: [Of; Class::ALL.len()],
}

#[derive(Clone, Copy)]
struct Of {
    /// Lanes that ask.
    asking: u32,
    /// Bytes of its guaranteed share that it was kept from.
    owed: f64,
    /// Bytes on the wire for each byte in memory, lately.
    ratio: f64,
}

/// A request that may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Admitted {
    class: Class,
    memory_bytes: usize,
    /// Bytes on the wire that were taken off what is left.
    expected: f64,
    /// It did not go at once.
    pub(crate) waited: bool,
}

/// Who asks, until it goes or is dropped.
struct Asking<'a>(&'a Governor, Class);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let Some(of) = state.by_class.get_mut(self.1 as usize) {
            of.asking = of.asking.saturating_sub(1);
        }
        drop(state);
        self.0.changed.notify_waiters();
    }
}

impl Governor {
    pub(crate) fn new(budget: Budget, clock: Clock) -> Self {
        // Until something is known of them, items are believed to need as much on the wire as in memory.
        let of = Of { asking: 0, owed: 0.0, ratio: 1.0 };
        let state = State { at_ns: clock.now_ns(), left: 0.0, by_class: [of; Class::ALL.len()] };
        Governor { budget, clock, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Bytes in memory that a request of the class may have.
    pub(crate) fn request_bytes(&self, class: Class) -> usize {
        let ratio = self.state.lock().by_class.get(class as usize).map_or(1.0, |of| of.ratio);
        (self.budget.quantum_bytes() / ratio.max(0.001)) as usize
    }

    /// Waits until a request of so many bytes in memory may go.
    pub(crate) async fn admit(&self, class: Class, memory_bytes: usize) -> Admitted {
        let mut waited = false;
        if let Some(of) = self.state.lock().by_class.get_mut(class as usize) {
            of.asking += 1;
        }
        let asking = Asking(self, class);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let asked = self.state.lock().ask(&self.budget, self.clock.now_ns(), class, memory_bytes);
            match asked {
                Ok(expected) => {
                    drop(asking);
                    return Admitted { class, memory_bytes, expected, waited };
                }
                Err(wait) => tokio::select! {
                    () = self.clock.sleep(wait) => {}
                    () = changed => {}
                },
            }
            waited = true;
        }
    }

    /// What an admitted request really was on the wire.
    pub(crate) fn settle(&self, admitted: Admitted, wire_bytes: u64) {
        // Who does not say what it sent is believed to have sent what it was given.
        let wire_bytes = if wire_bytes == 0 { admitted.memory_bytes as u64 } else { wire_bytes };
        self.state.lock().settle(admitted, wire_bytes as f64);
        self.changed.notify_waiters();
    }
}

impl State {
    /// The bytes it is expected to be on the wire, which are taken off; or how long to wait before asking again.
    fn ask(&mut self, b: &Budget, now_ns: i64, class: Class, memory_bytes: usize) -> Result<f64, Duration> {
        self.refill(b, now_ns);
        if self.left < 0.0 {
            let seconds = -self.left / b.bytes_per_second as f64;
            return Err(Duration::from_secs_f64(seconds.clamp(0.001, 60.0)));
        }
        if self.first(b) != Some(class) {
            // Whoever goes first says so when it has gone.
            return Err(b.quantum.max(Duration::from_millis(1)));
        }
        let Some(of) = self.by_class.get_mut(class as usize) else { return Ok(0.0) };
        let expected = memory_bytes as f64 * of.ratio;
        of.owed -= expected;
        self.left -= expected;
        Ok(expected)
    }

    fn refill(&mut self, b: &Budget, now_ns: i64) {
        let seconds = now_ns.saturating_sub(self.at_ns).max(0) as f64 / 1e9;
        self.at_ns = self.at_ns.max(now_ns);
        let bytes = seconds * b.bytes_per_second as f64;
        // What was not used is gone but for a quantum: the link is not faster later.
        self.left = (self.left + bytes).min(b.quantum_bytes());
        for class in Class::ALL {
            if let Some(of) = self.by_class.get_mut(class as usize) {
                let owed = if of.asking > 0 { of.owed + bytes * b.share(class) } else { of.owed };
                of.owed = owed.clamp(-b.quantum_bytes(), 2.0 * b.quantum_bytes());
            }
        }
    }

    /// The class that goes next.
    fn first(&self, b: &Budget) -> Option<Class> {
        let asks = |class: &Class| self.by_class.get(*class as usize).is_some_and(|of| of.asking > 0);
        let owed = |class: &Class| self.by_class.get(*class as usize).map_or(0.0, |of| of.owed);
        let starved = Class::ALL.into_iter().filter(asks).find(|c| owed(c) >= b.quantum_bytes());
        starved.or_else(|| Class::ALL.into_iter().find(asks))
    }

    fn settle(&mut self, a: Admitted, wire_bytes: f64) {
        let Some(of) = self.by_class.get_mut(a.class as usize) else { return };
        of.owed -= wire_bytes - a.expected;
        self.left -= wire_bytes - a.expected;
        if a.memory_bytes > 0 && wire_bytes > 0.0 {
            of.ratio = 0.8 * of.ratio + 0.2 * (wire_bytes / a.memory_bytes as f64);
        }
    }
}

#[cfg(test)]
mod tests;
