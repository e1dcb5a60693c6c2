//! What all histograms of a chunk have in common: schema, zero threshold, which buckets exist.

use model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};

use crate::{Fault, bits::Bits};

/// Largest number of buckets of one histogram; Prometheus' own default limit is 160.
const MAX_BUCKETS: u64 = 1 << 16;

#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) schema: i8,
    pub(super) zero_threshold: f64,
    pub(super) positive: Vec<BucketSpan>,
    pub(super) negative: Vec<BucketSpan>,
    pub(super) custom_values: Vec<f64>,
}

pub(super) fn read(b: &mut Bits<'_>) -> Result<Layout, Fault> {
    let zero_threshold = zero_threshold(b)?;
    let schema = b.varbit_int()?;
    let custom = schema == i64::from(CUSTOM_BUCKETS_SCHEMA);
    if !custom && !(-4..=8).contains(&schema) {
        return Err("a histogram has a schema this version does not know");
    }
    Ok(Layout {
        schema: schema as i8,
        zero_threshold,
        positive: spans(b)?,
        negative: spans(b)?,
        custom_values: if custom { custom_values(b)? } else { Vec::new() },
    })
}

/// One byte: 0, or the exponent of a power of two plus 243, or 255 with the float behind it.
fn zero_threshold(b: &mut Bits<'_>) -> Result<f64, Fault> {
    Ok(match b.bits(8)? {
        0 => 0.0,
        255 => f64::from_bits(b.bits(64)?),
        // 2^(exponent - 244), straight into the exponent of the float.
        exponent => f64::from_bits((exponent + 1023 - 244) << 52),
    })
}

/// An element takes a bit at least, so the input bounds what is allocated.
fn elements(b: &mut Bits<'_>, bits_each: u64) -> Result<usize, Fault> {
    let n = b.varbit_uint()?;
    if n.saturating_mul(bits_each) > b.left() as u64 {
        return Err("a histogram names more spans or bounds than the chunk has room for");
    }
    usize::try_from(n).map_err(|_| crate::cursor::SHORT)
}

fn spans(b: &mut Bits<'_>) -> Result<Vec<BucketSpan>, Fault> {
    let n = elements(b, 2)?;
    let mut spans = Vec::with_capacity(n);
    let mut buckets = 0u64;
    for _ in 0..n {
        let length = b.varbit_uint()?;
        let offset = i32::try_from(b.varbit_int()?).map_err(|_| "a span lies out of range")?;
        buckets = buckets.saturating_add(length);
        if buckets > MAX_BUCKETS {
            return Err("a histogram has more than 65536 buckets");
        }
        spans.push(BucketSpan { offset, length: length as u32 });
    }
    Ok(spans)
}

/// Multiples of a thousandth are whole numbers plus one, anything else is a zero and the float.
fn custom_values(b: &mut Bits<'_>) -> Result<Vec<f64>, Fault> {
    let n = elements(b, 5)?;
    let mut values = Vec::with_capacity(n);
    for _ in 0..n {
        values.push(match b.varbit_uint()? {
            0 => f64::from_bits(b.bits(64)?),
            n => (n - 1) as f64 / 1000.0,
        });
    }
    Ok(values)
}

pub(super) fn buckets(spans: &[BucketSpan]) -> usize {
    spans.iter().map(|s| s.length as usize).sum()
}
