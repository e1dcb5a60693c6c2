//! `rate`, `increase`, `delta` with extrapolation to the ends of the range, `irate` and `idelta`.

use std::sync::Arc;

use model::{Histogram, histogram::ResetHint};

use super::{
    Arguments, HistogramPoint, Window, WindowFunction, mixed, mixed_schemas, not_counter, not_gauge,
    reconciled,
};
use crate::{
    Env, Value,
    histogram::{self, HistogramSum, detect_reset},
};

/// Whether the start timestamps say that a counter began anew between two samples.
pub(super) fn start_says_reset(before: (i64, i64), now: (i64, i64)) -> bool {
    let ((prev_start, prev_t), (start, t)) = (before, now);
    // 0 is unknown; at or after the sample itself is not a start.
    if start == 0 || start >= t || start < prev_t {
        return false;
    }
    // A start that equals the previous sample's time is how deltas chain, unless the start is merely unknown
    // and the collector put the previous time there.
    start > prev_t || (prev_start <= prev_t && prev_start != 0 && prev_start != prev_t)
}

fn starts_overlap(before: (i64, i64), start: i64) -> bool {
    start != 0 && start < before.1 && start != before.0
}

fn warn_overlap(args: &Arguments<'_>, env: &mut Env<'_>) {
    env.notes.warn_counted(
        &env.span,
        format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {:?}",
            args.metric
        ),
    );
}

/// Where the samples of a window lie and what they say.
pub(super) struct Observed {
    pub first_t: i64,
    pub last_t: i64,
    /// Distances between samples.
    pub gaps: usize,
    /// Value of the first sample, or its count if it is a histogram.
    pub first: f64,
    /// How much the value, or the count, grew.
    pub total: f64,
}

impl Observed {
    /// By how much what was observed is to be multiplied to stand for the whole range: stretched all the way where
    /// a sample is about as near as samples are to each other, else by half a distance, and never below the zero
    /// of a counter.
    pub fn stretch(&self, counter: bool, from_ms: i64, to_ms: i64) -> f64 {
        let sampled = (self.last_t - self.first_t) as f64 / 1000.0;
        let average = if self.gaps > 0 { sampled / self.gaps as f64 } else { 0.0 };
        let mut to_start = (self.first_t - from_ms) as f64 / 1000.0;
        if to_start >= average * 1.1 {
            to_start = average / 2.0;
        }
        if counter && self.total > 0.0 && self.first >= 0.0 {
            to_start = to_start.min(sampled * (self.first / self.total));
        }
        self.with_start(sampled, to_start, average, to_ms)
    }

    /// The same where a counter is known to have stood at zero at `start_ms`, inside the range.
    fn stretch_from_zero(&self, start_ms: i64, to_ms: i64) -> f64 {
        let between = (self.last_t - self.first_t) as f64 / 1000.0;
        let average = if self.gaps > 0 { between / self.gaps as f64 } else { 0.0 };
        self.with_start((self.last_t - start_ms) as f64 / 1000.0, 0.0, average, to_ms)
    }

    fn with_start(&self, sampled: f64, to_start: f64, average: f64, to_ms: i64) -> f64 {
        let mut to_end = (to_ms - self.last_t) as f64 / 1000.0;
        if to_end >= average * 1.1 {
            to_end = average / 2.0;
        }
        if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
    }
}

/// What the samples of a window come to before it is stretched.
struct Grown {
    value: Value,
    observed: Observed,
    first_start: i64,
}

pub(super) fn rate(
    f: WindowFunction,
    w: &Window<'_>,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    let counter = f != WindowFunction::Delta;
    if !w.values.is_empty() && !w.histograms.is_empty() {
        mixed(args, env);
        return None;
    }
    let grown = if w.histograms.is_empty() {
        floats(w, counter, args, env)?
    } else {
        histograms(w, counter, args, env)?
    };
    extrapolate(f, w, grown, args, env)
}

