//! Windows that slide: the functions over all steps of one series, each step from the one before.
//!
//! A window of an hour at steps of a minute holds each sample sixty times; looked at window by window each is
//! read sixty times. Here both ends move forward only and what a function needs is kept up to date, so that a
//! sample costs a constant number of operations however many windows hold it.
//!
//! ```text
//! samples   . . . . . . . . . . . .
//! step n        [a         b)            a, b: indexes of the first sample inside and the first after
//! step n+1          [a         b)
//! ```
//! Results are those of [`super::apply`] bit for bit, except for sums and means: these are compensated in another
//! order and may differ in the last digit. Counters with many resets pay for each reset in the window, because
//! adding them up in another order would change digits. Only series of floats without start timestamps slide.

use std::collections::VecDeque;

use super::{Samples, WindowFunction, rate};
use crate::{
    Column, Grid,
    math::{self, Kahan},
};

/// Where the windows of all steps lie: each ends `offset_ms` before its step.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    pub grid: Grid,
    pub offset_ms: i64,
    pub range_ms: i64,
}

/// Whether [`slide`] answers a function over this series; `quantile` is its argument where that is the same at
/// every step.
pub fn can_slide(f: WindowFunction, samples: &Samples, quantile: Option<f64>) -> bool {
    use WindowFunction::*;
    if !samples.histograms.is_empty() {
        return false;
    }
    match f {
        Rate | Increase | Delta | Irate | Idelta | Resets | Changes | Min | Max | Count | First | Last
        | Present | TsOfFirst | TsOfLast => true,
        Sum | Avg => sums_stay_finite(&samples.values),
        Quantile => quantile.is_some_and(|q| (0.0..=1.0).contains(&q)),
        _ => false,
    }
}

/// Where a sum could leave the range of floats, its order decides what comes out.
fn sums_stay_finite(values: &[f64]) -> bool {
    let most = f64::MAX / 4.0 / (values.len().max(1) as f64);
    values.iter().all(|v| v.abs() < most)
}

/// The function at every step; empty where nothing has an answer. `seen` is told how many samples each step's
/// window holds. To be called only if [`can_slide`].
pub fn slide(
    f: WindowFunction,
    samples: &Samples,
    windows: &Windows,
    quantile: f64,
    seen: &mut impl FnMut(usize, usize),
) -> Column {
    use WindowFunction::*;
    let (t, v) = (samples.timestamps_ms.as_slice(), samples.values.as_slice());
    let seconds = |ms: i64| ms as f64 / 1000.0;
    match f {
        Rate | Increase | Delta => rates(f, t, v, windows, seen),
        Irate | Idelta => each(windows, t, seen, |_, a, b| instant(f == Irate, t, v, a, b)),
        Resets => counted(t, windows, seen, |i| v[i] < v[i - 1]),
        Changes => counted(t, windows, seen, |i| v[i] != v[i - 1] && !(v[i].is_nan() && v[i - 1].is_nan())),
        Min => extremes(t, v, windows, seen, |new, old| new < old),
        Max => extremes(t, v, windows, seen, |new, old| new > old),
        Sum => sums(t, v, windows, seen, |k, _| k.value()),
        Avg => sums(t, v, windows, seen, |k, n| k.sum / n as f64 + k.c / n as f64),
        Quantile => quantiles(t, v, windows, seen, quantile),
        Count => each(windows, t, seen, |_, a, b| Some((b - a) as f64)),
        First => each(windows, t, seen, |_, a, _| Some(v[a])),
        Last => each(windows, t, seen, |_, _, b| Some(v[b - 1])),
        TsOfFirst => each(windows, t, seen, |_, a, _| Some(seconds(t[a]))),
        TsOfLast => each(windows, t, seen, |_, _, b| Some(seconds(t[b - 1]))),
        Present => each(windows, t, seen, |_, _, _| Some(1.0)),
        _ => Column::empty(windows.grid.len()),
    }
}

/// Moves both ends from step to step and asks `f` wherever a window holds samples: step, first sample inside,
/// first sample after.
fn each(
    windows: &Windows,
    t: &[i64],
    seen: &mut impl FnMut(usize, usize),
    mut f: impl FnMut(usize, usize, usize) -> Option<f64>,
) -> Column {
    let mut out = Column::empty(windows.grid.len());
    let start = |step: usize| windows.end(step).saturating_sub(windows.range_ms);
    // More may have been read than the first window needs.
    let mut a = t.partition_point(|x| *x <= start(0));
    let mut b = a;
    for step in 0..windows.grid.len() {
        let (from, to) = (start(step), windows.end(step));
        while t.get(b).is_some_and(|x| *x <= to) {
            b += 1;
        }
        while a < b && t[a] <= from {
            a += 1;
        }
        if a == b {
            continue;
        }
        seen(step, b - a);
        if let Some(v) = f(step, a, b) {
            out.set_float(step, v);
        }
    }
    out
}

impl Windows {
    /// Last millisecond of a step's window.
    fn end(&self, step: usize) -> i64 {
        self.grid.at(step).saturating_sub(self.offset_ms)
    }
}

