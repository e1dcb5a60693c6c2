//! The peer protocol: [`Server`] answers other nodes from a [`contract::Select`], [`Client`] is a `Select` over the
//! wire. Definitions stand in `crates/proto/protos/orrery/peer/v1/peer.proto`.
//!
//! ```text
//! Select ──► server: items are packed into units of about 1 MiB ──► parts ──► client: unpacked, joined ──► Select
//!                                     then one end with the coverage, or one failure with kind and limit
//! ```
//! Flow control is that of the HTTP/2 stream: a server reads on as its parts are taken, and stops when the stream is
//! dropped. Who may connect, and how, is not decided here: both halves take a connection as it is.

pub mod accept;
mod client;
mod convert;
mod evaluate;
mod pack;
pub mod reverse;
mod server;
mod span_fields;
mod unpack;

pub use client::Client;
pub use server::Server;

use contract::{Capabilities, Dialect};
use model::{Labels, Signal, TimestampNs};

/// What a node says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement {
    pub cluster: String,
    pub replica: Option<String>,
    /// The name its process goes by, where it has no cluster to be told by.
    pub node: String,
    /// Labels that everything it holds carries.
    pub labels: Labels,
    pub version: String,
    pub signals: Vec<Signal>,
    /// See [`contract::Capabilities::filters_lines`].
    pub filters_lines: bool,
    /// See [`contract::Capabilities::filters_spans`].
    pub filters_spans: bool,
    /// See [`contract::Capabilities::evaluates`].
    pub evaluates: Vec<Dialect>,
    pub held: Vec<Held>,
    /// Whom it asks for others.
    pub beyond: Vec<Beyond>,
}

impl Announcement {
    /// What it says it can do.
    pub fn capabilities(&self) -> Capabilities {
        let (signals, evaluates) = (self.signals.clone(), self.evaluates.clone());
        let (filters_lines, filters_spans) = (self.filters_lines, self.filters_spans);
        Capabilities { signals, filters_lines, filters_spans, evaluates }
    }
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asker {
    /// Empty for a node that has none.
    pub cluster: String,
    pub replica: Option<String>,
    pub node: String,
    pub version: String,
}

/// A source that a node asks for others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beyond {
    pub cluster: String,
    pub replica: Option<String>,
    /// Labels that everything it holds carries.
    pub labels: Labels,
    /// Nodes that a question passes on its way there; 1 where the node asks it itself.
    pub hops: u32,
    pub held: Vec<Held>,
}

/// What of one signal a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub signal: Signal,
    pub oldest: Option<TimestampNs>,
    /// Everything up to here has arrived, as far as the node knows.
    pub watermark: Option<TimestampNs>,
}

/// How many items a unit of an answer holds, read as each kind of answer is in turn. For fuzzing, and for whoever wants
/// to know whether bytes would be taken.
pub fn unpacked(unit: &[u8]) -> usize {
    use unpack::{Unpack, UnpackLogs, UnpackSeries, UnpackSpans};
    fn items<U: Unpack>(mut unpack: U, unit: &[u8]) -> usize {
        let mut items = std::collections::VecDeque::new();
        // What came before an error is delivered too.
        let _ = unpack.push(unit, &mut items);
        unpack.flush(&mut items);
        items.len()
    }
    let series = items(UnpackSeries::new(&contract::QueryLimits::default()), unit);
    let lists = [
        unpack::sets(unit).map_or(0, |l| l.len()),
        unpack::metadata(unit).map_or(0, |l| l.len()),
        unpack::exemplars(unit).map_or(0, |l| l.len()),
    ];
    series + items(UnpackLogs, unit) + items(UnpackSpans, unit) + lists.iter().sum::<usize>()
}

/// Bytes of items, as they are in memory, that make a part. Larger: fewer messages; smaller: the first comes sooner.
const PART_BYTES: usize = 1 << 20;
/// Samples of one part; a series with more goes over several.
const PART_SAMPLES: usize = 1 << 16;
/// A message larger than this is refused by both sides. A single log record or span may fill it.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests;
