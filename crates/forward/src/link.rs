//! One destination at work: the addresses it has, and one request until it is settled.

use std::{sync::Arc, time::Duration};

use base::backoff::Backoff;
use model::{Batch, BatchId};
use parking_lot::Mutex;

use crate::{
    Class,
    budget::{Admitted, Budget, Governor, Meter},
    core::Core,
    destination::{Delivery, Destination, Outcome},
    health::Health,
    ledger::{Lane, Settled, source},
    pieces::halves,
    stats::Stats,
};

/// Requests under way are waited for this long when the forwarder is closed.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// How often a request may be cut in halves; numbers of epochs leave room for this many.
const MAX_PATH: u64 = 1 << 15;
/// At most one line in this long about a destination that does not take what it is sent.
const LOG_EVERY_NS: i64 = 10_000_000_000;

/// Bounds of what is done for one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Items of one request.
    pub max_batch_items: usize,
    /// Bytes of one request, as held in memory; on the wire it is smaller. A single larger item is sent as it is.
    pub max_batch_bytes: usize,
    /// How far it may be behind in the queue, in bytes; the oldest is dropped then.
    pub max_backlog_bytes: u64,
    /// What the link to it carries. None: as much as there is.
    pub budget: Option<Budget>,
    /// The first wait after a request was not taken; later ones double.
    pub min_backoff: Duration,
    pub max_backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_batch_items: 8192,
            max_batch_bytes: 2 << 20,
            max_backlog_bytes: 8 << 30,
            budget: None,
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(30),
        }
    }
}

pub(crate) struct Link {
    pub(crate) core: Arc<Core>,
    pub(crate) name: String,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) limits: Limits,
    pub(crate) governor: Option<Arc<Governor>>,
    pub(crate) health: Health,
    pub(crate) stats: Stats,
    logged_ns: Mutex<i64>,
    seen: Mutex<Seen>,
}

/// How sending goes, for people to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Place of the address in use in the order of preference.
    pub address: usize,
    /// When a request was last answered item by item, nanoseconds since 1970; 0 for never.
    pub answered_ns: i64,
    /// When one was last not taken, and what was said.
    pub failed_ns: i64,
    pub failure: String,
}

/// Bytes of a failure that are shown.
const SHOWN: usize = 300;

/// Why a request was not brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The destination is too far behind.
    Overflow,
    /// The forwarder is closed.
    Closing,
}

/// What one round with a request led to.
enum Round {
    Done(Settled),
    /// Of what was sent, this is left.
    Left(Settled, Box<Delivery>, Option<Duration>),
    Halves(Box<[Delivery; 2]>),
}

impl Link {
    pub(crate) fn new(
        core: Arc<Core>,
        name: String,
        destination: Arc<dyn Destination>,
        limits: Limits,
        governor: Option<Arc<Governor>>,
        stats: Stats,
    ) -> Self {
        let health = Health::new(destination.addresses());
        stats.address(&name, 0, false);
        let logged_ns = Mutex::new(i64::MIN);
        Link { core, name, destination, limits, governor, health, stats, logged_ns, seen: Mutex::default() }
    }

    /// Bytes in memory that a request of the class may have now.
    pub(crate) fn request_bytes(&self, class: Class) -> usize {
        let of_link = self.governor.as_ref().map_or(usize::MAX, |g| g.request_bytes(class));
        self.limits.max_batch_bytes.min(of_link).max(1)
    }

