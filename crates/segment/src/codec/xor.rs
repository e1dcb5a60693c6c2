//! Floats as differences to the value before, for values that are not short decimals (Gorilla, VLDB 2015).
//!
//! ```text
//! | 3 | bit stream |
//!   first value: 64 bits. Then per value, x = bits xor bits before:
//!     0                                                 x = 0
//!     1 0 | meaningful bits                             inside the window of the last 1 1
//!     1 1 | leading zeros: 6 | length - 1: 6 | bits     a new window
//! ```

use super::bits::{BitReader, BitWriter};

pub(crate) const XOR: u8 = 3;

/// Appends the chunk.
pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) {
    out.push(XOR);
    let mut w = BitWriter::new(out);
    let mut before: Option<u64> = None;
    // Leading and trailing zeros of the current window; none fits before the first is set.
    let mut window: Option<(u32, u32)> = None;
    for v in values {
        let bits = v.to_bits();
        let Some(last) = before.replace(bits) else {
            w.put(bits, 64);
            continue;
        };
        let x = bits ^ last;
        if x == 0 {
            w.put(0, 1);
            continue;
        }
        let (lead, trail) = (x.leading_zeros(), x.trailing_zeros());
        match window {
            // A window much wider than needed costs more than a new one.
            Some((l, t)) if l <= lead && t <= trail && (lead - l) + (trail - t) < 12 => {
                w.put(0b01, 2);
                w.put(x >> t, 64 - l - t);
            }
            _ => {
                let length = 64 - lead - trail;
                w.put(0b11, 2);
                w.put(u64::from(lead), 6);
                w.put(u64::from(length - 1), 6);
                w.put(x >> trail, length);
                window = Some((lead, trail));
            }
        }
    }
    w.finish();
}

/// Decodes the payload after the codec byte.
pub(crate) fn decode(payload: &[u8], n: usize) -> Option<Vec<f64>> {
    // Every value takes a bit at least, so input bounds memory.
    if n > payload.len().saturating_mul(8) {
        return None;
    }
    let mut r = BitReader::new(payload);
    let mut values = Vec::with_capacity(n);
    let mut bits = 0u64;
    let mut window = (0u32, 0u32);
    for i in 0..n {
        if i == 0 {
            bits = r.take(64)?;
        } else if r.take(1)? == 1 {
            if r.take(1)? == 1 {
                let lead = r.take(6)? as u32;
                let length = r.take(6)? as u32 + 1;
                window = (lead, 64u32.checked_sub(lead + length)?);
            }
            let x = r.take(64 - window.0 - window.1)?;
            bits ^= x.checked_shl(window.1)?;
        }
        values.push(f64::from_bits(bits));
    }
    Some(values)
}
