//! What a node has of others: a list of peers that may change at any time, a task for each that keeps what it announces,
//! and the members a [`Federation`](crate::Federation) asks.
//!
//! ```text
//! settings ──► Peers::set ──► per peer: link (what is known) ◄── watch: connects, asks who it is, every 15 s
//!                               │         ▲
//!                               ▼         └── every question: latency, failures, breaker
//!                             Members ──► Federation: whom labels and time let be asked
//! ```
//! A peer that was never reached is a member all the same: by the labels of its settings it is asked, and found missing.
//! One that fails again and again is left alone until it is heard of again ([`breaker`]); that costs a question nothing
//! and is said in its coverage. Connections come from a [`Connector`], or from the peer itself where it dials this node
//! ([`Peers::dialled`]).

mod breaker;
mod connector;
mod counted;
mod counts;
mod latencies;
mod link;
mod recent;
mod select;
mod settings;
mod sift;
mod status;
mod watch;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use base::{Clock, Metrics, Shutdown};
use contract::Select;
use parking_lot::Mutex;

pub(crate) use self::connector::KEEP_ALIVE;
pub use self::{
    connector::{Connected, Connector, Io, Plain},
    link::Link,
    recent::Incomplete,
    settings::{Foreign, Own, PeerSettings, Source},
    status::{LinkState, PeerStatus},
};
use self::{counts::LinkCounts, recent::Recent, select::Linked};
use crate::{
    Member, Members, Replicas,
    member::title,
    peer::{Announcement, Asker, Client, Held},
    routes,
};

/// What [`Peers`] needs to begin.
pub struct Start {
    pub own: Own,
    /// Members that are no peers and stand before them: the node's own store, if it has one.
    pub fixed: Vec<Member>,
    /// What is declared of replicas beside what the peers' settings say.
    pub replicas: Replicas,
    pub connector: Arc<dyn Connector>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub shutdown: Shutdown,
}

/// The peers of a node. Clones share the list.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
    start: Start,
    counts: LinkCounts,
    recent: Arc<Recent>,
    members: Members,
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    source: Source,
    link: Arc<Link>,
    select: Arc<dyn Select>,
    /// Ends the task that watches it.
    shutdown: Shutdown,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shutdown.start();
    }
}

impl Peers {
    /// Without peers at first; see [`Peers::set`]. Registers metrics, so once per registry.
    pub fn start(start: Start) -> Self {
        let counts = LinkCounts::register(&start.metrics);
        let members = Members::new(start.fixed.clone(), start.replicas.clone());
        let recent = Arc::default();
        Peers(Arc::new(Inner { start, counts, recent, members, entries: Mutex::default() }))
    }

    /// The list that a federation asks; it changes with the peers.
    pub fn members(&self) -> Members {
        self.0.members.clone()
    }

    /// Makes these the peers. Those that stand in the list unchanged keep their connection and what is known of them;
    /// those that do not are forgotten, and questions that are under way to them come to their end.
    pub fn set(&self, sources: Vec<Source>) {
        let mut entries = self.0.entries.lock();
        let mut before = std::mem::take(&mut *entries);
        for source in sources {
            let entry = match before.iter().position(|e| e.source.is_same(&source)) {
                Some(at) => before.swap_remove(at),
                None => self.open(source),
            };
            entries.push(entry);
        }
        drop(before);
        self.0.refresh(&entries);
    }

    fn open(&self, source: Source) -> Entry {
        let Start { own, connector, clock, shutdown, .. } = &self.0.start;
        let shutdown = shutdown.child();
        let kind = source.foreign.as_ref().map(|f| f.kind);
        let (counts, recent) = (self.0.counts.clone(), self.0.recent.clone());
        let link = Arc::new(Link::new(source.settings.clone(), kind, clock.clone(), counts, recent));
        let inner = match &source.foreign {
            Some(foreign) => foreign.select.clone(),
            None => {
                let channel = connector::channel(link.clone(), connector.clone());
                let client = Client::new(channel, contract::Capabilities::default());
                let peers = Arc::downgrade(&self.0);
                let changed = move || refresh(&peers);
                let watch =
                    watch::watch(link.clone(), client.clone(), own.asker(), shutdown.clone(), changed);
                shutdown.spawn(watch);
                Arc::new(client)
            }
        };
        let foreign = source.foreign.is_some();
        let select = Arc::new(Linked { link: link.clone(), inner, foreign });
        Entry { source, link, select, shutdown }
    }

