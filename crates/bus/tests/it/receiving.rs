use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use base::{Clock, Metrics, Shutdown};
use bus::{BATCH_HEADER, Encoding, ReceiveOptions, Subscription, TENANT_HEADER, receive};
use contract::{Append, AppendUnit, Receipt};
use krafka::{
    Kafka, Record,
    testing::{ApiKey, Control, FakeBroker},
};
use model::{Batch, BatchId, LogBatch, LogRecord, LogStream, Signal, TenantId};
use parking_lot::Mutex;

use crate::{TOPIC, connection, to_append::ToAppend, until};

/// A store: every line it holds with how often, and the ids it knows.
#[derive(Default)]
struct Keeper {
    lines: Mutex<BTreeMap<String, usize>>,
    ids: Mutex<HashSet<(TenantId, BatchId)>>,
    tenants: Mutex<HashSet<String>>,
    refuses: AtomicBool,
    asked: AtomicU64,
}

#[async_trait]
impl Append for Keeper {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        self.asked.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.refuses.load(SeqCst) {
            return Err(contract::Error::unavailable("the disk is full"));
        }
        self.tenants.lock().insert(tenant.to_string());
        if !self.ids.lock().insert((tenant.clone(), unit.batch_id.unwrap())) {
            return Ok(Receipt { duplicate: true, ..Receipt::default() });
        }
        let mut receipt = Receipt::default();
        for batch in unit.batches {
            receipt.accept(batch.signal(), batch.item_count() as u64);
            let Batch::Logs(l) = batch else { continue };
            for r in l.records {
                *self.lines.lock().entry(r.body.to_string()).or_default() += 1;
            }
        }
        Ok(receipt)
    }
}

impl Keeper {
    fn held(&self) -> usize {
        self.lines.lock().len()
    }

    fn check(&self, expected: usize) {
        let lines = self.lines.lock();
        let missing: Vec<String> =
            (0..expected).map(|n| format!("line-{n}")).filter(|l| !lines.contains_key(l)).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        assert!(lines.values().all(|n| *n == 1), "{lines:?}");
    }
}

/// A node that receives; it is killed without a word, or stopped.
struct Node {
    task: tokio::task::JoinHandle<bus::Result<()>>,
    shutdown: Shutdown,
    registry: Metrics,
}

fn options(broker: &FakeBroker, encoding: Encoding) -> ReceiveOptions {
    let topic = Subscription { topic: TOPIC.to_owned(), signal: Signal::LOGS, encoding };
    ReceiveOptions {
        topics: vec![topic],
        commit_interval: Duration::from_millis(20),
        max_poll_records: 16,
        tenant_header: true,
        ..ReceiveOptions::new(connection(broker))
    }
}

impl Node {
    fn start(options: ReceiveOptions, keeper: &Arc<Keeper>) -> Self {
        let (registry, shutdown) = (Metrics::default(), Shutdown::new());
        let intake = ToAppend { append: keeper.clone(), options: Default::default(), clock: Clock::system() };
        let (of, until) = (bus::Stats::new(&registry), shutdown.clone());
        let task =
            tokio::spawn(async move { receive(options, Arc::new(intake), of, Clock::system(), until).await });
        Node { task, shutdown, registry }
    }

    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    async fn stop(self) {
        self.shutdown.start();
        self.task.await.unwrap().unwrap();
    }

