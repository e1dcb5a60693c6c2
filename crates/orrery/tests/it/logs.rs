//! What is found out about logs, over one node and over several: services, levels, volumes, patterns; and deletion.

use serde_json::{Value, json};

use crate::{
    federation::{self, states},
    node::{Home, encode},
};

fn asked(path: &str, query: &str) -> String {
    format!("/loki/api/v1/{path}?query={}", encode(query))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_adds_up_what_clusters_know_of_their_logs_and_says_who_is_missing() {
    let mut fleet = federation::start();
    for n in 0..3 {
        let line = |what: &str| vec![format!("{what} {n} in {n}ms")];
        fleet.dev.push(json!({"app": "shop", "team": "a"}), &line("paid")).await;
        fleet.prod(n % 2).push(json!({"app": "shop"}), &line("paid")).await;
        fleet.prod(0).push(json!({"app": "cart"}), &line("put")).await;
    }
    let both = ["dev-01 complete", "prod-01 complete"];

    let stats = fleet.ops.json(&asked("index/stats", "{app=~\".+\"}")).await;
    assert_eq!((&stats["entries"], &stats["streams"]), (&json!(9), &json!(3)), "{stats}");
    assert_eq!(stats["bytes"], json!(3 * 2 * "paid 0 in 0ms".len() + 3 * "put 0 in 0ms".len()));
    assert_eq!(states(&stats), both);

    let volume = fleet.ops.json(&asked("index/volume", "{service_name=~\".+\"}")).await;
    let of = |v: &Value, n: usize| v["data"]["result"][n]["metric"]["service_name"].clone();
    assert_eq!((of(&volume, 0), of(&volume, 1)), (json!("shop"), json!("cart")), "{volume}");
    assert_eq!(states(&volume), both);

    let labels = fleet.ops.json(&asked("detected_labels", "{app=\"shop\"}")).await;
    let list = labels["detectedLabels"].as_array().unwrap();
    assert!(list.contains(&json!({"label": "cluster", "cardinality": 2})), "{labels}");
    let fields = fleet.ops.json(&asked("detected_fields", "{app=\"shop\"}")).await;
    assert_eq!(fields["fields"][0]["label"], "detected_level", "{fields}");

    let patterns = fleet.ops.json(&asked("patterns", "{app=\"shop\"}")).await;
    assert_eq!(patterns["data"].as_array().unwrap().len(), 1, "{patterns}");
    assert_eq!(patterns["data"][0]["pattern"], "paid <_> in <_>");
    let lines = |v: &Value| -> i64 {
        v["data"][0]["samples"].as_array().unwrap().iter().map(|s| s[1].as_i64().unwrap()).sum()
    };
    assert_eq!(lines(&patterns), 6);
    let prod = fleet.ops.json(&asked("patterns", "{app=\"shop\", cluster=\"prod-01\"}")).await;
    assert_eq!(lines(&prod), 3, "{prod}");

    fleet.kill_prod(0);
    fleet.kill_prod(1);
    let patterns = fleet.ops.json(&asked("patterns", "{app=\"shop\"}")).await;
    assert_eq!(lines(&patterns), 3, "{patterns}");
    assert!(states(&patterns).contains(&"prod-01 missing".to_owned()), "{patterns}");
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_gone_with_its_patterns_and_stays_gone_over_a_restart() {
    let home = Home::new("http: {enable_admin: true}\n");
    let node = home.start();
    node.push(json!({"app": "shop"}), &["one 1".to_owned(), "one 2".to_owned()]).await;
    node.push(json!({"app": "cart"}), &["two 1".to_owned()]).await;
    let delete = format!("{}&start=1", asked("delete", "{app=\"shop\"}"));
    let refused = format!("{}&start=1", asked("delete", "{app=\"shop\"} |= \"one\""));
    let refused = node.post(&refused, "application/x-www-form-urlencoded", "").await;
    assert_eq!(refused.status.as_u16(), 400, "{}", refused.excerpt());
    let done = node.post(&delete, "application/x-www-form-urlencoded", "").await;
    assert_eq!(done.status.as_u16(), 204, "{}", done.excerpt());
    assert_eq!(node.lines("{app=~\".+\"}").await, ["two 1"]);
    let patterns = node.json(&asked("patterns", "{app=~\".+\"}")).await;
    assert_eq!(patterns["data"].as_array().unwrap().len(), 1, "{patterns}");
    let listed = node.json("/loki/api/v1/delete").await;
    assert_eq!((&listed[0]["query"], &listed[0]["status"]), (&json!("{app=\"shop\"}"), &json!("processed")));
    node.push(json!({"app": "shop"}), &["one 3".to_owned()]).await;
    node.terminate();
    let node = home.start();
    let mut left = node.lines("{app=~\".+\"}").await;
    left.sort();
    assert_eq!(left, ["one 3", "two 1"]);
}

#[tokio::test]
async fn a_node_that_is_told_to_finds_out_nothing() {
    let home =
        Home::new("ingest: {discover_service_name: false, discover_log_levels: false, patterns: false}\n");
    let node = home.start();
    node.push(json!({"app": "shop"}), &["level=info".to_owned()]).await;
    let series = node.json("/loki/api/v1/series?match[]=%7Bapp%3D%22shop%22%7D").await;
    assert_eq!(series["data"], json!([{"app": "shop"}]));
    let found = node.json("/loki/api/v1/query_range?query=%7Bapp%3D%22shop%22%7D").await;
    assert_eq!(found["data"]["result"][0]["stream"], json!({"app": "shop"}));
    let limits = node.json("/loki/api/v1/drilldown-limits").await;
    assert_eq!(limits["pattern_ingester_enabled"], false);
    assert_eq!(node.get(&asked("patterns", "{app=\"shop\"}")).await.status.as_u16(), 400);
}
