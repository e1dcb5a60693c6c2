//! Which types operators take, and other rules beyond the grammar. Messages name the expression; the parser adds the
//! place.

use crate::{
    ast::{
        Aggregate, AggregateOp, BinaryOp, CompareOp, FieldExpr, Function, MetricsExpr, ScalarExpr,
        ScalarFilter,
    },
    field::{Field, Intrinsic, Scope},
    value::Value,
};

/// Values shown of each attribute by `compare`, at most.
const MAX_COMPARE_TOP: u64 = 1000;
/// Fields a function groups by at most: each distinct combination is a series.
const MAX_GROUP_BY: usize = 5;

/// What is known of a value before a span is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Of an attribute: only the span knows.
    Any,
    Nil,
    Number,
    Text,
    Bool,
    Status,
    Kind,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Any => "an attribute",
            Type::Nil => "nil",
            Type::Number => "a number",
            Type::Text => "a string",
            Type::Bool => "a boolean",
            Type::Status => "a status",
            Type::Kind => "a kind",
        }
    }

    /// Whether operands of this type can stand at an operator.
    fn takes(self, op: BinaryOp) -> bool {
        match (self, op) {
            (Type::Any, _) => true,
            (Type::Bool, BinaryOp::And | BinaryOp::Or) => true,
            (_, BinaryOp::And | BinaryOp::Or) => false,
            (Type::Number, _) => true,
            (_, BinaryOp::Arithmetic(_)) => false,
            (_, BinaryOp::Compare(CompareOp::Equal | CompareOp::NotEqual)) => true,
            (t, BinaryOp::Compare(_)) => t == Type::Text,
        }
    }
}

fn of_value(v: &Value<'_>) -> Type {
    match v {
        Value::Nil => Type::Nil,
        Value::Int(_) | Value::Float(_) | Value::Duration(_) => Type::Number,
        Value::Bool(_) => Type::Bool,
        Value::Str(_) => Type::Text,
        Value::Status(_) => Type::Status,
        Value::Kind(_) => Type::Kind,
        Value::Opaque(_) | Value::Array(_) | Value::Many(_) => Type::Any,
    }
}

fn of_field(f: &Field) -> Type {
    let Field::Intrinsic(i) = f else { return Type::Any };
    match i {
        Intrinsic::Status => Type::Status,
        Intrinsic::Kind => Type::Kind,
        Intrinsic::Duration
        | Intrinsic::TraceDuration
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::ChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent => Type::Number,
        _ => Type::Text,
    }
}

fn of(e: &FieldExpr) -> Type {
    match e {
        FieldExpr::Literal(v) => of_value(v),
        FieldExpr::Field(f) => of_field(f),
        FieldExpr::Paren(e) => of(e),
        FieldExpr::Not(_) | FieldExpr::Match { .. } => Type::Bool,
        FieldExpr::Negate(_) => Type::Number,
        FieldExpr::Binary { op: BinaryOp::Arithmetic(_), .. } => Type::Number,
        FieldExpr::Binary { .. } => Type::Bool,
    }
}

/// One operator and its operands, which have been checked.
pub(crate) fn operation(e: &FieldExpr) -> Result<(), String> {
    match e {
        FieldExpr::Binary { op, left, right } => binary(e, *op, left, right),
        FieldExpr::Match { left, .. } => match of(left) {
            Type::Any | Type::Text => Ok(()),
            t => Err(format!("{} cannot match a regular expression: {e}", t.name())),
        },
        FieldExpr::Not(inner) => match of(inner) {
            Type::Any | Type::Bool => Ok(()),
            t => Err(format!("\"!\" needs a boolean, not {}: {e}", t.name())),
        },
        FieldExpr::Negate(inner) => match of(inner) {
            Type::Any | Type::Number => Ok(()),
            t => Err(format!("\"-\" needs a number, not {}: {e}", t.name())),
        },
        _ => Ok(()),
    }
}

