//! Conditions of a query as those that a [`contract::Select`] looks at. Only what must hold of every span for which the
//! condition holds: whoever is asked leaves the others out.

use contract::{
    SpanCondition, SpanField, SpanScope, SpanValue,
    spans::{Comparison, SpanPattern, SpanTest},
};

use crate::{
    ast::{BinaryOp, CompareOp, FieldExpr, Pattern},
    eval::field::root_test,
    field::{Field, Intrinsic, Scope},
    value::Value,
};

/// More alternatives cost more to look at than the spans they spare.
const MAX_ALTERNATIVES: usize = 32;

/// One of these holds, all conditions of it; `None`: nothing is known.
pub(super) struct Alternatives(Option<Vec<Vec<SpanCondition>>>);

impl Alternatives {
    pub fn everything() -> Self {
        Alternatives(None)
    }

    fn one(field: SpanField, test: SpanTest) -> Self {
        Alternatives(Some(vec![vec![SpanCondition::new(field, test)]]))
    }

    pub fn and(self, other: Alternatives) -> Self {
        let (Some(a), Some(b)) = (&self.0, &other.0) else { return Alternatives(self.0.or(other.0)) };
        if a.len() * b.len() > MAX_ALTERNATIVES {
            // Either is true alone.
            return if a.len() <= b.len() { self } else { other };
        }
        let pair = |x: &Vec<SpanCondition>| -> Vec<Vec<SpanCondition>> {
            b.iter().map(|y| [x.as_slice(), y.as_slice()].concat()).collect()
        };
        Alternatives(Some(a.iter().flat_map(pair).collect()))
    }

    pub fn or(self, other: Alternatives) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) if a.len() + b.len() <= MAX_ALTERNATIVES => {
                Alternatives(Some([a, b].concat()))
            }
            _ => Alternatives::everything(),
        }
    }

    pub fn into_any_of(self) -> Vec<Vec<SpanCondition>> {
        self.0.unwrap_or_default()
    }
}

/// What holds where the condition holds.
pub(super) fn of(e: &FieldExpr) -> Alternatives {
    known(e).unwrap_or_else(Alternatives::everything)
}

