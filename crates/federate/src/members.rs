//! The list of members, which may change while questions are being answered.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::{Member, Replicas};

/// A list that its holders share: whoever sets it sets it for all.
#[derive(Clone)]
pub struct Members(Arc<RwLock<List>>);

/// The list as it is at one time.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) members: Arc<[Arc<Member>]>,
    /// What the clusters' replicas have declared.
    pub(crate) replicas: Arc<Replicas>,
}

impl List {
    fn new(members: impl IntoIterator<Item = Arc<Member>>, replicas: Replicas) -> Self {
        List { members: members.into_iter().collect(), replicas: Arc::new(replicas) }
    }
}

impl Members {
    pub fn new(members: Vec<Member>, replicas: Replicas) -> Self {
        Self::shared(members.into_iter().map(Arc::new), replicas)
    }

    pub(crate) fn shared(members: impl IntoIterator<Item = Arc<Member>>, replicas: Replicas) -> Self {
        Members(Arc::new(RwLock::new(List::new(members, replicas))))
    }

    /// A list that nobody else changes.
    pub(crate) fn of(list: List) -> Self {
        Members(Arc::new(RwLock::new(list)))
    }

    /// Questions that come from now on are put to these.
    pub fn set(&self, members: Vec<Member>, replicas: Replicas) {
        *self.0.write() = List::new(members.into_iter().map(Arc::new), replicas);
    }

    pub(crate) fn get(&self) -> List {
        self.0.read().clone()
    }
}
