//! `*_over_time`.

use std::sync::Arc;

use super::{Arguments, Window, WindowFunction, ignored_histograms, mixed};
use crate::{
    Env, Value,
    aggregate::HistogramAggregate,
    histogram::general,
    math::{self, Kahan, Mean},
};

pub(super) fn over_time(
    f: WindowFunction,
    w: &Window<'_>,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Option<Value> {
    use WindowFunction::*;
    match f {
        Count => return Some(Value::Float((w.values.len() + w.histograms.len()) as f64)),
        Present => return Some(Value::Float(1.0)),
        First | Last | TsOfFirst | TsOfLast => return edge(f, w),
        Sum | Avg if !w.values.is_empty() && !w.histograms.is_empty() => {
            mixed(args, env);
            return None;
        }
        Sum | Avg if w.values.is_empty() => {
            let mut all = HistogramAggregate::new(f == Avg);
            for p in w.histograms {
                all.add(&p.histogram, args.metric, env);
            }
            return all.finish(env).map(Value::from);
        }
        _ => {}
    }
    if w.values.is_empty() {
        return None;
    }
    if f == Quantile {
        let q = args.numbers.first().copied().unwrap_or(f64::NAN);
        if !(0.0..=1.0).contains(&q) {
            env.notes.warn(
                &env.span,
                format!("PromQL warning: quantile value should be between 0 and 1, got {}", general(q)),
            );
        }
    }
    if !w.histograms.is_empty() {
        ignored_histograms(args, env);
    }
    Some(Value::Float(of_floats(f, w, args)))
}

/// First and last sample of either type.
fn edge(f: WindowFunction, w: &Window<'_>) -> Option<Value> {
    use WindowFunction::*;
    let first = matches!(f, First | TsOfFirst);
    let float = if first { w.floats().next() } else { w.floats().next_back() };
    let histogram = if first { w.histograms.first() } else { w.histograms.last() };
    let take_float = match (float, histogram) {
        (Some((t, _)), Some(h)) => (t < h.t_ms) == first,
        (float, _) => float.is_some(),
    };
    let t = if take_float { float?.0 } else { histogram?.t_ms };
    Some(match f {
        TsOfFirst | TsOfLast => Value::Float(t as f64 / 1000.0),
        _ if take_float => Value::Float(float?.1),
        _ => Value::Histogram(Arc::clone(&histogram?.histogram)),
    })
}

fn of_floats(f: WindowFunction, w: &Window<'_>, args: &Arguments<'_>) -> f64 {
    use WindowFunction::*;
    let values = w.values;
    match f {
        Sum => {
            let mut k = Kahan::default();
            values.iter().for_each(|v| k.add(*v));
            k.value()
        }
        Avg => {
            let mut m = Mean::default();
            values.iter().for_each(|v| m.add(*v));
            m.value()
        }
        Min => extreme(w, |v, best| v < best).1,
        Max => extreme(w, |v, best| v > best).1,
        TsOfMin => extreme(w, |v, best| v <= best).0 as f64 / 1000.0,
        TsOfMax => extreme(w, |v, best| v >= best).0 as f64 / 1000.0,
        Stdvar => variance(values),
        Stddev => variance(values).sqrt(),
        Quantile => math::quantile(args.numbers.first().copied().unwrap_or(f64::NAN), &mut values.to_vec()),
        Mad => median_deviation(values),
        _ => f64::NAN,
    }
}

/// Time and value of the best float; anything is better than not-a-number.
fn extreme(w: &Window<'_>, better: impl Fn(f64, f64) -> bool) -> (i64, f64) {
    let mut floats = w.floats();
    let first = floats.next().unwrap_or((0, f64::NAN));
    floats.fold(first, |best, (t, v)| if better(v, best.1) || best.1.is_nan() { (t, v) } else { best })
}

/// Welford, with both running values compensated.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut sum, mut n) = (Kahan::default(), Kahan::default(), 0.0);
    for v in values {
        n += 1.0;
        let delta = v - (mean.sum + mean.c);
        mean.add(delta / n);
        sum.add(delta * (v - (mean.sum + mean.c)));
    }
    (sum.sum + sum.c) / n
}

fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut v = values.to_vec();
    let median = math::quantile(0.5, &mut v);
    v.iter_mut().for_each(|x| *x = (*x - median).abs());
    math::quantile(0.5, &mut v)
}
