use base::Clock;
use model::{Batch, MetricBatch, is_stale_marker};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use transform::relabel::{Rule, RuleConfig};

use super::{
    ingest::{Prepared, prepare},
    memory::Memory,
    target::{Resolved, resolve},
    *,
};
use crate::{
    context::tests::{Recorder, context},
    discovery::{Discovery, Group},
};

fn job(targets: &[&str]) -> ScrapeConfig {
    ScrapeConfig { interval: Duration::from_secs(15), ..ScrapeConfig::of("node", targets) }
}

fn rule(change: impl FnOnce(&mut RuleConfig)) -> Rule {
    let mut c = RuleConfig::default();
    change(&mut c);
    Rule::new(c).unwrap()
}

fn groups(config: &ScrapeConfig) -> &[Group] {
    let [Discovery::Static(groups)] = config.discovery.as_slice() else { panic!("static") };
    groups
}

fn active(config: &ScrapeConfig) -> Vec<Target> {
    let all = groups(config).iter().flat_map(|g| g.targets.iter().map(move |t| (g, t)));
    all.filter_map(|(g, t)| match resolve(config, g, t).unwrap() {
        Resolved::Active(t) => Some(*t),
        Resolved::Dropped(_) => None,
    })
    .collect()
}

fn exposition(text: &str) -> wire::exposition::Exposition {
    let limits = wire::Limits::default();
    let options = wire::exposition::ScrapeOptions::new(1000, &limits);
    wire::exposition::parse("text/plain", text.as_bytes(), &options).unwrap()
}

fn once(config: &ScrapeConfig, memory: &mut Memory, text: &str) -> Prepared {
    memory.begin();
    let target = active(config).remove(0);
    prepare(config, &target, memory, exposition(text), 1000)
}

fn lines(b: &MetricBatch) -> Vec<String> {
    let line = |i: usize| {
        let v = b.samples.value[i];
        let v = if is_stale_marker(v) { "stale".to_owned() } else { v.to_string() };
        format!("{} {v}", b.series[b.samples.series[i] as usize])
    };
    (0..b.samples.len()).map(line).collect()
}

#[test]
fn a_target_gets_job_instance_and_its_groups_labels() {
    let mut config = job(&["a:9100"]);
    let labels = Labels::from_pairs([("env", "prod")]);
    config.discovery = vec![Discovery::Static(vec![
        Group::of(["a:9100"], Labels::default()),
        Group::of(["b:9100"], labels),
    ])];
    config.params.insert("module".into(), vec!["x y".into(), "z".into()]);
    let targets = active(&config);
    assert_eq!(targets[0].labels.to_string(), "{instance=\"a:9100\", job=\"node\"}");
    assert_eq!(targets[1].labels.to_string(), "{env=\"prod\", instance=\"b:9100\", job=\"node\"}");
    assert_eq!(targets[0].url, "http://a:9100/metrics?module=x+y&module=z");
    assert_eq!(targets[0].discovered.value("__scrape_interval__"), "15s");
}

#[test]
fn relabelling_changes_address_path_parameters_and_interval_or_drops() {
    let mut config = job(&["a", "drop-me"]);
    config.params.insert("kept".into(), vec!["1".into()]);
    config.relabel = vec![
        rule(|r| {
            r.action = "drop".into();
            r.source_labels = vec!["__address__".into()];
            r.regex = "drop.*".into();
        }),
        rule(|r| {
            r.source_labels = vec!["__address__".into()];
            r.target_label = "__param_target".into();
        }),
        rule(|r| {
            r.target_label = "__address__".into();
            r.replacement = "prober:9115".into();
        }),
        rule(|r| {
            r.target_label = "__metrics_path__".into();
            r.replacement = "probe?x".into();
        }),
        rule(|r| {
            r.target_label = "__scrape_interval__".into();
            r.replacement = "1m30s".into();
        }),
    ];
    let targets = active(&config);
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].url, "http://prober:9115/probe%3Fx?kept=1&target=a");
    assert_eq!(targets[0].interval, Duration::from_secs(90));
    assert_eq!(targets[0].labels.value("instance"), "prober:9115");
}

