//! The gateway of hub and spokes: several spokes, one hub, two destinations outside, one of them dead.

use std::time::Duration;

use serde_json::Value;

use super::{adds_up, drained, exactly_once, senders, sending};
use crate::{node::Home, peers::free_port};

/// Logs keep the labels of their streams in Loki's form, and traces their resource in OTLP's.
fn to(name: &str, port: u16) -> String {
    let at = format!("endpoint: 'http://127.0.0.1:{port}'");
    format!(
        "  - {{name: {name}-logs, to: loki, {at}}}\n  - {{name: {name}-traces, to: otlp_http, {at}, signals: [traces]}}\n"
    )
}

fn named<'a>(v: &'a [Value], name: &str) -> Vec<&'a Value> {
    v.iter().filter(|l| l["destination"].as_str().unwrap().starts_with(name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_destination_of_the_hub_is_noticed_by_nobody_else() {
    let (alive_home, dead_home) = (Home::on_port(free_port(), ""), Home::on_port(free_port(), ""));
    let outside = to("alive", alive_home.http_port()) + &to("dead", dead_home.http_port());
    let hub_home = Home::on_port(free_port(), &format!("cluster: hub\nforward:\n{outside}"));
    let (alive, hub) = (alive_home.start(), hub_home.start());
    let spokes = ["s1", "s2", "s3"].map(|name| {
        let home = Home::new(&format!("cluster: {name}\nforward:\n{}", to("hub", hub_home.http_port())));
        let node = home.start();
        (home, node, senders(1, name))
    });
    let mut sent = Vec::new();
    for (home, node, mut all) in spokes {
        sending(&mut all, &node.http.clone(), tokio::time::sleep(Duration::from_millis(1500))).await;
        all.retain(|s| s.protocol != crate::crash::Protocol::RemoteWrite);
        sent.push((home, node, all));
    }
    // From the spokes through the hub to the destination that is alive, while the other one is dead.
    for (_, node, all) in &sent {
        for lane in drained(node, |_| true).await {
            adds_up(&lane);
            assert_eq!(lane["state"], "equal", "{lane}");
        }
        exactly_once(all, &hub, "hub").await;
    }
    let lanes = drained(&hub, |d| d.starts_with("alive")).await;
    for lane in named(&lanes, "alive") {
        adds_up(lane);
        assert_eq!(lane["lag_seconds"], 0.0, "{lane}");
    }
    for (_, _, all) in &sent {
        exactly_once(all, &alive, "alive").await;
    }
    for lane in named(&lanes, "dead") {
        assert_eq!((&lane["acknowledged"], &lane["pending"]), (&0.into(), &lane["produced"]), "{lane}");
    }
    let shown = hub.json("/api/v1/orrery/pipelines").await;
    let health = |d: &Value| (d["name"].as_str().unwrap().to_owned(), d["health"]["state"].clone());
    for (name, state) in shown["destinations"].as_array().unwrap().iter().map(health) {
        assert_eq!(state, if name.starts_with("alive") { "up" } else { "down" }, "{name}: {shown}");
    }
    assert_eq!(shown["sources"].as_array().unwrap().len(), 6, "a source per spoke and signal: {shown}");

    // It comes back, and gets everything.
    let dead = dead_home.start();
    for lane in drained(&hub, |_| true).await {
        adds_up(&lane);
        assert_eq!(lane["state"], "equal", "{lane}");
    }
    for (_, _, all) in &sent {
        exactly_once(all, &dead, "dead").await;
    }
}
