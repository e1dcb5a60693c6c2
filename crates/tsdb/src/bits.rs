//! Bits of a chunk, highest first, and the variable-width numbers made of them.

use crate::{Fault, cursor};

pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

/// Widths of `varbit` numbers by the count of leading ones in their prefix.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    pub(crate) fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// The next `n` bits, at most 64.
    pub(crate) fn bits(&mut self, n: u32) -> Result<u64, Fault> {
        if n == 0 {
            return Ok(0);
        }
        let end = self.at + n as usize;
        let last = (end - 1) / 8;
        let bytes = self.bytes.get(self.at / 8..=last).ok_or(cursor::SHORT)?;
        // At most nine bytes.
        let value = bytes.iter().fold(0u128, |v, b| v << 8 | u128::from(*b));
        self.at = end;
        Ok((value >> ((last + 1) * 8 - end) & ((1u128 << n) - 1)) as u64)
    }

    pub(crate) fn bit(&mut self) -> Result<bool, Fault> {
        Ok(self.bits(1)? == 1)
    }

    /// How many ones come before a zero; after `max` ones no zero is expected.
    pub(crate) fn ones(&mut self, max: u32) -> Result<u32, Fault> {
        let mut n = 0;
        while n < max && self.bit()? {
            n += 1;
        }
        Ok(n)
    }

    pub(crate) fn uvarint(&mut self) -> Result<u64, Fault> {
        cursor::uvarint(|| self.bits(8).map(|b| b as u8))
    }

    pub(crate) fn varint(&mut self) -> Result<i64, Fault> {
        self.uvarint().map(cursor::unzigzag)
    }

    /// A signed number of `n` bits as chunks hold them: the lowest pattern means `+2^(n-1)`, not its negative.
    pub(crate) fn signed(&mut self, n: u32) -> Result<i64, Fault> {
        let v = self.bits(n)? as i64;
        Ok(if n < 64 && n > 0 && v > 1 << (n - 1) { v - (1 << n) } else { v })
    }

    pub(crate) fn varbit_int(&mut self) -> Result<i64, Fault> {
        let width = self.width()?;
        self.signed(width)
    }

    pub(crate) fn varbit_uint(&mut self) -> Result<u64, Fault> {
        let width = self.width()?;
        self.bits(width)
    }

    fn width(&mut self) -> Result<u32, Fault> {
        let ones = self.ones(8)?;
        WIDTHS.get(ones as usize).copied().ok_or(cursor::SHORT)
    }
}

/// The last window of meaningful bits of a run of XORed values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    leading: u32,
    trailing: u32,
}

impl Window {
    /// `varbit_xor`: what to XOR the value before with.
    pub(crate) fn xor(&mut self, b: &mut Bits<'_>) -> Result<u64, Fault> {
        if !b.bit()? {
            return Ok(0);
        }
        if b.bit()? { self.renewed(b) } else { self.same(b) }
    }

    pub(crate) fn same(&mut self, b: &mut Bits<'_>) -> Result<u64, Fault> {
        Ok(b.bits(64 - self.leading - self.trailing)? << self.trailing)
    }

    pub(crate) fn renewed(&mut self, b: &mut Bits<'_>) -> Result<u64, Fault> {
        let leading = b.bits(5)? as u32;
        // 64 does not fit into six bits and is written as 0.
        let length = match b.bits(6)? as u32 {
            0 => 64,
            n => n,
        };
        let trailing = 64u32.checked_sub(leading + length).ok_or("a value has more than 64 bits")?;
        *self = Window { leading, trailing };
        self.same(b)
    }
}
