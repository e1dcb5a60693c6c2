//! Chains of operators that map values one by one become part of the job below them: `sum(rate(x[5m]) * 8)` never
//! holds the rates, and the multiplication is done where the rate was, on the same core.

use eval::{BinaryOp, Column, Side, Span};
use model::Labels;

use super::{
    Result, Run,
    job::{Job, Worker},
    ranges::window_function,
    simple,
};
use crate::{
    ValueType,
    ast::{Binary, NodeId, NodeKind},
};

/// Operators of one chain; each may hold a number for every step. Longer ones are evaluated one by one.
const MAX_STAGES: usize = 32;

/// An operator met on the way down, and its number, if it has one.
type Operator = (NodeId, Option<(NodeId, Side)>);

/// One operator of a chain.
enum Stage<'a> {
    Map(fn(f64) -> f64),
    Negate,
    Scalar { op: BinaryOp, return_bool: bool, number: Column, side: Side, span: &'a Span },
}

impl Stage<'_> {
    fn drops_name(&self) -> bool {
        match self {
            Stage::Map(_) | Stage::Negate => true,
            Stage::Scalar { op, return_bool, .. } => op.changes_meaning() || *return_bool,
        }
    }

    fn apply(&self, mut column: Column, worker: &mut Worker) -> Column {
        match self {
            Stage::Map(f) => {
                column.map_floats(f);
                column
            }
            Stage::Negate => simple::negate(&column),
            Stage::Scalar { op, return_bool, number, side, span } => {
                eval::with_scalar(*op, *return_bool, &column, number, *side, &mut worker.env(span))
            }
        }
    }
}

impl<'a> Run<'a> {
    /// A node as a job whose rows all differ in labels, if it is a chain of mapping operators over a selector or a
    /// window function.
    pub(super) fn fused(&mut self, id: NodeId) -> Result<Option<Job<'a>>> {
        let Some((source, operators)) = self.chain_down(id) else { return Ok(None) };
        let mut stages = Vec::with_capacity(operators.len());
        // The innermost operator comes first.
        for (at, scalar) in operators.into_iter().rev() {
            stages.push(match (self.kind(at), scalar) {
                (NodeKind::Binary(b), Some((number, side))) => Stage::Scalar {
                    op: b.op,
                    return_bool: b.return_bool,
                    number: self.scalar(number)?,
                    side,
                    span: self.span(at),
                },
                (NodeKind::Call(c), _) => match simple::math(c.function.id) {
                    Some(f) => Stage::Map(f),
                    None => return Ok(None),
                },
                _ => Stage::Negate,
            });
        }
        let mut job = match self.kind(source) {
            NodeKind::Selector(_) => self.selector_job(source)?,
            NodeKind::Call(c) => match window_function(c.function.id) {
                Some(f) => self.window_job(source, c, f)?,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        if stages.iter().any(Stage::drops_name) {
            let delay = self.options.delayed_name_removal;
            for (labels, drop_name) in &mut job.labels {
                *labels = name_dropped(labels, delay);
                *drop_name = delay;
            }
        }
        if job.has_equals() {
            self.meter.release(job.held);
            return Ok(None);
        }
        if !stages.is_empty() {
            let inner = job.make;
            job.make = Box::new(move |i, worker| {
                let made = inner(i, worker)?;
                Ok(made.map(|column| stages.iter().fold(column, |c, stage| stage.apply(c, worker))))
            });
        }
        Ok(Some(job))
    }

    /// Down from a node through what maps values to what makes them; the operators met, outermost first, with the
    /// number where there is one. Nothing if there is another sort of node on the way, or one whose result is
    /// wanted elsewhere too.
    fn chain_down(&self, id: NodeId) -> Option<(NodeId, Vec<Operator>)> {
        let mut operators = Vec::new();
        let mut at = id;
        while operators.len() <= MAX_STAGES {
            if self.plan.pushed(at).is_some() || at != id && !self.stands_alone(at) {
                return None;
            }
            match self.kind(at) {
                NodeKind::Selector(_) => return Some((at, operators)),
                NodeKind::Call(c) if window_function(c.function.id).is_some() => {
                    return Some((at, operators));
                }
                NodeKind::Call(c) => {
                    simple::math(c.function.id)?;
                    operators.push((at, None));
                    at = c.args.first().copied()?;
                }
                NodeKind::Paren(inner) | NodeKind::Unary { negate: false, expr: inner } => at = *inner,
                NodeKind::Unary { negate: true, expr: inner } => {
                    operators.push((at, None));
                    at = *inner;
                }
                NodeKind::Binary(Binary { op, lhs, rhs, matching: None, .. }) if !op.is_set() => {
                    let scalar = |id: NodeId| self.plan.type_of(id) == ValueType::Scalar;
                    let (vector, number) = match (scalar(*lhs), scalar(*rhs)) {
                        (false, true) => (*lhs, (*rhs, Side::Right)),
                        (true, false) => (*rhs, (*lhs, Side::Left)),
                        _ => return None,
                    };
                    operators.push((at, Some(number)));
                    at = vector;
                }
                _ => return None,
            }
        }
        None
    }
}

/// Labels as they are after an operator that changes what a value means.
pub(super) fn name_dropped(labels: &Labels, delay: bool) -> Labels {
    if delay { labels.clone() } else { eval::drop_metadata(labels) }
}
