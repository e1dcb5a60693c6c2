//! Real senders write into a node that is killed and started again meanwhile: what they hold themselves is the
//! truth, sample for sample.
//!
//! ```text
//! itself, node exporter ◄── Prometheus ──────────────► node     compared with Prometheus' own answers
//!                       ◄── vmagent ───┬─────────────► node     compared with what VictoriaMetrics exports
//!                                      └► VictoriaMetrics
//! ```
//! `ORRERY_ENDURE_SECONDS` sets how long they write (default 16); the node is killed in the middle, and once a minute
//! in longer runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use net::{Answer, Client, Request};
use serde_json::Value;

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode, eventually},
    peers::{Peer, free_port, program},
};

/// Width of what is asked at once.
const SLICE_MS: i64 = 20_000;
/// How long the senders may take to bring what they kept while the node was away. vmagent doubles its pauses.
const CATCH_UP: Duration = Duration::from_secs(90);

/// Series to time to value.
type Samples = BTreeMap<String, BTreeMap<i64, f64>>;

struct Peers {
    client: Client,
    prometheus: String,
    victoria: Option<String>,
    _running: Vec<Peer>,
}

impl Peers {
    async fn start(dir: &Path, node: &str) -> Option<Peers> {
        let prometheus = program("prometheus")?;
        let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let mut targets = vec![format!("127.0.0.1:{}", ports[0])];
        let mut running = Vec::new();
        if let Some(exporter) = program("prometheus-node-exporter") {
            targets.push(format!("127.0.0.1:{}", ports[1]));
            let listen = format!("--web.listen-address=127.0.0.1:{}", ports[1]);
            running.push(Peer::start(Command::new(exporter).arg(listen)));
        }
        let scrape = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: all\n  static_configs: [{{targets: {targets:?}}}]\n"
        );
        let write = format!(
            "remote_write:\n- url: {node}/api/v1/write\n  queue_config: {{batch_send_deadline: 500ms}}\n"
        );
        let (own, agents) = (dir.join("prometheus.yml"), dir.join("vmagent.yml"));
        std::fs::write(&own, format!("{scrape}{write}")).unwrap();
        std::fs::write(&agents, &scrape).unwrap();
        running.push(Peer::start(
            Command::new(prometheus)
                .arg(format!("--config.file={}", own.display()))
                .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
                .arg(format!("--web.listen-address={}", targets[0])),
        ));
        let victoria = match (program("vmagent"), program("victoria-metrics")) {
            (Some(agent), Some(victoria)) => {
                let address = format!("127.0.0.1:{}", ports[2]);
                running.push(Peer::start(
                    Command::new(victoria)
                        .arg(format!("-storageDataPath={}", dir.join("victoria").display()))
                        .arg(format!("-httpListenAddr={address}"))
                        .arg("-retentionPeriod=100y"),
                ));
                running.push(vmagent(&agent, dir, &agents, ports[3], node, &address));
                Some(format!("http://{address}"))
            }
            _ => None,
        };
        let prometheus = format!("http://{}", targets[0]);
        Some(Peers { client: Client::new().unwrap(), prometheus, victoria, _running: running })
    }

    async fn get(&self, url: String) -> Answer {
        let request =
            Request { timeout: Duration::from_secs(60), max_answer_bytes: 1 << 30, ..Request::get(url) };
        self.client.send(request).await.unwrap()
    }

    /// What a Prometheus API has of a selector, times in milliseconds and both ends included.
    async fn queried(&self, http: &str, selector: &str, from: i64, to: i64) -> Samples {
        let mut found = Samples::new();
        let mut at = from;
        while at <= to {
            let last = (at + SLICE_MS - 1).min(to);
            // Older releases count a sample on the left edge in, newer ones do not: the edge is outside either way.
            let query = encode(&format!("{selector}[{}ms]", last - at + 2));
            let url = format!("{http}/api/v1/query?query={query}&time={}", last as f64 / 1e3);
            let answer = self.get(url).await;
            let v: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(v["status"], "success", "{}", answer.excerpt());
            for series in v["data"]["result"].as_array().into_iter().flatten() {
                let values = found.entry(key(&series["metric"])).or_default();
                for point in series["values"].as_array().into_iter().flatten() {
                    let t = (point[0].as_f64().unwrap() * 1e3).round() as i64;
                    if (at..=last).contains(&t) {
                        let doubled = values.insert(t, parsed(point[1].as_str().unwrap()));
                        assert_eq!(doubled, None, "{http}: {} has {t} twice", series["metric"]);
                    }
                }
            }
            at = last + 1;
        }
        found.retain(|_, values| !values.is_empty());
        found
    }

    /// What VictoriaMetrics exports.
    async fn exported(&self, http: &str, from: i64, to: i64) -> Samples {
        self.get(format!("{http}/internal/force_flush")).await;
        let selector = encode("{agent=\"vm\"}");
        let range = format!("start={}&end={}", from as f64 / 1e3, to as f64 / 1e3);
        let answer = self.get(format!("{http}/api/v1/export?match%5B%5D={selector}&{range}")).await;
        assert_eq!(answer.status, 200, "{}", answer.excerpt());
        let mut found = Samples::new();
        // Infinities, and what marks a series as stale, stand there as they are, which is no JSON.
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let text = ["[", ","].iter().fold(text, |t, before| {
            t.replace(&format!("{before}+Inf"), &format!("{before}\"+Inf\""))
                .replace(&format!("{before}-Inf"), &format!("{before}\"-Inf\""))
                .replace(&format!("{before}NaN"), &format!("{before}null"))
        });
        for line in text.lines() {
            let v: Value = serde_json::from_str(line).unwrap();
            let (times, values) = (v["timestamps"].as_array().unwrap(), v["values"].as_array().unwrap());
            let series = found.entry(key(&v["metric"])).or_default();
            for (t, value) in times.iter().zip(values) {
                let value = match value {
                    Value::Number(n) => n.as_f64(),
                    Value::String(s) => Some(parsed(s)),
                    _ => None,
                };
                if let (Some(t), Some(value)) = (t.as_i64().filter(|t| (from..=to).contains(t)), value) {
                    series.insert(t, value);
                }
            }
        }
        found.retain(|_, values| !values.is_empty());
        found
    }
}

