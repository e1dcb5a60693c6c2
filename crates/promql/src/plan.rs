//! From a tree to what must be read: durations and `@` become numbers, every node gets the steps it is evaluated
//! at, and every selector the range of time it needs.
//!
//! All of it is known before evaluation, so reading is done first and at once, and evaluation itself is pure.
//! On the way the plan is rewritten, each time by a file of its own:
//!
//! ```text
//! resolve   durations and `@` become numbers
//! fold      what is known before evaluation becomes a number
//! hoist     what is the same at every step is evaluated at one
//! share     equal parts are evaluated once
//! fetches   equal and overlapping reads become one
//! split     what parts can compute is left to them
//! ```

mod fetches;
mod fold;
mod hoist;
mod resolve;
mod share;

pub(crate) use fetches::info_matchers;

use contract::Part;
use eval::Grid;
use model::Matcher;

use crate::{
    EngineOptions, Error, ValueType,
    ast::{At, Duration, Expr, Modifiers, NodeId, NodeKind, Subquery},
    functions::FunctionId,
    split::{Split, split},
};
use share::Shared;

/// What is to be read for one selector; equal ones are read once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fetch {
    pub matchers: Vec<Matcher>,
    /// First and last millisecond, both included.
    pub first_ms: i64,
    pub last_ms: i64,
    /// Width of the range selector, 0 for an instant selector.
    pub window_ms: i64,
    /// Innermost function around the selector.
    pub function: Option<&'static str>,
}

/// Different selectors one query may have. Each is a read of its own; a query built to have more costs more in
/// looking for equal ones than in anything else.
const MAX_FETCHES: usize = 1_000;

pub(crate) struct Plan {
    pub expr: Expr,
    /// The whole query's steps.
    pub grid: Grid,
    /// Steps per node; `None` where there is none, as in a subquery shorter than its step.
    grids: Vec<Option<Grid>>,
    pub fetches: Vec<Fetch>,
    /// Fetch of each selector and each `info` call, by node.
    fetch_of: Vec<Option<usize>>,
    types: Vec<ValueType>,
    /// By node: the steps its result is repeated to, if it is evaluated at one step.
    repeated: Vec<Option<Grid>>,
    shared: Shared,
    /// What is evaluated elsewhere.
    pub split: Split,
}

/// What a plan depends on beside the tree.
pub(crate) struct Context<'a> {
    pub text: &'a str,
    pub options: &'a EngineOptions,
    pub lookback_ms: i64,
    /// Most steps a subquery may have.
    pub max_steps: u64,
    /// Step as `step()` sees it, in milliseconds; zero for an instant query.
    pub step_ms: i64,
    /// The end that was asked for, which may lie behind the last step.
    pub end_ms: i64,
}

impl Plan {
    pub fn new(mut expr: Expr, grid: Grid, cx: &Context<'_>) -> Result<Plan, Error> {
        resolve::resolve(&mut expr, grid, cx)?;
        fold::fold(&mut expr, grid, cx);
        let n = expr.nodes.len();
        let mut plan = Plan {
            expr,
            grid,
            grids: vec![Some(grid); n],
            fetches: Vec::new(),
            fetch_of: vec![None; n],
            types: Vec::new(),
            repeated: vec![None; n],
            shared: Shared::default(),
            split: Split::default(),
        };
        plan.types = types(&plan.expr);
        let steady = hoist::steady(&plan.expr);
        plan.spread_grids(&steady, cx)?;
        plan.shared = share::share(&plan);
        plan.collect_fetches(cx);
        if plan.fetches.len() > MAX_FETCHES {
            return Err(Error::Parameter(format!(
                "the query has {} different selectors, at most {MAX_FETCHES} are read for one",
                plan.fetches.len()
            )));
        }
        Ok(plan)
    }

    /// Leaves to the parts what they can compute by themselves; that is not read here any more.
    /// `in_pieces` says that the outermost aggregation is wanted in pieces.
    pub fn divide(&mut self, parts: &[Part], in_pieces: bool, cx: &Context<'_>) {
        self.split = split(self, parts, in_pieces, cx);
        if !self.split.pushes.is_empty() {
            self.fetches.clear();
            self.fetch_of.fill(None);
            self.collect_fetches(cx);
        }
    }

    /// What is pushed at a node, by index.
    pub fn pushed(&self, id: NodeId) -> Option<usize> {
        self.split.at(id)
    }

    pub fn grid_of(&self, id: NodeId) -> Option<Grid> {
        self.grids[id.0 as usize]
    }

    pub fn fetch_of(&self, id: NodeId) -> Option<usize> {
        self.fetch_of[id.0 as usize]
    }

    /// The steps to which the result of a node is repeated, where it is evaluated at one step only.
    pub fn repeated(&self, id: NodeId) -> Option<usize> {
        self.repeated[id.0 as usize].map(|g| g.len())
    }

    /// The steps at which the result of a node stands, whether it is evaluated at all of them or at one.
    pub fn result_grid(&self, id: NodeId) -> Option<Grid> {
        self.repeated[id.0 as usize].or(self.grids[id.0 as usize])
    }

