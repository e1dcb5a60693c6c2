//! Aggregations that make one value of many: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`.
//!
//! Series come one after the other and are let go of at once: what is held is one accumulator per group that has
//! begun and not yet seen its last series.

use std::{collections::BTreeMap, sync::Arc};

use model::Labels;

use super::{AggregateOp, Grouping, HistogramAggregate, group, ignored_histogram};
use crate::{
    Cell, Column, Env, Result, Series,
    math::{Kahan, Mean},
};

pub(super) fn reduce(
    op: AggregateOp,
    grouping: &Grouping,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let steps = input.first().map_or(0, |s| s.column.len());
    let mut reducer = Reducer::new(op, grouping, input.iter().map(|s| &s.labels), steps);
    for (i, row) in input.iter().enumerate() {
        reducer.take(i, Some(row), env)?;
    }
    reducer.finish(env)
}

/// Aggregates series that come in the order of the labels it was made with.
pub struct Reducer {
    op: AggregateOp,
    steps: usize,
    /// Group of each series.
    group_of: Vec<u32>,
    groups: Vec<Group>,
    /// Groups in the order in which their first series came.
    begun: Vec<usize>,
    /// Bytes of results that are held here.
    charged: usize,
}

struct Group {
    labels: Labels,
    /// Series that have not come yet.
    left: u32,
    drop_name: bool,
    state: State,
}

enum State {
    Waiting,
    Begun(Accumulator),
    Done(Column),
}

impl Reducer {
    /// For `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev` and `stdvar` of series with these labels.
    pub fn new<'a>(
        op: AggregateOp,
        grouping: &Grouping,
        labels: impl Iterator<Item = &'a Labels>,
        steps: usize,
    ) -> Self {
        let (names, group_of) = group(labels, grouping);
        let mut left = vec![0u32; names.len()];
        group_of.iter().for_each(|g| left[*g as usize] += 1);
        let groups = names
            .into_iter()
            .zip(left)
            .map(|(labels, left)| Group { labels, left, drop_name: false, state: State::Waiting })
            .collect();
        Reducer { op, steps, group_of, groups, begun: Vec::new(), charged: 0 }
    }

    /// The `i`-th series, or nothing if it has no value at any step. Each is to be given once.
    pub fn take(&mut self, i: usize, row: Option<&Series>, env: &mut Env<'_>) -> Result<()> {
        let Some(at) = self.group_of.get(i).map(|g| *g as usize) else { return Ok(()) };
        let group = &mut self.groups[at];
        if let Some(row) = row {
            env.meter.work(self.steps)?;
            if matches!(group.state, State::Waiting) {
                let fresh = Accumulator::new(self.op, self.steps);
                env.meter.charge(fresh.bytes())?;
                group.state = State::Begun(fresh);
                self.begun.push(at);
            }
            group.drop_name |= row.drop_name;
            if let State::Begun(accumulator) = &mut group.state {
                accumulator.add(self.op, row, env);
            }
        }
        group.left = group.left.saturating_sub(1);
        if group.left == 0 {
            self.close(at, env)?;
        }
        Ok(())
    }

    fn close(&mut self, at: usize, env: &mut Env<'_>) -> Result<()> {
        let group = &mut self.groups[at];
        let accumulator = match std::mem::replace(&mut group.state, State::Waiting) {
            State::Begun(accumulator) => accumulator,
            // Nothing came, or it is closed already.
            other => {
                group.state = other;
                return Ok(());
            }
        };
        let bytes = accumulator.bytes();
        let column = accumulator.finish(self.op, self.steps, env);
        env.meter.charge(column.heap_bytes())?;
        env.meter.release(bytes);
        self.charged += column.heap_bytes();
        group.state = State::Done(column);
        Ok(())
    }

    /// One series per group. What they hold is no longer charged.
    pub fn finish(mut self, env: &mut Env<'_>) -> Result<Vec<Series>> {
        for at in 0..self.groups.len() {
            self.close(at, env)?;
        }
        let mut out = Vec::with_capacity(self.begun.len());
        for at in &self.begun {
            let group = &mut self.groups[*at];
            if let State::Done(column) = std::mem::replace(&mut group.state, State::Waiting)
                && !column.is_empty()
            {
                let labels = std::mem::take(&mut group.labels);
                out.push(Series { labels, column, drop_name: group.drop_name });
            }
        }
        env.meter.release(self.charged);
        Ok(out)
    }
}

/// What one group has come to, step by step.
enum Accumulator {
    /// The steps that have a float, and their sums.
    Sum {
        sums: Vec<Kahan>,
        seen: Vec<u64>,
        histograms: Histograms,
    },
    Mean {
        means: Vec<Mean>,
        seen: Vec<u64>,
        histograms: Histograms,
    },
    Simple(Simple),
}

type Histograms = BTreeMap<usize, HistogramAggregate>;

