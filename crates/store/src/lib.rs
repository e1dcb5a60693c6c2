//! The store of one node: append, head, flush, catalog, scan, compact, retain, recover. It implements both
//! seams, [`contract::Append`] and [`contract::Select`], over a write-ahead log and immutable segments.
//!
//! This crate exists because durability is one subject: what was acknowledged is in the log, what is in the
//! log is in a head, what is in a head becomes segments by one catalog commit, and nothing is in two of these
//! places for a reader. It must never know query languages or HTTP, and never Parquet: bytes of segments are
//! the `segment` crate's, bytes of log frames are `wire`'s.
//!
//! Start reading at [`store`] (the handle), then `commit` (the way in), `flush` (head to segments),
//! `catalog` (what is published) and `select` (the way out).

pub mod error;
pub mod local;
pub mod options;
pub mod status;
pub mod store;

pub use error::{Error, Result};
pub use local::LocalObjects;
pub use options::{FlushPolicy, Limits, Options, Policy, Retention};
pub use status::{RecoveryReport, SignalStatus, Status};
pub use store::Store;
