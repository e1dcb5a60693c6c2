//! Bytes to batches and back: remote write, remote read, OTLP, Zipkin, Jaeger, Loki push, Elasticsearch's bulk, syslog,
//! exposition text, the names Prometheus gives to OpenTelemetry metrics, and our own compact encoding.
//!
//! This crate exists because its readers are protocol authors and fuzzers: everything here is synchronous, pure
//! and bounded by [`Limits`]. It must never know transport, storage or time: bodies come unpacked, the time of
//! receipt comes as an argument. Each protocol is one module with `decode` and `encode`. Start reading at
//! [`outcome`], then [`remote_write`] as the shortest whole example.
//!
//! What every sample costs here is spent in three places: [`remote_write::decode_v1`] and
//! [`remote_write::v2::decode`] (per series: two passes over its bytes, a reused list of borrowed pairs, one sort where
//! labels are not sorted), [`Limits::labels`] (checks and packs them, the one allocation that stays), and the private
//! `series` module (one hash per series, to find it again). Samples go straight into their columns.

pub mod bulk;
pub mod dates;
pub mod error;
pub mod exposition;
pub mod jaeger;
pub mod jaeger_json;
pub mod limits;
pub mod loki;
pub mod names;
pub mod native;
pub mod otlp;
pub mod outcome;
pub mod remote_read;
pub mod remote_write;
pub mod syslog;
pub mod zipkin;

mod protobuf;
mod series;
mod spans;
mod text;
mod thrift;

pub use error::Error;
pub use limits::Limits;
pub use outcome::{Decoded, Reason, Refusals, Refused};

pub type Result<T, E = Error> = std::result::Result<T, E>;
