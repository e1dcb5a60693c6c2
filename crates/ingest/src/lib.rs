//! Admission: every protocol's body becomes a durable append here, and nowhere else.
//!
//! ```text
//! reserve memory → unpack (capped) → decode → refuse what breaks a limit → add up deltas → stamp → append
//! ```
//! Beside it stand what is learnt from log lines on their way in, whichever way that is: [`patterns`], and what is
//! counted of spans: [`derived`]; and what other nodes sent, by the numbers they gave to it: [`received`].
//!
//! This crate exists to keep that path in one place for all protocols. It must never know HTTP or gRPC shapes
//! (statuses are made of [`Error`] by the API) nor how anything is stored. Start reading at [`admit`], whose
//! functions are one per protocol.

pub mod admit;
pub mod derived;
pub mod error;
pub mod options;
pub mod patterns;
pub mod received;

mod claim;
mod delta;
mod discover;
mod identities;
mod known;
mod stamp;
mod stats;

pub use admit::{Ingest, SyslogPiece, Written};
pub use contract::{Receipt, Refusal, RefusalReason};
pub use derived::{Derive, Deriving};
pub use discover::{Discover, LEVEL_FIELDS, SERVICE_LABELS, discover};
pub use error::{Cause, Error};
pub use options::{
    DeltaLimits, JaegerFormat, Limits, LokiFormat, NameStrategy, Naming, Options, Otlp, OtlpFormat,
    OtlpMetrics, OtlpSignal, OtlpTransport, Promote, Sender, ZipkinFormat,
};
pub use patterns::{Mining, Patterns, WithPatterns};
pub use received::{Lag, PipelineLag, Received, SourceAccount};
pub use stamp::cluster as stamp_cluster;
pub use wire::{Limits as ItemLimits, bulk};

pub type Result<T, E = Error> = std::result::Result<T, E>;
