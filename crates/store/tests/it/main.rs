//! The store as its users see it: both seams, flushes, restarts, crashes, limits. One binary, so that two
//! cores link once.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions are tests too.

mod backup;
mod crash;
mod deletions;
mod derived;
mod epochs;
mod limits;
mod log_deletions;
mod property;
mod rig;
mod snapshot;
mod spans;
mod together;
mod upkeep;
mod views;
