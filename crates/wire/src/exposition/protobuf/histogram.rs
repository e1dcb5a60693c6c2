//! `io.prometheus.client.Histogram`: one message that holds a classic histogram, a native one, or both.

use model::{
    Histogram,
    histogram::{BucketSpan, MAX_SCHEMA, MAX_SENT_SCHEMA, ResetHint},
};

use super::{Bad, ReadExemplar, exemplar_of, timestamp};
use crate::protobuf::{Fault, Reader, Value, bucket_span, push_doubles, push_zigzags, zigzag};

/// The message as read.
#[derive(Default)]
pub(super) struct Parts<'a> {
    sample_count: u64,
    sample_count_float: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<Bucket<'a>>,
    pub(super) start_ms: i64,
    schema: i64,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    negative: Side,
    positive: Side,
    pub(super) exemplars: Vec<ReadExemplar<'a>>,
}

#[derive(Default)]
struct Side {
    spans: Vec<BucketSpan>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// A classic bucket.
pub(super) struct Bucket<'a> {
    pub(super) upper: f64,
    pub(super) cumulative: f64,
    pub(super) exemplar: Option<ReadExemplar<'a>>,
}

impl<'a> Parts<'a> {
    pub(super) fn read(body: &'a [u8], max: usize) -> Result<Self, Bad> {
        let mut p = Parts::default();
        let mut r = Reader::new(body);
        while let Some((field, v)) = r.next()? {
            match field {
                1 => p.sample_count = v.varint()?,
                2 => p.sum = v.double()?,
                3 if p.buckets.len() < max => p.buckets.push(bucket(v.bytes()?)?),
                4 => p.sample_count_float = v.double()?,
                5 => p.schema = zigzag(v.varint()?),
                6 => p.zero_threshold = v.double()?,
                7 => p.zero_count = v.varint()?,
                8 => p.zero_count_float = v.double()?,
                9 => p.negative.push_span(v, max)?,
                10 => push_zigzags(&mut p.negative.deltas, v, max)?,
                11 => push_doubles(&mut p.negative.counts, v, max)?,
                12 => p.positive.push_span(v, max)?,
                13 => push_zigzags(&mut p.positive.deltas, v, max)?,
                14 => push_doubles(&mut p.positive.counts, v, max)?,
                15 => p.start_ms = timestamp(v.bytes()?)?,
                16 if p.exemplars.len() < max => p.exemplars.push(exemplar_of(v.bytes()?)?),
                3 | 16 => {
                    return Err(Bad::Content(format!("more buckets than the {max} that are taken")));
                }
                _ => {}
            }
        }
        Ok(p)
    }

    /// A histogram without spans and without a zero bucket is classic only.
    pub(super) fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
    }

    /// The count; the float one where it is set.
    pub(super) fn count(&self) -> f64 {
        if self.sample_count_float > 0.0 { self.sample_count_float } else { self.sample_count as f64 }
    }

    /// The native part.
    pub(super) fn native(&self, gauge: bool) -> Result<Histogram, String> {
        let floats = self.sample_count_float > 0.0 || self.zero_count_float > 0.0;
        let schema =
            i8::try_from(self.schema).map_err(|_| format!("schema {} is not supported", self.schema))?;
        let (count, zero_count) = if floats {
            (self.sample_count_float, self.zero_count_float)
        } else {
            (self.sample_count as f64, self.zero_count as f64)
        };
        let mut h = Histogram {
            reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
            schema,
            zero_threshold: self.zero_threshold,
            zero_count,
            count,
            sum: self.sum,
            positive_buckets: self.positive.values(floats)?,
            negative_buckets: self.negative.values(floats)?,
            // A span of no buckets only says that the histogram is native.
            positive_spans: self.positive.spans.iter().filter(|s| s.length > 0).copied().collect(),
            negative_spans: self.negative.spans.iter().filter(|s| s.length > 0).copied().collect(),
            is_integer: !floats,
            ..Histogram::default()
        };
        if (MAX_SCHEMA..=MAX_SENT_SCHEMA).contains(&schema) {
            h.reduce_resolution(MAX_SCHEMA);
        }
        h.validate()?;
        Ok(h)
    }
}

impl Side {
    fn push_span(&mut self, v: Value<'_>, max: usize) -> Result<(), Fault> {
        if self.spans.len() >= max {
            return Err("a histogram has too many spans");
        }
        let span = bucket_span(v)?;
        // Offsets count from the end of the span before, also from one of no buckets.
        if let Some(last) = self.spans.last_mut().filter(|s| s.length == 0) {
            last.offset = last.offset.saturating_add(span.offset);
            last.length = span.length;
        } else {
            self.spans.push(span);
        }
        Ok(())
    }

    fn values(&self, floats: bool) -> Result<Vec<f64>, String> {
        let end = self
            .spans
            .iter()
            .fold(0i64, |end, s| end.saturating_add(i64::from(s.offset)).saturating_add(i64::from(s.length)));
        if i32::try_from(end).is_err() {
            return Err(format!("a bucket index of {end} is out of range"));
        }
        if floats {
            return Ok(self.counts.clone());
        }
        let mut sum = 0i64;
        self.deltas
            .iter()
            .map(|d| {
                sum = sum.checked_add(*d).ok_or("bucket deltas overflow")?;
                Ok(sum as f64)
            })
            .collect()
    }
}

fn bucket(body: &[u8]) -> Result<Bucket<'_>, Fault> {
    let (mut count, mut float, mut upper, mut exemplar) = (0, 0.0, 0.0, None);
    let mut r = Reader::new(body);
    while let Some((field, v)) = r.next()? {
        match field {
            1 => count = v.varint()?,
            2 => upper = v.double()?,
            3 => exemplar = Some(exemplar_of(v.bytes()?)?),
            4 => float = v.double()?,
            _ => {}
        }
    }
    let cumulative = if float > 0.0 { float } else { count as f64 };
    Ok(Bucket { upper, cumulative, exemplar })
}
