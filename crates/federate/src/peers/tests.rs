use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use base::{Clock, Metrics, Shutdown};
use contract::{Coverage, CoverageState, QueryLimits, Select, SeriesData, SourceCoverage, fake::Fake};
use futures::{StreamExt, stream};
use model::{Batch, Labels, Matcher, MetricBatch, Signal, TimeRange, TimestampNs};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    time::Instant,
};

use super::*;
use crate::{
    Counts, Federation,
    fixtures::{Act, Script, append, run, series, series_request},
    peer::{Server, accept},
};

mod beyond;
mod faults;
mod loopback;
mod reverse;

/// What becomes of a connection to an address.
#[derive(Clone)]
enum Host {
    Serves(Server),
    Refuses,
    /// Takes the connection and never says a word.
    Silent,
    /// Says something that is no HTTP/2.
    Garbage,
}

/// Machines by address, in memory.
#[derive(Clone, Default)]
struct Net {
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    connections: Arc<AtomicUsize>,
    /// Ends of connections that nobody serves.
    held: Arc<Mutex<Vec<DuplexStream>>>,
}

impl Net {
    fn host(&self, address: &str, host: Host) {
        self.hosts.lock().insert(address.to_owned(), host);
    }
}

/// Answers on one connection for as long as it lives.
fn answer_on(server: Server, io: DuplexStream) {
    let incoming =
        stream::iter([accept::Accepted { io: Box::new(io), cluster: None, certificate_expires: None }]);
    let own = Own { node: "nobody".into(), ..Own::default() };
    let nobody = peers_of(own, &Net::default(), vec![], &Metrics::default());
    tokio::spawn(accept::serve(server, incoming.chain(stream::pending()), nobody, Shutdown::new()));
}

#[async_trait]
impl Connector for Net {
    async fn connect(&self, _: &PeerSettings, address: &str) -> io::Result<Connected> {
        let host = self.hosts.lock().get(address).cloned().unwrap_or(Host::Refuses);
        let (near, mut far) = tokio::io::duplex(64 << 10);
        match host {
            Host::Refuses => return Err(io::ErrorKind::ConnectionRefused.into()),
            Host::Serves(server) => answer_on(server, far),
            Host::Silent => self.held.lock().push(far),
            Host::Garbage => {
                far.write_all(&[0x47; 5000]).await?;
                self.held.lock().push(far);
            }
        }
        self.connections.fetch_add(1, Relaxed);
        Ok(Connected { io: Box::new(near), certificate_expires: Some(TimestampNs(77)) })
    }
}

fn peers_of(own: Own, net: &Net, fixed: Vec<Member>, metrics: &Metrics) -> Peers {
    Peers::start(Start {
        own,
        fixed,
        replicas: Replicas::default(),
        connector: Arc::new(net.clone()),
        clock: Clock::manual(1_000),
        metrics: metrics.clone(),
        shutdown: Shutdown::new(),
    })
}

fn named(cluster: &str, replica: Option<&str>) -> Own {
    Own {
        cluster: cluster.into(),
        replica: replica.map(str::to_owned),
        node: format!("node of {cluster} {replica:?}"),
        labels: Labels::from_pairs([("cluster", cluster)]),
        version: "0.1.0".into(),
    }
}

/// A node: what it holds, its peers, and what others reach it by.
struct Node {
    peers: Peers,
    federation: Federation,
    metrics: Metrics,
}

impl Node {
    /// `store` is what it holds itself, with the time of its oldest item.
    async fn new(own: Own, net: &Net, store: Option<(Arc<dyn Select>, i64)>, of: Vec<PeerSettings>) -> Node {
        let metrics = Metrics::default();
        let label = |m: Member| Member { labels: own.labels.clone(), replica: own.replica.clone(), ..m };
        let fixed = store.iter().map(|(s, _)| label(Member::new(own.cluster.as_str(), s.clone())));
        let peers = peers_of(own.clone(), net, fixed.collect(), &metrics);
        let federation = Federation::over(peers.members(), own.names(), Counts::register(&metrics));
        let held = store.map(|(_, oldest)| oldest);
        let said = {
            let peers = peers.clone();
            move |asker: &Asker| {
                let held = held.iter().flat_map(|oldest| {
                    Signal::KNOWN.iter().map(|signal| Held {
                        signal: signal.clone(),
                        oldest: Some(TimestampNs(*oldest)),
                        watermark: Some(TimestampNs(9)),
                    })
                });
                peers.announcement(asker, held.collect())
            }
        };
        let server = Server::new(Arc::new(federation.clone()), said, QueryLimits::default());
        let name = [own.cluster.as_str(), own.replica.as_deref().unwrap_or_default()].concat();
        net.host(&name, Host::Serves(server));
        peers.set(of.into_iter().map(Source::from).collect());
        peers.ready(Duration::from_secs(60)).await;
        Node { peers, federation, metrics }
    }

