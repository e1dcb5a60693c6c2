//! What forwarding counts of itself. Counters go on from what was persisted, so that they agree with the ledger.

use base::{
    Metrics,
    metrics::{Counters, Gauges, Pairs},
};

use crate::{
    Account, Class,
    ledger::{Lane, Reasons, Settled},
};

#[derive(Clone)]
pub(crate) struct Stats {
    produced: Counters,
    acknowledged: Counters,
    refused: Counters,
    dropped: Counters,
    deferred: Counters,
    thinned: Gauges,
    attempts: Counters,
    switches: Counters,
    pending: Gauges,
    backlog: Gauges,
    lag: Gauges,
    address: Gauges,
}

impl Stats {
    pub(crate) fn new(m: &Metrics) -> Self {
        Stats {
            produced: m.counters(
                "forward_produced_items",
                "Items made durable in the queue, by destination, signal and class.",
            ),
            acknowledged: m.counters(
                "forward_acknowledged_items",
                "Items the destination said it has, by destination, signal and class.",
            ),
            refused: m.counters(
                "forward_refused_items",
                "Items the destination will never take, by destination, signal, class and reason.",
            ),
            dropped: m.counters(
                "forward_dropped_items",
                "Items given up here, by destination, signal, class and reason.",
            ),
            deferred: m.counters(
                "forward_deferred_items",
                "Items whose request had to wait for the budget of its link, by destination, signal and class.",
            ),
            thinned: m.gauges(
                "forward_thinning_step",
                "How far a class is thinned because its link is too narrow, 0 for not at all, by destination, signal and class.",
            ),
            attempts: m.counters(
                "forward_requests",
                "Requests sent, by destination and outcome: ok, refused, too_large, throttled, down.",
            ),
            switches: m
                .counters("forward_address_switches", "Changes of the address in use, by destination."),
            pending: m.gauges("forward_pending_items", "Items still to be sent, by destination, signal and class."),
            backlog: m.gauges(
                "forward_backlog_bytes",
                "Bytes of the queue behind the cursor, those for others among them, by destination, signal and class.",
            ),
            lag: m.register_seconds(
                "forward_lag",
                "Age of the oldest item still to be sent, by destination, signal and class.",
                Gauges::default(),
            ),
            address: m.gauges(
                "forward_address_in_use",
                "Place of the address in use in the order of preference, 0 for the first, by destination.",
            ),
        }
    }

    /// Goes on counting where an earlier life ended.
    pub(crate) fn resume(&self, lane: &Lane) {
        self.produced(lane, lane.produced);
        let before = Settled {
            acknowledged: lane.acknowledged,
            refused: lane.refused.clone(),
            dropped: lane.dropped.clone(),
        };
        self.settled(lane, &before);
        self.deferred(lane, lane.deferred);
    }

    pub(crate) fn deferred(&self, lane: &Lane, items: u64) {
        if items > 0 {
            self.deferred.get_or_create(&pairs(&lane.destination, lane.class)).inc_by(items);
        }
    }

    pub(crate) fn thinned(&self, lane: &Lane, step: u8) {
        self.thinned.get_or_create(&pairs(&lane.destination, lane.class)).set(i64::from(step));
    }

    pub(crate) fn produced(&self, lane: &Lane, items: u64) {
        self.produced.get_or_create(&pairs(&lane.destination, lane.class)).inc_by(items);
    }

    pub(crate) fn settled(&self, lane: &Lane, settled: &Settled) {
        let own = pairs(&lane.destination, lane.class);
        self.acknowledged.get_or_create(&own).inc_by(settled.acknowledged);
        count(&self.refused, &own, &settled.refused);
        count(&self.dropped, &own, &settled.dropped);
    }

    pub(crate) fn attempt(&self, destination: &str, outcome: &'static str) {
        let pairs = vec![("destination", destination.to_owned()), ("outcome", outcome.to_owned())];
        self.attempts.get_or_create(&pairs).inc();
    }

    pub(crate) fn address(&self, destination: &str, index: usize, switched: bool) {
        let own = vec![("destination", destination.to_owned())];
        self.address.get_or_create(&own).set(index as i64);
        if switched {
            self.switches.get_or_create(&own).inc();
        }
    }

    pub(crate) fn waits(&self, a: &Account) {
        let own = pairs(&a.destination, a.class);
        self.pending.get_or_create(&own).set(i64::try_from(a.pending).unwrap_or(i64::MAX));
        self.backlog.get_or_create(&own).set(i64::try_from(a.backlog_bytes).unwrap_or(i64::MAX));
        self.lag.get_or_create(&own).set(a.lag_seconds.round() as i64);
    }
}

fn count(into: &Counters, own: &Pairs, reasons: &Reasons) {
    for (reason, n) in reasons.iter().filter(|(_, n)| **n > 0) {
        let mut pairs = own.clone();
        pairs.push(("reason", reason.clone()));
        into.get_or_create(&pairs).inc_by(*n);
    }
}

fn pairs(destination: &str, class: Class) -> Pairs {
    vec![
        ("destination", destination.to_owned()),
        ("signal", class.signal().to_string()),
        ("class", class.as_str().to_owned()),
    ]
}
