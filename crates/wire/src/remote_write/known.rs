//! Series that a sender repeats, so that their labels are not read anew with every sample.
//!
//! A sender writes the labels of a series with the same bytes each time, and its series mostly in the same
//! order. A known series is found by a keyed hash of those bytes, 128 bits wide, so that its labels need not be
//! looked at: the series that followed last time is expected to follow again, as many bytes as it has are
//! hashed, and only where that is another series is it looked up. Only what is not found is read.
//!
//! A series is known only when its bytes are what its labels are written as, pair by pair in order, so no
//! label set is known twice. A request that writes labels in any other way is read without this.
//!
//! Each known series has a number, which goes along as a hint ([`model::metric::SeriesHints`]).

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, RandomState},
};

use base::hash::AsIs;
use model::{
    Labels, MetricBatch,
    metric::{LabelBounds, SeriesHints},
};

use super::first_label;
use crate::{Limits, protobuf::take_varint};

const NONE: u32 = u32::MAX;

/// See the module. One holds the series of one tenant; it forgets all of them when they become too many.
pub struct KnownSeries {
    entries: Vec<Entry>,
    /// The first entry of each low half of a hash's low half.
    by_hash: HashMap<u32, u32, BuildHasherDefault<AsIs>>,
    /// The entry met last.
    cursor: u32,
    bytes: usize,
    max_bytes: usize,
    /// What the entries were checked by.
    limits: Limits,
    /// Who gives the numbers: another one each time that all are forgotten.
    source: u64,
    /// Samples of the request before: the next one will have as many.
    samples: usize,
    /// Keys the hash: nobody outside can choose label sets that collide.
    secret: Box<[u8; SECRET_BYTES]>,
}

/// What XXH3 takes without deriving another one from it.
const SECRET_BYTES: usize = 192;

struct Entry {
    labels: Labels,
    /// Of the bytes.
    hash: [u64; 2],
    length: u32,
    /// Next entry of the same place in the map.
    chain: u32,
    /// The entry that followed last time.
    successor: u32,
    /// Its index in the batch that met it last.
    index: u32,
}

/// What an entry takes beside its labels, its place in the map included.
const ENTRY_BYTES: usize = std::mem::size_of::<Entry>() + 18;

/// The bytes of a series' labels, and their hash.
#[derive(Clone, Copy)]
struct Written<'a> {
    raw: &'a [u8],
    hash: [u64; 2],
}