fn floats(w: &Window<'_>, counter: bool, args: &Arguments<'_>, env: &mut Env<'_>) -> Option<Grown> {
    let (first, last) = (*w.values.first()?, *w.values.last()?);
    let mut sum = last - first;
    if counter {
        let mut overlap = false;
        for i in 1..w.values.len() {
            let before = (w.start_of(i - 1), w.timestamps_ms[i - 1]);
            let now = (w.start_of(i), w.timestamps_ms[i]);
            overlap |= starts_overlap(before, now.0);
            if w.values[i] < w.values[i - 1] || start_says_reset(before, now) {
                sum += w.values[i - 1];
            }
        }
        if overlap {
            warn_overlap(args, env);
        }
    }
    let observed = Observed {
        first_t: *w.timestamps_ms.first()?,
        last_t: *w.timestamps_ms.last()?,
        gaps: w.values.len() - 1,
        first,
        total: sum,
    };
    Some(Grown { value: Value::Float(sum), observed, first_start: w.start_of(0) })
}

fn histograms(w: &Window<'_>, counter: bool, args: &Arguments<'_>, env: &mut Env<'_>) -> Option<Grown> {
    let (first, last) = (w.histograms.first()?, w.histograms.last()?);
    let value = match w.histograms.len() {
        1 => Histogram { count: f64::NAN, ..Default::default() },
        _ => difference(w.histograms, counter, args, env)?,
    };
    let observed = Observed {
        first_t: first.t_ms,
        last_t: last.t_ms,
        gaps: w.histograms.len() - 1,
        first: first.histogram.count,
        total: value.count,
    };
    Some(Grown { value: value.into(), observed, first_start: first.start_ms })
}

