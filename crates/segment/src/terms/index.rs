//! The blob `terms`: which blocks of rows have a term.
//!
//! ```text
//! | blocks u32 | rows of a block u32 | reach u64 | entries u64 | pages u32 |
//! | whole: a bit for each block, bytes |
//! | fence: first entry u64 x pages | bytes of each page u16 x pages |
//! | page ... |      page = | k u8 | entry - entry before - 1, Rice-coded with k, x up to 1023 |
//! ```
//! Integers little-endian. A term of 64 bits is scaled to 0..reach, an entry is `scaled * blocks + block`, and entries
//! are distinct and ascend over all pages, so the blocks of a term stand together in a page, or in two. `reach` is such
//! that an entry stands for one in 2^[`SPARE_BITS`] that could be: so often a block is looked at in vain for a term, and
//! an entry takes about that many bits and one and a half (Golomb, "Run-length encodings", 1966). A bit of `whole` is
//! set where a record of the block has more text than is indexed: such a block may have any term.
//!
//! The blob is cut for the seal after the fence and after every page.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::{Need, each, fold, fold_from, of_field};
use crate::{
    Result,
    codec::bits::{BitReader, BitWriter},
    file::{
        File,
        blob::{Blob, BlobRef},
    },
    recent::Recent,
};

pub(crate) const BLOB: &str = "terms";
/// More: fewer blocks looked at in vain, and a bit for each entry.
const SPARE_BITS: u32 = 7;
/// Entries of a page: what one lookup reads and unpacks.
const PAGE: usize = 1024;
/// Bytes of one record's text that are indexed.
const MAX_TEXT: usize = 64 << 10;
/// Bits of a term that are kept while building, beside the number of its block.
const TERM_BITS: u32 = 40;
const MAX_BLOCKS: usize = 1 << (64 - TERM_BITS);
/// Bits by which entries are put in order at a time: few enough for the ends of all heaps to be in the cache.
const RADIX_BITS: u32 = 11;
/// Fewer entries than this are sorted otherwise.
const RADIX_MIN: usize = 1 << 14;
/// Terms remembered as met in a block already, a power of two.
const MET: usize = 1 << 14;
/// Entries that are moved on at once, a power of two.
const FRESH: usize = 256;
const HEADER: usize = 28;

/// Collects the terms of records in the order of their rows.
pub(crate) struct Builder {
    rows_of_block: usize,
    rows: usize,
    /// `term << 24 | block`, blocks ascending, not distinct.
    entries: Vec<u64>,
    met: Box<[u64; MET]>,
    /// Entries on their way to the others, and how many.
    fresh: Box<[u64; FRESH]>,
    taken: usize,
    whole: Vec<u8>,
    text: Vec<u8>,
    field: Vec<u8>,
    values: Recent,
    /// Of fields by their whole value only.
    whole_values: Recent,
}

impl Builder {
    pub(crate) fn new(rows_of_block: usize) -> Self {
        Builder {
            rows_of_block: rows_of_block.max(1),
            rows: 0,
            entries: Vec::new(),
            met: Box::new([u64::MAX; MET]),
            fresh: Box::new([0; FRESH]),
            taken: 0,
            whole: Vec::new(),
            text: Vec::new(),
            field: Vec::new(),
            values: Recent::default(),
            whole_values: Recent::default(),
        }
    }

    /// The number of the block that the next record is in.
    pub(crate) fn block(&self) -> u64 {
        (self.rows / self.rows_of_block) as u64
    }

    /// Whether a term was met already is as good as random: it decides how far is moved on, and not where the program
    /// goes.
    #[inline]
    fn add(&mut self, term: u64) {
        let entry = (term >> (64 - TERM_BITS)) << (64 - TERM_BITS) | self.block();
        let place = (term >> (64 - TERM_BITS)) as usize % MET;
        if let (Some(met), Some(next)) = (self.met.get_mut(place), self.fresh.get_mut(self.taken % FRESH)) {
            *next = entry;
            self.taken += usize::from(*met != entry);
            *met = entry;
        }
        if self.taken == FRESH {
            self.keep_fresh();
        }
    }

