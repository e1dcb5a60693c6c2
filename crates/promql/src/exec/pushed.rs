//! What was evaluated elsewhere takes its place in the query: rows as rows, pieces of an aggregate as the aggregate.

use eval::{AggregateOp, Column, Grouping, Pieces, Reducer, Series, math::nan_first};
use model::{Labels, labels::METRIC_NAME};

use super::{Result, Run, Val, bytes_of};
use crate::{
    Error,
    ast::{Aggregate, NodeId},
    gather::Pushed,
    split::How,
};

impl<'a> Run<'a> {
    /// What was pushed at a node in one of the ways.
    pub(super) fn pushed(&self, id: NodeId, how: How) -> Option<&'a Pushed> {
        let at = self.plan.pushed(id)?;
        self.plan.split.pushes.get(at).filter(|p| p.how == how)?;
        self.data.pushed.get(at)
    }

    pub(super) fn pushed_rows(&mut self, id: NodeId) -> Result<Option<Vec<Series>>> {
        match self.pushed(id, How::Rows) {
            Some(pushed) => self.took(pushed).map(Some),
            None => Ok(None),
        }
    }

    /// Rows that came from elsewhere, charged as if they had been made here.
    pub(super) fn took(&mut self, pushed: &Pushed) -> Result<Vec<Series>> {
        self.note(pushed);
        let steps = pushed.rows.first().map_or(0, |r| r.column.len());
        self.check_points((pushed.rows.len() * steps) as u64)?;
        self.meter.charge(bytes_of(&pushed.rows))?;
        Ok(pushed.rows.clone())
    }

    fn note(&mut self, pushed: &Pushed) {
        self.notes.merge(pushed.notes.clone());
        self.tally.merge(&pushed.tally);
    }

    /// An aggregation that makes one value of many, taken in and not yet finished: from the pieces that came from
    /// elsewhere, or row by row where rows need not be held. Nothing where neither is so.
    pub(super) fn reduced(&mut self, id: NodeId, a: &Aggregate, in_pieces: bool) -> Result<Option<Reducer>> {
        let fresh = |reducer: Reducer| if in_pieces { reducer.in_pieces() } else { reducer };
        let span = self.span(a.expr);
        if let Some(pushed) = self.pushed(id, How::Pieces) {
            self.note(pushed);
            let (labels, steps) = (pushed.pieces.iter().map(|p| &p.labels), self.grid(id).len());
            let mut reducer = fresh(Reducer::new(a.op, &a.grouping, labels, steps));
            for (i, pieces) in pushed.pieces.iter().enumerate() {
                reducer.absorb(i, pieces, &mut self.env(span))?;
            }
            return Ok(Some(reducer));
        }
        if !self.stands_alone(a.expr) {
            return Ok(None);
        }
        // Rows go from the job into the groups' accumulators and are let go of.
        let Some(job) = self.fused(a.expr)? else { return Ok(None) };
        let labels = job.labels.iter().map(|(l, _)| l);
        let mut reducer = fresh(Reducer::new(a.op, &a.grouping, labels, job.steps));
        self.work(job, |i, row, run| Ok(reducer.take(i, row.as_ref(), &mut run.env(span))?))?;
        Ok(Some(reducer))
    }

    /// The pieces of the aggregation that the whole query is.
    pub(super) fn pieces(&mut self, id: NodeId, a: &Aggregate) -> Result<Vec<Pieces>> {
        use AggregateOp::*;
        if !matches!(a.op, Sum | Avg | Min | Max | Count | Group | Stddev | Stdvar) {
            let message = format!("{} is not made of pieces", a.op.as_str());
            return Err(Error::Parameter(message));
        }
        let span = self.span(a.expr);
        let (steps, repeated) = (self.grid(id).len(), self.plan.repeated(id));
        let reducer = match self.reduced(id, a, true)? {
            Some(reducer) => reducer,
            None => {
                let rows = match self.eval(a.expr)? {
                    Val::Rows(rows) => rows,
                    _ => return Err(super::wrong_type(self, a.expr, "an instant vector")),
                };
                let labels = rows.iter().map(|r| &r.labels);
                let mut reducer = Reducer::new(a.op, &a.grouping, labels, steps).in_pieces();
                for (i, row) in rows.iter().enumerate() {
                    reducer.take(i, Some(row), &mut self.env(span))?;
                }
                reducer
            }
        };
        let mut pieces = reducer.finish_pieces(&mut self.env(span))?;
        // The node above would do this to a result.
        if let Some(steps) = repeated {
            for (_, column) in pieces.iter_mut().flat_map(|p| &mut p.columns) {
                *column = column.broadcast(steps);
            }
        }
        Ok(pieces)
    }
}

/// Whether the values at some place are equal.
pub(super) fn has_equals(mut values: Vec<f64>) -> bool {
    values.sort_by(|a, b| nan_first(*a, *b));
    values.windows(2).any(|w| equal(w[0], w[1]))
}

fn equal(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

/// Whether which rows are picked, or over one step in which order, follows from the order they came in.
pub(super) fn picks_by_chance(a: &Aggregate, numbers: &Column, input: &[Series]) -> bool {
    let largest = a.op == AggregateOp::Topk;
    let mut groups: Vec<(Labels, Vec<&Series>)> = Vec::new();
    let mut at = eval::ByLabels::<usize>::default();
    for row in input {
        let labels = group(&row.labels, &a.grouping);
        let i = *at.entry(labels).or_insert_with_key(|l| {
            groups.push((l.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[i].1.push(row);
    }
    let steps = input.first().map_or(0, |r| r.column.len());
    let mut values: Vec<f64> = Vec::new();
    groups.iter().any(|(_, rows)| {
        (0..steps).any(|step| {
            let Some(k) = numbers.float(step).filter(|k| *k >= 1.0) else { return false };
            let k = k as usize;
            values.clear();
            values.extend(rows.iter().filter_map(|r| r.column.float(step)));
            // Best first; not-a-number is worse than any number.
            values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
                (false, false) if largest => b.total_cmp(a),
                (false, false) => a.total_cmp(b),
                (x, y) => x.cmp(&y),
            });
            let differ = |i: usize| match (values.get(i), values.get(i + 1)) {
                (Some(a), Some(b)) => !equal(*a, *b),
                _ => true,
            };
            if steps == 1 { !(0..k.min(values.len())).all(differ) } else { !differ(k - 1) }
        })
    })
}

fn group(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) => labels.only(names),
        Grouping::Without(names) => labels.filter(|n| n != METRIC_NAME && !names.iter().any(|w| w == n)),
    }
}
