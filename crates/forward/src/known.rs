//! Ids of the units that were queued lately. A unit that the store knows already (its sender never heard that it was taken)
//! is queued only if it is not among them: after a crash between the store's log and the queue it is missing here.

use std::collections::{HashMap, VecDeque};

use model::{BatchId, TenantId};
use xxhash_rust::xxh3::Xxh3;

/// As long as the store knows ids, and then some.
const HORIZON_S: u32 = 2 * 3600;
/// More remember longer under many small units, 64 bytes each.
const MAX_IDS: usize = 65_536;

#[derive(Default)]
pub(crate) struct Known {
    units: HashMap<u128, u32>,
    order: VecDeque<(u128, u32)>,
}

impl Known {
    /// What a unit is known by; 0 where it has no id of its own.
    pub(crate) fn key(tenant: &TenantId, id: Option<BatchId>) -> u128 {
        let Some(id) = id else { return 0 };
        let mut hash = Xxh3::new();
        hash.update(tenant.as_str().as_bytes());
        match id {
            BatchId::Numbered { source, epoch, sequence } => {
                hash.update(&[0]);
                [source, epoch, sequence].iter().for_each(|n| hash.update(&n.to_le_bytes()));
            }
            BatchId::Content(content) => {
                hash.update(&[1]);
                hash.update(&content.to_le_bytes());
            }
        }
        hash.digest128().max(1)
    }

    pub(crate) fn contains(&self, key: u128) -> bool {
        self.units.contains_key(&key)
    }

    pub(crate) fn insert(&mut self, key: u128, received_s: u32) {
        if key == 0 {
            return;
        }
        self.units.insert(key, received_s);
        self.order.push_back((key, received_s));
        while let Some((oldest, at)) = self.order.front().copied()
            && (self.order.len() > MAX_IDS || at.saturating_add(HORIZON_S) < received_s)
        {
            self.order.pop_front();
            if self.units.get(&oldest) == Some(&at) {
                self.units.remove(&oldest);
            }
        }
    }

    /// All, oldest first.
    pub(crate) fn all(&self) -> Vec<(u128, u32)> {
        self.order.iter().copied().collect()
    }
}

/// The second of a time in nanoseconds.
pub(crate) fn second(ns: i64) -> u32 {
    u32::try_from(ns.div_euclid(1_000_000_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_for_a_while_and_a_bounded_number_of_them() {
        let tenant = TenantId::default();
        let key = |n| Known::key(&tenant, Some(BatchId::Content(n)));
        let other = TenantId::new("other").unwrap();
        assert_ne!(key(1), Known::key(&other, Some(BatchId::Content(1))));
        let mut known = Known::default();
        known.insert(key(1), 0);
        known.insert(key(2), HORIZON_S);
        assert!(known.contains(key(1)));
        known.insert(key(3), HORIZON_S + 1);
        assert!(!known.contains(key(1)) && known.contains(key(2)));
        known.insert(Known::key(&tenant, None), HORIZON_S + 1);
        assert_eq!(known.all().len(), 2, "what has no id is not known");
        (10..MAX_IDS as u128 + 20).for_each(|n| known.insert(key(n), HORIZON_S + 1));
        assert_eq!(known.all().len(), MAX_IDS);
    }
}
