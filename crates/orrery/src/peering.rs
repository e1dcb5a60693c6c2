//! This node among others: whom it asks, and what whoever asks it is answered from.
//!
//! ```text
//! own store, with its external labels ─┐
//! peers, over mutual TLS ──────────────┼──► federation ──┬──► API: replicas as one, or apart
//! foreign systems ─────────────────────┘                 └──► peers' listener: replicas apart, the asker merges
//! ```

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_trait::async_trait;
use base::{Clock, MemoryBudget, Metrics, Shutdown};
use contract::{QueryLimits, Select};
use federate::{
    Counts, Federation, Labelled, Member, Replicas, Replication,
    foreign::{ForeignKind, ForeignSettings},
    peer::{
        Asker, Held, Server,
        accept::{self, Accepted},
        reverse,
    },
    peers::{Connected, Connector, Foreign, Incomplete, Own, PeerSettings, PeerStatus, Peers, Source, Start},
};
use futures::StreamExt;
use model::{Labels, Signal, TenantId, TimestampNs};
use net::tls::{ClientTls, Target, TlsMetrics};
use parking_lot::Mutex;
use store::Store;

use crate::{node::settings, origin::Origin};

/// How often a peers file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long the start waits for peers to be reached, so that the first query finds them.
const FIRST_CONTACT: Duration = Duration::from_secs(2);
/// No query of a peer waits longer for this node than that, whatever it asks for.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

pub struct Peering {
    peers: Peers,
    federation: Federation,
    origin: Arc<Origin>,
    store: Option<Arc<Store>>,
    tls: Option<Arc<ClientTls>>,
    own: Own,
    connector: Arc<dyn Connector>,
    /// Foreign systems that were opened, so that a reload keeps those that did not change.
    opened: Mutex<Vec<(config::Peer, Arc<dyn Select>)>>,
    /// What the peers file held when it could last be read.
    from_file: Mutex<Vec<config::Peer>>,
    clock: Clock,
}

/// What of the node its peering stands on.
pub struct Ground<'a> {
    pub config: &'a config::Node,
    pub store: Option<Arc<Store>>,
    /// What is read of it.
    pub local: Option<Arc<dyn Select>>,
    pub origin: Arc<Origin>,
    pub clock: Clock,
    pub metrics: Metrics,
    pub tls: TlsMetrics,
    pub shutdown: Shutdown,
}

impl Peering {
    /// `None` where the node has no peers and nobody may ask it.
    pub async fn start(ground: Ground<'_>) -> Result<Option<Arc<Self>>> {
        let Ground { config, store, local, origin, clock, metrics, tls: tls_metrics, shutdown } = ground;
        let asks = !config.peers.list.is_empty() || config.peers.file.is_some();
        if !asks && config.listen.peers.is_none() && config.peers.answer_to.is_empty() {
            return Ok(None);
        }
        let tls = match &config.tls {
            Some(tls) => Some(ClientTls::open(tls, clock.clone(), tls_metrics).context("tls")?),
            None => None,
        };
        let own = own(config, &origin);
        let connector: Arc<dyn Connector> = match &tls {
            Some(tls) => {
                let (watched, ending) = (tls.clone(), shutdown.clone());
                shutdown.spawn(async move { watched.watch(async move { ending.started().await }).await });
                Arc::new(Mutual { tls: tls.clone() })
            }
            None => Arc::new(NoTls),
        };
        let fixed = local.iter().map(|s| own_member(config, s.clone(), &origin, &clock)).collect();
        let start = Start {
            own: own.clone(),
            fixed,
            replicas: Replicas::default(),
            connector: connector.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            shutdown: shutdown.clone(),
        };
        let peers = Peers::start(start);
        let federation = Federation::over(peers.members(), own.names(), Counts::register(&metrics));
        let peering = Arc::new(Peering {
            peers,
            federation,
            origin,
            store,
            tls,
            own,
            connector,
            opened: Mutex::default(),
            from_file: Mutex::default(),
            clock,
        });
        if let Some(file) = &config.peers.file {
            *peering.from_file.lock() = config::read_peers(file)?;
        }
        peering.set(config)?;
        peering.clone().watch(config, &shutdown);
        peering.peers.ready(FIRST_CONTACT).await;
        Ok(Some(peering))
    }

    /// Makes the peers those of the configuration and of the peers file.
    pub fn set(&self, config: &config::Node) -> Result<()> {
        let mut list = config.peers.list.clone();
        list.extend(self.from_file.lock().iter().cloned());
        let mut opened = self.opened.lock();
        let before = std::mem::take(&mut *opened);
        let mut sources = Vec::with_capacity(list.len());
        for peer in list {
            let foreign = match peer.kind {
                config::PeerKind::Orrery => None,
                _ => {
                    let select = match before.iter().find(|(p, _)| *p == peer) {
                        Some((_, select)) => select.clone(),
                        None => open(&peer, &self.clock).with_context(|| format!("peers: {}", peer.name))?,
                    };
                    opened.push((peer.clone(), select.clone()));
                    Some(Foreign { kind: peer.kind.as_str(), select })
                }
            };
            sources.push(Source { settings: peer_settings(&peer), foreign });
        }
        self.peers.set(sources);
        Ok(())
    }

