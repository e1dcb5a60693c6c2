//! A query's syntax tree as `parse_query` answers it (`web/api/v1/translate_ast.go` defines the shape).

use std::collections::HashMap;

use eval::{BinaryOp, Cardinality, Grouping, Matching};
use model::Matcher;
use promql::{
    Expr, NodeId, NodeKind,
    ast::{
        Aggregate, At, Binary, Call, Duration, DurationExpr, Extent, Modifiers, Selector, Subquery, ValueType,
    },
};
use serde_json::{Value, json};

use super::json::format_value;
use crate::Error;

/// A JSON tree is written and dropped by recursion, so its depth is bounded by its size.
const MAX_NODES: usize = 5_000;

/// `text` is what `expr` was parsed from. Children come before parents, so each node finds its children done.
pub fn to_json(expr: &Expr, text: &str) -> Result<Value, Error> {
    if expr.nodes().count() > MAX_NODES {
        return Err(Error::invalid(format!(
            "the query has more than {MAX_NODES} nodes, too many to show as a tree"
        )));
    }
    let mut done = Done(HashMap::new());
    let written = |id: NodeId| text.get(expr.span(id).clone()).unwrap_or_default();
    for (id, node) in expr.nodes() {
        let value = match &node.kind {
            NodeKind::Number(n) => json!({"type": "numberLiteral", "val": format_value(n.value)}),
            NodeKind::String(s) => json!({"type": "stringLiteral", "val": s}),
            NodeKind::Selector(s) => selector("vectorSelector", s, None, written(id)),
            NodeKind::Matrix { selector: of, range } => match expr.kind(*of) {
                NodeKind::Selector(s) => selector("matrixSelector", s, Some(range), written(*of)),
                _ => Value::Null,
            },
            NodeKind::Subquery(s) => subquery(s, &mut done),
            NodeKind::Paren(e) => json!({"type": "parenExpr", "expr": done.take(*e)}),
            NodeKind::Unary { negate, expr: e } => {
                json!({"type": "unaryExpr", "op": if *negate { "-" } else { "+" }, "expr": done.take(*e)})
            }
            NodeKind::Binary(b) => binary(b, &mut done),
            NodeKind::Aggregate(a) => aggregate(a, &mut done),
            NodeKind::Call(c) => call(c, &mut done),
        };
        done.0.insert(id, value);
    }
    Ok(done.take(expr.root()))
}

struct Done(HashMap<NodeId, Value>);

impl Done {
    fn take(&mut self, id: NodeId) -> Value {
        self.0.remove(&id).unwrap_or(Value::Null)
    }
}

fn selector(kind: &str, s: &Selector, range: Option<&Duration>, text: &str) -> Value {
    let matchers = in_order(s, text);
    let matchers: Vec<Value> =
        matchers.iter().map(|m| json!({"name": m.name, "value": m.value, "type": m.op.as_str()})).collect();
    let mut out = json!({
        "type": kind,
        "name": s.name.clone().unwrap_or_default(),
        "matchers": matchers,
        "anchored": s.extent == Extent::Anchored,
        "smoothed": s.extent == Extent::Smoothed,
    });
    if let Some(range) = range {
        out["range"] = range.millis().into();
        out["rangeExpr"] = duration_expr(range);
    }
    modify(&mut out, &s.modifiers);
    out
}

/// Matchers as they were written, the name that stands before the braces last. The tree holds them in the order
/// of the canonical text.
fn in_order<'a>(s: &'a Selector, text: &str) -> Vec<&'a Matcher> {
    let mut left: Vec<&Matcher> = s.matchers.iter().collect();
    let mut out = Vec::with_capacity(left.len());
    for piece in pieces(text) {
        // A lone name is a selector that must not be empty, so it gets company.
        let Ok(one) = promql::parse_selector(&format!("{{{piece},_=\"_\"}}")) else { continue };
        let found = left.iter().position(|m| one.matchers.contains(m));
        out.extend(found.map(|at| left.remove(at)));
    }
    out.append(&mut left);
    out
}

/// What stands between the commas of the first braces.
fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut quote, mut escaped, mut from) = (None, false, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') if from.is_none() => from = Some(at + 1),
            (None, ',' | '}') => {
                let piece = from.and_then(|f| text.get(f..at)).map(str::trim).filter(|p| !p.is_empty());
                out.extend(piece);
                from = from.map(|_| at + 1);
                if c == '}' {
                    return out;
                }
            }
            _ => {}
        }
    }
    out
}

/// `null` for a plain duration, which stands beside it in milliseconds.
fn duration_expr(d: &Duration) -> Value {
    match d {
        Duration::Millis(_) => Value::Null,
        Duration::Expr(e) => duration_tree(e),
    }
}

