//! A real Thanos Query over Orrery's StoreAPI, and Orrery over the StoreAPI of that Query. Runs where `ORRERY_THANOS`
//! names a `thanos` binary.

use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};

use model::{Histogram, Labels, MetricBatch, histogram::BucketSpan, metric::HistogramSample};
use net::{Client, Request};
use serde_json::{Value, json};

use crate::{
    lifecycle::now_ns,
    node::{Home, Node, encode, eventually},
    peers::{Peer, free_port},
};

fn thanos() -> Option<PathBuf> {
    let found = std::env::var_os("ORRERY_THANOS").map(PathBuf::from).filter(|p| p.is_file());
    if found.is_none() {
        println!("skipped: ORRERY_THANOS names no thanos binary");
    }
    found
}

/// A Thanos Query over the nodes, asked over HTTP and over StoreAPI.
struct Query {
    _peer: Peer,
    http: String,
    grpc: String,
    client: Client,
}

impl Query {
    async fn over(binary: &PathBuf, nodes: &[&Node]) -> Self {
        let (http, grpc) = (free_port(), free_port());
        let mut command = Command::new(binary);
        command
            .arg("query")
            .arg(format!("--http-address=127.0.0.1:{http}"))
            .arg(format!("--grpc-address=127.0.0.1:{grpc}"))
            .args([
                "--query.promql-engine=prometheus",
                "--query.replica-label=replica",
                "--query.timeout=20s",
                "--store.response-timeout=5s",
            ])
            .args(nodes.iter().map(|n| format!("--endpoint={}", n.http.trim_start_matches("http://"))));
        let query = Query {
            _peer: Peer::start(&mut command),
            http: format!("http://127.0.0.1:{http}"),
            grpc: format!("127.0.0.1:{grpc}"),
            client: Client::new().unwrap(),
        };
        let want = nodes.len();
        eventually("Thanos Query has found the nodes", Duration::from_secs(60), async || {
            let stores = query.ask("/api/v1/stores").await?;
            let sidecars = stores["data"]["sidecar"].as_array()?.clone();
            (sidecars.len() == want && sidecars.iter().all(|s| s["lastError"].is_null())).then_some(())
        })
        .await;
        query
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let answer = self.client.send(Request::get(format!("{}{path}", self.http))).await.ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    async fn json(&self, path: &str) -> Value {
        self.ask(path).await.unwrap_or_else(|| panic!("Thanos gave no answer to {path}"))
    }
}

async fn write(node: &Node, batch: &MetricBatch) {
    let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(batch)).unwrap();
    let request = Request::post(format!("{}/api/v1/write", node.http), body)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy");
    let answer = node.client.send(request).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.excerpt());
}

/// 15 s apart; long enough for several chunks of 120 samples.
const SAMPLES: i64 = 300;
const STEP_MS: i64 = 15_000;

fn histogram(i: i64) -> Histogram {
    let n = i as f64;
    Histogram {
        count: 3.0 * n + 3.0,
        sum: 7.5 * n,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 1.0,
        is_integer: true,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_buckets: vec![n + 1.0, 2.0 * n + 1.0],
        ..Histogram::default()
    }
}

/// Counters, label sets that are beginnings of others, and native histograms; `without` is a gap in samples.
fn data(first_ms: i64, without: std::ops::Range<i64>) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let kept = |i: &i64| !without.contains(i);
    for instance in 0..20 {
        let labels =
            [("__name__", "requests_total"), ("job", "shop"), ("instance", &format!("h{instance:02}"))];
        let series = batch.push_series(Labels::from_pairs(labels));
        for i in (0..SAMPLES).filter(kept) {
            batch.samples.push(series, first_ms + i * STEP_MS, (i * (instance + 1)) as f64);
        }
    }
    for labels in
        [&[("__name__", "a")][..], &[("__name__", "a"), ("b", "1")], &[("__name__", "a"), ("zone", "1")]]
    {
        let series = batch.push_series(Labels::from_pairs(labels.iter().copied()));
        (0..SAMPLES).filter(kept).for_each(|i| batch.samples.push(series, first_ms + i * STEP_MS, 1.0));
    }
    let series = batch.push_series(Labels::from_pairs([("__name__", "latency"), ("job", "shop")]));
    for i in (0..SAMPLES).filter(kept) {
        let timestamp_ms = first_ms + i * STEP_MS;
        batch.histograms.push(HistogramSample { series, timestamp_ms, start_ms: 0, histogram: histogram(i) });
    }
    batch
}

