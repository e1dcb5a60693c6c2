//! A running sum of histograms, compensated bucket by bucket.

use model::{
    Histogram,
    histogram::{BucketSpan, ResetHint},
};

use super::buckets::{coarser, encode, negative, positive, upper_bound};
use crate::math::Kahan;

/// Exponential and custom buckets cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncompatibleSchemas;

/// What had to be given up when a histogram was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// One said "counter was reset", the other "was not".
    pub reset_collision: bool,
    /// Custom bounds differed; only those in both are left.
    pub reconciled: bool,
}

type Side = Vec<(i32, Kahan)>;

/// Begins with one histogram; others are added, in any compatible layout.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    schema: i8,
    reset_hint: ResetHint,
    zero_threshold: f64,
    zero: Kahan,
    count: Kahan,
    sum: Kahan,
    positive: Side,
    negative: Side,
    custom: Vec<f64>,
}

impl HistogramSum {
    pub fn new(h: &Histogram) -> Self {
        let side = |l: Vec<(i32, f64)>| l.into_iter().map(|(i, c)| (i, Kahan::new(c))).collect();
        HistogramSum {
            schema: h.schema,
            reset_hint: h.reset_hint,
            zero_threshold: h.zero_threshold,
            zero: Kahan::new(h.zero_count),
            count: Kahan::new(h.count),
            sum: Kahan::new(h.sum),
            positive: side(positive(h)),
            negative: side(negative(h)),
            custom: h.custom_values.clone(),
        }
    }

    fn is_custom(&self) -> bool {
        self.schema == model::histogram::CUSTOM_BUCKETS_SCHEMA
    }

    pub fn add(&mut self, h: &Histogram) -> Result<Added, IncompatibleSchemas> {
        self.combine(h, 1.0)
    }

    pub fn subtract(&mut self, h: &Histogram) -> Result<Added, IncompatibleSchemas> {
        self.combine(h, -1.0)
    }

    fn combine(&mut self, h: &Histogram, sign: f64) -> Result<Added, IncompatibleSchemas> {
        if self.is_custom() != h.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let mut added = Added { reset_collision: self.adjust_hint(h.reset_hint), reconciled: false };
        let mut other = HistogramSum::new(h);
        if self.is_custom() {
            if self.custom != other.custom {
                added.reconciled = true;
                let common: Vec<f64> =
                    self.custom.iter().copied().filter(|b| other.custom.contains(b)).collect();
                self.reduce_bounds(&common);
                other.reduce_bounds(&common);
            }
        } else {
            self.reconcile_zero(&mut other);
            self.zero.add(sign * other.zero.value());
            let schema = self.schema.min(other.schema);
            self.reduce(schema);
            other.reduce(schema);
        }
        self.count.add(sign * h.count);
        self.sum.add(sign * h.sum);
        // What the other holds inside our zero bucket was counted there.
        let threshold = if self.is_custom() { f64::NEG_INFINITY } else { self.zero_threshold };
        let (schema, custom) = (self.schema, std::mem::take(&mut self.custom));
        let outside = |i: i32| upper_bound(i, schema, &custom) > threshold;
        merge(&mut self.positive, &other.positive, sign, outside);
        merge(&mut self.negative, &other.negative, sign, outside);
        self.custom = custom;
        Ok(added)
    }

    /// Merges the hints; true if they contradict each other.
    fn adjust_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::*;
        let mine = self.reset_hint;
        let (hint, collision) = match (mine, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.reset_hint = hint;
        collision
    }

    /// Widens the narrower zero bucket until both are equal; a threshold never cuts a populated bucket.
    fn reconcile_zero(&mut self, other: &mut HistogramSum) {
        while self.zero_threshold != other.zero_threshold {
            // Not-a-number would never become equal.
            if self.zero_threshold.is_nan() || other.zero_threshold.is_nan() {
                return;
            }
            if self.zero_threshold < other.zero_threshold {
                self.widen_zero(other.zero_threshold);
            } else {
                other.widen_zero(self.zero_threshold);
            }
        }
    }