    fn keep_fresh(&mut self) {
        self.entries.extend(self.fresh.iter().take(self.taken));
        self.taken = 0;
    }

    /// Words of the next record.
    pub(crate) fn text(&mut self, text: &str) {
        let end = if text.len() <= MAX_TEXT { text.len() } else { text.floor_char_boundary(MAX_TEXT) };
        if end < text.len() {
            self.mark_whole();
        }
        let mut folded = std::mem::take(&mut self.text);
        folded.clear();
        fold(text.get(..end).unwrap_or_default(), &mut folded);
        each(&mut folded, |term| self.add(term));
        self.text = folded;
    }

    /// Terms of the next record.
    pub(crate) fn terms(&mut self, terms: &[u64]) {
        terms.iter().for_each(|term| self.add(*term));
    }

    /// Words of the next record that are in these parts of a text, none of which begins or ends inside of a word. The
    /// text has fewer bytes than are indexed.
    pub(crate) fn parts(&mut self, text: &str, parts: &[std::ops::Range<usize>]) {
        let mut folded = std::mem::take(&mut self.text);
        folded.clear();
        for part in parts {
            folded.extend_from_slice(text.as_bytes().get(part.clone()).unwrap_or_default());
            folded.push(b' ');
        }
        fold_from(&mut folded, 0);
        each(&mut folded, |term| self.add(term));
        self.text = folded;
    }

    /// A field of the next record, and the words of its value.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        if self.values.met(name, value, self.block()) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.field);
        let term = of_field(name, value, &mut buffer);
        self.field = buffer;
        self.add(term);
        self.text(value);
    }

    /// A field of the next record, found by its whole value only.
    pub(crate) fn value(&mut self, name: &str, value: &str) {
        if self.whole_values.met(name, value, self.block()) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.field);
        let term = of_field(name, value, &mut buffer);
        self.field = buffer;
        self.add(term);
    }

    /// The same of an integer, by its digits.
    pub(crate) fn number(&mut self, name: &str, value: i64) {
        let mut digits = [0u8; 20];
        let (mut at, mut left) = (digits.len(), value.unsigned_abs());
        loop {
            at -= 1;
            if let Some(d) = digits.get_mut(at) {
                *d = b'0' + (left % 10) as u8;
            }
            left /= 10;
            if left == 0 || at == 0 {
                break;
            }
        }
        if value < 0 && at > 0 {
            at -= 1;
            digits.iter_mut().skip(at).take(1).for_each(|d| *d = b'-');
        }
        let text = digits.get(at..).and_then(|d| std::str::from_utf8(d).ok());
        self.value(name, text.unwrap_or_default());
    }

    fn mark_whole(&mut self) {
        let block = self.block() as usize;
        if self.whole.len() <= block / 8 {
            self.whole.resize(block / 8 + 1, 0);
        }
        if let Some(byte) = self.whole.get_mut(block / 8) {
            *byte |= 1 << (block % 8);
        }
    }

    /// The next record has been given.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(self.rows_of_block) {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        self.keep_fresh();
    }

    /// The blob, and bytes up to its first page; `None` where there is nothing to find, or too many blocks to number.
    pub(crate) fn finish(mut self) -> Option<(Blob, u32)> {
        self.end_block();
        self.entries = sorted(std::mem::take(&mut self.entries));
        self.entries.dedup();
        let blocks = self.rows.div_ceil(self.rows_of_block);
        if self.entries.is_empty() || blocks > MAX_BLOCKS {
            return None;
        }
        let reach = ((self.entries.len() as u64) << SPARE_BITS).div_ceil(blocks as u64).min(1 << TERM_BITS);
        for entry in &mut self.entries {
            let (term, block) = (*entry >> (64 - TERM_BITS), *entry & (MAX_BLOCKS as u64 - 1));
            *entry = scaled(term, reach) * blocks as u64 + block;
        }
        // Terms that have become one had their blocks one after the other.
        insertion_sort(&mut self.entries);
        self.entries.dedup();
        self.whole.resize(blocks.div_ceil(8), 0);
        Some(encode(&self.entries, blocks, self.rows_of_block, reach, &self.whole))
    }
}

