//! A link of 256 kbit/s with several times more to send: what matters goes first, and what was left out is what the ledger
//! says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use model::{Labels, MetricBatch};
use net::{Client, Request};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::drained;
use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode},
    peers::free_port,
};

/// 256 kbit/s.
const BYTES_PER_SECOND: u64 = 256_000 / 8;
/// How long more is sent than fits.
const SENDING: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(200);
/// Of each tick. Texts are random, so that packing helps little: about 120 kB a second.
const LINES: usize = 60;
const TRACES: usize = 20;
const SERIES: usize = 100;

/// Carries no more than the link does, one way.
async fn narrow(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let far = TcpStream::connect(("127.0.0.1", port)).await?;
                let (mut from_near, mut to_near) = near.into_split();
                let (mut from_far, mut to_far) = far.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_near).await });
                let mut piece = [0u8; 1600];
                loop {
                    let n = from_near.read(&mut piece).await?;
                    if n == 0 {
                        break;
                    }
                    let takes = Duration::from_nanos(n as u64 * 1_000_000_000 / BYTES_PER_SECOND);
                    tokio::time::sleep(takes).await;
                    to_far.write_all(&piece[..n]).await?;
                }
                back.abort();
                std::io::Result::Ok(())
            });
        }
    });
    at
}

/// What was sent so far, and random text.
struct Load {
    client: Client,
    http: String,
    random: u64,
    lines: u64,
    errors: u64,
    spans: u64,
    samples: u64,
    probes: Vec<i64>,
}

impl Load {
    fn next(&mut self) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random ^ self.random >> 29
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| format!(" {:016x}", self.next())).collect()
    }

    async fn post(&self, path: &str, content_type: &str, body: Vec<u8>) {
        let mut request =
            Request::post(format!("{}{path}", self.http), body).header("content-type", content_type);
        if content_type == "application/x-protobuf" {
            request = request.header("content-encoding", "snappy");
        }
        let answer = self.client.send(request).await.unwrap();
        assert!(answer.status.is_success(), "{path}: {}", answer.excerpt());
    }

    async fn write(&self, batch: &MetricBatch) {
        let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(batch)).unwrap();
        self.post("/api/v1/write", "application/x-protobuf", body).await;
    }

    async fn tick(&mut self) {
        let at_ms = now_ns() / 1_000_000;
        let mut probe = MetricBatch::default();
        let series = probe.push_series(Labels::from_pairs([("__name__", "probe")]));
        probe.samples.push(series, at_ms, at_ms as f64);
        self.write(&probe).await;
        self.probes.push(at_ms);

        let mut many = MetricBatch::default();
        for n in 0..SERIES {
            let labels = Labels::from_pairs([("__name__", "many".to_owned()), ("n", n.to_string())]);
            let series = many.push_series(labels);
            let value = self.next() as f64;
            many.samples.push(series, at_ms, value);
        }
        self.samples += SERIES as u64;
        self.write(&many).await;

        let mut records = Vec::new();
        for n in 0..LINES {
            let is_error = n % 20 == 0;
            self.errors += u64::from(is_error);
            let (ns, filler) = ((now_ns() + n as i64).to_string(), self.text(14));
            let text = format!("line {}{filler}", self.lines);
            self.lines += 1;
            let severity = if is_error { 17 } else { 9 };
            records
                .push(json!({"timeUnixNano": ns, "severityNumber": severity, "body": {"stringValue": text}}));
        }
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        self.post("/v1/logs", "application/json", body.to_string().into_bytes()).await;

        let mut spans = Vec::new();
        for _ in 0..TRACES {
            let trace = format!("{:016x}{:016x}", self.next(), self.next());
            for _ in 0..2 {
                let (id, text, now) = (format!("{:016x}", self.next() | 1), self.text(10), now_ns());
                let attribute = json!({"key": "text", "value": {"stringValue": text}});
                spans.push(json!({"traceId": trace, "spanId": id, "name": "s", "attributes": [attribute],
                    "startTimeUnixNano": now.to_string(), "endTimeUnixNano": (now + 10).to_string()}));
                self.spans += 1;
            }
        }
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        self.post("/v1/traces", "application/json", body.to_string().into_bytes()).await;
    }
}

