//! Hands what was recorded to the collectors. Each collector has a lane per signal: a queue of encoded
//! requests and one task that sends them in order. A collector that is away, or stands still, costs the others
//! nothing; its lane keeps what fits and then drops the oldest, which is counted and told.
//!
//! Spans and lines have one lane each, to the first collector. Metrics are collected once and handed to every
//! collector in the same bytes, so that replicas of a cluster hold the same samples.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use base::{Clock, Shutdown};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    ShopOptions, Tell,
    record::{Recorder, Taken},
};
use crate::{
    Protocol, Result, Signal, WriteOptions,
    payload::Payload,
    send::{Outcome, Sender},
};

/// Requests, and bytes of them, that a lane keeps while its collector is away: minutes of a demonstration's load.
/// More: longer absences lose nothing. Fewer: less memory.
const MAX_WAITING: usize = 128;
const MAX_WAITING_BYTES: usize = 8 << 20;
/// Between two attempts while a collector is away.
const RETRY: Duration = Duration::from_secs(1);
/// Between two lines about drops of one lane.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What became of the items of a signal. Metrics count once for each collector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Delivered {
    /// Acknowledged.
    pub sent: u64,
    /// Refused by the collector.
    pub refused: u64,
    /// Given up: no room to keep them, or the collector was away at the end.
    pub dropped: u64,
}

impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} refused, {} dropped", self.sent, self.refused, self.dropped)
    }
}

pub(super) struct Exporter {
    recorder: Arc<Recorder>,
    lanes: Vec<Lane>,
    export_every: Duration,
    metrics_every: Duration,
    clock: Clock,
}

impl Exporter {
    pub(super) fn new(o: &ShopOptions, recorder: Arc<Recorder>, clock: &Clock, tell: Tell) -> Result<Self> {
        let lane = |signal, target: &String| Lane::new(o, signal, target, &recorder, clock, &tell);
        let first = o.otlp.first().into_iter();
        let lanes = first
            .flat_map(|t| [lane(Signal::Traces, t), lane(Signal::Logs, t)])
            .chain(o.otlp.iter().map(|t| lane(Signal::Metrics, t)))
            .collect::<Result<_>>()?;
        Ok(Exporter {
            lanes,
            export_every: o.export_every,
            metrics_every: o.metrics_every,
            clock: clock.clone(),
            recorder,
        })
    }

    /// Exports until `stop` starts, then what is left, once. Spans, lines and points, in this order.
    pub(super) async fn run(&self, stop: &Shutdown) -> [Delivered; 3] {
        // Lanes end after the last requests were queued.
        let queued = Shutdown::new();
        let collecting = async {
            tokio::join!(
                self.every(self.export_every, stop, || self.collect_items()),
                self.every(self.metrics_every, stop, || self.collect_metrics()),
            );
            queued.start();
        };
        tokio::join!(collecting, join_all(self.lanes.iter().map(|l| l.run(&queued))));
        [Signal::Traces, Signal::Logs, Signal::Metrics].map(|signal| {
            let lanes = self.lanes.iter().filter(|l| l.signal == signal);
            lanes.map(|l| l.queue.lock().delivered).fold(Delivered::default(), |a, b| Delivered {
                sent: a.sent + b.sent,
                refused: a.refused + b.refused,
                dropped: a.dropped + b.dropped,
            })
        })
    }

    /// Collects on a grid, and once more at the end.
    async fn every(&self, interval: Duration, stop: &Shutdown, collect: impl Fn()) {
        while !stop.is_started() {
            tokio::select! {
                () = self.clock.sleep(interval) => {}
                () = stop.started() => {}
            }
            collect();
        }
    }

    fn collect_items(&self) {
        let spans = self.recorder.take_spans();
        let lines = self.recorder.take_lines();
        for (signal, taken) in [(Signal::Traces, spans), (Signal::Logs, lines)] {
            let lanes: Vec<&Lane> = self.lanes.iter().filter(|l| l.signal == signal).collect();
            for lane in lanes {
                lane.take(&taken);
            }
        }
    }

    fn collect_metrics(&self) {
        let (body, items) = self.recorder.metrics();
        let payload = Payload::Http(body.into());
        for lane in self.lanes.iter().filter(|l| l.signal == Signal::Metrics) {
            lane.push(Parcel { payload: payload.clone(), items });
        }
    }
}

/// An encoded request.
struct Parcel {
    payload: Payload,
    items: u64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Parcel>,
    bytes: usize,
    delivered: Delivered,
    /// Dropped since it was last told.
    untold: u64,
}

/// One signal to one collector.
struct Lane {
    signal: Signal,
    target: String,
    sender: Sender,
    queue: Mutex<Queue>,
    filled: Notify,
    recorder: Arc<Recorder>,
    clock: Clock,
    tell: Tell,
}

impl Lane {
    fn new(
        o: &ShopOptions,
        signal: Signal,
        target: &str,
        recorder: &Arc<Recorder>,
        clock: &Clock,
        tell: &Tell,
    ) -> Result<Self> {
        // A base URL may have a path; the sender would take it for the whole address.
        let path = match signal {
            Signal::Metrics => "v1/metrics",
            Signal::Logs => "v1/logs",
            Signal::Traces => "v1/traces",
        };
        let sender = Sender::new(&WriteOptions {
            target: format!("{}/{path}", target.trim_end_matches('/')),
            protocol: Protocol::OtlpHttp,
            signal,
            timeout: o.timeout,
            ..WriteOptions::default()
        })?;
        Ok(Lane {
            signal,
            target: target.to_owned(),
            sender,
            queue: Mutex::default(),
            filled: Notify::new(),
            recorder: recorder.clone(),
            clock: clock.clone(),
            tell: tell.clone(),
        })
    }