    pub fn type_of(&self, id: NodeId) -> ValueType {
        self.types[id.0 as usize]
    }

    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Parents come after their children, so going backwards every node's own steps are known before its
    /// children's.
    fn spread_grids(&mut self, steady: &[bool], cx: &Context<'_>) -> Result<(), Error> {
        for i in (0..self.expr.nodes.len()).rev() {
            let id = NodeId(i as u32);
            if let Some(all) = self.grids[i]
                && all.len() > 1
                && steady[i]
                && hoist::is_worth_it(self.expr.kind(id))
            {
                self.grids[i] = Some(Grid::instant(all.start_ms));
                self.repeated[i] = Some(all);
            }
            let outer = self.grids[i];
            let inner = match (self.expr.kind(id), outer) {
                (NodeKind::Subquery(s), Some(outer)) => subquery_grid(s, outer, cx)?,
                (_, outer) => outer,
            };
            for child in self.expr.children(id) {
                self.grids[child.0 as usize] = inner;
            }
        }
        Ok(())
    }

    fn info_calls(&self) -> impl Iterator<Item = (NodeId, &[NodeId])> {
        self.expr.nodes().filter_map(|(id, n)| match &n.kind {
            NodeKind::Call(c) if c.function.id == FunctionId::Info => Some((id, c.args.as_slice())),
            _ => None,
        })
    }

    /// The range around a selector, if it stands in a range selector.
    pub(crate) fn range_of(&self, id: NodeId) -> Option<i64> {
        // A range selector is made right after its selector.
        match self.expr.nodes.get(id.0 as usize + 1).map(|n| &n.kind) {
            Some(NodeKind::Matrix { selector, range }) if *selector == id => Some(range.millis()),
            _ => None,
        }
    }

    /// `@` and offset that decide at which time info series are looked at: those of the first selector below,
    /// with the offsets of subqueries around it until one is pinned.
    pub fn info_modifiers(&self, base: NodeId) -> Modifiers {
        let mut path = vec![base];
        let mut id = base;
        while let Some(next) = self.expr.children(id).first().copied() {
            path.push(next);
            id = next;
        }
        let (mut offset, mut at) = (0i64, None);
        for id in path.iter().rev() {
            let m = match self.expr.kind(*id) {
                NodeKind::Selector(s) => &s.modifiers,
                NodeKind::Subquery(s) => &s.modifiers,
                _ => continue,
            };
            if at.is_none() {
                offset = offset.saturating_add(m.offset.millis());
                at = m.at;
            }
        }
        Modifiers { offset: Duration::Millis(offset), at }
    }
}

/// The type of every node. [`Expr::type_of`] walks down for each, which is long for long chains.
fn types(expr: &Expr) -> Vec<ValueType> {
    let mut out: Vec<ValueType> = Vec::with_capacity(expr.nodes.len());
    for (id, node) in expr.nodes() {
        out.push(match &node.kind {
            NodeKind::Paren(e) | NodeKind::Unary { expr: e, .. } => out[e.0 as usize],
            NodeKind::Binary(b) => {
                let scalars = [b.lhs, b.rhs].iter().all(|c| out[c.0 as usize] == ValueType::Scalar);
                if scalars { ValueType::Scalar } else { ValueType::Vector }
            }
            _ => expr.type_of(id),
        });
    }
    out
}

/// First and last instant a selector looks at, after `@` and offset.
pub(crate) fn ends(m: &Modifiers, grid: Grid) -> (i64, i64) {
    let offset = m.offset.millis();
    let (from, to) = match m.at {
        Some(At::Time(t)) => (t, t),
        _ => (grid.start_ms, grid.last_ms()),
    };
    (from.saturating_sub(offset), to.saturating_sub(offset))
}

/// The instant a selector looks at for one step.
pub(crate) fn reference(m: &Modifiers, step_ms: i64) -> i64 {
    let base = match m.at {
        Some(At::Time(t)) => t,
        _ => step_ms,
    };
    base.saturating_sub(m.offset.millis())
}

/// Inner steps stand at multiples of the step, whatever the outer ones are.
fn subquery_grid(s: &Subquery, outer: Grid, cx: &Context<'_>) -> Result<Option<Grid>, Error> {
    let step = s.step.as_ref().map_or(cx.options.no_step_subquery_interval_ms, Duration::millis).max(1);
    let (from, to) = ends(&s.modifiers, outer);
    let begin = from.saturating_sub(s.range.millis());
    let start = begin.div_euclid(step).saturating_add(1).saturating_mul(step);
    let Some(grid) = Grid::range(start, to, step) else { return Ok(None) };
    if grid.len() as u64 > cx.max_steps {
        return Err(Error::Limit(
            format!("a subquery of {} steps exceeds query.max_samples of {}", grid.len(), cx.max_steps),
            "query.max_samples",
        ));
    }
    Ok(Some(grid))
}
