//! Anchored and smoothed ranges: values at the edges come from samples beyond them, and nothing is extrapolated.

use std::sync::Arc;

use model::{Histogram, histogram::ResetHint};

use super::{
    Arguments, Edges, HistogramPoint, Samples, Window, WindowFunction, mixed, mixed_schemas, not_counter,
    not_gauge, reconciled,
};
use crate::{
    Env, Value,
    histogram::{self, HistogramSum, IncompatibleSchemas, detect_reset},
};

/// The value at `t` on the line between two samples. A counter that fell is taken to have begun at zero.
fn between(a: (i64, f64), b: (i64, f64), t: i64, counter: bool) -> f64 {
    let from = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

/// Index of the sample that stands for the left edge, and of the one for the right edge.
fn edges(n: usize, t: impl Fn(usize) -> i64, w: &Window<'_>) -> Option<(usize, usize)> {
    let last = n.checked_sub(1)?;
    let search = |pred: &dyn Fn(i64) -> bool| (0..last).find(|i| pred(t(*i))).unwrap_or(last);
    let first = search(&|t| t > w.from_ms).saturating_sub(1);
    let right = if w.edges == Edges::Smoothed { search(&|t| t >= w.to_ms) } else { last };
    if t(right) <= w.from_ms || (w.edges == Edges::Smoothed && t(first) > w.to_ms) {
        return None;
    }
    Some((first, right))
}

pub(super) fn rate(
    f: WindowFunction,
    w: &Window<'_>,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    if !w.values.is_empty() && !w.histograms.is_empty() {
        mixed(args, env);
        return None;
    }
    let counter = f != WindowFunction::Delta;
    let seconds = if f == WindowFunction::Rate { w.range_seconds() } else { 1.0 };
    if w.histograms.is_empty() {
        return float_rate(w, counter).map(|v| Value::Float(v / seconds));
    }
    let h = histogram_rate(w, counter, args, env)?;
    Some(if f == WindowFunction::Rate { histogram::divide(&h, seconds).into() } else { h.into() })
}

/// Values at both edges.
fn float_edges(w: &Window<'_>, first: usize, last: usize, counter: bool) -> (f64, f64) {
    let at = |i: usize| (w.timestamps_ms[i], w.values[i]);
    let smoothed = w.edges == Edges::Smoothed;
    let left = if smoothed && at(first).0 < w.from_ms && first + 1 < w.values.len() {
        between(at(first), at(first + 1), w.from_ms, counter)
    } else {
        at(first).1
    };
    let right = if smoothed && last > 0 && at(last).0 > w.to_ms {
        between(at(last - 1), at(last), w.to_ms, counter)
    } else {
        at(last).1
    };
    (left, right)
}

fn float_rate(w: &Window<'_>, counter: bool) -> Option<f64> {
    let (first, last) = edges(w.values.len(), |i| w.timestamps_ms[i], w)?;
    let (left, right) = float_edges(w, first, last, counter);
    let mut result = right - left;
    if counter {
        // Resets across the edges are in the edge values already.
        let from = if w.timestamps_ms[first] <= w.from_ms { first + 1 } else { first };
        let to = if w.timestamps_ms[last] >= w.to_ms { last } else { last + 1 };
        let mut before = left;
        for v in w.values.get(from..to).unwrap_or_default() {
            if *v < before {
                result += before;
            }
            before = *v;
        }
        if right < before {
            result += before;
        }
    }
    Some(result)
}

/// What reconciling custom bounds was needed for.
#[derive(Clone, Copy, Default)]
struct Reconciled {
    subtraction: bool,
    addition: bool,
}

impl Reconciled {
    fn note(self, env: &mut Env<'_>) {
        if self.subtraction {
            reconciled("subtraction", env);
        }
        if self.addition {
            reconciled("addition", env);
        }
    }
}

/// Interpolation between two histograms; says whether custom bounds had to be reconciled.
fn between_histograms(
    a: &HistogramPoint,
    b: &HistogramPoint,
    t: i64,
    counter: bool,
) -> Result<(Histogram, Reconciled), IncompatibleSchemas> {
    if t == a.t_ms {
        return Ok(((*a.histogram).clone(), Reconciled::default()));
    }
    if t == b.t_ms {
        return Ok(((*b.histogram).clone(), Reconciled::default()));
    }
    let share = (t - a.t_ms) as f64 / (b.t_ms - a.t_ms) as f64;
    if counter && detect_reset(&b.histogram, &a.histogram) {
        return Ok((histogram::multiply(&b.histogram, share), Reconciled::default()));
    }
    let mut sum = HistogramSum::new(&b.histogram);
    let subtraction = sum.subtract(&a.histogram)?.reconciled;
    sum.scale(share);
    let addition = sum.add(&a.histogram)?.reconciled;
    Ok((sum.finish(), Reconciled { subtraction, addition }))
}

