//! Telemetry sent onward: copies of what a node accepted go through a queue on its disk to other nodes and to the tools of
//! others, and a ledger says what became of every item.
//!
//! This crate exists because its tests must link light: what has to hold when disks, receivers and processes fail is tried
//! thousands of times. It owns the queue, the cursors, the ledger, and the destinations with their protocols. It must never
//! know storage, configuration, or where what is appended comes from.
//!
//! Start reading at [`forwarder`] (what is queued, and when an append is answered), then [`ledger`] (what is counted),
//! [`lane`] (how a run of the queue is sent), [`link`] (one request until it is settled), [`budget`] and [`ladder`] (who
//! goes first over a narrow link, and what gives way), [`destination`] (what a protocol has to do), [`queue`] and [`frame`]
//! (what is on the disk).

mod book;
pub mod budget;
mod class;
mod core;
pub mod destination;
mod error;
pub mod forwarder;
mod frame;
mod health;
mod known;
mod ladder;
mod lane;
pub mod ledger;
mod link;
mod pieces;
mod queue;
pub mod selection;
mod stats;
mod writer;

pub use budget::{Budget, Ladder, Shares};
pub use class::Class;
pub use destination::{Delivery, Destination, Outcome};
pub use error::{Error, Result};
pub use forwarder::{Forwarder, Forwarding, Target};
pub use frame::FrameError;
pub use ledger::{Account, Reasons};
pub use link::{Limits, Seen};
pub use queue::QueueOptions;
pub use selection::Selection;
