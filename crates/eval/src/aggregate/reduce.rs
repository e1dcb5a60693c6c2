//! Aggregations that make one value of many: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`.
//!
//! Series come one after the other and are let go of at once: what is held is one accumulator per group that has
//! begun and not yet seen its last series.

use std::{collections::BTreeMap, sync::Arc};

use model::Labels;

use super::{AggregateOp, Grouping, HistogramAggregate, Piece, Pieces, group, ignored_histogram};
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

/// Aggregates series, or what others have come to, in the order of the labels it was made with.
pub struct Reducer {
    op: AggregateOp,
    /// What is wanted in the end are pieces.
    in_pieces: bool,
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
    Done(Vec<(Piece, Column)>),
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
        Reducer { op, in_pieces: false, steps, group_of, groups, begun: Vec::new(), charged: 0 }
    }

    /// Made to end with [`Reducer::finish_pieces`].
    pub fn in_pieces(mut self) -> Self {
        self.in_pieces = true;
        self
    }

    /// The `i`-th series, or nothing if it has no value at any step. Each is to be given once.
    pub fn take(&mut self, i: usize, row: Option<&Series>, env: &mut Env<'_>) -> Result<()> {
        let op = self.op;
        self.give(i, row.map(|r| (r.drop_name, r)), env, |all, row, env| all.add(op, row, env))
    }

    /// The same for what stands at the `i`-th place in pieces: what another has come to for this group.
    pub fn absorb(&mut self, i: usize, pieces: &Pieces, env: &mut Env<'_>) -> Result<()> {
        let op = self.op;
        self.give(i, Some((pieces.drop_name, pieces)), env, |all, pieces, env| all.absorb(op, pieces, env))
    }

    fn give<T>(
        &mut self,
        i: usize,
        what: Option<(bool, T)>,
        env: &mut Env<'_>,
        add: impl FnOnce(&mut Accumulator, T, &mut Env<'_>),
    ) -> Result<()> {
        let Some(at) = self.group_of.get(i).map(|g| *g as usize) else { return Ok(()) };
        let group = &mut self.groups[at];
        if let Some((drop_name, what)) = what {
            env.meter.work(self.steps)?;
            if matches!(group.state, State::Waiting) {
                let fresh = Accumulator::new(self.op, self.steps);
                env.meter.charge(fresh.bytes())?;
                group.state = State::Begun(fresh);
                self.begun.push(at);
            }
            group.drop_name |= drop_name;
            if let State::Begun(accumulator) = &mut group.state {
                add(accumulator, what, env);
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
        let columns = match self.in_pieces {
            true => accumulator.pieces(self.op, self.steps),
            false => vec![(Piece::Whole, accumulator.finish(self.op, self.steps, env))],
        };
        let held = columns.iter().map(|(_, c)| c.heap_bytes()).sum();
        env.meter.charge(held)?;
        env.meter.release(bytes);
        self.charged += held;
        group.state = State::Done(columns);
        Ok(())
    }

    /// One series per group. What they hold is no longer charged.
    pub fn finish(self, env: &mut Env<'_>) -> Result<Vec<Series>> {
        let groups = self.finish_pieces(env)?;
        let series = groups.into_iter().flat_map(|g| {
            let whole = g.columns.into_iter().filter(|(piece, c)| *piece == Piece::Whole && !c.is_empty());
            whole.map(move |(_, column)| Series { labels: g.labels.clone(), column, drop_name: g.drop_name })
        });
        Ok(series.collect())
    }

    /// The pieces of each group that has any. What they hold is no longer charged.
    pub fn finish_pieces(mut self, env: &mut Env<'_>) -> Result<Vec<Pieces>> {
        for at in 0..self.groups.len() {
            self.close(at, env)?;
        }
        let mut out = Vec::with_capacity(self.begun.len());
        for at in &self.begun {
            let group = &mut self.groups[*at];
            if let State::Done(columns) = std::mem::replace(&mut group.state, State::Waiting) {
                let labels = std::mem::take(&mut group.labels);
                out.push(Pieces { labels, drop_name: group.drop_name, columns });
            }
        }
        env.meter.release(self.charged);
        out.retain(|p| !p.columns.is_empty());
        Ok(out)
    }
}

/// What one group has come to, step by step.
pub(super) enum Accumulator {
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

pub(super) type Histograms = BTreeMap<usize, HistogramAggregate>;

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
pub(super) struct Simple {
    pub(super) value: Vec<f64>,
    pub(super) mean: Vec<f64>,
    pub(super) count: Vec<f64>,
}

impl Simple {
    fn new(op: AggregateOp, steps: usize) -> Self {
        let spread = matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar);
        let mean = if spread { vec![0.0; steps] } else { Vec::new() };
        Simple { value: vec![0.0; steps], mean, count: vec![0.0; steps] }
    }

    pub(super) fn add(&mut self, op: AggregateOp, column: &Column, env: &mut Env<'_>) {
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

    pub(super) fn finish(self, op: AggregateOp) -> Column {
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
