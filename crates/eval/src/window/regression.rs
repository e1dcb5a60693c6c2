//! Straight lines through samples, and smoothing.

use super::{Arguments, Window, WindowFunction, argument, ignored_histograms};
use crate::{Env, Error, Result, math::Kahan};

pub(super) fn linear(
    f: WindowFunction,
    w: &Window<'_>,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<f64> {
    if !w.values.is_empty() && !w.histograms.is_empty() {
        ignored_histograms(args, env);
    }
    if w.values.len() < 2 {
        return None;
    }
    if f == WindowFunction::Deriv {
        // Any time near the samples will do; a far one costs precision.
        return Some(fit(w, *w.timestamps_ms.first()?).0);
    }
    let (slope, intercept) = fit(w, args.at_ms);
    Some(slope * args.numbers.first()? + intercept)
}

/// Slope per second and value at `origin_ms`, by least squares.
fn fit(w: &Window<'_>, origin_ms: i64) -> (f64, f64) {
    let first = w.values.first().copied().unwrap_or_default();
    if w.values.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = w.values.len() as f64;
    let [mut sx, mut sy, mut sxy, mut sxx] = [Kahan::default(); 4];
    for (t, y) in w.floats() {
        let x = (t - origin_ms) as f64 / 1000.0;
        sx.add(x);
        sy.add(y);
        sxy.add(x * y);
        sxx.add(x * x);
    }
    let [sx, sy, sxy, sxx] = [sx, sy, sxy, sxx].map(|k| k.sum + k.c);
    let slope = (sxy - sx * sy / n) / (sxx - sx * sx / n);
    (slope, sy / n - slope * sx / n)
}

/// Double exponential smoothing: level and trend, each with its factor.
pub(super) fn smooth(w: &Window<'_>, args: &Arguments<'_>, env: &mut Env<'_>) -> Result<Option<f64>> {
    let (level, trend) = (argument(args, 0)?, argument(args, 1)?);
    for (name, v) in [("smoothing", level), ("trend", trend)] {
        if v <= 0.0 || v >= 1.0 {
            return Err(Error::invalid(format!(
                "invalid {name} factor. Expected: 0 < {}f < 1, got: {v:.6}",
                &name[..1]
            )));
        }
    }
    if !w.values.is_empty() && !w.histograms.is_empty() {
        ignored_histograms(args, env);
    }
    let [first, second, ..] = w.values else { return Ok(None) };
    let (mut before, mut smoothed) = (0.0, *first);
    let mut slope = second - first;
    for (i, v) in w.values.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (smoothed - before) + (1.0 - trend) * slope;
        }
        let next = level * v + (1.0 - level) * (smoothed + slope);
        (before, smoothed) = (smoothed, next);
    }
    Ok(Some(smoothed))
}
