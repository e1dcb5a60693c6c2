//! Aggregation over series: group by labels, then one accumulator per group and step.

mod histograms;
mod pick;
mod pieces;
mod reduce;

pub(crate) use histograms::HistogramAggregate;
pub use pieces::{Piece, Pieces};
pub use reduce::Reducer;

use model::{Labels, labels::METRIC_NAME};

use crate::{ByLabels, Cell, Column, Env, Error, Result, Series, histogram, math};

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
    use AggregateOp::*;
    match op {
        Topk | Bottomk | Limitk | LimitRatio => pick::pick(op, grouping, parameter, input, env),
        CountValues => count_values(grouping, parameter, input, env),
        Quantile => quantile(grouping, parameter, input, env),
        _ => reduce::reduce(op, grouping, input, env),
    }
}

/// The labels that name a series' group.
fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(names) if names.is_empty() => Labels::default(),
        Grouping::By(names) => labels.only(names),
        Grouping::Without(names) => labels.filter(|n| n != METRIC_NAME && !names.iter().any(|w| w == n)),
    }
}

/// The labels of each group in order of first appearance, and the group of each series.
fn group<'a>(labels: impl Iterator<Item = &'a Labels>, grouping: &Grouping) -> (Vec<Labels>, Vec<u32>) {
    if *grouping == Grouping::By(Vec::new()) {
        let all = vec![0; labels.count()];
        return (if all.is_empty() { Vec::new() } else { vec![Labels::default()] }, all);
    }
    let mut at: ByLabels<u32> = ByLabels::default();
    let mut names = Vec::new();
    let mut of = Vec::new();
    for labels in labels {
        of.push(*at.entry(group_labels(labels, grouping)).or_insert_with_key(|l| {
            names.push(l.clone());
            (names.len() - 1) as u32
        }));
    }
    (names, of)
}

/// A group's labels and its series by index, in order of first appearance.
struct Groups {
    labels: Vec<Labels>,
    members: Vec<Vec<usize>>,
}

fn members(input: &[Series], grouping: &Grouping) -> Groups {
    let (labels, of) = group(input.iter().map(|s| &s.labels), grouping);
    let mut members = vec![Vec::new(); labels.len()];
    for (i, g) in of.into_iter().enumerate() {
        members[g as usize].push(i);
    }
    Groups { labels, members }
}

fn ignored_histogram(op: AggregateOp, env: &mut Env<'_>) {
    let message = format!("PromQL info: ignored histogram in {} aggregation", op.as_str());
    env.notes.info(&env.span, message);
}

fn quantile(
    grouping: &Grouping,
    parameter: Parameter<'_>,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let Parameter::Numbers(q) = parameter else {
        return Err(Error::invalid("quantile needs a number as its first argument"));
    };
    let groups = members(&input, grouping);
    let steps = input.first().map_or(0, |s| s.column.len());
    let mut out = Vec::with_capacity(groups.labels.len());
    let mut values = Vec::new();
    for (labels, members) in groups.labels.into_iter().zip(groups.members) {
        env.meter.tick()?;
        let mut column = Column::empty(steps);
        for step in 0..steps {
            env.meter.work(members.len())?;
            values.clear();
            for i in &members {
                match input[*i].column.get(step) {
                    Some(Cell::Float(v)) => values.push(v),
                    Some(Cell::Histogram(_)) => ignored_histogram(AggregateOp::Quantile, env),
                    None => {}
                }
            }
            if let Some(q) = q.float(step)
                && !values.is_empty()
            {
                column.set_float(step, math::quantile(q, &mut values));
            }
        }
        let drop_name = members.iter().any(|i| input[*i].drop_name);
        out.push(Series { labels, column, drop_name });
    }
    out.retain(|r| !r.column.is_empty());
    Ok(out)
}

/// One series per group and distinct value; the value becomes a label before the groups are made.
fn count_values(
    grouping: &Grouping,
    parameter: Parameter<'_>,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let Parameter::Label(name) = parameter else {
        return Err(Error::invalid("count_values needs a label name as its first argument"));
    };
    let steps = input.first().map_or(0, |s| s.column.len());
    let mut at: ByLabels<usize> = ByLabels::default();
    let mut out: Vec<Series> = Vec::new();
    let bytes_each = steps * 9 + 256;
    let mut charged = 0;
    for row in &input {
        env.meter.work(steps)?;
        for step in row.column.steps() {
            let text = match row.column.get(step) {
                Some(Cell::Float(v)) => plain_text(v),
                Some(Cell::Histogram(h)) => histogram::describe(h),
                None => continue,
            };
            let labels = group_labels_with(&row.labels, grouping, name, &text);
            let g = *at.entry(labels).or_insert_with_key(|l| {
                out.push(Series::new(l.clone(), Column::empty(steps)));
                out.len() - 1
            });
            if out.len() * bytes_each > charged {
                env.meter.charge(bytes_each)?;
                charged += bytes_each;
            }
            if out.len() > MAX_DISTINCT_VALUES {
                return Err(Error::Limited {
                    limit: "query.max_series",
                    max: MAX_DISTINCT_VALUES as u64,
                    what: "count_values met that many distinct values".to_owned(),
                });
            }
            let column = &mut out[g].column;
            let n = column.float(step).unwrap_or(0.0);
            column.set_float(step, n + 1.0);
        }
    }
    env.meter.release(charged);
    Ok(out)
}

/// Each distinct value is a series over all steps; more would hold gigabytes.
const MAX_DISTINCT_VALUES: usize = 100_000;

fn group_labels_with(labels: &Labels, grouping: &Grouping, name: &str, value: &str) -> Labels {
    let valued = labels.with(name, value);
    match grouping {
        // The value's label is kept by every grouping that does not exclude it by name.
        Grouping::By(names) => valued.filter(|n| n == name || names.iter().any(|k| k == n)),
        Grouping::Without(_) => group_labels(&valued, grouping),
    }
}

fn plain_text(v: f64) -> String {
    if v.is_nan() {
        "NaN".to_owned()
    } else if v.is_infinite() {
        if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{v}")
    }
}

#[cfg(test)]
mod tests;
