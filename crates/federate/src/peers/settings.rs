//! Who is to be asked, as configured.

use std::{sync::Arc, time::Duration};

use contract::Select;
use model::{Labels, Signal};

use crate::{Replication, member::title, peer::Asker};

/// Who this node is to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Empty where it has none.
    pub cluster: String,
    pub replica: Option<String>,
    /// A name for this process that no other has, drawn when it starts.
    pub node: String,
    /// Labels that everything it holds carries.
    pub labels: Labels,
    pub version: String,
}

impl Own {
    /// What a question may call it that has come through it, or that leaves it out.
    pub fn names(&self) -> Vec<String> {
        let title = title(&self.cluster, self.replica.as_deref());
        [title, self.node.clone()].into_iter().filter(|n| !n.is_empty()).collect()
    }

    /// Itself, as it asks others.
    pub fn asker(&self) -> Asker {
        Asker {
            cluster: self.cluster.clone(),
            replica: self.replica.clone(),
            node: self.node.clone(),
            version: self.version.clone(),
        }
    }
}

/// One that is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// The cluster it answers for.
    pub name: String,
    pub replica: Option<String>,
    /// Where it listens, `host:port`; `None` where it dials this node to be asked.
    pub address: Option<String>,
    /// Labels that everything it holds carries. What it announces is added; until it does, its cluster is.
    pub labels: Labels,
    /// How long a question waits for it.
    pub timeout: Duration,
    /// How it shares a signal with other replicas of its cluster, where that differs from the usual.
    pub replication: Vec<(Signal, Replication)>,
    /// How long it is waited for once a replica that mirrors it has answered whole. `None`: nineteen of twenty of its
    /// answers come within that time, at least 100 ms and at most 2 s.
    pub grace: Option<Duration>,
}

impl PeerSettings {
    /// One that listens, with everything as usual.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        PeerSettings {
            name: name.into(),
            replica: None,
            address: Some(address.into()),
            labels: Labels::default(),
            timeout: Duration::from_secs(10),
            replication: Vec::new(),
            grace: None,
        }
    }
}

/// A system of another kind that is asked like a peer: watched by what becomes of questions, as it announces nothing.
#[derive(Clone)]
pub struct Foreign {
    /// `prometheus`, `loki`, ...
    pub kind: &'static str,
    pub select: Arc<dyn Select>,
}

/// One entry of the list of peers.
#[derive(Clone)]
pub struct Source {
    pub settings: PeerSettings,
    /// `None` for a node of our own kind.
    pub foreign: Option<Foreign>,
}

impl From<PeerSettings> for Source {
    fn from(settings: PeerSettings) -> Self {
        Source { settings, foreign: None }
    }
}

impl Source {
    /// Whether nothing has changed that would need another connection.
    pub(super) fn is_same(&self, other: &Source) -> bool {
        let foreign = match (&self.foreign, &other.foreign) {
            (None, None) => true,
            (Some(a), Some(b)) => a.kind == b.kind && Arc::ptr_eq(&a.select, &b.select),
            _ => false,
        };
        foreign && self.settings == other.settings
    }
}
