//! Clusters that know nothing of each other, a hub that keeps nothing and asks them over mutual TLS, and beside them
//! one node that has everything they have: what it answers is right.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use model::{Labels, MetricBatch, SpanBatch};
use net::{Answer, Request, certs};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Lab;
use crate::{
    lifecycle::now_ns,
    node::{Home, Node, eventually},
};

/// Where a cluster answers its peers.
pub const PEERS: u16 = 9495;
/// What the hub grants a peer.
pub const PATIENCE: Duration = Duration::from_secs(3);
pub const HUB: &str = "hub";

/// Everything that promqltest scripts assume is on, and nothing is too old.
const KEEP: &str = "retention: {metrics: 0, logs: 0, traces: 0}\npromql: {experimental: [functions, durations, extended_selectors, fill, start_timestamps, delayed_name_removal]}\n";

pub struct Clusters {
    pub nodes: BTreeMap<String, Node>,
    pub homes: BTreeMap<String, Home>,
    pub hub: Node,
    /// The one that has everything.
    pub whole: Node,
    hub_home: Home,
    _whole_home: Home,
    authority: TempDir,
    pub lab: Lab,
}

/// Where a certificate and its key lie.
#[derive(Debug, Clone)]
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// One line of one stream.
#[derive(Debug, Clone)]
pub struct Line {
    pub at_ns: i64,
    pub text: String,
    pub attributes: BTreeMap<String, String>,
}

/// A span as tests need it; times in nanoseconds.
#[derive(Debug, Clone)]
pub struct Spanned {
    pub trace: u128,
    pub id: u64,
    pub parent: u64,
    pub name: String,
    pub service: String,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub attributes: Vec<(String, String)>,
    pub error: bool,
}

impl Clusters {
    /// `None` after a printed line where there can be no laboratory.
    pub async fn start(seed: u64, names: &[&str]) -> Option<Self> {
        let hosts: Vec<&str> = names.iter().copied().chain([HUB]).collect();
        let lab = Lab::new(seed, &hosts)?;
        let authority = tempfile::tempdir().unwrap();
        certs::init(authority.path(), "laboratory", 30, now_s()).unwrap();
        let mut this_hosts = BTreeMap::new();
        for name in &hosts {
            let pair = issue(&lab, authority.path(), name, name, now_s());
            this_hosts.insert(*name, pair);
        }
        let ca = authority.path().join(certs::CA_CERT);
        let mut homes = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for name in names {
            let mut home = Home::on_host(lab.host(name), &cluster_config(name, &this_hosts[name], &ca));
            home.peers_port = Some(PEERS);
            nodes.insert((*name).to_owned(), home.start());
            homes.insert((*name).to_owned(), home);
        }
        let hub_home = Home::on_host(lab.host(HUB), &hub_config(&lab, names, &this_hosts[HUB], &ca));
        let hub = hub_home.start();
        let whole_home = Home::new(KEEP);
        let whole = whole_home.start();
        let this = Clusters { nodes, homes, hub, whole, hub_home, _whole_home: whole_home, authority, lab };
        this.all_up().await;
        Some(this)
    }

    pub fn node(&self, cluster: &str) -> &Node {
        &self.nodes[cluster]
    }

    pub fn ca(&self) -> PathBuf {
        self.authority.path().join(certs::CA_CERT)
    }

    /// A certificate of the right authority for a host, that names `cluster` and was made at `now_s` for a day.
    pub fn issue(&self, host: &str, cluster: &str, now_s: i64) -> (TempDir, Pair) {
        let dir = tempfile::tempdir().unwrap();
        for file in [certs::CA_CERT, certs::CA_KEY] {
            std::fs::copy(self.authority.path().join(file), dir.path().join(file)).unwrap();
        }
        let pair = issue(&self.lab, dir.path(), host, cluster, now_s);
        (dir, pair)
    }

    /// A certificate for a host by an authority nobody here knows.
    pub fn issue_by_a_stranger(&self, host: &str) -> (TempDir, Pair) {
        let dir = tempfile::tempdir().unwrap();
        certs::init(dir.path(), "stranger", 30, now_s()).unwrap();
        let pair = issue(&self.lab, dir.path(), host, host, now_s());
        (dir, pair)
    }

    pub fn kill(&mut self, cluster: &str) {
        if let Some(node) = self.nodes.remove(cluster) {
            node.kill();
        }
    }

