//! Sixth rewrite, where what is asked divides into parts: what each part can compute of the query by itself, as text
//! to be evaluated there.
//!
//! ```text
//! topk(3, sum by (job) (rate(x[5m]))) / on () group_left () scalar(y)
//!         └───── pieces of the sum ─┘                               the rest is evaluated here, over what comes back
//! ```
//! Nothing is pushed that is not certain to come to the same as over the whole. Three things are given up for it:
//! which of several equal values `topk` picks, and where `sort` puts them, follows from the order of series, which
//! is lost on the way; so equal values make the query be answered anew without any of this. Below `limitk`, which
//! looks at order alone, nothing is pushed. And sums are taken in another order.

mod locality;

use contract::Part;
use eval::{AggregateOp, Apart, Grid, Grouping};

use crate::{
    ast::{Aggregate, Duration, Expr, Extent, Node, NodeId, NodeKind, Number},
    engine::is_ordered,
    functions::FunctionId,
    plan::{Context, Plan, ends},
    print::print,
};
use locality::{Class, classes};

/// Pieces of one query that are asked for; the rest of a query with more is selected as ever.
const MAX_PUSHES: usize = 32;

/// Time between samples where it is not known, in milliseconds: smaller, and rows are computed elsewhere that take
/// more room than the samples they come from.
const USUAL_INTERVAL_MS: i64 = 15_000;

/// Candidates asked of each part for `topk`; more are selected as ever.
const MAX_PICKS: f64 = 10_000.0;

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The rows of the node itself.
    Rows,
    /// The pieces that its aggregate is made of.
    Pieces,
    /// Rows below it that it may pick, one more than it will.
    Picks,
}

/// One piece of the query to be evaluated by parts.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub how: How,
    /// A query of its own, printed as `text`.
    pub expr: Expr,
    pub text: String,
    pub grid: Grid,
    /// The parts that are asked, by index.
    pub parts: Vec<usize>,
    /// First and last millisecond of what its selectors look at.
    pub first_ms: i64,
    pub last_ms: i64,
    /// It has one selector, whose series can be counted over all parts.
    pub single: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Split {
    pub pushes: Vec<Push>,
    by_node: Vec<Option<usize>>,
    /// Nodes that are evaluated elsewhere.
    hidden: Vec<bool>,
    /// Nodes with something pushed at or below them.
    above: Vec<bool>,
}

impl Split {
    /// The push at a node.
    pub fn at(&self, id: NodeId) -> Option<usize> {
        self.by_node.get(id.0 as usize).copied().flatten()
    }

    pub fn is_hidden(&self, id: NodeId) -> bool {
        self.hidden.get(id.0 as usize).copied().unwrap_or(false)
    }

    pub fn is_above(&self, id: NodeId) -> bool {
        self.above.get(id.0 as usize).copied().unwrap_or(false)
    }
}

/// Divides a plan whose fetches are known.
pub(crate) fn split(plan: &Plan, parts: &[Part], in_pieces: bool, cx: &Context<'_>) -> Split {
    let root = plan.expr.unwrap_parens(plan.expr.root());
    let ordered = (is_ordered(&plan.expr) && plan.grid.len() == 1).then_some(root);
    let apart = Apart::new(parts.iter().map(|p| p.labels.clone()));
    let classes = classes(&plan.expr, &apart, ordered);
    let pieces_of = in_pieces.then_some(root);
    let (costs, pushes, chosen) = (costs(plan), Vec::new(), Vec::new());
    let mut chooser = Chooser { plan, parts, cx, ordered, pieces_of, classes, costs, pushes, chosen };
    chooser.choose(root);
    chooser.finish()
}

/// What computing a node takes.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    /// Samples of one series that are read for it, roughly.
    samples: i64,
    /// It makes fewer series of many.
    reduces: bool,
}

fn costs(plan: &Plan) -> Vec<Cost> {
    let mut out: Vec<Cost> = Vec::with_capacity(plan.expr.nodes.len());
    for (id, node) in plan.expr.nodes() {
        let mut cost = Cost { samples: 0, reduces: matches!(node.kind, NodeKind::Aggregate(_)) };
        if let Some(fetch) = plan.fetch_of(id).and_then(|f| plan.fetches.get(f)) {
            cost.samples = fetch.last_ms.saturating_sub(fetch.first_ms) / USUAL_INTERVAL_MS + 1;
        }
        for child in plan.expr.children(id) {
            let below = out.get(child.0 as usize).copied().unwrap_or_default();
            cost.samples = cost.samples.saturating_add(below.samples);
            cost.reduces |= below.reduces;
        }
        out.push(cost);
    }
    out
}

