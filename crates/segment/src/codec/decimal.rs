//! Floats as integers over a power of ten: what people and exporters write down is short in decimal.
//!
//! ```text
//! | 2 | exponent e: u8 | exceptions varint | x ( index gap varint, bits u64 ) | integer chunk |
//!   value = integer / 10^e, 0 <= e <= 15
//! ```
//! A value takes part only when that expression gives it back to the bit. The others (NaN with any payload,
//! infinities, -0.0, more digits than fit) are exceptions with their bits as they are; the integer in
//! their place repeats the one before.

use super::{bits::Cursor, bits::put_varint, ints};

pub(crate) const DECIMAL: u8 = 2;

/// Powers of ten that are exact in a float.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// More decimals than this give integers that pack worse than the XOR codec.
const MAX_EXPONENT: i8 = 15;
/// Above this the float's own spacing is wider than one and the integer would not say the value.
const MAX_INTEGER: f64 = 9.0e18;

/// Appends the chunk, or nothing and `false` when too many values are exceptions to be worth it.
pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) -> bool {
    let Some(exponent) = common_exponent(values) else { return false };
    let mut integers = Vec::with_capacity(values.len());
    let mut exceptions = Vec::new();
    // Leading exceptions repeat the first integer that follows, so that differences stay small.
    let mut before = values.iter().find_map(|v| to_integer(*v, exponent)).unwrap_or(0);
    for (i, v) in values.iter().enumerate() {
        match to_integer(*v, exponent) {
            Some(x) => before = x,
            None => exceptions.push((i, v.to_bits())),
        }
        integers.push(before);
    }
    if exceptions.len() * 4 > values.len() + 8 {
        return false;
    }
    out.push(DECIMAL);
    out.push(exponent as u8);
    put_varint(out, exceptions.len() as u64);
    let mut last = 0;
    for (i, bits) in exceptions {
        put_varint(out, (i - last) as u64);
        out.extend_from_slice(&bits.to_le_bytes());
        last = i;
    }
    ints::encode(&integers, out);
    true
}

/// Decodes the payload after the codec byte.
pub(crate) fn decode(payload: &[u8], n: usize) -> Option<Vec<f64>> {
    let mut c = Cursor(payload);
    let exponent = c.byte()? as i8;
    if !(0..=MAX_EXPONENT).contains(&exponent) {
        return None;
    }
    let count = c.count(n)?;
    let mut patches = Vec::with_capacity(count.min(payload.len() / 9));
    let mut at = 0usize;
    for _ in 0..count {
        at = at.checked_add(usize::try_from(c.varint()?).ok()?)?;
        patches.push((at, c.u64_le()?));
    }
    let integers = ints::decode(c.0, n)?;
    let power = *POWERS.get(exponent as usize)?;
    let mut values: Vec<f64> = integers.into_iter().map(|x| x as f64 / power).collect();
    for (i, bits) in patches {
        *values.get_mut(i)? = f64::from_bits(bits);
    }
    Some(values)
}

/// The integer that gives the value back exactly at this exponent.
fn to_integer(v: f64, exponent: i8) -> Option<i64> {
    let power = *POWERS.get(usize::try_from(exponent).ok()?)?;
    let scaled = (v * power).round();
    // NaN is not smaller than anything and drops out here.
    let x = (scaled.abs() < MAX_INTEGER).then_some(scaled as i64)?;
    ((x as f64 / power).to_bits() == v.to_bits()).then_some(x)
}

/// The smallest exponent at which all values fit, save a few that are then exceptions.
fn common_exponent(values: &[f64]) -> Option<i8> {
    let mut need = [0usize; MAX_EXPONENT as usize + 1];
    let mut misfits = 0usize;
    let mut start = 0i8;
    for v in values {
        // Neighbours mostly need the same number of digits; fewer is looked for only when that fits.
        let found = if start > 0 && to_integer(*v, start - 1).is_none() && to_integer(*v, start).is_some() {
            Some(start)
        } else {
            (0..=MAX_EXPONENT).find(|e| to_integer(*v, *e).is_some())
        };
        match found {
            Some(e) => {
                start = e;
                if let Some(n) = need.get_mut(e as usize) {
                    *n += 1;
                }
            }
            None => misfits += 1,
        }
    }
    if misfits == values.len() {
        return None;
    }
    // An outlier of many digits would widen every integer; one in sixty-four may be patched instead.
    let allowed = values.len() / 64;
    let mut beyond = 0;
    for e in (0..=MAX_EXPONENT).rev() {
        let here = need.get(e as usize).copied().unwrap_or(0);
        if beyond + here > allowed {
            return Some(e);
        }
        beyond += here;
    }
    Some(0)
}
