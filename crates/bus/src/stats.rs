//! What is counted of records taken.

use base::{
    Metrics,
    metrics::{Counters, Gauges, Pairs},
};

/// Counts of a node, whatever it takes from. Registered once.
#[derive(Clone)]
pub struct Stats {
    records: Counters,
    items: Counters,
    bytes: Counters,
    skipped: Counters,
    lag: Gauges,
    offset: Gauges,
}

impl Stats {
    pub fn new(m: &Metrics) -> Self {
        Stats {
            records: m.counters(
                "kafka_received_records",
                "Records taken, by topic and outcome: stored, duplicate, malformed, later (tried again).",
            ),
            items: m.counters(
                "kafka_received_items",
                "Samples, log records and spans of records taken, by topic and outcome: accepted, refused.",
            ),
            bytes: m.counters("kafka_received_bytes", "Bytes of the payloads of records taken, by topic."),
            skipped: m.counters(
                "kafka_skipped_offsets",
                "Offsets that held no record when their turn came: control records, compacted ones, and those that expired \
                 before they were taken, by topic.",
            ),
            lag: m.gauges(
                "kafka_lag_records",
                "Records of a partition that are not yet committed, by topic and partition.",
            ),
            offset: m.gauges(
                "kafka_committed_offset",
                "Offset up to which records are durable here and committed, by topic and partition.",
            ),
        }
    }

    pub(crate) fn record(&self, topic: &str, outcome: &'static str) {
        self.records.get_or_create(&of(topic, outcome)).inc();
    }

    pub(crate) fn taken(&self, topic: &str, bytes: usize, accepted: u64, refused: u64) {
        self.bytes.get_or_create(&vec![("topic", topic.to_owned())]).inc_by(bytes as u64);
        self.items.get_or_create(&of(topic, "accepted")).inc_by(accepted);
        self.items.get_or_create(&of(topic, "refused")).inc_by(refused);
    }

    pub(crate) fn skipped(&self, topic: &str, offsets: u64) {
        self.skipped.get_or_create(&vec![("topic", topic.to_owned())]).inc_by(offsets);
    }

    pub(crate) fn committed(&self, topic: &str, partition: i32, offset: i64) {
        self.offset.get_or_create(&at(topic, partition)).set(offset);
    }

    pub(crate) fn lag(&self, topic: &str, partition: i32, records: i64) {
        self.lag.get_or_create(&at(topic, partition)).set(records);
    }

    /// A partition that is somebody else's has no lag here.
    pub(crate) fn forget(&self, topic: &str, partition: i32) {
        self.lag.remove(&at(topic, partition));
        self.offset.remove(&at(topic, partition));
    }
}

fn of(topic: &str, outcome: &'static str) -> Pairs {
    vec![("topic", topic.to_owned()), ("outcome", outcome.to_owned())]
}

fn at(topic: &str, partition: i32) -> Pairs {
    vec![("topic", topic.to_owned()), ("partition", partition.to_string())]
}
