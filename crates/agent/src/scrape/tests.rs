use base::Clock;
use model::{Batch, MetricBatch, is_stale_marker};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use transform::relabel::RuleConfig;

use super::{
    ingest::{Prepared, mark_stale, prepare},
    target::{Resolved, Target, duration_text, parse_duration, resolve_all},
    *,
};
use crate::context::tests::{Recorder, context};

fn job(targets: &[&str]) -> ScrapeConfig {
    ScrapeConfig {
        job_name: "node".into(),
        interval: Duration::from_secs(15),
        targets: targets.iter().map(|t| ((*t).to_owned(), BTreeMap::new())).collect(),
        ..ScrapeConfig::default()
    }
}

fn rule(change: impl FnOnce(&mut RuleConfig)) -> Rule {
    let mut c = RuleConfig::default();
    change(&mut c);
    Rule::new(c).unwrap()
}

fn active(config: &ScrapeConfig) -> Vec<Target> {
    let actives = resolve_all(config).into_iter().filter_map(|r| match r {
        Resolved::Active(t) => Some(t),
        Resolved::Dropped(_) => None,
    });
    actives.collect()
}

fn exposition(text: &str) -> wire::exposition::Exposition {
    let limits = wire::Limits::default();
    let options = wire::exposition::ScrapeOptions {
        default_ms: 1000,
        honor_timestamps: true,
        strict: false,
        limits: &limits,
    };
    wire::exposition::parse("text/plain", text.as_bytes(), &options).unwrap()
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
    let mut config = job(&["a:9100", "a:9100", "b:9100"]);
    config.targets[2].1.insert("env".into(), "prod".into());
    config.params.insert("module".into(), vec!["x y".into(), "z".into()]);
    let targets = active(&config);
    assert_eq!(targets.len(), 2, "the same target twice is one");
    assert_eq!(targets[0].labels.to_string(), "{instance=\"a:9100\", job=\"node\"}");
    assert_eq!(targets[1].labels.to_string(), "{env=\"prod\", instance=\"b:9100\", job=\"node\"}");
    assert_eq!(targets[0].url, "http://a:9100/metrics?module=x+y&module=z");
    assert_eq!(targets[0].discovered.value("__scrape_interval__"), "15s");
}

#[test]
fn relabelling_changes_address_path_parameters_and_interval_or_drops() {
    let mut config = job(&["a", "drop-me"]);
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
            r.replacement = "/probe".into();
        }),
        rule(|r| {
            r.target_label = "__scrape_interval__".into();
            r.replacement = "1m30s".into();
        }),
    ];
    let targets = active(&config);
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].url, "http://prober:9115/probe?target=a");
    assert_eq!(targets[0].interval, Duration::from_secs(90));
    assert_eq!(targets[0].labels.value("instance"), "prober:9115");
}

#[test]
fn durations_are_read_and_written_as_prometheus_does() {
    for (text, ms) in
        [("15s", 15_000), ("1m30s", 90_000), ("500ms", 500), ("1h", 3_600_000), ("1d", 86_400_000)]
    {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
    }
    for bad in ["", "15", "s", "0s", "-1s", "99999999999999999999y", "1é"] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
    assert_eq!(duration_text(Duration::from_secs(90)), "90s");
    assert_eq!(duration_text(Duration::from_secs(120)), "2m");
}

#[test]
fn conflicting_labels_are_exported_or_honoured() {
    let mut config = job(&["a:1"]);
    let target = active(&config).remove(0);
    let text = "m{job=\"mine\",exported_job=\"older\",x=\"1\"} 1\n";
    let p = prepare(&config, &target, exposition(text)).unwrap();
    assert_eq!(
        lines(&p.batch),
        [
            "m{exported_exported_job=\"mine\", exported_job=\"older\", instance=\"a:1\", job=\"node\", x=\"1\"} 1"
        ]
    );
    config.honor_labels = true;
    let p = prepare(&config, &target, exposition(text)).unwrap();
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
    let target = active(&config).remove(0);
    let p = prepare(&config, &target, exposition("go_a 1\nm{x=\"1\"} 1\nm{x=\"2\"} 2\nn 3\n")).unwrap();
    assert_eq!(
        lines(&p.batch),
        ["m{instance=\"a:1\", job=\"node\"} 1", "n{instance=\"a:1\", job=\"node\"} 3"]
    );
    assert_eq!((p.scraped, p.kept, p.duplicates), (4, 2, 1));
}

#[test]
fn limits_fail_the_whole_scrape_by_name() {
    let mut config = job(&["a:1"]);
    config.sample_limit = 1;
    let target = active(&config).remove(0);
    let err = prepare(&config, &target, exposition("a 1\nb 2\n")).unwrap_err();
    assert_eq!(err, "2 samples after relabelling, sample_limit is 1");
    config.sample_limit = 0;
    config.label_limit = 3;
    let err = prepare(&config, &target, exposition("a{x=\"1\"} 1\n")).unwrap_err();
    assert!(err.contains("4 labels in a{") && err.contains("label_limit is 3"), "{err}");
}

#[test]
fn vanished_series_end_with_a_marker_unless_they_carried_their_own_time() {
    let config = job(&["a:1"]);
    let target = active(&config).remove(0);
    let first = prepare(&config, &target, exposition("a 1\nb 2\nc 3 500\n")).unwrap();
    let Prepared { mut batch, tracked, .. } = prepare(&config, &target, exposition("a 1\n")).unwrap();
    assert_eq!(mark_stale(&mut batch, &first.tracked, &tracked, 2000), 0);
    assert_eq!(
        lines(&batch),
        ["a{instance=\"a:1\", job=\"node\"} 1", "b{instance=\"a:1\", job=\"node\"} stale"]
    );
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

#[tokio::test]
async fn a_target_is_scraped_marked_down_and_ended() {
    let (address, served) = target(vec![Some("a 1\nb 2\n"), Some("a 3\n"), None]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    let manager = Manager::new(&c, net::Client::new().unwrap());
    let mut config = job(&[&address]);
    config.auth = Auth::Header { scheme: "Bearer".into(), credentials: Secret::Inline("t0ken".into()) };
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
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
    assert_eq!(own(&recorder, 3), ["up{instance=\"T\", job=\"node\"} stale"]);
    let requests = served.await.unwrap();
    assert!(requests[0].starts_with("get /metrics http/1.1"), "{}", requests[0]);
    assert!(
        requests[0].contains("authorization: bearer t0ken")
            && requests[0].contains("application/openmetrics-text")
    );
}

#[tokio::test]
async fn shutdown_ends_all_series() {
    let (address, _served) = target(vec![Some("a 1\n")]).await;
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let (c, recorder) = context(clock.clone());
    Manager::new(&c, net::Client::new().unwrap()).apply(vec![job(&[&address])]);
    units(&recorder, &clock, 1).await;
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
    assert_eq!(
        own(&recorder, 1),
        ["a{instance=\"T\", job=\"node\"} stale", "up{instance=\"T\", job=\"node\"} stale"]
    );
}