fn vmagent(binary: &PathBuf, dir: &Path, config: &Path, port: u16, node: &str, victoria: &str) -> Peer {
    Peer::start(
        Command::new(binary)
            .arg(format!("-promscrape.config={}", config.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg(format!("-remoteWrite.tmpDataPath={}", dir.join("vmagent").display()))
            .arg("-remoteWrite.label=agent=vm")
            .arg(format!("-remoteWrite.url={node}/api/v1/write"))
            .arg(format!("-remoteWrite.url=http://{victoria}/api/v1/write")),
    )
}

fn key(metric: &Value) -> String {
    let labels = metric.as_object().unwrap();
    let mut sorted: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    sorted.sort();
    sorted.join(",")
}

fn parsed(text: &str) -> f64 {
    match text {
        "+Inf" | "Infinity" => f64::INFINITY,
        "-Inf" | "-Infinity" => f64::NEG_INFINITY,
        text => text.parse().unwrap(),
    }
}

/// What differs, the first few: lost and doubled samples, then values that `same` does not accept.
fn differences(theirs: &Samples, ours: &Samples, same: impl Fn(f64, f64, f64) -> bool) -> Vec<String> {
    let (none, mut found) = (BTreeMap::new(), Vec::new());
    for (series, want) in theirs {
        let got = ours.get(series).unwrap_or(&none);
        let largest = want.values().fold(0.0, |m: f64, v| if v.is_finite() { m.max(v.abs()) } else { m });
        for (t, value) in want {
            match got.get(t) {
                None => found.push(format!("lost {series} at {t}")),
                Some(g) if !same(*value, *g, largest) => {
                    found.push(format!("{series} at {t} is {g:?} and not {value:?}"));
                }
                Some(_) => {}
            }
        }
    }
    for (series, got) in ours {
        let want = theirs.get(series).unwrap_or(&none);
        found.extend(got.keys().filter(|t| !want.contains_key(t)).map(|t| format!("more {series} at {t}")));
    }
    found
}

fn count(samples: &Samples) -> usize {
    samples.values().map(BTreeMap::len).sum()
}

fn same_bits(a: f64, b: f64, _: f64) -> bool {
    // JSON has one NaN.
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// VictoriaMetrics keeps decimals with one exponent for many samples, so what it gives back is the value to some
/// 15 digits of the largest. That may lie before what is compared, and then fewer digits are left.
fn same_decimals(a: f64, b: f64, largest: f64) -> bool {
    same_bits(a, b, largest) || (a - b).abs() <= (largest * 1e-14).max(a.abs() * 1e-10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_and_vmagent_hold_is_in_a_node_that_was_killed_meanwhile() {
    let seconds = std::env::var("ORRERY_ENDURE_SECONDS").ok().and_then(|v| v.parse().ok()).unwrap_or(16u64);
    let home = Home::on_port(free_port(), "");
    let dir = tempfile::tempdir().unwrap();
    let mut node = home.start();
    let Some(peers) = Peers::start(dir.path(), &node.http).await else { return };
    // Prometheus sends what it scrapes once its sender runs; from here on both have everything.
    eventually("samples of Prometheus", Duration::from_secs(60), async || {
        (node.value("count(up{agent=\"\"} == 1)").await >= 1.0).then_some(())
    })
    .await;
    let from = now_ns() / 1_000_000;
    let (began, mut kills) = (Instant::now(), 0);
    let every = Duration::from_secs(if seconds < 120 { seconds / 2 } else { 60 });
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(every.min(Duration::from_secs(seconds).saturating_sub(began.elapsed()))).await;
        if began.elapsed() < Duration::from_secs(seconds) {
            node.kill();
            kills += 1;
            tokio::time::sleep(Duration::from_secs(2)).await;
            node = home.start();
        }
    }
    assert!(kills > 0);
    // A scrape is stamped when it begins, so those of the last moment may still be under way.
    let to = now_ns() / 1_000_000 - 1_500;
    let count = compare(&peers, &node, "{__name__=~\".+\",agent=\"\"}", from, to, None).await;
    println!("{count} samples of Prometheus are there bit for bit after {kills} kills in {seconds} s");
    if let Some(victoria) = &peers.victoria {
        let count = compare(&peers, &node, "{agent=\"vm\"}", from, to, Some(victoria)).await;
        println!("{count} samples of vmagent are there, as VictoriaMetrics has them");
    }
}

/// Until both sides have the same, or the senders had time enough; answers how many samples it is.
async fn compare(
    peers: &Peers,
    node: &Node,
    selector: &str,
    from: i64,
    to: i64,
    victoria: Option<&String>,
) -> usize {
    let began = Instant::now();
    loop {
        let (theirs, ours) = match victoria {
            Some(http) => {
                let mut ours = peers.queried(&node.http, selector, from, to).await;
                // VictoriaMetrics drops what is no number.
                ours.values_mut().for_each(|values| values.retain(|_, v| !v.is_nan()));
                ours.retain(|_, values| !values.is_empty());
                (peers.exported(http, from, to).await, ours)
            }
            None => (
                peers.queried(&peers.prometheus, selector, from, to).await,
                peers.queried(&node.http, selector, from, to).await,
            ),
        };
        let different = match victoria {
            Some(_) => differences(&theirs, &ours, same_decimals),
            None => differences(&theirs, &ours, same_bits),
        };
        let n = count(&theirs);
        if different.is_empty() && n > 0 {
            return n;
        }
        assert!(
            began.elapsed() < CATCH_UP,
            "{selector}: {} differences in {n} samples: {:#?}",
            different.len(),
            &different[..different.len().min(10)]
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
