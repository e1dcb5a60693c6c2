//! The primitives of the encoding, writing side. Layouts are drawn in [`super`].

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::LazyLock,
};

use super::{MAX_SYMBOL, NativeError};

pub(super) struct Writer<'a> {
    out: Vec<u8>,
    /// Number of each symbol, counting from 1.
    symbols: HashMap<&'a [u8], u64, Xxh3>,
}

/// XXH3 with a seed that no sender knows: symbols are short, and looked up for every series of a batch.
#[derive(Clone, Copy)]
struct Xxh3(u64);

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

impl BuildHasher for Xxh3 {
    type Hasher = Xxh3;

    fn build_hasher(&self) -> Xxh3 {
        *self
    }
}

impl Hasher for Xxh3 {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    /// The length before the bytes tells nothing that they do not.
    fn write_usize(&mut self, _: usize) {}
}

impl<'a> Writer<'a> {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Writer { out: Vec::with_capacity(bytes), symbols: HashMap::with_hasher(Xxh3(*SEED)) }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn byte(&mut self, b: u8) {
        self.out.push(b);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    pub(super) fn varint(&mut self, mut v: u64) {
        if v < 0x80 {
            self.out.push(v as u8);
            return;
        }
        let (mut made, mut n) = ([0u8; 10], 0);
        for slot in &mut made {
            n += 1;
            if v < 0x80 {
                *slot = v as u8;
                break;
            }
            *slot = v as u8 | 0x80;
            v >>= 7;
        }
        self.out.extend_from_slice(made.get(..n).unwrap_or_default());
    }

    /// A float as its length and so many of its bytes, highest first; the others are zero.
    #[inline]
    pub(super) fn short_float(&mut self, v: f64) {
        let bits = v.to_bits();
        let n = 8 - bits.trailing_zeros() as usize / 8;
        let mut made = [0u8; 9];
        made[0] = n as u8;
        made[1..].copy_from_slice(&bits.to_be_bytes());
        self.out.extend_from_slice(made.get(..=n).unwrap_or_default());
    }

    pub(super) fn zigzag(&mut self, v: i64) {
        self.varint(((v << 1) ^ (v >> 63)) as u64);
    }

    pub(super) fn count(&mut self, n: usize) {
        self.varint(n as u64);
    }

    pub(super) fn float(&mut self, v: f64) {
        self.varint(v.to_bits().swap_bytes());
    }

    pub(super) fn bytes(&mut self, b: &[u8]) {
        self.count(b.len());
        self.raw(b);
    }

    pub(super) fn text(&mut self, s: &str) {
        self.bytes(s.as_bytes());
    }

    pub(super) fn string(&mut self, s: &'a str) {
        self.string_bytes(s.as_bytes());
    }

    /// The bytes must be UTF-8.
    pub(super) fn string_bytes(&mut self, s: &'a [u8]) {
        let next = self.symbols.len() as u64 + 1;
        if s.len() > MAX_SYMBOL {
            self.varint(next);
            self.bytes(s);
            return;
        }
        match self.symbols.get(s) {
            Some(n) => {
                let n = *n;
                self.varint(n);
            }
            None => {
                self.symbols.insert(s, next);
                self.byte(0);
                self.bytes(s);
            }
        }
    }

    /// Writes `kind`, then what `body` writes with its length before it.
    pub(super) fn sized(
        &mut self,
        kind: u8,
        body: impl FnOnce(&mut Self) -> Result<(), NativeError>,
    ) -> Result<(), NativeError> {
        self.byte(kind);
        let room = Vec::with_capacity(self.out.capacity());
        let before = std::mem::replace(&mut self.out, room);
        body(self)?;
        let body = std::mem::replace(&mut self.out, before);
        self.bytes(&body);
        Ok(())
    }

    /// As [`Writer::sized`], without a copy: the length takes four bytes, whatever it is.
    pub(super) fn sized_in_place(
        &mut self,
        kind: u8,
        body: impl FnOnce(&mut Self) -> Result<(), NativeError>,
    ) -> Result<(), NativeError> {
        self.byte(kind);
        let at = self.out.len();
        self.raw(&[0; 4]);
        body(self)?;
        let bytes = self.out.len() - at - 4;
        if bytes >> 28 != 0 {
            return Err(NativeError::TooLarge { bytes });
        }
        let part = |i: u32| (bytes >> (7 * i)) as u8 & 0x7f | if i < 3 { 0x80 } else { 0 };
        if let Some(length) = self.out.get_mut(at..at + 4) {
            length.copy_from_slice(&[part(0), part(1), part(2), part(3)]);
        }
        Ok(())
    }
}
