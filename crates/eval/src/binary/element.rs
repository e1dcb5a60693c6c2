//! One value with one value.

use model::histogram::ResetHint;

use super::{BinaryOp, owned, scalar_op};
use crate::{
    Cell, Env, Value,
    histogram::{self, HistogramSum},
};

/// What came out: nothing where the types do not go together.
pub(super) struct Element {
    pub value: Option<Value>,
    /// Whether a comparison holds; true for arithmetic.
    pub keep: bool,
}

const NOTHING: Element = Element { value: None, keep: false };

pub(super) fn element(op: BinaryOp, a: Cell<'_>, b: Cell<'_>, env: &mut Env<'_>) -> Element {
    use BinaryOp::*;
    let computed = |v: Value| Element { value: Some(v), keep: true };
    match (a, b) {
        (Cell::Float(_), Cell::Float(_)) if matches!(op, TrimLower | TrimUpper) => mismatch(op, a, b, env),
        (Cell::Float(x), Cell::Float(y)) if op.is_comparison() => {
            Element { value: Some(Value::Float(x)), keep: scalar_op(op, x, y) == 1.0 }
        }
        (Cell::Float(x), Cell::Float(y)) => computed(Value::Float(scalar_op(op, x, y))),
        (Cell::Float(x), Cell::Histogram(h)) if op == Mul => computed(histogram::multiply(h, x).into()),
        (Cell::Histogram(h), Cell::Float(x)) => match op {
            Mul => computed(histogram::multiply(h, x).into()),
            Div => computed(histogram::divide(h, x).into()),
            TrimUpper => computed(histogram::trim(h, x, true).into()),
            TrimLower => computed(histogram::trim(h, x, false).into()),
            _ => mismatch(op, a, b, env),
        },
        (Cell::Histogram(x), Cell::Histogram(y)) => match op {
            Equal => Element { value: Some(owned(a)), keep: histogram::same(x, y) },
            NotEqual => Element { value: Some(owned(a)), keep: !histogram::same(x, y) },
            Add | Sub => combine(op, a, b, env),
            _ => mismatch(op, a, b, env),
        },
        _ => mismatch(op, a, b, env),
    }
}

fn combine(op: BinaryOp, a: Cell<'_>, b: Cell<'_>, env: &mut Env<'_>) -> Element {
    let (Cell::Histogram(x), Cell::Histogram(y)) = (a, b) else { return NOTHING };
    let mut sum = HistogramSum::new(x);
    let added = if op == BinaryOp::Add { sum.add(y) } else { sum.subtract(y) };
    let what = if op == BinaryOp::Add { "addition" } else { "subtraction" };
    let Ok(added) = added else {
        let message = format!(
            "PromQL warning: incompatible bucket layout encountered for binary operator {}",
            op.as_str()
        );
        env.notes.warn(&env.span, message);
        return NOTHING;
    };
    if added.reset_collision {
        // Prometheus has no answer here, since it cannot say whether the counter was reset.
        env.notes
            .warn(&env.span, format!("PromQL warning: conflicting counter resets during histogram {what}"));
        return NOTHING;
    }
    if added.reconciled {
        env.notes
            .info(&env.span, format!("PromQL info: mismatched custom buckets were reconciled during {what}"));
    }
    if op == BinaryOp::Sub {
        sum.set_hint(ResetHint::Gauge);
    }
    Element { value: Some(sum.finish().into()), keep: true }
}

fn mismatch(op: BinaryOp, a: Cell<'_>, b: Cell<'_>, env: &mut Env<'_>) -> Element {
    let name = |c: Cell<'_>| if matches!(c, Cell::Float(_)) { "float" } else { "histogram" };
    let message = format!(
        "PromQL info: incompatible sample types encountered for binary operator {:?}: {} {} {}",
        op.as_str(),
        name(a),
        op.as_str(),
        name(b)
    );
    env.notes.info(&env.span, message);
    NOTHING
}