    /// How sending goes.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    fn see(&self, address: usize, outcome: &Outcome) {
        let now_ns = self.core.clock.now_ns();
        let mut seen = self.seen.lock();
        seen.address = address;
        let detail = match outcome {
            Outcome::Answered { .. } => {
                seen.answered_ns = now_ns;
                return;
            }
            Outcome::Refused { detail, .. }
            | Outcome::TooLarge { detail }
            | Outcome::Later { detail, .. } => detail,
        };
        seen.failed_ns = now_ns;
        seen.failure = detail.chars().take(SHOWN).collect();
    }

    pub(crate) fn is_overfull(&self, lane: usize) -> bool {
        self.core.book.backlog(lane) > self.limits.max_backlog_bytes
    }

    /// The id of a lane's request: the source is this node, destination and class; the epoch is the lane's, and which
    /// half of a half it is; the sequence counts the requests of the lane, and one that is missing was given up.
    pub(crate) fn id(&self, lane: &Lane, sequence: u64) -> BatchId {
        let source = source(self.core.book.node(), &lane.destination, lane.class);
        BatchId::Numbered { source, epoch: lane.epoch << 16 | 1, sequence }
    }

    /// Sends until every item is settled, or it has to end before. What was settled by then is returned.
    pub(crate) async fn deliver(&self, lane: usize, whole: Delivery) -> (Settled, Option<Halt>) {
        let mut settled = Settled::default();
        let mut is_deferred = false;
        let items = whole.items();
        let mut todo = vec![whole];
        let mut backoff = Backoff::new(self.limits.min_backoff, self.limits.max_backoff);
        while let Some(delivery) = todo.pop() {
            if let Some(halt) = self.must_halt(lane) {
                return (settled, Some(halt));
            }
            let Some(admitted) = self.admit(&delivery).await else {
                return (settled, Some(Halt::Closing));
            };
            if admitted.is_some_and(|a| a.waited) && !std::mem::replace(&mut is_deferred, true) {
                self.core.book.deferred(lane, items);
            }
            match self.round(delivery, admitted).await {
                None => return (settled, Some(Halt::Closing)),
                Some(Round::Done(more)) => {
                    add(&mut settled, more);
                    backoff.reset();
                }
                Some(Round::Halves(halves)) => todo.extend(halves.into_iter().rev()),
                Some(Round::Left(more, left, wait)) => {
                    add(&mut settled, more);
                    todo.push(*left);
                    let wait = wait.unwrap_or_else(|| backoff.next_wait(&mut rand::rng()));
                    if let Some(halt) = self.pause(lane, wait).await {
                        return (settled, Some(halt));
                    }
                }
            }
        }
        (settled, None)
    }

    fn must_halt(&self, lane: usize) -> Option<Halt> {
        if self.core.closing.is_started() {
            return Some(Halt::Closing);
        }
        self.is_overfull(lane).then_some(Halt::Overflow)
    }

    /// Waits; ends early where the request has to.
    async fn pause(&self, lane: usize, wait: Duration) -> Option<Halt> {
        let mut queued = self.core.book.watch();
        let sleep = self.core.clock.sleep(wait);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return None,
                () = self.core.closing.started() => return Some(Halt::Closing),
                _ = queued.changed() => {
                    if self.is_overfull(lane) {
                        return Some(Halt::Overflow);
                    }
                }
            }
        }
    }

    /// Waits for the link's budget, where it has one. None where the forwarder was closed before.
    async fn admit(&self, delivery: &Delivery) -> Option<Option<Admitted>> {
        let Some(governor) = &self.governor else { return Some(None) };
        tokio::select! {
            admitted = governor.admit(delivery.class, delivery.batch.heap_bytes()) => Some(Some(admitted)),
            () = self.core.closing.started() => None,
        }
    }

    /// Sends once. None where the forwarder was closed before there was an answer.
    async fn round(&self, mut delivery: Delivery, admitted: Option<Admitted>) -> Option<Round> {
        if admitted.is_some() {
            delivery.meter = Meter::wanted();
        }
        let address = self.health.choose(self.core.clock.now_ns());
        let outcome = tokio::select! {
            biased;
            outcome = self.destination.send(address, &delivery) => outcome,
            () = self.last_wait() => return None,
        };
        if let (Some(governor), Some(admitted)) = (&self.governor, admitted) {
            governor.settle(admitted, delivery.meter.bytes());
        }
        let up = !matches!(outcome, Outcome::Later { down: true, .. });
        let report = self.health.report(address, up, self.core.clock.now_ns());
        self.see(report.current, &outcome);
        self.stats.address(&self.name, report.current, report.switched);
        if report.switched {
            tracing::warn!(
                destination = self.name,
                address = report.current,
                "forwarding goes to another address"
            );
        }
        let items = delivery.items();
        let (name, round) = match outcome {
            Outcome::Answered { refused, again, detail } => {
                let n = refused.values().sum::<u64>() + again.len() as u64;
                let settled =
                    Settled { acknowledged: items.saturating_sub(n), refused, ..Settled::default() };
                if n > 0 {
                    self.say(n, &detail);
                }
                match again.is_empty() {
                    true => ("ok", Round::Done(settled)),
                    false => ("throttled", Round::Left(settled, Box::new(delivery.only(&again)), None)),
                }
            }
            Outcome::Refused { reason, detail } => {
                self.say(items, &detail);
                let mut settled = Settled::default();
                settled.refuse(reason, items);
                ("refused", Round::Done(settled))
            }
            Outcome::TooLarge { detail } => ("too_large", self.too_large(delivery, &detail)),
            Outcome::Later { after, down, detail } => {
                self.say(items, &detail);
                let wait = if report.other { Some(Duration::ZERO) } else { after };
                let name = if down { "down" } else { "throttled" };
                (name, Round::Left(Settled::default(), Box::new(delivery), wait.map(|w| self.bounded(w))))
            }
        };
        self.stats.attempt(&self.name, name);
        Some(round)
    }

    /// Nobody is believed who asks to wait for hours.
    fn bounded(&self, wait: Duration) -> Duration {
        wait.min(self.limits.max_backoff.max(Duration::from_secs(300)))
    }

    async fn last_wait(&self) {
        self.core.closing.started().await;
        self.core.clock.sleep(LAST_WAIT).await;
    }

    fn too_large(&self, delivery: Delivery, detail: &str) -> Round {
        let items = delivery.items();
        let path = |way: u64| match delivery.id {
            BatchId::Numbered { source, epoch, sequence } => {
                let path = ((epoch & 0xffff) << 1) | way;
                (path < MAX_PATH * 2).then_some(BatchId::Numbered {
                    source,
                    epoch: epoch >> 16 << 16 | path,
                    sequence,
                })
            }
            BatchId::Content(_) => None,
        };
        match (items > 1, path(0), path(1)) {
            (true, Some(first_id), Some(second_id)) => {
                let (first, second) = halves(&delivery.batch);
                let of = |id, batch: Batch| Delivery {
                    id,
                    batch,
                    tenant: delivery.tenant.clone(),
                    class: delivery.class,
                    positions: Vec::new(),
                    meter: Meter::default(),
                };
                Round::Halves(Box::new([of(first_id, first), of(second_id, second)]))
            }
            _ => {
                self.say(items, detail);
                let mut settled = Settled::default();
                settled.refuse("too_large", items);
                Round::Done(settled)
            }
        }
    }

    fn say(&self, items: u64, detail: &str) {
        let now = self.core.clock.now_ns();
        let mut logged = self.logged_ns.lock();
        if now.saturating_sub(*logged) >= LOG_EVERY_NS {
            *logged = now;
            tracing::warn!(destination = self.name, items, detail, "items were not taken");
        }
    }
}

fn add(into: &mut Settled, more: Settled) {
    into.acknowledged += more.acknowledged;
    for (reason, n) in more.refused {
        into.refuse(reason, n);
    }
}
