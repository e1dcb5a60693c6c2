//! Metric expressions: first every range aggregation is read and folded, here or by parts, then the tree above them
//! is evaluated.
//!
//! Reading is asynchronous, evaluating the tree is not; keeping them apart keeps recursion off the poll stack.

use contract::Part;

use super::{
    Run, aggregate, binary,
    frame::{Grid, Operand, Series, distinct, made_bytes, series_bytes},
    gather::{Came, gather},
    pieces::{Made, Make, finished},
    plan::{Node, Plan, plan, summed},
    range::{accumulate, evaluate},
};
use crate::{
    Error, Result, Value,
    ast::{LabelReplace, MetricExpr, VectorAggregation, VectorOp},
    re2,
};

/// What the query comes to at one point in time.
pub(super) fn instant(expr: &MetricExpr, operand: Operand, grid: Grid) -> Value {
    let at_ms = grid.at_ms(0);
    match operand {
        Operand::Scalar(v) => Value::Scalar(at_ms, v),
        Operand::Series(series) => {
            let mut out: Vec<_> = series
                .into_iter()
                .filter_map(|s| Some((s.labels, at_ms, s.values.first().copied().flatten()?)))
                .collect();
            match sorts(expr) {
                None => out.sort_by(|a, b| a.0.cmp(&b.0)),
                Some(descending) => out.sort_by(|a, b| {
                    let by_value = if descending { b.2.total_cmp(&a.2) } else { a.2.total_cmp(&b.2) };
                    by_value.then_with(|| a.0.cmp(&b.0))
                }),
            }
            Value::Vector(out)
        }
    }
}