/// Entries whose blocks ascend, in order of terms and then blocks: by the highest bits of terms, which are as good as
/// random, so that few are left to be moved, and none far.
fn sorted(mut entries: Vec<u64>) -> Vec<u64> {
    if entries.len() < RADIX_MIN {
        entries.sort_unstable();
        return entries;
    }
    let mut other = vec![0; entries.len()];
    for shift in [64 - 2 * RADIX_BITS, 64 - RADIX_BITS] {
        let digit = |e: u64| (e >> shift) as usize & ((1 << RADIX_BITS) - 1);
        let mut ends = [0usize; 1 << RADIX_BITS];
        for e in &entries {
            if let Some(n) = ends.get_mut(digit(*e)) {
                *n += 1;
            }
        }
        let mut next = 0;
        for n in &mut ends {
            next += std::mem::replace(n, next);
        }
        for e in &entries {
            if let Some(n) = ends.get_mut(digit(*e)) {
                if let Some(place) = other.get_mut(*n) {
                    *place = *e;
                }
                *n += 1;
            }
        }
        std::mem::swap(&mut entries, &mut other);
    }
    insertion_sort(&mut entries);
    entries
}

/// For what is nearly in order. Where it turns out not to be, as when somebody makes words for it, they are sorted otherwise.
fn insertion_sort(entries: &mut [u64]) {
    let mut moves = entries.len().saturating_mul(32);
    for i in 1..entries.len() {
        let mut at = i;
        while let Some([a, b]) = at.checked_sub(1).and_then(|from| entries.get_mut(from..=at))
            && *a > *b
        {
            std::mem::swap(a, b);
            at -= 1;
            moves = moves.saturating_sub(1);
        }
        if moves == 0 {
            return entries.sort_unstable();
        }
    }
}

/// A term of [`TERM_BITS`] bits on 0..reach.
fn scaled(term: u64, reach: u64) -> u64 {
    ((u128::from(term) * u128::from(reach)) >> TERM_BITS) as u64
}

fn encode(entries: &[u64], blocks: usize, rows_of_block: usize, reach: u64, whole: &[u8]) -> (Blob, u32) {
    let mut packed: Vec<u8> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    for page in entries.chunks(PAGE) {
        encode_page(page, &mut packed);
        ends.push(packed.len());
    }
    let mut bytes = Vec::with_capacity(HEADER + whole.len() + ends.len() * 10 + packed.len());
    bytes.extend_from_slice(&(blocks as u32).to_le_bytes());
    bytes.extend_from_slice(&(rows_of_block as u32).to_le_bytes());
    bytes.extend_from_slice(&reach.to_le_bytes());
    bytes.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(ends.len() as u32).to_le_bytes());
    bytes.extend_from_slice(whole);
    for first in entries.chunks(PAGE).filter_map(|p| p.first()) {
        bytes.extend_from_slice(&first.to_le_bytes());
    }
    let mut start = 0;
    for end in &ends {
        bytes.extend_from_slice(&((end - start) as u16).to_le_bytes());
        start = *end;
    }
    let head = bytes.len();
    bytes.extend_from_slice(&packed);
    let cuts = std::iter::once(head).chain(ends.iter().map(|e| head + e)).map(|c| c as u64).collect();
    (Blob { name: BLOB, bytes, cuts }, head as u32)
}

/// With k within one of the logarithm of the mean gap, the ones of a page are at most twice its entries.
fn encode_page(page: &[u64], out: &mut Vec<u8>) {
    let gaps = || page.windows(2).map(|w| if let [a, b] = w { b - a - 1 } else { 0 });
    let mean = gaps().sum::<u64>() / (page.len() as u64).max(1);
    let k = mean.checked_ilog2().unwrap_or(0);
    out.push(k as u8);
    let mut bits = BitWriter::new(out);
    for gap in gaps() {
        let mut ones = gap >> k;
        while ones >= 32 {
            bits.put(u64::from(u32::MAX), 32);
            ones -= 32;
        }
        // Ones and the zero that ends them.
        bits.put((1 << ones) - 1, ones as u32 + 1);
        bits.put(gap, k);
    }
    bits.finish();
}

