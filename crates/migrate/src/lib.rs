//! Moving in from another program, and the proof that nothing changed by it.
//!
//! ```text
//! import    blocks of Prometheus ─► batches ─► remote write of a running node ─► journal of what arrived
//! compare   dashboards, rules ─► expressions ─► two addresses ─► every difference
//! ```
//! This crate exists because its reader is whoever moves. It must never know the node: no store, no API crate,
//! only addresses, so that it serves between any two programs that speak these protocols. Start reading at
//! [`import`] and [`compare`].

pub mod compare;
pub mod error;
pub mod import;
pub mod target;

pub use error::Error;
pub use target::Target;

pub type Result<T, E = Error> = std::result::Result<T, E>;
