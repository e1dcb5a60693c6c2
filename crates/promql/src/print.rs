//! Trees to canonical text, on one line ([`print`]) or broken where a line would grow too long ([`pretty`]).

use eval::{Cardinality, Grouping, Matching};
use model::{Matcher, labels};

use crate::{
    ast::{
        At, Duration, DurationExpr, Expr, Extent, Modifiers, NodeId, NodeKind, Number, Selector, Subquery,
    },
    format_float,
    literal::{format_duration, quote},
};

/// Text still to be written, last first.
enum Piece {
    Node(NodeId),
    Text(String),
}

/// The canonical text of a node. A loop with a stack of its own, since chains may be long.
pub(crate) fn print(expr: &Expr, id: NodeId) -> String {
    let mut out = String::new();
    let mut stack = vec![Piece::Node(id)];
    while let Some(piece) = stack.pop() {
        match piece {
            Piece::Text(t) => out.push_str(&t),
            Piece::Node(id) => {
                let mut pieces = pieces(expr, id);
                pieces.reverse();
                stack.extend(pieces);
            }
        }
    }
    out
}

fn pieces(expr: &Expr, id: NodeId) -> Vec<Piece> {
    let text = |s: &str| Piece::Text(s.to_owned());
    match expr.kind(id) {
        NodeKind::Number(n) => vec![Piece::Text(number(n))],
        NodeKind::String(s) => vec![Piece::Text(quote(s))],
        NodeKind::Selector(s) => vec![Piece::Text(format!("{}{}", selector(s), selector_suffix(s)))],
        NodeKind::Matrix { selector: inner, range } => {
            let NodeKind::Selector(s) = expr.kind(*inner) else { return Vec::new() };
            vec![Piece::Text(format!("{}[{}]{}", selector(s), duration(range), selector_suffix(s)))]
        }
        NodeKind::Subquery(s) => vec![Piece::Node(s.expr), Piece::Text(subquery_suffix(s))],
        NodeKind::Paren(e) => vec![text("("), Piece::Node(*e), text(")")],
        NodeKind::Unary { negate, expr } => {
            vec![text(if *negate { "-" } else { "+" }), Piece::Node(*expr)]
        }
        NodeKind::Binary(b) => {
            vec![Piece::Node(b.lhs), Piece::Text(format!(" {} ", operator(expr, id))), Piece::Node(b.rhs)]
        }
        NodeKind::Aggregate(a) => {
            let mut v = vec![Piece::Text(format!("{}(", aggregate_head(expr, id)))];
            if let Some(p) = a.parameter {
                v.extend([Piece::Node(p), text(", ")]);
            }
            v.extend([Piece::Node(a.expr), text(")")]);
            v
        }
        NodeKind::Call(c) => {
            let mut v = vec![Piece::Text(format!("{}(", c.function.name))];
            for (i, a) in c.args.iter().enumerate() {
                if i > 0 {
                    v.push(text(", "));
                }
                v.push(Piece::Node(*a));
            }
            v.push(text(")"));
            v
        }
    }
}

fn number(n: &Number) -> String {
    if n.is_duration { format_duration((n.value * 1000.0).round() as i64) } else { format_float(n.value) }
}

/// A matcher that parses back.
pub(crate) fn matcher(m: &Matcher) -> String {
    let name = if labels::is_classic_label_name(&m.name) { m.name.clone() } else { quote(&m.name) };
    format!("{name}{}{}", m.op.as_str(), quote(&m.value))
}

/// Without modifiers.
fn selector(s: &Selector) -> String {
    let shown: Vec<String> = s
        .matchers
        .iter()
        .filter(|m| s.name.is_none() || m.name != labels::METRIC_NAME)
        .map(matcher)
        .collect();
    match &s.name {
        Some(n) if shown.is_empty() => n.clone(),
        n => format!("{}{{{}}}", n.as_deref().unwrap_or_default(), shown.join(",")),
    }
}

fn selector_suffix(s: &Selector) -> String {
    let extent = match s.extent {
        Extent::None => "",
        Extent::Anchored => " anchored",
        Extent::Smoothed => " smoothed",
    };
    format!("{extent}{}", modifiers(&s.modifiers))
}

