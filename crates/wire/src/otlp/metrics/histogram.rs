//! Histogram points. Explicit bounds become classic `_bucket` series; exponential ones become native
//! histograms, whose buckets count from one: OTLP's bucket `i` is `(base^i, base^(i+1)]`, ours is
//! `(base^(i-1), base^i]`.

use model::{Histogram, histogram::BucketSpan, metric::HistogramSample, stale_marker};
use proto::otlp::metrics::{
    ExponentialHistogramDataPoint, HistogramDataPoint, exponential_histogram_data_point::Buckets,
};

use super::{Converter, Family, Refusal, float_label, point_labels};
use crate::{Reason, text::quoted};

/// The zero bucket's width where a point does not say, as Prometheus sets it.
const ZERO_THRESHOLD: f64 = 1e-128;
/// The finest and the coarsest resolution a native histogram may have.
const MAX_SCALE: i32 = 8;
const MIN_SCALE: i32 = -4;
/// A run of this many empty buckets is cheaper as a new span than written out.
const MAX_EMPTY_RUN: i64 = 2;

impl Converter<'_> {
    pub(super) fn histogram(&mut self, f: &Family, p: &HistogramDataPoint) -> Result<(), Refusal> {
        let max = self.options.limits.max_histogram_buckets;
        let (bounds, counts) = (&p.explicit_bounds, &p.bucket_counts);
        if counts.len() > max {
            let why = format!("{} buckets, limits.max_histogram_buckets is {max}", counts.len());
            return Err((Reason::TooLarge, why));
        }
        let fits = counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        if !fits || !bounds.is_sorted_by(|a, b| a < b) || bounds.iter().any(|b| !b.is_finite()) {
            let why = format!(
                "histogram {} has {} bounds, which must ascend, and {} buckets",
                quoted(&f.name),
                bounds.len(),
                counts.len()
            );
            return Err((Reason::InvalidItem, why));
        }
        let when = self.when(p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let labels = point_labels(&p.attributes);
        self.push(&format!("{}_count", f.name), &labels, None, when, p.count as f64)?;
        if let Some(sum) = p.sum {
            self.push(&format!("{}_sum", f.name), &labels, None, when, sum)?;
        }
        let name = format!("{}_bucket", f.name);
        let mut series = Vec::with_capacity(bounds.len() + 1);
        let mut below = 0u64;
        for (bound, count) in bounds.iter().zip(counts) {
            below = below.saturating_add(*count);
            let le = float_label(*bound);
            series.push(self.push(&name, &labels, Some(("le", &le)), when, below as f64)?);
        }
        series.push(self.push(&name, &labels, Some(("le", "+Inf")), when, p.count as f64)?);
        for e in &p.exemplars {
            let value = match e.value {
                Some(proto::otlp::metrics::exemplar::Value::AsDouble(v)) => v,
                Some(proto::otlp::metrics::exemplar::Value::AsInt(v)) => v as f64,
                None => continue,
            };
            let bucket = bounds.partition_point(|b| *b < value);
            if let Some(s) = series.get(bucket) {
                self.exemplar(*s, e, when.at_ms);
            }
        }
        Ok(())
    }

    pub(super) fn exponential(
        &mut self,
        f: &Family,
        p: &ExponentialHistogramDataPoint,
    ) -> Result<(), Refusal> {
        let max = self.options.limits.max_histogram_buckets;
        let given =
            [&p.positive, &p.negative].into_iter().flatten().map(|b| b.bucket_counts.len()).sum::<usize>();
        if given > max {
            return Err((
                Reason::TooLarge,
                format!("{given} buckets, limits.max_histogram_buckets is {max}"),
            ));
        }
        let when = self.when(p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let mut h = native(p).map_err(|why| {
            (Reason::InvalidItem, format!("exponential histogram {}: {why}", quoted(&f.name)))
        })?;
        if when.stale {
            h = Histogram { sum: stale_marker(), is_integer: true, ..Histogram::default() };
        }
        let labels = point_labels(&p.attributes);
        let series = self.series(&f.name, &labels, None)?;
        self.batch.histograms.push(HistogramSample {
            series,
            timestamp_ms: when.at_ms,
            start_ms: when.start_ms,
            histogram: h,
        });
        for e in &p.exemplars {
            self.exemplar(series, e, when.at_ms);
        }
        Ok(())
    }
}

fn native(p: &ExponentialHistogramDataPoint) -> Result<Histogram, String> {
    if p.scale < MIN_SCALE {
        return Err(format!("scale {} is coarser than {MIN_SCALE}", p.scale));
    }
    // Halving the resolution merges neighbours, so anything finer than the finest schema still fits.
    let shift = (p.scale - MAX_SCALE).clamp(0, 31) as u32;
    let (positive_spans, positive_buckets) = spans(p.positive.as_ref(), shift)?;
    let (negative_spans, negative_buckets) = spans(p.negative.as_ref(), shift)?;
    let h = Histogram {
        schema: p.scale.min(MAX_SCALE) as i8,
        zero_threshold: if p.zero_threshold > 0.0 { p.zero_threshold } else { ZERO_THRESHOLD },
        zero_count: p.zero_count as f64,
        count: p.count as f64,
        sum: p.sum.unwrap_or(0.0),
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        is_integer: true,
        ..Histogram::default()
    };
    h.validate()?;
    Ok(h)
}

/// Dense OTLP buckets as spans, `shift` resolutions coarser.
fn spans(buckets: Option<&Buckets>, shift: u32) -> Result<(Vec<BucketSpan>, Vec<f64>), String> {
    let Some(b) = buckets else { return Ok((Vec::new(), Vec::new())) };
    let mut counts: Vec<(i64, u64)> = Vec::new();
    for (i, n) in b.bucket_counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let index = ((i64::from(b.offset) + i as i64) >> shift) + 1;
        match counts.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.saturating_add(*n),
            _ => counts.push((index, *n)),
        }
    }
    let (mut out, mut values) = (Vec::<BucketSpan>::new(), Vec::new());
    let mut next = 0i64;
    for (index, n) in counts {
        let gap = index - next;
        match out.last_mut() {
            Some(span) if gap <= MAX_EMPTY_RUN => {
                span.length += gap as u32 + 1;
                values.extend((0..gap).map(|_| 0.0));
            }
            _ => {
                let offset =
                    i32::try_from(gap).map_err(|_| format!("bucket index {index} is out of range"))?;
                out.push(BucketSpan { offset, length: 1 });
            }
        }
        if i32::try_from(index).is_err() {
            return Err(format!("bucket index {index} is out of range"));
        }
        values.push(n as f64);
        next = index + 1;
    }
    Ok((out, values))
}

/// Spans as dense OTLP buckets; `None` where they are too far apart to be written out.
pub(super) fn dense(spans: &[BucketSpan], values: &[f64], max: usize) -> Option<Buckets> {
    let mut index = 0i64;
    let mut first = None;
    let mut counts: Vec<u64> = Vec::new();
    let mut values = values.iter();
    for s in spans {
        index += i64::from(s.offset);
        for _ in 0..s.length {
            let v = values.next()?;
            let start = *first.get_or_insert(index);
            let at = usize::try_from(index - start).ok().filter(|at| *at < max)?;
            if counts.len() <= at {
                counts.resize(at + 1, 0);
            }
            if let Some(slot) = counts.get_mut(at) {
                *slot = *v as u64;
            }
            index += 1;
        }
    }
    let offset = i32::try_from(first.map_or(0, |f| f - 1)).ok()?;
    Some(Buckets { offset, bucket_counts: counts })
}