fn rates(
    f: WindowFunction,
    t: &[i64],
    v: &[f64],
    windows: &Windows,
    seen: &mut impl FnMut(usize, usize),
) -> Column {
    let counter = f != WindowFunction::Delta;
    // Where the counter fell, and from what.
    let resets: Vec<(usize, f64)> = if counter {
        v.windows(2).enumerate().filter(|(_, w)| w[1] < w[0]).map(|(i, w)| (i + 1, w[0])).collect()
    } else {
        Vec::new()
    };
    let (mut first, mut end) = (0, 0);
    let range_seconds = windows.range_ms as f64 / 1000.0;
    each(windows, t, seen, |step, a, b| {
        while resets.get(end).is_some_and(|r| r.0 < b) {
            end += 1;
        }
        while first < end && resets[first].0 <= a {
            first += 1;
        }
        if b - a < 2 {
            return None;
        }
        let mut total = v[b - 1] - v[a];
        for (_, before) in &resets[first..end] {
            total += before;
        }
        let to_ms = windows.end(step);
        let observed =
            rate::Observed { first_t: t[a], last_t: t[b - 1], gaps: b - a - 1, first: v[a], total };
        let mut factor = observed.stretch(counter, to_ms.saturating_sub(windows.range_ms), to_ms);
        if f == WindowFunction::Rate {
            factor /= range_seconds;
        }
        Some(total * factor)
    })
}

fn instant(is_rate: bool, t: &[i64], v: &[f64], a: usize, b: usize) -> Option<f64> {
    if b - a < 2 {
        return None;
    }
    let seconds = (t[b - 1] - t[b - 2]) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    let (before, last) = (v[b - 2], v[b - 1]);
    let change = if is_rate && last < before { last } else { last - before };
    Some(if is_rate { change / seconds } else { change })
}

/// How often something holds between a sample and the one before, both inside.
fn counted(
    t: &[i64],
    windows: &Windows,
    seen: &mut impl FnMut(usize, usize),
    holds: impl Fn(usize) -> bool,
) -> Column {
    let mut until: Vec<u32> = Vec::with_capacity(t.len());
    for i in 0..t.len() {
        let before = until.last().copied().unwrap_or(0);
        until.push(before + u32::from(i > 0 && holds(i)));
    }
    each(windows, t, seen, |_, a, b| Some(f64::from(until[b - 1] - until[a])))
}

/// The best value inside: of equals the first, and not-a-number only where there is nothing else.
fn extremes(
    t: &[i64],
    v: &[f64],
    windows: &Windows,
    seen: &mut impl FnMut(usize, usize),
    better: impl Fn(f64, f64) -> bool,
) -> Column {
    // Samples that are the best from themselves on, best first.
    let mut line: VecDeque<usize> = VecDeque::new();
    let mut next = 0;
    each(windows, t, seen, |_, a, b| {
        for i in next.max(a)..b {
            if v[i].is_nan() {
                continue;
            }
            while line.back().is_some_and(|last| better(v[i], v[*last])) {
                line.pop_back();
            }
            line.push_back(i);
        }
        next = b;
        while line.front().is_some_and(|i| *i < a) {
            line.pop_front();
        }
        Some(line.front().map_or(v[a], |i| v[*i]))
    })
}

/// Sums from two parts: `tails` hold the sums from each sample up to `middle`, `rest` that from there to the end.
/// When the window has left the first part behind, the second becomes the first: each sample is added twice.
fn sums(
    t: &[i64],
    v: &[f64],
    windows: &Windows,
    seen: &mut impl FnMut(usize, usize),
    finish: impl Fn(Kahan, usize) -> f64,
) -> Column {
    let mut tails: Vec<Kahan> = Vec::new();
    let mut middle = 0;
    let mut rest = Kahan::default();
    let mut end = 0;
    each(windows, t, seen, |_, a, b| {
        if a >= middle {
            tails.clear();
            let mut sum = Kahan::default();
            for x in v[a..b].iter().rev() {
                sum.add(*x);
                tails.push(sum);
            }
            (middle, end, rest) = (b, b, Kahan::default());
        }
        for x in &v[end..b] {
            rest.add(*x);
        }
        end = b;
        let mut sum = tails[middle - a - 1];
        if middle < b {
            sum.add(rest.sum);
            sum.c += rest.c;
        }
        Some(finish(sum, b - a))
    })
}

/// The samples inside kept in order of value.
fn quantiles(t: &[i64], v: &[f64], windows: &Windows, seen: &mut impl FnMut(usize, usize), q: f64) -> Column {
    let mut sorted: Vec<f64> = Vec::new();
    let (mut first, mut end) = (0, 0);
    let below = |x: f64| move |y: &f64| math::nan_first(*y, x).is_lt();
    each(windows, t, seen, |_, a, b| {
        if a >= end {
            sorted.clear();
            (first, end) = (a, a);
        }
        for x in &v[end..b] {
            let at = sorted.partition_point(|y| math::nan_first(*y, *x).is_le());
            sorted.insert(at, *x);
        }
        for x in &v[first..a] {
            sorted.remove(sorted.partition_point(below(*x)));
        }
        (first, end) = (a, b);
        Some(math::quantile_of_sorted(q, &sorted))
    })
}

#[cfg(test)]
mod tests;
