//! Functions over a window of raw samples: the rate family and `*_over_time`.
//!
//! A [`Window`] borrows from the [`Samples`] of one series; windows of neighbouring steps overlap, nothing is
//! copied. Semantics follow Prometheus 3.x, including what is said when floats and histograms meet.

mod compare;
mod extended;
mod over_time;
mod rate;
mod regression;
mod sliding;

use std::sync::Arc;

use model::Histogram;

use crate::{Env, Error, Result, Value};

pub use extended::{fill_edges, interpolated};
pub use sliding::{Windows, can_slide, slide};

/// Raw samples of one series, ascending in time, without staleness markers. A time is either in the floats or in
/// the histograms.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    pub timestamps_ms: Vec<i64>,
    pub values: Vec<f64>,
    /// Start of each float's counter, 0 where unknown; empty means unknown for all.
    pub starts_ms: Vec<i64>,
    pub histograms: Vec<HistogramPoint>,
}

#[derive(Debug, Clone)]
pub struct HistogramPoint {
    pub t_ms: i64,
    /// When it began counting, 0 where unknown.
    pub start_ms: i64,
    pub histogram: Arc<Histogram>,
}

/// The samples of `(from_ms, to_ms]`, or more where the window is anchored or smoothed.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    pub timestamps_ms: &'a [i64],
    pub values: &'a [f64],
    pub starts_ms: &'a [i64],
    pub histograms: &'a [HistogramPoint],
    /// Exclusive start of the range.
    pub from_ms: i64,
    /// Inclusive end of the range.
    pub to_ms: i64,
    pub edges: Edges,
}

/// What a window takes from beyond its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edges {
    #[default]
    Plain,
    /// The last sample before the range stands at its start.
    Anchored,
    /// Values at both ends are interpolated.
    Smoothed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Resets,
    Changes,
    Avg,
    Sum,
    Min,
    Max,
    Count,
    Stddev,
    Stdvar,
    Quantile,
    Mad,
    First,
    Last,
    Present,
    TsOfFirst,
    TsOfLast,
    TsOfMax,
    TsOfMin,
    DoubleExponentialSmoothing,
}

impl WindowFunction {
    /// Whether the result is one of the samples, so that it keeps the name.
    pub fn keeps_name(self) -> bool {
        matches!(self, WindowFunction::First | WindowFunction::Last)
    }

    pub fn allows(self, edges: Edges) -> bool {
        use WindowFunction::*;
        match edges {
            Edges::Plain => true,
            Edges::Anchored => matches!(self, Rate | Increase | Delta | Resets | Changes),
            Edges::Smoothed => matches!(self, Rate | Increase | Delta),
        }
    }
}

/// What a function needs beside the samples.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    /// Numbers given to the function at this step, in order.
    pub numbers: &'a [f64],
    /// Time of the step.
    pub at_ms: i64,
    /// The metric's name, for notes.
    pub metric: &'a str,
}

impl Samples {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.histograms.is_empty()
    }

    pub fn heap_bytes(&self) -> usize {
        self.values.len() * 16
            + self.starts_ms.len() * 8
            + self.histograms.iter().map(|h| h.histogram.heap_bytes() + 24).sum::<usize>()
    }

    /// The samples with `first < t <= last`, looked for from `hint` on; the hint of a window that begins
    /// earlier makes the search short.
    pub fn between(&self, first_ms: i64, last_ms: i64) -> Window<'_> {
        let range = |t: &[i64]| (t.partition_point(|t| *t <= first_ms), t.partition_point(|t| *t <= last_ms));
        let (a, b) = range(&self.timestamps_ms);
        let (a, b) = (a.min(b), b);
        let h = &self.histograms;
        let x = h.partition_point(|p| p.t_ms <= first_ms);
        let y = h.partition_point(|p| p.t_ms <= last_ms);
        Window {
            timestamps_ms: &self.timestamps_ms[a..b],
            values: &self.values[a..b],
            starts_ms: self.starts_ms.get(a..b).unwrap_or_default(),
            histograms: &h[x.min(y)..y],
            from_ms: first_ms,
            to_ms: last_ms,
            edges: Edges::Plain,
        }
    }
}

impl<'a> Window<'a> {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.histograms.is_empty()
    }

    fn range_seconds(&self) -> f64 {
        (self.to_ms - self.from_ms) as f64 / 1000.0
    }

    /// Float samples as (time, value).
    fn floats(&self) -> impl DoubleEndedIterator<Item = (i64, f64)> + ExactSizeIterator + Clone + 'a {
        self.timestamps_ms.iter().copied().zip(self.values.iter().copied())
    }

    fn start_of(&self, i: usize) -> i64 {
        self.starts_ms.get(i).copied().unwrap_or(0)
    }
}

/// Applies a function to one window; nothing where it has no answer.
pub fn apply(
    f: WindowFunction,
    w: &Window<'_>,
    args: &Arguments<'_>,
    env: &mut Env<'_>,
) -> Result<Option<Value>> {
    use WindowFunction::*;
    if w.is_empty() {
        return Ok(None);
    }
    let value = match f {
        Rate | Increase | Delta if w.edges != Edges::Plain => extended::rate(f, w, args, env),
        Rate | Increase | Delta => rate::rate(f, w, args, env),
        Irate | Idelta => rate::instant(f == Irate, w, args, env),
        Resets => compare::resets(w).map(Value::Float),
        Changes => compare::changes(w).map(Value::Float),
        Deriv | PredictLinear => regression::linear(f, w, args, env).map(Value::Float),
        DoubleExponentialSmoothing => regression::smooth(w, args, env)?.map(Value::Float),
        _ => over_time::over_time(f, w, args, env),
    };
    Ok(value)
}

fn argument(args: &Arguments<'_>, i: usize) -> Result<f64> {
    args.numbers
        .get(i)
        .copied()
        .ok_or_else(|| Error::invalid(format!("argument {i} of the function is missing")))
}

fn mixed(args: &Arguments<'_>, env: &mut Env<'_>) {
    env.notes.warn(
        &env.span,
        format!(
            "PromQL warning: encountered a mix of histograms and floats for metric name {:?}",
            args.metric
        ),
    );
}

fn mixed_schemas(args: &Arguments<'_>, env: &mut Env<'_>) {
    env.notes.warn(
        &env.span,
        format!(
            "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name {:?}",
            args.metric
        ),
    );
}

fn ignored_histograms(args: &Arguments<'_>, env: &mut Env<'_>) {
    env.notes.info(
        &env.span,
        format!(
            "PromQL info: ignored histograms in a range containing both floats and histograms for metric name {:?}",
            args.metric
        ),
    );
}

fn reconciled(what: &str, env: &mut Env<'_>) {
    env.notes
        .info(&env.span, format!("PromQL info: mismatched custom buckets were reconciled during {what}"));
}

fn not_counter(args: &Arguments<'_>, env: &mut Env<'_>) {
    env.notes.warn(
        &env.span,
        format!("PromQL warning: this native histogram metric is not a counter: {:?}", args.metric),
    );
}

fn not_gauge(args: &Arguments<'_>, env: &mut Env<'_>) {
    env.notes.warn(
        &env.span,
        format!("PromQL warning: this native histogram metric is not a gauge: {:?}", args.metric),
    );
}

#[cfg(test)]
mod tests;
