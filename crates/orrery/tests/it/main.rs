//! The node as a process, with real senders and readers. One binary, so that it is linked once.
//!
//! Peers that are not installed are skipped with a printed line, unless `ORRERY_PEERS=required`, which `make
//! test` sets after it has installed them.

// Tests read their settings from the environment, as make sets them.
#![allow(clippy::disallowed_methods)]
// Helpers of tests may panic like the tests themselves.
#![allow(clippy::unwrap_used)]

mod beside;
mod collected;
mod commands;
mod crash;
mod demo;
mod endure;
mod explosion;
mod federation;
mod forwarding;
mod history;
mod lab;
mod lifecycle;
mod limits;
mod logs;
mod long_lines;
mod mixed;
mod moving;
mod nezha;
mod node;
mod peers;
mod readers;
mod senders;
mod shippers;
mod shop;
mod sql;
mod tail;
mod thanos;
mod versions;
