//! Peers that are gone, slow or wrong: each costs at most its time, and is named.

use super::*;

/// Answers as another does, while it is let.
struct Switch {
    to: Arc<dyn Select>,
    hangs: Arc<std::sync::atomic::AtomicBool>,
}

#[async_trait]
impl Select for Switch {
    async fn series(&self, r: contract::SeriesRequest) -> contract::Result<contract::Selection<SeriesData>> {
        if self.hangs.load(Relaxed) {
            return std::future::pending().await;
        }
        self.to.series(r).await
    }

    async fn logs(&self, r: contract::LogsRequest) -> contract::Result<contract::Selection<model::LogBatch>> {
        self.to.logs(r).await
    }

    async fn spans(
        &self,
        r: contract::SpansRequest,
    ) -> contract::Result<contract::Selection<model::SpanBatch>> {
        self.to.spans(r).await
    }

    async fn label_names(&self, r: contract::LabelNamesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        if self.hangs.load(Relaxed) {
            return std::future::pending().await;
        }
        self.to.label_names(r).await
    }

    async fn label_values(
        &self,
        r: contract::LabelValuesRequest,
    ) -> contract::Result<(Vec<String>, Coverage)> {
        self.to.label_values(r).await
    }

    async fn label_sets(&self, r: contract::LabelNamesRequest) -> contract::Result<(Vec<Labels>, Coverage)> {
        self.to.label_sets(r).await
    }

    async fn metadata(
        &self,
        r: contract::MetadataRequest,
    ) -> contract::Result<(Vec<model::MetricMetadata>, Coverage)> {
        self.to.metadata(r).await
    }

    fn capabilities(&self) -> contract::Capabilities {
        self.to.capabilities()
    }
}

#[test]
fn one_that_was_never_reached_is_missing_and_costs_nothing() {
    run(async {
        let net = Net::default();
        let ops = node("ops-01", &net, vec![peer("dev-01")]).await;
        let began = Instant::now();
        let (found, coverage) = ops.series().await;
        assert_eq!((clusters(&found), began.elapsed()), (vec!["ops-01"], Duration::ZERO));
        assert_eq!(states(&coverage), ["dev-01 missing: connection refused", "ops-01 complete"]);
        let status = ops.status("dev-01");
        assert_eq!((status.state, status.missing), (LinkState::Failing, 1));
        let [missing] = &ops.peers.recent()[..] else { panic!("one") };
        assert_eq!((missing.cluster.as_str(), missing.reason.as_str()), ("dev-01", "connection refused"));
        // As soon as it is there it is found.
        let _dev = node("dev-01", &net, vec![]).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
        assert_eq!(ops.status("dev-01").state, LinkState::Up);
    });
}

