//! What is counted about peers, beside what becomes of questions (`crate::counts`).

use base::metrics::{Counters, Gauges, Metrics, Pairs};

use super::{Io, PeerSettings, counted::Counted};
use crate::member::title;

#[derive(Clone)]
pub(super) struct LinkCounts {
    up: Gauges,
    open: Gauges,
    connections: Counters,
    received: Counters,
    sent: Counters,
    refused: Counters,
    unheard: Counters,
    dialled: Counters,
}

impl LinkCounts {
    pub(super) fn register(metrics: &Metrics) -> Self {
        LinkCounts {
            up: metrics.gauges("peer_up", "Whether a peer said who it is when last asked."),
            open: metrics.gauges("peer_breaker_open", "Whether a peer is not asked, as it failed too often."),
            connections: metrics.counters("peer_connections", "Connections made to a peer."),
            received: metrics.counters(
                "peer_received_bytes",
                "Bytes read from connections to a peer, inside TLS: answers, and what keeps them open.",
            ),
            sent: metrics.counters(
                "peer_sent_bytes",
                "Bytes written to connections to a peer, inside TLS: questions, and what keeps them open.",
            ),
            refused: metrics.counters("peer_not_asked", "Questions that a peer was spared after failures."),
            unheard: metrics.counters(
                "peer_announcements_missed",
                "Times a peer was asked in vain who it is, by peer and class of reason.",
            ),
            dialled: metrics.counters(
                "peer_dialled",
                "Connections that peers dialled to be asked over, by outcome: taken, or why not.",
            ),
        }
    }

    pub(super) fn show(&self, peer: &PeerSettings, up: bool, closed: bool) {
        self.up.get_or_create(&pairs(peer)).set(i64::from(up));
        self.open.get_or_create(&pairs(peer)).set(i64::from(!closed));
    }

    pub(super) fn connected(&self, peer: &PeerSettings) {
        self.connections.get_or_create(&pairs(peer)).inc();
    }

    /// The connection, its bytes counted from now on.
    pub(super) fn counted(&self, peer: &PeerSettings, inner: Box<dyn Io>) -> Box<dyn Io> {
        let labels = pairs(peer);
        // Handles of their own: looking up a family for every packet would lock it.
        let received = self.received.get_or_create(&labels).clone();
        let sent = self.sent.get_or_create(&labels).clone();
        Box::new(Counted { inner, received, sent })
    }

    pub(super) fn refused(&self, peer: &PeerSettings) {
        self.refused.get_or_create(&pairs(peer)).inc();
    }

    pub(super) fn unheard(&self, peer: &PeerSettings, reason: &'static str) {
        let mut labels = pairs(peer);
        labels.push(("reason", reason.to_owned()));
        self.unheard.get_or_create(&labels).inc();
    }

    pub(super) fn dialled(&self, outcome: &'static str) {
        self.dialled.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    /// A peer that is gone has no state any more; what was counted stays.
    pub(super) fn forget(&self, peer: &PeerSettings) {
        self.up.remove(&pairs(peer));
        self.open.remove(&pairs(peer));
    }
}

fn pairs(peer: &PeerSettings) -> Pairs {
    vec![("peer", title(&peer.name, peer.replica.as_deref()))]
}
