//! Bytes told apart by what they are, 64 at a time: a bit for each, the first the lowest.

use fearless_simd::{Level, dispatch, prelude::*, u8x64};

/// Bytes looked at together.
pub(crate) const WIDE: usize = 64;

/// Bits of a line.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    pub digits: Vec<u64>,
    /// ASCII letters and digits.
    pub plain: Vec<u64>,
    /// Whether there is a byte of less than the limit.
    pub low: bool,
}

impl Classes {
    /// Tells the bytes of a line apart, and whether one is less than `limit`.
    pub(crate) fn tell(&mut self, line: &[u8], limit: u8) {
        self.digits.clear();
        self.plain.clear();
        self.low = false;
        dispatch!(Level::new(), simd => self.tell_by(simd, line, limit));
    }

    #[inline(always)]
    fn tell_by<S: Simd>(&mut self, simd: S, line: &[u8], limit: u8) {
        let mut low = 0;
        for chunk in line.chunks(WIDE) {
            let (bytes, before) = load(simd, line, chunk);
            let digits = digits(bytes);
            self.digits.push(digits.to_bitmask() >> before);
            self.plain.push((digits | letters(bytes)).to_bitmask() >> before);
            low |= bytes.simd_lt(limit).to_bitmask() >> before & (u64::MAX >> (WIDE - chunk.len()));
        }
        self.low = low != 0;
    }
}

/// Fills in which bytes are part of a word, as [`super::in_word`] says, for as many as there is room.
pub(crate) fn words(text: &[u8], out: &mut [u64]) {
    dispatch!(Level::new(), simd => words_by(simd, text, out));
}

#[inline(always)]
fn words_by<S: Simd>(simd: S, text: &[u8], out: &mut [u64]) {
    for (chunk, out) in text.chunks(WIDE).zip(out) {
        let (bytes, before) = load(simd, text, chunk);
        let other = bytes.simd_eq(b'_') | bytes.simd_ge(0x80);
        *out = (digits(bytes) | letters(bytes) | other).to_bitmask() >> before;
    }
}

#[inline(always)]
fn digits<S: Simd>(bytes: u8x64<S>) -> <u8x64<S> as SimdBase<S>>::Mask {
    (bytes - b'0').simd_lt(10)
}

#[inline(always)]
fn letters<S: Simd>(bytes: u8x64<S>) -> <u8x64<S> as SimdBase<S>>::Mask {
    ((bytes | 0x20) - b'a').simd_lt(26)
}

/// A chunk of a text. Where it is shorter than others, bytes before it come with it, and their number; where there are
/// none, it has zeros behind it.
#[inline(always)]
fn load<S: Simd>(simd: S, text: &[u8], chunk: &[u8]) -> (u8x64<S>, usize) {
    match (chunk.first_chunk::<WIDE>(), text.last_chunk::<WIDE>()) {
        (Some(whole), _) => (u8x64::simd_from(simd, *whole), 0),
        (None, Some(last)) => (u8x64::simd_from(simd, *last), WIDE - chunk.len()),
        (None, None) => {
            let mut padded = [0; WIDE];
            if let Some(own) = padded.get_mut(..chunk.len()) {
                own.copy_from_slice(chunk);
            }
            (u8x64::simd_from(simd, padded), 0)
        }
    }
}