impl KnownSeries {
    /// Holds about `max_bytes` at most.
    pub fn new(max_bytes: usize) -> Self {
        let random = RandomState::new();
        let mut secret = Box::new([0; SECRET_BYTES]);
        for (i, part) in secret.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *part = random.hash_one(i).to_le_bytes();
        }
        KnownSeries {
            entries: Vec::new(),
            by_hash: HashMap::default(),
            cursor: NONE,
            bytes: 0,
            max_bytes,
            limits: Limits::default(),
            source: random.hash_one("source"),
            samples: 0,
            secret,
        }
    }

    /// Bytes held, labels included although others may hold them too.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Before each request of `body_bytes`.
    pub(super) fn begin(&mut self, limits: &Limits, body_bytes: usize, batch: &mut MetricBatch) {
        if self.limits != *limits || self.bytes > self.max_bytes {
            *self = KnownSeries { limits: limits.clone(), ..KnownSeries::new(self.max_bytes) };
        }
        // A sample with its framing takes 13 bytes at least.
        let expected = self.samples.min(body_bytes / 13);
        batch.samples.reserve(expected);
        batch.series.reserve(expected.min(self.entries.len()));
        let checked = LabelBounds {
            labels: limits.max_labels,
            name_bytes: limits.max_label_name_bytes,
            value_bytes: limits.max_label_value_bytes,
        };
        let numbers = Vec::with_capacity(expected.min(self.entries.len()));
        batch.hints = Some(SeriesHints { source: self.source, numbers, checked: Some(checked) });
    }

    /// After each request that was read.
    pub(super) fn end(&mut self, batch: &MetricBatch) {
        self.samples = batch.samples.len();
    }

    /// The known series that a message begins with: its index in the batch, and what follows its labels. What
    /// follows is a sample, an exemplar or a histogram.
    pub(super) fn find<'b>(&mut self, body: &'b [u8], batch: &mut MetricBatch) -> Option<(u32, &'b [u8])> {
        let expected = self.entries.get(self.cursor as usize).map_or(NONE, |e| e.successor);
        let mut tried = None;
        if let Some(e) = self.entries.get(expected as usize)
            && let Some((raw, items)) = body.split_at_checked(e.length as usize)
            && begins_item(items)
        {
            let written = Written { raw, hash: self.hash(raw) };
            let at = if e.hash == written.hash { expected } else { self.look_up(written) };
            // Bytes that are some series' labels end where they do.
            if at != NONE {
                return Some((self.meet(at, batch)?, items));
            }
            tried = Some(raw.len());
        }
        let (raw, items) = split(body)?;
        if tried == Some(raw.len()) {
            return None;
        }
        let at = self.look_up(Written { raw, hash: self.hash(raw) });
        Some((self.meet(at, batch)?, items))
    }

    /// Adds a series that was read from these bytes. `None`: it is written in a way that cannot be known again.
    pub(super) fn add(&mut self, raw: &[u8], labels: Labels, batch: &mut MetricBatch) -> Option<u32> {
        let length = u32::try_from(raw.len()).ok()?;
        if !is_written_as(&labels, raw) || self.entries.len() >= NONE as usize {
            return None;
        }
        let at = self.entries.len() as u32;
        let hash = self.hash(raw);
        let chain = self.by_hash.insert(hash[0] as u32, at).unwrap_or(NONE);
        self.bytes += ENTRY_BYTES + labels.packed_len();
        self.entries.push(Entry { labels, hash, length, chain, successor: NONE, index: NONE });
        self.meet(at, batch)
    }

    fn look_up(&self, written: Written<'_>) -> u32 {
        let mut at = self.by_hash.get(&(written.hash[0] as u32)).copied().unwrap_or(NONE);
        while let Some(e) = self.entries.get(at as usize)
            && (e.hash != written.hash || e.length as usize != written.raw.len())
        {
            at = e.chain;
        }
        at
    }

    fn meet(&mut self, at: u32, batch: &mut MetricBatch) -> Option<u32> {
        let e = self.entries.get_mut(at as usize)?;
        let hints = batch.hints.as_mut()?;
        if hints.numbers.get(e.index as usize) != Some(&at) {
            hints.numbers.push(at);
            batch.series.push(e.labels.clone());
            e.index = (batch.series.len() - 1) as u32;
        }
        let index = e.index;
        if let Some(before) = self.entries.get_mut(self.cursor as usize)
            && before.successor != at
        {
            before.successor = at;
        }
        self.cursor = at;
        Some(index)
    }

    #[inline]
    fn hash(&self, raw: &[u8]) -> [u64; 2] {
        let hash = xxhash_rust::xxh3::xxh3_128_with_secret(raw, &*self.secret);
        [hash as u64, (hash >> 64) as u64]
    }
}

/// Parts the labels of a series message from what follows. `None` where that is no sample, exemplar or
/// histogram, which is not usual.
pub(super) fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut items = body;
    while let Some((_, rest)) = first_label(items) {
        items = rest;
    }
    let raw = body.get(..body.len() - items.len())?;
    begins_item(items).then_some((raw, items))
}

fn begins_item(fields: &[u8]) -> bool {
    matches!(fields, [0x12 | 0x1a | 0x22, ..])
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

fn after_label<'a>(raw: &'a [u8], name: &[u8], value: &[u8]) -> Option<&'a [u8]> {
    let (mut body, rest) = first_label(raw)?;
    body = after_text(body, 0x0a, name)?;
    body = after_text(body, 0x12, value)?;
    body.is_empty().then_some(rest)
}

fn after_text<'a>(bytes: &'a [u8], tag: u8, text: &[u8]) -> Option<&'a [u8]> {
    let (first, mut rest) = bytes.split_first()?;
    let length = take_varint(&mut rest).ok()?;
    (*first == tag && length == text.len() as u64).then_some(())?;
    rest.strip_prefix(text)
}
