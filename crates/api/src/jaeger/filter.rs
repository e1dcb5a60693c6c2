//! Structured filters of a trace search: a tree of operators over references into a span and constants, as Jaeger's
//! version 3 and its remote storage carry it (`jaeger.expression.v1`, Jaeger's RFC 0005 "Structured Query Filters for
//! Trace Search").
//!
//! A reference names an attribute, of one level or, without a level, of the span or its resource; or a field of a level.
//! Of events and links a span has many: a comparison holds if it holds for one of them, and `some` binds one for all that
//! is said inside it. `ne` and `not_in` want the reference to be there and nothing of it to match.

mod read;
mod value;

use contract::SpanFilter;
use model::{Attributes, Matcher, Span, SpanEvent, SpanKind, SpanLink, span::SpanOrigin};

use self::value::{Constant, Value};
use super::names;

pub const LEVELS: [&str; 5] = ["span", "resource", "scope", "event", "link"];
pub const OPERATORS: [&str; 14] =
    ["and", "or", "not", "eq", "ne", "gt", "lt", "gte", "lte", "regex", "exists", "in", "not_in", "some"];

/// What a span has to be.
#[derive(Debug, Clone)]
pub struct Filter(Predicate);

#[derive(Debug, Clone)]
enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    /// Some value of the left compares so with some value of the right.
    Compare(Comparison, Operand, Operand),
    Regex(Reference, Matcher),
    Exists(Reference),
    In(Reference, Vec<Constant>),
    NotIn(Reference, Vec<Constant>),
    Some(Nested, Box<Predicate>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Eq,
    Ne,
    Gt,
    Lt,
    Gte,
    Lte,
}

#[derive(Debug, Clone)]
enum Operand {
    Reference(Reference),
    Constant(Constant),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference {
    /// Without a level of the span or its resource.
    Attribute(Option<Level>, String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Span,
    Resource,
    Scope,
    Event,
    Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nested {
    Events,
    Links,
}

/// A built-in field; names are those of `jaeger.expression.v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    TraceId,
    SpanId,
    ParentSpanId,
    TraceState,
    Name,
    Kind,
    StartTime,
    EndTime,
    Status,
    StatusMessage,
    Duration,
    Service,
    ResourceSchemaUrl,
    ScopeName,
    ScopeVersion,
    EventName,
    EventTime,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    LinkTraceState,
}

/// A span and what of it is bound.
#[derive(Clone, Copy)]
struct On<'a> {
    span: &'a Span,
    origin: &'a SpanOrigin,
    event: Option<&'a SpanEvent>,
    link: Option<&'a SpanLink>,
}

impl<'a> On<'a> {
    fn events(self) -> impl Iterator<Item = &'a SpanEvent> {
        let all = if self.event.is_some() { &[] } else { self.span.events.as_slice() };
        self.event.into_iter().chain(all)
    }

    fn links(self) -> impl Iterator<Item = &'a SpanLink> {
        let all = if self.link.is_some() { &[] } else { self.span.links.as_slice() };
        self.link.into_iter().chain(all)
    }
}

impl Filter {
    /// Whether a span of the given origin passes.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        self.0.holds(On { span, origin, event: None, link: None })
    }

    /// Conditions that columns can decide and without which nothing passes.
    pub fn necessary(&self) -> Vec<SpanFilter> {
        let mut out = Vec::new();
        self.0.necessary(&mut out);
        out
    }
}

impl Predicate {
    fn holds(&self, on: On<'_>) -> bool {
        match self {
            Predicate::All(all) => all.iter().all(|p| p.holds(on)),
            Predicate::Any(any) => any.iter().any(|p| p.holds(on)),
            Predicate::Not(p) => !p.holds(on),
            Predicate::Compare(Comparison::Ne, left, right) => {
                left.is_there(on) && right.is_there(on) && !compare(Comparison::Eq, left, right, on)
            }
            Predicate::Compare(op, left, right) => compare(*op, left, right, on),
            Predicate::Regex(of, pattern) => of.any(on, |v| pattern.matches(&v.text())),
            Predicate::Exists(of) => of.any(on, |v| v.is_there()),
            Predicate::In(of, list) => is_in(of, list, on),
            Predicate::NotIn(of, list) => of.any(on, |v| v.is_there()) && !is_in(of, list, on),
            Predicate::Some(Nested::Events, p) => {
                on.span.events.iter().any(|e| p.holds(On { event: Some(e), ..on }))
            }
            Predicate::Some(Nested::Links, p) => {
                on.span.links.iter().any(|l| p.holds(On { link: Some(l), ..on }))
            }
        }
    }

