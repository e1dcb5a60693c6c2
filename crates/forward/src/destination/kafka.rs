//! Kafka and Redpanda: OTLP payloads as the Collector's exporter writes them, acknowledged once all replicas in sync have
//! them.
//!
//! A series, a stream and a trace keep to a partition, by the hash that Kafka's own clients have of a key: of a trace its id
//! in hexadecimal digits, as the Collector keys spans, of a series and a stream the hash of the labels. All that goes to
//! one partition is one record, or as many as its size asks for. Each names its batch, so that another node that takes it
//! knows it again though it stands in the topic twice: a broker drops what a retry doubles, but not what a node sends
//! again that died before it heard of the first time.

use async_trait::async_trait;
use bus::{Connection, Encoding, Message, Producer, SendOptions, Sent};
use bytes::Bytes;
use model::{Batch, BatchId, LogBatch, MetricBatch, Signal, SpanBatch};
use proto::Message as _;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{Delivery, Destination, Outcome, batch_text, json::hex};
use crate::{
    Error, Result,
    ledger::Reasons,
    pieces::halves,
    selection::{retain_logs, retain_metrics, retain_spans},
};

/// Where payloads go and how they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaOptions {
    pub connection: Connection,
    pub send: SendOptions,
    pub metrics_topic: String,
    pub logs_topic: String,
    pub traces_topic: String,
    pub encoding: Encoding,
}

impl KafkaOptions {
    /// The topics of the Collector's exporter, in protobuf.
    pub fn new(connection: Connection) -> Self {
        let topic = |s: Signal| bus::default_topic(&s).to_owned();
        KafkaOptions {
            connection,
            send: SendOptions::default(),
            metrics_topic: topic(Signal::METRICS),
            logs_topic: topic(Signal::LOGS),
            traces_topic: topic(Signal::TRACES),
            encoding: Encoding::default(),
        }
    }
}

pub struct Kafka {
    producer: Producer,
    options: KafkaOptions,
}

impl Kafka {
    /// Nobody is asked before something is sent.
    ///
    /// # Errors
    /// Brokers, credentials or topics that can never work.
    pub fn new(name: &str, options: KafkaOptions) -> Result<Self> {
        let setting = |setting, value: String, wanted| Error::Setting {
            destination: name.to_owned(),
            name: setting,
            value,
            wanted,
        };
        if [&options.metrics_topic, &options.logs_topic, &options.traces_topic].iter().any(|t| t.is_empty()) {
            return Err(setting("topic", String::new(), "a name"));
        }
        let producer =
            Producer::new(options.connection.clone(), options.send.clone()).map_err(|e| match e {
                bus::Error::Setting { name, value, wanted } => setting(name, value, wanted),
                other => setting("brokers", other.to_string(), "brokers that can be connected to"),
            })?;
        Ok(Kafka { producer, options })
    }

    fn topic(&self, batch: &Batch) -> Option<&str> {
        Some(match batch {
            Batch::Metrics(_) => &self.options.metrics_topic,
            Batch::Logs(_) => &self.options.logs_topic,
            Batch::Spans(_) => &self.options.traces_topic,
            _ => return None,
        })
    }

    /// The records of a delivery with the items of each.
    fn records(&self, delivery: &Delivery, topic: &str, partitions: usize) -> Vec<(Message, u64)> {
        let mut out = Vec::new();
        for (partition, batch) in by_partition(&delivery.batch, partitions) {
            let mut payloads = Vec::new();
            payloads_of(&batch, &self.options, &mut payloads);
            for (payload, items) in payloads {
                let hash = xxh3_64(&payload);
                let message = Message {
                    topic: topic.to_owned(),
                    partition,
                    payload,
                    tenant: delivery.tenant.clone(),
                    batch: format!("{}/{}/{hash:x}", batch_text(delivery.id), out.len()),
                };
                out.push((message, items));
            }
        }
        out
    }
}

