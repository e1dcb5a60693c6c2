//! Third rewrite: what is the same at every step is evaluated at one and its result repeated.
//!
//! `@` pins a selector to one time, whatever the step; everything made of such selectors and of numbers alone is
//! steady too, unless a function looks at the time of evaluation.

use crate::{
    ast::{Call, Expr, NodeId, NodeKind},
    functions::FunctionId,
};

/// By node: whether it comes to the same at every step.
pub(super) fn steady(expr: &Expr) -> Vec<bool> {
    let mut out: Vec<bool> = Vec::with_capacity(expr.nodes.len());
    for (id, node) in expr.nodes() {
        let of = |id: &NodeId| out[id.0 as usize];
        out.push(match &node.kind {
            NodeKind::Number(_) | NodeKind::String(_) => true,
            NodeKind::Selector(s) => s.modifiers.at.is_some(),
            NodeKind::Subquery(s) => s.modifiers.at.is_some(),
            NodeKind::Call(c) => call(expr, c, of),
            _ => expr.children(id).iter().all(of),
        });
    }
    out
}

fn call(expr: &Expr, c: &Call, steady: impl Fn(&NodeId) -> bool) -> bool {
    use FunctionId::*;
    if !c.args.iter().all(steady) {
        return false;
    }
    match c.function.id {
        Time | PredictLinear | Minute | Hour | DayOfWeek | DayOfMonth | DayOfYear | DaysInMonth | Month
        | Year => false,
        // Of a selector these are the sample's own times, of anything else the time of evaluation.
        Timestamp => {
            let of = c.args.first().map(|a| expr.kind(expr.unwrap_parens(*a)));
            matches!(of, Some(NodeKind::Selector(_)))
        }
        _ => true,
    }
}

/// Numbers and strings cost nothing, range vectors are evaluated by what stands around them, and parentheses are
/// whatever is inside.
pub(super) fn is_worth_it(kind: &NodeKind) -> bool {
    !matches!(
        kind,
        NodeKind::Number(_)
            | NodeKind::String(_)
            | NodeKind::Matrix { .. }
            | NodeKind::Subquery(_)
            | NodeKind::Paren(_)
    )
}
