//! Edge to hub by a bus: the edge sends to topics, the hub takes from them; brokers and both nodes are killed in between.

use std::time::Duration;

use krafka::testing::FakeBroker;

use super::{adds_up, drained, exactly_once, metric, senders, sending};
use crate::node::{Home, eventually};

const PAUSE: Duration = Duration::from_millis(700);
const TOPICS: [&str; 3] = ["otlp_metrics", "otlp_logs", "otlp_spans"];
const PARTITIONS: i32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_by_a_bus_arrives_once_though_brokers_and_both_nodes_are_killed() {
    let broker = FakeBroker::start().await.unwrap();
    TOPICS.iter().for_each(|topic| _ = broker.create_topic(topic, PARTITIONS));
    let brokers: Vec<String> = broker.bootstrap_servers().split(',').map(|b| format!("'{b}'")).collect();
    let brokers = brokers.join(", ");
    let hub_home = Home::new(&format!(
        "cluster: hub-01\nreceive:\n  kafka:\n    - {{brokers: [{brokers}], session_timeout: 6s, commit_interval: 200ms}}\n"
    ));
    let edge_home = Home::new(&format!(
        "cluster: edge-01\nforward:\n  - {{name: bus, to: kafka, brokers: [{brokers}]}}\n"
    ));
    let mut all = senders(2, "b");
    let mut hub = Some(hub_home.start());
    let mut edge = Some(edge_home.start());
    for round in 0..4 {
        let node = edge.take().unwrap();
        let http = node.http.clone();
        sending(&mut all, &http, async {
            tokio::time::sleep(PAUSE).await;
            match round {
                0 => hub.take().unwrap().kill(),
                1 | 3 => broker.crash(0),
                _ => {}
            }
            tokio::time::sleep(PAUSE).await;
            match round {
                2 | 3 => node.kill(),
                _ => edge = Some(node),
            }
            if matches!(round, 1 | 3) {
                broker.restart(0);
            }
        })
        .await;
        hub = Some(hub.take().unwrap_or_else(|| hub_home.start()));
        edge = Some(edge.take().unwrap_or_else(|| edge_home.start()));
    }
    let (edge, hub) = (edge.unwrap(), hub.unwrap());
    // What died with a node is sent again.
    let http = edge.http.clone();
    sending(&mut all, &http, tokio::time::sleep(PAUSE)).await;

    for lane in drained(&edge, |_| true).await {
        adds_up(&lane);
    }
    eventually("the hub has taken all", Duration::from_secs(60), async || {
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                let (topic, partition) = (format!("topic=\"{topic}\""), format!("partition=\"{partition}\""));
                let lag = metric(&hub, "orrery_kafka_lag_records", &[&topic, &partition]).await;
                if lag.is_some_and(|n| n != 0.0) {
                    return None;
                }
            }
        }
        let at_end = TOPICS.iter().all(|topic| {
            let end = broker.all_records(topic).map_or(0, |all| all.len() as i64);
            let committed = |p| broker.committed_offset("orrery", topic, p).unwrap_or(0);
            (0..PARTITIONS).map(committed).sum::<i64>() >= end
        });
        at_end.then_some(())
    })
    .await;
    exactly_once(&all, &edge, "edge").await;
    exactly_once(&all, &hub, "hub").await;
    let malformed = metric(&hub, "orrery_kafka_received_records_total", &["outcome=\"malformed\""]).await;
    assert_eq!(malformed, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_from_other_topics_and_leaves_the_rest_alone() {
    let broker = FakeBroker::start().await.unwrap();
    TOPICS.iter().for_each(|topic| _ = broker.create_topic(topic, 1));
    let at = broker.bootstrap_servers();
    let receiving = |topic: &str| {
        format!(
            "receive:\n  kafka:\n    - {{brokers: ['{at}'], commit_interval: 50ms, session_timeout: 6s, topics: [{{topic: {topic}, signal: logs}}]}}\n"
        )
    };
    let home = Home::new(&receiving("otlp_logs"));
    let node = home.start();
    let line = |n: usize| {
        format!(
            "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"timeUnixNano\":\"{}\",\"body\":{{\"stringValue\":\"line {n}\"}}}}]}}]}}]}}",
            crate::lifecycle::now_ns()
        )
    };
    let kafka = krafka::Kafka::builder(at.as_str()).connect().await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let _ = producer.send(krafka::Record::new("otlp_logs", vec![0xff, 0xff])).await.unwrap();
    eventually("a record that is none is counted", Duration::from_secs(30), async || {
        metric(&node, "orrery_kafka_received_records_total", &["outcome=\"malformed\""]).await
    })
    .await;

    let bad = receiving("otlp_spans").replace("signal: logs", "signal: events");
    home.write_config(&format!("{}{bad}", crate::node::QUIET));
    let refused = node.post("/-/reload", "text/plain", "").await;
    assert!(!refused.status.is_success(), "{}", refused.excerpt());
    assert!(refused.excerpt().contains("receive.kafka"), "{}", refused.excerpt());

    let good = receiving("otlp_spans").replace("signal: logs", "signal: logs, encoding: otlp_json");
    home.write_config(&format!("{}{good}", crate::node::QUIET));
    let taken = node.post("/-/reload", "text/plain", "").await;
    assert!(taken.status.is_success(), "{}", taken.excerpt());
    let _ = producer.send(krafka::Record::new("otlp_spans", line(1))).await.unwrap();
    eventually("the other topic is taken from", Duration::from_secs(30), async || {
        let topic = "topic=\"otlp_spans\"";
        let accepted =
            metric(&node, "orrery_kafka_received_items_total", &[topic, "outcome=\"accepted\""]).await;
        (accepted == Some(1.0)).then_some(())
    })
    .await;
    producer.close().await.unwrap();
}
