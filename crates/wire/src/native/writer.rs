//! The primitives of the encoding, writing side. Layouts are drawn in [`super`].

use std::collections::HashMap;

use super::{MAX_SYMBOL, NativeError};

#[derive(Default)]
pub(super) struct Writer<'a> {
    out: Vec<u8>,
    /// Number of each symbol, counting from 1.
    symbols: HashMap<&'a str, u64>,
}

impl<'a> Writer<'a> {
    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn byte(&mut self, b: u8) {
        self.out.push(b);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.out.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.out.push(v as u8);
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
        let next = self.symbols.len() as u64 + 1;
        if s.len() > MAX_SYMBOL {
            self.varint(next);
            self.text(s);
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
                self.text(s);
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
        let before = std::mem::take(&mut self.out);
        body(self)?;
        let body = std::mem::replace(&mut self.out, before);
        self.bytes(&body);
        Ok(())
    }
}
