//! Four nodes over mutual TLS: dev-01, prod-01 as a pair of replicas, and ops-01, which keeps nothing and asks them all.

use std::{path::Path, process::Command, time::Duration};

use model::{Labels, MetricBatch};
use net::Request;
use serde_json::{Value, json};

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode, eventually},
    peers::free_port,
};

/// A CA and a certificate for each cluster, by the command that users have.
pub fn certificates(dir: &Path, clusters: &[&str]) {
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_orrery")).arg("certs").args(args).output().unwrap();
        assert!(out.status.success(), "certs {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    let dir = dir.to_str().unwrap();
    run(&["init", dir]);
    for cluster in clusters {
        run(&["issue", dir, cluster, "--dns", "localhost", "--ip", "127.0.0.1"]);
    }
}

/// The line of a configuration that names a cluster's certificate.
pub fn tls(certs: &Path, cluster: &str) -> String {
    let file = |name: String| certs.join(name).display().to_string();
    let (cert, key) = (file(format!("{cluster}.crt")), file(format!("{cluster}.key")));
    format!("tls: {{cert: '{cert}', key: '{key}', ca: '{}'}}\n", file("ca.crt".to_owned()))
}

pub struct Fleet {
    _certs: tempfile::TempDir,
    pub dev: Node,
    prod: Vec<Option<Node>>,
    prod_homes: Vec<Home>,
    pub ops: Node,
    _homes: Vec<Home>,
}

pub fn start() -> Fleet {
    let certs = tempfile::tempdir().unwrap();
    certificates(certs.path(), &["dev-01", "prod-01", "ops-01"]);
    let tls = |cluster: &str| tls(certs.path(), cluster);
    let ports = [free_port(), free_port(), free_port()];
    let home = |port: u16, cluster: &str, labels: &str| {
        let extra = format!("cluster: {cluster}\nexternal_labels: {{{labels}}}\n{}", tls(cluster));
        Home::asked_on(port, &extra)
    };
    let dev = home(ports[0], "dev-01", "region: eu");
    let prod = [home(ports[1], "prod-01", "replica: a"), home(ports[2], "prod-01", "replica: b")];
    let shares = "replication: {metrics: mirrored, logs: sharded, traces: sharded}";
    let ops = Home::new(&format!(
        "cluster: ops-01\nroles: [query]\n{}peers:\n  - {{name: dev-01, address: 'localhost:{}', timeout: 3s}}\n  - {{name: prod-01, replica: a, address: 'localhost:{}', timeout: 3s, {shares}}}\n  - {{name: prod-01, replica: b, address: 'localhost:{}', timeout: 3s, {shares}}}\n",
        tls("ops-01"),
        ports[0],
        ports[1],
        ports[2],
    ));
    Fleet {
        dev: dev.start(),
        prod: prod.iter().map(|h| Some(h.start())).collect(),
        ops: ops.start(),
        _homes: vec![dev, ops],
        prod_homes: prod.into_iter().collect(),
        _certs: certs,
    }
}

impl Fleet {
    pub fn prod(&self, i: usize) -> &Node {
        self.prod[i].as_ref().unwrap()
    }

    pub fn kill_prod(&mut self, i: usize) {
        self.prod[i].take().unwrap().kill();
    }

    pub fn start_prod(&mut self, i: usize) {
        self.prod[i] = Some(self.prod_homes[i].start());
    }
}

async fn write(node: &Node, metric: &str, labels: &[(&str, &str)], values: &[(i64, f64)]) {
    let mut batch = MetricBatch::default();
    let pairs = std::iter::once(("__name__", metric)).chain(labels.iter().copied());
    let series = batch.push_series(Labels::from_pairs(pairs));
    values.iter().for_each(|(t, v)| batch.samples.push(series, *t, *v));
    let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(&batch)).unwrap();
    let request = Request::post(format!("{}/api/v1/write", node.http), body)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy");
    let answer = node.client.send(request).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.excerpt());
}

pub async fn log(node: &Node, at_ns: i64, line: &str) {
    let body = json!({"streams": [{"stream": {"app": "shop"}, "values": [[at_ns.to_string(), line]]}]});
    let answer = node.post("/loki/api/v1/push", "application/json", body.to_string()).await;
    assert!(answer.status.is_success(), "{}", answer.excerpt());
}

async fn span(node: &Node, id: &str, parent: &str, service: &str, at_ns: i64) {
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [{"spans": [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": id, "parentSpanId": parent, "name": "pay",
            "kind": 2, "startTimeUnixNano": at_ns.to_string(), "endTimeUnixNano": (at_ns + 1_000_000).to_string(),
        }]}],
    }]});
    let answer = node.post("/v1/traces", "application/json", body.to_string()).await;
    assert!(answer.status.is_success(), "{}", answer.excerpt());
}

