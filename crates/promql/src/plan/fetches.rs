//! Last rewrite: what is to be read, each series as seldom as possible.

use model::{MatchOp, Matcher, labels::METRIC_NAME};

use super::{Context, Fetch, MAX_FETCHES, Plan, ends};
use crate::ast::{Expr, Extent, NodeId, NodeKind};

impl Fetch {
    /// Whether reading both at once reads little more than reading each.
    fn near(&self, other: &Fetch) -> bool {
        let width = |f: &Fetch| f.last_ms.saturating_sub(f.first_ms);
        let first = self.first_ms.min(other.first_ms);
        let all = self.last_ms.max(other.last_ms).saturating_sub(first);
        all <= width(self).saturating_add(width(other)).saturating_mul(5) / 4
    }

    fn extend(&mut self, other: &Fetch) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.window_ms = self.window_ms.max(other.window_ms);
        if self.function != other.function {
            self.function = None;
        }
    }
}

impl Plan {
    pub(super) fn collect_fetches(&mut self, cx: &Context<'_>) {
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
            if info_arguments[id.0 as usize] || self.split.is_hidden(id) {
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
        self.merge(wanted);
    }

    /// Equal reads are done once. Reads of the same series over times that overlap, or nearly so, become one over
    /// all of it: reading a little more costs less than reading the rest twice. What a selector does not look at
    /// it does not see either.
    fn merge(&mut self, mut wanted: Vec<(NodeId, Fetch)>) {
        wanted.sort_by_key(|(_, f)| f.first_ms);
        for (id, fetch) in wanted {
            if self.fetches.len() > MAX_FETCHES {
                return;
            }
            let fits = self.fetches.iter().position(|f| f.matchers == fetch.matchers && f.near(&fetch));
            let at = match fits {
                Some(at) => {
                    self.fetches[at].extend(&fetch);
                    at
                }
                None => {
                    self.fetches.push(fetch);
                    self.fetches.len() - 1
                }
            };
            self.fetch_of[id.0 as usize] = Some(at);
        }
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