/// The payloads of a batch, none larger than records may be unless it is of a single item.
fn payloads_of(batch: &Batch, o: &KafkaOptions, out: &mut Vec<(Bytes, u64)>) {
    let items = batch.item_count() as u64;
    let payload = payload(batch, o.encoding);
    if payload.len() <= o.send.max_record_bytes || items <= 1 {
        out.push((payload, items));
        return;
    }
    let (first, second) = halves(batch);
    payloads_of(&first, o, out);
    payloads_of(&second, o, out);
}

fn payload(batch: &Batch, encoding: Encoding) -> Bytes {
    use wire::otlp::{logs, metrics, traces};
    let bytes = match (batch, encoding) {
        (Batch::Metrics(m), Encoding::Protobuf) => metrics::encode(m).encode_to_vec(),
        (Batch::Metrics(m), Encoding::Json) => metrics::encode_json(m),
        (Batch::Logs(l), Encoding::Protobuf) => logs::encode(l).encode_to_vec(),
        (Batch::Logs(l), Encoding::Json) => logs::encode_json(l),
        (Batch::Spans(s), Encoding::Protobuf) => traces::encode_bytes(s),
        (Batch::Spans(s), Encoding::Json) => traces::encode_json(s),
        _ => Vec::new(),
    };
    bytes.into()
}

/// The items of each partition that has some, in order of the partitions.
fn by_partition(batch: &Batch, partitions: usize) -> Vec<(i32, Batch)> {
    let of: Vec<i32> = match batch {
        Batch::Metrics(m) => of_series(m, partitions),
        Batch::Logs(l) => of_streams(l, partitions),
        Batch::Spans(s) => of_traces(s, partitions),
        _ => return Vec::new(),
    };
    let mut used = of.clone();
    used.sort_unstable();
    used.dedup();
    let part = |partition: i32| {
        let keep = |i: usize| of.get(i) == Some(&partition);
        match batch {
            Batch::Metrics(m) => Batch::Metrics(retain_metrics(m, keep)),
            Batch::Logs(l) => Batch::Logs(retain_logs(l, |i, _| keep(i))),
            Batch::Spans(s) => Batch::Spans(retain_spans(s, |i, _| keep(i))),
            other => other.clone(),
        }
    };
    used.into_iter().map(|partition| (partition, part(partition))).collect()
}

fn of_series(m: &MetricBatch, partitions: usize) -> Vec<i32> {
    let place = |l: &model::Labels| bus::send::partition_of(&l.stable_hash().to_be_bytes(), partitions);
    let places: Vec<i32> = m.series.iter().map(place).collect();
    let series = m.samples.series.iter().copied().chain(m.histograms.iter().map(|h| h.series));
    series.map(|s| places.get(s as usize).copied().unwrap_or(0)).collect()
}

fn of_streams(l: &LogBatch, partitions: usize) -> Vec<i32> {
    let place = |l: &model::Labels| bus::send::partition_of(&l.stable_hash().to_be_bytes(), partitions);
    let places: Vec<i32> = l.streams.iter().map(|s| place(&s.labels)).collect();
    l.records.iter().map(|r| places.get(r.stream as usize).copied().unwrap_or(0)).collect()
}

fn of_traces(s: &SpanBatch, partitions: usize) -> Vec<i32> {
    s.spans.iter().map(|s| bus::send::partition_of(hex(&s.trace_id).as_bytes(), partitions)).collect()
}

#[async_trait]
impl Destination for Kafka {
    fn takes(&self, signal: &Signal) -> bool {
        Signal::KNOWN.contains(signal)
    }

    /// Which broker is asked is the client's.
    fn addresses(&self) -> usize {
        1
    }

