//! What every other crate stands on: error kinds, the clock, shutdown, backoff, size caps, the memory
//! budget and the node's own metrics.
//!
//! This crate exists because all layers share it. It must never know telemetry: no label, no sample, no
//! protocol. Start reading at [`kind`], then [`clock`] and [`memory`].

pub mod backoff;
pub mod cap;
pub mod clock;
pub mod hash;
pub mod kind;
pub mod memory;
pub mod metrics;
pub mod shutdown;

pub use clock::Clock;
pub use kind::Kind;
pub use memory::MemoryBudget;
pub use metrics::Metrics;
pub use shutdown::Shutdown;
