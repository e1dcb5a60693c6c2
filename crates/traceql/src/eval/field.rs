//! What an expression makes of one span.
//!
//! A span can be looked at without its trace. What only the trace can say is then unknown (`None`), and so is what
//! depends on it.

use std::{borrow::Cow, fmt::Write};

use model::{Attributes, Span, span::SpanOrigin};

use crate::{
    ast::{BinaryOp, CompareOp, FieldExpr},
    field::{Field, Intrinsic, Scope},
    trace::Trace,
    value::Value,
};

/// A span, its origin, and its trace where that is known.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub span: &'a Span,
    pub origin: &'a SpanOrigin,
    whole: Option<(&'a Trace, u32)>,
}

impl<'a> Subject<'a> {
    pub fn alone(span: &'a Span, origin: &'a SpanOrigin) -> Self {
        Subject { span, origin, whole: None }
    }

    pub fn in_trace(trace: &'a Trace, at: u32) -> Option<Self> {
        Some(Subject { span: trace.span(at)?, origin: trace.origin(at)?, whole: Some((trace, at)) })
    }

    /// `None` where only the trace would say it.
    pub fn get(&self, field: &Field) -> Option<Value<'a>> {
        match field {
            Field::Intrinsic(i) if i.of_trace() => self.of_trace(*i),
            Field::Intrinsic(i) => Some(self.intrinsic(*i)),
            Field::Parent if self.span.parent_span_id == [0; 8] => Some(Value::Nil),
            Field::Parent => Some(hex(&self.span.parent_span_id)),
            Field::Attribute { scope, parent: false, name } => Some(self.attribute(*scope, name)),
            Field::Attribute { scope, name, .. } => {
                let (trace, at) = self.whole?;
                let parent = trace.tree().parent(at).and_then(|p| Subject::in_trace(trace, p));
                Some(parent.map_or(Value::Nil, |p| p.attribute(*scope, name)))
            }
        }
    }

    fn attribute(&self, scope: Scope, name: &str) -> Value<'a> {
        match scope {
            Scope::Span => one(&self.span.attributes, name),
            Scope::Resource => one(&self.origin.resource.attributes, name),
            Scope::Instrumentation => one(&self.origin.scope.attributes, name),
            Scope::Event => many(self.span.events.iter().map(|e| &e.attributes), name),
            Scope::Link => many(self.span.links.iter().map(|l| &l.attributes), name),
            Scope::Any => [Scope::Span, Scope::Resource, Scope::Event, Scope::Link, Scope::Instrumentation]
                .into_iter()
                .map(|s| self.attribute(s, name))
                .find(|v| !v.is_nil())
                .unwrap_or_default(),
        }
    }

    fn intrinsic(&self, i: Intrinsic) -> Value<'a> {
        let span = self.span;
        match i {
            Intrinsic::Duration => Value::Duration(span.duration_ns()),
            Intrinsic::Name => Value::text(&span.name),
            Intrinsic::Status => Value::Status(span.status.code),
            Intrinsic::StatusMessage => Value::text(&span.status.message),
            Intrinsic::Kind => Value::Kind(span.kind),
            Intrinsic::SpanId => hex(&span.span_id),
            Intrinsic::ParentId if span.parent_span_id == [0; 8] => Value::text(""),
            Intrinsic::ParentId => hex(&span.parent_span_id),
            Intrinsic::TraceId => hex(&span.trace_id),
            Intrinsic::EventName => Value::many(span.events.iter().map(|e| Value::text(&e.name)).collect()),
            Intrinsic::EventTimeSinceStart => {
                let since = |at: i64| Value::Duration(at.saturating_sub(span.start_ns));
                Value::many(span.events.iter().map(|e| since(e.timestamp_ns)).collect())
            }
            Intrinsic::LinkTraceId => Value::many(span.links.iter().map(|l| hex(&l.trace_id)).collect()),
            Intrinsic::LinkSpanId => Value::many(span.links.iter().map(|l| hex(&l.span_id)).collect()),
            Intrinsic::InstrumentationName => Value::text(&self.origin.scope.name),
            Intrinsic::InstrumentationVersion => Value::text(&self.origin.scope.version),
            _ => Value::Nil,
        }
    }

    fn of_trace(&self, i: Intrinsic) -> Option<Value<'a>> {
        let (trace, at) = self.whole?;
        Some(match i {
            Intrinsic::TraceDuration => Value::Duration(trace.duration_ns()),
            Intrinsic::RootName => Value::text(trace.root().map_or("", |(s, _)| &s.name)),
            Intrinsic::RootServiceName => Value::text(trace.root().map_or("", |(_, o)| o.service_name())),
            Intrinsic::ChildCount => Value::Int(i64::from(trace.tree().children(at))),
            Intrinsic::NestedSetLeft => Value::Int(trace.tree().bounds(at).0),
            Intrinsic::NestedSetRight => Value::Int(trace.tree().bounds(at).1),
            Intrinsic::NestedSetParent => Value::Int(trace.tree().nested_parent(at)),
            _ => Value::Nil,
        })
    }
}

pub(crate) fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

fn hex(bytes: &[u8]) -> Value<'static> {
    Value::Str(Cow::Owned(hex_text(bytes)))
}

