//! Remote writing to receivers of others: what arrives is counted by their own queries.

use std::time::Duration;

use net::{Client, Request};
use serde_json::Value;

use super::{adds_up, drained, exactly_once, sending};
use crate::{
    crash::{Protocol, Sender},
    lifecycle::now_ns,
    node::{Home, encode, eventually},
    peers::{free_port, program, receiving_prometheus, victoria_metrics_on},
};

/// Samples of a sender that a system with Prometheus' API has.
async fn counted(address: &str, sender: &Sender) -> u64 {
    let query = encode(&format!("count_over_time(counted{{sender=\"{}\"}}[2h])", sender.name));
    let time = now_ns() / 1_000_000_000 + 3000;
    let url = format!("{address}/api/v1/query?query={query}&time={time}&nocache=1");
    let Ok(answer) = Client::new().unwrap().send(Request::get(url)).await else { return 0 };
    let v: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    v["data"]["result"][0]["value"][1].as_str().and_then(|s| s.parse().ok()).unwrap_or(0)
}

/// Of a request that is sent again after a crash, Prometheus says of samples it has that they are out of order, which
/// is a refusal: what is refused is known here, and that nothing is missing is counted at the receiver.
fn adds_up_to_refused(lane: &Value) {
    let refused: u64 = lane["refused"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let mut without = lane.clone();
    without["acknowledged"] = (lane["acknowledged"].as_u64().unwrap() + refused).into();
    without["refused"] = serde_json::json!({});
    adds_up(&without);
    println!("{}: {} produced, {refused} refused", lane["destination"], lane["produced"]);
}

/// Sends through a node that is killed on the way, and counts at the receiver.
async fn through(name: &str, address: &str, extra: &str) {
    let home = Home::new(extra);
    let mut all: Vec<Sender> =
        (0..3).map(|i| Sender::new(Protocol::RemoteWrite, &format!("{name}{i}"))).collect();
    let node = home.start();
    let http = node.http.clone();
    sending(&mut all, &http, async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        node.kill();
    })
    .await;
    let node = home.start();
    let http = node.http.clone();
    sending(&mut all, &http, tokio::time::sleep(Duration::from_millis(800))).await;
    for lane in drained(&node, |_| true).await {
        adds_up_to_refused(&lane);
        assert_eq!(lane["state"], "unknown", "a foreign receiver keeps no ledger: {lane}");
    }
    exactly_once(&all, &node, "node").await;
    for s in &all {
        let wanted = s.acknowledged.len() as u64;
        eventually(&format!("{name} has {wanted} samples"), Duration::from_secs(60), async || {
            let found = counted(address, s).await;
            assert!(found <= wanted, "{name}: {found} of {wanted}");
            (found == wanted).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_receives_by_the_remote_write_of_a_prometheus_file_as_it_stands() {
    let Some(binary) = program("prometheus") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (_prometheus, address) = receiving_prometheus(&binary, dir.path(), &[]).await;
    let file = format!(
        "prometheus:\n  global: {{external_labels: {{site: here}}}}\n  remote_write:\n  - url: {address}/api/v1/write\n    name: prom\n    write_relabel_configs: [{{source_labels: [__name__], regex: counted, action: keep}}]\n    queue_config: {{max_samples_per_send: 500}}\n"
    );
    through("prom", &address, &file).await;
    let found =
        Client::new().unwrap().send(Request::get(format!("{address}/api/v1/label/site/values"))).await;
    let v: Value = serde_json::from_slice(&found.unwrap().body).unwrap();
    assert_eq!(v["data"], serde_json::json!(["here"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victoria_metrics_receives() {
    let Some(binary) = program("victoria-metrics") else { return };
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let _victoria = victoria_metrics_on(port, &binary, dir.path()).await;
    let address = format!("http://127.0.0.1:{port}");
    let forward = format!("forward:\n  - {{name: vm, to: remote_write, endpoint: '{address}'}}\n");
    through("vm", &address, &forward).await;
}
