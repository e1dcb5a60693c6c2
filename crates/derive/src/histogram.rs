//! Latency histograms: counts by classic bucket, and optionally by the buckets of a native histogram.

use std::collections::BTreeMap;

use model::histogram::{self, Histogram};

use crate::options::Latency;

/// Resolution a native histogram begins with: eight buckets for each power of two, each 9 % wider than the last.
const SCHEMA: i8 = 3;
/// Buckets of a native histogram. Past it neighbours are merged; more show finer shapes and take more room.
const MAX_NATIVE_BUCKETS: usize = 100;
/// Latencies up to here are zero (Prometheus' default).
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// Upper bounds of classic buckets, and which kinds of histograms there are.
#[derive(Default)]
pub(crate) struct Bounds {
    pub(crate) seconds: Vec<f64>,
    pub(crate) classic: bool,
    pub(crate) native: bool,
}

impl Bounds {
    pub(crate) fn of(latency: Option<&Latency>) -> Self {
        latency.map_or_else(Bounds::default, |l| Bounds {
            seconds: l.buckets.iter().copied().take(crate::options::MAX_BUCKETS).collect(),
            classic: l.histograms.classic(),
            native: l.histograms.native(),
        })
    }

    /// Series of one histogram.
    pub(crate) fn series(&self) -> usize {
        let classic = if self.classic { self.seconds.len() + 3 } else { 0 };
        classic + usize::from(self.native)
    }

    /// Classic buckets, `+Inf` among them.
    pub(crate) fn buckets(&self) -> usize {
        self.seconds.len() + 1
    }

    /// The bucket of a latency.
    fn bucket(&self, seconds: f64) -> usize {
        self.seconds.partition_point(|bound| *bound < seconds)
    }

    /// Rough bytes of one histogram.
    pub(crate) fn bytes(&self) -> usize {
        self.buckets() * 8 + if self.native { 32 * MAX_NATIVE_BUCKETS } else { 0 } + size_of::<Latencies>()
    }
}

/// One histogram of latencies.
pub(crate) struct Latencies {
    /// By bucket, not added up.
    pub(crate) buckets: Box<[u64]>,
    /// Exact whatever the number of spans: 2^64 ns are passed in days by many long ones.
    sum_ns: u128,
    /// A bit for each bucket that has its exemplar of this interval.
    exemplified: u64,
    native: Option<Box<Native>>,
}

struct Native {
    schema: i8,
    zero: u64,
    buckets: BTreeMap<i64, u64>,
}

impl Latencies {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let native = || Box::new(Native { schema: SCHEMA, zero: 0, buckets: BTreeMap::new() });
        Latencies {
            buckets: vec![0; bounds.buckets()].into(),
            sum_ns: 0,
            exemplified: 0,
            native: bounds.native.then(native),
        }
    }

    /// Counts one. Answers with its bucket where that has no exemplar yet.
    pub(crate) fn observe(&mut self, bounds: &Bounds, ns: u64) -> Option<u8> {
        let seconds = ns as f64 / 1e9;
        let bucket = bounds.bucket(seconds);
        if let Some(n) = self.buckets.get_mut(bucket) {
            *n += 1;
        }
        self.sum_ns += u128::from(ns);
        if let Some(native) = &mut self.native {
            native.observe(seconds);
        }
        (self.exemplified >> bucket & 1 == 0).then_some(bucket as u8)
    }

    pub(crate) fn exemplified(&mut self, bucket: u8) {
        self.exemplified |= 1 << bucket;
    }

    /// A new interval begins.
    pub(crate) fn want_exemplars(&mut self) {
        self.exemplified = 0;
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// As a native histogram, where it is one.
    pub(crate) fn native(&self) -> Option<Histogram> {
        let native = self.native.as_ref()?;
        let (positive_spans, positive_buckets) =
            histogram::pack(native.buckets.iter().map(|(index, n)| (*index, *n as f64)))?;
        Some(Histogram {
            schema: native.schema,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: native.zero as f64,
            count: self.count() as f64,
            sum: self.sum_seconds(),
            positive_spans,
            positive_buckets,
            is_integer: true,
            ..Histogram::default()
        })
    }
}

impl Native {
    fn observe(&mut self, seconds: f64) {
        if seconds <= ZERO_THRESHOLD {
            self.zero += 1;
            return;
        }
        // Bucket i ends at 2^(i / 2^schema) and holds its end.
        let index = (seconds.log2() * 2f64.powi(self.schema.into())).ceil() as i64;
        *self.buckets.entry(index).or_default() += 1;
        while self.buckets.len() > MAX_NATIVE_BUCKETS && self.schema > histogram::MIN_SCHEMA {
            let mut merged = BTreeMap::new();
            for (index, n) in std::mem::take(&mut self.buckets) {
                *merged.entry(((index - 1) >> 1) + 1).or_default() += n;
            }
            self.buckets = merged;
            self.schema -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Histograms;

    fn bounds() -> Bounds {
        Bounds::of(Some(&Latency { buckets: vec![0.1, 1.0], histograms: Histograms::Both }))
    }

    #[test]
    fn a_bucket_holds_its_upper_bound() {
        let bounds = bounds();
        let mut l = Latencies::new(&bounds);
        for ns in [0, 100_000_000, 100_000_001, 1_000_000_000, 7_000_000_000] {
            l.observe(&bounds, ns);
        }
        assert_eq!(*l.buckets, [2, 2, 1]);
        assert_eq!((l.count(), l.sum_seconds()), (5, 8.200000001));
    }

    #[test]
    fn a_bucket_wants_one_exemplar_in_an_interval() {
        let bounds = bounds();
        let mut l = Latencies::new(&bounds);
        assert_eq!(l.observe(&bounds, 1), Some(0));
        l.exemplified(0);
        assert_eq!((l.observe(&bounds, 1), l.observe(&bounds, 2_000_000_000)), (None, Some(2)));
        l.want_exemplars();
        assert_eq!(l.observe(&bounds, 1), Some(0));
    }

    #[test]
    fn native_buckets_hold_everything_once_and_stay_few() {
        let bounds = bounds();
        let mut l = Latencies::new(&bounds);
        for i in 0..10_000u64 {
            l.observe(&bounds, i * i * i);
        }
        let h = l.native().unwrap();
        assert_eq!(h.validate(), Ok(()));
        assert_eq!((h.count, h.zero_count), (10_000.0, 1.0));
        assert!(h.positive_buckets.len() <= 2 * MAX_NATIVE_BUCKETS && h.schema < SCHEMA);
        let mut one = Latencies::new(&bounds);
        one.observe(&bounds, 2_000_000_000);
        let h = one.native().unwrap();
        let buckets: Vec<_> = histogram::buckets(&h.positive_spans, &h.positive_buckets).collect();
        assert_eq!(buckets, [(8, 1.0)], "2 s ends bucket 8 of schema 3");
    }
}
