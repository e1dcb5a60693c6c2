//! Range selectors, subqueries and the functions over them.

use std::{borrow::Cow, sync::Arc};

use eval::{
    Column, Grid, Series, Span, Value,
    window::{self, Arguments, Edges, HistogramPoint, Samples, Window, WindowFunction, Windows},
};
use model::{Histogram, Labels, histogram::ResetHint};

use super::{
    Result, Run, bytes_of,
    fuse::name_dropped,
    job::{Job, Worker},
    labels::absent_labels,
    tally::weight,
};
use crate::{
    Error, Experimental, RangeSeries,
    ast::{Call, Extent, Modifiers, NodeId, NodeKind},
    fetch::without_stale,
    functions::FunctionId,
    plan::reference,
};

/// The series of a range vector and where each step's window lies.
pub(super) struct Ranges<'a> {
    rows: Vec<RangeRow<'a>>,
    range_ms: i64,
    modifiers: &'a Modifiers,
    edges: Edges,
    lookback_ms: i64,
    /// Bytes charged for samples made here.
    charged: usize,
}

struct RangeRow<'a> {
    labels: Labels,
    drop_name: bool,
    samples: Cow<'a, Samples>,
}

impl Ranges<'_> {
    /// The window of one step.
    fn window<'s>(&self, samples: &'s Samples, step_ms: i64) -> Window<'s> {
        let to = reference(self.modifiers, step_ms);
        let from = to.saturating_sub(self.range_ms);
        let (before, after) = match self.edges {
            Edges::Plain => (0, 0),
            Edges::Anchored => (self.lookback_ms, 0),
            Edges::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        let w = samples.between(from.saturating_sub(before), to.saturating_add(after));
        Window { from_ms: from, to_ms: to, edges: self.edges, ..w }
    }
}

pub(super) fn window_function(id: FunctionId) -> Option<WindowFunction> {
    use WindowFunction as W;
    Some(match id {
        FunctionId::Rate => W::Rate,
        FunctionId::Increase => W::Increase,
        FunctionId::Delta => W::Delta,
        FunctionId::Irate => W::Irate,
        FunctionId::Idelta => W::Idelta,
        FunctionId::Deriv => W::Deriv,
        FunctionId::PredictLinear => W::PredictLinear,
        FunctionId::Resets => W::Resets,
        FunctionId::Changes => W::Changes,
        FunctionId::AvgOverTime => W::Avg,
        FunctionId::SumOverTime => W::Sum,
        FunctionId::MinOverTime => W::Min,
        FunctionId::MaxOverTime => W::Max,
        FunctionId::CountOverTime => W::Count,
        FunctionId::StddevOverTime => W::Stddev,
        FunctionId::StdvarOverTime => W::Stdvar,
        FunctionId::QuantileOverTime => W::Quantile,
        FunctionId::MadOverTime => W::Mad,
        FunctionId::FirstOverTime => W::First,
        FunctionId::LastOverTime => W::Last,
        FunctionId::PresentOverTime => W::Present,
        FunctionId::TsOfFirstOverTime => W::TsOfFirst,
        FunctionId::TsOfLastOverTime => W::TsOfLast,
        FunctionId::TsOfMaxOverTime => W::TsOfMax,
        FunctionId::TsOfMinOverTime => W::TsOfMin,
        FunctionId::DoubleExponentialSmoothing => W::DoubleExponentialSmoothing,
        _ => return None,
    })
}

/// Functions that look at start timestamps.
fn uses_starts(f: WindowFunction) -> bool {
    matches!(
        f,
        WindowFunction::Rate | WindowFunction::Increase | WindowFunction::Irate | WindowFunction::Resets
    )
}

