//! The store of one node: append, head, flush, catalog, scan, compact, retain, recover. It implements both
//! seams, [`contract::Append`] and [`contract::Select`], over a write-ahead log and immutable segments.
//!
//! This crate exists because durability is one subject: what was acknowledged is in the log, what is in the
//! log is in a head, what is in a head becomes segments by one catalog commit, and for a reader nothing is
//! in two of these places. It must never know query languages or HTTP, and never Parquet: bytes of segments
//! are the `segment` crate's, bytes of log frames are `wire`'s.
//!
//! ```text
//! <data_dir>/wal/identity, wal/log/*            recover, disklog
//! catalog/<tenant>/<signal>/v%020d.json         catalog::document       `*` in a tenant is `$` in a path
//! segments/<tenant>/<signal>/<window start, s>/<hash>-<unique>.parquet      segment
//! segments/<tenant>/<signal>/ids/<unique>.ids   dedup
//! ```
//! The last three are objects. Names of segments are unique beyond their hash: two flushes of equal contents
//! are two segments.
//!
//! Start reading at [`store`] (the handle), then `append` and `commit` (the way in), `flush` (head to
//! segments), `catalog` (what is published), `recover` (opening after a crash), `tend` (retention, merging),
//! `select` (the way out) and [`backup`].

mod admit;
mod append;
mod catalog;
mod commit;
mod core;
mod counts;
mod dedup;
mod deletions;
mod disk;
mod epochs;
mod flush;
mod frame;
mod head;
mod readers;
mod recover;
mod room;
mod select;
mod shelf;
mod snapshot;
mod tend;
mod uncounted;
mod windows;
mod workers;

pub mod backup;
mod error;
pub mod local;
pub mod options;
pub mod status;
pub mod store;

pub use error::{Error, Result};
pub use local::LocalObjects;
pub use options::{FlushPolicy, Limits, Options, Policy, Retention};
pub use status::{RecoveryReport, SignalStatus, Status};
pub use store::{Deletion, Store};
