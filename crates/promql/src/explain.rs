//! How a query was answered: the plan after its rewrites, with what each node took.

use std::time::Duration;

use eval::Grouping;

use crate::{
    ast::{At, Extent, NodeId, NodeKind, Selector},
    exec::Profile,
    fetch::Read,
    gather::Moved,
    literal::format_duration,
    plan::Plan,
};

/// The nodes that answered a query, each after the one it answers to; the first is the whole query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explain {
    pub nodes: Vec<ExplainNode>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExplainNode {
    /// Index of the node this one answers to.
    pub parent: Option<usize>,
    /// `sum by (job)`, `rate`, `selector`, …
    pub operator: String,
    /// What the operator is about: a selector's matchers, a range, a number.
    pub detail: String,
    /// Steps it was evaluated at.
    pub steps: usize,
    /// It is the same at every step and was evaluated at one.
    pub once: bool,
    /// It was done in one pass with the node above and its result never held.
    pub fused: bool,
    /// How often its result served again instead of being evaluated anew.
    pub reused: u64,
    /// Series and bytes of the result.
    pub series: u64,
    pub bytes: u64,
    /// Time with all below it; of work spread over cores the sum over all of them.
    pub time: Duration,
    /// What was read for it. Nodes that share a read show the same one.
    pub read: Option<ReadStats>,
}

/// One read of storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Which of the query's reads it is.
    pub id: usize,
    pub series: u64,
    pub samples: u64,
    pub bytes: u64,
    pub time: Duration,
    /// First and last millisecond asked for.
    pub first_ms: i64,
    pub last_ms: i64,
}

/// `moved` is, by push, what each part did.
pub(crate) fn explain(plan: &Plan, profile: &Profile, reads: &[Read], moved: &[Vec<Moved>]) -> Explain {
    let mut out = Explain::default();
    let mut waiting: Vec<(NodeId, Option<usize>)> = vec![(plan.expr.root(), None)];
    while let Some((id, parent)) = waiting.pop() {
        let id = plan.expr.unwrap_parens(id);
        let at = out.nodes.len();
        let (operator, detail) = described(plan, id);
        let measured = profile.of(id).cloned().unwrap_or_default();
        let read = plan.fetch_of(id).and_then(|fetch| {
            let (r, f) = (reads.get(fetch)?, plan.fetches.get(fetch)?);
            Some(ReadStats {
                id: fetch,
                series: r.series,
                samples: r.samples,
                bytes: r.bytes,
                time: r.time,
                first_ms: f.first_ms,
                last_ms: f.last_ms,
            })
        });
        out.nodes.push(ExplainNode {
            parent,
            operator,
            detail,
            steps: plan.grid_of(id).map_or(0, |g| g.len()),
            once: plan.repeated(id).is_some(),
            fused: measured.fused,
            reused: measured.reused,
            series: measured.series,
            bytes: measured.bytes,
            time: measured.time,
            read,
        });
        if let Some(push) = plan.pushed(id) {
            let all = moved.get(push).into_iter().flatten();
            out.nodes.extend(all.map(|m| elsewhere(plan, push, m, at, reads.len() + push)));
            continue;
        }
        let children = plan.expr.children(id);
        waiting.extend(children.into_iter().rev().map(|c| (c, Some(at))));
    }
    out
}

/// What one part did of the query. Its read is what it read; its bytes are those that came here.
fn elsewhere(plan: &Plan, push: usize, m: &Moved, parent: usize, id: usize) -> ExplainNode {
    let push = plan.split.pushes.get(push);
    let text = push.map(|p| p.text.clone()).unwrap_or_default();
    let operator = match (&m.error, m.here) {
        (Some(_), _) => format!("no answer from {}", m.part),
        (None, false) => format!("pushed to {}", m.part),
        (None, true) => format!("evaluated here for {}", m.part),
    };
    ExplainNode {
        parent: Some(parent),
        operator,
        detail: m.error.as_ref().map_or_else(|| text.clone(), |e| format!("{text}: {e}")),
        steps: push.map_or(0, |p| p.grid.len()),
        series: m.rows,
        bytes: m.bytes,
        time: m.time,
        read: Some(ReadStats {
            id,
            series: m.series_read,
            samples: m.samples_read,
            bytes: m.bytes,
            time: m.time,
            first_ms: push.map_or(0, |p| p.first_ms),
            last_ms: push.map_or(0, |p| p.last_ms),
        }),
        ..ExplainNode::default()
    }
}

fn described(plan: &Plan, id: NodeId) -> (String, String) {
    match plan.expr.kind(id) {
        NodeKind::Number(n) => ("number".to_owned(), crate::format_float(n.value)),
        NodeKind::String(s) => ("string".to_owned(), crate::literal::quote(s)),
        NodeKind::Selector(s) => ("selector".to_owned(), selector(s)),
        NodeKind::Matrix { range, .. } => ("range".to_owned(), format_duration(range.millis())),
        NodeKind::Subquery(s) => {
            let step = s.step.as_ref().map(|d| format_duration(d.millis())).unwrap_or_default();
            ("subquery".to_owned(), format!("{}:{step}", format_duration(s.range.millis())))
        }
        NodeKind::Paren(_) => ("parentheses".to_owned(), String::new()),
        NodeKind::Unary { negate, .. } => (if *negate { "-" } else { "+" }.to_owned(), String::new()),
        NodeKind::Binary(b) => {
            let detail = match &b.matching {
                Some(m) if m.on => format!("on ({})", m.labels.join(", ")),
                Some(m) if !m.labels.is_empty() => format!("ignoring ({})", m.labels.join(", ")),
                _ => String::new(),
            };
            (b.op.as_str().to_owned(), detail)
        }
        NodeKind::Aggregate(a) => (a.op.as_str().to_owned(), grouping(&a.grouping)),
        NodeKind::Call(c) => (c.function.name.to_owned(), String::new()),
    }
}

fn grouping(g: &Grouping) -> String {
    match g {
        Grouping::By(names) if names.is_empty() => String::new(),
        Grouping::By(names) => format!("by ({})", names.join(", ")),
        Grouping::Without(names) => format!("without ({})", names.join(", ")),
    }
}

fn selector(s: &Selector) -> String {
    let matchers: Vec<String> = s.matchers.iter().map(ToString::to_string).collect();
    let mut out = format!("{{{}}}", matchers.join(", "));
    if let Some(At::Time(t)) = s.modifiers.at {
        out.push_str(&format!(" @ {}", t as f64 / 1000.0));
    }
    if !s.modifiers.offset.is_zero() {
        out.push_str(&format!(" offset {}", format_duration(s.modifiers.offset.millis())));
    }
    match s.extent {
        Extent::None => {}
        Extent::Anchored => out.push_str(" anchored"),
        Extent::Smoothed => out.push_str(" smoothed"),
    }
    out
}