/// Rows of an answer in one order, without labels that only one of the two has.
fn rows(v: &Value, without: &[&str]) -> Vec<Value> {
    assert_eq!(v["status"], "success", "{v}");
    let mut rows = v["data"]["result"].as_array().cloned().unwrap_or_default();
    for r in &mut rows {
        if let Some(labels) = r["metric"].as_object_mut() {
            without.iter().for_each(|l| drop(labels.remove(*l)));
        }
    }
    // The two write labels in orders of their own.
    rows.sort_by_key(|r| {
        let labels = r["metric"].as_object();
        labels.map(|l| l.iter().map(|(n, v)| (n.clone(), v.to_string())).collect::<BTreeMap<_, _>>())
    });
    rows
}

fn list(v: &Value) -> Vec<String> {
    assert_eq!(v["status"], "success", "{v}");
    v["data"].as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned)).collect()
}

fn states(v: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let sources = v["coverage"].as_array().cloned().unwrap_or_default();
    sources.iter().map(|s| (text(&s["cluster"]), text(&s["state"]))).collect()
}

struct Pair {
    a: Node,
    b: Option<Node>,
    first_ms: i64,
    _homes: [Home; 2],
}

/// Two replicas of prod-01; the second misses some samples in the middle.
async fn pair() -> Pair {
    let home =
        |r: &str| Home::new(&format!("cluster: prod-01\nexternal_labels: {{region: eu, replica: {r}}}\n"));
    let homes = [home("a"), home("b")];
    let (a, b) = (homes[0].start(), homes[1].start());
    let first_ms = now_ns() / 1_000_000 / STEP_MS * STEP_MS - SAMPLES * STEP_MS;
    write(&a, &data(first_ms, 0..0)).await;
    write(&b, &data(first_ms, 100..140)).await;
    Pair { a, b: Some(b), first_ms, _homes: homes }
}

impl Pair {
    fn last_s(&self) -> i64 {
        (self.first_ms + (SAMPLES - 1) * STEP_MS) / 1000
    }

    fn instant(&self, query: &str) -> String {
        format!("/api/v1/query?query={}&time={}", encode(query), self.last_s())
    }

    fn range(&self, query: &str) -> String {
        let (first, last) = (self.first_ms / 1000, self.last_s());
        format!("/api/v1/query_range?query={}&start={first}&end={last}&step=30", encode(query))
    }

    fn lists(&self, path: &str, more: &str) -> String {
        format!("{path}?start={}&end={}{more}", self.first_ms / 1000, self.last_s())
    }
}

/// Queries whose answers both programs print alike.
const QUERIES: [&str; 9] = [
    "requests_total",
    "a",
    "histogram_count(latency)",
    "sum by (job) (rate(requests_total[5m]))",
    "histogram_sum(sum(rate(latency[5m])))",
    "topk(3, requests_total)",
    "count({__name__=~\".+\"})",
    "increase(requests_total{instance=~\"h0[1-3]\"}[10m])",
    "a{b=\"\"}",
];
/// Bounds of buckets, which older releases of Prometheus' library compute a digit less exactly.
const BOUNDS: [&str; 2] = ["latency", "histogram_quantile(0.9, sum(rate(latency[5m])))"];

