//! Samples as TSDB chunks (`prometheus/tsdb/docs/format/chunks.md`): floats as XOR, native histograms as float
//! histograms, whatever they were counted in.
//!
//! ```text
//! XOR       | samples u16 BE | t varint | v 64 | Δt uvarint | v xor | ΔΔt, v xor ...
//! histogram | samples u16 BE | reset hint u8 | zero threshold, schema, spans, spans, bounds |
//!           | t, count 64, zero count 64, sum 64, buckets 64 ... | ΔΔt, and each as xor ...
//! ```

use model::{
    Histogram,
    histogram::{BucketSpan, ResetHint},
};

use super::{
    ReadSeries,
    bits::{BitWriter, Xor, fits},
};

/// Samples of one chunk, as Prometheus cuts them. Larger: readers decode more than they want.
const MAX_SAMPLES: u16 = 120;

/// How a chunk is packed; the numbers are `prometheus.Chunk.Encoding`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Xor = 1,
    FloatHistogram = 3,
}

/// At most 120 samples of one series; first and last time, both included.
#[derive(Debug)]
pub struct Chunk {
    pub min_ms: i64,
    pub max_ms: i64,
    pub encoding: Encoding,
    pub data: Vec<u8>,
}

/// The series' samples, in ascending order of time.
pub fn chunks<'a>(s: &'a ReadSeries<'a>) -> impl Iterator<Item = Chunk> + 'a {
    let (mut float, mut histogram) = (0, 0);
    std::iter::from_fn(move || {
        let next_float = s.timestamps_ms.get(float).copied();
        let next_histogram = s.histograms.get(histogram).map(|h| h.0);
        match (next_float, next_histogram) {
            (None, None) => None,
            (Some(t), other) if other.is_none_or(|h| t < h) => {
                let (chunk, taken) = xor(s, float, other.unwrap_or(i64::MAX));
                float += taken;
                Some(chunk)
            }
            (other, _) => {
                let rest = s.histograms.get(histogram..).unwrap_or_default();
                let (chunk, taken) = histograms(rest, other.unwrap_or(i64::MAX));
                histogram += taken;
                Some(chunk)
            }
        }
    })
}

/// Floats from index `from` on and before `until_ms`; how many it took.
fn xor(s: &ReadSeries<'_>, from: usize, until_ms: i64) -> (Chunk, usize) {
    let mut w = BitWriter::behind(vec![0; 2]);
    let (mut taken, mut first_ms, mut last_ms, mut last_delta) = (0u16, 0, 0, 0u64);
    let mut value = Xor::new(0.0);
    let samples = s.timestamps_ms.iter().zip(s.values).skip(from);
    for (t, v) in samples.take_while(|(t, _)| **t < until_ms).take(MAX_SAMPLES.into()) {
        let delta = t.wrapping_sub(last_ms) as u64;
        match taken {
            0 => {
                first_ms = *t;
                w.varint(*t);
                w.bits(v.to_bits(), 64);
                value = Xor::new(*v);
            }
            1 => {
                w.uvarint(delta);
                value.write(&mut w, *v);
            }
            _ => {
                change_of_delta(&mut w, delta.wrapping_sub(last_delta) as i64);
                value.write(&mut w, *v);
            }
        }
        last_delta = if taken == 0 { 0 } else { delta };
        last_ms = *t;
        taken += 1;
    }
    (finish(w, taken, Encoding::Xor, first_ms, last_ms), taken.into())
}

fn change_of_delta(w: &mut BitWriter, v: i64) {
    match v {
        0 => w.bit(false),
        v if fits(v, 14) => w.bits(0b10 << 14 | (v as u64 & 0x3fff), 16),
        v if fits(v, 17) => w.bits(0b110 << 17 | (v as u64 & 0x1_ffff), 20),
        v if fits(v, 20) => w.bits(0b1110 << 20 | (v as u64 & 0xf_ffff), 24),
        v => {
            w.bits(0b1111, 4);
            w.bits(v as u64, 64);
        }
    }
}

fn finish(w: BitWriter, taken: u16, encoding: Encoding, min_ms: i64, max_ms: i64) -> Chunk {
    let mut data = w.bytes;
    for (place, byte) in data.iter_mut().zip(taken.to_be_bytes()) {
        *place = byte;
    }
    Chunk { min_ms, max_ms, encoding, data }
}