struct Chooser<'a> {
    plan: &'a Plan,
    parts: &'a [Part],
    cx: &'a Context<'a>,
    ordered: Option<NodeId>,
    /// The node that is wanted in pieces, wherever it could be computed.
    pieces_of: Option<NodeId>,
    classes: Vec<Class>,
    costs: Vec<Cost>,
    pushes: Vec<Push>,
    /// Nodes and what is pushed of them; equal ones are asked for once.
    chosen: Vec<(NodeId, usize)>,
}

impl Chooser<'_> {
    /// From the top down: what is pushed hides what stands below.
    fn choose(&mut self, root: NodeId) {
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            if self.pushes.len() >= MAX_PUSHES {
                return;
            }
            let how = self.how(id);
            if let Some(push) = how.and_then(|how| self.push(id, how)) {
                let equal = |p: &Push| (p.how, p.grid, &p.text) == (push.how, push.grid, &push.text);
                let at = self.pushes.iter().position(equal).unwrap_or(self.pushes.len());
                self.chosen.push((id, at));
                if at == self.pushes.len() {
                    self.pushes.push(push);
                }
                continue;
            }
            let below = match self.plan.expr.kind(id) {
                NodeKind::Aggregate(a) if a.op == AggregateOp::Limitk => Vec::new(),
                NodeKind::Call(c) if c.function.id == FunctionId::Info => Vec::new(),
                _ => self.plan.expr.children(id),
            };
            waiting.extend(below.into_iter().rev());
        }
    }

    fn is_local(&self, id: NodeId) -> bool {
        matches!(self.classes.get(id.0 as usize), Some(Class::Local(_)))
    }

    fn how(&self, id: NodeId) -> Option<How> {
        let kind = self.plan.expr.kind(id);
        let operator = matches!(
            kind,
            NodeKind::Call(_) | NodeKind::Aggregate(_) | NodeKind::Binary(_) | NodeKind::Unary { .. }
        );
        let whole = self.is_local(id) && self.pieces_of != Some(id);
        if operator && whole && self.saves(id) {
            return Some(How::Rows);
        }
        let NodeKind::Aggregate(a) = kind else { return None };
        if !self.is_local(a.expr) || whole {
            return None;
        }
        use AggregateOp::*;
        match a.op {
            Sum | Avg | Min | Max | Count | Group | Stddev | Stdvar => Some(How::Pieces),
            Topk | Bottomk => {
                // Groups of an answer stand in the order of all their series.
                let one_group = a.grouping == Grouping::By(Vec::new());
                let orderly = one_group || self.ordered != Some(id);
                (orderly && self.picks(a).is_some()).then_some(How::Picks)
            }
            _ => None,
        }
    }

    /// Rows take a value for each step, samples as they are less; those of a range selector are read once however
    /// many steps look at them.
    fn saves(&self, id: NodeId) -> bool {
        let cost = self.costs.get(id.0 as usize).copied().unwrap_or_default();
        let steps = self.plan.grid_of(id).map_or(0, |g| g.len()) as i64;
        cost.reduces || cost.samples >= steps.saturating_mul(2)
    }

    /// How many rows are asked for, where that is known: one more than will be picked tells whether the last that
    /// is has an equal that is not.
    fn picks(&self, a: &Aggregate) -> Option<f64> {
        let NodeKind::Number(n) = self.plan.expr.kind(self.plan.expr.unwrap_parens(a.parameter?)) else {
            return None;
        };
        (n.value >= 1.0 && n.value <= MAX_PICKS).then(|| n.value.trunc() + 1.0)
    }

    fn push(&self, id: NodeId, how: How) -> Option<Push> {
        let grid = self.plan.grid_of(id)?;
        let nodes = below(&self.plan.expr, id);
        if nodes.iter().any(|n| self.plan.expr.broken_string(*n).is_some()) {
            return None;
        }
        let mut expr = copy(&self.plan.expr, &nodes, self.cx);
        if how == How::Picks {
            let NodeKind::Aggregate(a) = self.plan.expr.kind(id) else { return None };
            let more = Number { value: self.picks(a)?, is_duration: false };
            let NodeKind::Aggregate(copied) = expr.kind(expr.root()) else { return None };
            let parameter = expr.unwrap_parens(copied.parameter?);
            expr.nodes[parameter.0 as usize].kind = NodeKind::Number(more);
        }
        let mut selectors = nodes.iter().filter_map(|n| match self.plan.expr.kind(*n) {
            NodeKind::Selector(s) => Some((*n, s)),
            _ => None,
        });
        let single = selectors.clone().count() == 1;
        let may_match = |p: &Part| {
            let fits = |m: &model::Matcher| p.labels.get(&m.name).is_none_or(|v| m.matches(v));
            selectors.clone().any(|(_, s)| s.matchers.iter().all(fits))
        };
        let parts: Vec<usize> =
            self.parts.iter().enumerate().filter(|(_, p)| may_match(p)).map(|(i, _)| i).collect();
        let able = |i: &usize| self.parts[*i].select.capabilities().understands(crate::evaluating::DIALECT);
        if parts.is_empty() || !parts.iter().any(able) {
            return None;
        }
        let (first_ms, last_ms) = selectors.try_fold((i64::MAX, i64::MIN), |(from, to), (n, _)| {
            let (first, last) = self.reads(n)?;
            Some((from.min(first), to.max(last)))
        })?;
        let text = print(&expr, expr.root());
        Some(Push { how, expr, text, grid, parts, first_ms, last_ms, single })
    }

    /// The time a selector looks at.
    fn reads(&self, selector: NodeId) -> Option<(i64, i64)> {
        let grid = self.plan.grid_of(selector)?;
        let NodeKind::Selector(s) = self.plan.expr.kind(selector) else { return None };
        let (from, to) = ends(&s.modifiers, grid);
        let range = self.plan.range_of(selector).unwrap_or(0);
        let after = if s.extent == Extent::Smoothed { self.cx.lookback_ms } else { 0 };
        let before = range.saturating_add(self.cx.lookback_ms);
        Some((from.saturating_sub(before).saturating_add(1), to.saturating_add(after)))
    }

    fn finish(self) -> Split {
        let n = self.plan.expr.nodes.len();
        let mut out = Split {
            by_node: vec![None; n],
            hidden: vec![false; n],
            above: vec![false; n],
            pushes: self.pushes,
        };
        for (id, push) in self.chosen {
            out.by_node[id.0 as usize] = Some(push);
            out.above[id.0 as usize] = true;
            for node in below(&self.plan.expr, id).into_iter().filter(|n| *n != id) {
                out.hidden[node.0 as usize] = true;
            }
        }
        for (id, _) in self.plan.expr.nodes() {
            let any = self.plan.expr.children(id).iter().any(|c| out.above[c.0 as usize]);
            out.above[id.0 as usize] |= any;
        }
        out
    }
}