impl<'a> Run<'a> {
    pub(super) fn ranges(&mut self, id: NodeId) -> Result<Ranges<'a>> {
        let id = self.plan.expr.unwrap_parens(id);
        match self.kind(id) {
            NodeKind::Matrix { selector, range } => {
                let NodeKind::Selector(s) = self.kind(*selector) else {
                    return Err(Error::Internal("a range without a selector".to_owned()));
                };
                let edges = match s.extent {
                    Extent::None => Edges::Plain,
                    Extent::Anchored => Edges::Anchored,
                    Extent::Smoothed => Edges::Smoothed,
                };
                let mut rows = Vec::new();
                let mut charged = 0;
                for f in self.fetched(*selector) {
                    let samples = if f.has_stale {
                        let clean = without_stale(&f.samples);
                        charged += clean.heap_bytes();
                        self.meter.charge(clean.heap_bytes())?;
                        Cow::Owned(clean)
                    } else {
                        Cow::Borrowed(&f.samples)
                    };
                    rows.push(RangeRow { labels: f.labels.clone(), drop_name: false, samples });
                }
                let lookback_ms = self.lookback_ms;
                Ok(Ranges {
                    rows,
                    range_ms: range.millis(),
                    modifiers: &s.modifiers,
                    edges,
                    lookback_ms,
                    charged,
                })
            }
            NodeKind::Subquery(s) => {
                let mut rows = Vec::new();
                let mut charged = 0;
                if let Some(grid) = self.plan.result_grid(s.expr) {
                    // What a subquery looks at is counted where its results are looked at.
                    let counted = std::mem::take(&mut self.tally);
                    let inner = self.rows(s.expr);
                    self.tally = counted;
                    let inner = inner?;
                    let consumed = bytes_of(&inner);
                    for row in inner {
                        let samples = samples_of(&row.column, grid);
                        charged += samples.heap_bytes();
                        self.meter.charge(samples.heap_bytes())?;
                        rows.push(RangeRow {
                            labels: row.labels,
                            drop_name: row.drop_name,
                            samples: Cow::Owned(samples),
                        });
                    }
                    self.meter.release(consumed);
                }
                Ok(Ranges {
                    rows,
                    range_ms: s.range.millis(),
                    modifiers: &s.modifiers,
                    edges: Edges::Plain,
                    lookback_ms: self.lookback_ms,
                    charged,
                })
            }
            _ => Err(Error::Internal("a range vector was expected".to_owned())),
        }
    }

    /// A function over a range vector; its other arguments are numbers.
    pub(super) fn window_call(&mut self, id: NodeId, c: &'a Call, f: WindowFunction) -> Result<Vec<Series>> {
        let job = self.window_job(id, c, f)?;
        let merge = !f.keeps_name() && job.has_equals();
        let rows = self.collect(job)?;
        if merge {
            let span = self.span(id);
            return Ok(eval::merge_same(rows, &mut self.env(span))?);
        }
        Ok(rows)
    }

    pub(super) fn window_job(&mut self, id: NodeId, c: &'a Call, f: WindowFunction) -> Result<Job<'a>> {
        let mut numbers = Vec::new();
        let mut ranges = None;
        let mut range_span = self.span(id);
        for arg in &c.args {
            if self.plan.type_of(*arg) == crate::ValueType::Matrix {
                range_span = self.span(*arg);
                ranges = Some(self.ranges(*arg)?);
            } else {
                numbers.push(self.scalar(*arg)?);
            }
        }
        let Some(mut ranges) = ranges else {
            return Err(Error::Internal(format!("{} without a range vector", c.function.name)));
        };
        self.check_edges(f, ranges.edges, c.function.name)?;
        let span = match (f, c.args.first()) {
            (WindowFunction::Quantile, Some(first)) => self.span(*first),
            _ => range_span,
        };
        let (grid, delay) = (self.grid(id), self.options.delayed_name_removal);
        let labels = ranges.rows.iter().map(|row| {
            if f.keeps_name() {
                (row.labels.clone(), row.drop_name)
            } else {
                (name_dropped(&row.labels, delay), delay)
            }
        });
        let (labels, held) = (labels.collect::<Vec<_>>(), std::mem::take(&mut ranges.charged));
        let samples: usize = ranges.rows.iter().map(|r| r.samples.values.len()).sum();
        let histograms: usize = ranges.rows.iter().map(|r| r.samples.histograms.len()).sum();
        let cells = samples + labels.len() * grid.len() + 256 * histograms;
        // With `@` every step sees the same window; then one step speaks for all.
        let once = ranges.modifiers.at.is_some() && numbers.is_empty();
        let quantile = numbers.first().and_then(same_at_every_step);
        let experimental = self.options.experimental;
        let call = WindowCall { f, ranges, numbers, quantile, once, grid, span, range_span, experimental };
        let make = Box::new(move |i: usize, worker: &mut Worker| call.row(i, worker));
        Ok(Job { id, labels, steps: grid.len(), cells, make, held })
    }

    fn check_edges(&self, f: WindowFunction, edges: Edges, name: &str) -> Result<()> {
        if f.allows(edges) {
            return Ok(());
        }
        let (word, allowed) = match edges {
            Edges::Anchored => ("anchored", "changes, delta, increase, rate, resets"),
            _ => ("smoothed", "delta, increase, rate"),
        };
        Err(eval::Error::invalid(format!(
            "{word} modifier can only be used with: {allowed} - not with {name}"
        ))
        .into())
    }

    /// 1 at the steps at which no series has a sample.
    pub(super) fn absent_over_time(&mut self, id: NodeId, arg: NodeId) -> Result<Vec<Series>> {
        let ranges = self.ranges(arg)?;
        if ranges.edges != Edges::Plain {
            let name = "absent_over_time";
            self.check_edges(WindowFunction::Present, ranges.edges, name)?;
        }
        let grid = self.grid(id);
        let mut column = Column::constant(1.0, grid.len());
        for row in &ranges.rows {
            self.meter.work(grid.len())?;
            for (step, t) in grid.times().enumerate() {
                let w = ranges.window(&row.samples, t);
                self.tally.add(step, (w.values.len() + w.histograms.len()) as u64);
                if !w.is_empty() {
                    column.clear(step);
                }
            }
        }
        self.meter.release(ranges.charged);
        if column.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Series::new(absent_labels(&self.plan.expr, arg), column)])
    }

    /// The samples of a range vector that is the whole query.
    pub(super) fn raw(&mut self, id: NodeId) -> Result<Vec<RangeSeries>> {
        let ranges = self.ranges(id)?;
        let at = self.plan.grid.start_ms;
        let mut out = Vec::new();
        for row in &ranges.rows {
            let w = ranges.window(&row.samples, at);
            let histograms: u64 = w.histograms.iter().map(|p| weight(&p.histogram)).sum();
            self.tally.add(0, w.values.len() as u64 + histograms);
            let filled;
            let shown = if ranges.edges == Edges::Plain {
                w
            } else {
                if !w.histograms.is_empty() {
                    let word = if ranges.edges == Edges::Anchored { "anchored" } else { "smoothed" };
                    let message = format!("{word} modifier is not supported with histograms");
                    return Err(eval::Error::invalid(message).into());
                }
                filled = window::fill_edges(&w);
                filled.between(i64::MIN, i64::MAX)
            };
            if shown.is_empty() {
                continue;
            }
            let labels = if row.drop_name { eval::drop_metadata(&row.labels) } else { row.labels.clone() };
            out.push(RangeSeries {
                labels,
                floats: shown.timestamps_ms.iter().copied().zip(shown.values.iter().copied()).collect(),
                histograms: shown.histograms.iter().map(|p| (p.t_ms, (*p.histogram).clone())).collect(),
            });
        }
        Ok(out)
    }
}

