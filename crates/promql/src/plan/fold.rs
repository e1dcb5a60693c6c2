//! Second rewrite: what is known before evaluation becomes a number, so that what contains it can be seen to be the
//! same at every step.

use eval::Grid;

use super::Context;
use crate::{
    ast::{Expr, NodeId, NodeKind, Number},
    functions::FunctionId,
};

/// `start()`, `end()`, `range()`, `step()`, and operators between numbers. What stood below stays in the tree and
/// is not reached any more.
pub(super) fn fold(expr: &mut Expr, grid: Grid, cx: &Context<'_>) {
    for i in 0..expr.nodes.len() {
        let value = match &expr.nodes[i].kind {
            NodeKind::Call(c) => of_query(c.function.id, grid, cx),
            NodeKind::Unary { negate, expr: inner } => {
                number(expr, *inner).map(|v| if *negate { -v } else { v })
            }
            NodeKind::Binary(b) if b.matching.is_none() => match (number(expr, b.lhs), number(expr, b.rhs)) {
                (Some(l), Some(r)) => Some(eval::scalar_op(b.op, l, r)),
                _ => None,
            },
            _ => None,
        };
        if let Some(value) = value {
            expr.nodes[i].kind = NodeKind::Number(Number { value, is_duration: false });
        }
    }
}

fn number(expr: &Expr, id: NodeId) -> Option<f64> {
    match expr.kind(expr.unwrap_parens(id)) {
        NodeKind::Number(n) => Some(n.value),
        _ => None,
    }
}

/// Seconds, as all times in the language.
fn of_query(id: FunctionId, grid: Grid, cx: &Context<'_>) -> Option<f64> {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    Some(match id {
        FunctionId::Start => seconds(grid.start_ms),
        FunctionId::End => seconds(cx.end_ms),
        FunctionId::Range => seconds(cx.end_ms - grid.start_ms),
        // A query that ends where it starts has no step.
        FunctionId::Step if cx.end_ms == grid.start_ms => 0.0,
        FunctionId::Step => seconds(cx.step_ms),
        _ => return None,
    })
}
