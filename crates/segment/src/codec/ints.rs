//! Integers, losslessly: differences of order 0, 1 or 2, divided by their common divisor, bit-packed in
//! blocks with exceptions patched. Arithmetic wraps, so every input is encodable.
//!
//! ```text
//! | 16 | order u8 | seeds: zigzag varint x order | divisor varint | blocks ... |
//!
//!   block of up to 128 residuals r = base + divisor * (packed | high << width)
//!   | base zigzag varint | width u8 | exceptions u8 | packed: ceil(n * width / 8) bytes |
//!   | exceptions x ( index u8, high varint ) |
//! ```
//! Order 1 codes each value's difference to the one before, order 2 the difference of differences; the seeds
//! are the first value and the first difference. Divisor 0 means that every residual is the one base of the
//! only block header that follows (constant values, constant steps): the chunk ends there.

use super::bits::{BitReader, BitWriter, Cursor, put_signed, put_varint, varint_len};

pub(crate) const PACKED: u8 = 16;
const BLOCK: usize = 128;

/// Appends the chunk.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let mut best: Option<Vec<u8>> = None;
    let mut residuals = values.to_vec();
    let mut seeds = Vec::new();
    for order in 0..=2u8 {
        if order > 0 {
            if residuals.is_empty() {
                break;
            }
            seeds.push(difference(&mut residuals));
        }
        let mut made = vec![PACKED, order];
        seeds.iter().for_each(|s| put_signed(&mut made, *s));
        encode_residuals(&residuals, &mut made);
        if best.as_ref().is_none_or(|b| made.len() < b.len()) {
            best = Some(made);
        }
    }
    out.extend_from_slice(&best.unwrap_or_default());
}

/// Replaces values by the differences between neighbours and returns the first one.
fn difference(values: &mut Vec<i64>) -> i64 {
    let first = values.first().copied().unwrap_or(0);
    let mut before = first;
    for v in values.iter_mut().skip(1) {
        let now = *v;
        *v = now.wrapping_sub(before);
        before = now;
    }
    if !values.is_empty() {
        values.remove(0);
    }
    first
}

fn encode_residuals(residuals: &[i64], out: &mut Vec<u8>) {
    let (Some(min), Some(max)) = (residuals.iter().min(), residuals.iter().max()) else {
        put_varint(out, 1);
        return;
    };
    if min == max {
        put_varint(out, 0);
        put_signed(out, *min);
        return;
    }
    let divisor =
        residuals.iter().fold(0u64, |g, r| if g == 1 { 1 } else { gcd(g, r.wrapping_sub(*min) as u64) });
    put_varint(out, divisor);
    let mut scaled = Vec::with_capacity(BLOCK);
    for block in residuals.chunks(BLOCK) {
        let base = block.iter().min().copied().unwrap_or(0);
        scaled.clear();
        scaled.extend(block.iter().map(|r| (r.wrapping_sub(base) as u64) / divisor));
        encode_block(base, &scaled, out);
    }
}

fn encode_block(base: i64, scaled: &[u64], out: &mut Vec<u8>) {
    let width = best_width(scaled);
    let exceptions: Vec<(usize, u64)> = scaled
        .iter()
        .enumerate()
        .filter_map(|(i, v)| v.checked_shr(width).filter(|high| *high > 0).map(|high| (i, high)))
        .collect();
    put_signed(out, base);
    out.push(width as u8);
    out.push(exceptions.len() as u8);
    let mut w = BitWriter::new(out);
    scaled.iter().for_each(|v| w.put(*v, width));
    w.finish();
    for (i, high) in exceptions {
        out.push(i as u8);
        put_varint(out, high);
    }
}