#[test]
fn one_that_is_back_is_found_by_those_who_ask_long_before_it_would_be_by_itself() {
    run(async {
        // Waits are random; of twenty some would be long.
        for _ in 0..20 {
            let net = Net::default();
            let ops = node("ops-01", &net, vec![peer("dev-01")]).await;
            // By now it is looked for at long intervals only.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let _dev = node("dev-01", &net, vec![]).await;
            for _ in 0..4 {
                ops.series().await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
        }
    });
}

#[test]
fn questions_before_the_first_answer_wait_for_it() {
    run(async {
        let net = Net::default();
        let _dev = node("dev-01", &net, vec![]).await;
        let ops = node("ops-01", &net, vec![]).await;
        ops.peers.set(vec![peer("dev-01").into()]);
        assert_eq!(ops.status("dev-01").state, LinkState::Connecting);
        assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
    });
}

#[test]
fn one_that_answers_no_questions_is_left_alone_until_one_is_answered() {
    run(async {
        let net = Net::default();
        let hangs: Arc<std::sync::atomic::AtomicBool> = Arc::default();
        let switch = Switch { to: store("dev-01").await, hangs: hangs.clone() };
        let _dev = Node::new(named("dev-01", None), &net, Some((Arc::new(switch), 0)), vec![]).await;
        let hasty = PeerSettings { timeout: Duration::from_secs(9), ..peer("dev-01") };
        let ops = node("ops-01", &net, vec![hasty]).await;
        hangs.store(true, Relaxed);
        for _ in 0..breaker::FAILURES {
            let began = Instant::now();
            let (_, coverage) = ops.series().await;
            assert!(states(&coverage)[0].starts_with("dev-01 missing: "), "{coverage:?}");
            assert!(Duration::from_secs(8) < began.elapsed() && began.elapsed() < Duration::from_secs(11));
        }
        assert_eq!(ops.status("dev-01").state, LinkState::Open);
        let began = Instant::now();
        let (_, coverage) = ops.series().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        let reason = &states(&coverage)[0];
        assert!(
            reason.starts_with(
                "dev-01 missing: not asked after 3 failures in a row; the last: no answer within"
            ),
            "{reason}"
        );
        assert!(ops.metrics.encode().contains("orrery_peer_not_asked_total{peer=\"dev-01\"} 1"));
        assert!(ops.metrics.encode().contains("reason=\"open\""));
        // It says who it is all the while, so it is found out when it answers again, also where nobody asks.
        hangs.store(false, Relaxed);
        tokio::time::sleep(Duration::from_secs(80)).await;
        assert_eq!(ops.status("dev-01").state, LinkState::Up);
        assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
        assert_eq!(ops.status("dev-01").state, LinkState::Up);
    });
}

#[test]
fn one_that_is_stopped_and_one_that_talks_nonsense_are_left_alone_until_they_are_back() {
    run(async {
        for host in [Host::Silent, Host::Garbage] {
            let net = Net::default();
            let _dev = node("dev-01", &net, vec![]).await;
            let good = net.hosts.lock().get("dev-01").cloned().unwrap();
            net.host("dev-01", host);
            let ops = node("ops-01", &net, vec![peer("dev-01")]).await;
            tokio::time::sleep(Duration::from_secs(120)).await;
            let status = ops.status("dev-01");
            assert_eq!(status.state, LinkState::Open, "{status:?}");
            let began = Instant::now();
            let (found, coverage) = ops.series().await;
            assert_eq!((clusters(&found), began.elapsed()), (vec!["ops-01"], Duration::ZERO));
            let source = &coverage.sources()[0];
            assert_eq!(source.state, CoverageState::Missing);
            // Which of the two ends a silent connection is a matter of chance: the question, or the sign of life.
            assert!(!source.reason.is_empty());
            net.host("dev-01", good);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(clusters(&ops.series().await.0), ["dev-01", "ops-01"]);
            let (_, coverage) = ops.series().await;
            assert!(coverage.is_complete());
        }
    });
}

#[test]
fn one_that_is_somebody_else_is_not_taken_for_the_one_meant() {
    run(async {
        let net = Net::default();
        let _dev = node("dev-01", &net, vec![]).await;
        let meant = PeerSettings { name: "prod-01".into(), ..peer("dev-01") };
        let ops = node("ops-01", &net, vec![meant, peer("ops-01")]).await;
        let error = ops.status("prod-01").last_error.unwrap();
        assert_eq!(error, "the peer at dev-01 is cluster dev-01; expected prod-01");
        let error = ops.status("ops-01").last_error.unwrap();
        assert_eq!(error, "the peer at ops-01 is this node itself");
    });
}

/// Two replicas of prod-01 behind one node; the second is `slow`.
async fn replicas(net: &Net, slow: Arc<dyn Select>, oldest: (i64, i64)) -> Node {
    let held = Some((store("prod-01").await, oldest.0));
    let _a = Node::new(named("prod-01", Some("a")), net, held, vec![]).await;
    let _b = Node::new(named("prod-01", Some("b")), net, Some((slow, oldest.1)), vec![]).await;
    let replica = |r: &str| PeerSettings {
        replica: Some(r.into()),
        address: Some(format!("prod-01{r}")),
        ..peer("prod-01")
    };
    Node::new(named("ops-01", None), net, None, vec![replica("a"), replica("b")]).await
}

#[test]
fn a_mirror_is_not_waited_for_once_another_has_answered_whole() {
    run(async {
        let net = Net::default();
        let one = SeriesData {
            labels: Labels::from_pairs([("__name__", "up"), ("cluster", "a")]),
            ..series("up", &[(1, 1.0)])
        };
        let slow =
            Script { series: vec![Act::Item(one), Act::Hang], names: vec!["up".into()], ..Script::default() };
        let ops = replicas(&net, Arc::new(slow), (0, 0)).await;
        let began = Instant::now();
        let (found, coverage) = ops.series().await;
        assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(clusters(&found).contains(&"prod-01"));
        let reason = "prod-01 complete: replica b: slower than a replica that has answered for all of it";
        assert_eq!(states(&coverage), [reason]);
        assert!(ops.peers.recent().is_empty());
        // What the one that answered was not waited for is no latency of it, or its own grace would grow with it.
        let quick = ops.peers.status()[0].latency_p99.unwrap();
        assert!(quick < Duration::from_millis(100), "{quick:?}");
        // Slow is not broken.
        for _ in 0..5 {
            ops.series().await;
        }
        assert_eq!(ops.peers.status()[1].state, LinkState::Up);

        let slow = Arc::new(Script { first: vec![Act::Hang], ..Script::default() });
        let ops = replicas(&Net::default(), slow, (0, 0)).await;
        let began = Instant::now();
        let request = contract::LabelNamesRequest {
            scope: crate::fixtures::scope(TimeRange::ALL),
            signal: Signal::METRICS,
            selectors: vec![],
            limit: None,
        };
        let (names, coverage) = ops.federation.label_names(request).await.unwrap();
        assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(
            (names, states(&coverage)),
            (vec!["__name__".to_owned(), "cluster".to_owned()], vec![reason.to_owned()])
        );
    });
}

#[test]
fn a_mirror_that_began_later_stands_in_from_its_beginning_only() {
    run(async {
        let hour = 3_600_000_000_000;
        // The one that fails has been there longer.
        let failing =
            || Arc::new(Script { first: vec![Act::Fail(crate::fixtures::refused())], ..Script::default() });
        let ops = replicas(&Net::default(), failing(), (10 * hour, 0)).await;
        let range = TimeRange::new(TimestampNs(0), TimestampNs(20 * hour));
        let (_, coverage) = ops.series_in(range).await.unwrap();
        let [source] = coverage.sources() else { panic!("{coverage:?}") };
        assert_eq!(source.state, CoverageState::Partial);
        assert_eq!(source.covered, [TimeRange::new(TimestampNs(10 * hour), TimestampNs(20 * hour))]);
        assert!(source.reason.contains("only prod-01/b has"), "{}", source.reason);
        // The other way round nothing is missing, nor where both were started together and this one scraped second.
        for (this, failing_since) in [(0, 10 * hour), (hour / 60, 0)] {
            let ops = replicas(&Net::default(), failing(), (this, failing_since)).await;
            let (_, coverage) = ops.series_in(range).await.unwrap();
            assert!(coverage.is_complete(), "{coverage:?}");
        }
        let ops = replicas(&Net::default(), failing(), (hour / 60 + 1, 0)).await;
        let (_, coverage) = ops.series_in(range).await.unwrap();
        assert!(!coverage.is_complete(), "{coverage:?}");
        // Just after the beginning of the question, but long after the other.
        let ops = replicas(&Net::default(), failing(), (10 * hour, 0)).await;
        let range = TimeRange::new(TimestampNs(10 * hour - 1), TimestampNs(20 * hour));
        let (_, coverage) = ops.series_in(range).await.unwrap();
        assert!(!coverage.is_complete(), "{coverage:?}");
    });
}
