//! Float chunks: XOR and XOR2.
//!
//! ```text
//! XOR    count: 16 | t0: varint | v0: 64 | t1 - t0: uvarint | xor | then per sample: dod | xor
//! XOR2   count: 16 | starts: 8 | t0: varint | v0: 64 | ?start | t1 - t0: uvarint | xor2 | ?start
//!        then per sample: control, maybe dod, maybe xor2 | ?start
//! ```

use model::metric::{is_stale_marker, stale_marker};

use super::{FloatPoint, count, start::Starts};
use crate::{
    Fault,
    bits::{Bits, Window},
    cursor,
};

pub(super) fn xor(data: &[u8]) -> Result<Vec<FloatPoint>, Fault> {
    let (n, rest) = count(data)?;
    let mut b = Bits::new(rest);
    let mut out = Vec::with_capacity(usize::from(n).min(b.left() / 2));
    let (mut t, mut delta, mut value, mut window) = (0i64, 0i64, 0u64, Window::default());
    for i in 0..n {
        match i {
            0 => {
                t = b.varint()?;
                value = b.bits(64)?;
            }
            1 => delta = b.uvarint()? as i64,
            _ => delta = delta.wrapping_add(dod(&mut b)?),
        }
        if i > 0 {
            t = t.wrapping_add(delta);
            value ^= window.xor(&mut b)?;
        }
        out.push(FloatPoint { timestamp_ms: t, start_ms: 0, value: f64::from_bits(value) });
    }
    Ok(out)
}

/// `varbit_ts`: the change of the distance between samples.
fn dod(b: &mut Bits<'_>) -> Result<i64, Fault> {
    let width = match b.ones(4)? {
        0 => 0,
        1 => 14,
        2 => 17,
        3 => 20,
        _ => 64,
    };
    b.signed(width)
}

pub(super) fn xor2(data: &[u8]) -> Result<Vec<FloatPoint>, Fault> {
    let (n, rest) = count(data)?;
    let (&header, rest) = rest.split_first().ok_or(cursor::SHORT)?;
    let mut b = Bits::new(rest);
    let mut starts = Starts::new(header);
    let mut out = Vec::with_capacity(usize::from(n).min(b.left()));
    let (mut t, mut before, mut delta) = (0i64, 0i64, 0i64);
    let mut values = Xor2::default();
    for i in 0..usize::from(n) {
        let value = match i {
            0 => {
                t = b.varint()?;
                values.first(f64::from_bits(b.bits(64)?))
            }
            1 => {
                delta = b.uvarint()? as i64;
                t = t.wrapping_add(delta);
                values.changed(&mut b)?
            }
            _ => {
                let control = b.ones(5)?;
                let width = match control {
                    2 => 13,
                    3 => 20,
                    4 => 64,
                    _ => 0,
                };
                delta = delta.wrapping_add(twos_complement(b.bits(width)?, width));
                t = t.wrapping_add(delta);
                match control {
                    0 => values.same(),
                    1 => values.surely_changed(&mut b)?,
                    5 => stale_marker(),
                    _ => values.changed(&mut b)?,
                }
            }
        };
        let start_ms = starts.next(&mut b, i, t, before)?;
        before = t;
        out.push(FloatPoint { timestamp_ms: t, start_ms, value });
    }
    Ok(out)
}

/// Unlike in XOR chunks, the lowest pattern is negative.
fn twos_complement(v: u64, width: u32) -> i64 {
    if width == 0 || width >= 64 {
        return v as i64;
    }
    ((v << (64 - width)) as i64) >> (64 - width)
}

/// Staleness markers have a code of their own, so the value that others are XORed with is the last real one.
#[derive(Default)]
struct Xor2 {
    baseline: u64,
    window: Window,
}

impl Xor2 {
    fn first(&mut self, v: f64) -> f64 {
        if !is_stale_marker(v) {
            self.baseline = v.to_bits();
        }
        v
    }

    fn same(&self) -> f64 {
        f64::from_bits(self.baseline)
    }

    fn by(&mut self, difference: u64) -> f64 {
        self.baseline ^= difference;
        self.same()
    }

    fn changed(&mut self, b: &mut Bits<'_>) -> Result<f64, Fault> {
        match b.ones(3)? {
            0 => Ok(self.same()),
            1 => {
                let difference = self.window.same(b)?;
                Ok(self.by(difference))
            }
            2 => {
                let difference = self.window.renewed(b)?;
                Ok(self.by(difference))
            }
            _ => Ok(stale_marker()),
        }
    }

    fn surely_changed(&mut self, b: &mut Bits<'_>) -> Result<f64, Fault> {
        let difference = if b.bit()? { self.window.renewed(b)? } else { self.window.same(b)? };
        Ok(self.by(difference))
    }
}