#[test]
fn a_target_that_cannot_be_scraped_says_why() {
    let why = |target: &str, replacement: &str| {
        let mut config = job(&["a:1"]);
        config.relabel = vec![rule(|r| {
            r.target_label = target.into();
            r.replacement = replacement.into();
        })];
        let g = &groups(&config)[0];
        resolve(&config, g, &g.targets[0]).err().unwrap()
    };
    assert_eq!(why("__address__", ""), "no address");
    assert_eq!(why("__address__", "http://a"), "\"http://a\" is not a valid hostname");
    assert!(why("__scrape_interval__", "soon").contains("error parsing scrape interval"));
    assert_eq!(why("__scrape_timeout__", "0"), "scrape timeout cannot be 0");
    assert!(why("__scrape_timeout__", "16s").contains("greater than scrape interval (\"16s\" > \"15s\")"));
    assert!(why("__scrape_native_histograms__", "maybe").contains("neither true nor false"));
}

#[test]
fn a_protobuf_answer_brings_native_histograms_where_the_job_wants_them() {
    // One family `h` of type histogram: one metric with one observation in the native bucket 0.
    let histogram = [0x08, 1, 0x62, 4, 0x08, 0, 0x10, 1, 0x68, 2];
    let metric = [&[0x3a, 10][..], &histogram].concat();
    let family = [&[0x0a, 1, b'h', 0x18, 4, 0x22, 12][..], &metric].concat();
    let bytes = [&[family.len() as u8][..], &family].concat();
    let media =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let body = super::fetch::Body { bytes: bytes.into(), content_type: media.to_owned() };
    for native in [true, false] {
        let mut config = job(&["a:1"]);
        config.histograms.native = native;
        let read = body.parse(&config, &active(&config)[0], &wire::Limits::default(), 1000).ok().unwrap();
        let found = (read.batch.histograms.len(), read.batch.samples.len());
        assert_eq!(found, if native { (1, 0) } else { (0, 3) });
    }
}

#[test]
fn conflicting_labels_are_exported_or_honoured() {
    let mut config = job(&["a:1"]);
    let text = "m{job=\"mine\",exported_job=\"older\",x=\"1\"} 1\n";
    let p = once(&config, &mut Memory::default(), text);
    assert_eq!(
        lines(&p.batch),
        [
            "m{exported_exported_job=\"mine\", exported_job=\"older\", instance=\"a:1\", job=\"node\", x=\"1\"} 1"
        ]
    );
    config.honor_labels = true;
    let p = once(&config, &mut Memory::default(), text);
    assert_eq!(lines(&p.batch), ["m{exported_job=\"older\", instance=\"a:1\", job=\"mine\", x=\"1\"} 1"]);
}

#[test]
fn metric_relabelling_drops_renames_and_merges_are_counted() {
    let mut config = job(&["a:1"]);
    config.metric_relabel = vec![
        rule(|r| {
            r.action = "drop".into();
            r.source_labels = vec!["__name__".into()];
            r.regex = "go_.*".into();
        }),
        rule(|r| {
            r.action = "labeldrop".into();
            r.regex = "x".into();
        }),
    ];
    let mut memory = Memory::default();
    for added in [2, 0] {
        let p = once(&config, &mut memory, "go_a 1\nm{x=\"1\"} 1\nm{x=\"2\"} 2\nn 3\n");
        assert_eq!(
            lines(&p.batch),
            ["m{instance=\"a:1\", job=\"node\"} 1", "n{instance=\"a:1\", job=\"node\"} 3"]
        );
        assert_eq!((p.scraped, p.kept, p.duplicates, p.added), (4, 3, 1, added));
        memory.settle(false, true);
    }
}

#[test]
fn a_rule_that_takes_the_name_fails_the_scrape() {
    let mut config = job(&["a:1"]);
    config.metric_relabel = vec![rule(|r| {
        r.action = "labeldrop".into();
        r.regex = "__name__".into();
    })];
    let p = once(&config, &mut Memory::default(), "a 1\n");
    assert_eq!(p.failure.unwrap().to_string(), "missing metric name (__name__ label)");
    let legacy = ScrapeConfig { names: Names::Legacy, ..job(&["a:1"]) };
    let p = once(&legacy, &mut Memory::default(), "{\"a.b\"} 1\n");
    assert!(p.failure.unwrap().to_string().starts_with("invalid metric name"));
    assert!(p.batch.is_empty());
}