    /// Queues what was recorded.
    fn take(&self, taken: &Taken) {
        if taken.lost > 0 {
            self.drop_items(&mut self.queue.lock(), taken.lost, "too many between two exports");
        }
        let encoded = taken.batch.as_ref().and_then(|b| Payload::encode(Protocol::OtlpHttp, b));
        if let Some(payload) = encoded {
            self.push(Parcel { payload, items: taken.items });
        }
    }

    fn push(&self, parcel: Parcel) {
        let mut queue = self.queue.lock();
        queue.bytes += parcel.payload.len();
        queue.waiting.push_back(parcel);
        self.shrink(&mut queue);
        drop(queue);
        self.filled.notify_one();
    }

    /// Drops the oldest until the rest fits.
    fn shrink(&self, queue: &mut Queue) {
        while queue.waiting.len() > MAX_WAITING || queue.bytes > MAX_WAITING_BYTES {
            let Some(oldest) = queue.waiting.pop_front() else { break };
            queue.bytes = queue.bytes.saturating_sub(oldest.payload.len());
            self.drop_items(queue, oldest.items, "collector away");
        }
    }

    fn drop_items(&self, queue: &mut Queue, items: u64, reason: &str) {
        queue.delivered.dropped += items;
        queue.untold += items;
        self.recorder.count(|c| c.dropped(self.signal.as_str(), reason, items));
    }

    /// Sends what is queued. Once `end` has started everything gets one more attempt, up to the first that is
    /// not answered.
    async fn run(&self, end: &Shutdown) {
        let mut away = Away::default();
        loop {
            let ending = end.is_started();
            let reached = self.send_all(&mut away).await;
            if ending {
                return self.give_up(&away);
            }
            if reached {
                tokio::select! {
                    () = self.filled.notified() => {}
                    () = end.started() => {}
                }
            } else {
                tokio::select! {
                    () = self.clock.sleep(RETRY) => {}
                    () = end.started() => {}
                }
            }
        }
    }

    /// `false` when the collector did not take one now and may later.
    async fn send_all(&self, away: &mut Away) -> bool {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.waiting.pop_front();
                queue.bytes -= next.as_ref().map_or(0, |p| p.payload.len()).min(queue.bytes);
                next
            };
            let Some(parcel) = next else { return true };
            let outcome = self.sender.send(&parcel.payload).await;
            let mut queue = self.queue.lock();
            match outcome {
                Outcome::Acknowledged { refused } => {
                    let refused = refused.min(parcel.items);
                    queue.delivered.sent += parcel.items - refused;
                    queue.delivered.refused += refused;
                    away.over(self, &mut queue);
                }
                Outcome::Refused(why) => {
                    queue.delivered.refused += parcel.items;
                    self.recorder.count(|c| c.dropped(self.signal.as_str(), "refused", parcel.items));
                    (self.tell)(format!("{} refuses {}: {why}", self.target, self.signal));
                }
                Outcome::Later(why) => {
                    queue.bytes += parcel.payload.len();
                    queue.waiting.push_front(parcel);
                    self.shrink(&mut queue);
                    away.goes_on(self, &mut queue, why);
                    return false;
                }
            }
        }
    }

    /// The end: what nobody took is dropped.
    fn give_up(&self, away: &Away) {
        let mut queue = self.queue.lock();
        let left: u64 = queue.waiting.drain(..).map(|p| p.items).sum();
        queue.bytes = 0;
        if left > 0 {
            self.drop_items(&mut queue, left, "collector away at the end");
        }
        let untold = std::mem::take(&mut queue.untold);
        if untold > 0 {
            let why = away.why.as_deref().unwrap_or("no room");
            (self.tell)(format!("{untold} items of {} for {} were dropped: {why}", self.signal, self.target));
        }
    }
}

/// A collector's absence, told when it begins and ends, and now and then while something is dropped.
#[derive(Default)]
struct Away {
    why: Option<String>,
    told: Option<std::time::Instant>,
}

impl Away {
    fn goes_on(&mut self, lane: &Lane, queue: &mut Queue, why: String) {
        let now = lane.clock.monotonic();
        let (signal, target) = (lane.signal, &lane.target);
        if self.why.is_none() {
            (lane.tell)(format!("{target} takes no {signal}, they are kept meanwhile: {why}"));
            self.told = Some(now);
        } else if queue.untold > 0 && self.told.is_none_or(|t| now.duration_since(t) >= TELL_EVERY) {
            let untold = std::mem::take(&mut queue.untold);
            (lane.tell)(format!("{untold} items of {signal} for {target} were dropped: {why}"));
            self.told = Some(now);
        }
        self.why = Some(why);
    }

    fn over(&mut self, lane: &Lane, queue: &mut Queue) {
        if self.why.take().is_some() {
            let (signal, target, untold) = (lane.signal, &lane.target, std::mem::take(&mut queue.untold));
            (lane.tell)(format!("{target} takes {signal} again, {untold} items were dropped meanwhile"));
        }
    }
}

#[cfg(test)]
mod tests;