/// The parser bounds how deep these go.
fn duration_tree(e: &DurationExpr) -> Value {
    let node = |op: &str, lhs: Value, rhs: Value| json!({"type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": false});
    match e {
        DurationExpr::Number(n) => {
            json!({"type": "numberLiteral", "val": format_value(n.value), "duration": n.is_duration})
        }
        DurationExpr::Step => node("step", Value::Null, Value::Null),
        DurationExpr::Range => node("range", Value::Null, Value::Null),
        DurationExpr::Negate(e) => node("-", Value::Null, duration_tree(e)),
        DurationExpr::Paren(e) => {
            let mut inner = duration_tree(e);
            if inner.get("wrapped").is_some() {
                inner["wrapped"] = true.into();
            }
            inner
        }
        DurationExpr::MinOf(a, b) => node("min_of", duration_tree(a), duration_tree(b)),
        DurationExpr::MaxOf(a, b) => node("max_of", duration_tree(a), duration_tree(b)),
        DurationExpr::Binary(op, a, b) => node(op.as_str(), duration_tree(a), duration_tree(b)),
    }
}

fn modify(out: &mut Value, m: &Modifiers) {
    out["offset"] = m.offset.millis().into();
    out["offsetExpr"] = duration_expr(&m.offset);
    out["timestamp"] = match m.at {
        Some(At::Time(ms)) => ms.into(),
        _ => Value::Null,
    };
    out["startOrEnd"] = match m.at {
        Some(At::Start) => "start".into(),
        Some(At::End) => "end".into(),
        _ => Value::Null,
    };
}

fn subquery(s: &Subquery, done: &mut Done) -> Value {
    let step = s.step.as_ref().map_or(0, |d| d.millis());
    let mut out = json!({
        "type": "subquery",
        "expr": done.take(s.expr),
        "range": s.range.millis(),
        "rangeExpr": duration_expr(&s.range),
        "step": step,
        "stepExpr": s.step.as_ref().map_or(Value::Null, duration_expr),
    });
    modify(&mut out, &s.modifiers);
    out
}

fn binary(b: &Binary, done: &mut Done) -> Value {
    json!({
        "type": "binaryExpr",
        "op": b.op.as_str(),
        "lhs": done.take(b.lhs),
        "rhs": done.take(b.rhs),
        "matching": b.matching.as_ref().map(|m| matching(b.op, m)),
        "bool": b.return_bool,
    })
}

fn matching(op: BinaryOp, m: &Matching) -> Value {
    let is_set = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless);
    let card = match m.cardinality {
        _ if is_set => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card, "labels": m.labels, "on": m.on, "include": m.include,
        "fillValues": {"lhs": m.fill_left, "rhs": m.fill_right},
    })
}

fn aggregate(a: &Aggregate, done: &mut Done) -> Value {
    let (without, grouping) = match &a.grouping {
        Grouping::By(names) => (false, names),
        Grouping::Without(names) => (true, names),
    };
    json!({
        "type": "aggregation",
        "op": a.op.as_str(),
        "expr": done.take(a.expr),
        "param": a.parameter.map(|p| done.take(p)),
        "grouping": grouping,
        "without": without,
    })
}

fn call(c: &Call, done: &mut Done) -> Value {
    let f = c.function;
    let types: Vec<&str> = f.args.iter().map(|t| type_name(*t)).collect();
    json!({
        "type": "call",
        "func": {"name": f.name, "argTypes": types, "variadic": f.variadic, "returnType": type_name(f.returns)},
        "args": c.args.iter().map(|a| done.take(*a)).collect::<Vec<_>>(),
    })
}

fn type_name(t: ValueType) -> &'static str {
    match t {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        let options =
            promql::ParserOptions { experimental: promql::Experimental::all(), ..Default::default() };
        to_json(&promql::parse(text, &options).unwrap(), text).unwrap()
    }

    #[test]
    fn matchers_stand_as_they_were_written_and_the_name_last() {
        let names = |v: &Value| -> Vec<String> {
            let list = v["matchers"].as_array().unwrap();
            list.iter()
                .map(|m| format!("{}{}{}", m["name"], m["type"], m["value"]).replace('"', ""))
                .collect()
        };
        let v = parsed(r#"up{job="x", a!~"1,}", a=~"2.*"}"#);
        assert_eq!(names(&v), ["job=x", "a!~1,}", "a=~2.*", "__name__=up"]);
        let v = parsed(r#"{"my.metric", b='\'', a=`"`}"#);
        assert_eq!(names(&v), ["__name__=my.metric", "b='", "a=\\"]);
        assert_eq!(v["name"], "");
        assert_eq!(names(&parsed("up offset 5m")), ["__name__=up"]);
    }

    #[test]
    fn durations_that_are_computed_have_a_tree_of_their_own() {
        let v = parsed("up[step() + 5m] anchored offset -(2 * range())");
        assert_eq!((&v["type"], &v["anchored"]), (&json!("matrixSelector"), &json!(true)));
        assert_eq!(
            v["rangeExpr"],
            json!({"type": "durationExpr", "op": "+", "wrapped": false,
                "lhs": {"type": "durationExpr", "op": "step", "lhs": null, "rhs": null, "wrapped": false},
                "rhs": {"type": "numberLiteral", "val": "300", "duration": true}})
        );
        assert_eq!(v["offsetExpr"]["op"], "-");
        assert_eq!(v["offsetExpr"]["rhs"]["wrapped"], true);
        assert_eq!(parsed("up[5m]")["rangeExpr"], Value::Null);
    }
}