/// A node and all below it, children before parents.
fn below(expr: &Expr, id: NodeId) -> Vec<NodeId> {
    let (mut all, mut waiting) = (Vec::new(), vec![id]);
    while let Some(id) = waiting.pop() {
        all.push(id);
        waiting.extend(expr.children(id));
    }
    all.sort_unstable();
    all
}

/// These nodes as a query of their own; what the options of this node decide is written out.
fn copy(expr: &Expr, nodes: &[NodeId], cx: &Context<'_>) -> Expr {
    let mut out: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut places: Vec<NodeId> = Vec::with_capacity(nodes.len());
    for id in nodes {
        let at = |id: NodeId| {
            let place = nodes.binary_search(&id).ok().and_then(|i| places.get(i));
            place.copied().unwrap_or(NodeId(0))
        };
        let mut node = expr.node(*id).clone();
        let mut signed = false;
        match &mut node.kind {
            NodeKind::Number(n) => signed = n.value.is_sign_negative() && !n.value.is_nan(),
            NodeKind::String(_) | NodeKind::Selector(_) => {}
            NodeKind::Matrix { selector, .. } => *selector = at(*selector),
            NodeKind::Subquery(s) => {
                s.expr = at(s.expr);
                let usual = Duration::Millis(cx.options.no_step_subquery_interval_ms);
                s.step.get_or_insert(usual);
            }
            NodeKind::Paren(e) | NodeKind::Unary { expr: e, .. } => *e = at(*e),
            NodeKind::Binary(b) => (b.lhs, b.rhs) = (at(b.lhs), at(b.rhs)),
            NodeKind::Aggregate(a) => {
                a.expr = at(a.expr);
                a.parameter = a.parameter.map(at);
            }
            NodeKind::Call(c) => c.args.iter_mut().for_each(|a| *a = at(*a)),
        }
        let mut place = NodeId(out.len() as u32);
        let span = node.span.clone();
        out.push(node);
        // A number that was computed must not lend its sign to what follows it.
        if signed {
            out.push(Node { kind: NodeKind::Paren(place), span });
            place = NodeId(out.len() as u32 - 1);
        }
        places.push(place);
    }
    let root = places.last().copied().unwrap_or(NodeId(0));
    Expr { nodes: out, root, broken: Vec::new() }
}

#[cfg(test)]
mod tests;
