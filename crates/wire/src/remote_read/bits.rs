//! Bits, most significant first, as TSDB chunks hold them (`prometheus/tsdb/docs/format/chunks.md`).

#[derive(Debug, Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// Bits of the last byte that are still free.
    free: u32,
}

impl BitWriter {
    /// A writer that goes on behind whole bytes.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        BitWriter { bytes, free: 0 }
    }

    pub(super) fn bit(&mut self, one: bool) {
        self.bits(u64::from(one), 1);
    }

    /// The low `n` bits of `value`, at most 64.
    pub(super) fn bits(&mut self, value: u64, n: u32) {
        let mut left = n.min(64);
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = left.min(self.free);
            let piece = (value >> (left - take)) & ((1u64 << take) - 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (piece as u8) << (self.free - take);
            }
            self.free -= take;
            left -= take;
        }
    }

    pub(super) fn uvarint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.bits(v & 0x7f | 0x80, 8);
            v >>= 7;
        }
        self.bits(v, 8);
    }

    pub(super) fn varint(&mut self, v: i64) {
        self.uvarint(((v << 1) ^ (v >> 63)) as u64);
    }

    /// A signed number in one of nine widths, the width told by the ones before it.
    pub(super) fn varbit_int(&mut self, v: i64) {
        let widths = [(0b10, 2, 3), (0b110, 3, 6), (0b1110, 4, 9), (0b11110, 5, 12), (0b11_1110, 6, 18)];
        let wide = [(0b111_1110, 7, 25), (0b1111_1110, 8, 56)];
        if v == 0 {
            return self.bit(false);
        }
        match widths.iter().chain(&wide).find(|(_, _, bits)| fits(v, *bits)) {
            Some((prefix, length, bits)) => {
                self.bits(*prefix, *length);
                self.bits(v as u64, *bits);
            }
            None => {
                self.bits(0xff, 8);
                self.bits(v as u64, 64);
            }
        }
    }

    /// An unsigned number, likewise.
    pub(super) fn varbit_uint(&mut self, v: u64) {
        let widths = [(0b10, 2, 3), (0b110, 3, 6), (0b1110, 4, 9), (0b11110, 5, 12), (0b11_1110, 6, 18)];
        let wide = [(0b111_1110, 7, 25), (0b1111_1110, 8, 56)];
        if v == 0 {
            return self.bit(false);
        }
        match widths.iter().chain(&wide).find(|(_, _, bits)| v < 1u64 << bits) {
            Some((prefix, length, bits)) => {
                self.bits(*prefix, *length);
                self.bits(v, *bits);
            }
            None => {
                self.bits(0xff, 8);
                self.bits(v, 64);
            }
        }
    }
}

/// Whether a number has a place among the `2^bits` around zero, one more above than below.
pub(super) fn fits(v: i64, bits: u32) -> bool {
    -((1i64 << (bits - 1)) - 1) <= v && v <= 1i64 << (bits - 1)
}

/// A float told by how it differs from the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Xor {
    value: f64,
    /// Zeros around the last difference that was written whole.
    window: Option<(u32, u32)>,
}

impl Xor {
    pub(super) fn new(value: f64) -> Self {
        Xor { value, window: None }
    }

    pub(super) fn write(&mut self, w: &mut BitWriter, value: f64) {
        let delta = value.to_bits() ^ self.value.to_bits();
        self.value = value;
        if delta == 0 {
            return w.bit(false);
        }
        w.bit(true);
        // Five bits hold the leading zeros.
        let (leading, trailing) = (delta.leading_zeros().min(31), delta.trailing_zeros());
        if let Some((before, after)) = self.window
            && leading >= before
            && trailing >= after
        {
            w.bit(false);
            return w.bits(delta >> after, 64 - before - after);
        }
        self.window = Some((leading, trailing));
        let significant = 64 - leading - trailing;
        w.bit(true);
        w.bits(u64::from(leading), 5);
        // 64 does not fit into six bits and is written as 0.
        w.bits(u64::from(significant), 6);
        w.bits(delta >> trailing, significant);
    }
}