/// Histograms from the front of `list` and before `until_ms`, as long as they share a layout and only count
/// up; how many it took.
fn histograms(list: &[(i64, i64, Histogram)], until_ms: i64) -> (Chunk, usize) {
    let mut w = BitWriter::behind(vec![0; 3]);
    let mut columns: Vec<Xor> = Vec::new();
    let (mut taken, mut first_ms, mut last_ms, mut last_delta) = (0u16, 0, 0, 0i64);
    let mut before: Option<&Histogram> = None;
    for (t, _, h) in list.iter().take_while(|h| h.0 < until_ms).take(MAX_SAMPLES.into()) {
        if before.is_some_and(|b| !continues(b, h)) {
            break;
        }
        let numbers = [h.count, h.zero_count, h.sum].into_iter();
        let numbers =
            numbers.chain(h.positive_buckets.iter().copied()).chain(h.negative_buckets.iter().copied());
        if taken == 0 {
            first_ms = *t;
            if let Some(flags) = w.bytes.get_mut(2) {
                *flags = hint(h.reset_hint);
            }
            layout(&mut w, h);
            w.varbit_int(*t);
            for n in numbers {
                w.bits(n.to_bits(), 64);
                columns.push(Xor::new(n));
            }
        } else {
            let delta = t.wrapping_sub(last_ms);
            w.varbit_int(delta.wrapping_sub(last_delta));
            columns.iter_mut().zip(numbers).for_each(|(c, n)| c.write(&mut w, n));
            last_delta = delta;
        }
        (before, last_ms) = (Some(h), *t);
        taken += 1;
    }
    // A list is never empty here, so the reader's loop always moves on.
    (finish(w, taken, Encoding::FloatHistogram, first_ms, last_ms), usize::from(taken).max(1))
}

/// Whether a reader that takes the later samples of a chunk for "no reset" is right about this one.
fn continues(a: &Histogram, b: &Histogram) -> bool {
    let same = a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.custom_values == b.custom_values
        && a.is_stale() == b.is_stale();
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let up = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x <= y);
    let counts_up = b.reset_hint != ResetHint::Reset
        && a.count <= b.count
        && a.zero_count <= b.zero_count
        && up(&a.positive_buckets, &b.positive_buckets)
        && up(&a.negative_buckets, &b.negative_buckets);
    same && gauge(a) == gauge(b) && (gauge(a) || a.is_stale() || counts_up)
}

fn hint(h: ResetHint) -> u8 {
    match h {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 0b1000_0000,
        ResetHint::NotReset => 0b0100_0000,
        ResetHint::Gauge => 0b1100_0000,
    }
}

fn layout(w: &mut BitWriter, h: &Histogram) {
    zero_threshold(w, h.zero_threshold);
    w.varbit_int(h.schema.into());
    for spans in [&h.positive_spans, &h.negative_spans] {
        w.varbit_uint(spans.len() as u64);
        for BucketSpan { offset, length } in spans {
            w.varbit_uint((*length).into());
            w.varbit_int((*offset).into());
        }
    }
    if h.uses_custom_buckets() {
        w.varbit_uint(h.custom_values.len() as u64);
        h.custom_values.iter().for_each(|bound| custom_bound(w, *bound));
    }
}

/// One byte for zero and for the powers of two people use, nine for anything else.
fn zero_threshold(w: &mut BitWriter, v: f64) {
    let exponent = ((v.to_bits() >> 52) & 0x7ff) as i64 - 1022;
    let is_power = v > 0.0 && v.to_bits() & ((1 << 52) - 1) == 0;
    match v {
        0.0 => w.bits(0, 8),
        _ if is_power && (-242..=11).contains(&exponent) => w.bits((exponent + 243) as u64, 8),
        v => {
            w.bits(255, 8);
            w.bits(v.to_bits(), 64);
        }
    }
}

/// Whole thousandths up to 33554.43 as numbers, anything else as a float behind a zero bit.
fn custom_bound(w: &mut BitWriter, v: f64) {
    let thousandths = (v * 1000.0).round();
    if (0.0..=33_554_430.0).contains(&(v * 1000.0)) && thousandths / 1000.0 == v {
        return w.varbit_uint(thousandths as u64 + 1);
    }
    w.bit(false);
    w.bits(v.to_bits(), 64);
}