#[test]
fn limits_fail_the_whole_scrape_by_name() {
    let mut config = job(&["a:1"]);
    config.limits.samples = 1;
    let p = once(&config, &mut Memory::default(), "a 1\nb 2\nc 3\n");
    assert_eq!(p.failure.unwrap().to_string(), "sample limit exceeded");
    assert_eq!((p.scraped, p.kept, p.added, p.batch.is_empty()), (3, 3, 1, true));
    config.limits = Limits { labels: 3, ..Limits::default() };
    let p = once(&config, &mut Memory::default(), "a{x=\"1\"} 1\n");
    let says = "label_limit exceeded (metric: a, number of labels: 4, limit: 3)";
    assert_eq!(p.failure.unwrap().to_string(), says);
    config.limits = Limits { label_name_bytes: 8, ..Limits::default() };
    let p = once(&config, &mut Memory::default(), "a{longlabel=\"1\"} 1\n");
    assert!(p.failure.unwrap().to_string().contains("label name: longlabel, length: 9, limit: 8"));
    config.limits = Limits { label_value_bytes: 5, ..Limits::default() };
    let p = once(&config, &mut Memory::default(), "a{x=\"123456\"} 1\n");
    assert!(p.failure.unwrap().to_string().contains("value: \"123456\", length: 6, limit: 5"));
}

#[test]
fn a_series_twice_counts_once_unless_each_has_its_own_time_and_far_times_are_left_out() {
    let config = job(&["a:1"]);
    let p = once(&config, &mut Memory::default(), "a 1\na 2\nb 1 100\nb 2 200\nc 1 99999999\n");
    let values: Vec<f64> = p.batch.samples.value.clone();
    assert_eq!(values, [1.0, 1.0, 2.0]);
    assert_eq!((p.duplicates, p.too_far_ahead, p.scraped, p.kept), (1, 1, 5, 5));
}

/// The lines that a scrape of `text` stores, markers included.
fn stored(config: &ScrapeConfig, memory: &mut Memory, text: Option<&str>) -> Vec<String> {
    let mut p = match text {
        Some(text) => once(config, memory, text),
        None => {
            memory.begin();
            Prepared::default()
        }
    };
    let failed = text.is_none() || p.failure.is_some();
    memory.mark_stale(&mut p.batch, 2000, failed);
    memory.settle(failed, true);
    lines(&p.batch).into_iter().map(|l| l.replace("{instance=\"a:1\", job=\"node\"}", "")).collect()
}

#[test]
fn vanished_series_end_with_a_marker_unless_they_carried_their_own_time() {
    let mut config = job(&["a:1"]);
    let mut m = Memory::default();
    assert_eq!(stored(&config, &mut m, Some("a 1\nb 2\nc 3 500\n")).len(), 3);
    assert_eq!(stored(&config, &mut m, Some("a 1\n")), ["a 1", "b stale"]);
    assert_eq!(stored(&config, &mut m, None), ["a stale"]);
    assert!(stored(&config, &mut m, None).is_empty(), "what ended ends once");
    assert_eq!(stored(&config, &mut m, Some("a 2\n")), ["a 2"]);
    config.track_timestamps_staleness = true;
    assert_eq!(stored(&config, &mut m, Some("c 3 500\n")), ["c 3", "a stale"]);
    assert_eq!(stored(&config, &mut m, Some("")), ["c stale"]);
}

#[test]
fn what_could_not_be_stored_is_ended_later() {
    let config = job(&["a:1"]);
    let mut m = Memory::default();
    once(&config, &mut m, "a 1\nb 1\n");
    m.settle(false, true);
    once(&config, &mut m, "b 1\nc 1\n");
    m.settle(false, false);
    assert_eq!(stored(&config, &mut m, None), ["a stale", "b stale", "c stale"]);
}