    /// Reads the peers file again when its content changed. One that cannot be read leaves the peers as they are.
    fn watch(self: Arc<Self>, config: &config::Node, shutdown: &Shutdown) {
        let Some(file) = config.peers.file.clone() else { return };
        let (config, ending) = (config.clone(), shutdown.clone());
        let mut last = std::fs::read(&file).ok();
        shutdown.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = ending.started() => return,
                }
                let now = tokio::fs::read(&file).await.ok();
                if now == last {
                    continue;
                }
                last = now;
                match self.read_file(&file, &config) {
                    Ok(count) => {
                        tracing::info!(file = %file.display(), count, "the peers file was read again")
                    }
                    Err(e) => tracing::error!(file = %file.display(), "the peers stay as they are: {e:#}"),
                }
            }
        });
    }

    fn read_file(&self, file: &Path, config: &config::Node) -> Result<usize> {
        let list = config::read_peers(file)?;
        let before = std::mem::replace(&mut *self.from_file.lock(), list);
        if let Err(e) = self.set(config) {
            *self.from_file.lock() = before;
            return Err(e);
        }
        Ok(self.from_file.lock().len())
    }

    /// What the API reads from: replicas as one, and apart.
    pub fn reads(&self) -> (Arc<dyn Select>, Arc<dyn Select>) {
        (Arc::new(self.federation.clone()), Arc::new(self.federation.without_dedup()))
    }

    /// What other nodes are answered with. Their replicas are theirs to merge.
    fn server(self: &Arc<Self>, config: &config::Node, budget: &MemoryBudget) -> Server {
        let apart: Arc<dyn Select> = Arc::new(self.federation.without_dedup());
        let sifting = logql::Evaluating::new(apart, settings::logql(&self.clock)).sifting();
        let select = Arc::new(promql::Evaluating::new(Arc::new(sifting), settings::promql(config)));
        let limits = QueryLimits { memory: budget.clone(), ..settings::api(config).limits };
        let me = self.clone();
        let announce = move |asker: &Asker| {
            let mut said = me.peers.announcement(asker, me.held());
            said.labels = me.origin.fixed();
            said
        };
        Server::new(select, announce, limits)
    }

    /// Serves those that ask this node, and takes over the connections of those that dial it to be asked.
    pub fn serve(
        self: &Arc<Self>,
        connections: api::PeerConnections,
        config: &config::Node,
        budget: &MemoryBudget,
        shutdown: &Shutdown,
    ) {
        let accepted = connections.map(|c| {
            let proven = c.identity();
            Accepted {
                cluster: proven.cluster.clone(),
                certificate_expires: proven.not_after.checked_mul(1_000_000_000).map(TimestampNs),
                io: Box::new(c),
            }
        });
        let serving =
            accept::serve(self.server(config, budget), accepted, self.peers.clone(), shutdown.clone());
        shutdown.spawn(serving);
    }

    /// Keeps connections to those that cannot reach this node, and answers them over these.
    pub fn answer_others(
        self: &Arc<Self>,
        config: &config::Node,
        budget: &MemoryBudget,
        shutdown: &Shutdown,
    ) {
        for to in &config.peers.answer_to {
            let settings = PeerSettings {
                name: to.name.as_str().to_owned(),
                replica: None,
                address: Some(to.address.clone()),
                labels: Labels::default(),
                timeout: ANSWER_WITHIN,
                replication: Vec::new(),
                grace: None,
            };
            let (connector, own) = (self.connector.clone(), self.own.asker());
            let server = self.server(config, budget);
            shutdown.spawn(reverse::answer_to(settings, connector, own, server, shutdown.clone()));
        }
    }

    /// What the own store has of each signal.
    fn held(&self) -> Vec<Held> {
        let Some(store) = &self.store else { return Vec::new() };
        let status = store.status();
        let held = status.signals.iter().map(|s| Held {
            signal: s.signal.clone(),
            oldest: s.oldest_ns.map(TimestampNs),
            watermark: s.newest_ns.map(TimestampNs),
        });
        held.collect()
    }

    /// The labels that tell each cluster from others: this node's own and its peers'.
    pub fn label_sets(&self) -> Vec<Labels> {
        let own = self.store.iter().map(|_| self.origin.external().clone());
        let peers = self.peers.status().into_iter().map(|p| {
            let cluster = Labels::from_pairs([("cluster", p.name.as_str())]);
            let mut all = p.labels.to_builder();
            cluster.iter().for_each(|(n, v)| {
                all.set(n, v);
            });
            all.build()
        });
        let mut sets: Vec<Labels> = own.chain(peers).filter(|l| !l.is_empty()).collect();
        sets.sort_unstable();
        sets.dedup();
        sets
    }

    pub fn status(&self) -> Vec<PeerStatus> {
        self.peers.status()
    }

    pub fn recent(&self) -> Vec<Incomplete> {
        self.peers.recent()
    }

    /// When the certificate this node shows to others expires, seconds since 1970.
    pub fn certificate_expires_s(&self) -> Option<i64> {
        self.tls.as_ref().map(|t| t.not_after())
    }
}

