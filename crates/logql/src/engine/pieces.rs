//! What an aggregation is made of, so that those over parts can be put together to the one over all of them.
//!
//! | made of | range aggregations | vector aggregations | pieces |
//! |---|---|---|---|
//! | sums | `count`, `rate`, `bytes`, `bytes_rate`, `sum` | `sum` | `Sum`, `Compensation` |
//! | sums and counts | `avg` | `avg` | `Sum`, `Compensation`, `Count` |
//! | counts | | `count` | `Count` |
//! | spreads | `stddev`, `stdvar` | `stddev`, `stdvar` | `Count`, `Mean`, `Spread` |
//! | extremes | `min`, `max` | `min`, `max` | `Whole` |
//!
//! A sum keeps apart what rounding lost, so that sums over parts that cancel each other come to what they would have.
//! First and last values, quantiles and counters need lines of all parts in order and are not made of pieces.

use std::collections::BTreeMap;

use eval::Piece;
use model::Labels;

use super::{
    fold::{Acc, Finish},
    plan::{Push, summed},
};
use crate::ast::{MetricExpr, RangeAggregation, RangeOp, VectorOp};

/// How an aggregation is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    Sum,
    Mean,
    Count,
    Spread,
    Min,
    Max,
}

/// Values of one piece by step.
pub(super) type Column = Vec<Option<f64>>;

/// An aggregation that is not finished: what is known at each step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Made {
    pub labels: Labels,
    pub accs: Vec<Option<Acc>>,
}

impl Make {
    /// Of the whole expression; `None` where it is not made of pieces.
    pub fn of(expr: &MetricExpr) -> Option<Self> {
        match expr {
            MetricExpr::Range(r) => Self::of_range(r.op),
            MetricExpr::Aggregate(a) => match summed(a) {
                Some(r) => Self::of_range(r.op),
                None => Self::of_vector(a.op),
            },
            _ => None,
        }
    }

    pub fn of_range(op: RangeOp) -> Option<Self> {
        use RangeOp::*;
        Some(match op {
            CountOverTime | Rate | BytesOverTime | BytesRate | SumOverTime => Make::Sum,
            AvgOverTime => Make::Mean,
            StddevOverTime | StdvarOverTime => Make::Spread,
            MinOverTime => Make::Min,
            MaxOverTime => Make::Max,
            RateCounter | QuantileOverTime | FirstOverTime | LastOverTime | AbsentOverTime => return None,
        })
    }

    pub fn of_vector(op: VectorOp) -> Option<Self> {
        use VectorOp::*;
        Some(match op {
            Sum => Make::Sum,
            Avg => Make::Mean,
            Count => Make::Count,
            Stddev | Stdvar => Make::Spread,
            Min => Make::Min,
            Max => Make::Max,
            Topk | Bottomk | ApproxTopk | Sort | SortDesc => return None,
        })
    }

    /// The accumulator of one value.
    pub fn one(self, v: f64) -> Acc {
        match self {
            Make::Sum | Make::Mean | Make::Count => Acc::Sum { n: 1.0, sum: v, lost: 0.0 },
            Make::Spread => Acc::Spread { n: 1.0, mean: v, m2: 0.0 },
            Make::Min => Acc::Min(v),
            Make::Max => Acc::Max(v),
        }
    }

    /// Accumulators in pieces; one that has nothing to say at any step is left out.
    pub fn columns(self, accs: &[Option<Acc>]) -> Vec<(Piece, Column)> {
        let mut out: BTreeMap<Piece, Column> = BTreeMap::new();
        for (step, acc) in accs.iter().enumerate() {
            for (piece, v) in acc.iter().flat_map(|acc| self.values(acc)) {
                if let Some(at) = out.entry(piece).or_insert_with(|| vec![None; accs.len()]).get_mut(step) {
                    *at = Some(v);
                }
            }
        }
        out.into_iter().collect()
    }

    fn values(self, acc: &Acc) -> Vec<(Piece, f64)> {
        match *acc {
            Acc::Sum { n, .. } if self == Make::Count => vec![(Piece::Count, n)],
            Acc::Sum { n, sum, lost } => {
                let mut out = vec![(Piece::Sum, sum)];
                if lost != 0.0 {
                    out.push((Piece::Compensation, lost));
                }
                if self == Make::Mean {
                    out.push((Piece::Count, n));
                }
                out
            }
            Acc::Spread { n, mean, m2 } => {
                vec![(Piece::Count, n), (Piece::Mean, mean), (Piece::Spread, m2)]
            }
            Acc::Min(v) | Acc::Max(v) => vec![(Piece::Whole, v)],
            _ => Vec::new(),
        }
    }

