//! Aggregations that make one value of many: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`.

use std::{collections::HashMap, sync::Arc};

use model::{Histogram, histogram::ResetHint};

use super::{AggregateOp, Grouping, group, ignored_histogram};
use crate::{
    Cell, Column, Env, Result, Series,
    histogram::HistogramSum,
    math::{Kahan, Mean},
};

pub(super) fn reduce(
    op: AggregateOp,
    grouping: &Grouping,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let groups = group(&input, grouping);
    let steps = input.first().map_or(0, |s| s.column.len());
    let mut out = Vec::with_capacity(groups.labels.len());
    for (labels, members) in groups.labels.into_iter().zip(groups.members) {
        let rows = members.iter().map(|i| &input[*i]);
        let column = match op {
            AggregateOp::Sum | AggregateOp::Avg => sum(op, rows.clone(), steps, env)?,
            _ => simple(op, rows.clone(), steps, env)?,
        };
        if !column.is_empty() {
            let drop_name = rows.clone().any(|r| r.drop_name);
            out.push(Series { labels, column, drop_name });
        }
    }
    Ok(out)
}

/// Accumulators of one float each; `stddev` follows Welford.
fn simple<'a>(
    op: AggregateOp,
    rows: impl Iterator<Item = &'a Series>,
    steps: usize,
    env: &mut Env<'_>,
) -> Result<Column> {
    use AggregateOp::*;
    let bytes = steps * 24;
    env.meter.charge(bytes)?;
    let mut value = vec![0.0; steps];
    let mut mean = if matches!(op, Stddev | Stdvar) { vec![0.0; steps] } else { Vec::new() };
    let mut count = vec![0.0; steps];
    for row in rows {
        env.meter.work(steps)?;
        for step in row.column.steps() {
            let v = match row.column.get(step) {
                Some(Cell::Float(v)) => v,
                Some(Cell::Histogram(_)) if !matches!(op, Count | Group) => {
                    ignored_histogram(op, env);
                    continue;
                }
                _ => 1.0,
            };
            count[step] += 1.0;
            let first = count[step] == 1.0;
            let acc = &mut value[step];
            match op {
                Min if first || v < *acc || acc.is_nan() => *acc = v,
                Max if first || v > *acc || acc.is_nan() => *acc = v,
                Stddev | Stdvar if first => {
                    mean[step] = v;
                    *acc = if v.is_finite() { 0.0 } else { f64::NAN };
                }
                Stddev | Stdvar => {
                    let delta = v - mean[step];
                    mean[step] += delta / count[step];
                    *acc += delta * (v - mean[step]);
                }
                _ => {}
            }
        }
    }
    let mut column = Column::empty(steps);
    for step in (0..steps).filter(|s| count[*s] > 0.0) {
        let v = match op {
            Count => count[step],
            Group => 1.0,
            Stdvar => value[step] / count[step],
            Stddev => (value[step] / count[step]).sqrt(),
            _ => value[step],
        };
        column.set_float(step, v);
    }
    env.meter.release(bytes);
    Ok(column)
}

#[derive(Default, Clone, Copy)]
struct FloatSum {
    sum: Kahan,
    mean: Mean,
    seen: bool,
}

fn sum<'a>(
    op: AggregateOp,
    rows: impl Iterator<Item = &'a Series>,
    steps: usize,
    env: &mut Env<'_>,
) -> Result<Column> {
    let bytes = steps * std::mem::size_of::<FloatSum>();
    env.meter.charge(bytes)?;
    let mut floats = vec![FloatSum::default(); steps];
    let mut histograms: HashMap<usize, HistogramAggregate> = HashMap::new();
    for row in rows {
        env.meter.work(steps)?;
        for step in row.column.steps() {
            match row.column.get(step) {
                Some(Cell::Float(v)) => {
                    let f = &mut floats[step];
                    if op == AggregateOp::Avg {
                        f.mean.add(v)
                    } else if f.seen {
                        f.sum.add(v)
                    } else {
                        f.sum = Kahan::new(v)
                    }
                    f.seen = true;
                }
                Some(Cell::Histogram(h)) => histograms
                    .entry(step)
                    .or_insert_with(|| HistogramAggregate::new(op == AggregateOp::Avg))
                    .add(h, row.labels.metric_name(), env),
                None => {}
            }
        }
    }
    let mut column = Column::empty(steps);
    for (step, f) in floats.iter().enumerate() {
        match (f.seen, histograms.remove(&step)) {
            (true, Some(_)) => env.notes.warn(
                &env.span,
                "PromQL warning: encountered a mix of histograms and floats for aggregation",
            ),
            (true, None) if op == AggregateOp::Avg => column.set_float(step, f.mean.value()),
            (true, None) => column.set_float(step, f.sum.value()),
            (false, Some(h)) => {
                if let Some(h) = h.finish(env) {
                    column.set_histogram(step, Arc::new(h));
                }
            }
            (false, None) => {}
        }
    }
    env.meter.release(bytes);
    Ok(column)
}

/// Sum or mean of histograms with what is to be said about it; shared with `sum_over_time` and `avg_over_time`.
pub(crate) struct HistogramAggregate {
    mean: bool,
    sum: Option<HistogramSum>,
    count: f64,
    /// The sum left the range of floats: means are averaged from then on.
    incremental: bool,
    incompatible: bool,
    reset_seen: bool,
    not_reset_seen: bool,
}

impl HistogramAggregate {
    pub(crate) fn new(mean: bool) -> Self {
        HistogramAggregate {
            mean,
            sum: None,
            count: 0.0,
            incremental: false,
            incompatible: false,
            reset_seen: false,
            not_reset_seen: false,
        }
    }

    pub(crate) fn add(&mut self, h: &Histogram, name: &str, env: &mut Env<'_>) {
        if self.incompatible {
            return;
        }
        self.reset_seen |= h.reset_hint == ResetHint::Reset;
        self.not_reset_seen |= h.reset_hint == ResetHint::NotReset;
        self.count += 1.0;
        let Some(sum) = &mut self.sum else {
            self.sum = Some(HistogramSum::new(h));
            return;
        };
        let mut next = sum.clone();
        let mut added = if self.incremental {
            next.scale((self.count - 1.0) / self.count);
            next.add(&scaled(h, 1.0 / self.count))
        } else {
            next.add(h)
        };
        if self.mean && !self.incremental && added.is_ok() && next.has_overflow() {
            self.incremental = true;
            next = sum.clone();
            next.scale(1.0 / (self.count - 1.0));
            next.scale((self.count - 1.0) / self.count);
            added = next.add(&scaled(h, 1.0 / self.count));
        }
        match added {
            Ok(a) => {
                *sum = next;
                if a.reconciled {
                    env.notes.info(
                        &env.span,
                        "PromQL info: mismatched custom buckets were reconciled during aggregation",
                    );
                }
            }
            Err(_) => {
                self.incompatible = true;
                env.notes.warn(
                    &env.span,
                    format!(
                        "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
                    ),
                );
            }
        }
    }

    pub(crate) fn finish(self, env: &mut Env<'_>) -> Option<Histogram> {
        if self.incompatible {
            return None;
        }
        if self.reset_seen && self.not_reset_seen {
            env.notes
                .warn(&env.span, "PromQL warning: conflicting counter resets during histogram aggregation");
        }
        let mut sum = self.sum?;
        if self.mean && !self.incremental {
            sum.scale(1.0 / self.count);
        }
        Some(sum.finish())
    }
}

fn scaled(h: &Histogram, factor: f64) -> Histogram {
    let mut s = HistogramSum::new(h);
    s.scale(factor);
    s.finish()
}
