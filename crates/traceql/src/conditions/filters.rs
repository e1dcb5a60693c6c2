//! Conditions of a query as what a [`contract::Select`] can be asked for. Only what must hold of every span for which
//! the condition holds: whoever is asked leaves the others out.

use contract::SpanFilter;
use model::StatusCode;

use crate::{
    ast::{BinaryOp, CompareOp, FieldExpr},
    field::{Field, Intrinsic, Scope},
    value::Value,
};

/// What holds where the condition holds.
pub(super) fn of(e: &FieldExpr) -> Vec<SpanFilter> {
    match e {
        FieldExpr::Paren(inner) => of(inner),
        FieldExpr::Binary { op: BinaryOp::And, left, right } => [of(left), of(right)].concat(),
        FieldExpr::Binary { op: BinaryOp::Or, left, right } => {
            super::common([of(left), of(right)].into_iter())
        }
        _ => comparison(e).and_then(|(field, op, v)| filter(field, op, v)).into_iter().collect(),
    }
}

/// A field compared with a literal, the field to the left.
fn comparison(e: &FieldExpr) -> Option<(&Field, CompareOp, &Value<'static>)> {
    let FieldExpr::Binary { op: BinaryOp::Compare(op), left, right } = e.bare() else { return None };
    match (left.bare(), right.bare()) {
        (FieldExpr::Field(f), FieldExpr::Literal(v)) => Some((f, *op, v)),
        (FieldExpr::Literal(v), FieldExpr::Field(f)) => Some((f, op.flipped(), v)),
        _ => None,
    }
}

fn filter(field: &Field, op: CompareOp, v: &Value<'static>) -> Option<SpanFilter> {
    match (field, op, v) {
        (
            Field::Attribute { scope: Scope::Resource, parent: false, name },
            CompareOp::Equal,
            Value::Str(s),
        ) if name == "service.name" => Some(SpanFilter::Service(s.to_string())),
        (Field::Intrinsic(Intrinsic::Name), CompareOp::Equal, Value::Str(s)) => {
            Some(SpanFilter::Name(s.to_string()))
        }
        (Field::Intrinsic(Intrinsic::Kind), CompareOp::Equal, Value::Kind(k)) => Some(SpanFilter::Kind(*k)),
        (Field::Intrinsic(Intrinsic::Status), _, Value::Status(s)) => status(op, *s),
        (Field::Intrinsic(Intrinsic::Duration), _, v) => duration(op, v),
        _ => None,
    }
}

fn status(op: CompareOp, s: StatusCode) -> Option<SpanFilter> {
    match (op, s == StatusCode::Error) {
        (CompareOp::Equal, error) => Some(SpanFilter::Error(error)),
        (CompareOp::NotEqual, true) => Some(SpanFilter::Error(false)),
        _ => None,
    }
}

/// Bounds are inclusive; a fraction of a nanosecond is rounded away from the spans it excludes.
fn duration(op: CompareOp, v: &Value<'static>) -> Option<SpanFilter> {
    let ns = v.as_f64().filter(|n| n.abs() < 9e15)?;
    match op {
        CompareOp::Greater | CompareOp::GreaterEqual => Some(SpanFilter::MinDurationNs(ns.floor() as i64)),
        CompareOp::Less | CompareOp::LessEqual => Some(SpanFilter::MaxDurationNs(ns.ceil() as i64)),
        CompareOp::Equal | CompareOp::NotEqual => None,
    }
}

/// The traces named, where the condition holds of no other. Ids that are none name no trace.
pub(super) fn trace_ids(e: &FieldExpr) -> Option<Vec<[u8; 16]>> {
    match e {
        FieldExpr::Paren(inner) => trace_ids(inner),
        FieldExpr::Binary { op: BinaryOp::And, left, right } => trace_ids(left).or_else(|| trace_ids(right)),
        FieldExpr::Binary { op: BinaryOp::Or, left, right } => {
            Some([trace_ids(left)?, trace_ids(right)?].concat())
        }
        _ => match comparison(e)? {
            (Field::Intrinsic(Intrinsic::TraceId), CompareOp::Equal, Value::Str(s)) => {
                Some(trace_id(s).into_iter().collect())
            }
            _ => None,
        },
    }
}

fn trace_id(text: &str) -> Option<[u8; 16]> {
    let bare = text.trim_start_matches('0');
    if bare.len() > 32 || !bare.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&format!("0{bare}"), 16).ok().map(u128::to_be_bytes)
}