    async fn series(&self) -> (Vec<SeriesData>, Coverage) {
        self.series_in(TimeRange::ALL).await.unwrap()
    }

    async fn series_in(&self, range: TimeRange) -> contract::Result<(Vec<SeriesData>, Coverage)> {
        self.federation
            .series(series_request(vec![Matcher::equal("__name__", "up")], range))
            .await?
            .collect()
            .await
    }

    fn status(&self, name: &str) -> PeerStatus {
        self.peers.status().into_iter().find(|s| s.name == name).unwrap()
    }
}

/// One sample of `up{cluster=...}` at 1 s.
async fn store(cluster: &str) -> Arc<dyn Select> {
    let fake = Fake::new();
    let mut batch = MetricBatch::default();
    let up = batch.push_series(Labels::from_pairs([("__name__", "up"), ("cluster", cluster)]));
    batch.samples.push(up, 1_000, 1.0);
    append(&fake, Batch::Metrics(batch)).await;
    Arc::new(fake)
}

async fn node(cluster: &str, net: &Net, of: Vec<PeerSettings>) -> Node {
    let held = Some((store(cluster).await, 0));
    Node::new(named(cluster, None), net, held, of).await
}

fn peer(name: &str) -> PeerSettings {
    PeerSettings::new(name, name)
}

/// `cluster state: reason`, of each source.
fn states(coverage: &Coverage) -> Vec<String> {
    let one = |s: &SourceCoverage| {
        let title = title(&s.cluster, s.replica.as_deref());
        match s.reason.is_empty() {
            true => format!("{title} {}", s.state.as_str()),
            false => format!("{title} {}: {}", s.state.as_str(), s.reason),
        }
    };
    coverage.sources().iter().map(one).collect()
}

fn clusters(found: &[SeriesData]) -> Vec<&str> {
    found.iter().map(|s| s.labels.value("cluster")).collect()
}

#[test]
fn peers_that_are_up_are_asked_and_known_by_what_they_announce() {
    run(async {
        let net = Net::default();
        let _dev = node("dev-01", &net, vec![]).await;
        let _prod = node("prod-01", &net, vec![]).await;
        let ops = node("ops-01", &net, vec![peer("dev-01"), peer("prod-01")]).await;
        let (found, coverage) = ops.series().await;
        assert_eq!(clusters(&found), ["dev-01", "ops-01", "prod-01"]);
        assert_eq!(states(&coverage), ["dev-01 complete", "ops-01 complete", "prod-01 complete"]);
        let status = ops.status("dev-01");
        assert_eq!((status.state, status.version.as_str(), status.asked), (LinkState::Up, "0.1.0", 1));
        assert_eq!((status.labels, status.last_error), (Labels::from_pairs([("cluster", "dev-01")]), None));
        assert_eq!((status.held.len(), status.held[0].watermark), (3, Some(TimestampNs(9))));
        assert_eq!((status.certificate_expires, status.since), (Some(TimestampNs(77)), TimestampNs(1_000)));
        assert!(status.latency_p50.is_some() && ops.peers.recent().is_empty());
        // One connection, however often it is asked.
        ops.series().await;
        assert_eq!(net.connections.load(Relaxed), 2);
        let text = ops.metrics.encode();
        assert!(text.contains("orrery_peer_up{peer=\"dev-01\"} 1"), "{text}");
    });
}

