//! Histogram chunks. All samples of a chunk share a layout; what follows per sample is
//!
//! ```text
//! integer   t: dod | count: dod | zero count: dod | sum: xor | buckets: dod of their deltas     | ?start
//! float     t: dod | count: xor | zero count: xor | sum: xor | buckets: xor, a window for each  | ?start
//! ```
//! where the first sample holds everything as it is. A sample whose sum is the staleness marker ends there.

use model::{Histogram, histogram::ResetHint, metric::is_stale_marker};

use super::{
    HistogramPoint, count,
    layout::{self, Layout},
    start::Starts,
};
use crate::{
    Fault,
    bits::{Bits, Window},
    cursor,
};

pub(super) fn decode(encoding: u8, data: &[u8]) -> Result<Vec<HistogramPoint>, Fault> {
    let (n, rest) = count(data)?;
    let (&third, rest) = rest.split_first().ok_or(cursor::SHORT)?;
    // With start timestamps the flags move into the two highest bits of the count.
    let with_starts = encoding >= 5;
    let (n, flags, mut starts) = match with_starts {
        true => (n & 0x3fff, (n >> 14) as u8, Starts::new(third)),
        false => (n, third >> 6, Starts::default()),
    };
    if n == 0 {
        return Ok(Vec::new());
    }
    let mut b = Bits::new(rest);
    let layout = layout::read(&mut b)?;
    let sizes = (layout::buckets(&layout.positive), layout::buckets(&layout.negative));
    if sizes.0 + sizes.1 > b.left() {
        return Err("a histogram names more buckets than the chunk has room for");
    }
    let mut counts = match encoding {
        2 | 5 => Counts::Integers(Integers::new(sizes)),
        _ => Counts::Floats(Floats::new(sizes)),
    };
    let mut out = Vec::with_capacity(usize::from(n).min(b.left()));
    let mut before = 0;
    for i in 0..usize::from(n) {
        let (timestamp_ms, mut histogram) = match &mut counts {
            Counts::Integers(c) => c.next(&mut b, i, &layout)?,
            Counts::Floats(c) => c.next(&mut b, i, &layout)?,
        };
        histogram.reset_hint = hint(flags, i);
        let start_ms = starts.next(&mut b, i, timestamp_ms, before)?;
        before = timestamp_ms;
        out.push(HistogramPoint { timestamp_ms, start_ms, histogram });
    }
    Ok(out)
}

/// Inside a chunk of a counter nothing resets. What the chunk says about its first sample holds only beside
/// the chunk before it, which may be elsewhere or gone: Prometheus answers "unknown" there, and so do we.
fn hint(flags: u8, i: usize) -> ResetHint {
    match (flags, i) {
        (3, _) => ResetHint::Gauge,
        (_, 0) => ResetHint::Unknown,
        _ => ResetHint::NotReset,
    }
}

enum Counts {
    Integers(Integers),
    Floats(Floats),
}

fn with_layout(l: &Layout, is_integer: bool) -> Histogram {
    Histogram {
        schema: l.schema,
        zero_threshold: l.zero_threshold,
        positive_spans: l.positive.clone(),
        negative_spans: l.negative.clone(),
        custom_values: l.custom_values.clone(),
        is_integer,
        ..Histogram::default()
    }
}

/// The end of a series carries nothing but its marker.
fn stale(sum: f64, is_integer: bool) -> Histogram {
    Histogram { sum, is_integer, ..Histogram::default() }
}

/// A number that changes by nearly the same each time. Arithmetic wraps, as in the program that wrote it.
#[derive(Clone, Copy, Default)]
struct Steady {
    value: i64,
    delta: i64,
}

impl Steady {
    fn step(&mut self, b: &mut Bits<'_>, first: bool) -> Result<i64, Fault> {
        let read = b.varbit_int()?;
        if first {
            self.value = read;
        } else {
            self.delta = self.delta.wrapping_add(read);
            self.value = self.value.wrapping_add(self.delta);
        }
        Ok(self.value)
    }

