//! Destinations come and go while a node runs.

use serde_json::json;

use super::{adds_up, drained, metric};
use crate::{
    node::{Home, QUIET},
    peers::free_port,
};

fn to(destinations: &[(&str, u16)]) -> String {
    let one = |(name, port): &(&str, u16)| {
        format!("  - {{name: {name}, to: loki, endpoint: 'http://127.0.0.1:{port}'}}\n")
    };
    format!("{QUIET}forward:\n{}", destinations.iter().map(one).collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_destinations_and_loses_nothing_of_those_that_stay() {
    let hub_home = Home::on_port(free_port(), "cluster: hub\n");
    let hub = hub_home.start();
    let (at, dead) = (hub_home.http_port(), free_port());
    let home = Home::with(&to(&[("stays", at), ("goes", dead)]));
    let node = home.start();
    node.push(json!({"app": "one"}), &["a", "b", "c"]).await;

    home.write_config(&to(&[("stays", at), ("comes", at)]));
    let answer = node.post("/-/reload", "text/plain", "").await;
    assert!(answer.status.is_success(), "{}", answer.excerpt());
    node.push(json!({"app": "two"}), &["d", "e"]).await;

    let lanes = drained(&node, |_| true).await;
    let of = |name: &str| lanes.iter().find(|l| l["destination"] == name).unwrap().clone();
    let (stays, goes, comes) = (of("stays"), of("goes"), of("comes"));
    adds_up(&stays);
    adds_up(&comes);
    assert_eq!((&stays["produced"], &comes["produced"]), (&5.into(), &2.into()), "{lanes:?}");
    assert_eq!(
        (&goes["removed"], &goes["dropped"]),
        (&true.into(), &json!({"destination_removed": 3})),
        "{goes}"
    );
    let counted =
        metric(&node, "orrery_forward_produced_items_total", &[r#"destination="stays""#, r#"class="logs""#])
            .await;
    assert_eq!(counted, Some(5.0), "counted once, though the queue was opened twice");
    assert_eq!(hub.lines(r#"{app="one"}"#).await.len(), 3);

    // What cannot be is refused, and everything stays as it is.
    home.write_config(&to(&[("stays", at), ("stays", at)]));
    assert!(!node.post("/-/reload", "text/plain", "").await.status.is_success());
    node.push(json!({"app": "three"}), &["f"]).await;
    let lanes = drained(&node, |_| true).await;
    assert_eq!(lanes.iter().find(|l| l["destination"] == "stays").unwrap()["acknowledged"], 6, "{lanes:?}");
}