#[test]
fn failing_scrapes_with_changing_series_do_not_grow_the_memory_without_end() {
    let mut config = job(&["a:1"]);
    config.limits.samples = 1;
    let mut m = Memory::default();
    let mut forced = 0;
    for round in 0..30 {
        let text: String = (0..100).map(|i| format!("m{{i=\"{round}-{i}\"}} 1\n")).collect();
        assert!(once(&config, &mut m, &text).failure.is_some());
        forced += usize::from(m.is_overgrown());
        m.settle(true, true);
    }
    assert!((1..30).contains(&forced), "{forced}");
}

/// A target that answers each request with the next body; `None` closes the connection.
async fn target(answers: Vec<Option<&'static str>>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buf = vec![0; 4096];
            let n = stream.read(&mut buf).await.unwrap();
            requests.push(String::from_utf8_lossy(&buf[..n]).to_lowercase());
            if let Some(body) = answer {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        }
        requests
    });
    (address, served)
}

async fn units(recorder: &Recorder, clock: &Clock, n: usize) {
    while recorder.units.lock().len() < n {
        tokio::time::sleep(Duration::from_millis(1)).await;
        clock.advance(Duration::from_millis(500));
    }
}

fn own(recorder: &Recorder, unit: usize) -> Vec<String> {
    let units = recorder.units.lock();
    let Batch::Metrics(b) = &units[unit].batches[0] else { panic!("metrics") };
    let all = lines(b).into_iter().filter(|l| !l.starts_with("scrape_"));
    all.map(|l| l.replace(&b.series[0].value("instance").to_owned(), "T")).collect()
}

fn manager(c: &Context) -> Manager {
    Manager::new(c, &Metrics::default(), "seed")
}

