//! SQL over what a [`contract::Select`] holds: the tables `logs`, `metrics` and `spans`, on DataFusion.
//!
//! This crate exists because it fences in heavy libraries: DataFusion plans and computes, Arrow is its memory, Flight
//! SQL its wire. It knows columns, and which conditions of a statement a `Select` can answer. It must never know HTTP,
//! storage or other nodes: everything is read through one `Select`, so a statement asks a federation as it asks one node
//! and its answer says what it covers.
//!
//! ```text
//! statement ─► guard ─► plan (DataFusion) ─► scan ─► wanted: conditions become requests ─► Select
//!                                             └────── tables: batches become columns  ◄──────┘
//! answer    ◄─ format (JSON, CSV, Arrow) ◄─ running: a task that ends with its reader, its rows or its deadline
//! ```
//! Start reading at [`engine`], then `scan` and `wanted`.

mod asked;
pub mod engine;
mod error;
pub mod flight;
mod format;
mod guard;
mod memory;
mod running;
mod scan;
mod tables;
mod wanted;

pub use engine::Engine;
pub use error::Error;

#[cfg(test)]
mod tests;
