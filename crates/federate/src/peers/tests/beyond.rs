//! Peers of peers: asked by them, and once.

use model::{LogBatch, LogRecord, LogStream};

use super::*;

/// A store with one log line, and how often it was asked.
async fn line(cluster: &str) -> Arc<dyn Select> {
    let fake = Fake::new();
    let labels = Labels::from_pairs([("cluster", cluster)]);
    let streams = vec![LogStream { labels, ..LogStream::default() }];
    let record =
        LogRecord { timestamp_ns: 5, body: format!("line of {cluster}").into(), ..LogRecord::default() };
    append(&fake, Batch::Logs(LogBatch { streams, records: vec![record] })).await;
    Arc::new(fake)
}

async fn logging(cluster: &str, net: &Net, of: Vec<PeerSettings>) -> Node {
    Node::new(named(cluster, None), net, Some((line(cluster).await, 0)), of).await
}

/// Lets announcements go round as often as sources are far.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(20 * u64::from(routes::MAX_HOPS))).await;
}

async fn lines(of: &Node, cluster: Option<&str>) -> (Vec<String>, Coverage) {
    let request = contract::LogsRequest {
        scope: crate::fixtures::scope(TimeRange::ALL),
        matchers: cluster.map(|c| Matcher::equal("cluster", c)).into_iter().collect(),
        line_filters: vec![],
        direction: contract::Direction::NewestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let (pieces, coverage) = of.federation.logs(request).await.unwrap().collect().await.unwrap();
    let mut found: Vec<String> =
        pieces.iter().flat_map(|p| p.records.iter().map(|r| r.body.to_string())).collect();
    found.sort();
    (found, coverage)
}

#[test]
fn a_source_that_two_peers_can_reach_is_asked_through_one_of_them() {
    run(async {
        let net = Net::default();
        let _stage = logging("stage-01", &net, vec![]).await;
        let dev = logging("dev-01", &net, vec![peer("stage-01")]).await;
        let prod = logging("prod-01", &net, vec![peer("stage-01")]).await;
        let ops = logging("ops-01", &net, vec![peer("dev-01"), peer("prod-01")]).await;
        settle().await;
        assert_eq!(ops.status("dev-01").beyond, ["stage-01"]);
        let (found, coverage) = lines(&ops, None).await;
        assert_eq!(found, ["line of dev-01", "line of ops-01", "line of prod-01", "line of stage-01"]);
        assert_eq!(
            states(&coverage),
            ["dev-01 complete", "ops-01 complete", "prod-01 complete", "stage-01 complete"]
        );
        assert_eq!((dev.status("stage-01").asked, prod.status("stage-01").asked), (1, 0));
        // What all of a peer's answers carry leaves out what it is asked for others.
        assert!(ops.status("dev-01").labels.is_empty());
        let (found, _) = lines(&ops, Some("stage-01")).await;
        assert_eq!(found, ["line of stage-01"]);
        // A part of the whole is asked as in the whole.
        let whole = ops.federation.now();
        let prod_only = whole.members().iter().filter(|m| m.name == "prod-01").cloned().collect::<Vec<_>>();
        let part =
            Node { federation: whole.of(prod_only), peers: ops.peers.clone(), metrics: Metrics::default() };
        assert_eq!(lines(&part, None).await.0, ["line of prod-01"]);
        // The other way is taken where the first is gone.
        net.host("dev-01", Host::Refuses);
        ops.peers.set(vec![
            Source::from(PeerSettings { timeout: Duration::from_secs(9), ..peer("dev-01") }),
            peer("prod-01").into(),
        ]);
        settle().await;
        let (found, coverage) = lines(&ops, None).await;
        assert_eq!(found, ["line of ops-01", "line of prod-01", "line of stage-01"]);
        assert_eq!(coverage.sources()[0].state, CoverageState::Missing);
        assert_eq!(states(&coverage)[3], "stage-01 complete");
    });
}

#[test]
fn what_is_beyond_a_peer_that_fails_is_missing_with_it() {
    run(async {
        let net = Net::default();
        let _stage = logging("stage-01", &net, vec![]).await;
        let hangs = Arc::new(Script { first: vec![Act::Hang], ..Script::default() });
        let dev = Node::new(named("dev-01", None), &net, Some((hangs, 0)), vec![peer("stage-01")]).await;
        let hasty = PeerSettings { timeout: Duration::from_secs(9), ..peer("dev-01") };
        let ops = logging("ops-01", &net, vec![hasty]).await;
        settle().await;
        let (found, coverage) = lines(&ops, None).await;
        assert_eq!((found, dev.status("stage-01").asked), (vec!["line of ops-01".to_owned()], 1));
        let missing = "missing: beyond dev-01: no answer within 9 s";
        assert_eq!(
            states(&coverage),
            ["dev-01 missing: no answer within 9 s", "ops-01 complete", &format!("stage-01 {missing}")]
        );
    });
}

#[test]
fn a_question_does_not_go_in_a_circle() {
    run(async {
        let net = Net::default();
        let names = ["a-01", "b-01", "c-01"];
        let mut nodes = Vec::new();
        for name in names {
            let others = names.iter().filter(|n| **n != name).map(|n| peer(n));
            nodes.push(logging(name, &net, others.collect()).await);
        }
        settle().await;
        for node in &nodes {
            let (found, coverage) = lines(node, None).await;
            assert_eq!(found, ["line of a-01", "line of b-01", "line of c-01"]);
            assert_eq!(states(&coverage), ["a-01 complete", "b-01 complete", "c-01 complete"]);
        }
        // A ring, where each knows the next only.
        let net = Net::default();
        let mut nodes = Vec::new();
        for (name, next) in [("a-01", "b-01"), ("b-01", "c-01"), ("c-01", "a-01")] {
            nodes.push(logging(name, &net, vec![peer(next)]).await);
        }
        settle().await;
        for node in &nodes {
            assert_eq!(lines(node, None).await.0, ["line of a-01", "line of b-01", "line of c-01"]);
        }
    });
}