/// What it comes to at every step.
pub(super) fn range(operand: Operand, grid: Grid) -> Value {
    let series = match operand {
        Operand::Scalar(v) => vec![constant(v, grid)],
        Operand::Series(s) => s,
    };
    let mut out = Vec::with_capacity(series.len());
    for s in series {
        let points: Vec<(i64, f64)> =
            s.values.iter().enumerate().filter_map(|(k, v)| Some((grid.at_ms(k), (*v)?))).collect();
        if !points.is_empty() {
            out.push((s.labels, points));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Matrix(out)
}

/// Whether the outermost operation orders its result by value, and if so whether the largest comes first.
fn sorts(expr: &MetricExpr) -> Option<bool> {
    match expr {
        MetricExpr::Aggregate(a) => match a.op {
            VectorOp::SortDesc | VectorOp::Topk | VectorOp::ApproxTopk => Some(true),
            VectorOp::Sort | VectorOp::Bottomk => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn constant(v: f64, grid: Grid) -> Series {
    Series { labels: model::Labels::default(), values: vec![Some(v); grid.len] }
}

/// Evaluates a query over what is selected, or over parts of it.
pub(super) async fn operand(
    run: &mut Run<'_>,
    expr: &MetricExpr,
    grid: Grid,
    parts: &[Part],
) -> Result<Operand> {
    let plan = plan(expr, grid, parts, false)?;
    let mut sources = sources(run, &plan, parts, grid).await?;
    tree(run, &plan.root, grid, &mut sources)
}

/// Evaluates a query whose outermost operation is an aggregation, and leaves that unfinished.
pub(super) async fn made(
    run: &mut Run<'_>,
    expr: &MetricExpr,
    grid: Grid,
    parts: &[Part],
) -> Result<Vec<Made>> {
    let unmade = || Error::invalid("the query is not made of pieces");
    let make = Make::of(expr).ok_or_else(unmade)?;
    let plan = plan(expr, grid, parts, true)?;
    let (a, inner) = match &plan.root {
        Node::Pushed(at) => {
            let came = gather(run, &plan.pushes, parts, grid).await?.into_iter().nth(*at);
            return match came {
                Some(Came::Made(made)) => Ok(made),
                _ => Err(unmade()),
            };
        }
        Node::Read(at) => return unfinished(run, &plan, *at, grid).await,
        Node::Aggregate(a, inner) => match (summed(a), &**inner) {
            (Some(_), Node::Read(at)) => return unfinished(run, &plan, *at, grid).await,
            _ => (a, inner),
        },
        _ => return Err(unmade()),
    };
    let mut sources = sources(run, &plan, parts, grid).await?;
    let Operand::Series(series) = tree(run, inner, grid, &mut sources)? else {
        return Err(Error::invalid(format!("{} takes a vector, not a number", a.op.as_str())));
    };
    let out = aggregate::accumulate(a, make, &series, grid);
    out.iter().try_for_each(|m| run.memory.add(made_bytes(&m.labels, grid.len)))?;
    Ok(out)
}

/// The range aggregation that is all the query reads.
async fn unfinished(run: &mut Run<'_>, plan: &Plan<'_>, leaf: usize, grid: Grid) -> Result<Vec<Made>> {
    match plan.leaves.get(leaf) {
        Some(leaf) => accumulate(run, leaf, grid).await,
        None => Ok(Vec::new()),
    }
}

/// What the nodes of a plan stand on. Each is taken once.
struct Sources {
    read: Vec<Vec<Series>>,
    pushed: Vec<Vec<Series>>,
}

impl Sources {
    fn take(from: &mut [Vec<Series>], at: usize) -> Vec<Series> {
        from.get_mut(at).map(std::mem::take).unwrap_or_default()
    }
}

async fn sources(run: &mut Run<'_>, plan: &Plan<'_>, parts: &[Part], grid: Grid) -> Result<Sources> {
    let mut out = Sources { read: Vec::new(), pushed: Vec::new() };
    for (push, came) in plan.pushes.iter().zip(gather(run, &plan.pushes, parts, grid).await?) {
        out.pushed.push(match came {
            Came::Series(series) => series,
            Came::Made(made) => {
                let series = made.into_iter();
                series.map(|m| Series { values: finished(push, &m.accs), labels: m.labels }).collect()
            }
        });
    }
    for leaf in &plan.leaves {
        out.read.push(evaluate(run, leaf, grid).await?);
    }
    Ok(out)
}

fn tree(run: &mut Run<'_>, node: &Node<'_>, grid: Grid, sources: &mut Sources) -> Result<Operand> {
    run.ctx.limits.check_deadline()?;
    match node {
        Node::Number(v) => Ok(Operand::Scalar(*v)),
        Node::Vector(v) => Ok(Operand::Series(vec![constant(*v, grid)])),
        Node::Read(at) => Ok(Operand::Series(Sources::take(&mut sources.read, *at))),
        Node::Pushed(at) => Ok(Operand::Series(Sources::take(&mut sources.pushed, *at))),
        Node::Aggregate(a, inner) => {
            let inner = tree(run, inner, grid, sources)?;
            aggregated(run, a, inner, grid).map(Operand::Series)
        }
        Node::Binary(b, left, right) => {
            let left = tree(run, left, grid, sources)?;
            let right = tree(run, right, grid, sources)?;
            let out = binary::evaluate(b, left, right)?;
            if let Operand::Series(s) = &out {
                charge(run, s, grid)?;
            }
            Ok(out)
        }
        Node::LabelReplace(l, inner) => match tree(run, inner, grid, sources)? {
            Operand::Scalar(_) => Err(Error::invalid("label_replace takes a vector, not a number")),
            Operand::Series(s) => label_replace(l, s).map(Operand::Series),
        },
    }
}

fn aggregated(run: &mut Run<'_>, a: &VectorAggregation, inner: Operand, grid: Grid) -> Result<Vec<Series>> {
    let Operand::Series(series) = inner else {
        return Err(Error::invalid(format!("{} takes a vector, not a number", a.op.as_str())));
    };
    let out = aggregate::evaluate(a, series, grid);
    charge(run, &out, grid)?;
    Ok(out)
}

fn charge(run: &mut Run<'_>, series: &[Series], grid: Grid) -> Result<()> {
    series.iter().try_for_each(|s| run.memory.add(series_bytes(&s.labels, grid.len)))
}

/// Sets `target` to the expanded replacement where the whole value of `source` matches.
fn label_replace(l: &LabelReplace, mut series: Vec<Series>) -> Result<Vec<Series>> {
    let regex = re2::compile(&format!("^(?s:{})$", l.pattern))
        .map_err(|e| Error::invalid(format!("invalid regex in label_replace: {e}")))?;
    for s in &mut series {
        let Some(found) = regex.captures(s.labels.value(&l.source)) else { continue };
        let mut value = String::new();
        found.expand(&l.replacement, &mut value);
        s.labels = s.labels.with(&l.target, &value);
    }
    distinct(series)
}
