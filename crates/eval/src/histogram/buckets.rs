//! Bucket indexes, bounds and spans.

use model::{Histogram, histogram::BucketSpan};

/// Index and count of the populated buckets of one side, ascending.
pub(crate) type Indexed = Vec<(i32, f64)>;

/// A bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
}

pub(crate) fn positive(h: &Histogram) -> Indexed {
    decode(&h.positive_spans, &h.positive_buckets)
}

pub(crate) fn negative(h: &Histogram) -> Indexed {
    decode(&h.negative_spans, &h.negative_buckets)
}

fn decode(spans: &[BucketSpan], counts: &[f64]) -> Indexed {
    let mut out = Vec::with_capacity(counts.len());
    let mut index = 0i32;
    let mut counts = counts.iter();
    for span in spans {
        index = index.saturating_add(span.offset);
        for _ in 0..span.length {
            // Spans of outside data may promise more than there is.
            let Some(c) = counts.next() else { return out };
            out.push((index, *c));
            index = index.saturating_add(1);
        }
    }
    out
}

/// Spans and counts without empty buckets.
pub(crate) fn encode(buckets: &[(i32, f64)]) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut counts = Vec::with_capacity(buckets.len());
    let mut next = 0i32;
    for (index, count) in buckets.iter().filter(|(_, c)| *c != 0.0) {
        match spans.last_mut() {
            Some(last) if next == *index => last.length += 1,
            _ => spans.push(BucketSpan { offset: index.saturating_sub(next), length: 1 }),
        }
        next = index.saturating_add(1);
        counts.push(*count);
    }
    (spans, counts)
}

pub(crate) fn compact(h: &mut Histogram) {
    let (p, n) = (positive(h), negative(h));
    (h.positive_spans, h.positive_buckets) = encode(&p);
    (h.negative_spans, h.negative_buckets) = encode(&n);
}

pub(crate) fn same(a: &Indexed, b: &Indexed) -> bool {
    let full = |l: &Indexed| -> Vec<(i32, u64)> {
        l.iter().filter(|(_, c)| *c != 0.0).map(|(i, c)| (*i, c.to_bits())).collect()
    };
    full(a) == full(b)
}

/// Upper bound of a bucket on the positive side: `2^(index / 2^schema)`, or the custom bound.
pub fn upper_bound(index: i32, schema: i8, custom: &[f64]) -> f64 {
    if schema == model::histogram::CUSTOM_BUCKETS_SCHEMA {
        return match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(i) => custom.get(i).copied().unwrap_or(f64::INFINITY),
        };
    }
    let exponent = if schema <= 0 {
        f64::from(index) * f64::from(1u32 << (-schema).min(16))
    } else {
        f64::from(index) / f64::from(1u32 << schema.min(16))
    };
    // The last bucket below infinity ends at the largest float, so that infinity has a bucket of its own.
    if exponent == 1024.0 {
        return f64::MAX;
    }
    if exponent.fract() == 0.0 && exponent.abs() <= 1074.0 {
        return 2f64.powi(exponent as i32);
    }
    exponent.exp2()
}

fn positive_bucket(index: i32, count: f64, schema: i8, custom: &[f64]) -> Bucket {
    let lower = upper_bound(index.saturating_sub(1), schema, custom);
    let upper = upper_bound(index, schema, custom);
    Bucket { lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
}

fn negative_bucket(index: i32, count: f64, schema: i8) -> Bucket {
    let lower = -upper_bound(index, schema, &[]);
    let upper = -upper_bound(index.saturating_sub(1), schema, &[]);
    Bucket { lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
}

pub(crate) fn positive_buckets(h: &Histogram) -> Vec<Bucket> {
    positive(h).into_iter().map(|(i, c)| positive_bucket(i, c, h.schema, &h.custom_values)).collect()
}

/// In order of index, that is from the one nearest zero downwards.
pub(crate) fn negative_buckets(h: &Histogram) -> Vec<Bucket> {
    negative(h).into_iter().map(|(i, c)| negative_bucket(i, c, h.schema)).collect()
}

pub(crate) fn zero_bucket(h: &Histogram) -> Bucket {
    Bucket {
        lower: -h.zero_threshold,
        upper: h.zero_threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count: h.zero_count,
    }
}

/// All buckets in ascending order of their bounds, the zero bucket among them where it is populated.
pub fn all_buckets(h: &Histogram) -> Vec<Bucket> {
    let mut out = negative_buckets(h);
    out.reverse();
    if h.zero_count != 0.0 && !h.uses_custom_buckets() {
        out.push(zero_bucket(h));
    }
    out.extend(positive_buckets(h));
    out
}

/// Index of the bucket at a coarser schema.
pub(crate) fn coarser(index: i32, from: i8, to: i8) -> i32 {
    let shift = u32::from(from.saturating_sub(to).clamp(0, 16) as u8);
    (index.saturating_sub(1) >> shift).saturating_add(1)
}
