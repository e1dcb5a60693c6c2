//! From a tree to what must be read: durations and `@` become numbers, every node gets the steps it is evaluated
//! at, and every selector the range of time it needs.
//!
//! All of it is known before evaluation, so reading is done first and at once, and evaluation itself is pure.

use eval::{BinaryOp, Grid};
use model::{MatchOp, Matcher, labels::METRIC_NAME};

use crate::{
    EngineOptions, Error, ParseError,
    ast::{At, Duration, DurationExpr, Expr, Extent, Modifiers, NodeId, NodeKind, Subquery},
    functions::FunctionId,
};

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
    /// The end that was asked for, which may lie behind the last step.
    pub end_ms: i64,
    /// Steps per node; `None` where there is none, as in a subquery shorter than its step.
    grids: Vec<Option<Grid>>,
    pub fetches: Vec<Fetch>,
    /// Fetch of each selector and each `info` call, by node.
    fetch_of: Vec<Option<usize>>,
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
        resolve(&mut expr, grid, cx)?;
        let n = expr.nodes.len();
        let mut plan = Plan {
            expr,
            grid,
            end_ms: cx.end_ms,
            grids: vec![Some(grid); n],
            fetches: Vec::new(),
            fetch_of: vec![None; n],
        };
        plan.spread_grids(cx)?;
        plan.collect_fetches(cx);
        if plan.fetches.len() > MAX_FETCHES {
            return Err(Error::Parameter(format!(
                "the query has {} different selectors, at most {MAX_FETCHES} are read for one",
                plan.fetches.len()
            )));
        }
        Ok(plan)
    }

    pub fn grid_of(&self, id: NodeId) -> Option<Grid> {
        self.grids[id.0 as usize]
    }

    pub fn fetch_of(&self, id: NodeId) -> Option<usize> {
        self.fetch_of[id.0 as usize]
    }

    /// Parents come after their children, so going backwards every node's own steps are known before its
    /// children's.
    fn spread_grids(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        for i in (0..self.expr.nodes.len()).rev() {
            let id = NodeId(i as u32);
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

    fn collect_fetches(&mut self, cx: &Context<'_>) {
        let functions = innermost_functions(&self.expr);
        let mut info_arguments = vec![false; self.expr.nodes.len()];
        for (_, args) in self.info_calls() {
            if let Some(arg) = args.get(1) {
                info_arguments[arg.0 as usize] = true;
            }
        }
        let mut wanted: Vec<(NodeId, Fetch)> = Vec::new();
        for (id, node) in self.expr.nodes() {
            let (NodeKind::Selector(s), Some(grid)) = (&node.kind, self.grid_of(id)) else { continue };
            if info_arguments[id.0 as usize] {
                continue;
            }
            let range = self.range_of(id);
            let (from, to) = ends(&s.modifiers, grid);
            let (before, after) = match (range, s.extent) {
                (None, Extent::Smoothed) => (cx.lookback_ms, cx.lookback_ms),
                (None, _) => (cx.lookback_ms, 0),
                (Some(r), Extent::None) => (r, 0),
                (Some(r), Extent::Anchored) => (r.saturating_add(cx.lookback_ms), 0),
                (Some(r), Extent::Smoothed) => (r.saturating_add(cx.lookback_ms), cx.lookback_ms),
            };
            let fetch = Fetch {
                matchers: s.matchers.clone(),
                first_ms: from.saturating_sub(before).saturating_add(1),
                last_ms: to.saturating_add(after),
                window_ms: range.unwrap_or(0),
                function: functions[id.0 as usize],
            };
            wanted.push((id, fetch));
        }
        for (call, args) in self.info_calls() {
            let (Some(grid), Some(base)) = (self.grid_of(call), args.first()) else { continue };
            let modifiers = self.info_modifiers(*base);
            let (from, to) = ends(&modifiers, grid);
            let data = args.get(1).map(|a| self.expr.kind(*a));
            let matchers = match data {
                Some(NodeKind::Selector(s)) => info_matchers(&s.matchers),
                _ => info_matchers(&[]),
            };
            let first_ms = from.saturating_sub(cx.lookback_ms).saturating_add(1);
            let fetch = Fetch { matchers, first_ms, last_ms: to, window_ms: 0, function: Some("info") };
            wanted.push((call, fetch));
        }
        for (id, fetch) in wanted {
            if self.fetches.len() > MAX_FETCHES {
                return;
            }
            let at = self.fetches.iter().position(|f| *f == fetch).unwrap_or_else(|| {
                self.fetches.push(fetch);
                self.fetches.len() - 1
            });
            self.fetch_of[id.0 as usize] = Some(at);
        }
    }

    fn info_calls(&self) -> impl Iterator<Item = (NodeId, &[NodeId])> {
        self.expr.nodes().filter_map(|(id, n)| match &n.kind {
            NodeKind::Call(c) if c.function.id == FunctionId::Info => Some((id, c.args.as_slice())),
            _ => None,
        })
    }

    /// The range around a selector, if it stands in a range selector.
    fn range_of(&self, id: NodeId) -> Option<i64> {
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

/// Which series `info` looks at: `target_info` unless the selector names others.
pub(crate) fn info_matchers(data: &[Matcher]) -> Vec<Matcher> {
    let mut out = data.to_vec();
    let names = || data.iter().filter(|m| m.name == METRIC_NAME);
    if !names().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex)) {
        let only_negative = names().next().is_some();
        let default = if only_negative {
            Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info").ok()
        } else {
            Some(Matcher::equal(METRIC_NAME, "target_info"))
        };
        out.extend(default);
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

fn innermost_functions(expr: &Expr) -> Vec<Option<&'static str>> {
    let mut out = vec![None; expr.nodes.len()];
    for i in (0..expr.nodes.len()).rev() {
        let id = NodeId(i as u32);
        let name = match expr.kind(id) {
            NodeKind::Call(c) => Some(c.function.name),
            NodeKind::Aggregate(a) => Some(a.op.as_str()),
            NodeKind::Matrix { .. } | NodeKind::Paren(_) | NodeKind::Subquery(_) => out[i],
            _ => None,
        };
        for child in expr.children(id) {
            out[child.0 as usize] = name;
        }
    }
    out
}

/// Replaces `@ start()`, `@ end()` and duration expressions by numbers.
fn resolve(expr: &mut Expr, grid: Grid, cx: &Context<'_>) -> Result<(), Error> {
    for node in &mut expr.nodes {
        let span = node.span.clone();
        let fix = |d: &mut Duration, signed: bool| -> Result<(), Error> {
            if let Duration::Expr(e) = d {
                *d = Duration::Millis(evaluate(e, signed, &span, grid, cx)?);
            }
            Ok(())
        };
        match &mut node.kind {
            NodeKind::Selector(s) => {
                fix(&mut s.modifiers.offset, true)?;
                pin(&mut s.modifiers, grid.start_ms, cx.end_ms);
            }
            NodeKind::Matrix { range, .. } => fix(range, false)?,
            NodeKind::Subquery(s) => {
                fix(&mut s.modifiers.offset, true)?;
                fix(&mut s.range, false)?;
                if let Some(step) = &mut s.step {
                    fix(step, false)?;
                }
                pin(&mut s.modifiers, grid.start_ms, cx.end_ms);
            }
            _ => {}
        }
    }
    Ok(())
}

fn pin(m: &mut Modifiers, start_ms: i64, end_ms: i64) {
    m.at = match m.at {
        Some(At::Start) => Some(At::Time(start_ms)),
        Some(At::End) => Some(At::Time(end_ms)),
        other => other,
    };
}

fn evaluate(
    e: &DurationExpr,
    signed: bool,
    span: &eval::Span,
    grid: Grid,
    cx: &Context<'_>,
) -> Result<i64, Error> {
    let fail = |message: &str| Err(Error::Parse(ParseError::new(cx.text, span.clone(), message)));
    let seconds = match seconds(e, grid, cx) {
        Ok(s) => s,
        Err(message) => return fail(message),
    };
    if !seconds.is_finite() {
        return fail("duration is NaN or infinite");
    }
    if seconds <= 0.0 && !signed {
        return fail("duration must be greater than 0");
    }
    let ms = seconds * 1000.0;
    if ms.abs() > crate::literal::MAX_DURATION_MS as f64 {
        return fail("duration is out of range");
    }
    Ok(ms as i64)
}

fn seconds(e: &DurationExpr, grid: Grid, cx: &Context<'_>) -> Result<f64, &'static str> {
    let both = |a: &DurationExpr, b: &DurationExpr| {
        Ok::<_, &'static str>((seconds(a, grid, cx)?, seconds(b, grid, cx)?))
    };
    Ok(match e {
        DurationExpr::Number(n) => n.value,
        DurationExpr::Step => cx.step_ms as f64 / 1000.0,
        DurationExpr::Range => (cx.end_ms - grid.start_ms) as f64 / 1000.0,
        DurationExpr::Negate(e) => -seconds(e, grid, cx)?,
        DurationExpr::Paren(e) => seconds(e, grid, cx)?,
        DurationExpr::MinOf(a, b) => both(a, b).map(|(a, b)| a.min(b))?,
        DurationExpr::MaxOf(a, b) => both(a, b).map(|(a, b)| a.max(b))?,
        DurationExpr::Binary(op, a, b) => {
            let (a, b) = both(a, b)?;
            match op {
                BinaryOp::Div if b == 0.0 => return Err("division by zero"),
                BinaryOp::Mod if b == 0.0 => return Err("modulo by zero"),
                op => eval::scalar_op(*op, a, b),
            }
        }
    })
}