/// Last minus first, plus what each reset took away.
fn difference(
    points: &[HistogramPoint],
    counter: bool,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Histogram> {
    let (first, last) = (points.first()?, points.last()?);
    let (second, lasth) = (points.get(1)?, &last.histogram);
    let gauge = |p: &HistogramPoint| p.histogram.reset_hint == ResetHint::Gauge;
    let reset = |a: &HistogramPoint, b: &HistogramPoint| {
        start_says_reset((a.start_ms, a.t_ms), (b.start_ms, b.t_ms))
            || detect_reset(&b.histogram, &a.histogram)
    };
    // A first sample that a reset follows at once is not looked at, whatever its layout.
    let skip_first = counter && reset(first, second);
    let custom = if skip_first {
        second.histogram.uses_custom_buckets()
    } else {
        first.histogram.uses_custom_buckets()
    };
    let from = usize::from(skip_first);
    let clash = |p: &HistogramPoint| p.histogram.uses_custom_buckets() != custom;
    if clash(last) {
        if counter && (gauge(first) || gauge(last)) {
            not_counter(args, env);
        }
        mixed_schemas(args, env);
        return None;
    }
    // What else is wrong no longer matters where layouts mix in the middle.
    if counter && points[from..].iter().any(clash) {
        mixed_schemas(args, env);
        return None;
    }
    if counter && points.iter().any(gauge) {
        not_counter(args, env);
    }
    let mut sum = HistogramSum::new(lasth);
    let mut mismatched = (false, false);
    if !skip_first {
        match sum.subtract(&first.histogram) {
            Ok(a) => mismatched.0 |= a.reconciled,
            Err(_) => {
                mixed_schemas(args, env);
                return None;
            }
        }
    }
    if counter {
        let mut overlap = false;
        for pair in points.windows(2) {
            let [a, b] = pair else { continue };
            overlap |= starts_overlap((a.start_ms, a.t_ms), b.start_ms);
            let is_first = std::ptr::eq(a, first);
            if reset(a, b) && !(skip_first && is_first) {
                match sum.add(&a.histogram) {
                    Ok(x) => mismatched.1 |= x.reconciled,
                    Err(_) => {
                        mixed_schemas(args, env);
                        return None;
                    }
                }
            }
        }
        if overlap {
            warn_overlap(args, env);
        }
    } else if !(gauge(first) && gauge(last)) {
        not_gauge(args, env);
    }
    if mismatched.0 {
        reconciled("subtraction", env);
    }
    if mismatched.1 {
        reconciled("addition", env);
    }
    sum.set_hint(ResetHint::Gauge);
    Some(sum.finish())
}

fn extrapolate(
    f: WindowFunction,
    w: &Window<'_>,
    grown: Grown,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    let counter = f != WindowFunction::Delta;
    let Grown { mut value, observed, first_start } = grown;
    let mut factor =
        if counter && first_start != 0 && first_start > w.from_ms && first_start < observed.first_t {
            value = add_first(value, w, observed.gaps, args, env)?;
            observed.stretch_from_zero(first_start, w.to_ms)
        } else if observed.gaps == 0 {
            return None;
        } else {
            observed.stretch(counter, w.from_ms, w.to_ms)
        };
    if f == WindowFunction::Rate {
        factor /= w.range_seconds();
    }
    Some(match value {
        Value::Float(v) => Value::Float(v * factor),
        Value::Histogram(h) => histogram::multiply(&h, factor).into(),
    })
}

fn add_first(
    value: Value,
    w: &Window<'_>,
    gaps: usize,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    match value {
        Value::Float(v) => Some(Value::Float(v + w.values.first()?)),
        Value::Histogram(_) if gaps == 0 => {
            Some(Value::Histogram(Arc::clone(&w.histograms.first()?.histogram)))
        }
        Value::Histogram(h) => {
            let mut sum = HistogramSum::new(&h);
            match sum.add(&w.histograms.first()?.histogram) {
                Ok(a) if a.reconciled => reconciled("addition", env),
                Ok(_) => {}
                Err(_) => {
                    mixed_schemas(args, env);
                    return None;
                }
            }
            Some(sum.finish().into())
        }
    }
}

/// From the last two samples, of whichever type.
pub(super) fn instant(
    is_rate: bool,
    w: &Window<'_>,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    enum Last<'a> {
        Float(f64),
        Histogram(&'a Arc<Histogram>),
    }
    let floats = (0..w.values.len()).rev().take(2);
    let mut last: Vec<(i64, i64, Last<'_>)> =
        floats.map(|i| (w.timestamps_ms[i], w.start_of(i), Last::Float(w.values[i]))).collect();
    let recent = w.histograms.iter().rev().take(2);
    last.extend(recent.map(|p| (p.t_ms, p.start_ms, Last::Histogram(&p.histogram))));
    last.sort_by_key(|(t, ..)| std::cmp::Reverse(*t));
    let [(t1, s1, b), (t0, s0, a), ..] = last.as_slice() else { return None };
    let seconds = (t1 - t0) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    let began = start_says_reset((*s0, *t0), (*s1, *t1));
    match (a, b) {
        (Last::Float(a), Last::Float(b)) => {
            let v = if is_rate && (b < a || began) { *b } else { b - a };
            Some(Value::Float(if is_rate { v / seconds } else { v }))
        }
        (Last::Histogram(a), Last::Histogram(b)) => {
            let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
            let (any, all) = (gauge(a) || gauge(b), gauge(a) && gauge(b));
            if is_rate && any {
                not_counter(args, env);
            }
            if !is_rate && !all {
                not_gauge(args, env);
            }
            let mut sum = HistogramSum::new(b);
            if !is_rate || !(began || detect_reset(b, a)) {
                match sum.subtract(a) {
                    Ok(x) if x.reconciled => reconciled("subtraction", env),
                    Ok(_) => {}
                    Err(_) => {
                        mixed_schemas(args, env);
                        return None;
                    }
                }
            }
            sum.set_hint(ResetHint::Gauge);
            let h = sum.finish();
            Some(if is_rate { histogram::divide(&h, seconds).into() } else { h.into() })
        }
        _ => {
            mixed(args, env);
            None
        }
    }
}
