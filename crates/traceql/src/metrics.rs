//! Metrics over a [`Select`]: spans become series.
//!
//! ```text
//! per query in the expression:
//!   spans of the range, piece by piece   metrics/scan.rs
//!      |    as they come, or, where the trace decides, traces fetched whole and sent through the pipeline
//!   cells: series x steps                metrics/observe.rs, cell.rs, compare.rs, exemplars.rs
//!   rows: labels and values              metrics/rows.rs, quantile.rs
//! then topk, comparisons and arithmetic  metrics/second.rs
//! ```
//! Spans are never held longer than their piece; cells are charged to the query's memory budget. What is counted does
//! not depend on the order in which spans come, nor on how they are spread over sources.

use std::sync::Arc;

use contract::{Scope, Select};

use crate::{
    Error, MetricsAnswer, Query, Result,
    ast::{Expr, Function, MetricsExpr},
    search::fetch::Reads,
    value::Value,
};

mod cell;
mod compare;
mod exemplars;
mod grid;
mod observe;
mod quantile;
mod rows;
mod scan;
mod second;

use grid::Grid;
use observe::Observer;

/// Samples per series a range query may ask for, as Prometheus has it.
const MAX_STEPS: i64 = 11_000;
/// Exemplars of a series, whatever is asked for.
const MAX_EXEMPLARS: usize = 10_000;

#[derive(Clone)]
pub struct MetricsRequest {
    /// Spans count where they start.
    pub scope: Scope,
    /// Distance of samples. An instant query has one sample for the whole range and does not look at it.
    pub step_ns: i64,
    /// Exemplars per series at most; 0 for none. The hint `exemplars` of the query goes before it.
    pub exemplars: usize,
}

/// Samples at every multiple of the step from the one at or before the start of the range to the one at or after its
/// end; the sample at `t` is of spans that start in `(t - step, t]`. A query that is none of metrics is `Kind::Invalid`.
///
/// It ends with an error at the deadline, and where it reads more bytes, holds more memory or makes more series than
/// the limits of the scope allow.
pub async fn metrics_range(
    select: &Arc<dyn Select>,
    query: &Query,
    request: MetricsRequest,
) -> Result<MetricsAnswer> {
    let grid = Grid::of_range(request.scope.range, request.step_ns, MAX_STEPS)?;
    run(select, query, request, grid).await
}

/// One sample per series, at the end of the range, of all spans that start in the range. There are no exemplars.
pub async fn metrics_instant(
    select: &Arc<dyn Select>,
    query: &Query,
    request: MetricsRequest,
) -> Result<MetricsAnswer> {
    let grid = Grid::of_instant(request.scope.range)?;
    run(select, query, MetricsRequest { exemplars: 0, ..request }, grid).await
}

async fn run(
    select: &Arc<dyn Select>,
    query: &Query,
    request: MetricsRequest,
    grid: Grid,
) -> Result<MetricsAnswer> {
    let Expr::Metrics(expr) = &query.expr else {
        return Err(Error::invalid(format!("{query} makes no series: it lacks a function such as rate()")));
    };
    let exemplars = match query.hint("exemplars") {
        Some(Value::Bool(false)) => 0,
        Some(Value::Int(n)) if grid.len > 1 => usize::try_from(*n).unwrap_or_default(),
        _ => request.exemplars,
    };
    let mut reads = Reads::new(select, &request.scope)?;
    let mut leaves = Vec::new();
    queries(expr, &mut leaves);
    let mut results = Vec::new();
    for leaf in leaves {
        let MetricsExpr::Query { pipeline, function } = leaf else { continue };
        let mut observer = Observer::new(leaf, function, &grid, exemplars.min(MAX_EXEMPLARS))?;
        scan::scan(&mut reads, pipeline, function, &grid, &mut observer).await?;
        results.push(observer.rows());
    }
    let rows = second::evaluate(expr, &mut results.into_iter());
    let series = rows::series(rows, &grid);
    Ok(MetricsAnswer { series, inspected: reads.inspected, coverage: reads.coverage })
}

/// Every query of the expression, from left to right.
fn queries<'q>(expr: &'q MetricsExpr, out: &mut Vec<&'q MetricsExpr>) {
    match expr {
        MetricsExpr::Query { .. } => out.push(expr),
        MetricsExpr::Then { inner, .. } | MetricsExpr::Number { inner, .. } | MetricsExpr::Paren(inner) => {
            queries(inner, out);
        }
        MetricsExpr::Binary { left, right, .. } => {
            queries(left, out);
            queries(right, out);
        }
    }
}

/// Whether a function asks of each span only what the span alone says.
fn asks_span_alone(f: &Function) -> bool {
    f.of().into_iter().chain(f.by()).all(|field| !field.of_trace())
        && match f {
            Function::Compare(c) => c.selection.as_ref().is_none_or(crate::conditions::asks_span_alone),
            _ => true,
        }
}