    fn step_unsigned(&mut self, b: &mut Bits<'_>, first: bool) -> Result<u64, Fault> {
        if first {
            self.value = b.varbit_uint()? as i64;
            return Ok(self.value as u64);
        }
        self.step(b, false).map(|v| v as u64)
    }
}

/// A float kept as the XOR with the one before.
#[derive(Clone, Copy, Default)]
struct Xored {
    bits: u64,
    window: Window,
}

impl Xored {
    fn step(&mut self, b: &mut Bits<'_>, first: bool) -> Result<f64, Fault> {
        if first {
            self.bits = b.bits(64)?;
        } else {
            self.bits ^= self.window.xor(b)?;
        }
        Ok(f64::from_bits(self.bits))
    }
}

struct Integers {
    t: Steady,
    count: Steady,
    zero_count: Steady,
    sum: Xored,
    /// Each bucket as the difference to the one before it.
    positive: Vec<Steady>,
    negative: Vec<Steady>,
}

impl Integers {
    fn new((positive, negative): (usize, usize)) -> Self {
        Integers {
            t: Steady::default(),
            count: Steady::default(),
            zero_count: Steady::default(),
            sum: Xored::default(),
            positive: vec![Steady::default(); positive],
            negative: vec![Steady::default(); negative],
        }
    }

    fn next(&mut self, b: &mut Bits<'_>, i: usize, l: &Layout) -> Result<(i64, Histogram), Fault> {
        let first = i == 0;
        let t = self.t.step(b, first)?;
        let count = self.count.step_unsigned(b, first)?;
        let zero_count = self.zero_count.step_unsigned(b, first)?;
        let sum = self.sum.step(b, first)?;
        // The first sample of a chunk has its buckets even when it is stale.
        if is_stale_marker(sum) && !first {
            return Ok((t, stale(sum, true)));
        }
        let mut h = with_layout(l, true);
        h.positive_buckets = absolute(&mut self.positive, b, first)?;
        h.negative_buckets = absolute(&mut self.negative, b, first)?;
        if is_stale_marker(sum) {
            return Ok((t, stale(sum, true)));
        }
        (h.count, h.zero_count, h.sum) = (count as f64, zero_count as f64, sum);
        Ok((t, h))
    }
}

fn absolute(buckets: &mut [Steady], b: &mut Bits<'_>, first: bool) -> Result<Vec<f64>, Fault> {
    let mut sum = 0i64;
    buckets
        .iter_mut()
        .map(|bucket| {
            sum = sum.wrapping_add(bucket.step(b, first)?);
            Ok(sum as f64)
        })
        .collect()
}

struct Floats {
    t: Steady,
    count: Xored,
    zero_count: Xored,
    sum: Xored,
    positive: Vec<Xored>,
    negative: Vec<Xored>,
}

impl Floats {
    fn new((positive, negative): (usize, usize)) -> Self {
        Floats {
            t: Steady::default(),
            count: Xored::default(),
            zero_count: Xored::default(),
            sum: Xored::default(),
            positive: vec![Xored::default(); positive],
            negative: vec![Xored::default(); negative],
        }
    }

    fn next(&mut self, b: &mut Bits<'_>, i: usize, l: &Layout) -> Result<(i64, Histogram), Fault> {
        let first = i == 0;
        let t = self.t.step(b, first)?;
        let count = self.count.step(b, first)?;
        let zero_count = self.zero_count.step(b, first)?;
        let sum = self.sum.step(b, first)?;
        if is_stale_marker(sum) && !first {
            return Ok((t, stale(sum, false)));
        }
        let mut h = with_layout(l, false);
        h.positive_buckets = self.positive.iter_mut().map(|x| x.step(b, first)).collect::<Result<_, _>>()?;
        h.negative_buckets = self.negative.iter_mut().map(|x| x.step(b, first)).collect::<Result<_, _>>()?;
        if is_stale_marker(sum) {
            return Ok((t, stale(sum, false)));
        }
        (h.count, h.zero_count, h.sum) = (count, zero_count, sum);
        Ok((t, h))
    }
}
