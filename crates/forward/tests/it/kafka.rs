use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use base::{Clock, Metrics};
use bus::{BATCH_HEADER, Connection, Encoding};
use contract::{Append, AppendUnit, fake::Fake};
use disklog::RealDisk;
use forward::{
    Destination, Forwarder, Forwarding, Limits, Outcome, QueueOptions, Selection, Target,
    destination::kafka::{Kafka, KafkaOptions},
};
use krafka::testing::{ApiKey, Control, FakeBroker};
use model::{Batch, Labels, LogBatch, LogRecord, LogStream, Span, SpanBatch, TenantId, span::SpanOrigin};
use wire::otlp::Options;

use crate::server::{delivery, logs, metrics};

async fn broker() -> FakeBroker {
    let broker = FakeBroker::start().await.unwrap();
    for topic in ["otlp_metrics", "otlp_logs", "otlp_spans"] {
        broker.create_topic(topic, 4);
    }
    broker
}

fn options(broker: &FakeBroker) -> KafkaOptions {
    let connection = Connection {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
        ..Connection::new(broker.bootstrap_servers().split(','))
    };
    let mut o = KafkaOptions::new(connection);
    o.send.timeout = Duration::from_secs(5);
    o
}

/// Every line in the topic with how often.
fn lines(broker: &FakeBroker, encoding: Encoding) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for record in broker.all_records("otlp_logs").unwrap() {
        let payload = record.value.unwrap();
        let decoded = match encoding {
            Encoding::Protobuf => wire::otlp::logs::decode_protobuf(&payload, 0, &Options::default()),
            Encoding::Json => wire::otlp::logs::decode_json(&payload, 0, &Options::default()),
        };
        for r in decoded.unwrap().batch.records {
            *all.entry(r.body.to_string()).or_default() += 1;
        }
    }
    all
}

#[tokio::test]
async fn kafka_gets_every_signal_in_both_encodings_and_a_trace_keeps_its_partition() {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let broker = broker().await;
        let kafka = Kafka::new("bus", KafkaOptions { encoding, ..options(&broker) }).unwrap();
        let span = |i: u8| Span { trace_id: [i % 7 + 1; 16], span_id: [i + 1; 8], ..Span::default() };
        let spans = SpanBatch { origins: vec![SpanOrigin::default()], spans: (0..70).map(span).collect() };
        for batch in [metrics(&[1.0, 2.0]), logs(&["a", "b"]), Batch::Spans(spans)] {
            assert_eq!(kafka.send(0, &delivery(batch)).await, Outcome::acknowledged());
        }
        assert_eq!(lines(&broker, encoding).into_keys().collect::<Vec<_>>(), ["a", "b"]);
        let mut partitions: HashMap<[u8; 16], i32> = HashMap::new();
        let records = broker.all_records("otlp_spans").unwrap();
        assert!(records.len() <= 4, "one record for each partition");
        for record in records {
            assert!(record.header_str(BATCH_HEADER).unwrap().starts_with("0000000000000007-3-9/"));
            let payload = record.value.unwrap();
            let decoded = match encoding {
                Encoding::Protobuf => wire::otlp::traces::decode_protobuf(&payload, &Options::default()),
                Encoding::Json => wire::otlp::traces::decode_json(&payload, &Options::default()),
            };
            for s in decoded.unwrap().batch.spans {
                assert_eq!(*partitions.entry(s.trace_id).or_insert(record.partition), record.partition);
            }
        }
        assert_eq!(partitions.len(), 7);
        let payloads = broker.all_records("otlp_metrics").unwrap();
        let points = |payload: &[u8]| match encoding {
            Encoding::Protobuf => wire::otlp::metrics::decode_protobuf(payload, 0, &Options::default(), None),
            Encoding::Json => wire::otlp::metrics::decode_json(payload, 0, &Options::default(), None),
        };
        let values =
            payloads.iter().flat_map(|r| points(r.value.as_ref().unwrap()).unwrap().batch.samples.value);
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [1.0, 2.0]);
    }
}

#[tokio::test]
async fn what_went_out_through_a_queue_while_brokers_died_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker().await;
    let limits = Limits {
        max_batch_items: 16,
        min_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut o = options(&broker);
    o.send.timeout = Duration::from_millis(300);
    let target = Target {
        name: "bus".to_owned(),
        selection: Selection::default(),
        limits,
        destination: Arc::new(Kafka::new("bus", o).unwrap()),
    };
    let queue = QueueOptions::new(dir.path().join("forward"));
    let registry = Metrics::default();
    let f =
        Forwarder::open(queue, vec![target], Arc::new(RealDisk), &registry, Clock::system()).await.unwrap();
    let node = Forwarding { append: Arc::new(Fake::new()), forwarder: f.clone() };
    for i in 0..40u64 {
        let stream = |s: u64| LogStream {
            labels: Labels::from_pairs([("s", s.to_string().as_str())]),
            ..LogStream::default()
        };
        let record = |n: u64| LogRecord {
            stream: (n % 5) as u32,
            body: format!("line-{}", i * 10 + n).into(),
            timestamp_ns: 1,
            ..LogRecord::default()
        };
        let batch =
            LogBatch { streams: (0..5).map(stream).collect(), records: (0..10).map(record).collect() };
        let unit = AppendUnit { batch_id: None, received_ns: 1, batches: vec![Batch::Logs(batch)] };
        node.append(&TenantId::default(), unit).await.unwrap();
        match i % 8 {
            3 => broker.crash(0),
            5 => broker.restart(0),
            6 => broker.on_once(ApiKey::Produce, |_| Control::ApplyThen(Box::new(Control::Disconnect))),
            _ => {}
        }
    }
    broker.restart(0);
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while f.accounts().iter().any(|a| a.pending > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    patience.await.unwrap();
    let a = f.accounts().remove(0);
    assert!(a.adds_up() && a.acknowledged == 400, "{a:?}");
    let lines = lines(&broker, Encoding::Protobuf);
    assert_eq!(lines.len(), 400);
    assert!(lines.values().all(|n| *n == 1), "{lines:?}");
    f.close(Duration::from_secs(10)).await;
}

#[test]
fn settings_of_the_bus_that_cannot_work_name_the_destination() {
    let e = Kafka::new("bus", KafkaOptions::new(Connection::new(["nowhere"]))).err().unwrap();
    assert_eq!(e.to_string(), "brokers of destination bus is \"nowhere\", wanted is host:port");
}
