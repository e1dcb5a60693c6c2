//! A query's syntax tree as `parse_query` answers it (`web/api/v1/translate_ast.go` defines the shape).

use std::collections::HashMap;

use eval::{BinaryOp, Cardinality, Grouping, Matching};
use promql::{
    Expr, NodeId, NodeKind,
    ast::{Aggregate, At, Binary, Call, Modifiers, Selector, Subquery, ValueType},
};
use serde_json::{Value, json};

use super::json::format_value;
use crate::Error;

/// A JSON tree is written and dropped by recursion, so its depth is bounded by its size.
const MAX_NODES: usize = 5_000;

/// Children before parents, so each node finds its children done.
pub fn to_json(expr: &Expr) -> Result<Value, Error> {
    if expr.nodes().count() > MAX_NODES {
        return Err(Error::invalid(format!(
            "the query has more than {MAX_NODES} nodes, too many to show as a tree"
        )));
    }
    let mut done = Done(HashMap::new());
    for (id, node) in expr.nodes() {
        let value = match &node.kind {
            NodeKind::Number(n) => json!({"type": "numberLiteral", "val": format_value(n.value)}),
            NodeKind::String(s) => json!({"type": "stringLiteral", "val": s}),
            NodeKind::Selector(s) => selector("vectorSelector", s, None),
            NodeKind::Matrix { selector: of, range } => match expr.kind(*of) {
                NodeKind::Selector(s) => selector("matrixSelector", s, Some(range.millis())),
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

fn selector(kind: &str, s: &Selector, range_ms: Option<i64>) -> Value {
    let matchers: Vec<Value> =
        s.matchers.iter().map(|m| json!({"name": m.name, "value": m.value, "type": m.op.as_str()})).collect();
    let mut out = json!({"type": kind, "name": s.name.clone().unwrap_or_default(), "matchers": matchers});
    if let Some(ms) = range_ms {
        out["range"] = ms.into();
    }
    modify(&mut out, &s.modifiers);
    out
}

fn modify(out: &mut Value, m: &Modifiers) {
    out["offset"] = m.offset.millis().into();
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
        "type": "subquery", "expr": done.take(s.expr), "range": s.range.millis(), "step": step,
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
