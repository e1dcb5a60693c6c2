//! Metrics derived from spans: RED (rate, errors, duration) for each service, operation, kind and status, and the
//! edges of the service graph, in the names of Tempo's metrics-generator.
//!
//! ```text
//! spans ─► observe ─► Observed ┄┄ the spans become durable ┄┄► apply ─► counts, halves, edges
//!                                                                          │ collect, each interval
//!                                                                          ▼
//!                                                        metric batches with exemplars ─► settle
//! ```
//! This crate exists because its tests must link light. It owns the computation and all of its state, one
//! [`Derived`] for each tenant. It must never know where spans come from, how they are stored, or when it is
//! collected. Start reading at [`derived`], then [`red`] and [`graph`].

pub mod options;

mod counts;
mod derived;
mod emit;
mod graph;
mod histogram;
mod intern;
mod labels;
mod observe;
mod plan;
mod red;
mod room;
mod series;
mod size;

pub use counts::Tally;
pub use derived::{Collection, Derived};
pub use labels::dimension_label;
pub use observe::Observed;
pub use options::{Graph, Histograms, Latency, Options, Red};
pub use size::otlp_bytes;