#[tokio::test]
async fn a_target_is_scraped_marked_down_and_ended() {
    let (address, served) = target(vec![Some("a 1\nb 2\n"), Some("a 3\n"), None]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    let manager = manager(&c);
    let mut config = job(&[&address]);
    let credentials = net::Secret::Inline("t0ken".into());
    config.http.auth = net::Auth::Header { scheme: "Bearer".into(), credentials };
    manager.apply(vec![config.clone()]);
    assert_eq!(manager.targets()[0].health, Health::Unknown);

    units(&recorder, &clock, 1).await;
    assert_eq!(
        own(&recorder, 0),
        [
            "a{instance=\"T\", job=\"node\"} 1",
            "b{instance=\"T\", job=\"node\"} 2",
            "up{instance=\"T\", job=\"node\"} 1"
        ]
    );
    assert_eq!(manager.targets()[0].health, Health::Up);
    manager.apply(vec![config.clone()]);
    units(&recorder, &clock, 2).await;
    assert_eq!(
        own(&recorder, 1),
        [
            "a{instance=\"T\", job=\"node\"} 3",
            "b{instance=\"T\", job=\"node\"} stale",
            "up{instance=\"T\", job=\"node\"} 1"
        ],
        "applying the same configuration again disturbs nothing"
    );
    units(&recorder, &clock, 3).await;
    assert_eq!(
        own(&recorder, 2),
        ["a{instance=\"T\", job=\"node\"} stale", "up{instance=\"T\", job=\"node\"} 0"]
    );
    let status = manager.targets().remove(0);
    assert_eq!(status.health, Health::Down);
    assert!(status.last_error.contains("asking"), "{}", status.last_error);

    manager.apply(Vec::new());
    assert!(manager.targets().is_empty());
    units(&recorder, &clock, 4).await;
    assert_eq!(own(&recorder, 3), ["up{instance=\"T\", job=\"node\"} stale"]);
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
    let requests = served.await.unwrap();
    assert!(requests[0].starts_with("get /metrics http/1.1"), "{}", requests[0]);
    assert!(
        requests[0].contains("authorization: bearer t0ken")
            && requests[0].contains("application/openmetrics-text")
            && requests[0].contains("x-prometheus-scrape-timeout-seconds: 10")
    );
}

#[tokio::test]
async fn a_changed_job_goes_on_with_its_series_and_ends_only_what_is_gone() {
    let (address, _served) = target(vec![Some("a 1\nb 2\n"), Some("a 3\nb 4\n")]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    let manager = manager(&c);
    let mut config = job(&[&address]);
    manager.apply(vec![config.clone()]);
    units(&recorder, &clock, 1).await;
    config.metric_relabel = vec![rule(|r| {
        r.action = "drop".into();
        r.source_labels = vec!["__name__".into()];
        r.regex = "b".into();
    })];
    manager.apply(vec![config]);
    units(&recorder, &clock, 2).await;
    assert_eq!(
        own(&recorder, 1),
        [
            "a{instance=\"T\", job=\"node\"} 3",
            "b{instance=\"T\", job=\"node\"} stale",
            "up{instance=\"T\", job=\"node\"} 1"
        ]
    );
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_ends_nothing() {
    let (address, _served) = target(vec![Some("a 1\n")]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    manager(&c).apply(vec![job(&[&address])]);
    units(&recorder, &clock, 1).await;
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
    assert_eq!(recorder.units.lock().len(), 1, "it will be back, and its series with it");
}

#[tokio::test]
async fn a_job_with_too_many_targets_scrapes_none_and_dropped_ones_are_kept_up_to_their_limit() {
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    let metrics = Metrics::default();
    let manager = Manager::new(&c, &metrics, "");
    let mut config = job(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:2", "x:1", "x:2"]);
    config.limits.targets = 1;
    config.limits.keep_dropped = 1;
    config.relabel = vec![rule(|r| {
        r.action = "drop".into();
        r.source_labels = vec!["__address__".into()];
        r.regex = "x.*".into();
    })];
    manager.apply(vec![config]);
    assert_eq!(manager.targets().len(), 2, "the same target twice is one");
    assert_eq!(manager.dropped_targets().len(), 1);
    assert_eq!(manager.dropped_counts(), [("node".to_owned(), 2)]);
    units(&recorder, &clock, 2).await;
    let says = "target_limit exceeded (number of targets: 2, limit: 1)";
    assert!(manager.targets().iter().all(|t| t.health == Health::Down && t.last_error == says));
    let text = metrics.encode();
    for line in [
        "prometheus_target_scrape_pool_targets{scrape_job=\"node\"} 2",
        "prometheus_target_scrape_pool_target_limit{scrape_job=\"node\"} 1",
        "prometheus_target_scrape_pool_exceeded_target_limit_total 1",
        "prometheus_sd_discovered_targets{name=\"scrape\",config=\"node\"} 5",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn extra_series_and_the_failure_log_are_written_where_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (address, _served) = target(vec![Some("a 1\nb 2\n"), Some("a{ 1\n")]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    let mut config = job(&[&address]);
    config.extra_metrics = true;
    config.limits.samples = 7;
    config.failure_log = Some(dir.path().join("failures"));
    manager(&c).apply(vec![config]);
    units(&recorder, &clock, 2).await;
    let text = {
        let units = recorder.units.lock();
        let Batch::Metrics(b) = &units[0].batches[0] else { panic!("metrics") };
        lines(b).join("\n")
    };
    for series in ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"] {
        assert!(text.contains(series), "{text}");
    }
    assert!(text.lines().any(|l| l.starts_with("scrape_sample_limit{") && l.ends_with(" 7")), "{text}");
    assert!(text.lines().any(|l| l.starts_with("scrape_body_size_bytes{") && l.ends_with(" 8")), "{text}");
    let log = std::fs::read_to_string(dir.path().join("failures")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(line["job_name"], "node");
    assert!(line["msg"].as_str().unwrap().contains("line 1"), "{log}");
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_scrape_is_held_to_the_limits_that_hold_when_it_happens() {
    let (address, _served) = target(vec![Some("a{l=\"12345\"} 1\n"), Some("a{l=\"12345\"} 1\n")]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    let manager = manager(&c);
    manager.set_limits(wire::Limits { max_label_value_bytes: 4, ..Default::default() });
    manager.apply(vec![job(&[&address])]);
    units(&recorder, &clock, 1).await;
    let error = manager.targets()[0].last_error.clone();
    assert!(error.contains("ingest.max_label_value is 4"), "{error}");
    manager.set_limits(wire::Limits { max_label_value_bytes: 5, ..Default::default() });
    units(&recorder, &clock, 2).await;
    assert_eq!(manager.targets()[0].health, Health::Up);
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}