    fn widen_zero(&mut self, mut threshold: f64) {
        // A populated bucket that straddles the threshold moves it to its own end, which may reach others.
        loop {
            let straddling = self.positive.iter().chain(&self.negative).find_map(|(i, c)| {
                let (lower, upper) =
                    (upper_bound(i.saturating_sub(1), self.schema, &[]), upper_bound(*i, self.schema, &[]));
                (c.value() != 0.0 && lower < threshold && upper > threshold).then_some(upper)
            });
            match straddling {
                Some(upper) => threshold = upper,
                None => break,
            }
        }
        let schema = self.schema;
        let inside = |i: i32| upper_bound(i.saturating_sub(1), schema, &[]) < threshold;
        for side in [&mut self.positive, &mut self.negative] {
            for (_, c) in side.iter().filter(|(i, _)| inside(*i)) {
                self.zero.add(c.sum);
                self.zero.add(c.c);
            }
            side.retain(|(i, _)| !inside(*i));
        }
        self.zero_threshold = threshold;
    }

    fn reduce(&mut self, schema: i8) {
        if schema >= self.schema {
            return;
        }
        let from = self.schema;
        for side in [&mut self.positive, &mut self.negative] {
            remap(side, |i| coarser(i, from, schema));
        }
        self.schema = schema;
    }

    fn reduce_bounds(&mut self, bounds: &[f64]) {
        let from = std::mem::take(&mut self.custom);
        remap(&mut self.positive, |i| {
            let bound = usize::try_from(i).ok().and_then(|i| from.get(i));
            let at = bound.map_or(bounds.len(), |b| bounds.partition_point(|x| x < b));
            i32::try_from(at).unwrap_or(i32::MAX)
        });
        self.custom = bounds.to_vec();
    }

    pub fn scale(&mut self, factor: f64) {
        for k in [&mut self.zero, &mut self.count, &mut self.sum] {
            k.scale(factor);
        }
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, k)| k.scale(factor));
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    pub fn hint(&self) -> ResetHint {
        self.reset_hint
    }

    pub fn set_hint(&mut self, hint: ResetHint) {
        self.reset_hint = hint;
    }

    /// Whether some count or the sum left the range of floats.
    pub fn has_overflow(&self) -> bool {
        [self.zero, self.count, self.sum].iter().any(|k| k.sum.is_infinite())
            || self.positive.iter().chain(&self.negative).any(|(_, k)| k.sum.is_infinite())
    }

    pub fn count(&self) -> f64 {
        self.count.value()
    }

    /// The sum without empty buckets.
    pub fn finish(self) -> Histogram {
        self.histogram(|k| k.value())
    }

    /// The sum as it stands, and what it lost to rounding where that is something: added again, in that order, they
    /// come to the same.
    pub fn parts(self) -> (Histogram, Option<Histogram>) {
        let lost = self.histogram(|k| if k.sum.is_finite() { k.c } else { 0.0 });
        let numbers = [lost.zero_count, lost.count, lost.sum];
        let mut all = numbers.iter().chain(&lost.positive_buckets).chain(&lost.negative_buckets);
        let is_something = all.any(|c| *c != 0.0);
        (self.histogram(|k| k.sum), is_something.then_some(lost))
    }

    fn histogram(&self, number: impl Fn(Kahan) -> f64) -> Histogram {
        let side = |s: &Side| -> (Vec<BucketSpan>, Vec<f64>) {
            encode(&s.iter().map(|(i, k)| (*i, number(*k))).collect::<Vec<_>>())
        };
        let (positive_spans, positive_buckets) = side(&self.positive);
        let (negative_spans, negative_buckets) = side(&self.negative);
        Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: number(self.zero),
            count: number(self.count),
            sum: number(self.sum),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: self.custom.clone(),
            is_integer: false,
        }
    }
}

/// Gives every bucket a new index; those that meet are added.
fn remap(side: &mut Side, to: impl Fn(i32) -> i32) {
    let mut out: Side = Vec::with_capacity(side.len());
    for (i, k) in side.iter() {
        let index = to(*i);
        match out.last_mut() {
            Some((last, sum)) if *last == index => {
                sum.add(k.sum);
                sum.add(k.c);
            }
            _ => out.push((index, *k)),
        }
    }
    *side = out;
}

/// Adds `b` to `a`, both ascending by index, skipping buckets that `wanted` refuses.
fn merge(a: &mut Side, b: &Side, sign: f64, wanted: impl Fn(i32) -> bool) {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let mut left = a.iter().copied().peekable();
    for (index, k) in b.iter().filter(|(i, _)| wanted(*i)) {
        while let Some(l) = left.next_if(|(i, _)| i < index) {
            out.push(l);
        }
        let mut sum = left.next_if(|(i, _)| i == index).map_or(Kahan::default(), |(_, k)| k);
        sum.add(sign * k.sum);
        sum.add(sign * k.c);
        out.push((*index, sum));
    }
    out.extend(left);
    *a = out;
}
