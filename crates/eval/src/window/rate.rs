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
    env.notes.warn(
        &env.span,
        format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric name {:?}",
            args.metric
        ),
    );
}

/// What the samples themselves say, before extrapolation.
struct Observed {
    value: Value,
    first_t: i64,
    last_t: i64,
    gaps: usize,
    first_start: i64,
    /// Value or count of the first sample.
    first: f64,
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
    let observed = if w.histograms.is_empty() {
        floats(w, counter, args, env)?
    } else {
        histograms(w, counter, args, env)?
    };
    extrapolate(f, w, observed, args, env)
}

fn floats(w: &Window<'_>, counter: bool, args: &Arguments<'_>, env: &mut Env<'_>) -> Option<Observed> {
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
    Some(Observed {
        value: Value::Float(sum),
        first_t: *w.timestamps_ms.first()?,
        last_t: *w.timestamps_ms.last()?,
        gaps: w.values.len() - 1,
        first_start: w.start_of(0),
        first,
    })
}

fn histograms(w: &Window<'_>, counter: bool, args: &Arguments<'_>, env: &mut Env<'_>) -> Option<Observed> {
    let (first, last) = (w.histograms.first()?, w.histograms.last()?);
    let value = match w.histograms.len() {
        1 => Histogram { count: f64::NAN, ..Default::default() },
        _ => difference(w.histograms, counter, args, env)?,
    };
    Some(Observed {
        value: value.into(),
        first_t: first.t_ms,
        last_t: last.t_ms,
        gaps: w.histograms.len() - 1,
        first_start: first.start_ms,
        first: first.histogram.count,
    })
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
    if counter && points.iter().any(gauge) {
        not_counter(args, env);
    }
    let gauges = gauge(first) && gauge(last);
    if !counter && !gauges {
        not_gauge(args, env);
    }
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
    if clash(last) || (counter && points[from..].iter().any(clash)) {
        mixed_schemas(args, env);
        return None;
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

/// Stretches what was observed to the range: all the way where a sample is about as near as samples are to each
/// other, else by half a distance, and never below the zero of a counter.
fn extrapolate(
    f: WindowFunction,
    w: &Window<'_>,
    mut o: Observed,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    let counter = f != WindowFunction::Delta;
    let mut to_start = (o.first_t - w.from_ms) as f64 / 1000.0;
    let mut to_end = (w.to_ms - o.last_t) as f64 / 1000.0;
    let mut sampled = (o.last_t - o.first_t) as f64 / 1000.0;
    let average = if o.gaps > 0 { sampled / o.gaps as f64 } else { 0.0 };
    let threshold = average * 1.1;
    let begins_inside =
        counter && o.first_start != 0 && o.first_start > w.from_ms && o.first_start < o.first_t;
    if begins_inside {
        // The counter stood at zero when it began.
        to_start = 0.0;
        sampled = (o.last_t - o.first_start) as f64 / 1000.0;
        o.value = add_first(o.value, w, o.gaps, args, env)?;
    } else if o.gaps == 0 {
        return None;
    } else {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        let total = match &o.value {
            Value::Float(v) => *v,
            Value::Histogram(h) => h.count,
        };
        if counter && total > 0.0 && o.first >= 0.0 {
            to_start = to_start.min(sampled * (o.first / total));
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if f == WindowFunction::Rate {
        factor /= w.range_seconds();
    }
    Some(match o.value {
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