/// The probes that a node has, by time.
async fn probes(node: &Node) -> Vec<i64> {
    let path = format!("/api/v1/query?query={}", encode("probe[10m]"));
    let v = node.json(&path).await;
    let values = v["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    values.iter().map(|p| p[1].as_str().unwrap().parse::<f64>().unwrap() as i64).collect()
}

async fn count(node: &Node, statement: &str) -> u64 {
    let answer = node.post("/api/v1/sql", "application/sql", statement).await;
    let v: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{e}: {}", answer.excerpt()));
    v["rows"][0][0].as_u64().unwrap_or_else(|| panic!("{statement}: {v}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_narrow_link_leaves_out_is_what_the_ledger_says() {
    let hub_home = Home::on_port(free_port(), "cluster: hub-01\ntraces: {metrics: {enabled: false}}\n");
    let hub = hub_home.start();
    let at = narrow(hub_home.http_port()).await;
    let edge_home = Home::new(&format!(
        "cluster: edge-01\ntraces: {{metrics: {{enabled: false}}, service_graph: {{enabled: false}}}}\nforward:\n  - name: hub\n    to: otlp\n    endpoint: 'http://127.0.0.1:{at}'\n    critical: ['probe']\n    budget: {{bytes_per_second: 30KB, thin_after: 2s, aggregate: 1s}}\n"
    ));
    let edge = edge_home.start();
    let mut load = Load {
        client: Client::new().unwrap(),
        http: edge.http.clone(),
        random: 1,
        lines: 0,
        errors: 0,
        spans: 0,
        samples: 0,
        probes: Vec::new(),
    };
    // When each probe was first seen at the hub, in milliseconds after its own time.
    let mut late: BTreeMap<i64, i64> = BTreeMap::new();
    let began = Instant::now();
    let mut most_waiting = 0;
    while began.elapsed() < SENDING || late.len() < load.probes.len() {
        if began.elapsed() < SENDING {
            load.tick().await;
        }
        if began.elapsed() > 5 * SENDING {
            let seen = edge.json("/api/v1/orrery/pipelines").await;
            panic!("{} of {} probes came: {seen:#}", late.len(), load.probes.len());
        }
        let now_ms = now_ns() / 1_000_000;
        for at_ms in probes(&hub).await {
            late.entry(at_ms).or_insert(now_ms - at_ms);
        }
        let lanes = edge.json("/api/v1/orrery/ledger").await["destinations"].as_array().cloned().unwrap();
        let of = |class: &str| lanes.iter().find(|l| l["class"] == class).and_then(|l| l["pending"].as_u64());
        most_waiting = most_waiting.max(of("logs").unwrap_or(0));
        tokio::time::sleep(TICK).await;
    }
    let lanes = drained(&edge, |_| true).await;
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for lane in lanes {
        assert_eq!((&lane["difference"], &lane["receiver_difference"]), (&0.into(), &0.into()), "{lane}");
        assert_eq!(lane["state"], "equal", "{lane}");
        assert_eq!(lane["refused"], json!({}), "{lane}");
        all.insert(lane["class"].as_str().unwrap().to_owned(), lane);
    }
    let number = |class: &str, key: &str| all[class][key].as_u64().unwrap();
    let left_out = |class: &str| -> u64 {
        all[class]["dropped"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum()
    };

    // At the edge everything is there; at the hub what the ledger does not name.
    let sent = [("logs", load.lines), ("traces", load.spans), ("metrics", load.samples)];
    for (class, produced) in sent {
        assert_eq!(number(class, "produced"), produced, "{}", all[class]);
    }
    let counted = [("logs", "select count(*) from logs"), ("traces", "select count(*) from spans")];
    for (class, statement) in counted {
        let (here, there) = (count(&edge, statement).await, count(&hub, statement).await);
        assert_eq!(here, number(class, "produced"), "{class}");
        assert_eq!(here - there, left_out(class), "{class}: {}", all[class]);
    }
    let samples = |node| async move { Node::value(node, "sum(count_over_time(many[10m]))").await as u64 };
    assert_eq!(samples(&edge).await, load.samples);
    assert_eq!(load.samples - samples(&hub).await, left_out("metrics"), "{}", all["metrics"]);
    assert!(left_out("logs") > 0 && number("logs", "deferred") > 0 && most_waiting > 0, "{}", all["logs"]);
    // Errors stay, and nothing critical is left out.
    let errors = "select count(*) from logs where severity_number >= 17";
    assert_eq!(count(&hub, errors).await, load.errors);
    assert_eq!(left_out("critical"), 0);
    assert_eq!(late.keys().copied().collect::<Vec<_>>(), load.probes);

    let mut waits: Vec<i64> = late.into_values().collect();
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100];
    println!(
        "{} critical items: p99 {p99} ms, max {} ms; left out: {} of {} lines, {} of {} spans, {} of {} samples; {} s",
        waits.len(),
        waits[waits.len() - 1],
        left_out("logs"),
        load.lines,
        left_out("traces"),
        load.spans,
        left_out("metrics"),
        load.samples,
        began.elapsed().as_secs()
    );
}
