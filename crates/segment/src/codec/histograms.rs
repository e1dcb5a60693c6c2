//! Native histograms of one series, as columns.
//!
//! ```text
//! | 32 | runs varint | run ... |
//!
//!   run of n samples with one layout
//!   | n varint | flags u8 | schema i8 | zero threshold u64 | spans + | spans - | bounds |
//!   | hints | count | zero count | sum | bucket + x p | bucket - x q |
//!
//!   flags     bit 0: the producer counted in integers
//!   spans     | count varint | x ( offset zigzag varint, length varint ) |
//!   bounds    | count varint | x u64 bits |                 custom bucket bounds
//!   hints     | length varint | integer chunk | reset hint of each sample
//!   others    | length varint | float chunk |   of n values; one column per bucket, p and q of them
//! ```
//! A bucket's counts over time behave like a counter, so each packs like one. p and q are written as
//! varints before the bucket columns; they are the bucket arrays' lengths, which spans of an accepted
//! histogram agree with but the codec does not rely on.

use model::{
    Histogram,
    histogram::{BucketSpan, ResetHint},
};

use super::{
    bits::{Cursor, put_signed, put_varint},
    floats, ints,
};

const RUNS: u8 = 32;
/// Buckets or spans of one histogram a decoder accepts: far above what producers send (160 by default).
const MAX_BUCKETS: usize = 1 << 16;

/// Appends the chunk.
pub(crate) fn encode(histograms: &[&Histogram], out: &mut Vec<u8>) {
    let runs: Vec<&[&Histogram]> = histograms.chunk_by(|a, b| same_layout(a, b)).collect();
    out.push(RUNS);
    put_varint(out, runs.len() as u64);
    runs.iter().for_each(|run| encode_run(run, out));
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    let bits = |h: &Histogram| h.custom_values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.is_integer == b.is_integer
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.positive_buckets.len() == b.positive_buckets.len()
        && a.negative_buckets.len() == b.negative_buckets.len()
        && bits(a) == bits(b)
}

fn encode_run(run: &[&Histogram], out: &mut Vec<u8>) {
    let Some(first) = run.first() else { return };
    put_varint(out, run.len() as u64);
    out.push(u8::from(first.is_integer));
    out.push(first.schema as u8);
    out.extend_from_slice(&first.zero_threshold.to_bits().to_le_bytes());
    for spans in [&first.positive_spans, &first.negative_spans] {
        put_varint(out, spans.len() as u64);
        for s in spans {
            put_signed(out, i64::from(s.offset));
            put_varint(out, u64::from(s.length));
        }
    }
    put_varint(out, first.custom_values.len() as u64);
    first.custom_values.iter().for_each(|v| out.extend_from_slice(&v.to_bits().to_le_bytes()));
    let hints: Vec<i64> = run.iter().map(|h| h.reset_hint as i64).collect();
    put_part(out, |part| ints::encode(&hints, part));
    let mut column = |get: &dyn Fn(&Histogram) -> f64| {
        let values: Vec<f64> = run.iter().map(|h| get(h)).collect();
        put_part(out, |part| floats::encode(&values, part));
    };
    column(&|h| h.count);
    column(&|h| h.zero_count);
    column(&|h| h.sum);
    put_varint(out, first.positive_buckets.len() as u64);
    put_varint(out, first.negative_buckets.len() as u64);
    let mut buckets = |n: usize, get: &dyn Fn(&Histogram, usize) -> f64| {
        for i in 0..n {
            let values: Vec<f64> = run.iter().map(|h| get(h, i)).collect();
            put_part(out, |part| floats::encode(&values, part));
        }
    };
    buckets(first.positive_buckets.len(), &|h, i| h.positive_buckets.get(i).copied().unwrap_or(0.0));
    buckets(first.negative_buckets.len(), &|h, i| h.negative_buckets.get(i).copied().unwrap_or(0.0));
}

fn put_part(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let mut part = Vec::new();
    encode(&mut part);
    put_varint(out, part.len() as u64);
    out.extend_from_slice(&part);
}

/// Decodes `n` histograms.
pub(crate) fn decode(chunk: &[u8], n: usize) -> Option<Vec<Histogram>> {
    let mut c = Cursor(chunk);
    if c.byte()? != RUNS || n > super::MAX_SAMPLES {
        return None;
    }
    let runs = c.count(n)?;
    let mut out = Vec::new();
    for _ in 0..runs {
        decode_run(&mut c, n - out.len(), &mut out)?;
    }
    (c.is_empty() && out.len() == n).then_some(out)
}

fn decode_run(c: &mut Cursor<'_>, left: usize, out: &mut Vec<Histogram>) -> Option<()> {
    let n = c.count(left)?;
    let is_integer = c.byte()? & 1 == 1;
    let schema = c.byte()? as i8;
    let zero_threshold = f64::from_bits(c.u64_le()?);
    let positive_spans = decode_spans(c)?;
    let negative_spans = decode_spans(c)?;
    let bounds = c.count(MAX_BUCKETS)?;
    let custom_values = (0..bounds).map(|_| c.u64_le().map(f64::from_bits)).collect::<Option<Vec<f64>>>()?;
    let hints = ints::decode(part(c)?, n)?;
    let count = floats::decode(part(c)?, n)?;
    let zero_count = floats::decode(part(c)?, n)?;
    let sum = floats::decode(part(c)?, n)?;
    let (p, q) = (c.count(MAX_BUCKETS)?, c.count(MAX_BUCKETS)?);
    let first = out.len();
    for i in 0..n {
        out.push(Histogram {
            reset_hint: hint(*hints.get(i)?)?,
            schema,
            zero_threshold,
            zero_count: *zero_count.get(i)?,
            count: *count.get(i)?,
            sum: *sum.get(i)?,
            positive_spans: positive_spans.clone(),
            positive_buckets: Vec::new(),
            negative_spans: negative_spans.clone(),
            negative_buckets: Vec::new(),
            custom_values: custom_values.clone(),
            is_integer,
        });
    }
    for _ in 0..p {
        let values = floats::decode(part(c)?, n)?;
        out.get_mut(first..)?.iter_mut().zip(values).for_each(|(h, v)| h.positive_buckets.push(v));
    }
    for _ in 0..q {
        let values = floats::decode(part(c)?, n)?;
        out.get_mut(first..)?.iter_mut().zip(values).for_each(|(h, v)| h.negative_buckets.push(v));
    }
    Some(())
}

fn part<'a>(c: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let n = c.count(c.0.len())?;
    c.take(n)
}

fn decode_spans(c: &mut Cursor<'_>) -> Option<Vec<BucketSpan>> {
    let n = c.count(MAX_BUCKETS)?;
    (0..n)
        .map(|_| {
            let offset = i32::try_from(c.signed()?).ok()?;
            let length = u32::try_from(c.varint()?).ok()?;
            Some(BucketSpan { offset, length })
        })
        .collect()
}

fn hint(v: i64) -> Option<ResetHint> {
    match v {
        0 => Some(ResetHint::Unknown),
        1 => Some(ResetHint::Reset),
        2 => Some(ResetHint::NotReset),
        3 => Some(ResetHint::Gauge),
        _ => None,
    }
}
