//! Transformations from batch to batch that are the same wherever they run: in the agent, at ingest, in a
//! query. So far relabelling.
//!
//! This crate exists because agent and ingest share it. It must never know where it runs. Start reading at
//! [`relabel`].

pub mod relabel;