    fn says(&self, line: &str) {
        let text = self.registry.encode();
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

fn payload(line: &str, encoding: Encoding) -> Vec<u8> {
    let record = LogRecord { body: line.into(), timestamp_ns: 5, ..LogRecord::default() };
    let batch = LogBatch { streams: vec![LogStream::default()], records: vec![record] };
    match encoding {
        Encoding::Json => wire::otlp::logs::encode_json(&batch),
        Encoding::Protobuf => {
            use proto::Message;
            wire::otlp::logs::encode(&batch).encode_to_vec()
        }
    }
}

/// Lines from `from`, over the partitions in turn.
async fn produce(broker: &FakeBroker, from: usize, n: usize, encoding: Encoding) {
    let kafka = Kafka::builder(broker.bootstrap_servers()).connect().await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    for i in from..from + n {
        let record = Record::new(TOPIC, payload(&format!("line-{i}"), encoding)).partition((i % 3) as i32);
        let _ = producer.send(record).await.unwrap();
    }
    producer.close().await.unwrap();
}

async fn broker() -> FakeBroker {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic(TOPIC, 3);
    broker
}

fn committed(broker: &FakeBroker) -> i64 {
    (0..3).map(|p| broker.committed_offset("orrery", TOPIC, p).unwrap_or(0)).sum()
}

#[tokio::test]
async fn records_in_both_encodings_are_durable_before_they_are_committed() {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let broker = broker().await;
        produce(&broker, 0, 30, encoding).await;
        let keeper = Arc::new(Keeper::default());
        keeper.refuses.store(true, SeqCst);
        let node = Node::start(options(&broker, encoding), &keeper);
        until("the store is asked", || keeper.asked.load(SeqCst) > 20).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(committed(&broker), 0, "nothing is durable yet");
        keeper.refuses.store(false, SeqCst);
        until("all is committed", || committed(&broker) == 30).await;
        keeper.check(30);
        until("there is no lag", || {
            (0..3).all(|p| {
                let line = format!("orrery_kafka_lag_records{{topic=\"{TOPIC}\",partition=\"{p}\"}} 0");
                node.registry.encode().contains(&line)
            })
        })
        .await;
        node.says("orrery_kafka_received_records_total{topic=\"otlp_logs\",outcome=\"stored\"} 30");
        node.says("orrery_kafka_received_items_total{topic=\"otlp_logs\",outcome=\"accepted\"} 30");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_broker_killed_while_receiving_makes_no_gap_and_no_double() {
    let broker = broker().await;
    let keeper = Arc::new(Keeper::default());
    let node = Node::start(options(&broker, Encoding::Protobuf), &keeper);
    for round in 0..4 {
        produce(&broker, round * 60, 60, Encoding::Protobuf).await;
        until("some of it is there", || keeper.held() > round * 60 + 10).await;
        broker.crash(0);
        tokio::time::sleep(Duration::from_millis(50)).await;
        broker.restart(0);
    }
    until("all is there", || keeper.held() == 240).await;
    until("all is committed", || committed(&broker) == 240).await;
    keeper.check(240);
    node.stop().await;
}

#[tokio::test]
async fn a_node_killed_while_receiving_takes_nothing_twice() {
    let broker = broker().await;
    let keeper = Arc::new(Keeper::default());
    produce(&broker, 0, 120, Encoding::Protobuf).await;
    for life in 1..=3 {
        // What is durable is never committed in these lives.
        broker.on(ApiKey::OffsetCommit, |_| Control::Disconnect);
        let patient = ReceiveOptions {
            session_timeout: Duration::from_secs(6),
            ..options(&broker, Encoding::Protobuf)
        };
        let node = Node::start(patient, &keeper);
        let enough = life * 25;
        let asked = keeper.asked.load(SeqCst);
        until("it takes records", || keeper.asked.load(SeqCst) >= asked + 20 && keeper.held() >= enough)
            .await;
        node.kill().await;
        broker.clear_hooks();
    }
    assert_eq!(committed(&broker), 0);
    let node = Node::start(options(&broker, Encoding::Protobuf), &keeper);
    until("all is committed", || committed(&broker) == 120).await;
    keeper.check(120);
    let text = node.registry.encode();
    assert!(text.contains("outcome=\"duplicate\""), "{text}");
    node.stop().await;
}

#[tokio::test]
async fn malformed_records_are_counted_and_passed_over() {
    let broker = broker().await;
    let kafka = Kafka::builder(broker.bootstrap_servers()).connect().await.unwrap();
    let producer = kafka.producer().build().await.unwrap();
    let good = |line: &str| Record::new(TOPIC, payload(line, Encoding::Protobuf)).partition(0);
    let all = [
        good("line-0").header(TENANT_HEADER, "team-a"),
        Record::new(TOPIC, vec![0xff, 0xff, 0xff]).partition(0),
        Record::tombstone(TOPIC, "key").partition(0),
        good("line-1").header(TENANT_HEADER, "no/tenant"),
        good("line-1").header(BATCH_HEADER, "7-3-9/0/a"),
        good("line-1").header(BATCH_HEADER, "7-3-9/0/a"),
    ];
    for record in all {
        let _ = producer.send(record).await.unwrap();
    }
    let keeper = Arc::new(Keeper::default());
    let node = Node::start(options(&broker, Encoding::Protobuf), &keeper);
    until("all is committed", || committed(&broker) == 6).await;
    keeper.check(2);
    assert_eq!(*keeper.tenants.lock(), HashSet::from(["team-a".to_owned(), "default".to_owned()]));
    node.says("orrery_kafka_received_records_total{topic=\"otlp_logs\",outcome=\"malformed\"} 3");
    node.says("orrery_kafka_received_records_total{topic=\"otlp_logs\",outcome=\"duplicate\"} 1");
    node.stop().await;
}

#[tokio::test]
async fn a_store_that_refuses_for_long_costs_neither_the_group_nor_a_record() {
    let broker = broker().await;
    produce(&broker, 0, 40, Encoding::Protobuf).await;
    let keeper = Arc::new(Keeper::default());
    keeper.refuses.store(true, SeqCst);
    let node = Node::start(options(&broker, Encoding::Protobuf), &keeper);
    // Longer than a batch is waited for without a word to the group.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    produce(&broker, 40, 40, Encoding::Protobuf).await;
    keeper.refuses.store(false, SeqCst);
    until("all is committed", || committed(&broker) == 80).await;
    keeper.check(80);
    node.stop().await;
}

#[tokio::test]
async fn nodes_of_a_group_share_the_partitions_and_take_over_from_one_that_leaves() {
    let broker = broker().await;
    let (keeper, all) = (Arc::new(Keeper::default()), |n: usize| n as i64);
    let of_group =
        || ReceiveOptions { session_timeout: Duration::from_secs(6), ..options(&broker, Encoding::Protobuf) };
    let first = Node::start(of_group(), &keeper);
    produce(&broker, 0, 60, Encoding::Protobuf).await;
    until("the first has all", || committed(&broker) == all(60)).await;
    let second = Node::start(of_group(), &keeper);
    let is_shared = |node: &Node| {
        let text = node.registry.encode();
        text.lines().any(|l| l.starts_with("orrery_kafka_committed_offset{"))
    };
    let mut made = 60;
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while !(is_shared(&first) && is_shared(&second)) {
            produce(&broker, made, 12, Encoding::Protobuf).await;
            made += 12;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    patience.await.unwrap();
    first.stop().await;
    produce(&broker, made, 30, Encoding::Protobuf).await;
    made += 30;
    until("the second has all", || committed(&broker) == all(made)).await;
    keeper.check(made);
    second.stop().await;
}
