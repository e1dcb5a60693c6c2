//! Kafka and Redpanda: records that are sent and acknowledged by all replicas, and records that are taken, made durable,
//! and only then committed.
//!
//! This crate exists because it fences in the Kafka client. It owns connections, the producer, and the loop of a consumer.
//! It must never know the queue of forwarding or the store: what is sent are bytes, and what is taken goes to an
//! [`Intake`].
//!
//! Start reading at [`send`] (a producer that can be asked again about what it was given), then [`receive`] (the loop),
//! [`intake`] (what takes records), [`connection`] (how brokers are reached).

pub mod connection;
mod error;
pub mod intake;
pub mod receive;
pub mod send;
mod stats;

pub use connection::{Connection, Sasl};
pub use error::{Error, Result};
pub use intake::{Arrival, Encoding, Intake, Verdict};
pub use receive::{ReceiveOptions, Subscription, receive};
pub use send::{Compression, Message, Producer, SendOptions, Sent};
pub use stats::Stats;

/// The header with which a record names the batch it holds, so that whoever takes it knows it again however often it stands
/// in the topic.
pub const BATCH_HEADER: &str = "x-orrery-batch";
/// The header that names the tenant.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Topics of the Collector's exporter where none are named.
pub fn default_topic(signal: &model::Signal) -> &'static str {
    match signal.as_str() {
        "metrics" => "otlp_metrics",
        "logs" => "otlp_logs",
        _ => "otlp_spans",
    }
}
