//! Sources that run inside a node and append what they collect: the machine's own metrics, Prometheus
//! targets and how they are discovered, log files, and the node's own spans. (The node's own metrics are scraped like any other target.)
//!
//! This crate exists because its reader knows /proc, log rotation and scraping, not storage. It must never
//! know where telemetry goes: everything leaves through [`contract::Append`]. Every source gets a [`Context`]
//! and options of its own, spawns its tasks through the context's shutdown, and counts what it loses.
//!
//! Start reading at [`context`], then [`hostmetrics`] as the simplest source.

pub mod context;
pub mod discovery;
pub mod hostmetrics;
pub mod scrape;
pub mod selftrace;
pub mod tail;

pub use context::{Context, Delivery};