/// The entries of a page, given their number and the first, up to one that is at least `until`; `None` where the bytes
/// are no page.
fn decode_page(bytes: &[u8], first: u64, entries: usize, until: u64) -> Option<Vec<u64>> {
    let (k, bytes) = bytes.split_first()?;
    let k = u32::from(*k);
    if k >= 64 {
        return None;
    }
    let mut bits = BitReader::new(bytes);
    let mut out = Vec::with_capacity(entries.min(PAGE));
    out.push(first);
    let mut last = first;
    for _ in 1..entries.min(PAGE) {
        if last >= until {
            break;
        }
        let high = bits.ones()?.checked_mul(1 << k)?;
        last = last.checked_add(high | bits.take(k)?)?.checked_add(1)?;
        out.push(last);
    }
    Some(out)
}

/// Some blocks of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocks {
    bits: Vec<u64>,
    rows_of_block: usize,
}

impl Blocks {
    fn none(blocks: usize, rows_of_block: usize) -> Self {
        Blocks { bits: vec![0; blocks.div_ceil(64)], rows_of_block }
    }

    fn set(&mut self, block: usize) {
        if let Some(word) = self.bits.get_mut(block / 64) {
            *word |= 1 << (block % 64);
        }
    }

    fn join(&mut self, other: &Blocks, how: impl Fn(u64, u64) -> u64) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a = how(*a, *b));
    }

    pub(crate) fn and(mut self, other: &Blocks) -> Blocks {
        self.join(other, |a, b| a & b);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits.iter().all(|w| *w == 0)
    }

    pub(crate) fn has(&self, block: usize) -> bool {
        self.bits.get(block / 64).is_some_and(|w| w >> (block % 64) & 1 == 1)
    }

    /// The parts of a range of rows that lie in these blocks, ascending.
    pub(crate) fn within(
        &self,
        rows: std::ops::Range<usize>,
    ) -> impl Iterator<Item = std::ops::Range<usize>> {
        let size = self.rows_of_block;
        (rows.start / size..rows.end.div_ceil(size))
            .filter(|b| self.has(*b))
            .map(move |b| rows.start.max(b * size)..rows.end.min((b + 1) * size))
    }
}

/// The index of a segment, open: what stands before the pages.
#[derive(Debug)]
pub(crate) struct Index {
    blocks: usize,
    rows_of_block: usize,
    reach: u64,
    entries: u64,
    whole: Bytes,
    first: Vec<u64>,
    /// Where each page begins in the file, and the last one ends.
    pages: Vec<u64>,
}

impl Index {
    /// Reads what stands before the pages, `head` bytes.
    pub(crate) async fn open(file: &File, head: u32, rows: usize) -> Result<Self> {
        let blob = file.blob_ref(BLOB).ok_or_else(|| file.corrupt("a blob terms"))?;
        let bytes = file.source.read(blob.offset..blob.offset + u64::from(head).min(blob.length)).await?;
        Self::decode(&bytes, blob, rows).ok_or_else(|| file.corrupt("a fence and pages in the blob terms"))
    }