fn histogram_rate(
    w: &Window<'_>,
    counter: bool,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Histogram> {
    let h = w.histograms;
    let (first, last) = edges(h.len(), |i| h[i].t_ms, w)?;
    let used = &h[first..=last];
    let custom = used.first()?.histogram.uses_custom_buckets();
    if used.iter().any(|p| p.histogram.uses_custom_buckets() != custom) {
        mixed_schemas(args, env);
        return None;
    }
    if counter && used.iter().any(|p| p.histogram.reset_hint == ResetHint::Gauge) {
        not_counter(args, env);
    }
    let smoothed = w.edges == Edges::Smoothed;
    let left = if smoothed && h[first].t_ms < w.from_ms && first + 1 < h.len() {
        between_histograms(&h[first], &h[first + 1], w.from_ms, counter)
    } else {
        Ok(((*h[first].histogram).clone(), Reconciled::default()))
    };
    let right = if smoothed && last > 0 && h[last].t_ms > w.to_ms {
        between_histograms(&h[last - 1], &h[last], w.to_ms, counter)
    } else {
        Ok(((*h[last].histogram).clone(), Reconciled::default()))
    };
    let (Ok((left, l)), Ok((right, r))) = (left, right) else {
        mixed_schemas(args, env);
        return None;
    };
    l.note(env);
    r.note(env);
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let gauges = gauge(&left) && gauge(&right);
    if !counter && !gauges {
        not_gauge(args, env);
    }
    let mut sum = HistogramSum::new(&right);
    let mut ok = sum
        .subtract(&left)
        .map(|a| {
            if a.reconciled {
                reconciled("subtraction", env)
            }
        })
        .is_ok();
    if counter {
        for lost in lost_to_resets(w, first, last, &left, &right) {
            ok &= sum
                .add(lost)
                .map(|a| {
                    if a.reconciled {
                        reconciled("addition", env)
                    }
                })
                .is_ok();
        }
    }
    if !ok {
        mixed_schemas(args, env);
        return None;
    }
    sum.set_hint(ResetHint::Gauge);
    Some(sum.finish())
}

/// What stood before each reset strictly between the edges.
fn lost_to_resets<'a>(
    w: &Window<'a>,
    first: usize,
    last: usize,
    left: &'a Histogram,
    right: &Histogram,
) -> Vec<&'a Histogram> {
    let h: &'a [HistogramPoint] = w.histograms;
    let mut before = left;
    let mut from = first + 1;
    let spans_reset = w.edges == Edges::Smoothed
        && h[first].t_ms < w.from_ms
        && h.get(first + 1).is_some_and(|n| detect_reset(&n.histogram, &h[first].histogram));
    if spans_reset {
        // The reset lies under the left edge and is in its value.
        before = &h[first + 1].histogram;
        from += 1;
    }
    let mut lost = Vec::new();
    // The last sample is the right edge itself.
    if from > last {
        return lost;
    }
    for p in &h[from..last] {
        if detect_reset(&p.histogram, before) {
            lost.push(before);
        }
        before = &p.histogram;
    }
    if detect_reset(right, before) {
        lost.push(before);
    }
    lost
}

/// The range with a sample put at each edge, as a bare anchored or smoothed range selector shows it.
pub fn fill_edges(w: &Window<'_>) -> Samples {
    let mut out = Samples::default();
    let Some((first, last)) = edges(w.values.len(), |i| w.timestamps_ms[i], w) else { return out };
    let (left, right) = float_edges(w, first, last, false);
    let inside =
        w.floats().skip(first).take(last + 1 - first).filter(|(t, _)| w.from_ms < *t && *t < w.to_ms);
    for (t, v) in [(w.from_ms, left)].into_iter().chain(inside).chain([(w.to_ms, right)]) {
        out.timestamps_ms.push(t);
        out.values.push(v);
    }
    out
}

/// The value at `t` of a smoothed instant selector: on the line between the neighbours, or the last one where
/// nothing follows.
pub fn interpolated(w: &Window<'_>, t: i64, args: &Arguments<'_>, env: &mut Env<'_>) -> Option<Value> {
    if !w.values.is_empty() && !w.histograms.is_empty() {
        mixed(args, env);
        return None;
    }
    if w.histograms.is_empty() {
        let next = w.timestamps_ms.partition_point(|x| *x < t);
        let at = |i: usize| Some((*w.timestamps_ms.get(i)?, *w.values.get(i)?));
        return match (next.checked_sub(1).and_then(at), at(next)) {
            (_, Some((x, v))) if x == t => Some(Value::Float(v)),
            (Some(a), Some(b)) => Some(Value::Float(between(a, b, t, false))),
            (Some((_, v)), None) => Some(Value::Float(v)),
            (None, _) => None,
        };
    }
    let next = w.histograms.partition_point(|p| p.t_ms < t);
    let before = next.checked_sub(1).and_then(|i| w.histograms.get(i));
    match (before, w.histograms.get(next)) {
        (_, Some(p)) if p.t_ms == t => Some(Value::Histogram(Arc::clone(&p.histogram))),
        (Some(a), Some(b)) if a.histogram.uses_custom_buckets() != b.histogram.uses_custom_buckets() => {
            mixed_schemas(args, env);
            None
        }
        (Some(a), Some(b)) => {
            let gauges = [a, b].iter().all(|p| p.histogram.reset_hint == ResetHint::Gauge);
            match between_histograms(a, b, t, !gauges) {
                Ok((h, fixed)) => {
                    fixed.note(env);
                    Some(h.into())
                }
                Err(_) => {
                    mixed_schemas(args, env);
                    None
                }
            }
        }
        (Some(a), None) => {
            // The hint speaks of the sample before, not of the value.
            let h = Histogram { reset_hint: ResetHint::Unknown, ..(*a.histogram).clone() };
            Some(h.into())
        }
        (None, _) => None,
    }
}