fn modifiers(m: &Modifiers) -> String {
    let mut out = match m.at {
        None => String::new(),
        Some(At::Time(ms)) => {
            let sign = if ms < 0 { "-" } else { "" };
            format!(" @ {sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
        }
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
    };
    if !m.offset.is_zero() {
        out.push_str(&format!(" offset {}", duration(&m.offset)));
    }
    out
}

fn subquery_suffix(s: &Subquery) -> String {
    let step = s.step.as_ref().map(duration).unwrap_or_default();
    format!("[{}:{step}]{}", duration(&s.range), modifiers(&s.modifiers))
}

fn duration(d: &Duration) -> String {
    match d {
        Duration::Millis(ms) => format_duration(*ms),
        Duration::Expr(e) => duration_expr(e),
    }
}

fn duration_expr(e: &DurationExpr) -> String {
    match e {
        DurationExpr::Number(n) => number(n),
        DurationExpr::Step => "step()".to_owned(),
        DurationExpr::Range => "range()".to_owned(),
        DurationExpr::Negate(e) => format!("-{}", duration_expr(e)),
        DurationExpr::Paren(e) => format!("({})", duration_expr(e)),
        DurationExpr::MinOf(a, b) => format!("min_of({}, {})", duration_expr(a), duration_expr(b)),
        DurationExpr::MaxOf(a, b) => format!("max_of({}, {})", duration_expr(a), duration_expr(b)),
        DurationExpr::Binary(op, a, b) => {
            format!("{} {} {}", duration_expr(a), op.as_str(), duration_expr(b))
        }
    }
}

fn label_list(names: &[String]) -> String {
    let names: Vec<String> =
        names.iter().map(|n| if labels::is_classic_label_name(n) { n.clone() } else { quote(n) }).collect();
    names.join(", ")
}

fn aggregate_head(expr: &Expr, id: NodeId) -> String {
    let NodeKind::Aggregate(a) = expr.kind(id) else { return String::new() };
    match &a.grouping {
        Grouping::By(names) if names.is_empty() => a.op.as_str().to_owned(),
        Grouping::By(names) => format!("{} by ({}) ", a.op.as_str(), label_list(names)),
        Grouping::Without(names) => format!("{} without ({}) ", a.op.as_str(), label_list(names)),
    }
}

/// The operator with its modifiers.
fn operator(expr: &Expr, id: NodeId) -> String {
    let NodeKind::Binary(b) = expr.kind(id) else { return String::new() };
    let mut out = b.op.as_str().to_owned();
    if b.return_bool {
        out.push_str(" bool");
    }
    if let Some(m) = &b.matching {
        out.push_str(&matching(m));
    }
    out
}

fn matching(m: &Matching) -> String {
    let grouped = matches!(m.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
    let mut out = String::new();
    if m.on || !m.labels.is_empty() || grouped {
        let word = if m.on { "on" } else { "ignoring" };
        out.push_str(&format!(" {word} ({})", label_list(&m.labels)));
    }
    if grouped {
        let side = if m.cardinality == Cardinality::ManyToOne { "left" } else { "right" };
        out.push_str(&format!(" group_{side} ({})", label_list(&m.include)));
    }
    match (m.fill_left, m.fill_right) {
        (Some(l), Some(r)) if l == r => out.push_str(&format!(" fill ({})", format_float(l))),
        (l, r) => {
            if let Some(l) = l {
                out.push_str(&format!(" fill_left ({})", format_float(l)));
            }
            if let Some(r) = r {
                out.push_str(&format!(" fill_right ({})", format_float(r)));
            }
        }
    }
    out
}

/// Lines longer than this are broken, as Prometheus does.
const MAX_LINE: usize = 100;

/// Nodes more than this are printed on one line: breaking looks at every node's own text, and a query of this
/// length is not read by people.
const MAX_PRETTY_NODES: usize = 1_000;

impl Expr {
    /// The canonical text broken into lines of at most 100 characters where the grammar allows, two blanks per
    /// level. What `/api/v1/format_query` answers.
    pub fn pretty(&self) -> String {
        if self.nodes.len() > MAX_PRETTY_NODES { self.to_string() } else { pretty(self, self.root, 0) }
    }
}

fn pretty(e: &Expr, id: NodeId, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = print(e, id);
    if line.len() <= MAX_LINE {
        return format!("{indent}{line}");
    }
    match e.kind(id) {
        NodeKind::Aggregate(a) => {
            let parameter =
                a.parameter.map(|p| format!("{},\n", pretty(e, p, level + 1))).unwrap_or_default();
            let inner = pretty(e, a.expr, level + 1);
            format!("{indent}{}(\n{parameter}{inner}\n{indent})", aggregate_head(e, id))
        }
        NodeKind::Binary(b) => {
            let (l, r) = (pretty(e, b.lhs, level + 1), pretty(e, b.rhs, level + 1));
            format!("{l}\n{indent}{}\n{r}", operator(e, id))
        }
        NodeKind::Call(c) => {
            let args: Vec<String> = c.args.iter().map(|a| pretty(e, *a, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", c.function.name, args.join(",\n"))
        }
        NodeKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", pretty(e, *inner, level + 1)),
        NodeKind::Unary { negate, expr } => {
            let inner = pretty(e, *expr, level);
            format!("{indent}{}{}", if *negate { "-" } else { "+" }, inner.trim_start())
        }
        NodeKind::Subquery(s) => format!("{}{}", pretty(e, s.expr, level), subquery_suffix(s)),
        _ => format!("{indent}{line}"),
    }
}

#[cfg(test)]
mod tests;
