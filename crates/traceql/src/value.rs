//! Values that expressions are computed with, and their types.

use std::{borrow::Cow, cmp::Ordering, fmt};

use model::{AnyValue, SpanKind, StatusCode};

use crate::units::format_duration;

mod compute;
mod key;

pub(crate) use compute::holds;
pub(crate) use key::Groups;

/// A value of a span or of the query. Borrows from the span it is of.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<'a> {
    /// What is not there.
    #[default]
    Nil,
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(Cow<'a, str>),
    /// Nanoseconds.
    Duration(i64),
    Status(StatusCode),
    Kind(SpanKind),
    /// Bytes or a map: it is there, and that is all that can be asked of it.
    Opaque(Cow<'a, AnyValue>),
    /// An attribute that is an array.
    Array(Cow<'a, [AnyValue]>),
    /// What several events or links of a span say; never empty.
    Many(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    pub fn of(v: &'a AnyValue) -> Value<'a> {
        match v {
            AnyValue::Empty => Value::Nil,
            AnyValue::String(s) => Value::Str(Cow::Borrowed(s)),
            AnyValue::Bool(b) => Value::Bool(*b),
            AnyValue::Int(i) => Value::Int(*i),
            AnyValue::Double(d) => Value::Float(*d),
            AnyValue::Array(a) => Value::Array(Cow::Borrowed(a)),
            AnyValue::Bytes(_) | AnyValue::Map(_) => Value::Opaque(Cow::Borrowed(v)),
        }
    }

    pub fn text(s: &'a str) -> Value<'a> {
        Value::Str(Cow::Borrowed(s))
    }

    /// `None` for no values.
    pub(crate) fn many(values: Vec<Value<'a>>) -> Value<'a> {
        if values.is_empty() { Value::Nil } else { Value::Many(values) }
    }

    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// As number; durations in nanoseconds. `None` for everything that is none. Of several values the only one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            Value::Duration(d) => Some(*d as f64),
            Value::Many(all) => match all.as_slice() {
                [one] => one.as_f64(),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            Value::Many(all) => match all.as_slice() {
                [one] => one.as_bool(),
                _ => None,
            },
            _ => None,
        }
    }

    /// The first of what several events or links say, everything else as it is: what spans are grouped by.
    pub fn first(self) -> Value<'a> {
        match self {
            Value::Many(all) => all.into_iter().next().unwrap_or_default(),
            other => other,
        }
    }

    /// A copy that borrows nothing but arrays' elements are cloned for it.
    pub fn to_any(&self) -> AnyValue {
        match self {
            Value::Nil => AnyValue::from("nil"),
            Value::Int(i) => AnyValue::Int(*i),
            Value::Float(f) => AnyValue::Double(*f),
            Value::Bool(b) => AnyValue::Bool(*b),
            Value::Str(s) => AnyValue::String(s.to_string()),
            Value::Array(a) => AnyValue::Array(a.to_vec()),
            Value::Opaque(v) => v.as_ref().clone(),
            Value::Many(all) => match all.as_slice() {
                [one] => one.to_any(),
                _ => AnyValue::Array(all.iter().map(Value::to_any).collect()),
            },
            other => AnyValue::String(other.to_string()),
        }
    }

    /// The name of its type in answers about values of a field: `string`, `int`, `float`, `bool`, `duration`,
    /// `keyword`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Bool(_) => "bool",
            Value::Str(_) | Value::Opaque(_) | Value::Array(_) | Value::Many(_) => "string",
            Value::Duration(_) => "duration",
            Value::Status(_) | Value::Kind(_) => "keyword",
        }
    }
}

pub(crate) fn status_str(s: StatusCode) -> &'static str {
    match s {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}

impl fmt::Display for Value<'_> {
    /// Text bare, everything else as a query writes it; arrays as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(v) => f.write_str(&format_float(*v)),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Str(s) => f.write_str(s),
            Value::Duration(d) => f.write_str(&format_duration(*d)),
            Value::Status(s) => f.write_str(status_str(*s)),
            Value::Kind(k) => f.write_str(k.as_str()),
            Value::Opaque(_) | Value::Array(_) | Value::Many(_) => write!(f, "{}", self.to_any()),
        }
    }
}

/// The shortest text that reads back as this number and as no integer.
pub(crate) fn format_float(v: f64) -> String {
    let text = format!("{v:?}");
    if text.contains(['.', 'e', 'N', 'i']) { text } else { text + ".0" }
}

/// An order of values of all types: by type, then by value.
pub(crate) fn order(a: &AnyValue, b: &AnyValue) -> Ordering {
    fn rank(v: &AnyValue) -> u8 {
        match v {
            AnyValue::Empty => 0,
            AnyValue::Bool(_) => 1,
            AnyValue::Int(_) | AnyValue::Double(_) => 2,
            AnyValue::String(_) => 3,
            AnyValue::Bytes(_) => 4,
            AnyValue::Array(_) => 5,
            AnyValue::Map(_) => 6,
        }
    }
    let number = |v: &AnyValue| match v {
        AnyValue::Int(i) => *i as f64,
        AnyValue::Double(d) => *d,
        _ => 0.0,
    };
    match (a, b) {
        (AnyValue::Bool(a), AnyValue::Bool(b)) => a.cmp(b),
        (AnyValue::Int(a), AnyValue::Int(b)) => a.cmp(b),
        (AnyValue::String(a), AnyValue::String(b)) => a.cmp(b),
        (AnyValue::Int(_) | AnyValue::Double(_), AnyValue::Int(_) | AnyValue::Double(_)) => {
            let types = matches!(a, AnyValue::Double(_)).cmp(&matches!(b, AnyValue::Double(_)));
            number(a).total_cmp(&number(b)).then(types)
        }
        _ => rank(a).cmp(&rank(b)).then_with(|| a.to_string().cmp(&b.to_string())),
    }
}