/// The number, if it is one and the same.
fn same_at_every_step(numbers: &Column) -> Option<f64> {
    let first = numbers.float(0)?;
    (0..numbers.len()).all(|s| numbers.float(s) == Some(first)).then_some(first)
}

/// A window function over the series of a range vector.
struct WindowCall<'a> {
    f: WindowFunction,
    ranges: Ranges<'a>,
    numbers: Vec<Column>,
    /// The first number, if it is the same at every step.
    quantile: Option<f64>,
    once: bool,
    grid: Grid,
    span: &'a Span,
    range_span: &'a Span,
    experimental: Experimental,
}

impl WindowCall<'_> {
    fn row(&self, i: usize, worker: &mut Worker) -> Result<Option<Column>> {
        let Some(row) = self.ranges.rows.get(i) else { return Ok(None) };
        let column = if self.slides(row) { self.slide(row, worker) } else { self.step_by_step(row, worker)? };
        let counts = matches!(self.f, WindowFunction::Rate | WindowFunction::Increase);
        if counts && column.count() > column.histogram_count() {
            self.note_non_counter(&row.labels, worker);
        }
        Ok(Some(column))
    }

    fn slides(&self, row: &RangeRow<'_>) -> bool {
        let starts = self.sees_starts() && row.samples.starts_ms.iter().any(|s| *s != 0);
        self.ranges.edges == Edges::Plain
            && self.ranges.modifiers.at.is_none()
            && !starts
            && window::can_slide(self.f, &row.samples, self.quantile)
    }

    /// Start timestamps are shown only where they are enabled and the function looks at them.
    fn sees_starts(&self) -> bool {
        self.experimental.start_timestamps && uses_starts(self.f)
    }

    fn slide(&self, row: &RangeRow<'_>, worker: &mut Worker) -> Column {
        let windows = Windows {
            grid: self.grid,
            offset_ms: self.ranges.modifiers.offset.millis(),
            range_ms: self.ranges.range_ms,
        };
        let tally = &mut worker.tally;
        let seen = &mut |step: usize, samples: usize| tally.add(step, samples as u64);
        window::slide(self.f, &row.samples, &windows, self.quantile.unwrap_or(f64::NAN), seen)
    }

    fn step_by_step(&self, row: &RangeRow<'_>, worker: &mut Worker) -> Result<Column> {
        let steps = if self.once { 1 } else { self.grid.len() };
        let mut column = Column::empty(steps);
        let mut at_step = Vec::with_capacity(self.numbers.len());
        let metric = row.labels.metric_name();
        let mut one = 0;
        for step in 0..steps {
            at_step.clear();
            at_step.extend(self.numbers.iter().map(|n| n.float(step).unwrap_or(f64::NAN)));
            let args = Arguments { numbers: &at_step, at_ms: self.grid.at(step), metric };
            let w = self.ranges.window(&row.samples, args.at_ms);
            if w.is_empty() {
                continue;
            }
            let histograms: u64 = w.histograms.iter().map(|p| weight(&p.histogram)).sum();
            one = w.values.len() as u64 + histograms;
            worker.tally.add(step, one);
            worker.meter.work(w.values.len() + 16 * histograms as usize)?;
            if let Some(value) = self.over_window(w, &args, worker)? {
                column.put(step, value);
            }
        }
        if !self.once {
            return Ok(column);
        }
        (1..self.grid.len()).for_each(|step| worker.tally.add(step, one));
        Ok(column.broadcast(self.grid.len()))
    }

    fn over_window(
        &self,
        mut w: Window<'_>,
        args: &Arguments<'_>,
        worker: &mut Worker,
    ) -> Result<Option<Value>> {
        let mut env = worker.env(self.span);
        if self.sees_starts() {
            return Ok(window::apply(self.f, &w, args, &mut env)?);
        }
        w.starts_ms = &[];
        if w.histograms.iter().all(|p| p.start_ms == 0) {
            return Ok(window::apply(self.f, &w, args, &mut env)?);
        }
        let bare: Vec<HistogramPoint> =
            w.histograms.iter().map(|p| HistogramPoint { start_ms: 0, ..p.clone() }).collect();
        Ok(window::apply(self.f, &Window { histograms: &bare, ..w }, args, &mut env)?)
    }

    /// A rate of something that does not look like a counter is likely a mistake.
    fn note_non_counter(&self, labels: &Labels, worker: &mut Worker) {
        let name = labels.metric_name();
        if name.is_empty() {
            return;
        }
        if self.experimental.type_and_unit_labels {
            let kind = labels.value("__type__");
            if !matches!(kind, "counter" | "histogram") {
                let message = format!(
                    "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {kind:?}: {name:?}"
                );
                worker.notes.info(self.range_span, message);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|s| name.ends_with(s)) {
            let message = format!(
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
            );
            worker.notes.info(self.range_span, message);
        }
    }
}

fn samples_of(column: &Column, grid: Grid) -> Samples {
    let mut out = Samples::default();
    for step in column.steps() {
        match column.get(step) {
            Some(eval::Cell::Float(v)) => {
                out.timestamps_ms.push(grid.at(step));
                out.values.push(v);
            }
            Some(eval::Cell::Histogram(h)) => {
                // A hint speaks of the sample before, which a subquery may skip or repeat.
                let histogram = match h.reset_hint {
                    ResetHint::Reset | ResetHint::NotReset => {
                        Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..(**h).clone() })
                    }
                    ResetHint::Unknown | ResetHint::Gauge => Arc::clone(h),
                };
                out.histograms.push(HistogramPoint { t_ms: grid.at(step), start_ms: 0, histogram });
            }
            None => {}
        }
    }
    out
}

/// One value per step that is the same for each.
pub(super) fn per_step(len: usize, mut f: impl FnMut(usize) -> Option<f64>) -> Column {
    let mut column = Column::empty(len);
    for step in 0..len {
        if let Some(v) = f(step) {
            column.put(step, Value::Float(v));
        }
    }
    column
}
