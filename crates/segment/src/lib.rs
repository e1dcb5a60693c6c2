//! The file contract of immutable segments: Parquet schemas, sort orders, chunk codecs, index blobs,
//! versions, writers and readers, for metrics, logs and traces.
//!
//! This crate exists because it fences in `parquet` and `arrow`. It must never know catalogs, tenants and
//! their policies, or query languages: it turns sorted items into one object and that object back into
//! items. Writers are synchronous and pure; readers fetch byte ranges from an object store and nothing else.
//!
//! Start reading at [`file`] (what every segment has in common: blobs, seal, version), then [`metrics`],
//! [`logs`] and [`spans`], each of which begins with its layout.
//!
//! Rows of metrics segments are in the order of [`model::Labels`], which puts `__name__` first for ordinary
//! series, and not in order of rising cardinality: readers stream in exactly that order, so merging segments
//! is a merge of sorted streams and needs no sorting memory.

pub(crate) mod arrays;
pub(crate) mod attrs;
pub(crate) mod codec;
pub mod error;
pub(crate) mod file;
pub mod info;
pub mod lines;
pub mod logs;
pub mod metrics;
pub(crate) mod origin;
pub(crate) mod recent;
pub(crate) mod rows;
pub mod spans;
pub mod terms;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod testing;

pub use error::{Error, Result};
pub use info::{FORMAT_VERSION, SegmentInfo, Written};
