//! Four systems of three kinds under one query: a Prometheus, a VictoriaMetrics and two nodes, each with a part of
//! the same samples, asked by a node that keeps nothing. What it answers is what one node answers that has everything.
//!
//! ```text
//! series dealt out ─► prom-01 (Prometheus) · vm-01 (VictoriaMetrics) · node-01 · node-02 ◄── hub
//! all of them      ─► whole                                                                   same answers
//! ```

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use model::{Labels, MetricBatch};
use net::{Client, Request};
use serde_json::Value;

use crate::{
    beside::{alike, encoded},
    federation::{certificates, states, tls},
    lifecycle::now_ns,
    moving::write,
    node::{Home, Node, eventually},
    peers::{Peer, free_port, program, prometheus_on, victoria_metrics_on},
};

const CLUSTERS: [&str; 4] = ["node-01", "node-02", "prom-01", "vm-01"];
const SAMPLES: i64 = 40;

/// `$start`, `$end`, `$at` are seconds.
const QUESTIONS: &[&str] = &[
    "/api/v1/query?query=g&time=$end",
    "/api/v1/query?query=count by (cluster) (g)&time=$end",
    "/api/v1/query?query=count({__name__=~\".+\"})&time=$end",
    "/api/v1/query?query=g{cluster=\"vm-01\"}[2m]&time=$at",
    "/api/v1/query?query=g{cluster=~\"prom.*|node-02\"}&time=$at",
    "/api/v1/query?query=sum by (job) (rate(c_total[2m]))&time=$end",
    "/api/v1/query?query=sum by (job) (increase(c_total[3m])) / on (job) group_left () count by (job) (c_total)&time=$at",
    "/api/v1/query?query=topk(3, g)&time=$end",
    "/api/v1/query?query=quantile(0.5, g)&time=$end",
    "/api/v1/query?query=histogram_quantile(0.9, sum by (le) (rate(h_bucket[2m])))&time=$end",
    "/api/v1/query?query=absent(nosuch)&time=$end",
    "/api/v1/query?query=max_over_time(g[5m]) - on (s, cluster) min_over_time(g[5m])&time=$end",
    "/api/v1/query_range?query=sum(rate(c_total[2m]))&start=$start&end=$end&step=30",
    "/api/v1/query_range?query=avg by (cluster) (g)&start=$start&end=$end&step=30",
    "/api/v1/query_range?query=stddev(g)&start=$start&end=$end&step=30",
    "/api/v1/query_range?query=g&start=$start&end=$end&step=45",
    "/api/v1/query_range?query=sum by (code) (rate(c_total[2m] offset 1m)) > 0.5&start=$start&end=$end&step=60",
    "/api/v1/labels?start=$start&end=$end",
    "/api/v1/labels?match[]=c_total&start=$start&end=$end",
    "/api/v1/label/cluster/values?start=$start&end=$end",
    "/api/v1/label/__name__/values?start=$start&end=$end",
    "/api/v1/label/s/values?match[]=g{cluster=\"prom-01\"}&start=$start&end=$end",
    "/api/v1/series?match[]=g&start=$start&end=$end",
    "/api/v1/series?match[]=c_total{code=\"500\"}&match[]=h_bucket{le=\"1\"}&start=$start&end=$end",
];

/// Series without `cluster`, and their values: few digits, since VictoriaMetrics keeps no more than fifteen of the
/// largest of a block.
fn series() -> Vec<(Labels, Vec<f64>)> {
    let name = |n: &str| ("__name__", n.to_owned());
    let label = |n, v: String| (n, v);
    let values = |f: &dyn Fn(i64) -> f64| (0..SAMPLES).map(f).collect::<Vec<f64>>();
    let mut out = Vec::new();
    for s in 0..12i64 {
        let labels = Labels::from_pairs([name("g"), label("s", format!("{s:02}"))]);
        out.push((labels, values(&|i| ((s * 37 + i * 11) % 101) as f64 / 4.0 + s as f64 / 1000.0)));
    }
    for (n, job) in ["api", "web", "db"].into_iter().enumerate() {
        for (m, code) in ["200", "404", "500"].into_iter().enumerate() {
            for instance in 0..2i64 {
                let labels = [
                    name("c_total"),
                    label("job", job.to_owned()),
                    label("code", code.to_owned()),
                    label("instance", format!("i{instance}")),
                ];
                let step = 1.0 + n as f64 * 2.0 + m as f64 * 0.5 + instance as f64 * 0.25;
                // One restart in the middle of some.
                let since = |i: i64| if instance == 1 && i >= 23 { i - 23 } else { i };
                out.push((Labels::from_pairs(labels), values(&|i| step * since(i) as f64)));
            }
        }
    }
    for job in ["api", "web"] {
        for (n, le) in ["0.1", "0.5", "1", "+Inf"].into_iter().enumerate() {
            let labels = [name("h_bucket"), label("job", job.to_owned()), label("le", le.to_owned())];
            out.push((Labels::from_pairs(labels), values(&|i| ((n as i64 + 1) * 3 * i) as f64)));
        }
    }
    out
}

