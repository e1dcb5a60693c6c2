//! Series that a sender repeats, so that their labels are not read anew with every sample.
//!
//! A sender writes the labels of a series with the same bytes each time, and its series mostly in the same
//! order. So the series that followed last time is expected to follow again: comparing its labels with the
//! bytes costs a tenth of reading them, and finding it needs no hash. A miss is looked up by the hash of the
//! bytes; only what is not found is read.
//!
//! Bytes are taken for a known series only when they are what its labels are written as, pair by pair in
//! order. A request that writes labels in any other way is read without this.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, RandomState},
};

use model::{Labels, MetricBatch};

use crate::{Limits, protobuf::take_varint, series::AsIs};

const NONE: u32 = u32::MAX;

/// See the module. One holds the series of one tenant; it forgets all of them when they become too many.
pub struct KnownSeries {
    entries: Vec<Entry>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    /// The entry met last.
    cursor: u32,
    /// Number of the request being read.
    request: u64,
    bytes: usize,
    max_bytes: usize,
    /// What the entries were checked by.
    limits: Limits,
    /// Keeps a sender from choosing label sets whose hashes collide.
    seed: u64,
}

struct Entry {
    labels: Labels,
    /// Next entry with the same hash.
    chain: u32,
    /// The entry that followed last time.
    successor: u32,
    /// The request that met it last, and its index in that request's batch.
    request: u64,
    index: u32,
}

/// What an entry takes beside its labels, its place in the map included.
const ENTRY_BYTES: usize = std::mem::size_of::<Entry>() + 24;

impl KnownSeries {
    /// Holds about `max_bytes` at most.
    pub fn new(max_bytes: usize) -> Self {
        KnownSeries {
            entries: Vec::new(),
            by_hash: HashMap::default(),
            cursor: NONE,
            request: 0,
            bytes: 0,
            max_bytes,
            limits: Limits::default(),
            seed: RandomState::new().hash_one(0),
        }
    }

    /// Bytes held, labels included although others may hold them too.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Before each request.
    pub(super) fn begin(&mut self, limits: &Limits) {
        if self.limits != *limits || self.bytes > self.max_bytes {
            let (max_bytes, seed) = (self.max_bytes, self.seed);
            *self = KnownSeries { limits: limits.clone(), seed, ..KnownSeries::new(max_bytes) };
        }
        self.request += 1;
    }

    /// The index in the batch of the series whose labels these bytes are, if it is known.
    pub(super) fn find(&mut self, raw: &[u8], batch: &mut MetricBatch) -> Option<u32> {
        let expected = self.entries.get(self.cursor as usize).map_or(NONE, |e| e.successor);
        let at = match self.entries.get(expected as usize) {
            Some(e) if is_written_as(&e.labels, raw) => expected,
            _ => {
                let mut at = self.by_hash.get(&self.hash(raw)).copied().unwrap_or(NONE);
                while let Some(e) = self.entries.get(at as usize)
                    && !is_written_as(&e.labels, raw)
                {
                    at = e.chain;
                }
                at
            }
        };
        self.meet(at, batch)
    }

    /// Adds a series that was read from these bytes. `None`: it is written in a way that cannot be known again.
    pub(super) fn add(&mut self, raw: &[u8], labels: Labels, batch: &mut MetricBatch) -> Option<u32> {
        if !is_written_as(&labels, raw) || self.entries.len() >= NONE as usize {
            return None;
        }
        let at = self.entries.len() as u32;
        let chain = self.by_hash.insert(self.hash(raw), at).unwrap_or(NONE);
        self.bytes += ENTRY_BYTES + labels.packed_len();
        self.entries.push(Entry { labels, chain, successor: NONE, request: 0, index: 0 });
        self.meet(at, batch)
    }

    fn meet(&mut self, at: u32, batch: &mut MetricBatch) -> Option<u32> {
        let request = self.request;
        let e = self.entries.get_mut(at as usize)?;
        if e.request != request {
            (e.request, e.index) = (request, batch.push_series(e.labels.clone()));
        }
        let index = e.index;
        if let Some(before) = self.entries.get_mut(self.cursor as usize) {
            before.successor = at;
        }
        self.cursor = at;
        Some(index)
    }

    fn hash(&self, raw: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(raw, self.seed)
    }
}

/// Whether the bytes are these labels as a sequence of label messages: names in order, nothing empty, nothing
/// beside name and value.
fn is_written_as(labels: &Labels, mut raw: &[u8]) -> bool {
    for (name, value) in labels.iter_bytes() {
        let Some(rest) = after_label(raw, name, value) else { return false };
        raw = rest;
    }
    raw.is_empty()
}

#[inline]
fn after_label<'a>(raw: &'a [u8], name: &[u8], value: &[u8]) -> Option<&'a [u8]> {
    let (mut body, rest) = super::first_label(raw)?;
    body = after_text(body, 0x0a, name)?;
    body = after_text(body, 0x12, value)?;
    body.is_empty().then_some(rest)
}

#[inline]
fn after_text<'a>(bytes: &'a [u8], tag: u8, text: &[u8]) -> Option<&'a [u8]> {
    let (first, mut rest) = bytes.split_first()?;
    let length = take_varint(&mut rest).ok()?;
    (*first == tag && length == text.len() as u64).then_some(())?;
    rest.strip_prefix(text)
}
