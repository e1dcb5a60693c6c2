//! Comparing and computing.
//!
//! Values of different types are never equal and never different: `!=` does not hold of them either, nor of what is
//! not there. Numbers and durations (in nanoseconds) are of one type. Of arrays, and of what several events or links
//! say, one element is enough, but for `!=`, which no element may break.

use std::cmp::Ordering;

use super::Value;
use crate::ast::{ArithmeticOp, CompareOp, Pattern};

impl<'a> Value<'a> {
    /// Whether a comparison holds.
    pub fn compares(&self, op: CompareOp, other: &Value<'_>) -> bool {
        if let Some(all) = self.elements() {
            return over(all, op == CompareOp::NotEqual, |v| v.compares(op, other));
        }
        if let Some(all) = other.elements() {
            return over(all, op == CompareOp::NotEqual, |v| self.compares(op, &v));
        }
        let ordered = match (self, other) {
            (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => return equality(op, a == b),
            (Value::Status(a), Value::Status(b)) => return equality(op, a == b),
            (Value::Kind(a), Value::Kind(b)) => return equality(op, a == b),
            (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Some(a.cmp(b)),
            (a, b) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => match a.partial_cmp(&b) {
                    // NaN is different from everything, as floats are.
                    None => return op == CompareOp::NotEqual,
                    ordered => ordered,
                },
                _ => None,
            },
        };
        ordered.is_some_and(|o| holds(op, o))
    }

    /// Whether the text passes a pattern.
    pub fn matches(&self, pattern: &Pattern) -> bool {
        if let Some(all) = self.elements() {
            return over(all, pattern.is_negated(), |v| v.matches(pattern));
        }
        matches!(self, Value::Str(s) if pattern.passes(s))
    }

    /// Integers stay integers, everything else of numbers becomes a float. `Nil` where it is no number, divided by
    /// zero as integers, or not a number to begin with.
    pub fn computed(&self, op: ArithmeticOp, other: &Value<'_>) -> Value<'static> {
        use ArithmeticOp::{Add, Div, Mod, Mul, Pow, Sub};
        if let (Value::Int(a), Value::Int(b)) = (self, other) {
            let whole = match op {
                Add => Some(a.wrapping_add(*b)),
                Sub => Some(a.wrapping_sub(*b)),
                Mul => Some(a.wrapping_mul(*b)),
                Div if *b != 0 => Some(a.wrapping_div(*b)),
                Mod if *b != 0 => Some(a.wrapping_rem(*b)),
                Div | Mod => None,
                Pow => Some((*a as f64).powf(*b as f64) as i64),
            };
            return whole.map_or(Value::Nil, Value::Int);
        }
        let (Some(a), Some(b)) = (self.as_f64(), other.as_f64()) else { return Value::Nil };
        Value::Float(match op {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            Mod => a % b,
            Pow => a.powf(b),
        })
    }

    pub fn negated(&self) -> Value<'static> {
        match self {
            Value::Int(i) => Value::Int(i.wrapping_neg()),
            Value::Float(v) => Value::Float(-v),
            Value::Duration(d) => Value::Duration(d.wrapping_neg()),
            Value::Many(all) => match all.as_slice() {
                [one] => one.negated(),
                _ => Value::Nil,
            },
            _ => Value::Nil,
        }
    }

    /// Whether it is, or an element of it is, true.
    pub fn is_true(&self) -> bool {
        match self.elements() {
            Some(all) => over(all, false, |v| v.is_true()),
            None => matches!(self, Value::Bool(true)),
        }
    }

    /// The elements of what is no single value.
    pub(crate) fn elements(&self) -> Option<Box<dyn Iterator<Item = Value<'_>> + '_>> {
        match self {
            Value::Array(all) => Some(Box::new(all.iter().map(Value::of))),
            Value::Many(all) => Some(Box::new(all.iter().map(Value::borrowed))),
            _ => None,
        }
    }

    /// The same, borrowing from this.
    pub(crate) fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Str(s) => Value::text(s),
            other => other.clone(),
        }
    }
}

fn over<'v>(
    mut all: Box<dyn Iterator<Item = Value<'v>> + 'v>,
    every: bool,
    mut holds: impl FnMut(Value<'v>) -> bool,
) -> bool {
    if every { all.all(&mut holds) } else { all.any(holds) }
}

fn equality(op: CompareOp, same: bool) -> bool {
    match op {
        CompareOp::Equal => same,
        CompareOp::NotEqual => !same,
        _ => false,
    }
}

pub(crate) fn holds(op: CompareOp, o: Ordering) -> bool {
    match op {
        CompareOp::Equal => o.is_eq(),
        CompareOp::NotEqual => o.is_ne(),
        CompareOp::Less => o.is_lt(),
        CompareOp::LessEqual => o.is_le(),
        CompareOp::Greater => o.is_gt(),
        CompareOp::GreaterEqual => o.is_ge(),
    }
}