    /// What [`Make::columns`] made; an error where it cannot have.
    pub fn accs(self, columns: &BTreeMap<Piece, Column>, steps: usize) -> Result<Vec<Option<Acc>>, String> {
        let known: &[Piece] = match self {
            Make::Sum => &[Piece::Sum, Piece::Compensation],
            Make::Mean => &[Piece::Sum, Piece::Compensation, Piece::Count],
            Make::Count => &[Piece::Count],
            Make::Spread => &[Piece::Count, Piece::Mean, Piece::Spread],
            Make::Min | Make::Max => &[Piece::Whole],
        };
        if let Some(piece) = columns.keys().find(|p| !known.contains(p)) {
            return Err(format!("{piece:?} of what is made as {self:?}"));
        }
        (0..steps).map(|step| self.acc(|p| columns.get(&p)?.get(step).copied().flatten())).collect()
    }

    fn acc(self, at: impl Fn(Piece) -> Option<f64>) -> Result<Option<Acc>, String> {
        let lost = at(Piece::Compensation).unwrap_or(0.0);
        let count = at(Piece::Count);
        if let Some(n) = count.filter(|n| n.is_nan() || *n <= 0.0) {
            return Err(format!("a count of {n}"));
        }
        let acc = match self {
            Make::Sum => at(Piece::Sum).map(|sum| Acc::Sum { n: 1.0, sum, lost }),
            Make::Mean => match (at(Piece::Sum), count) {
                (Some(sum), Some(n)) => Some(Acc::Sum { n, sum, lost }),
                (None, None) => None,
                _ => return Err("a sum without its count, or a count alone".to_owned()),
            },
            Make::Count => count.map(|n| Acc::Sum { n, sum: 0.0, lost: 0.0 }),
            Make::Spread => match (count, at(Piece::Mean), at(Piece::Spread)) {
                (Some(n), Some(mean), Some(m2)) => Some(Acc::Spread { n, mean, m2 }),
                (None, None, None) => None,
                _ => return Err("a spread of which a piece is missing".to_owned()),
            },
            Make::Min => at(Piece::Whole).map(Acc::Min),
            Make::Max => at(Piece::Whole).map(Acc::Max),
        };
        match acc {
            None if at(Piece::Compensation).is_some() => Err("what a sum lost without the sum".to_owned()),
            acc => Ok(acc),
        }
    }
}

/// Adds one part's accumulators to those of others.
pub(super) fn absorb(into: &mut [Option<Acc>], more: Vec<Option<Acc>>) {
    for (mine, more) in into.iter_mut().zip(more) {
        match (mine.as_mut(), more) {
            (Some(mine), Some(more)) => mine.merge(&more),
            (None, more) => *mine = more,
            (Some(_), None) => {}
        }
    }
}

/// The values that accumulators of a pushed aggregation come to.
pub(super) fn finished(push: &Push<'_>, accs: &[Option<Acc>]) -> Column {
    let range = |r: &RangeAggregation| {
        let how = Finish { op: r.op, range_ns: r.range.range_ns, parameter: r.parameter.unwrap_or_default() };
        // What is made of pieces knows nothing of its window.
        accs.iter().map(|acc| acc.as_ref().map(|acc| how.value(acc, (0, 0)))).collect()
    };
    match (push.expr, push.summed()) {
        (_, Some(r)) => range(r),
        (MetricExpr::Range(r), _) => range(r),
        (MetricExpr::Aggregate(a), _) => {
            accs.iter().map(|acc| acc.as_ref().map(|acc| value(a.op, acc))).collect()
        }
        _ => vec![None; accs.len()],
    }
}

fn value(op: VectorOp, acc: &Acc) -> f64 {
    match (op, acc) {
        (VectorOp::Avg, Acc::Sum { n, sum, lost }) => (sum + lost) / n,
        (VectorOp::Count, Acc::Sum { n, .. }) => *n,
        (_, Acc::Sum { sum, lost, .. }) => sum + lost,
        (VectorOp::Stddev, Acc::Spread { n, m2, .. }) => (m2 / n).sqrt(),
        (_, Acc::Spread { n, m2, .. }) => m2 / n,
        (_, Acc::Min(v) | Acc::Max(v)) => *v,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests;
