//! Varints and bit streams. Varints are LEB128; bit streams fill bytes from the low bit.

pub(crate) fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, v: i64) {
    put_varint(out, zigzag(v));
}

pub(crate) fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

pub(crate) fn unzigzag(v: u64) -> i64 {
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

/// Bytes a varint takes.
pub(crate) fn varint_len(v: u64) -> usize {
    (64 - (v | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads from the front; `None` at the end of the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        let (&b, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(b)
    }

    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub fn u64_le(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub fn varint(&mut self) -> Option<u64> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            v |= u64::from(b & 0x7f).checked_shl(shift)?;
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }

    pub fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// A count that the remaining input must be able to hold at one bit or more each.
    pub fn count(&mut self, max: usize) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|n| *n <= max)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends values of up to 64 bits.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u128,
    bits: u32,
}

impl<'a> BitWriter<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        BitWriter { out, held: 0, bits: 0 }
    }

    /// The low `width` bits of `v`; width is at most 64.
    pub fn put(&mut self, v: u64, width: u32) {
        let v = if width >= 64 { v } else { v & ((1 << width) - 1) };
        self.held |= u128::from(v) << self.bits;
        self.bits += width;
        while self.bits >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.bits -= 8;
        }
    }

    /// Pads the last byte with zeros.
    pub fn finish(self) {
        if self.bits > 0 {
            self.out.push(self.held as u8);
        }
    }
}

/// Takes values of up to 64 bits.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    input: &'a [u8],
    held: u128,
    bits: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        BitReader { input, held: 0, bits: 0 }
    }

    /// Ones up to the next zero, which is taken with them.
    pub fn ones(&mut self) -> Option<u64> {
        let mut all = 0;
        loop {
            let ones = self.held.trailing_ones().min(self.bits);
            all += u64::from(ones);
            if ones < self.bits {
                // With the zero they are at most as many bits as are held.
                self.held = self.held.checked_shr(ones + 1).unwrap_or(0);
                self.bits -= ones + 1;
                return Some(all);
            }
            (self.held, self.bits) = (0, 0);
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Option<()> {
        if let Some((word, rest)) = self.input.split_first_chunk::<8>()
            && self.bits <= 64
        {
            self.held |= u128::from(u64::from_le_bytes(*word)) << self.bits;
            self.bits += 64;
            self.input = rest;
        } else {
            let (&b, rest) = self.input.split_first()?;
            self.held |= u128::from(b) << self.bits;
            self.bits += 8;
            self.input = rest;
        }
        Some(())
    }

    pub fn take(&mut self, width: u32) -> Option<u64> {
        while self.bits < width {
            self.fill()?;
        }
        let v = self.held as u64;
        let v = if width >= 64 { v } else { v & ((1 << width) - 1) };
        self.held >>= width;
        self.bits -= width;
        Some(v)
    }
}