impl Accumulator {
    fn new(op: AggregateOp, steps: usize) -> Self {
        let (seen, histograms) = (vec![0; steps.div_ceil(64)], Histograms::new());
        match op {
            AggregateOp::Sum => Accumulator::Sum { sums: vec![Kahan::default(); steps], seen, histograms },
            AggregateOp::Avg => Accumulator::Mean { means: vec![Mean::default(); steps], seen, histograms },
            _ => Accumulator::Simple(Simple::new(op, steps)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Accumulator::Sum { sums, .. } => std::mem::size_of_val(sums.as_slice()),
            Accumulator::Mean { means, .. } => std::mem::size_of_val(means.as_slice()),
            Accumulator::Simple(s) => (s.value.len() + s.mean.len() + s.count.len()) * 8,
        }
    }

    fn add(&mut self, op: AggregateOp, row: &Series, env: &mut Env<'_>) {
        match self {
            Accumulator::Sum { sums, seen, histograms } => {
                add_histograms(row, false, histograms, env);
                add_floats(&row.column, seen, |step, v, fresh| {
                    if fresh {
                        sums[step] = Kahan::new(v);
                    } else {
                        sums[step].add(v);
                    }
                });
            }
            Accumulator::Mean { means, seen, histograms } => {
                add_histograms(row, true, histograms, env);
                add_floats(&row.column, seen, |step, v, _| means[step].add(v));
            }
            Accumulator::Simple(simple) => simple.add(op, &row.column, env),
        }
    }

    fn finish(self, op: AggregateOp, steps: usize, env: &mut Env<'_>) -> Column {
        match self {
            Accumulator::Sum { sums, seen, histograms } => {
                merged(steps, &seen, histograms, |step| sums[step].value(), env)
            }
            Accumulator::Mean { means, seen, histograms } => {
                merged(steps, &seen, histograms, |step| means[step].value(), env)
            }
            Accumulator::Simple(simple) => simple.finish(op),
        }
    }
}

/// Calls `add` for every float, with whether its step is seen for the first time.
fn add_floats(column: &Column, seen: &mut [u64], mut add: impl FnMut(usize, f64, bool)) {
    let values = column.raw_floats();
    for (w, (there, seen)) in column.presence().iter().zip(seen.iter_mut()).enumerate() {
        let mut rest = *there;
        if column.has_histograms() {
            for b in 0..64 {
                if rest >> b & 1 == 1 && column.histogram(w * 64 + b).is_some() {
                    rest &= !(1 << b);
                }
            }
        }
        let known = *seen;
        *seen |= rest;
        while rest != 0 {
            let b = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let step = w * 64 + b;
            if let Some(v) = values.get(step) {
                add(step, *v, known >> b & 1 == 0);
            }
        }
    }
}

fn add_histograms(row: &Series, mean: bool, all: &mut Histograms, env: &mut Env<'_>) {
    if !row.column.has_histograms() {
        return;
    }
    for step in row.column.steps() {
        if let Some(h) = row.column.histogram(step) {
            let sum = all.entry(step).or_insert_with(|| HistogramAggregate::new(mean));
            sum.add(h, row.labels.metric_name(), env);
        }
    }
}

/// Floats or histograms at each step; where both met there is no answer.
fn merged(
    steps: usize,
    seen: &[u64],
    mut histograms: Histograms,
    float: impl Fn(usize) -> f64,
    env: &mut Env<'_>,
) -> Column {
    let mut column = Column::empty(steps);
    for step in 0..steps {
        let has_float = seen.get(step / 64).is_some_and(|w| w >> (step % 64) & 1 == 1);
        let histogram = if histograms.is_empty() { None } else { histograms.remove(&step) };
        match (has_float, histogram) {
            (true, Some(_)) => env.notes.warn(
                &env.span,
                "PromQL warning: encountered a mix of histograms and floats for aggregation",
            ),
            (true, None) => column.set_float(step, float(step)),
            (false, Some(h)) => {
                if let Some(h) = h.finish(env) {
                    column.set_histogram(step, Arc::new(h));
                }
            }
            (false, None) => {}
        }
    }
    column
}

/// One float each; `stddev` follows Welford.
struct Simple {
    value: Vec<f64>,
    mean: Vec<f64>,
    count: Vec<f64>,
}

impl Simple {
    fn new(op: AggregateOp, steps: usize) -> Self {
        let spread = matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar);
        let mean = if spread { vec![0.0; steps] } else { Vec::new() };
        Simple { value: vec![0.0; steps], mean, count: vec![0.0; steps] }
    }

    fn add(&mut self, op: AggregateOp, column: &Column, env: &mut Env<'_>) {
        use AggregateOp::*;
        for step in column.steps() {
            let v = match column.get(step) {
                Some(Cell::Float(v)) => v,
                Some(Cell::Histogram(_)) if !matches!(op, Count | Group) => {
                    ignored_histogram(op, env);
                    continue;
                }
                _ => 1.0,
            };
            self.count[step] += 1.0;
            let n = self.count[step];
            let value = &mut self.value[step];
            match op {
                Min if n == 1.0 || v < *value || value.is_nan() => *value = v,
                Max if n == 1.0 || v > *value || value.is_nan() => *value = v,
                Stddev | Stdvar if n == 1.0 => {
                    self.mean[step] = v;
                    *value = if v.is_finite() { 0.0 } else { f64::NAN };
                }
                Stddev | Stdvar => {
                    let delta = v - self.mean[step];
                    self.mean[step] += delta / n;
                    *value += delta * (v - self.mean[step]);
                }
                _ => {}
            }
        }
    }

    fn finish(self, op: AggregateOp) -> Column {
        let mut column = Column::empty(self.value.len());
        for (step, (value, n)) in self.value.iter().zip(&self.count).enumerate() {
            if *n == 0.0 {
                continue;
            }
            let v = match op {
                AggregateOp::Count => *n,
                AggregateOp::Group => 1.0,
                AggregateOp::Stdvar => value / n,
                AggregateOp::Stddev => (value / n).sqrt(),
                _ => *value,
            };
            column.set_float(step, v);
        }
        column
    }
}
