//! Metric expressions: first every range aggregation is read and folded, then the tree above them is evaluated.
//!
//! Reading is asynchronous, evaluating the tree is not; keeping them apart keeps recursion off the poll stack.

use super::{
    Run, aggregate, binary,
    frame::{Grid, Operand, Series, distinct, series_bytes},
    range::{Leaf, evaluate},
};
use crate::{
    Error, Result, Value,
    ast::{Grouping, LabelReplace, MetricExpr, VectorAggregation, VectorOp},
    re2,
};

/// `sum(x)` without a grouping keeps no label.
static NO_LABELS: Grouping = Grouping { without: false, labels: Vec::new() };

pub(super) async fn instant(run: &mut Run<'_>, expr: &MetricExpr, grid: Grid) -> Result<Value> {
    let at_ms = grid.at_ms(0);
    match operand(run, expr, grid).await? {
        Operand::Scalar(v) => Ok(Value::Scalar(at_ms, v)),
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
            Ok(Value::Vector(out))
        }
    }
}

pub(super) async fn range(run: &mut Run<'_>, expr: &MetricExpr, grid: Grid) -> Result<Value> {
    let series = match operand(run, expr, grid).await? {
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
    Ok(Value::Matrix(out))
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

async fn operand(run: &mut Run<'_>, expr: &MetricExpr, grid: Grid) -> Result<Operand> {
    let mut leaves = Vec::new();
    collect(expr, &mut leaves)?;
    let mut read = Vec::with_capacity(leaves.len());
    for leaf in &leaves {
        read.push(evaluate(run, leaf, grid).await?);
    }
    tree(run, expr, grid, &mut read.into_iter())
}

/// The range aggregations below, in the order [`tree`] takes them.
fn collect<'q>(expr: &'q MetricExpr, out: &mut Vec<Leaf<'q>>) -> Result<()> {
    match expr {
        MetricExpr::Literal(_) | MetricExpr::Vector(_) => Ok(()),
        MetricExpr::Range(r) => {
            out.push(Leaf::alone(r));
            Ok(())
        }
        MetricExpr::Aggregate(a) => match &a.inner {
            MetricExpr::Range(r) if a.op == VectorOp::Sum => {
                out.push(Leaf::summed(r, a.grouping.as_ref().unwrap_or(&NO_LABELS)));
                Ok(())
            }
            inner => collect(inner, out),
        },
        MetricExpr::Binary(b) => {
            collect(&b.left, out)?;
            collect(&b.right, out)
        }
        MetricExpr::LabelReplace(l) => collect(&l.inner, out),
        MetricExpr::Variants(_) => Err(Error::NotYetSupported("variants(...) of (...)".to_owned())),
    }
}

fn tree(
    run: &mut Run<'_>,
    expr: &MetricExpr,
    grid: Grid,
    read: &mut impl Iterator<Item = Vec<Series>>,
) -> Result<Operand> {
    run.ctx.limits.check_deadline()?;
    match expr {
        MetricExpr::Literal(v) => Ok(Operand::Scalar(*v)),
        MetricExpr::Vector(v) => Ok(Operand::Series(vec![constant(*v, grid)])),
        MetricExpr::Range(_) => Ok(Operand::Series(read.next().unwrap_or_default())),
        MetricExpr::Aggregate(a) => {
            let inner = tree(run, &a.inner, grid, read)?;
            aggregated(run, a, inner, grid).map(Operand::Series)
        }
        MetricExpr::Binary(b) => {
            let left = tree(run, &b.left, grid, read)?;
            let right = tree(run, &b.right, grid, read)?;
            let out = binary::evaluate(b, left, right)?;
            if let Operand::Series(s) = &out {
                charge(run, s, grid)?;
            }
            Ok(out)
        }
        MetricExpr::LabelReplace(l) => match tree(run, &l.inner, grid, read)? {
            Operand::Scalar(_) => Err(Error::invalid("label_replace takes a vector, not a number")),
            Operand::Series(s) => label_replace(l, s).map(Operand::Series),
        },
        MetricExpr::Variants(_) => Err(Error::NotYetSupported("variants(...) of (...)".to_owned())),
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
