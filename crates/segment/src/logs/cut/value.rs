//! Values of slots as bytes, and back.

use super::scan::MAX_DIGITS;
use crate::codec::bits::{Cursor, put_varint};

/// The number of the first text of so many digits; that of length 1 is 0.
const FIRST: [u64; MAX_DIGITS + 2] = {
    let mut first = [0; MAX_DIGITS + 2];
    let (mut digits, mut power) = (2, 10);
    while digits < first.len() {
        first[digits] = first[digits - 1] + power;
        power *= 10;
        digits += 1;
    }
    first
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Digits, each once and in pairs.
pub(super) fn integer(digits: impl Iterator<Item = u8>) -> u64 {
    digits.fold(0, |n: u64, b| n.wrapping_mul(10).wrapping_add(u64::from(b.wrapping_sub(b'0'))))
}

pub(super) fn put_number(out: &mut Vec<u8>, digits: &[u8]) {
    let first = FIRST.get(digits.len()).copied().unwrap_or(0);
    put_varint(out, first + integer(digits.iter().copied()));
}

/// The digits of a number: how many, and what they are worth.
#[inline]
pub(super) fn take_number(values: &mut Cursor<'_>) -> Option<(usize, u64)> {
    let code = take_varint(values)?;
    let n = match u32::try_from(code) {
        // The first number of n digits is (10^n - 10) / 9.
        Ok(code) if code < u32::MAX / 16 => (code * 9 + 10).ilog10() as usize,
        _ => FIRST.iter().skip(2).position(|first| *first > code)? + 1,
    };
    Some((n, code - FIRST.get(n)?))
}

/// Passes over a number.
#[inline]
pub(super) fn pass_number(values: &mut Cursor<'_>) -> Option<()> {
    take_varint(values).map(|_| ())
}

/// Up to four bytes at once, without asking each whether it is the last.
#[inline]
fn take_varint(values: &mut Cursor<'_>) -> Option<u64> {
    const ENDS: u32 = 0x8080_8080;
    let Some(four) = values.0.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)) else {
        return values.varint();
    };
    let ends = !four & ENDS;
    if ends == 0 {
        return values.varint();
    }
    let bits = ends.trailing_zeros() + 1;
    let own = four & (u32::MAX >> (32 - bits)) & !ENDS;
    values.0 = values.0.get(bits as usize / 8..).unwrap_or_default();
    Some(u64::from(own & 0x7f | own >> 1 & 0x3f80 | own >> 2 & 0x1f_c000 | own >> 3 & 0xfe0_0000))
}

pub(super) fn push_digits(out: &mut Vec<u8>, count: usize, mut value: u64) {
    let from = out.len();
    out.resize(from + count, b'0');
    for place in out.iter_mut().skip(from).rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Bytes that any number of so many digits takes.
pub(super) fn width(digits: usize) -> usize {
    let nines = 10u64.checked_pow(digits as u32).map_or(u64::MAX, |p| p - 1);
    (64 - nines.leading_zeros() as usize).div_ceil(8)
}

pub(super) fn put_wide(out: &mut Vec<u8>, digits: usize, value: u64) {
    let bytes = value.to_be_bytes();
    out.extend_from_slice(bytes.get(8 - width(digits)..).unwrap_or_default());
}

pub(super) fn take_wide(values: &mut Cursor<'_>, digits: usize) -> Option<u64> {
    let bytes = values.take(width(digits))?;
    Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

/// Hex digits in pairs; whatever stands between them is left out.
pub(super) fn put_hex(out: &mut Vec<u8>, text: &[u8]) {
    let digit = |b: u8| if b.is_ascii_digit() { b - b'0' } else { b.wrapping_sub(b'a' - 10) };
    if let (pairs, []) = text.as_chunks::<2>() {
        out.extend(pairs.iter().map(|[a, b]| digit(*a) << 4 | (digit(*b) & 15)));
    }
}

pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or(b'0');
    out.extend(bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]));
}

/// Bytes of the groups of a UUID.
pub(crate) const UUID_GROUPS: [usize; 5] = [4, 2, 2, 2, 6];

pub(super) fn put_uuid(out: &mut Vec<u8>, text: &[u8]) {
    text.split(|b| *b == b'-').for_each(|group| put_hex(out, group));
}

pub(super) fn push_uuid(out: &mut Vec<u8>, mut bytes: &[u8]) {
    for (i, n) in UUID_GROUPS.into_iter().enumerate() {
        let (group, rest) = bytes.split_at_checked(n).unwrap_or_default();
        if i > 0 {
            out.push(b'-');
        }
        push_hex(out, group);
        bytes = rest;
    }
}
