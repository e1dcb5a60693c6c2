//! Samples of any age, sent to a node that keeps everything and to one that does not.

use std::time::Duration;

use model::{Labels, MetricBatch};
use net::{Answer, Request};

use crate::{
    lifecycle::now_ns,
    moving::stored,
    node::{Home, Node, encode, eventually},
};

/// 1970, 1985, 2001, 2020; on whole minutes, so that steps fall alike in every age.
const AGES_MS: [i64; 4] = [0, 473_385_600_000, 999_999_960_000, 1_599_999_960_000];
const SAMPLES: i64 = 240;
const STEP_MS: i64 = 15_000;

fn push(batch: &mut MetricBatch, age: &str, from_ms: i64) {
    let series = batch.push_series(Labels::from_pairs([("__name__", "old"), ("s", age)]));
    for i in 0..SAMPLES {
        batch.samples.push(series, from_ms + i * STEP_MS, i as f64 * 0.1);
    }
}

async fn send(node: &Node, batch: &MetricBatch) -> Answer {
    let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(batch)).unwrap();
    let request = Request::post(format!("{}/api/v1/write", node.http), body)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy");
    node.client.send(request).await.unwrap()
}

async fn result(node: &Node, query: &str, at_ms: i64) -> String {
    let path = format!("/api/v1/query?query={}&time={}", encode(query), at_ms as f64 / 1e3);
    let v = node.json(&path).await;
    assert_eq!(v["status"], "success", "{query}: {v}");
    v["data"]["result"][0]["value"][1].as_str().unwrap_or("nothing").to_owned()
}

/// What every age answers to the same questions, as long after its first sample.
async fn answers(node: &Node, age: &str, from_ms: i64) -> Vec<String> {
    let end_ms = from_ms + SAMPLES * STEP_MS;
    let mut all = Vec::new();
    for query in [
        format!("old{{s=\"{age}\"}}"),
        format!("rate(old{{s=\"{age}\"}}[10m])"),
        format!("count_over_time(old{{s=\"{age}\"}}[2h])"),
        format!("sum_over_time(old{{s=\"{age}\"}}[2h])"),
        format!("quantile_over_time(0.9, old{{s=\"{age}\"}}[30m:1m])"),
    ] {
        all.push(result(node, &query, end_ms).await);
    }
    let (start, end) = (from_ms as f64 / 1e3, end_ms as f64 / 1e3);
    let query = encode(&format!("old{{s=\"{age}\"}}"));
    let v = node.json(&format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=60")).await;
    let values = v["data"]["result"][0]["values"].as_array().cloned().unwrap_or_default();
    all.push(values.iter().map(|p| p[1].as_str().unwrap()).collect::<Vec<_>>().join(" "));
    let v = node.json(&format!("/api/v1/series?match%5B%5D={query}&start={start}&end={end}")).await;
    all.push(v["data"].as_array().map_or(0, Vec::len).to_string());
    all
}

#[tokio::test]
async fn samples_from_the_epoch_on_answer_like_fresh_ones_while_everything_is_kept() {
    let home = Home::new("retention: {metrics: 0}\n");
    let node = home.start();
    let fresh_ms = (now_ns() / 60_000_000_000 - 62) * 60_000;
    let ages: Vec<(String, i64)> =
        AGES_MS.into_iter().chain([fresh_ms]).enumerate().map(|(i, from)| (i.to_string(), from)).collect();
    // The newest first, so that all others lie behind what the node has.
    for (age, from) in ages.iter().rev() {
        let mut batch = MetricBatch::default();
        push(&mut batch, age, *from);
        assert_eq!(send(&node, &batch).await.status, 204);
    }
    // And a series that has fresh samples gets old ones.
    for from in [fresh_ms, AGES_MS[2]] {
        let mut batch = MetricBatch::default();
        push(&mut batch, "both", from);
        assert_eq!(send(&node, &batch).await.status, 204);
    }
    let expected = answers(&node, "4", fresh_ms).await;
    assert!(expected.iter().all(|a| a != "nothing"), "{expected:?}");
    assert_eq!(expected[2], SAMPLES.to_string());
    for (age, from) in &ages {
        assert_eq!(answers(&node, age, *from).await, expected, "at {from} ms");
    }
    assert_eq!(node.terminate().0, Some(0), "{}", home.log_text());
    // From segments as from the head.
    let node = home.start();
    for (age, from) in &ages {
        assert_eq!(answers(&node, age, *from).await, expected, "after a restart, at {from} ms");
    }
    for from in [fresh_ms, AGES_MS[2]] {
        let found = stored(&node, "old{s=\"both\"}[2h]", from + SAMPLES * STEP_MS).await;
        assert_eq!(found.len() as i64, SAMPLES, "both, at {from} ms");
    }
}

#[tokio::test]
async fn samples_beyond_the_retention_are_refused_with_that_reason_and_the_others_kept() {
    let home = Home::new("retention: {metrics: 10d}\n");
    let node = home.start();
    let now_ms = now_ns() / 1_000_000;
    let mut batch = MetricBatch::default();
    push(&mut batch, "old", now_ms - 11 * 86_400_000);
    push(&mut batch, "aged", now_ms - 9 * 86_400_000);
    push(&mut batch, "fresh", now_ms - SAMPLES * STEP_MS);
    let answer = send(&node, &batch).await;
    assert_eq!(answer.status, 400, "{}", answer.excerpt());
    let said = answer.excerpt();
    assert!(said.contains("too_old") && said.contains("older than the retention"), "{said}");
    assert!(said.contains("s=\"old\"") && said.contains(&SAMPLES.to_string()), "{said}");
    for (series, count, at_ms) in [
        ("old", "nothing", now_ms - 11 * 86_400_000 + SAMPLES * STEP_MS),
        ("aged", "240", now_ms - 9 * 86_400_000 + SAMPLES * STEP_MS),
        ("fresh", "240", now_ms),
    ] {
        let query = format!("count_over_time(old{{s=\"{series}\"}}[2h])");
        assert_eq!(result(&node, &query, at_ms).await, count, "{series}");
    }
    // And counted by that reason.
    let refused = "orrery_store_items_refused_total{signal=\"metrics\",reason=\"too_old\"} 240";
    eventually("the refusals in the node's metrics", Duration::from_secs(10), async || {
        let text = String::from_utf8(node.get("/metrics").await.body.to_vec()).ok()?;
        text.lines().any(|l| l == refused).then_some(())
    })
    .await;
}
