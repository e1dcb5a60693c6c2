//! Numbers for keys. A key is found by its bytes without making a copy of them, so that what is known already costs
//! one look-up.
//!
//! ```text
//! key := part 0xff part 0xff ...        0xff is in no UTF-8 text, so different parts are different keys
//! ```
//! Number 0 belongs to no key: what found no room is counted under it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Ends each part of a key.
pub(crate) const END: u8 = 0xff;
/// The number of everything that found no room.
pub(crate) const OVERFLOW: u32 = 0;

pub(crate) struct Interner {
    ids: HashMap<Arc<[u8]>, u32, Seeded>,
    keys: Vec<Option<Arc<[u8]>>>,
    free: Vec<u32>,
}

impl Default for Interner {
    fn default() -> Self {
        Interner { ids: HashMap::default(), keys: vec![None], free: Vec::new() }
    }
}

impl Interner {
    pub(crate) fn get(&self, key: &[u8]) -> Option<u32> {
        self.ids.get(key).copied()
    }

    /// The number of a key that may be new.
    pub(crate) fn insert(&mut self, key: &[u8]) -> u32 {
        if let Some(known) = self.get(key) {
            return known;
        }
        let key: Arc<[u8]> = Arc::from(key);
        let id = self.free.pop().unwrap_or(self.keys.len() as u32);
        match self.keys.get_mut(id as usize) {
            Some(place) => *place = Some(key.clone()),
            None => self.keys.push(Some(key.clone())),
        }
        self.ids.insert(key, id);
        id
    }

    pub(crate) fn key(&self, id: u32) -> Option<&[u8]> {
        self.keys.get(id as usize)?.as_deref()
    }

    /// Forgets a key, whose number may then be another's. Answers with its length.
    pub(crate) fn remove(&mut self, id: u32) -> usize {
        let Some(key) = self.keys.get_mut(id as usize).and_then(Option::take) else { return 0 };
        self.ids.remove(&key);
        self.free.push(id);
        key.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.keys.len() as u32).filter(|id| self.key(*id).is_some())
    }
}

/// The parts of a key as text.
pub(crate) fn parts(key: &[u8]) -> impl Iterator<Item = &str> {
    key.split(|b| *b == END).map(|part| std::str::from_utf8(part).unwrap_or_default())
}

/// XXH3 with a seed nobody can know beforehand: keys come from senders.
#[derive(Clone)]
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Seeded(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Seeded {
    type Hasher = Xxh;

    fn build_hasher(&self) -> Xxh {
        Xxh(self.0)
    }
}

pub(crate) struct Xxh(u64);

impl Hasher for Xxh {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// Lengths, which are in the bytes already.
    fn write_usize(&mut self, n: usize) {
        self.0 ^= n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_number_until_it_is_removed() {
        let mut keys = Interner::default();
        let a = keys.insert(b"a");
        let b = keys.insert(b"b");
        assert_eq!((keys.insert(b"a"), keys.get(b"b"), keys.get(b"c")), (a, Some(b), None));
        assert!(a != OVERFLOW && b != OVERFLOW && a != b);
        assert_eq!(keys.remove(a), 1);
        assert_eq!((keys.get(b"a"), keys.key(a), keys.len()), (None, None, 1));
        assert_eq!(keys.insert(b"ccc"), a, "numbers stay dense");
        assert_eq!(keys.numbers().collect::<Vec<_>>(), [a, b]);
    }
}
