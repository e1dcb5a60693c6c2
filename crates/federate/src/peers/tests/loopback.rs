//! The same over real sockets.

use tokio::net::TcpListener;

use super::*;

/// Serves a store under a cluster's name on a port of its own.
async fn listening(cluster: &str, store: Arc<dyn Select>) -> PeerSettings {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let own = named(cluster, None);
    let peers = peers_of(own, &Net::default(), vec![], &Metrics::default());
    let said = peers.clone();
    let server = Server::new(store, move |asker| said.announcement(asker, vec![]), QueryLimits::default());
    let incoming = stream::unfold(listener, |listener| async move {
        let (io, _) = listener.accept().await.ok()?;
        Some((accept::Accepted { io: Box::new(io), cluster: None, certificate_expires: None }, listener))
    });
    tokio::spawn(accept::serve(server, incoming.boxed(), peers, Shutdown::new()));
    PeerSettings::new(cluster, address)
}

#[test]
fn of_three_nodes_one_answers_one_stops_in_the_middle_and_one_refuses() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let good = listening("dev-01", store("dev-01").await).await;
        let labels =
            |i: u32| Labels::from_pairs([("__name__", "up".to_owned()), ("instance", format!("{i:03}"))]);
        let some = (0..500).map(|i| Act::Item(SeriesData { labels: labels(i), ..series("up", &[(1, 1.0)]) }));
        let script = Script { series: some.chain([Act::Hang]).collect(), ..Script::default() };
        let stops = listening("prod-01", Arc::new(script)).await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refuses = PeerSettings::new("stage-01", nobody.local_addr().unwrap().to_string());
        drop(nobody);
        let metrics = Metrics::default();
        let peers = Peers::start(Start {
            own: Own { node: "hub".into(), ..Own::default() },
            fixed: vec![],
            replicas: Replicas::default(),
            connector: Arc::new(Plain),
            clock: Clock::system(),
            metrics: metrics.clone(),
            shutdown: Shutdown::new(),
        });
        let stops = PeerSettings { timeout: Duration::from_secs(5), ..stops };
        peers.set([good, stops, refuses].into_iter().map(Source::from).collect());
        let federation = Federation::over(peers.members(), vec![], Counts::register(&metrics));
        let request = series_request(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
        let (found, coverage) = federation.series(request).await.unwrap().collect().await.unwrap();
        // The last that came of one that stops may have more to come, and is not taken for whole.
        assert_eq!(found.len(), 500);
        let states = states(&coverage);
        assert_eq!(states[0], "dev-01 complete");
        assert!(states[1].starts_with("prod-01 partial: stopped in the middle"), "{states:?}");
        assert!(states[2].to_lowercase().starts_with("stage-01 missing: connection refused"), "{states:?}");
    });
}
