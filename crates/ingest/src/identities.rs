//! Ids of documents that were created lately, so that creating one of them again is a conflict and not a second
//! document.
//!
//! They are held in memory for half an hour to an hour, some hundred thousand of them; a restart forgets them. An id
//! counts as known only after its document is durable. While a request is under way its ids are pending: another
//! request for one of them is to come back, as the first may still end badly.

use std::{collections::HashSet, sync::Arc};

use model::TenantId;
use parking_lot::Mutex;
use wire::bulk::Identity;
use xxhash_rust::xxh3::Xxh3;

/// Ids are held in two sets, of which the older is emptied after this time. Longer: conflicts are seen later on.
const TURN_NS: i64 = 1_800_000_000_000;
/// Or when the younger holds this many, some 8 MB. More costs memory, fewer forget sooner under many ids.
const MAX_IDS: usize = 250_000;

/// Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Identities(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    young: HashSet<u128>,
    old: HashSet<u128>,
    turned_ns: i64,
    pending: HashSet<u128>,
}

/// Ids that one request is about to create. Dropped, they are given back.
pub(crate) struct Claims {
    all: Identities,
    tenant: TenantId,
    /// In the order they were asked for.
    mine: Vec<u128>,
    own: HashSet<u128>,
}

impl Identities {
    pub(crate) fn claims(&self, tenant: &TenantId) -> Claims {
        Claims { all: self.clone(), tenant: tenant.clone(), mine: Vec::new(), own: HashSet::new() }
    }
}

impl Claims {
    /// Asks for an id; a new one is pending from now on.
    pub(crate) fn identify(&mut self, index: &str, id: &str) -> Identity {
        let mut key = Xxh3::new();
        for part in [self.tenant.as_str(), index, id] {
            key.update(&(part.len() as u64).to_le_bytes());
            key.update(part.as_bytes());
        }
        let key = key.digest128();
        let mut all = self.all.0.lock();
        if self.own.contains(&key) || all.young.contains(&key) || all.old.contains(&key) {
            return Identity::Known;
        }
        if !all.pending.insert(key) {
            return Identity::Pending;
        }
        self.own.insert(key);
        self.mine.push(key);
        Identity::New
    }

    /// Those that `is_stored` says so of are created, the others given back. It is told which of the new ids it is, in
    /// the order they were asked for.
    pub(crate) fn keep(mut self, mut is_stored: impl FnMut(usize) -> bool, now_ns: i64) {
        let mine = std::mem::take(&mut self.mine);
        let shared = self.all.clone();
        let mut all = shared.0.lock();
        for (i, key) in mine.into_iter().enumerate() {
            all.pending.remove(&key);
            if is_stored(i) {
                all.turn(now_ns);
                all.young.insert(key);
            }
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        if !self.mine.is_empty() {
            let mut all = self.all.0.lock();
            for key in &self.mine {
                all.pending.remove(key);
            }
        }
    }
}

impl Inner {
    fn turn(&mut self, now_ns: i64) {
        if self.young.len() >= MAX_IDS || now_ns.saturating_sub(self.turned_ns) > TURN_NS {
            self.old = std::mem::take(&mut self.young);
            self.turned_ns = now_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_once_its_document_is_stored_and_pending_until_then() {
        let all = Identities::default();
        let mut first = all.claims(&TenantId::default());
        assert_eq!(first.identify("i", "a"), Identity::New);
        assert_eq!(first.identify("i", "b"), Identity::New);
        assert_eq!(first.identify("i", "a"), Identity::Known);
        let mut second = all.claims(&TenantId::default());
        assert_eq!(second.identify("i", "a"), Identity::Pending);
        first.keep(|i| i == 0, 0);
        assert_eq!(second.identify("i", "a"), Identity::Known);
        assert_eq!(second.identify("i", "b"), Identity::New);
        drop(second);
        assert_eq!(all.claims(&TenantId::default()).identify("i", "b"), Identity::New);
        assert_eq!(all.claims(&TenantId::new("x").unwrap()).identify("i", "a"), Identity::New);
    }

    #[test]
    fn ids_are_forgotten_within_an_hour() {
        let all = Identities::default();
        for (id, at) in [("a", 0), ("b", TURN_NS + 1), ("c", 2 * TURN_NS + 2)] {
            let mut one = all.claims(&TenantId::default());
            assert_eq!(one.identify("i", id), Identity::New);
            one.keep(|_| true, at);
        }
        let mut later = all.claims(&TenantId::default());
        assert_eq!(later.identify("i", "a"), Identity::New);
        assert_eq!(later.identify("i", "b"), Identity::Known);
    }
}
