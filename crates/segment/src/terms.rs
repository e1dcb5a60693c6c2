//! What text is found by: terms, which records are indexed under, and what a search needs of them.
//!
//! A run of ASCII letters, digits, `_` and bytes above 127 is a word. Words are compared without case, as patterns
//! may be. A word of less than [`LONG`] bytes is one term. A longer one is several: of every [`WINDOW`] neighbouring
//! grams of [`GRAM`] bytes the one with the smallest hash (winnowing: Schleimer, Wilkerson, Aiken, "Winnowing: Local
//! Algorithms for Document Fingerprinting", SIGMOD 2003). So any text of [`LONG`] bytes of a word, such as an id that a
//! line has glued to something, has a term that the word has too, and finding it needs no boundaries.
//!
//! A term is a hash: of two that are equal one may be meant, so what terms find is looked at again.

pub(crate) mod classes;
pub(crate) mod index;
mod need;

use std::cell::Cell;

use xxhash_rust::xxh3::xxh3_64;

pub use need::Need;
pub(crate) use need::has_text;

/// Bytes of a word from which on parts of it are terms.
pub(crate) const LONG: usize = 16;
/// Bytes of such a part.
const GRAM: usize = 8;
/// Neighbouring parts of which one is a term: any [`LONG`] bytes hold so many.
const WINDOW: usize = LONG - GRAM + 1;

/// Whether a byte is part of a word.
pub(crate) fn in_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

/// Text without case, appended. Beside ASCII these are the two letters that patterns without case take for ASCII ones:
/// the Kelvin sign and the long s.
pub(crate) fn fold(text: &str, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(text.as_bytes());
    fold_from(out, from);
}

/// The same of text that is there already, from a byte on that begins a character.
pub(crate) fn fold_from(out: &mut Vec<u8>, from: usize) {
    let Some(added) = out.get_mut(from..) else { return };
    added.make_ascii_lowercase();
    if added.is_ascii() {
        return;
    }
    let text = String::from_utf8_lossy(added);
    if text.contains(['\u{212a}', '\u{17f}']) {
        let plain = text.replace('\u{212a}', "k").replace('\u{17f}', "s");
        out.truncate(from);
        out.extend_from_slice(plain.as_bytes());
    }
}

/// The terms of folded text, some more than once. Given back as it was.
pub(crate) fn each(folded: &mut Vec<u8>, f: impl FnMut(u64)) {
    let len = folded.len();
    // Zeros are in no word, and a number of bytes that is known is looked at faster.
    folded.resize((len + 1).next_multiple_of(classes::WIDE), 0);
    each_padded(folded, f);
    folded.truncate(len);
}

/// The same of text that has zeros behind it.
fn each_padded(folded: &[u8], mut f: impl FnMut(u64)) {
    /// Bytes told apart at once.
    const AT_ONCE: usize = 16 * classes::WIDE;
    // Where a word begins, while one is under way.
    let mut begins = None;
    let mut edge = |at: usize| match begins.take() {
        None => begins = Some(at),
        Some(start) if at - start < LONG => f(of_short(folded, start, at)),
        Some(start) => each_long(folded.get(start..at).unwrap_or_default(), &mut f),
    };
    let mut inside = 0;
    let mut bits = [0; AT_ONCE / classes::WIDE];
    for (start, piece) in (0..).step_by(AT_ONCE).zip(folded.chunks(AT_ONCE)) {
        classes::words(piece, &mut bits);
        let chunks = piece.len() / classes::WIDE;
        for (at, words) in (start..).step_by(classes::WIDE).zip(bits.iter().take(chunks)) {
            // Bits where a byte is unlike the one before it.
            let mut edges = words ^ (words << 1 | inside);
            inside = words >> 63;
            while edges != 0 {
                edge(at + edges.trailing_zeros() as usize);
                edges &= edges - 1;
            }
        }
    }
}

/// The term of a short word.
pub(crate) fn of_word(word: &[u8]) -> u64 {
    let mut padded = [0u8; LONG];
    if let Some(own) = padded.get_mut(..word.len()) {
        own.copy_from_slice(word);
    }
    of_padded(u128::from_le_bytes(padded), word.len())
}

/// The term of a short word inside of a text, mostly without copying a number of bytes that is not known before.
#[inline]
fn of_short(text: &[u8], start: usize, end: usize) -> u64 {
    match text.get(start..).and_then(<[u8]>::first_chunk::<LONG>) {
        Some(chunk) => {
            let own = (1 << (8 * (end - start))) - 1;
            of_padded(u128::from_le_bytes(*chunk) & own, end - start)
        }
        None => of_word(text.get(start..end).unwrap_or_default()),
    }
}

#[inline]
fn of_padded(all: u128, len: usize) -> u64 {
    // The length tells apart what ends in zeros.
    mixed(all as u64 ^ mixed((all >> 64) as u64 ^ len as u64))
}

/// The terms of [`LONG`] or more bytes of a word, some more than once.
pub(crate) fn each_long(word: &[u8], f: &mut impl FnMut(u64)) {
    /// Windows looked at together.
    const AT_ONCE: usize = 64;
    let mut hashes = [0; AT_ONCE + WINDOW - 1];
    let mut said = None;
    let mut rest = word;
    while rest.len() >= LONG {
        let mut n = 0;
        for (slot, gram) in hashes.iter_mut().zip(rest.windows(GRAM)) {
            *slot = gram.first_chunk().map_or(0, |g| mixed(u64::from_le_bytes(*g)));
            n += 1;
        }
        // Each becomes the least of two, four, eight and at last nine neighbours, without a branch.
        let held = Cell::from_mut(hashes.get_mut(..n).unwrap_or_default()).as_slice_of_cells();
        for reach in [1, 2, 4, 1] {
            n -= reach;
            let (own, further) = (held.iter().take(n), held.iter().skip(reach));
            own.zip(further).for_each(|(own, further)| own.set(own.get().min(further.get())));
        }
        for least in held.iter().take(n).map(Cell::get) {
            if said != Some(least) {
                f(least);
                said = Some(least);
            }
        }
        rest = rest.get(n..).unwrap_or_default();
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The term of a field with a value. The name is one that LogQL knows it by; the value counts as it is, with case.
pub(crate) fn of_field(name: &str, value: &str, buffer: &mut Vec<u8>) -> u64 {
    buffer.clear();
    // No word begins so.
    buffer.push(b'=');
    push_name(name, buffer);
    buffer.push(b'=');
    buffer.extend_from_slice(value.as_bytes());
    xxh3_64(buffer)
}

/// An attribute's name as a label may have it, as Loki writes it: everything but ASCII letters, digits and `_` is `_`,
/// and a leading digit has one in front.
pub(crate) fn name(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len() + 1);
    push_name(key, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn push_name(name: &str, out: &mut Vec<u8>) {
    let name = name.trim();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push(b'_');
    }
    let plain = |b: u8| if b.is_ascii_alphanumeric() { b } else { b'_' };
    match name.is_ascii() {
        // Byte by byte, many at once.
        true => out.extend(name.as_bytes().iter().map(|b| plain(*b))),
        false => out.extend(name.chars().map(|c| u8::try_from(c).map_or(b'_', plain))),
    }
}

#[cfg(test)]
mod tests;