#[test]
fn only_those_whose_labels_can_match_are_asked() {
    run(async {
        let net = Net::default();
        let _dev = node("dev-01", &net, vec![]).await;
        let _prod = node("prod-01", &net, vec![]).await;
        let ops = node("ops-01", &net, vec![peer("dev-01"), peer("prod-01")]).await;
        let matchers = vec![Matcher::equal("__name__", "up"), Matcher::equal("cluster", "dev-01")];
        let request = series_request(matchers, TimeRange::ALL);
        let (found, coverage) = ops.federation.series(request).await.unwrap().collect().await.unwrap();
        assert_eq!(
            (clusters(&found), states(&coverage)),
            (vec!["dev-01"], vec!["dev-01 complete".to_owned()])
        );
        assert_eq!((ops.status("dev-01").asked, ops.status("prod-01").asked), (1, 0));
    });
}

#[test]
fn one_whose_data_begins_after_the_range_is_not_asked_and_is_complete() {
    const DAY_NS: i64 = 86_400_000_000_000;
    run(async {
        let net = Net::default();
        let begins = Some((store("dev-01").await, 10 * DAY_NS));
        let _dev = Node::new(named("dev-01", None), &net, begins, vec![]).await;
        let ops = node("ops-01", &net, vec![peer("dev-01")]).await;
        let days = |from: i64, to: i64| TimeRange::new(TimestampNs(from * DAY_NS), TimestampNs(to * DAY_NS));
        let (_, coverage) = ops.series_in(days(1, 2)).await.unwrap();
        assert_eq!(states(&coverage), ["dev-01 complete", "ops-01 complete"]);
        assert_eq!(ops.status("dev-01").asked, 0);
        // A range that ends just before may have items that came late, or by another clock.
        ops.series_in(days(1, 10)).await.unwrap();
        assert_eq!(ops.status("dev-01").asked, 1);
        // One that is not heard of any more is missing, whatever it said once.
        net.host("dev-01", Host::Silent);
        ops.peers.set(vec![Source::from(PeerSettings { timeout: Duration::from_secs(9), ..peer("dev-01") })]);
        let (_, coverage) = ops.series_in(days(1, 2)).await.unwrap();
        assert_eq!(states(&coverage)[0], "dev-01 missing: no answer within 5 s");
    });
}

#[test]
fn the_list_changes_without_touching_those_that_stay() {
    run(async {
        let net = Net::default();
        let _dev = node("dev-01", &net, vec![]).await;
        let _prod = node("prod-01", &net, vec![]).await;
        let ops = node("ops-01", &net, vec![peer("dev-01")]).await;
        let before = net.connections.load(Relaxed);
        ops.peers.set(vec![peer("prod-01").into(), peer("dev-01").into()]);
        ops.peers.ready(Duration::from_secs(60)).await;
        let (found, _) = ops.series().await;
        assert_eq!(clusters(&found), ["dev-01", "ops-01", "prod-01"]);
        assert_eq!(net.connections.load(Relaxed), before + 1);
        ops.peers.set(vec![]);
        let (found, coverage) = ops.series().await;
        assert_eq!((clusters(&found), coverage.sources().len()), (vec!["ops-01"], 1));
        assert!(ops.peers.status().is_empty());
    });
}

#[test]
fn a_foreign_system_is_watched_by_what_becomes_of_questions() {
    run(async {
        let script = Arc::new(Script {
            series: vec![Act::Fail(contract::Error::unavailable("502 bad gateway"))],
            ..Script::default()
        });
        let ops = node("ops-01", &Net::default(), vec![]).await;
        let foreign = Some(Foreign { kind: "prometheus", select: script.clone() });
        ops.peers.set(vec![Source { settings: peer("legacy"), foreign }]);
        for _ in 0..5 {
            let (_, coverage) = ops.series().await;
            assert_eq!(coverage.sources()[0].state, CoverageState::Missing);
        }
        assert_eq!(script.asked.load(Relaxed), breaker::FAILURES as usize);
        let status = ops.status("legacy");
        assert_eq!((status.state, status.kind, status.missing), (LinkState::Open, "prometheus", 5));
        tokio::time::advance(Duration::from_secs(60)).await;
        ops.series().await;
        assert_eq!(script.asked.load(Relaxed), breaker::FAILURES as usize + 1);
    });
}