fn one<'a>(attributes: &'a Attributes, name: &str) -> Value<'a> {
    attributes.get(name).map_or(Value::Nil, Value::of)
}

fn many<'a>(all: impl Iterator<Item = &'a Attributes>, name: &str) -> Value<'a> {
    Value::many(all.filter_map(|a| a.get(name)).map(Value::of).filter(|v| !v.is_nil()).collect())
}

/// Whether a condition holds.
pub(crate) fn holds(e: &FieldExpr, s: &Subject<'_>) -> Option<bool> {
    value(e, s).map(|v| v.is_true())
}

pub(crate) fn value<'a>(e: &'a FieldExpr, s: &Subject<'a>) -> Option<Value<'a>> {
    Some(match e {
        FieldExpr::Literal(v) => v.borrowed(),
        FieldExpr::Field(f) => s.get(f)?,
        FieldExpr::Paren(inner) => value(inner, s)?,
        FieldExpr::Not(inner) => value(inner, s)?.as_bool().map_or(Value::Nil, |b| Value::Bool(!b)),
        FieldExpr::Negate(inner) => value(inner, s)?.negated(),
        FieldExpr::Match { left, pattern } => Value::Bool(value(left, s)?.matches(pattern)),
        FieldExpr::Binary { op: BinaryOp::And, left, right } => Value::Bool(both(left, right, s, false)?),
        FieldExpr::Binary { op: BinaryOp::Or, left, right } => Value::Bool(both(left, right, s, true)?),
        FieldExpr::Binary { op: BinaryOp::Compare(op), left, right } => compare(*op, left, right, s)?,
        FieldExpr::Binary { op: BinaryOp::Arithmetic(op), left, right } => {
            value(left, s)?.computed(*op, &value(right, s)?)
        }
    })
}

/// `&&` and `||`: where one side alone decides, whatever the other is, the other need not be known.
fn both(left: &FieldExpr, right: &FieldExpr, s: &Subject<'_>, decides: bool) -> Option<bool> {
    let l = holds(left, s);
    if l == Some(decides) {
        return l;
    }
    match holds(right, s) {
        Some(r) if r == decides => Some(r),
        r => l.and(r),
    }
}

fn compare<'a>(
    op: CompareOp,
    left: &'a FieldExpr,
    right: &'a FieldExpr,
    s: &Subject<'a>,
) -> Option<Value<'a>> {
    let is_nil = |e: &FieldExpr| matches!(e.bare(), FieldExpr::Literal(Value::Nil));
    match (is_nil(left), is_nil(right)) {
        (true, true) => return Some(Value::Bool(false)),
        (false, false) => {}
        (l, _) => {
            let absent = value(if l { right } else { left }, s)?.is_nil();
            return Some(Value::Bool(absent == (op == CompareOp::Equal)));
        }
    }
    if let Some(wanted) = root_test(op, left, right) {
        return Some(Value::Bool((s.span.parent_span_id == [0; 8]) == wanted));
    }
    let (l, r) = (value(left, s)?, value(right, s)?);
    Some(Value::Bool(match is_id(left) || is_id(right) {
        true => bare_id(l).compares(op, &bare_id(r)),
        false => l.compares(op, &r),
    }))
}

/// Whether a comparison tells roots (`true`), or all spans but roots (`false`), from the others: `nestedSetParent < 0`.
/// It is decided without the trace then.
pub(crate) fn root_test(op: CompareOp, left: &FieldExpr, right: &FieldExpr) -> Option<bool> {
    let is_parent =
        |e: &FieldExpr| matches!(e.bare(), FieldExpr::Field(Field::Intrinsic(Intrinsic::NestedSetParent)));
    let (op, literal) = match (is_parent(left), is_parent(right)) {
        (true, false) => (op, right),
        (false, true) => (op.flipped(), left),
        _ => return None,
    };
    let number = match literal.bare() {
        FieldExpr::Literal(Value::Int(i)) => *i,
        FieldExpr::Negate(inner) => match inner.bare() {
            FieldExpr::Literal(Value::Int(i)) => i.checked_neg()?,
            _ => return None,
        },
        _ => return None,
    };
    // Roots have -1, all others 0 or more.
    match (op, number) {
        (CompareOp::Less, 0) | (CompareOp::LessEqual | CompareOp::Equal, -1) => Some(true),
        (CompareOp::GreaterEqual, 0) | (CompareOp::Greater | CompareOp::NotEqual, -1) => Some(false),
        _ => None,
    }
}

/// Whether it is an id, which is the same number however many zeros it begins with.
pub(crate) fn is_id(e: &FieldExpr) -> bool {
    match e.bare() {
        FieldExpr::Field(Field::Intrinsic(i)) => i.is_id(),
        FieldExpr::Field(f) => *f == Field::Parent,
        _ => false,
    }
}

fn bare_id(v: Value<'_>) -> Value<'_> {
    match v {
        Value::Str(s) => Value::Str(Cow::Owned(s.trim_start_matches('0').to_ascii_lowercase())),
        Value::Many(all) => Value::Many(all.into_iter().map(bare_id).collect()),
        other => other,
    }
}