fn own(config: &config::Node, origin: &Origin) -> Own {
    Own {
        cluster: config.cluster.as_ref().map(|c| c.as_str().to_owned()).unwrap_or_default(),
        replica: config.replica.as_ref().map(|r| r.as_str().to_owned()),
        node: format!("{:032x}", rand::random::<u128>()),
        labels: origin.fixed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The own store as the first member. It costs no connection, so it is asked whatever the question.
fn own_member(config: &config::Node, local: Arc<dyn Select>, origin: &Origin, clock: &Clock) -> Member {
    let name = config.cluster.as_ref().map_or("local", |c| c.as_str());
    let labelled: Arc<dyn Select> = Arc::new(Labelled::new(local, origin.external()));
    let of_logs = Arc::new(logql::Evaluating::new(labelled, settings::logql(clock)));
    Member {
        replica: config.replica.as_ref().map(|r| r.as_str().to_owned()),
        labels: origin.fixed(),
        timeout: config.query.timeout.min(ANSWER_WITHIN),
        ..Member::new(name, Arc::new(promql::Evaluating::new(of_logs, settings::promql(config))))
    }
}

fn peer_settings(peer: &config::Peer) -> PeerSettings {
    let of = |signal: Signal, shared: Option<config::Shared>| {
        shared.map(|s| match s {
            config::Shared::Mirrored => (signal, Replication::Mirrored),
            config::Shared::Sharded => (signal, Replication::Sharded),
        })
    };
    let r = peer.replication;
    // A node says itself whether all it holds is of its cluster.
    let keep = |name: &str| name != "cluster" || peer.kind != config::PeerKind::Orrery;
    PeerSettings {
        name: peer.name.as_str().to_owned(),
        replica: peer.replica.as_ref().map(|r| r.as_str().to_owned()),
        address: peer.address.clone(),
        labels: Labels::from_pairs(
            peer.labels.iter().filter(|(n, _)| keep(n)).map(|(n, v)| (n.clone(), v.clone())),
        ),
        timeout: peer.timeout,
        replication: [of(Signal::METRICS, r.metrics), of(Signal::LOGS, r.logs), of(Signal::TRACES, r.traces)]
            .into_iter()
            .flatten()
            .collect(),
        grace: None,
    }
}

/// A system of another kind, by its own protocol. It is asked nothing yet, so it need not be up.
fn open(peer: &config::Peer, clock: &Clock) -> Result<Arc<dyn Select>> {
    let kind = ForeignKind::parse(peer.kind.as_str())
        .with_context(|| format!("kind {} is not supported by this version", peer.kind.as_str()))?;
    let settings = ForeignSettings {
        name: peer.name.as_str().to_owned(),
        kind,
        url: peer.address.clone().unwrap_or_default(),
        labels: Labels::from_pairs(peer.labels.iter().map(|(n, v)| (n.clone(), v.clone()))),
        http: peer.http.clone(),
        tenant: peer.tenant.clone(),
        replica_labels: peer.replica_labels.clone(),
        owner: TenantId::default(),
        timeout: peer.timeout,
    };
    Ok(federate::foreign::open(settings, clock.clone())?)
}

/// What a node without certificates has instead of connections.
struct NoTls;

#[async_trait]
impl Connector for NoTls {
    async fn connect(&self, _: &PeerSettings, address: &str) -> std::io::Result<Connected> {
        let message =
            format!("{address} is asked over mutual TLS only, and this node has no tls: {{cert, key, ca}}");
        Err(std::io::Error::other(message))
    }
}

/// Connections that both sides prove themselves on.
struct Mutual {
    tls: Arc<ClientTls>,
}

#[async_trait]
impl Connector for Mutual {
    async fn connect(&self, peer: &PeerSettings, address: &str) -> std::io::Result<Connected> {
        let target =
            Target { address: address.to_owned(), server_name: None, cluster: Some(peer.name.clone()) };
        let stream = self.tls.connect(&target).await.map_err(std::io::Error::other)?;
        let expires = stream.identity().not_after.checked_mul(1_000_000_000).map(TimestampNs);
        Ok(Connected { io: Box::new(stream), certificate_expires: expires })
    }
}