fn binary(e: &FieldExpr, op: BinaryOp, left: &FieldExpr, right: &FieldExpr) -> Result<(), String> {
    let (l, r) = (of(left), of(right));
    for t in [l, r] {
        if !t.takes(op) {
            return Err(format!("{:?} cannot be applied to {}: {e}", op.as_str(), t.name()));
        }
    }
    if l != r && ![l, r].contains(&Type::Any) && ![l, r].contains(&Type::Nil) {
        return Err(format!("{} cannot be compared with {}: {e}", l.name(), r.name()));
    }
    let other = match (l, r) {
        (Type::Nil, _) => right,
        (_, Type::Nil) => left,
        _ => return Ok(()),
    };
    if op != BinaryOp::Compare(CompareOp::Equal) {
        return Ok(());
    }
    match other.bare() {
        FieldExpr::Field(f @ Field::Intrinsic(_)) => Err(format!("{e} never holds: {f} is always there")),
        FieldExpr::Field(f) if *f == Field::attribute(Scope::Resource, "service.name") => {
            Err(format!("{e} never holds: {f} is always there"))
        }
        _ => Ok(()),
    }
}

/// What stands in braces.
pub(crate) fn condition(e: &FieldExpr) -> Result<(), String> {
    match of(e) {
        Type::Any | Type::Bool => Ok(()),
        t => Err(format!("a span filter needs a boolean, not {}: {e}", t.name())),
    }
}

pub(crate) fn grouping(e: &FieldExpr) -> Result<(), String> {
    match e.has_field() {
        true => Ok(()),
        false => Err(format!("what spans are grouped by must be of the span: {e}")),
    }
}

pub(crate) fn aggregated(e: &FieldExpr) -> Result<(), String> {
    match of(e) {
        Type::Any | Type::Number if e.has_field() => Ok(()),
        Type::Any | Type::Number => Err(format!("what is aggregated must be of the span: {e}")),
        t => Err(format!("what is aggregated must be a number, not {}: {e}", t.name())),
    }
}

pub(crate) fn scalar_filter(f: &ScalarFilter) -> Result<(), String> {
    fn number(e: &ScalarExpr) -> bool {
        match e {
            ScalarExpr::Literal(v) => of_value(v) == Type::Number,
            ScalarExpr::Aggregate(Aggregate { op, of }) => *op == AggregateOp::Count || of.is_some(),
            ScalarExpr::Negate(e) | ScalarExpr::Paren(e) => number(e),
            ScalarExpr::Binary { left, right, .. } => number(left) && number(right),
            ScalarExpr::Pipeline(..) => true,
        }
    }
    match number(&f.left) && number(&f.right) {
        true => Ok(()),
        false => Err(format!("numbers are compared with numbers only: {f}")),
    }
}

pub(crate) fn function(f: &Function) -> Result<(), String> {
    if f.by().len() > MAX_GROUP_BY {
        return Err(format!("{} groups by more than {MAX_GROUP_BY} fields", f.name()));
    }
    if let Some(of) = f.of()
        && !matches!(of_field(of), Type::Any | Type::Number)
    {
        return Err(format!("{} needs a number, not {}: {of}", f.name(), of_field(of).name()));
    }
    match f {
        Function::QuantileOverTime { quantiles, .. } => {
            let bad = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q));
            bad.map_or(Ok(()), |q| Err(format!("a quantile must be between 0 and 1, not {q}")))
        }
        Function::Compare(c) => {
            if c.top.is_some_and(|top| top > MAX_COMPARE_TOP) {
                return Err(format!("compare() shows at most {MAX_COMPARE_TOP} values of an attribute"));
            }
            match c.between {
                Some((start, end)) if end <= start => Err("compare() ends before it begins".to_owned()),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// `compare` stands alone.
pub(crate) fn metrics(m: &MetricsExpr) -> Result<(), String> {
    fn compares(m: &MetricsExpr) -> bool {
        match m {
            MetricsExpr::Query { function, .. } => matches!(function, Function::Compare(_)),
            MetricsExpr::Then { inner, .. }
            | MetricsExpr::Number { inner, .. }
            | MetricsExpr::Paren(inner) => compares(inner),
            MetricsExpr::Binary { left, right, .. } => compares(left) || compares(right),
        }
    }
    let mut outer = m;
    while let MetricsExpr::Paren(inner) = outer {
        outer = inner;
    }
    match outer {
        MetricsExpr::Query { .. } => Ok(()),
        m if compares(m) => Err("compare() cannot be computed with, filtered or limited".to_owned()),
        _ => Ok(()),
    }
}