    fn necessary(&self, out: &mut Vec<SpanFilter>) {
        let (op, field, constant) = match self {
            Predicate::All(all) => return all.iter().for_each(|p| p.necessary(out)),
            Predicate::Compare(
                op,
                Operand::Reference(Reference::Field(field)),
                Operand::Constant(constant),
            ) => (op, field, constant),
            _ => return,
        };
        match (op, field, constant) {
            (Comparison::Eq, Field::Service, c) => out.extend(c.words().map(SpanFilter::Service)),
            (Comparison::Eq, Field::Name, c) => out.extend(c.words().map(SpanFilter::Name)),
            (Comparison::Eq, Field::Kind, c) => {
                let kind = c.words().and_then(|w| names::kind(&w));
                out.extend(kind.filter(|k| *k != SpanKind::Unspecified).map(SpanFilter::Kind));
            }
            (Comparison::Eq, Field::Status, c) if c.words().is_some_and(|w| w == "error") => {
                out.push(SpanFilter::Error(true));
            }
            (Comparison::Gt | Comparison::Gte, Field::Duration, Constant::Ns(d)) => {
                out.push(SpanFilter::MinDurationNs(*d));
            }
            (Comparison::Lt | Comparison::Lte, Field::Duration, Constant::Ns(d)) => {
                out.push(SpanFilter::MaxDurationNs(*d));
            }
            _ => {}
        }
    }
}

fn is_in(of: &Reference, list: &[Constant], on: On<'_>) -> bool {
    of.any(on, |v| list.iter().any(|c| c.holds(Comparison::Eq, &v)))
}

fn compare(op: Comparison, left: &Operand, right: &Operand, on: On<'_>) -> bool {
    match (left, right) {
        (Operand::Reference(l), Operand::Constant(c)) => l.any(on, |v| c.holds(op, &v)),
        (Operand::Reference(l), Operand::Reference(r)) => l.any(on, |a| r.any(on, |b| a.compares(op, &b))),
        // Reading puts the reference first.
        (Operand::Constant(c), Operand::Reference(r)) => r.any(on, |v| c.holds(op.reversed(), &v)),
        (Operand::Constant(a), Operand::Constant(b)) => b.holds(op, &a.as_value()),
    }
}

impl Comparison {
    /// The same with its sides changed.
    fn reversed(self) -> Self {
        match self {
            Comparison::Gt => Comparison::Lt,
            Comparison::Lt => Comparison::Gt,
            Comparison::Gte => Comparison::Lte,
            Comparison::Lte => Comparison::Gte,
            same => same,
        }
    }
}

impl Operand {
    fn is_there(&self, on: On<'_>) -> bool {
        match self {
            Operand::Reference(r) => r.any(on, |v| v.is_there()),
            Operand::Constant(_) => true,
        }
    }
}

impl Reference {
    /// Whether something holds for one of its values.
    fn any(&self, on: On<'_>, holds: impl Fn(Value<'_>) -> bool) -> bool {
        match self {
            Reference::Field(field) => field.any(on, holds),
            Reference::Attribute(level, key) => {
                let of = |a: &Attributes| {
                    a.iter().filter(|(k, _)| k == key).any(|(_, v)| holds(Value::Attribute(v)))
                };
                let resource = &on.origin.resource.attributes;
                match level {
                    None => of(&on.span.attributes) || of(resource),
                    Some(Level::Span) => of(&on.span.attributes),
                    Some(Level::Resource) => of(resource),
                    Some(Level::Scope) => of(&on.origin.scope.attributes),
                    Some(Level::Event) => on.events().any(|e| of(&e.attributes)),
                    Some(Level::Link) => on.links().any(|l| of(&l.attributes)),
                }
            }
        }
    }
}

impl Field {
    fn any(self, on: On<'_>, holds: impl Fn(Value<'_>) -> bool) -> bool {
        let s = on.span;
        match self {
            Field::TraceId => holds(Value::Id(&s.trace_id)),
            Field::SpanId => holds(Value::Id(&s.span_id)),
            Field::ParentSpanId => holds(Value::Id(&s.parent_span_id)),
            Field::TraceState => holds(Value::Text(&s.trace_state)),
            Field::Name => holds(Value::Text(&s.name)),
            Field::Kind => holds(Value::Text(s.kind.as_str())),
            Field::StartTime => holds(Value::Ns(s.start_ns)),
            Field::EndTime => holds(Value::Ns(s.end_ns)),
            Field::Status => holds(Value::Text(super::search::status_name(s.status.code))),
            Field::StatusMessage => holds(Value::Text(&s.status.message)),
            Field::Duration => holds(Value::Ns(s.duration_ns())),
            Field::Service => holds(Value::Text(on.origin.service_name())),
            Field::ResourceSchemaUrl => holds(Value::Text(&on.origin.resource.schema_url)),
            Field::ScopeName => holds(Value::Text(&on.origin.scope.name)),
            Field::ScopeVersion => holds(Value::Text(&on.origin.scope.version)),
            Field::EventName => on.events().any(|e| holds(Value::Text(&e.name))),
            Field::EventTime => on.events().any(|e| holds(Value::Ns(e.timestamp_ns))),
            Field::EventTimeSinceStart => {
                on.events().any(|e| holds(Value::Ns(e.timestamp_ns.saturating_sub(s.start_ns))))
            }
            Field::LinkTraceId => on.links().any(|l| holds(Value::Id(&l.trace_id))),
            Field::LinkSpanId => on.links().any(|l| holds(Value::Id(&l.span_id))),
            Field::LinkTraceState => on.links().any(|l| holds(Value::Text(&l.trace_state))),
        }
    }
}

#[cfg(test)]
mod tests;
