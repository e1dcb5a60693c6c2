//! Native histograms in remote write: `prometheus.Histogram`. Integer histograms carry each bucket as the
//! difference to the one before, float histograms carry absolute counts; ours are always absolute.

use model::{
    Histogram,
    histogram::{BucketSpan, MAX_SCHEMA, MAX_SENT_SCHEMA, ResetHint},
};

use crate::protobuf::{Fault, Reader, Value, Writer, bucket_span, push_doubles, push_zigzags, zigzag};

/// The buckets of one side as they came.
#[derive(Default)]
struct Side {
    spans: Vec<BucketSpan>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// A histogram message as read.
pub(crate) struct Read {
    pub(crate) timestamp_ms: i64,
    /// 0 where unknown; version 1.0 has no place for it.
    pub(crate) start_ms: i64,
    /// The histogram, or why it is refused.
    pub(crate) histogram: Result<Histogram, String>,
}

/// Reads the message of either version. `Err` means that the bytes are no protobuf.
pub(crate) fn decode(body: &[u8], max: usize) -> Result<Read, Fault> {
    let mut h = Histogram { is_integer: true, ..Histogram::default() };
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut timestamp_ms, mut start_ms) = (0, 0);
    let mut schema = 0i64;
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => h.count = v.varint()? as f64,
            2 => {
                h.count = v.double()?;
                h.is_integer = false;
            }
            3 => h.sum = v.double()?,
            4 => schema = zigzag(v.varint()?),
            5 => h.zero_threshold = v.double()?,
            6 => h.zero_count = v.varint()? as f64,
            7 => h.zero_count = v.double()?,
            8 => negative.push_span(v, max)?,
            9 => push_zigzags(&mut negative.deltas, v, max)?,
            10 => push_doubles(&mut negative.counts, v, max)?,
            11 => positive.push_span(v, max)?,
            12 => push_zigzags(&mut positive.deltas, v, max)?,
            13 => push_doubles(&mut positive.counts, v, max)?,
            14 => h.reset_hint = hint(v.varint()?),
            15 => timestamp_ms = v.varint()? as i64,
            16 => push_doubles(&mut h.custom_values, v, max)?,
            17 => start_ms = v.varint()? as i64,
            _ => {}
        }
    }
    let histogram =
        i8::try_from(schema).map_err(|_| format!("schema {schema} is not supported")).and_then(|schema| {
            h.schema = schema;
            (h.positive_spans, h.positive_buckets) = positive.resolve(h.is_integer)?;
            (h.negative_spans, h.negative_buckets) = negative.resolve(h.is_integer)?;
            if (MAX_SCHEMA..=MAX_SENT_SCHEMA).contains(&schema) {
                h.reduce_resolution(MAX_SCHEMA);
            }
            h.validate()?;
            Ok(h)
        });
    Ok(Read { timestamp_ms, start_ms, histogram })
}

impl Side {
    fn push_span(&mut self, v: Value<'_>, max: usize) -> Result<(), Fault> {
        if self.spans.len() >= max {
            return Err("a histogram has too many spans");
        }
        self.spans.push(bucket_span(v)?);
        Ok(())
    }

    fn resolve(self, is_integer: bool) -> Result<(Vec<BucketSpan>, Vec<f64>), String> {
        // Readers walk the spans with 32-bit indexes, so the last bucket must have one.
        let mut end = 0i64;
        for s in &self.spans {
            end = end.saturating_add(i64::from(s.offset)).saturating_add(i64::from(s.length));
            if i32::try_from(end).is_err() {
                return Err(format!("a bucket index of {end} is out of range"));
            }
        }
        if !is_integer {
            return Ok((self.spans, self.counts));
        }
        let mut sum = 0i64;
        let mut buckets = Vec::with_capacity(self.deltas.len());
        for d in self.deltas {
            sum = sum.checked_add(d).ok_or("bucket deltas overflow")?;
            buckets.push(sum as f64);
        }
        Ok((self.spans, buckets))
    }
}

fn hint(n: u64) -> ResetHint {
    match n {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

/// Writes the message into `w`, which the caller has cleared.
pub(crate) fn encode(w: &mut Writer, scratch: &mut Writer, timestamp_ms: i64, h: &Histogram) {
    if h.is_integer {
        w.varint_always(1, h.count as u64);
    } else {
        w.double_always(2, h.count);
    }
    w.double(3, h.sum);
    w.zigzag(4, i64::from(h.schema));
    w.double(5, h.zero_threshold);
    if h.is_integer {
        w.varint_always(6, h.zero_count as u64);
    } else {
        w.double_always(7, h.zero_count);
    }
    side(w, scratch, [8, 9, 10], &h.negative_spans, &h.negative_buckets, h.is_integer);
    side(w, scratch, [11, 12, 13], &h.positive_spans, &h.positive_buckets, h.is_integer);
    w.varint(
        14,
        match h.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        },
    );
    w.varint(15, timestamp_ms as u64);
    doubles(w, 16, &h.custom_values);
}

fn side(
    w: &mut Writer,
    scratch: &mut Writer,
    [spans, deltas, counts]: [u32; 3],
    s: &[BucketSpan],
    b: &[f64],
    is_integer: bool,
) {
    for span in s {
        scratch.clear();
        scratch.zigzag(1, i64::from(span.offset));
        scratch.varint(2, u64::from(span.length));
        w.bytes(spans, &scratch.0);
    }
    if !is_integer {
        doubles(w, counts, b);
        return;
    }
    if b.is_empty() {
        return;
    }
    scratch.clear();
    let mut last = 0i64;
    for v in b {
        let v = *v as i64;
        let d = v.wrapping_sub(last);
        scratch.put_varint(((d << 1) ^ (d >> 63)) as u64);
        last = v;
    }
    w.bytes(deltas, &scratch.0);
}

fn doubles(w: &mut Writer, field: u32, values: &[f64]) {
    if !values.is_empty() {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        w.bytes(field, &bytes);
    }
}
