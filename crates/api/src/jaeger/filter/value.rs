//! Values of references, constants, and how they compare.

use std::{borrow::Cow, cmp::Ordering};

use model::AnyValue;

use super::Comparison;
use crate::jaeger::trace::hex;

/// What a reference refers to.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Attribute(&'a AnyValue),
    Text(&'a str),
    Id(&'a [u8]),
    /// A time or a duration.
    Ns(i64),
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Of no declared type: it is what the value opposite is.
    Any(String),
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Ns(i64),
}

impl<'a> Value<'a> {
    pub fn text(&self) -> Cow<'a, str> {
        match *self {
            Value::Attribute(AnyValue::String(s)) => s.as_str().into(),
            Value::Attribute(v) => v.to_string().into(),
            Value::Text(s) => s.into(),
            Value::Id(id) => hex(id).into(),
            Value::Ns(ns) => ns.to_string().into(),
        }
    }

    /// Fields that were not set are not there.
    pub fn is_there(&self) -> bool {
        match self {
            Value::Attribute(_) => true,
            Value::Text(s) => !s.is_empty() && *s != "unspecified",
            Value::Id(id) => id.iter().any(|b| *b != 0),
            Value::Ns(_) => true,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Attribute(AnyValue::Int(i)) => Some(*i as f64),
            Value::Attribute(AnyValue::Double(d)) => Some(*d),
            Value::Attribute(AnyValue::String(s)) => s.parse().ok(),
            Value::Text(s) => s.parse().ok(),
            Value::Ns(ns) => Some(*ns as f64),
            _ => None,
        }
    }

    /// Whether two values compare so; those of different kinds do not compare.
    pub fn compares(&self, op: Comparison, other: &Value<'_>) -> bool {
        let order = match (self, other) {
            (Value::Ns(a), Value::Ns(b)) => Some(a.cmp(b)),
            (Value::Attribute(AnyValue::Int(a)), Value::Attribute(AnyValue::Int(b))) => Some(a.cmp(b)),
            _ => natural(self.number(), &self.text(), other.number(), &other.text()),
        };
        order.is_some_and(|o| op.accepts(o))
    }
}

/// Numbers as numbers, everything else as text.
fn natural(a: Option<f64>, a_text: &str, b: Option<f64>, b_text: &str) -> Option<Ordering> {
    match (a, b) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Some(a_text.cmp(b_text)),
    }
}

impl Constant {
    /// Whether a value compares so with this. A declared type matches values of that type alone.
    pub fn holds(&self, op: Comparison, value: &Value<'_>) -> bool {
        let order = match (self, value) {
            (Constant::Any(c), v) if op == Comparison::Eq => {
                return v.text() == c.as_str() || v.number().is_some_and(|n| c.parse() == Ok(n));
            }
            (Constant::Any(c), v) => natural(v.number(), &v.text(), c.parse().ok(), c),
            (Constant::Text(c), Value::Attribute(AnyValue::String(s))) => Some(s.as_str().cmp(c)),
            (Constant::Text(c), v @ (Value::Text(_) | Value::Id(_))) => Some(v.text().as_ref().cmp(c)),
            (Constant::Int(c), Value::Attribute(AnyValue::Int(i))) => Some(i.cmp(c)),
            (Constant::Double(c), Value::Attribute(AnyValue::Double(d))) => d.partial_cmp(c),
            (Constant::Bool(c), Value::Attribute(AnyValue::Bool(b))) => Some(b.cmp(c)),
            (Constant::Ns(c), Value::Ns(ns)) => Some(ns.cmp(c)),
            _ => None,
        };
        order.is_some_and(|o| op.accepts(o))
    }

    /// Its text, where it is one.
    pub fn words(&self) -> Option<String> {
        match self {
            Constant::Any(s) | Constant::Text(s) => Some(s.clone()),
            _ => None,
        }
    }

    /// For a comparison of two constants.
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Constant::Any(s) | Constant::Text(s) => Value::Text(s),
            Constant::Int(i) | Constant::Ns(i) => Value::Ns(*i),
            Constant::Double(_) => Value::Text(""),
            Constant::Bool(b) => Value::Text(if *b { "true" } else { "false" }),
        }
    }
}

impl Comparison {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Eq => order.is_eq(),
            Comparison::Ne => order.is_ne(),
            Comparison::Gt => order.is_gt(),
            Comparison::Lt => order.is_lt(),
            Comparison::Gte => order.is_ge(),
            Comparison::Lte => order.is_le(),
        }
    }
}
