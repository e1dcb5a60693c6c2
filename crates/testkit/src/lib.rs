//! What tests of other crates are built with: a cluster of nodes in one process under a clock that stands
//! still, object stores that fail on command, and the conformance suites of the seams.
//!
//! This crate exists for tests; nothing that ships depends on it. (The disk that fails on command lives in
//! `disklog::fault`, beside what it tests.) Start reading at [`cluster`].

pub mod cluster;
pub mod conformance;
pub mod objects;
