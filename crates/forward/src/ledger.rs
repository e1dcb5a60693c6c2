//! What became of everything that was queued, by destination and class. The counts are persisted in one piece with the
//! cursors they belong to, so that they add up across restarts:
//!
//! ```text
//! produced = acknowledged + refused{reason} + dropped{reason} + pending
//! ```
//! An item is produced once it is durable in the queue, and pending until it is one of the other three.

use std::collections::BTreeMap;

use disklog::Position;
use serde::{Deserialize, Serialize};

use crate::{Class, ladder::Thin};

/// Dropped because the destination was further behind than it may be.
pub const QUEUE_FULL: &str = "queue_full";
/// Dropped because the destination is no longer configured.
pub const DESTINATION_REMOVED: &str = "destination_removed";
/// Dropped because the queue's own files lost it.
pub const LOST_ON_DISK: &str = "lost_on_disk";
/// Dropped because the link is too narrow: of metrics, samples between those that stay.
pub const AGGREGATED: &str = "aggregated";
/// Dropped because the link is too narrow: of traces and logs, what did not fall into the sample.
pub const SAMPLED: &str = "sampled";
/// Dropped because the link is too narrow even for what was thinned.
pub const OVER_BUDGET: &str = "over_budget";
/// Dropped because what stands in the queue is no unit this version reads.
pub const UNREADABLE: &str = "unreadable";

/// Counts of items by reason. Reasons are few: they are labels.
pub type Reasons = BTreeMap<String, u64>;

/// One destination and class at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    pub destination: String,
    /// The source that its requests name, by which a receiving node counts them.
    #[serde(serialize_with = "hexadecimal")]
    pub source: u64,
    pub signal: String,
    pub class: Class,
    /// Items made durable in the queue for this destination, ever.
    pub produced: u64,
    /// Items the destination said it has.
    pub acknowledged: u64,
    /// Items the destination said it will never take.
    pub refused: Reasons,
    /// Items given up here.
    pub dropped: Reasons,
    /// Items still to be sent.
    pub pending: u64,
    /// Items whose request had to wait for the link before it was sent; they are among the others, too.
    pub deferred: u64,
    /// How far the class is thinned at present, 0 for not at all.
    pub thinned: u8,
    /// Bytes of the queue behind the cursor, those for other destinations among them; 0 without pending items.
    pub backlog_bytes: u64,
    /// Now minus the time of receipt of the oldest pending item, 0 without one.
    pub lag_seconds: f64,
    /// No longer configured.
    pub removed: bool,
}

impl Account {
    /// Items produced less everything that became of them: 0, unless this node counts wrongly.
    pub fn difference(&self) -> i64 {
        let ended = self.acknowledged + sum(&self.refused) + sum(&self.dropped) + self.pending;
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        signed(self.produced) - signed(ended)
    }

    /// Whether every item is accounted for exactly once.
    pub fn adds_up(&self) -> bool {
        self.difference() == 0
    }
}

fn hexadecimal<S: serde::Serializer>(n: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{n:016x}"))
}

/// The source of the requests of one destination and class.
pub(crate) fn source(node: u64, destination: &str, class: Class) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(node);
    hash.update(destination.as_bytes());
    hash.update(&[class.number()]);
    hash.digest()
}

pub(crate) fn sum(reasons: &Reasons) -> u64 {
    reasons.values().sum()
}

/// A place between frames of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// Payload bytes queued before, ever.
    pub(crate) at: u64,
}

impl Place {
    pub(crate) fn new(position: Position, at: u64) -> Self {
        Place { segment: position.segment, offset: position.offset, at }
    }

    pub(crate) fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.offset }
    }
}

/// A run of frames that is being sent. It is durable before its first byte leaves, and so are the limits by which it is
/// cut: whoever sends it again, after whatever happened, sends the same requests under the same numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) to: Place,
    /// Items settled before this run.
    pub(crate) base: u64,
    /// Requests of the run that are settled.
    pub(crate) done: u64,
    pub(crate) max_items: usize,
    pub(crate) max_bytes: usize,
    #[serde(default, skip_serializing_if = "Thin::is_none")]
    pub(crate) thin: Thin,
}

/// Cursor and counts of one destination and class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lane {
    pub(crate) destination: String,
    pub(crate) class: Class,
    /// Tells the numbers of this lane from those of another life of it.
    pub(crate) epoch: u64,
    /// Everything before is settled.
    pub(crate) cursor: Place,
    /// The number of the next request.
    pub(crate) sequence: u64,
    pub(crate) plan: Option<Plan>,
    pub(crate) produced: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: Reasons,
    pub(crate) dropped: Reasons,
    #[serde(default)]
    pub(crate) deferred: u64,
}

impl Lane {
    pub(crate) fn new(destination: &str, class: Class, epoch: u64) -> Self {
        Lane {
            destination: destination.to_owned(),
            class,
            epoch,
            cursor: Place::default(),
            sequence: 1,
            plan: None,
            produced: 0,
            acknowledged: 0,
            refused: Reasons::new(),
            dropped: Reasons::new(),
            deferred: 0,
        }
    }

    pub(crate) fn settled(&self) -> u64 {
        self.acknowledged + sum(&self.refused) + sum(&self.dropped)
    }

    pub(crate) fn pending(&self) -> u64 {
        self.produced.saturating_sub(self.settled())
    }

    pub(crate) fn settle(&mut self, settled: &Settled) {
        self.acknowledged += settled.acknowledged;
        for (into, from) in [(&mut self.refused, &settled.refused), (&mut self.dropped, &settled.dropped)] {
            for (reason, n) in from.iter().filter(|(_, n)| **n > 0) {
                *into.entry(reason.clone()).or_default() += n;
            }
        }
    }
}

/// What became of some items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) acknowledged: u64,
    pub(crate) refused: Reasons,
    pub(crate) dropped: Reasons,
}

impl Settled {
    pub(crate) fn dropped(reason: &str, items: u64) -> Self {
        Settled { dropped: Reasons::from([(reason.to_owned(), items)]), ..Settled::default() }
    }

    pub(crate) fn refuse(&mut self, reason: impl Into<String>, items: u64) {
        if items > 0 {
            *self.refused.entry(reason.into()).or_default() += items;
        }
    }
}

/// Everything that must survive, as one frame of the state log holds it, in JSON. Version rule: readers refuse versions
/// they do not know; fields may be added under the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u32,
    /// Drawn once per queue; tells the numbers of this node from those of others.
    pub(crate) node: u64,
    /// Before the last frame of ids: from here on the log is read when it is opened.
    pub(crate) ids_at: Place,
    pub(crate) lanes: Vec<Lane>,
    /// Lanes of destinations that are no longer configured.
    pub(crate) removed: Vec<Lane>,
}

pub(crate) const STATE_VERSION: u32 = 1;
