//! What holds the clusters together is a network: what they are without it, and when it is back; and that the hub
//! opens no more of it than it must.

use std::time::{Duration, Instant};

use model::{Labels, MetricBatch};
use serde_json::Value;

use super::{
    HUB, PEERS,
    clusters::{Clusters, ask, now_s},
    questions::{Outcome, TENANT, fill, put_all, spans},
};
use crate::node::{encode, eventually};

/// Between two rounds of a long time apart.
const ROUND: Duration = Duration::from_secs(15);
const NAMES: [&str; 4] = ["north", "east", "south", "west"];

#[tokio::test]
async fn a_hub_that_was_cut_off_is_whole_again_with_what_came_meanwhile() {
    let Some(clusters) = Clusters::start(23, &NAMES).await else { return };
    let questions = fill(&clusters).await;
    let began_s = now_s() / 60 * 60 - 120;
    NAMES.iter().for_each(|n| clusters.lab.cut(HUB, n));
    let (began, long) = (Instant::now(), long());
    let mut rounds: i64 = 0;
    while rounds == 0 || began.elapsed() < long {
        if rounds > 0 {
            tokio::time::sleep(ROUND).await;
        }
        each_lives_alone(&clusters, began_s + rounds * 15, rounds).await;
        rounds += 1;
    }

    clusters.lab.heal();
    clusters.all_up().await;
    let mut truths = Vec::new();
    for q in &questions {
        truths.push(q.truth(&clusters.whole).await);
    }
    eventually("whole answers", Duration::from_secs(120), async || {
        let outcomes = put_all(&clusters.hub, &questions, &truths).await;
        let whole = |o: Result<Outcome, String>| o.unwrap().incomplete.is_some_and(|i| i.is_empty());
        outcomes.into_iter().all(whole).then_some(())
    })
    .await;
    let end_s = began_s + rounds * 15;
    let counted = encode(&format!("count_over_time(alone[{}s])", rounds * 15 + 15));
    let path = format!("/api/v1/query?query={counted}&time={end_s}");
    let body: Value = serde_json::from_slice(&ask(&clusters.hub, TENANT, &path).await.body).unwrap();
    let found = body["data"]["result"].as_array().cloned().unwrap_or_default();
    assert_eq!(found.len(), NAMES.len(), "{body}");
    let all = rounds.to_string();
    assert!(found.iter().all(|r| r["value"][1] == all.as_str()), "{rounds} rounds: {body}");
    println!("{rounds} rounds apart, {} s", began.elapsed().as_secs());
}

/// How long the hub is cut off: an hour shows what a round does not.
fn long() -> Duration {
    let seconds = std::env::var("ORRERY_APART_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// Every cluster takes and answers what is its own, and shows its pages; the hub says who is missing.
async fn each_lives_alone(clusters: &Clusters, at_s: i64, rounds: i64) {
    for name in NAMES {
        let mut batch = MetricBatch::default();
        let series = batch.push_series(Labels::from_pairs([("__name__", "alone"), ("cluster", name)]));
        batch.samples.push(series, at_s * 1000, rounds as f64);
        clusters.metrics(name, TENANT, &batch).await;
        let path = format!("/api/v1/query?query=alone&time={at_s}");
        let node = clusters.node(name);
        let body: Value = serde_json::from_slice(&ask(node, TENANT, &path).await.body).unwrap();
        assert_eq!(body["data"]["result"][0]["value"][1], rounds.to_string(), "{name}: {body}");
        assert_eq!(body["coverage"][0]["state"], "complete", "{name}: {body}");
        assert!(ask(node, TENANT, "/ui/").await.status.is_success(), "the pages of {name}");
    }
    // The hub knows nobody: it says who is missing, and does not say that there is nothing.
    let answer =
        ask(&clusters.hub, TENANT, &format!("/api/v1/query?query=alone&time={at_s}&timeout=5s")).await;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(NAMES.iter().all(|n| said.contains(n)), "{said}");
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let sources = body["coverage"].as_array().cloned().unwrap_or_default();
    assert!(!answer.status.is_success() || sources.iter().all(|s| s["state"] != "complete"), "{said}");
}

#[tokio::test]
async fn each_cluster_gets_one_connection_and_one_that_cannot_match_gets_no_question() {
    let Some(clusters) = Clusters::start(24, &NAMES).await else { return };
    let questions = fill(&clusters).await;
    for q in &questions {
        let truth = q.truth(&clusters.whole).await;
        let outcome = q.put(&clusters.hub, &truth).await.unwrap();
        assert_eq!(outcome.incomplete.map(|i| i.len()), Some(0), "{}", q.name);
    }
    let query = encode("sum by (cluster) (count_over_time(requests_total{cluster=\"north\"}[1h]))");
    let body: Value = serde_json::from_slice(
        &ask(&clusters.hub, TENANT, &format!("/api/v1/query?query={query}")).await.body,
    )
    .unwrap();
    let asked: Vec<&Value> =
        body["coverage"].as_array().into_iter().flatten().map(|s| &s["cluster"]).collect();
    assert_eq!(asked, ["north"], "{body}");
    for name in NAMES {
        let opened = clusters.lab.traffic(HUB, name).opened;
        assert_eq!(opened.get(&PEERS), Some(&1), "connections to {name}: {opened:?}");
        assert_eq!(clusters.lab.traffic(name, HUB).opened.len(), 0);
    }
}

#[tokio::test]
async fn traces_spread_over_clusters_are_found_and_shown_as_by_one_node() {
    let Some(clusters) = Clusters::start(25, &NAMES).await else { return };
    let base_s = super::traces::fill(&clusters).await;
    let mut wrong = Vec::new();
    for path in super::traces::searches(base_s) {
        let mut rows = Vec::new();
        for node in [&clusters.hub, &clusters.whole] {
            let answer = ask(node, TENANT, &path).await;
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            let sources = body["coverage"].as_array().into_iter().flatten();
            let whole = sources.filter(|s| s["state"] != "complete").count() == 0;
            let order: Vec<String> =
                body["data"].as_array().into_iter().flatten().map(|t| t["traceID"].to_string()).collect();
            rows.push((answer.status, whole, order, spans(&body)));
        }
        if rows[0] != rows[1] {
            wrong.push(format!("{path}\n  hub   {:?}\n  whole {:?}", rows[0], rows[1]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
