//! Aggregation over series: group by labels, then one accumulator per group and step.

use crate::{Column, Env, Result, Series};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// The name in PromQL.
    pub fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Sum => "sum",
            AggregateOp::Avg => "avg",
            AggregateOp::Min => "min",
            AggregateOp::Max => "max",
            AggregateOp::Count => "count",
            AggregateOp::Group => "group",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Topk => "topk",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::Quantile => "quantile",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }

    /// Whether it takes a first argument beside the vector.
    pub fn has_parameter(self) -> bool {
        use AggregateOp::*;
        matches!(self, Topk | Bottomk | Quantile | CountValues | Limitk | LimitRatio)
    }
}

/// Which labels make a group. `By(vec![])` is one group of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// The first argument of `topk`, `bottomk`, `limitk`, `limit_ratio`, `quantile` (a number per step) and of
/// `count_values` (a label name).
#[derive(Debug, Clone, Copy)]
pub enum Parameter<'a> {
    None,
    Numbers(&'a Column),
    Label(&'a str),
}

/// Aggregates. `Topk`, `Bottomk`, `Limitk` and `LimitRatio` keep the labels of what they pick and, over a grid
/// of one step, answer in their own order (best first); all others answer one series per group, in order of
/// first appearance. Series without any value are left out.
pub fn aggregate(
    op: AggregateOp,
    grouping: &Grouping,
    parameter: Parameter<'_>,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let _ = (op, grouping, parameter, input, env);
    Err(crate::Error::invalid("aggregation is not built yet"))
}
