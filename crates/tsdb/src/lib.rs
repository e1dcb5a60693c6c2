//! Reader of Prometheus TSDB blocks: what Prometheus, Thanos' sidecar and `promtool` leave on a disk.
//!
//! ```text
//! <dir>/<ULID>/meta.json      times, counts, version                          meta
//! <dir>/<ULID>/index          symbols, series, postings, table of contents    index
//! <dir>/<ULID>/chunks/000001  compressed samples                              segments, chunk
//! <dir>/<ULID>/tombstones     deleted ranges of series                        tombstones
//! ```
//! This crate exists because it is a format with a reader of its own. It must never know where samples go: no
//! network, no store. Formats as in `tsdb/docs/format` of the Prometheus repository; all integers are
//! big-endian, all checksums CRC-32C. Nothing is trusted: whatever is cut short, flipped or out of range is an
//! error that names file and byte, and memory is bounded by what the files really hold.
//!
//! Start reading at [`block`].

mod bits;
mod cursor;

pub mod block;
pub mod chunk;
pub mod error;
pub mod index;
pub mod meta;
pub mod segments;
pub mod source;
pub mod tombstones;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use block::{Block, blocks};
pub use chunk::{FloatPoint, HistogramPoint, Points};
pub use error::{Error, Fault, Result};
pub use index::{ChunkRef, Index, Series};
pub use meta::Meta;
pub use source::Source;