/// The width at which packed bits and exceptions together are fewest, among the lengths there are.
fn best_width(scaled: &[u64]) -> u32 {
    let mut of_length = [0usize; 65];
    for v in scaled {
        if let Some(n) = of_length.get_mut(64 - v.leading_zeros() as usize) {
            *n += 1;
        }
    }
    let present: Vec<(u32, usize)> =
        of_length.iter().enumerate().filter(|(_, n)| **n > 0).map(|(bits, n)| (bits as u32, *n)).collect();
    let cost = |width: u32| {
        let longer = present.iter().filter(|(bits, _)| *bits > width);
        let exceptions: usize = longer.map(|(bits, n)| n * (1 + varint_len(1 << (bits - width - 1)))).sum();
        (scaled.len() * width as usize).div_ceil(8) + exceptions
    };
    let widths = present.iter().rev().map(|(bits, _)| *bits).chain([0]);
    widths.min_by_key(|w| cost(*w)).unwrap_or(0)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Decodes `n` values; the input must end with them.
pub(crate) fn decode(bytes: &[u8], n: usize) -> Option<Vec<i64>> {
    let mut c = Cursor(bytes);
    let values = decode_from(&mut c, n)?;
    c.is_empty().then_some(values)
}

/// Decodes `n` values from the front.
pub(crate) fn decode_from(c: &mut Cursor<'_>, n: usize) -> Option<Vec<i64>> {
    if n > super::MAX_SAMPLES || c.byte()? != PACKED {
        return None;
    }
    let order = usize::from(c.byte()?);
    if order > 2 || order > n {
        return None;
    }
    let mut seeds = [0i64; 2];
    for s in seeds.iter_mut().take(order) {
        *s = c.signed()?;
    }
    let mut values = Vec::with_capacity(n);
    values.extend_from_slice(seeds.get(..order)?);
    decode_residuals(c, n - order, &mut values)?;
    match order {
        1 => sum(&mut values, 1),
        2 => {
            sum(values.get_mut(1..)?, 1);
            sum(&mut values, 1);
        }
        _ => {}
    }
    Some(values)
}

/// Running wrapping sum from `from` on.
fn sum(values: &mut [i64], from: usize) {
    let mut before = values.first().copied().unwrap_or(0);
    for v in values.iter_mut().skip(from) {
        before = before.wrapping_add(*v);
        *v = before;
    }
}

fn decode_residuals(c: &mut Cursor<'_>, n: usize, out: &mut Vec<i64>) -> Option<()> {
    let divisor = c.varint()?;
    if divisor == 0 {
        let base = c.signed()?;
        out.extend(std::iter::repeat_n(base, n));
        return Some(());
    }
    let mut left = n;
    while left > 0 {
        let in_block = left.min(BLOCK);
        decode_block(c, divisor, in_block, out)?;
        left -= in_block;
    }
    Some(())
}

fn decode_block(c: &mut Cursor<'_>, divisor: u64, n: usize, out: &mut Vec<i64>) -> Option<()> {
    let base = c.signed()?;
    let width = u32::from(c.byte()?);
    let exceptions = c.byte()?;
    if width > 64 {
        return None;
    }
    let packed = c.take((n * width as usize).div_ceil(8))?;
    let mut scaled = [0u64; BLOCK];
    unpack(packed, width, scaled.get_mut(..n)?)?;
    for _ in 0..exceptions {
        let index = usize::from(c.byte()?);
        let high = c.varint()?;
        *scaled.get_mut(index)? |= high.checked_shl(width)?;
    }
    out.extend(scaled.iter().take(n).map(|v| base.wrapping_add(divisor.wrapping_mul(*v) as i64)));
    Some(())
}

/// Widest values that an unaligned load of eight bytes always holds.
const LOADABLE: usize = 56;

fn unpack(packed: &[u8], width: u32, out: &mut [u64]) -> Option<()> {
    if width as usize > LOADABLE {
        let mut bits = BitReader::new(packed);
        for v in out {
            *v = bits.take(width)?;
        }
        return Some(());
    }
    // Seven more bytes, so that the load of the last value stays inside.
    let mut padded = [0u8; BLOCK * LOADABLE / 8 + 8];
    padded.get_mut(..packed.len())?.copy_from_slice(packed);
    let mask = (1u64 << width) - 1;
    for (i, v) in out.iter_mut().enumerate() {
        let bit = i * width as usize;
        let word = padded.get(bit / 8..)?.first_chunk::<8>()?;
        *v = (u64::from_le_bytes(*word) >> (bit % 8)) & mask;
    }
    Some(())
}