    fn decode(bytes: &[u8], blob: BlobRef, rows: usize) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let long = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let (blocks, rows_of_block) = (word(0)? as usize, word(4)? as usize);
        let (reach, entries, pages) = (long(8)?, long(16)?, word(24)? as usize);
        let consistent = rows_of_block > 0
            && rows.div_ceil(rows_of_block) == blocks
            && blocks <= MAX_BLOCKS
            && reach <= 1 << TERM_BITS
            && entries.div_ceil(PAGE as u64) == pages as u64;
        if !consistent {
            return None;
        }
        let (whole, rest) = rest.split_at_checked(blocks.div_ceil(8))?;
        let (fence, lengths) = rest.split_at_checked(pages.checked_mul(8)?)?;
        let first: Vec<u64> = fence.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        if lengths.len() != pages * 2 || !first.is_sorted() {
            return None;
        }
        let mut at = blob.offset + bytes.len() as u64;
        let mut places = vec![at];
        for length in lengths.as_chunks::<2>().0 {
            at += u64::from(u16::from_le_bytes(*length));
            places.push(at);
        }
        let whole = Bytes::copy_from_slice(whole);
        let index = Index { blocks, rows_of_block, reach, entries, whole, first, pages: places };
        (at == blob.offset + blob.length).then_some(index)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.whole.len() + (self.first.len() + self.pages.len()) * 8 + std::mem::size_of::<Self>()
    }

    /// The blocks that may have what is needed; `None` where all may. Reads a page or two for each term, all at once, and
    /// unpacks them until nothing is left.
    pub(crate) async fn blocks(&self, file: &File, need: &Need) -> Result<Option<Blocks>> {
        let mut terms = BTreeSet::new();
        need.terms(&mut terms);
        let mut pages: Vec<usize> = terms.iter().flat_map(|t| self.place(*t).1).collect();
        pages.sort_unstable();
        pages.dedup();
        let range = |p: &usize| Some(*self.pages.get(*p)?..*self.pages.get(p + 1)?);
        let read = file.source.read_many(pages.iter().filter_map(range).collect()).await?;
        let pages: HashMap<usize, Bytes> = pages.into_iter().zip(read).collect();
        self.having(&pages, need).ok_or_else(|| file.corrupt("entries in a page of the blob terms"))
    }

    /// The blocks that may have what is needed, the innermost `None` where all may; `None` where a page is none.
    fn having(&self, pages: &HashMap<usize, Bytes>, need: &Need) -> Option<Option<Blocks>> {
        let mut found: Option<Blocks> = None;
        match need {
            Need::Any => {}
            Need::Terms(terms) => {
                for term in terms {
                    let own = self.having_term(pages, *term)?;
                    let rest = found.get_or_insert_with(|| own.clone());
                    rest.join(&own, |a, b| a & b);
                    if rest.is_empty() {
                        break;
                    }
                }
            }
            Need::All(needs) => {
                for need in needs {
                    let Some(own) = self.having(pages, need)? else { continue };
                    let rest = found.get_or_insert_with(|| own.clone());
                    rest.join(&own, |a, b| a & b);
                    if rest.is_empty() {
                        break;
                    }
                }
            }
            Need::OneOf(needs) => {
                for need in needs {
                    let Some(own) = self.having(pages, need)? else { return Some(None) };
                    found.get_or_insert_with(|| own.clone()).join(&own, |a, b| a | b);
                }
            }
        }
        Some(found)
    }

    fn having_term(&self, pages: &HashMap<usize, Bytes>, term: u64) -> Option<Blocks> {
        let mut blocks = self.always();
        let (wanted, of) = self.place(term);
        for number in of {
            let entries = self.entries.saturating_sub((number * PAGE) as u64).min(PAGE as u64) as usize;
            let first = self.first.get(number).copied()?;
            let page = decode_page(pages.get(&number)?, first, entries, wanted.end)?;
            let from = page.partition_point(|e| *e < wanted.start);
            let own = page.iter().skip(from).take_while(|e| **e < wanted.end);
            own.for_each(|e| blocks.set((e - wanted.start) as usize));
        }
        Some(blocks)
    }

    /// The entries a term can have, and the pages they can be in.
    fn place(&self, term: u64) -> (std::ops::Range<u64>, std::ops::Range<usize>) {
        let start = scaled(term >> (64 - TERM_BITS), self.reach) * self.blocks as u64;
        let entries = start..start + self.blocks as u64;
        let first = self.first.partition_point(|f| *f <= entries.start).saturating_sub(1);
        let end = self.first.partition_point(|f| *f < entries.end);
        (entries, first..end)
    }

    /// Blocks that may have any term.
    fn always(&self) -> Blocks {
        let mut blocks = Blocks::none(self.blocks, self.rows_of_block);
        for (i, byte) in self.whole.iter().enumerate().filter(|(_, b)| **b != 0) {
            (0..8).filter(|bit| byte >> bit & 1 == 1).for_each(|bit| blocks.set(i * 8 + bit));
        }
        blocks
    }
}

#[cfg(test)]
mod tests;
