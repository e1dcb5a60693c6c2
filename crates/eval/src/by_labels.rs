//! Maps by label sets. Label sets are one run of bytes, which XXH3 hashes several times as fast as the hasher of
//! the standard library; its seed differs from process to process, so senders cannot make labels that collide.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hasher, RandomState},
    sync::OnceLock,
};

use model::Labels;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub type ByLabels<V> = HashMap<Labels, V, LabelsState>;
pub type LabelSet<'a> = HashSet<&'a Labels, LabelsState>;

#[derive(Debug, Clone, Copy)]
pub struct LabelsState(u64);

impl Default for LabelsState {
    fn default() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        LabelsState(*SEED.get_or_init(|| RandomState::new().hash_one(0)))
    }
}

impl BuildHasher for LabelsState {
    type Hasher = LabelsHasher;

    fn build_hasher(&self) -> LabelsHasher {
        LabelsHasher(self.0)
    }
}

#[derive(Debug)]
pub struct LabelsHasher(u64);

impl Hasher for LabelsHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The length that comes before the bytes.
    fn write_usize(&mut self, n: usize) {
        self.0 = self.0.wrapping_add(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