/// State by cluster and replica of an answer's coverage.
pub fn states(v: &Value) -> Vec<String> {
    let sources = v["coverage"].as_array().cloned().unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    sources.iter().map(|s| format!("{} {}", text(&s["cluster"]), text(&s["state"]))).collect()
}

fn query(text: &str) -> String {
    format!("/api/v1/query?query={}&timeout=8s", encode(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_nothing_answers_for_every_cluster_and_says_who_is_missing() {
    let mut fleet = start();
    let now_ms = now_ns() / 1_000_000;
    let times: Vec<i64> = (0..20).map(|i| now_ms - 300_000 + i * 15_000).collect();
    let ramp = |by: f64| times.iter().enumerate().map(|(i, t)| (*t, i as f64 * by)).collect::<Vec<_>>();
    write(&fleet.dev, "requests_total", &[("job", "shop")], &ramp(1.0)).await;
    for i in 0..2 {
        write(fleet.prod(i), "requests_total", &[("job", "shop")], &ramp(10.0)).await;
    }
    log(&fleet.dev, now_ns() - 3_000_000_000, "dev line").await;
    log(fleet.prod(0), now_ns() - 2_000_000_000, "prod line of a").await;
    log(fleet.prod(1), now_ns() - 1_000_000_000, "prod line of b").await;
    span(&fleet.dev, "b7ad6b7169203331", "", "frontend", now_ns() - 2_000_000).await;
    span(fleet.prod(1), "00f067aa0ba902b7", "b7ad6b7169203331", "payment", now_ns() - 1_000_000).await;

    // Everything is there: every cluster once, replicas as one.
    let v = fleet.ops.json(&query("count by (cluster) (requests_total)")).await;
    let rows = v["data"]["result"].as_array().unwrap();
    let counts: Vec<_> = rows
        .iter()
        .map(|r| (r["metric"]["cluster"].as_str().unwrap(), r["value"][1].as_str().unwrap()))
        .collect();
    assert_eq!(counts, [("dev-01", "1"), ("prod-01", "1")], "{v}");
    assert_eq!(states(&v), ["dev-01 complete", "prod-01 complete"], "{v}");
    let rate = fleet.ops.value("sum(rate(requests_total[4m]))").await;
    assert!((rate - 11.0 / 15.0).abs() < 1e-9, "{rate}");
    let v = fleet.ops.json(&format!("{}&dedup=false", query("requests_total{cluster=\"prod-01\"}"))).await;
    let replicas: Vec<_> =
        v["data"]["result"].as_array().unwrap().iter().map(|r| r["metric"]["replica"].clone()).collect();
    assert_eq!(replicas, [json!("a"), json!("b")], "{v}");
    let v = fleet.ops.json(&query("requests_total{region=\"eu\"}")).await;
    assert_eq!(v["data"]["result"].as_array().unwrap().len(), 1, "{v}");
    let v = fleet.ops.json(&query("requests_total{cluster=\"dev-01\"}")).await;
    assert_eq!(states(&v), ["dev-01 complete"], "only the cluster that can match is asked: {v}");
    let mut lines = fleet.ops.lines("{app=\"shop\"}").await;
    lines.sort();
    assert_eq!(lines, ["dev line", "prod line of a", "prod line of b"]);
    let trace = fleet.ops.json("/jaeger/api/traces/0af7651916cd43dd8448eb211c80319c").await;
    assert_eq!(trace["data"][0]["spans"].as_array().unwrap().len(), 2, "{trace}");

    let v = fleet.ops.json("/loki/api/v1/query_range?query=%7Bapp%3D%22shop%22%7D&limit=1").await;
    assert_eq!(
        states(&v),
        ["dev-01 complete", "prod-01 complete"],
        "a limit that is reached ends reading early: {v}"
    );

    // One replica is gone: metrics are whole, logs are not.
    fleet.kill_prod(1);
    let v = fleet.ops.json(&query("sum(requests_total)")).await;
    assert_eq!(states(&v), ["dev-01 complete", "prod-01 complete"], "{v}");
    let v = fleet.ops.json("/loki/api/v1/query_range?query=%7Bapp%3D%22shop%22%7D&timeout=8s").await;
    assert_eq!(states(&v), ["dev-01 complete", "prod-01 partial"], "{v}");

    // The cluster is gone: the answer says so in the body, the header and a warning, or is refused where that is wanted.
    fleet.kill_prod(0);
    let answer = fleet.ops.get(&query("sum(requests_total)")).await;
    let v: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(states(&v), ["dev-01 complete", "prod-01 missing"], "{v}");
    assert!(answer.header("x-orrery-coverage").contains("prod-01 metrics missing"), "{:?}", answer.headers);
    assert!(v["warnings"][0].as_str().unwrap().contains("prod-01"), "{v}");
    assert_eq!(v["data"]["result"][0]["value"][1], "19", "{v}");
    let denied = fleet.ops.get(&format!("{}&partial=deny", query("sum(requests_total)"))).await;
    assert_eq!(denied.status.as_u16(), 503, "{}", denied.excerpt());
    assert!(denied.excerpt().contains("prod-01"), "{}", denied.excerpt());
    let trace = fleet.ops.get("/jaeger/api/traces/0af7651916cd43dd8448eb211c80319c?timeout=8s").await;
    assert_eq!(trace.status.as_u16(), 200, "a missing cluster is a gap: {}", trace.excerpt());

    let v = fleet.ops.json("/api/v1/orrery/federation").await;
    let peers = v["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 3, "{v}");
    assert!(peers[0]["state"] == "up" && peers[1]["state"] != "up", "{v}");
    assert!(v["recent"].as_array().unwrap().iter().any(|r| r["cluster"] == "prod-01"), "{v}");

    // It comes back by itself.
    fleet.prod[0] = Some(fleet.prod_homes[0].start());
    eventually("prod-01 answers again", Duration::from_secs(60), async || {
        let v = fleet.ops.json(&query("sum(requests_total)")).await;
        (states(&v) == ["dev-01 complete", "prod-01 complete"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_nothing_refuses_what_it_is_sent_and_says_where_to_send_it() {
    let fleet = start();
    let body = json!({"streams": [{"stream": {"a": "b"}, "values": [[now_ns().to_string(), "x"]]}]});
    let answer = fleet.ops.post("/loki/api/v1/push", "application/json", body.to_string()).await;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.excerpt());
    assert!(answer.excerpt().contains("keeps nothing"), "{}", answer.excerpt());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_nobody_can_reach_is_asked_over_the_connection_it_dials() {
    let certs = tempfile::tempdir().unwrap();
    certificates(certs.path(), &["dev-01", "ops-01", "lab-01"]);
    let port = free_port();
    let ops_home = Home::asked_on(
        port,
        &format!(
            "cluster: ops-01\nroles: [query]\n{}peers:\n  - {{name: dev-01, dials: true, timeout: 3s}}\n",
            tls(certs.path(), "ops-01"),
        ),
    );
    let behind = |cluster: &str| {
        let to = format!("answer_to:\n  - {{name: ops-01, address: 'localhost:{port}'}}\n");
        Home::new(&format!("cluster: {cluster}\n{}{to}", tls(certs.path(), cluster)))
    };
    let dev_home = behind("dev-01");
    let (ops, dev) = (ops_home.start(), dev_home.start());
    let now_ms = now_ns() / 1_000_000;
    write(&dev, "behind", &[("job", "nat")], &[(now_ms - 1000, 7.0)]).await;
    let seen = async |ops: &Node| {
        eventually("dev-01 has dialled", Duration::from_secs(60), async || {
            let v = ops.json(&query("behind")).await;
            (v["data"]["result"][0]["value"][1] == "7").then_some(states(&v))
        })
        .await
    };
    assert_eq!(seen(&ops).await, ["dev-01 complete"]);
    let status = ops.json("/api/v1/orrery/federation").await;
    assert_eq!(status["peers"][0]["direction"], "in", "{status}");

    // One that nobody expects is not taken for it.
    drop(dev);
    let stranger_home = behind("lab-01");
    let _stranger = stranger_home.start();
    eventually("the hub refuses it", Duration::from_secs(60), async || {
        let text = String::from_utf8(ops.get("/metrics").await.body.to_vec()).unwrap();
        let refused =
            text.lines().find(|l| l.contains("orrery_peer_dialled_total{") && l.contains("not_expected"))?;
        (!refused.ends_with(" 0")).then_some(())
    })
    .await;
    let v = ops.json(&query("behind")).await;
    assert_eq!(v["error"], "dev-01: it has not dialled this node", "{v}");

    // The hub starts anew, and is dialled again without anybody's doing.
    let _dev = dev_home.start();
    ops.kill();
    let ops = ops_home.start();
    assert_eq!(seen(&ops).await, ["dev-01 complete"]);
}