/// The samples of those series whose number gives this cluster, with or without its name on them.
fn dealt(from_ms: i64, named: bool, whose: impl Fn(usize) -> bool) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for (n, (labels, values)) in series().into_iter().enumerate().filter(|(n, _)| whose(*n)) {
        let mut labels = labels.to_builder();
        if named {
            labels.set("cluster", CLUSTERS[n % CLUSTERS.len()]);
        }
        let series = batch.push_series(labels.build());
        for (i, v) in values.into_iter().enumerate() {
            batch.samples.push(series, from_ms + i as i64 * 15_000, v);
        }
    }
    batch
}

/// Where a system is and how it is started again.
struct Site {
    dir: tempfile::TempDir,
    binary: PathBuf,
    port: u16,
}

impl Site {
    fn new(binary: PathBuf) -> Self {
        Site { dir: tempfile::tempdir().unwrap(), binary, port: free_port() }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn prometheus(&self) -> Peer {
        prometheus_on(self.port, &self.binary, self.dir.path(), &[]).await
    }

    async fn victoria(&self) -> Peer {
        victoria_metrics_on(self.port, &self.binary, self.dir.path()).await
    }
}

fn hub(certs: &Path, prometheus: &Site, victoria: &Site, peers: [u16; 2]) -> Home {
    Home::new(&format!(
        "cluster: hub\nroles: [query]\n{}peers:\n  \
         - {{name: node-01, address: 'localhost:{}'}}\n  - {{name: node-02, address: 'localhost:{}'}}\n  \
         - {{name: prom-01, kind: prometheus, url: '{}'}}\n  - {{name: vm-01, kind: prometheus, url: '{}'}}\n",
        tls(certs, "hub"),
        peers[0],
        peers[1],
        prometheus.url(),
        victoria.url(),
    ))
}

/// What a node answers, without what only one of the two can say.
async fn answer(node: &Node, question: &str) -> (Value, Vec<String>) {
    let (path, query) = question.split_once('?').unwrap();
    let mut v = node.json(&format!("{path}?{}", encoded(query))).await;
    let states = states(&v);
    let fields = v.as_object_mut().unwrap();
    fields.remove("coverage");
    (v, states)
}

/// All questions of the hub, whose answers say that they are whole, beside those of the node that has everything.
async fn whole_again(hub: &Node, whole: &Node, times: &[(&str, String); 3]) {
    let mut wrong = String::new();
    for question in QUESTIONS {
        let mut question = (*question).to_owned();
        times.iter().for_each(|(name, at)| question = question.replace(name, at));
        let (theirs, _) = answer(whole, &question).await;
        let (ours, states) = answer(hub, &question).await;
        assert_eq!(theirs["status"], "success", "{question}: {theirs}");
        let says = states.iter().all(|s| s.ends_with(" complete")) && ours.get("warnings").is_none();
        if !says || !alike(&theirs, &ours) {
            wrong.push_str(&format!("\n{question}: {states:?}\n  whole {theirs}\n  hub   {ours}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

async fn wait_whole(hub: &Node, at: &str) {
    let question = format!("/api/v1/query?query=count by (cluster) (g)&time={at}");
    let all: Vec<String> = CLUSTERS.iter().map(|c| format!("{c} complete")).collect();
    eventually("every cluster answers", Duration::from_secs(90), async || {
        (answer(hub, &question).await.1 == all).then_some(())
    })
    .await;
}

/// Asks while one is gone: the others' part is there, and the coverage names it. What is certain of it is that it is
/// not there; that it is `missing` and not `partial` follows from its having answered nothing.
async fn without(hub: &Node, gone: &str, at: &str) {
    let question = format!("/api/v1/query?query=count by (cluster) (g)&time={at}");
    let (v, states) = answer(hub, &question).await;
    let expected: Vec<String> =
        CLUSTERS.iter().map(|c| format!("{c} {}", if *c == gone { "missing" } else { "complete" })).collect();
    assert_eq!(states, expected, "{v}");
    let clusters: Vec<&str> = v["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["metric"]["cluster"].as_str().unwrap())
        .collect();
    assert!(clusters.len() == 3 && !clusters.contains(&gone), "{v}");
    assert!(v["warnings"].to_string().contains(gone), "{v}");
    let denied = format!("{question}&partial=deny");
    let (path, query) = denied.split_once('?').unwrap();
    let refused = hub.get(&format!("{path}?{}", encoded(query))).await;
    assert!(refused.status == 503 && refused.excerpt().contains(gone), "{}", refused.excerpt());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prometheus_a_victoria_metrics_and_two_nodes_answer_as_one_node_that_has_everything() {
    let (Some(prometheus), Some(victoria)) = (program("prometheus"), program("victoria-metrics")) else {
        return;
    };
    let certs = tempfile::tempdir().unwrap();
    certificates(certs.path(), &["node-01", "node-02", "hub"]);
    let (prometheus, victoria) = (Site::new(prometheus), Site::new(victoria));
    let ports = [free_port(), free_port()];
    let homes = [0, 1].map(|n| {
        let cluster = CLUSTERS[n];
        Home::asked_on(ports[n], &format!("cluster: {cluster}\n{}", tls(certs.path(), cluster)))
    });
    let (whole_home, hub_home) = (Home::new(""), hub(certs.path(), &prometheus, &victoria, ports));
    let nodes = homes.each_ref().map(Home::start);
    let (mut p, mut vm) = (prometheus.prometheus().await, victoria.victoria().await);
    let (whole, hub) = (whole_home.start(), hub_home.start());

    let client = Client::new().unwrap();
    // Times of the past and of whole seconds: a sample each 15 seconds.
    let now = now_ns() / 1_000_000_000;
    let from_ms = (now - 15 * SAMPLES - 30) * 1000;
    let targets = [nodes[0].http.clone(), nodes[1].http.clone(), prometheus.url(), victoria.url()];
    for (n, target) in targets.iter().enumerate() {
        let batch = dealt(from_ms, false, |i| i % CLUSTERS.len() == n);
        assert_eq!(write(&client, target, &batch).await, 204, "{}", CLUSTERS[n]);
    }
    assert_eq!(write(&client, &whole.http, &dealt(from_ms, true, |_| true)).await, 204);
    // It shows what it was sent a moment later, otherwise.
    client.send(Request::get(format!("{}/internal/force_flush", victoria.url()))).await.unwrap();

    let last = from_ms / 1000 + 15 * (SAMPLES - 1);
    let end = last.to_string();
    let times =
        [("$start", (last - 400).to_string()), ("$end", end.clone()), ("$at", (last - 123).to_string())];
    wait_whole(&hub, &end).await;
    whole_again(&hub, &whole, &times).await;

    drop(p);
    without(&hub, "prom-01", &end).await;
    p = prometheus.prometheus().await;
    wait_whole(&hub, &end).await;

    // Killed, it would lose what it has not written yet.
    vm.terminate();
    without(&hub, "vm-01", &end).await;
    vm = victoria.victoria().await;
    wait_whole(&hub, &end).await;

    let [first, second] = nodes;
    second.kill();
    without(&hub, "node-02", &end).await;
    let second = homes[1].start();
    wait_whole(&hub, &end).await;
    whole_again(&hub, &whole, &times).await;
    println!("{} questions answered alike, before and after each kind was gone", QUESTIONS.len());
    drop((p, vm, first, second));
}
