use std::time::Duration;

use bus::{BATCH_HEADER, Connection, Message, Producer, Sasl, SendOptions, Sent, TENANT_HEADER};
use krafka::{
    error::ErrorCode,
    testing::{ApiKey, Control, FakeBroker},
};
use model::TenantId;
use net::Secret;

use crate::{TOPIC, connection, payloads};

fn message(n: usize) -> Message {
    Message {
        topic: TOPIC.to_owned(),
        partition: (n % 3) as i32,
        payload: format!("payload-{n}").into(),
        tenant: TenantId::new("team-a").unwrap(),
        batch: format!("batch-{n}"),
    }
}

fn options() -> SendOptions {
    SendOptions { timeout: Duration::from_millis(500), ..SendOptions::default() }
}

async fn broker() -> FakeBroker {
    let broker = FakeBroker::start().await.unwrap();
    broker.create_topic(TOPIC, 3);
    broker
}

/// Asks again until it is known.
async fn written(producer: &Producer, number: u128, messages: &[Message]) {
    for _ in 0..200 {
        let sent = producer.send(1, number, messages).await;
        if sent.iter().all(|s| *s == Sent::Written) {
            return;
        }
        assert!(sent.iter().all(|s| !matches!(s, Sent::Refused { .. })), "{sent:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("request {number} was never written");
}

#[tokio::test]
async fn a_record_names_its_batch_and_tenant_and_keeps_its_partition() {
    let broker = broker().await;
    let producer = Producer::new(connection(&broker), options()).unwrap();
    assert_eq!(producer.partitions(TOPIC).await.unwrap(), 3);
    written(&producer, 1, &[message(0), message(1), message(2)]).await;
    let records = broker.all_records(TOPIC).unwrap();
    let mut seen: Vec<(i32, &str, &str, &str)> = records
        .iter()
        .map(|r| {
            let header = |name| r.header_str(name).unwrap();
            (r.partition, r.value_str().unwrap(), header(BATCH_HEADER), header(TENANT_HEADER))
        })
        .collect();
    seen.sort();
    let expected = [
        (0, "payload-0", "batch-0", "team-a"),
        (1, "payload-1", "batch-1", "team-a"),
        (2, "payload-2", "batch-2", "team-a"),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_broker_killed_again_and_again_makes_no_gap_and_no_double() {
    let broker = broker().await;
    let producer = Producer::new(connection(&broker), options()).unwrap();
    for number in 0..60 {
        let first = number * 4;
        let messages: Vec<Message> = (first..first + 4).map(message).collect();
        match number % 10 {
            // In the middle: what it has may or may not be written by then.
            3 => {
                let (_, ()) = tokio::join!(producer.send(1, number as u128, &messages), async {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    broker.crash(0);
                });
                broker.restart(0);
            }
            // Written, and the answer lost.
            6 => broker.on_once(ApiKey::Produce, |_| Control::ApplyThen(Box::new(Control::Disconnect))),
            8 => {
                broker.on_once(ApiKey::Produce, |_| Control::Error(ErrorCode::NotLeaderForPartition));
            }
            _ => {}
        }
        written(&producer, number as u128, &messages).await;
    }
    let all = payloads(&broker);
    assert_eq!(all.len(), 240);
    assert!(all.values().all(|n| *n == 1), "{all:?}");
}

#[tokio::test]
async fn a_call_that_was_dropped_is_waited_on_and_not_sent_twice() {
    let broker = broker().await;
    let producer = Producer::new(connection(&broker), options()).unwrap();
    producer.partitions(TOPIC).await.unwrap();
    broker.on_once(ApiKey::Produce, |_| Control::Delay(Duration::from_millis(300)));
    let messages = [message(0)];
    let dropped = tokio::time::timeout(Duration::from_millis(100), producer.send(1, 7, &messages)).await;
    assert!(dropped.is_err(), "it waits for the broker");
    written(&producer, 7, &messages).await;
    assert_eq!(payloads(&broker).into_iter().collect::<Vec<_>>(), [("payload-0".to_owned(), 1)]);
}

#[tokio::test]
async fn what_a_broker_never_takes_is_refused_and_nobody_there_is_unknown() {
    let broker = broker().await;
    let producer = Producer::new(connection(&broker), options()).unwrap();
    producer.partitions(TOPIC).await.unwrap();
    broker.on_once(ApiKey::Produce, |_| Control::Error(ErrorCode::MessageTooLarge));
    let sent = producer.send(1, 1, &[message(0)]).await;
    assert!(matches!(&sent[..], [Sent::Refused { reason: "message_too_large", .. }]), "{sent:?}");
    let nobody =
        Connection { connect_timeout: Duration::from_millis(200), ..Connection::new(["127.0.0.1:1"]) };
    let producer = Producer::new(nobody, options()).unwrap();
    assert!(producer.partitions(TOPIC).await.is_err());
    assert!(matches!(&producer.send(1, 1, &[message(0)]).await[..], [Sent::Unknown { .. }]));
}

#[tokio::test]
async fn a_broker_that_asks_for_a_password_gets_it() {
    let broker = broker().await;
    broker.require_sasl_plain("orrery", "s3cret");
    let with = |password: &str| Connection {
        sasl: Some(Sasl::Plain {
            username: "orrery".to_owned(),
            password: Secret::Inline(password.to_owned()),
            insecure: true,
        }),
        ..connection(&broker)
    };
    let wrong = Producer::new(with("guessed"), options()).unwrap();
    let e = wrong.partitions(TOPIC).await.unwrap_err();
    assert!(!e.to_string().contains("guessed"), "{e}");
    let right = Producer::new(with("s3cret"), options()).unwrap();
    written(&right, 1, &[message(0)]).await;
    assert_eq!(payloads(&broker).len(), 1);
}
