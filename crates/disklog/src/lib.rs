//! Checksummed append-only segments with group commit: the write-ahead log, and later the agent's queue.
//!
//! This crate exists because both need the same promise and the same care: what [`Log::append`] acknowledged
//! is on the disk, what it refused never comes back. It must never know what a record means: a frame is a
//! kind byte and a payload.
//!
//! Start reading at [`log`] (the handle and its promises), then [`writer`] (group commit and what happens
//! after a failed write), [`frame`] and [`segment`] (the bytes), [`recover`] (opening after a crash).
//! [`fault::FaultDisk`] is a disk in memory that fails, fills up and crashes on command.

pub mod disk;
pub mod error;
pub mod fault;
pub mod frame;
pub mod log;
mod metrics;
mod queue;
pub mod reader;
pub mod recover;
pub mod segment;
pub mod writer;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::{Error, Result};
pub use log::{Log, Options, Position};
pub use reader::{Entry, Reader};
pub use recover::{Recovery, TornTail};