    /// Waits until every peer was reached, or could not be: at most for this long. Questions that come before wait for
    /// each by themselves.
    pub async fn ready(&self, within: Duration) {
        let links = self.links();
        let all = futures::future::join_all(links.iter().map(|l| l.was_tried()));
        // Whoever takes longer is found missing by the questions.
        let _ = tokio::time::timeout(within, all).await;
    }

    /// Of each peer, in the order of the list.
    pub fn status(&self) -> Vec<PeerStatus> {
        self.links().iter().map(|l| l.status()).collect()
    }

    /// The last parts of answers that were not whole, newest first.
    pub fn recent(&self) -> Vec<Incomplete> {
        self.0.recent.list()
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.0.entries.lock().iter().map(|e| e.link.clone()).collect()
    }

    /// What this node says of itself to one that asks; `held` is what its own store has.
    pub fn announcement(&self, asker: &Asker, held: Vec<Held>) -> Announcement {
        let own = &self.0.start.own;
        let peers: Vec<_> = self.links().iter().map(|l| l.as_beyond()).collect();
        let named = title(&asker.cluster, asker.replica.as_deref());
        let asker: Vec<String> = [named, asker.node.clone()].into_iter().filter(|n| !n.is_empty()).collect();
        Announcement {
            cluster: own.cluster.clone(),
            replica: own.replica.clone(),
            node: own.node.clone(),
            labels: own.labels.clone(),
            version: own.version.clone(),
            held,
            beyond: routes::beyond(&peers, &own.names(), &asker),
            ..Announcement::default()
        }
    }

    /// Takes a connection that a peer has dialled to be asked over. `proven` is the cluster its certificate names.
    /// False where no peer of that name is expected to dial.
    pub fn dialled(&self, who: &Asker, proven: Option<&str>, connected: Connected) -> bool {
        let refuse = |outcome: &'static str| {
            self.0.counts.dialled(outcome);
            let (cluster, proven) = (&who.cluster, proven.unwrap_or_default());
            tracing::warn!(cluster, proven, outcome, "a peer dialled this node and is not taken");
            false
        };
        if proven.is_some_and(|cluster| cluster != who.cluster) {
            return refuse("wrong_certificate");
        }
        let links = self.links();
        let expected = links.iter().find(|l| {
            let s = l.settings();
            s.address.is_none()
                && s.name == who.cluster
                && (s.replica.is_none() || who.replica.is_none() || s.replica == who.replica)
        });
        let Some(link) = expected else { return refuse("not_expected") };
        self.0.counts.dialled("taken");
        link.dialled(connected);
        true
    }
}

fn refresh(peers: &Weak<Inner>) {
    if let Some(peers) = peers.upgrade() {
        let entries = peers.entries.lock();
        peers.refresh(&entries);
    }
}

impl Inner {
    /// Makes members of what is known now.
    fn refresh(&self, entries: &[Entry]) {
        let mut members = self.start.fixed.clone();
        let mut replicas = self.start.replicas.clone();
        for Entry { link, select, .. } in entries {
            let settings = link.settings();
            for (signal, replication) in &settings.replication {
                replicas.declare(&settings.name, signal.clone(), *replication);
            }
            members.push(Member {
                name: settings.name.clone(),
                replica: link.replica(),
                labels: link.labels(),
                timeout: settings.timeout,
                select: select.clone(),
                link: Some(link.clone()),
            });
        }
        self.members.set(members, replicas);
    }
}

#[cfg(test)]
mod tests;