#[tokio::test(flavor = "multi_thread")]
async fn a_thanos_query_asks_nodes_as_it_asks_sidecars() {
    let Some(binary) = thanos() else { return };
    let pair = pair().await;
    let b = pair.b.as_ref().unwrap();
    let query = Query::over(&binary, &[&pair.a, b]).await;

    // Replicas are one: what the node without gaps answers, under the labels it has for others.
    let external = ["cluster", "region"];
    for q in QUERIES {
        for path in [pair.instant(q), pair.range(q)] {
            let (theirs, ours) = (query.json(&path).await, pair.a.json(&path).await);
            assert_eq!(rows(&theirs, &external), rows(&ours, &external), "{q}");
            assert!(theirs["warnings"].is_null(), "{theirs}");
        }
    }
    let both =
        query.json(&format!("{}&dedup=false", pair.instant("count by (replica, cluster, region) (a)"))).await;
    let labels: Vec<_> = rows(&both, &[]).iter().map(|r| r["metric"].clone()).collect();
    let row = |r: &str| json!({"cluster": "prod-01", "region": "eu", "replica": r});
    assert_eq!(labels, [row("a"), row("b")]);
    assert_eq!(rows(&query.json(&pair.instant("a{region=\"us\"}")).await, &[]), [] as [Value; 0]);

    let all = list(&query.json(&pair.lists("/api/v1/labels", "")).await);
    assert_eq!(all, ["__name__", "b", "cluster", "instance", "job", "region", "replica", "zone"]);
    let some = list(&query.json(&pair.lists("/api/v1/labels", "&match[]=latency")).await);
    assert_eq!(some, ["__name__", "cluster", "job", "region", "replica"]);
    let names = list(&query.json(&pair.lists("/api/v1/label/__name__/values", "")).await);
    assert_eq!(names, ["a", "latency", "requests_total"]);
    let region = list(&query.json(&pair.lists("/api/v1/label/region/values", "&match[]=a")).await);
    assert_eq!(region, ["eu"]);
    let series = query.json(&pair.lists("/api/v1/series", "&match[]=a")).await;
    assert_eq!(series["data"].as_array().map(Vec::len), Some(3), "{series}");

    // One is killed: the other answers, and the answer says that one is missing.
    let mut pair = pair;
    pair.b.take().unwrap().kill();
    let v = query.json(&format!("{}&partial_response=true", pair.instant("requests_total"))).await;
    assert_eq!(rows(&v, &external), rows(&pair.a.json(&pair.instant("requests_total")).await, &external));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thanos_query_is_asked_like_any_peer_and_a_store_that_it_lost_is_missed() {
    let Some(binary) = thanos() else { return };
    let mut pair = pair().await;
    let query = Query::over(&binary, &[&pair.a, pair.b.as_ref().unwrap()]).await;
    let hub = Home::new(&format!(
        "cluster: hub\nroles: [query]\npeers:\n  - {{name: prod-01, kind: thanos, address: '{}', timeout: 5s, replica_labels: [replica]}}\n",
        query.grpc
    ));
    let hub = hub.start();
    let external = ["cluster", "region"];
    let state = |s: &str| vec![("prod-01".to_owned(), s.to_owned())];
    for q in QUERIES.into_iter().chain(BOUNDS) {
        for path in [pair.instant(q), pair.range(q)] {
            let (theirs, ours) = (hub.json(&path).await, pair.a.json(&path).await);
            assert_eq!(rows(&theirs, &external), rows(&ours, &external), "{q}");
            assert_eq!(states(&theirs), state("complete"));
        }
    }
    let names = list(&hub.json(&pair.lists("/api/v1/labels", "&match[]=latency")).await);
    assert_eq!(names, ["__name__", "cluster", "job", "region"]);

    // Thanos leaves out what it does not reach and says nothing of it; the hub does.
    pair.b.take().unwrap().kill();
    let lost = eventually("the hub misses what Thanos lost", Duration::from_secs(60), async || {
        let v = hub.json(&pair.instant("a")).await;
        v["coverage"][0]["reason"].as_str().is_some_and(|r| r.contains("no longer reaches")).then_some(v)
    })
    .await;
    assert_eq!(states(&lost), state("partial"));
    assert_eq!(rows(&lost, &external), rows(&pair.a.json(&pair.instant("a")).await, &external));

    drop(query);
    let answer = hub.get(&pair.instant("a")).await;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.excerpt());
    assert!(answer.excerpt().contains("prod-01"), "{}", answer.excerpt());
}