    async fn send(&self, _: usize, delivery: &Delivery) -> Outcome {
        let Some(topic) = self.topic(&delivery.batch) else {
            return Outcome::refused("unsupported", "OTLP has no such signal");
        };
        let partitions = match self.producer.partitions(topic).await {
            Ok(n) => n,
            Err(e) => return Outcome::down(e.to_string()),
        };
        let (messages, items): (Vec<Message>, Vec<u64>) =
            self.records(delivery, topic, partitions).into_iter().unzip();
        delivery.meter.sent(messages.iter().map(|m| m.payload.len()).sum());
        let (sender, number) = ticket(delivery, partitions);
        let sent = self.producer.send(sender, number, &messages).await;
        let (mut refused, mut why) = (Reasons::new(), String::new());
        for (sent, items) in sent.into_iter().zip(items) {
            match sent {
                Sent::Written => {}
                Sent::Refused { reason, detail } => {
                    *refused.entry(reason.to_owned()).or_default() += items;
                    why = detail;
                }
                // What of it is known is not sent again.
                Sent::Unknown { detail } => return Outcome::down(detail),
            }
        }
        Outcome::Answered { refused, again: Vec::new(), detail: why }
    }
}

/// Under which a delivery is asked for again: who sends, and what.
fn ticket(delivery: &Delivery, partitions: usize) -> (u64, u128) {
    let sender = match delivery.id {
        BatchId::Numbered { source, .. } => source,
        BatchId::Content(_) => 0,
    };
    let mut hash = Xxh3::new();
    hash.update(batch_text(delivery.id).as_bytes());
    hash.update(&(partitions as u64).to_le_bytes());
    delivery.positions.iter().for_each(|p| hash.update(&p.to_le_bytes()));
    (sender, hash.digest128())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use model::{Labels, LogRecord, LogStream, Span, span::SpanOrigin};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn traces_and_streams_keep_whole_to_a_partition(
            items in prop::collection::vec((0u8..20, 0u8..9), 1..80),
            partitions in 1usize..9,
        ) {
            let span = |(t, n): &(u8, u8)| Span { trace_id: [*t; 16], span_id: [*n + 1; 8], ..Span::default() };
            let spans = items.iter().map(span).collect();
            let batch = Batch::Spans(SpanBatch { origins: vec![SpanOrigin::default()], spans });
            let stream = |s: u8| LogStream {
                labels: Labels::from_pairs([("s", s.to_string().as_str())]),
                ..LogStream::default()
            };
            let record = |(s, _): &(u8, u8)| LogRecord { stream: u32::from(*s), ..LogRecord::default() };
            let logs = Batch::Logs(LogBatch {
                streams: (0..20).map(stream).collect(),
                records: items.iter().map(record).collect(),
            });
            for batch in [batch, logs] {
                let mut seen: HashMap<String, i32> = HashMap::new();
                let parts = by_partition(&batch, partitions);
                prop_assert_eq!(parts.iter().map(|(_, b)| b.item_count()).sum::<usize>(), items.len());
                for (partition, part) in parts {
                    prop_assert!((0..partitions as i32).contains(&partition));
                    let keys: Vec<String> = match &part {
                        Batch::Spans(s) => s.spans.iter().map(|s| hex(&s.trace_id)).collect(),
                        Batch::Logs(l) => {
                            l.records.iter().map(|r| l.streams[r.stream as usize].labels.to_string()).collect()
                        }
                        _ => Vec::new(),
                    };
                    for key in keys {
                        prop_assert_eq!(*seen.entry(key).or_insert(partition), partition);
                    }
                }
            }
        }
    }

    #[test]
    fn a_payload_too_large_for_a_record_becomes_several() {
        let record = |i: usize| LogRecord { body: "x".repeat(i * 10).into(), ..LogRecord::default() };
        let batch = LogBatch { streams: vec![LogStream::default()], records: (0..20).map(record).collect() };
        let mut o = KafkaOptions::new(Connection::new(["a:1"]));
        o.send.max_record_bytes = 500;
        let mut out = Vec::new();
        payloads_of(&Batch::Logs(batch), &o, &mut out);
        assert!(out.len() > 4 && out.iter().all(|(p, items)| p.len() <= 500 || *items == 1));
        assert_eq!(out.iter().map(|(_, items)| items).sum::<u64>(), 20);
    }
}
