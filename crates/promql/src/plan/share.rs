//! Fourth rewrite: equal parts of a query are evaluated once.
//!
//! Nodes are put into classes from the leaves up: two are in the same class if they are the same operator with the
//! same settings over children of the same classes, at the same steps. Then each class counts how often it is asked
//! for when every class is evaluated once.

use std::collections::HashMap;

use super::Plan;
use crate::ast::{NodeId, NodeKind};

#[derive(Default)]
pub(crate) struct Shared {
    /// By node.
    class: Vec<u32>,
    /// By class: how often its result is asked for.
    uses: Vec<u32>,
}

impl Shared {
    /// The class of a node and how often it is asked for, if more than once.
    pub fn of(&self, id: NodeId) -> Option<(u32, u32)> {
        let class = self.class.get(id.0 as usize).copied()?;
        let uses = self.uses.get(class as usize).copied()?;
        (uses > 1).then_some((class, uses))
    }
}

pub(super) fn share(plan: &Plan) -> Shared {
    let expr = &plan.expr;
    let mut classes: HashMap<String, u32> = HashMap::new();
    // The first node of each class.
    let mut first: Vec<NodeId> = Vec::new();
    let mut class: Vec<u32> = Vec::with_capacity(expr.nodes.len());
    for (id, node) in expr.nodes() {
        let children = expr.children(id).iter().map(|c| class[c.0 as usize]).collect::<Vec<_>>();
        let (grid, repeated) = (plan.grid_of(id), plan.repeated(id));
        let key = format!("{} {children:?} {grid:?} {repeated:?}", settings(&node.kind));
        class.push(*classes.entry(key).or_insert_with(|| {
            first.push(id);
            (first.len() - 1) as u32
        }));
    }
    let mut uses = vec![0u32; first.len()];
    if let Some(root) = class.get(expr.root().0 as usize) {
        uses[*root as usize] = 1;
    }
    // A class is made after those of its children.
    for (at, id) in first.iter().enumerate().rev().filter(|(_, id)| id.0 <= expr.root().0) {
        if uses[at] > 0 {
            for child in expr.children(*id) {
                let n = &mut uses[class[child.0 as usize] as usize];
                *n = n.saturating_add(1);
            }
        }
    }
    for (at, id) in first.iter().enumerate() {
        if !is_worth_it(expr.kind(*id)) {
            uses[at] = 0;
        }
    }
    Shared { class, uses }
}

/// What a node is, without its children. Children appear in it as many times as there are, so two nodes whose text
/// is equal have equally many.
fn settings(kind: &NodeKind) -> String {
    match kind {
        NodeKind::Number(n) => format!("number {}", n.value.to_bits()),
        NodeKind::String(s) => format!("string {s:?}"),
        NodeKind::Selector(s) => format!("selector {s:?}"),
        NodeKind::Matrix { range, .. } => format!("range {range:?}"),
        NodeKind::Subquery(s) => format!("subquery {:?} {:?} {:?}", s.range, s.step, s.modifiers),
        NodeKind::Paren(_) => "paren".to_owned(),
        NodeKind::Unary { negate, .. } => format!("unary {negate}"),
        NodeKind::Binary(b) => format!("binary {:?} {} {:?}", b.op, b.return_bool, b.matching),
        NodeKind::Aggregate(a) => format!("aggregate {:?} {:?}", a.op, a.grouping),
        NodeKind::Call(c) => format!("call {}", c.function.name),
    }
}

/// Copying the result of a selector costs as much as looking it up again, and the rest is no more than its child.
fn is_worth_it(kind: &NodeKind) -> bool {
    matches!(kind, NodeKind::Call(_) | NodeKind::Aggregate(_) | NodeKind::Binary(_) | NodeKind::Unary { .. })
}
