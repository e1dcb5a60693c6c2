//! What people are shown of peers.

use std::time::Duration;

use model::{Labels, Signal, TimestampNs};

use crate::{Replication, peer::Held};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Nothing has come of it yet.
    Connecting,
    Up,
    /// The last attempt to reach it was in vain.
    Failing,
    /// Several were: it is not asked until it is heard of again.
    Open,
}

impl LinkState {
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Connecting => "connecting",
            LinkState::Up => "up",
            LinkState::Failing => "failing",
            LinkState::Open => "open",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct PeerStatus {
    pub name: String,
    pub replica: Option<String>,
    /// `None` where it dials this node.
    pub address: Option<String>,
    /// `orrery`, or the kind of foreign system.
    pub kind: &'static str,
    pub state: LinkState,
    /// When it was last gained or lost, or added to the list.
    pub since: TimestampNs,
    /// The last thing that went wrong, however long ago.
    pub last_error: Option<String>,
    /// Failures since the last success.
    pub failures: u32,
    /// Empty where it has not said so.
    pub version: String,
    /// What everything it answers with carries.
    pub labels: Labels,
    pub held: Vec<Held>,
    /// Sources that are asked through it.
    pub beyond: Vec<String>,
    pub certificate_expires: Option<TimestampNs>,
    pub asked: u64,
    /// Answers that have only a part of it.
    pub partial: u64,
    /// Answers that had to do without it.
    pub missing: u64,
    pub latency_p50: Option<Duration>,
    pub latency_p99: Option<Duration>,
    /// As declared.
    pub replication: Vec<(Signal, Replication)>,
}