    /// Starts a cluster's node again as its home says now.
    pub fn restart(&mut self, cluster: &str) {
        self.kill(cluster);
        let node = self.homes[cluster].start();
        self.nodes.insert(cluster.to_owned(), node);
    }

    pub fn home(&mut self, cluster: &str) -> &mut Home {
        self.homes.get_mut(cluster).unwrap()
    }

    /// The state the hub says a peer is in.
    pub async fn state(&self, cluster: &str) -> String {
        let status = self.hub.json("/api/v1/orrery/federation").await;
        let peers = status["peers"].as_array().cloned().unwrap_or_default();
        let found = peers.iter().find(|p| p["name"] == cluster);
        found.and_then(|p| p["state"].as_str()).unwrap_or_default().to_owned()
    }

    /// Waits until the hub has all peers again.
    pub async fn all_up(&self) {
        for (cluster, home) in &self.homes {
            let began = Instant::now();
            while self.state(cluster).await != "up" {
                if began.elapsed() > Duration::from_secs(120) {
                    let status = self.hub.json("/api/v1/orrery/federation").await;
                    panic!("{cluster} is not up at the hub: {status:#}\nit wrote:\n{}", home.log_text());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Gives every cluster a sample, a line and a span of 1970, and waits until the hub knows that they hold something so old:
    /// what scripts load lies there, and a peer is not asked for times that end before what it has announced.
    pub async fn reach_back(&self) {
        for cluster in self.homes.keys() {
            let mut batch = MetricBatch::default();
            let series = batch.push_series(Labels::from_pairs([("__name__", "old"), ("cluster", cluster)]));
            batch.samples.push(series, 1000, 1.0);
            self.metrics(cluster, "old", &batch).await;
            let line = Line { at_ns: 1_000_000_000, text: "old".to_owned(), attributes: BTreeMap::new() };
            self.lines(cluster, "old", &BTreeMap::from([("app".to_owned(), "old".to_owned())]), &[line])
                .await;
            self.spans(cluster, "old", &[Spanned::old()]).await;
        }
        eventually("the hub knows of 1970", Duration::from_secs(120), async || {
            let status = self.hub.json("/api/v1/orrery/federation").await;
            let peers = status["peers"].as_array()?;
            let old = |p: &Value, signal: &str| {
                let mut held = p["signals"].as_array().into_iter().flatten();
                held.any(|h| h["signal"] == signal && h["oldest"].as_f64().is_some_and(|o| o <= 1.0))
            };
            peers.iter().all(|p| old(p, "metrics") && old(p, "logs") && old(p, "traces")).then_some(())
        })
        .await;
    }

    /// To the cluster, and to the node that has everything. The series name their cluster already.
    pub async fn metrics(&self, cluster: &str, tenant: &str, batch: &MetricBatch) {
        let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::v2::encode(batch)).unwrap();
        let media = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        for node in [self.node(cluster), &self.whole] {
            let request = Request::post(format!("{}/api/v1/write", node.http), body.clone())
                .header("content-type", media)
                .header("content-encoding", "snappy")
                .header("x-prometheus-remote-write-version", "2.0.0");
            accepted(node, tenant, request).await;
        }
    }

    /// Lines of one stream; labels beside the cluster's.
    pub async fn lines(
        &self,
        cluster: &str,
        tenant: &str,
        labels: &BTreeMap<String, String>,
        lines: &[Line],
    ) {
        let mut stream = labels.clone();
        // The second is what a node adds to the resource; written here, the whole node has it too.
        stream.insert("cluster".to_owned(), cluster.to_owned());
        stream.insert("k8s_cluster_name".to_owned(), cluster.to_owned());
        let values: Vec<Value> =
            lines.iter().map(|l| json!([l.at_ns.to_string(), l.text, l.attributes])).collect();
        let body = json!({"streams": [{"stream": stream, "values": values}]}).to_string();
        for node in [self.node(cluster), &self.whole] {
            let request = Request::post(format!("{}/loki/api/v1/push", node.http), body.clone().into_bytes())
                .header("content-type", "application/json");
            accepted(node, tenant, request).await;
        }
    }

    /// Spans whose resources name their cluster.
    pub async fn span_batch(&self, cluster: &str, tenant: &str, batch: &SpanBatch) {
        let body = wire::otlp::traces::encode_bytes(batch);
        for node in [self.node(cluster), &self.whole] {
            let request = Request::post(format!("{}/v1/traces", node.http), body.clone())
                .header("content-type", "application/x-protobuf");
            accepted(node, tenant, request).await;
        }
    }

    pub async fn spans(&self, cluster: &str, tenant: &str, spans: &[Spanned]) {
        let mut by_service: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for s in spans {
            by_service.entry(&s.service).or_default().push(s.otlp());
        }
        let resources: Vec<Value> = by_service
            .into_iter()
            .map(|(service, spans)| {
                let resource =
                    [("service.name", service), ("k8s.cluster.name", cluster)].map(|(k, v)| attribute(k, v));
                json!({"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]})
            })
            .collect();
        let body = json!({"resourceSpans": resources}).to_string();
        for node in [self.node(cluster), &self.whole] {
            let request = Request::post(format!("{}/v1/traces", node.http), body.clone().into_bytes())
                .header("content-type", "application/json");
            accepted(node, tenant, request).await;
        }
    }
}

impl Drop for Clusters {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what the hub wrote:\n{}", self.hub_home.log_text());
        }
    }
}

impl Spanned {
    /// One of the first seconds of 1970.
    fn old() -> Self {
        Spanned {
            trace: 1,
            id: 1,
            parent: 0,
            name: "old".to_owned(),
            service: "old".to_owned(),
            start_ns: 1_000_000_000,
            duration_ns: 1,
            attributes: Vec::new(),
            error: false,
        }
    }

    fn otlp(&self) -> Value {
        let attributes: Vec<Value> = self.attributes.iter().map(|(k, v)| attribute(k, v)).collect();
        let parent = if self.parent == 0 { String::new() } else { format!("{:016x}", self.parent) };
        json!({
            "traceId": format!("{:032x}", self.trace),
            "spanId": format!("{:016x}", self.id),
            "parentSpanId": parent,
            "name": self.name,
            "kind": 2,
            "startTimeUnixNano": self.start_ns.to_string(),
            "endTimeUnixNano": (self.start_ns + self.duration_ns).to_string(),
            "attributes": attributes,
            "status": {"code": if self.error { 2 } else { 0 }},
        })
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

async fn accepted(node: &Node, tenant: &str, request: Request) {
    let request = Request { timeout: Duration::from_secs(60), ..request.header("x-scope-orgid", tenant) };
    let answer = node.client.send(request).await.unwrap();
    assert!(answer.status.is_success(), "{} {}", answer.status, answer.excerpt());
}

/// An answer for a tenant, whatever it is.
pub async fn ask(node: &Node, tenant: &str, path: &str) -> Answer {
    let request = Request::get(format!("{}{path}", node.http)).header("x-scope-orgid", tenant);
    let request = Request { timeout: Duration::from_secs(120), ..request };
    node.client.send(request).await.unwrap_or_else(|e| panic!("{path}: {e}"))
}

pub fn now_s() -> i64 {
    now_ns() / 1_000_000_000
}

fn issue(lab: &Lab, dir: &Path, host: &str, cluster: &str, now_s: i64) -> Pair {
    let leaf = certs::Leaf {
        cluster: cluster.to_owned(),
        dns: Vec::new(),
        ips: vec![lab.host(host).address],
        days: 1,
    };
    certs::issue(dir, &leaf, now_s).unwrap();
    pair_in(dir, cluster)
}

fn pair_in(dir: &Path, cluster: &str) -> Pair {
    Pair { cert: dir.join(format!("{cluster}.crt")), key: dir.join(format!("{cluster}.key")) }
}

/// The key `tls` of a node.
fn tls(pair: &Pair, ca: &Path) -> String {
    format!(
        "tls: {{cert: '{}', key: '{}', ca: '{}'}}\n",
        pair.cert.display(),
        pair.key.display(),
        ca.display()
    )
}

fn cluster_config(name: &str, pair: &Pair, ca: &Path) -> String {
    format!("cluster: {name}\n{KEEP}{}", tls(pair, ca))
}

fn hub_config(lab: &Lab, names: &[&str], pair: &Pair, ca: &Path) -> String {
    let peers: String = names
        .iter()
        .map(|n| {
            let (at, s) = (lab.host(n).address, PATIENCE.as_secs());
            format!("- {{name: {n}, address: '{at}:{PEERS}', timeout: {s}s}}\n")
        })
        .collect();
    format!("cluster: {HUB}\nroles: [query]\n{KEEP}{}peers:\n{peers}", tls(pair, ca))
}