fn known(e: &FieldExpr) -> Option<Alternatives> {
    Some(match e {
        FieldExpr::Paren(inner) => of(inner),
        FieldExpr::Binary { op: BinaryOp::And, left, right } => of(left).and(of(right)),
        FieldExpr::Binary { op: BinaryOp::Or, left, right } => of(left).or(of(right)),
        FieldExpr::Field(f @ Field::Attribute { .. }) => truth(f, true)?,
        FieldExpr::Not(inner) => match inner.bare() {
            FieldExpr::Field(f @ Field::Attribute { .. }) => truth(f, false)?,
            _ => return None,
        },
        FieldExpr::Match { left, pattern } => matches(left, pattern)?,
        FieldExpr::Binary { op: BinaryOp::Compare(op), left, right } => {
            if let Some(root) = root_test(*op, left, right) {
                return Some(Alternatives::one(SpanField::Root, is(CompareOp::Equal, SpanValue::Bool(root))));
            }
            match (field(left), field(right)) {
                (Some(f), None) => comparison(f, *op, constant(right)?)?,
                (None, Some(f)) => comparison(f, op.flipped(), constant(left)?)?,
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn field(e: &FieldExpr) -> Option<&Field> {
    if let FieldExpr::Field(f) = e.bare() { Some(f) } else { None }
}

/// What an expression without fields comes to.
fn constant(e: &FieldExpr) -> Option<Value<'_>> {
    Some(match e {
        FieldExpr::Literal(v) => v.borrowed(),
        FieldExpr::Paren(inner) => constant(inner)?,
        FieldExpr::Negate(inner) => constant(inner)?.negated(),
        FieldExpr::Binary { op: BinaryOp::Arithmetic(op), left, right } => {
            constant(left)?.computed(*op, &constant(right)?)
        }
        _ => return None,
    })
}

fn is(op: CompareOp, v: SpanValue) -> SpanTest {
    let how = match op {
        CompareOp::Equal => Comparison::Equal,
        CompareOp::NotEqual => Comparison::NotEqual,
        CompareOp::Less => Comparison::Less,
        CompareOp::LessEqual => Comparison::LessOrEqual,
        CompareOp::Greater => Comparison::Greater,
        CompareOp::GreaterEqual => Comparison::GreaterOrEqual,
    };
    SpanTest::Is(how, v)
}

fn truth(f: &Field, wanted: bool) -> Option<Alternatives> {
    Some(Alternatives::one(asked(f)?, is(CompareOp::Equal, SpanValue::Bool(wanted))))
}

fn matches(left: &FieldExpr, pattern: &Pattern) -> Option<Alternatives> {
    let f = field(left)?;
    if is_id(f) || may_be_empty(f) && pattern.passes("") {
        return None;
    }
    let p = SpanPattern::new(pattern.text()).ok()?;
    let test = if pattern.is_negated() { SpanTest::MatchesNot(p) } else { SpanTest::Matches(p) };
    Some(Alternatives::one(asked(f)?, test))
}

fn comparison(f: &Field, op: CompareOp, v: Value<'_>) -> Option<Alternatives> {
    if v.is_nil() {
        // What is absent may be there as an empty value, so only presence is asked for.
        let present = op == CompareOp::NotEqual && matches!(f, Field::Attribute { .. });
        return if present { Some(Alternatives::one(asked(f)?, SpanTest::Exists)) } else { None };
    }
    if is_id(f) {
        return id(f, op, &v);
    }
    if may_be_empty(f) && Value::text("").compares(op, &v) {
        return None;
    }
    let value = match v {
        Value::Str(s) => SpanValue::Text(s.into_owned()),
        Value::Int(i) | Value::Duration(i) => SpanValue::Int(i),
        Value::Float(x) => SpanValue::Float(x),
        Value::Bool(b) => SpanValue::Bool(b),
        Value::Status(s) => SpanValue::Status(s),
        Value::Kind(k) => SpanValue::Kind(k),
        Value::Nil | Value::Opaque(_) | Value::Array(_) | Value::Many(_) => return None,
    };
    Some(Alternatives::one(asked(f)?, is(op, value)))
}

/// Ids are asked for as they are written out in full.
fn id(f: &Field, op: CompareOp, v: &Value<'_>) -> Option<Alternatives> {
    let (Value::Str(s), CompareOp::Equal) = (v, op) else { return None };
    let bare = s.trim_start_matches('0').to_ascii_lowercase();
    let digits = match f {
        Field::Intrinsic(Intrinsic::TraceId | Intrinsic::LinkTraceId) => 32,
        _ => 16,
    };
    let whole = !bare.is_empty() && bare.len() <= digits && bare.bytes().all(|b| b.is_ascii_hexdigit());
    let text = SpanValue::Text(format!("{bare:0>digits$}"));
    if whole { Some(Alternatives::one(asked(f)?, is(op, text))) } else { None }
}

fn is_id(f: &Field) -> bool {
    matches!(f, Field::Intrinsic(i) if i.is_id()) || *f == Field::Parent
}

/// Whether what is empty is there for a query and is not for a `Select`.
fn may_be_empty(f: &Field) -> bool {
    matches!(
        f,
        Field::Intrinsic(
            Intrinsic::StatusMessage | Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion
        )
    )
}

fn asked(f: &Field) -> Option<SpanField> {
    Some(match f {
        Field::Attribute { parent: true, .. } => return None,
        Field::Attribute { scope, name, .. } => {
            let scope = match scope {
                Scope::Any => SpanScope::Any,
                Scope::Span => SpanScope::Span,
                Scope::Resource => SpanScope::Resource,
                Scope::Event => SpanScope::Event,
                Scope::Link => SpanScope::Link,
                Scope::Instrumentation => SpanScope::Instrumentation,
            };
            SpanField::Attribute(scope, name.clone())
        }
        Field::Parent => SpanField::ParentId,
        Field::Intrinsic(i) => match i {
            Intrinsic::Duration => SpanField::Duration,
            Intrinsic::Name => SpanField::Name,
            Intrinsic::Status => SpanField::Status,
            Intrinsic::StatusMessage => SpanField::StatusMessage,
            Intrinsic::Kind => SpanField::Kind,
            Intrinsic::SpanId => SpanField::SpanId,
            Intrinsic::ParentId => SpanField::ParentId,
            Intrinsic::TraceId => SpanField::TraceId,
            Intrinsic::EventName => SpanField::EventName,
            Intrinsic::EventTimeSinceStart => SpanField::EventOffset,
            Intrinsic::LinkTraceId => SpanField::LinkTraceId,
            Intrinsic::LinkSpanId => SpanField::LinkSpanId,
            Intrinsic::InstrumentationName => SpanField::ScopeName,
            Intrinsic::InstrumentationVersion => SpanField::ScopeVersion,
            _ => return None,
        },
    })
}
