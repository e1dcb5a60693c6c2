//! Connections that the peer dials.

use tokio::sync::mpsc;

use super::*;
use crate::peer::reverse;

/// A hub that takes connections from a queue, and a connector that puts them there under a certificate of `cluster`.
struct Hub {
    queue: mpsc::Sender<accept::Accepted>,
    cluster: Option<String>,
}

#[async_trait]
impl Connector for Hub {
    async fn connect(&self, _: &PeerSettings, _: &str) -> io::Result<Connected> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let accepted = accept::Accepted {
            io: Box::new(far),
            cluster: self.cluster.clone(),
            certificate_expires: Some(TimestampNs(55)),
        };
        self.queue.send(accepted).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(Connected { io: Box::new(near), certificate_expires: None })
    }
}

fn server_of(net: &Net, name: &str) -> Server {
    match net.hosts.lock().get(name) {
        Some(Host::Serves(server)) => server.clone(),
        _ => panic!("{name} serves nobody"),
    }
}

async fn hub(net: &Net) -> (Node, mpsc::Sender<accept::Accepted>, Shutdown) {
    let behind = PeerSettings { address: None, ..peer("dev-01") };
    let ops = node("ops-01", net, vec![behind]).await;
    let (queue, mut accepted) = mpsc::channel(8);
    let incoming = stream::poll_fn(move |cx| accepted.poll_recv(cx));
    let shutdown = Shutdown::new();
    tokio::spawn(accept::serve(server_of(net, "ops-01"), incoming, ops.peers.clone(), shutdown.clone()));
    (ops, queue, shutdown)
}

#[test]
fn a_node_that_dials_is_asked_over_its_connection_and_over_the_next_one() {
    run(async {
        let net = Net::default();
        let (ops, queue, _serving) = hub(&net).await;
        let (_, coverage) = ops.series().await;
        assert_eq!(states(&coverage)[0], "dev-01 missing: it has not dialled this node");
        let dev = named("dev-01", None);
        let _dev = node("dev-01", &net, vec![]).await;
        let dialling = Shutdown::new();
        let dial = |cluster: &str, shutdown: &Shutdown| {
            let hub = Hub { queue: queue.clone(), cluster: Some(cluster.to_owned()) };
            let (own, server) = (dev.asker(), server_of(&net, "dev-01"));
            tokio::spawn(reverse::answer_to(peer("ops-01"), Arc::new(hub), own, server, shutdown.clone()))
        };
        let first = dial("dev-01", &dialling);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
        let status = ops.status("dev-01");
        assert_eq!((status.state, status.certificate_expires), (LinkState::Up, Some(TimestampNs(55))));
        assert_eq!(status.address, None);
        // It goes away, and comes back.
        dialling.start();
        first.await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (_, coverage) = ops.series().await;
        assert_eq!(coverage.sources()[0].state, CoverageState::Missing);
        let dialling = Shutdown::new();
        let _second = dial("dev-01", &dialling);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
    });
}

#[test]
fn a_node_that_dials_under_another_name_than_its_certificates_is_not_taken() {
    run(async {
        let net = Net::default();
        let (ops, queue, _serving) = hub(&net).await;
        let _dev = node("dev-01", &net, vec![]).await;
        for (cluster, own) in [("evil-01", "dev-01"), ("prod-01", "prod-01")] {
            let hub = Hub { queue: queue.clone(), cluster: Some(cluster.into()) };
            let server = server_of(&net, "dev-01");
            let own = named(own, None).asker();
            tokio::spawn(reverse::answer_to(peer("ops-01"), Arc::new(hub), own, server, Shutdown::new()));
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(ops.status("dev-01").state, LinkState::Open);
        let text = ops.metrics.encode();
        assert!(text.contains("orrery_peer_dialled_total{outcome=\"wrong_certificate\"}"), "{text}");
        assert!(text.contains("orrery_peer_dialled_total{outcome=\"not_expected\"}"), "{text}");
    });
}

#[test]
fn a_connection_that_says_nothing_or_nonsense_keeps_nobody_else_from_being_served() {
    run(async {
        let net = Net::default();
        let (_ops, queue, _serving) = hub(&net).await;
        let (mut nonsense, far) = tokio::io::duplex(64 << 10);
        nonsense.write_all(&[b'x'; 4000]).await.unwrap();
        let (_silent, mute) = tokio::io::duplex(64 << 10);
        let (mut long, far_too) = tokio::io::duplex(64 << 10);
        long.write_all(b"ORRERY REVERSE PEER/1\r\n\n\xff\xff").await.unwrap();
        for io in [far, mute, far_too] {
            let accepted = accept::Accepted { io: Box::new(io), cluster: None, certificate_expires: None };
            assert!(queue.send(accepted).await.is_ok());
        }
        let hub = Arc::new(Hub { queue, cluster: None });
        let peers = Peers::start(Start {
            own: named("dev-01", None),
            fixed: vec![],
            replicas: Replicas::default(),
            connector: hub,
            clock: Clock::manual(0),
            metrics: Metrics::default(),
            shutdown: Shutdown::new(),
        });
        peers.set(vec![peer("ops-01").into()]);
        peers.ready(Duration::from_secs(60)).await;
        assert_eq!(peers.status()[0].state, LinkState::Up);
    });
}
