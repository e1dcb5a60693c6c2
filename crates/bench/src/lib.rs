//! Load and proof: generators of metrics, logs and traces, senders for the protocols of the field, and a check
//! that what was acknowledged is stored once. Aimed at any address, so that a peer is measured the same way.
//!
//! ```text
//! write    generate ─► payload ─► send ─► latency, rate, errors by status       (run)
//!            └ counting: every item numbered ─► journal of what was sent and acknowledged
//! verify   journal ─► query back ─► lost, doubled, unknown
//! query    expressions ─► ask ─► latency, errors, answer sizes
//! peers    binaries ─► started, loaded and asked one after another ─► figures side by side
//! fleet    clusters and a hub over mutual TLS ─► a global sum ─► bytes moved, time beside each cluster alone
//! logs     one corpus by Loki push ─► CPU, bytes on disk, time of questions, beside others at addresses
//! traces   one corpus by OTLP ─► CPU, bytes on disk, time of questions
//! shop     HTTP services that call each other ─► traces, lines and metrics of their own ─► OTLP
//! ```
//! This crate exists because its reader is whoever measures. It must never know the node it measures: no store,
//! no API crate, only addresses. Start reading at [`options`], then [`run`].

pub mod error;
pub mod fleet;
pub mod generate;
pub mod journal;
pub mod latency;
pub mod logs;
pub mod options;
pub mod peers;
pub mod query;
pub mod report;
pub mod run;
pub mod shop;
pub mod traces;
pub mod verify;

mod answer;
mod payload;
mod process;
mod random;
mod send;

pub use error::Error;
pub use fleet::{FleetOptions, FleetReport, fleet};
pub use latency::Latencies;
pub use logs::{Address, LogsOptions, LogsReport, logs};
pub use options::{Protocol, QueryKind, QueryOptions, QuerySpec, Signal, VerifyOptions, WriteOptions};
pub use peers::{Binary, PeersOptions, PeersReport, peers};
pub use query::{query, query_until};
pub use report::{Progress, QueryReport, VerifyReport, WriteReport};
pub use run::{write, write_until};
pub use shop::{Shop, ShopOptions, ShopReport};
pub use traces::{TracesOptions, TracesReport, traces};
pub use verify::verify;

pub type Result<T, E = Error> = std::result::Result<T, E>;
