//! Histogram points. Explicit bounds become classic `_bucket` series, or native histograms with custom buckets;
//! exponential ones become native histograms, whose buckets count from one: OTLP's bucket `i` is
//! `(base^i, base^(i+1)]`, ours is `(base^(i-1), base^i]`.

use model::{
    Histogram,
    histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA, MAX_SCHEMA, MIN_SCHEMA, buckets, pack},
    metric::HistogramSample,
    stale_marker,
};
use proto::otlp::metrics::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, exponential_histogram_data_point::Buckets,
};

use super::{Converter, Family, Refusal, When, exemplar, labels::PointLabels, points::float_label};
use crate::{Reason, text::quoted};

/// The zero bucket's width where a point does not say, as Prometheus sets it.
const ZERO_THRESHOLD: f64 = 1e-128;

impl<'r> Converter<'r, '_> {
    pub(super) fn classic(&mut self, f: &Family, p: &'r HistogramDataPoint) -> Result<(), Refusal> {
        self.check_bounds(f, p)?;
        let (bounds, counts) = (&p.explicit_bounds, &p.bucket_counts);
        let when = self.when(f, p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let labels = self.point_labels(&p.attributes)?;
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
            let Some(value) = exemplar::value(e) else { continue };
            let bucket = bounds.partition_point(|b| *b < value);
            if let Some(s) = series.get(bucket) {
                self.exemplar(*s, e, when.at_ms);
            }
        }
        Ok(())
    }

    pub(super) fn custom(&mut self, f: &Family, p: &'r HistogramDataPoint) -> Result<(), Refusal> {
        self.check_bounds(f, p)?;
        let when = self.when(f, p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let filled = p.bucket_counts.iter().enumerate().filter(|(_, n)| **n > 0);
        let packed = pack(filled.map(|(i, n)| (i as i64, *n as f64)));
        let (positive_spans, positive_buckets) = packed.unwrap_or_default();
        let h = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: p.explicit_bounds.clone(),
            count: p.count as f64,
            sum: p.sum.unwrap_or(0.0),
            positive_spans,
            positive_buckets,
            is_integer: true,
            ..Histogram::default()
        };
        h.validate().map_err(|why| invalid(f, &why))?;
        let labels = self.point_labels(&p.attributes)?;
        self.native(f, &labels, when, h, &p.exemplars)
    }

    pub(super) fn exponential(
        &mut self,
        f: &Family,
        p: &'r ExponentialHistogramDataPoint,
    ) -> Result<(), Refusal> {
        let max = self.options.limits.max_histogram_buckets;
        let given =
            [&p.positive, &p.negative].into_iter().flatten().map(|b| b.bucket_counts.len()).sum::<usize>();
        if given > max {
            return Err((Reason::TooLarge, format!("{given} buckets, at most {max} are taken")));
        }
        let when = self.when(f, p.time_unix_nano, p.start_time_unix_nano, p.flags);
        let h = exponential(p).map_err(|why| invalid(f, &why))?;
        let labels = self.point_labels(&p.attributes)?;
        self.native(f, &labels, when, h, &p.exemplars)
    }

    fn native(
        &mut self,
        f: &Family,
        labels: &PointLabels<'r>,
        when: When,
        h: Histogram,
        exemplars: &'r [Exemplar],
    ) -> Result<(), Refusal> {
        let series = self.series(&f.name, labels, None)?;
        let histogram = if when.stale {
            Histogram { sum: stale_marker(), is_integer: true, ..Histogram::default() }
        } else {
            h
        };
        if let Some(deltas) = self.deltas.as_deref_mut().filter(|_| when.delta) {
            deltas.histograms.push(self.batch.histograms.len() as u32);
        }
        let (timestamp_ms, start_ms) = (when.at_ms, when.start_ms);
        self.batch.histograms.push(HistogramSample { series, timestamp_ms, start_ms, histogram });
        for e in exemplars {
            self.exemplar(series, e, when.at_ms);
        }
        Ok(())
    }

    fn check_bounds(&self, f: &Family, p: &HistogramDataPoint) -> Result<(), Refusal> {
        let max = self.options.limits.max_histogram_buckets;
        let (bounds, counts) = (&p.explicit_bounds, &p.bucket_counts);
        if counts.len() > max {
            let why = format!("{} buckets, at most {max} are taken", counts.len());
            return Err((Reason::TooLarge, why));
        }
        let fits = counts.len() == bounds.len() + 1 || (counts.is_empty() && bounds.is_empty());
        if fits && bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|b| b.is_finite()) {
            return Ok(());
        }
        let why = format!("{} bounds, which must ascend, and {} buckets", bounds.len(), counts.len());
        Err(invalid(f, &why))
    }
}

fn invalid(f: &Family, why: &str) -> Refusal {
    (Reason::InvalidItem, format!("histogram {}: {why}", quoted(&f.name)))
}

fn exponential(p: &ExponentialHistogramDataPoint) -> Result<Histogram, String> {
    if p.scale < i32::from(MIN_SCHEMA) {
        return Err(format!("scale {} is coarser than {MIN_SCHEMA}", p.scale));
    }
    // Halving the resolution merges neighbours, so anything finer than the finest schema still fits.
    let shift = (p.scale - i32::from(MAX_SCHEMA)).clamp(0, 31) as u32;
    let (positive_spans, positive_buckets) = spans(p.positive.as_ref(), shift)?;
    let (negative_spans, negative_buckets) = spans(p.negative.as_ref(), shift)?;
    let h = Histogram {
        schema: p.scale.min(i32::from(MAX_SCHEMA)) as i8,
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
    let mut counts: Vec<(i64, f64)> = Vec::new();
    for (i, n) in b.bucket_counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let index = ((i64::from(b.offset) + i as i64) >> shift) + 1;
        match counts.last_mut() {
            Some((last, sum)) if *last == index => *sum += *n as f64,
            _ => counts.push((index, *n as f64)),
        }
    }
    pack(counts).ok_or_else(|| format!("bucket offset {} is out of range", b.offset))
}

/// Spans as dense OTLP buckets; `None` where they are too far apart to be written out.
pub(super) fn dense(spans: &[BucketSpan], values: &[f64], max: usize) -> Option<Buckets> {
    let mut first = None;
    let mut counts: Vec<u64> = Vec::new();
    for (index, v) in buckets(spans, values) {
        let start = *first.get_or_insert(index);
        let at = usize::try_from(index - start).ok().filter(|at| *at < max)?;
        if counts.len() <= at {
            counts.resize(at + 1, 0);
        }
        if let Some(slot) = counts.get_mut(at) {
            *slot = v as u64;
        }
    }
    let offset = i32::try_from(first.map_or(0, |f: i64| f - 1)).ok()?;
    Some(Buckets { offset, bucket_counts: counts })
}
