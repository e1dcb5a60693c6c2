//! What a metric query takes: which range aggregations are read here, and what is left to parts.
//!
//! ```text
//! topk(3, sum by (job) (count_over_time({app="x"} | json [5m]))) / vector(2)
//!         └──────────── pieces of the sum ────────────────────┘  the rest is evaluated here, over what comes back
//! ```

use contract::Part;

use super::{frame::Grid, range::Leaf, split::Splitter};
use crate::{
    Error, Result,
    ast::{Binary, Grouping, LabelReplace, MetricExpr, RangeAggregation, VectorAggregation, VectorOp},
};

/// `sum(x)` without a grouping keeps no label.
static NO_LABELS: Grouping = Grouping { without: false, labels: Vec::new() };

/// A metric expression over numbered sources.
#[derive(Debug)]
pub(super) enum Node<'q> {
    Number(f64),
    Vector(f64),
    /// A range aggregation that is read here: its place among the leaves.
    Read(usize),
    /// What parts compute: its place among the pushes.
    Pushed(usize),
    Aggregate(&'q VectorAggregation, Box<Node<'q>>),
    Binary(&'q Binary, Box<Node<'q>>, Box<Node<'q>>),
    LabelReplace(&'q LabelReplace, Box<Node<'q>>),
}

/// What comes back from parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The series of the expression itself.
    Rows,
    /// What its aggregation is made of.
    Pieces,
    /// Of the series it picks from, those that each part by itself would pick.
    Picks,
    /// Where each part has no line.
    Absence,
}

/// One piece of the query to be evaluated by parts.
#[derive(Debug)]
pub(super) struct Push<'q> {
    pub how: How,
    pub expr: &'q MetricExpr,
    /// A query of its own that means the same on [`Push::grid_ms`].
    pub text: String,
    /// First and last step and the time between them, in whole milliseconds.
    pub grid_ms: (i64, i64, i64),
    /// The parts that are asked, by index.
    pub parts: Vec<usize>,
    /// What its range aggregations look at.
    pub range: model::TimeRange,
}

impl Push<'_> {
    /// The range aggregation that is summed while it is read, if that is what this is.
    pub fn summed(&self) -> Option<&RangeAggregation> {
        match self.expr {
            MetricExpr::Aggregate(a) => summed(a),
            _ => None,
        }
    }
}

/// The range aggregation that a sum around it is folded into.
pub(super) fn summed(a: &VectorAggregation) -> Option<&RangeAggregation> {
    match &a.inner {
        MetricExpr::Range(r) if a.op == VectorOp::Sum && Leaf::can_be_summed(r) => Some(r),
        _ => None,
    }
}

#[derive(Debug)]
pub(super) struct Plan<'q> {
    pub root: Node<'q>,
    pub leaves: Vec<Leaf<'q>>,
    pub pushes: Vec<Push<'q>>,
}

/// Plans a query over parts, or over a whole where there are none. `in_pieces` leaves the outermost aggregation
/// unfinished, wherever it is computed.
pub(super) fn plan<'q>(
    expr: &'q MetricExpr,
    grid: Grid,
    parts: &[Part],
    in_pieces: bool,
) -> Result<Plan<'q>> {
    let splitter = (!parts.is_empty()).then(|| Splitter::new(parts, grid));
    let mut planner = Planner { splitter, leaves: Vec::new(), pushes: Vec::new() };
    let root = planner.node(expr, in_pieces)?;
    Ok(Plan { root, leaves: planner.leaves, pushes: planner.pushes })
}

struct Planner<'q, 'p> {
    splitter: Option<Splitter<'p>>,
    leaves: Vec<Leaf<'q>>,
    pushes: Vec<Push<'q>>,
}

impl<'q> Planner<'q, '_> {
    /// As deep as the parser lets a query be.
    fn node(&mut self, expr: &'q MetricExpr, in_pieces: bool) -> Result<Node<'q>> {
        let push = self.splitter.as_ref().and_then(|s| s.push(expr, in_pieces, self.pushes.len()));
        if let Some(push) = push {
            let (how, at) = (push.how, self.pushes.len());
            self.pushes.push(push);
            return Ok(match (how, expr) {
                (How::Picks, MetricExpr::Aggregate(a)) => Node::Aggregate(a, Box::new(Node::Pushed(at))),
                _ => Node::Pushed(at),
            });
        }
        Ok(match expr {
            MetricExpr::Literal(v) => Node::Number(*v),
            MetricExpr::Vector(v) => Node::Vector(*v),
            MetricExpr::Range(r) => self.read(Leaf::alone(r)),
            MetricExpr::Aggregate(a) => {
                let inner = match summed(a) {
                    Some(r) => self.read(Leaf::summed(r, a.grouping.as_ref().unwrap_or(&NO_LABELS))),
                    None => self.node(&a.inner, false)?,
                };
                Node::Aggregate(a, Box::new(inner))
            }
            MetricExpr::Binary(b) => {
                let left = self.node(&b.left, false)?;
                Node::Binary(b, Box::new(left), Box::new(self.node(&b.right, false)?))
            }
            MetricExpr::LabelReplace(l) => Node::LabelReplace(l, Box::new(self.node(&l.inner, false)?)),
            MetricExpr::Variants(_) => {
                return Err(Error::NotYetSupported("variants(...) of (...)".to_owned()));
            }
        })
    }

    fn read(&mut self, leaf: Leaf<'q>) -> Node<'q> {
        self.leaves.push(leaf);
        Node::Read(self.leaves.len() - 1)
    }
}
