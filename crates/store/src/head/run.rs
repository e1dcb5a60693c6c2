//! Float samples of one series in ascending time, as a byte string that is only ever appended to.
//!
//! ```text
//! sample: varint zigzag(delta of delta of the timestamp in ms), control byte, 0 to 8 value bytes
//! control 0x00           the value of the sample before
//!         0x10 | n       both values are integers below 2^53: zigzag of their difference, n bytes (1..=8)
//!         0x40 | t<<3 | n-1   XOR with the value before: n bytes (1..=8), then t zero bytes follow (0..=7)
//! ```
//! Before the first sample stand timestamp 0, delta 0 and value +0.0. Value bytes are little-endian. The form
//! lives in memory only and carries no version.

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    bytes: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    last_delta: i64,
    last_bits: u64,
}

/// Largest magnitude at which every integer has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Run {
    /// Appends a sample later than the last one. The caller keeps the order.
    pub(crate) fn push(&mut self, timestamp_ms: i64, value: f64) {
        let delta = timestamp_ms.wrapping_sub(self.last_ms);
        let mut made = Made::default();
        made.varint(zigzag(delta.wrapping_sub(self.last_delta)));
        self.encode_value(value, &mut made);
        self.append(made.bytes());
        if self.count == 0 {
            self.first_ms = timestamp_ms;
            // The first delta is the distance from 1970 and predicts nothing.
            self.last_delta = 0;
        } else {
            self.last_delta = delta;
        }
        self.count += 1;
        self.last_ms = timestamp_ms;
        self.last_bits = value.to_bits();
    }

    /// There are very many runs, so each has little room to spare: an eighth, in the steps of the allocator.
    fn append(&mut self, made: &[u8]) {
        let (len, room) = (self.bytes.len(), self.bytes.capacity() - self.bytes.len());
        if room < made.len() {
            self.bytes.reserve_exact((len + made.len() + len / 8).next_multiple_of(16) - len);
        }
        self.bytes.extend_from_slice(made);
    }

    fn encode_value(&self, value: f64, made: &mut Made) {
        let bits = value.to_bits();
        let before = f64::from_bits(self.last_bits);
        if bits == self.last_bits {
            made.byte(0);
        } else if let (Some(a), Some(b)) = (as_integer(before), as_integer(value)) {
            let le = zigzag(b - a).to_le_bytes();
            let n = 8 - le.iter().rev().take_while(|b| **b == 0).count();
            made.byte(0x10 | n as u8);
            made.extend(&le[..n]);
        } else {
            let xor = bits ^ self.last_bits;
            let trailing = (xor.trailing_zeros() / 8) as usize;
            let n = 8 - trailing - (xor.leading_zeros() / 8) as usize;
            made.byte(0x40 | (trailing as u8) << 3 | (n - 1) as u8);
            made.extend(&(xor >> (8 * trailing)).to_le_bytes()[..n]);
        }
    }

    pub(crate) fn last_bits(&self) -> u64 {
        self.last_bits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Samples in order.
    pub(crate) fn iter(&self) -> Samples<'_> {
        #[cfg(test)]
        tests::DECODED.with(|n| n.set(n.get() + 1));
        Samples { bytes: &self.bytes, left: self.count, first: true, last_ms: 0, last_delta: 0, last_bits: 0 }
    }
}

/// An integer that survives the way there and back, the sign of zero included.
fn as_integer(v: f64) -> Option<i64> {
    (v.abs() < EXACT && v.fract() == 0.0 && !(v == 0.0 && v.is_sign_negative())).then_some(v as i64)
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// One encoded sample: a varint of at most 10 bytes, the control byte, and 8 of the value.
#[derive(Default)]
struct Made {
    held: [u8; 19],
    len: usize,
}

impl Made {
    fn byte(&mut self, b: u8) {
        if let Some(slot) = self.held.get_mut(self.len) {
            *slot = b;
            self.len += 1;
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.byte(*b));
    }

    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.byte(v as u8 | 0x80);
            v >>= 7;
        }
        self.byte(v as u8);
    }

    fn bytes(&self) -> &[u8] {
        self.held.get(..self.len).unwrap_or_default()
    }
}

/// See [`Run::iter`]. The bytes are our own; were they damaged, it would end early.
pub(crate) struct Samples<'a> {
    bytes: &'a [u8],
    left: u32,
    first: bool,
    last_ms: i64,
    last_delta: i64,
    last_bits: u64,
}

impl Samples<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&b, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(b)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            v |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }

    fn little_endian(&mut self, n: usize) -> Option<u64> {
        let (head, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        let mut le = [0; 8];
        le.get_mut(..n)?.copy_from_slice(head);
        Some(u64::from_le_bytes(le))
    }
}

impl Iterator for Samples<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<(i64, f64)> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let delta = unzigzag(self.varint()?).wrapping_add(self.last_delta);
        self.last_ms = self.last_ms.wrapping_add(delta);
        self.last_delta = if self.first { 0 } else { delta };
        self.first = false;
        let control = self.byte()?;
        self.last_bits = match control {
            0 => self.last_bits,
            c if c & 0x40 != 0 => {
                let xor = self.little_endian(usize::from(c & 7) + 1)?;
                self.last_bits ^ (xor << (8 * u32::from(c >> 3 & 7)))
            }
            c => {
                let by = unzigzag(self.little_endian(usize::from(c & 0xf))?);
                ((f64::from_bits(self.last_bits) as i64).wrapping_add(by) as f64).to_bits()
            }
        };
        Some((self.last_ms, f64::from_bits(self.last_bits)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    thread_local! {
        /// Runs that this thread began to decode: what a look-up must not do once per sample.
        pub(crate) static DECODED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    fn round_trip(samples: &[(i64, u64)]) {
        let mut run = Run::default();
        for (t, bits) in samples {
            run.push(*t, f64::from_bits(*bits));
        }
        let back: Vec<_> = run.iter().map(|(t, v)| (t, v.to_bits())).collect();
        assert_eq!(back, samples);
    }

    #[test]
    fn every_kind_of_value_comes_back_bit_for_bit() {
        let values = [
            0.0,
            -0.0,
            1.0,
            f64::NAN,
            model::stale_marker(),
            f64::INFINITY,
            -7.25,
            9_007_199_254_740_991.0,
            -9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            1e300,
            5e-324,
            0.1,
            0.30000000000000004,
        ];
        let samples: Vec<_> =
            values.iter().enumerate().map(|(i, v)| (i as i64 * 15_000 - 40_000, v.to_bits())).collect();
        round_trip(&samples);
    }

    #[test]
    fn a_steady_counter_takes_about_three_bytes_a_sample() {
        let mut run = Run::default();
        for i in 0..1000 {
            run.push(1_700_000_000_000 + i * 15_000, (i * 17) as f64);
        }
        assert!(run.bytes.len() < 3100, "{}", run.bytes.len());
    }

    proptest! {
        #[test]
        fn any_samples_come_back(
            samples in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..60)
        ) {
            round_trip(&samples);
        }
    }
}
