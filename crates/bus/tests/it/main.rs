//! Against the client's own broker, which speaks the protocol, keeps sequence numbers of producers and offsets of groups,
//! and is crashed.

#![allow(clippy::unwrap_used)]

mod receiving;
mod sending;
mod to_append;

use std::{collections::BTreeMap, time::Duration};

use krafka::testing::FakeBroker;

const TOPIC: &str = "otlp_logs";

async fn until(what: &str, so: impl Fn() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(patience.await.is_ok(), "waited in vain: {what}");
}

fn connection(broker: &FakeBroker) -> bus::Connection {
    bus::Connection {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
        ..bus::Connection::new(broker.bootstrap_servers().split(','))
    }
}

/// Every payload in the topic with how often.
fn payloads(broker: &FakeBroker) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for record in broker.all_records(TOPIC).unwrap() {
        *all.entry(record.value_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    all
}
