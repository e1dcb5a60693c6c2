//! Fields of spans and what stands in them.

use std::cmp::Ordering;

use model::{AnyValue, Attributes, Span, SpanKind, StatusCode, span::SpanOrigin};

/// Where an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanScope {
    /// In any of the others.
    Any,
    Span,
    Resource,
    Instrumentation,
    Event,
    Link,
}

impl SpanScope {
    pub const ALL: [SpanScope; 6] = [
        SpanScope::Any,
        SpanScope::Span,
        SpanScope::Resource,
        SpanScope::Instrumentation,
        SpanScope::Event,
        SpanScope::Link,
    ];

    /// Whether what is asked for here takes in what stands there.
    pub fn takes_in(self, other: SpanScope) -> bool {
        self == SpanScope::Any || self == other
    }
}

/// A field of a span. One of events or links has as many values as there are of these; an attribute that is a list has
/// those of its elements, nested ones too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanField {
    Attribute(SpanScope, String),
    /// Text. Always there.
    Name,
    Kind,
    Status,
    /// Text; not there where empty.
    StatusMessage,
    /// Nanoseconds.
    Duration,
    /// Ids are lower-case hexadecimal text; that of the parent is not there for a root span.
    TraceId,
    SpanId,
    ParentId,
    /// Whether the span has no parent; a bool, always there.
    Root,
    /// Text; not there where empty.
    TraceState,
    /// Of the instrumentation scope, text; not there where empty.
    ScopeName,
    ScopeVersion,
    EventName,
    /// Nanoseconds from the start of the span.
    EventOffset,
    LinkTraceId,
    LinkSpanId,
}

/// A value that fields are compared with, and that is listed. Durations are `Int`, in nanoseconds.
#[derive(Debug, Clone)]
pub enum SpanValue {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Status(StatusCode),
    Kind(SpanKind),
}

/// By type, then by value; floats in the total order of IEEE 754.
impl Ord for SpanValue {
    fn cmp(&self, other: &Self) -> Ordering {
        use SpanValue::{Bool, Float, Int, Kind, Status, Text};
        let rank = |v: &SpanValue| match v {
            Text(_) => 0,
            Int(_) => 1,
            Float(_) => 2,
            Bool(_) => 3,
            Status(_) => 4,
            Kind(_) => 5,
        };
        match (self, other) {
            (Text(a), Text(b)) => a.cmp(b),
            (Int(a), Int(b)) => a.cmp(b),
            (Float(a), Float(b)) => a.total_cmp(b),
            (Bool(a), Bool(b)) => a.cmp(b),
            (Status(a), Status(b)) => (*a as u8).cmp(&(*b as u8)),
            (Kind(a), Kind(b)) => a.number().cmp(&b.number()),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for SpanValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SpanValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SpanValue {}

/// A value where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
    Status(StatusCode),
    Kind(SpanKind),
    /// It is there and cannot be compared: bytes, maps, nothing.
    Other,
    /// A list without elements.
    Nothing,
}

impl Seen<'_> {
    /// `None` for what cannot be compared.
    pub fn to_value(self) -> Option<SpanValue> {
        Some(match self {
            Seen::Text(s) => SpanValue::Text(s.to_owned()),
            Seen::Int(i) => SpanValue::Int(i),
            Seen::Float(f) => SpanValue::Float(f),
            Seen::Bool(b) => SpanValue::Bool(b),
            Seen::Status(s) => SpanValue::Status(s),
            Seen::Kind(k) => SpanValue::Kind(k),
            Seen::Other | Seen::Nothing => return None,
        })
    }

    /// Hands over an attribute's value, or those of its elements, until the answer is true.
    pub fn any_of(value: &AnyValue, f: &mut dyn FnMut(Seen<'_>) -> bool) -> bool {
        match value {
            AnyValue::String(s) => f(Seen::Text(s)),
            AnyValue::Int(i) => f(Seen::Int(*i)),
            AnyValue::Double(d) => f(Seen::Float(*d)),
            AnyValue::Bool(b) => f(Seen::Bool(*b)),
            AnyValue::Array(items) if items.is_empty() => f(Seen::Nothing),
            AnyValue::Array(items) => items.iter().any(|item| Seen::any_of(item, f)),
            AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::Map(_) => f(Seen::Other),
        }
    }
}

impl SpanField {
    /// Hands over the field's values until the answer is true; whether it was.
    pub fn any(&self, span: &Span, origin: &SpanOrigin, f: &mut dyn FnMut(Seen<'_>) -> bool) -> bool {
        match self {
            SpanField::Attribute(scope, key) => any_attribute(*scope, key, span, origin, f),
            SpanField::Name => f(Seen::Text(&span.name)),
            SpanField::Kind => f(Seen::Kind(span.kind)),
            SpanField::Status => f(Seen::Status(span.status.code)),
            SpanField::StatusMessage => given(&span.status.message, f),
            SpanField::Duration => f(Seen::Int(span.duration_ns())),
            SpanField::TraceId => f(Seen::Text(&hex(&span.trace_id))),
            SpanField::SpanId => f(Seen::Text(&hex(&span.span_id))),
            SpanField::ParentId => span.parent_span_id != [0; 8] && f(Seen::Text(&hex(&span.parent_span_id))),
            SpanField::Root => f(Seen::Bool(span.parent_span_id == [0; 8])),
            SpanField::TraceState => given(&span.trace_state, f),
            SpanField::ScopeName => given(&origin.scope.name, f),
            SpanField::ScopeVersion => given(&origin.scope.version, f),
            SpanField::EventName => span.events.iter().any(|e| f(Seen::Text(&e.name))),
            SpanField::EventOffset => {
                let offset = |t: i64| t.saturating_sub(span.start_ns);
                span.events.iter().any(|e| f(Seen::Int(offset(e.timestamp_ns))))
            }
            SpanField::LinkTraceId => span.links.iter().any(|l| f(Seen::Text(&hex(&l.trace_id)))),
            SpanField::LinkSpanId => span.links.iter().any(|l| f(Seen::Text(&hex(&l.span_id)))),
        }
    }

    /// Whether the origin alone decides what stands in it.
    pub fn is_of_origin(&self) -> bool {
        matches!(
            self,
            SpanField::ScopeName
                | SpanField::ScopeVersion
                | SpanField::Attribute(SpanScope::Resource | SpanScope::Instrumentation, _)
        )
    }
}

fn any_attribute(
    scope: SpanScope,
    key: &str,
    span: &Span,
    origin: &SpanOrigin,
    f: &mut dyn FnMut(Seen<'_>) -> bool,
) -> bool {
    let mut of = |all: &Attributes| all.iter().any(|(k, v)| k == key && Seen::any_of(v, f));
    let is = |one| scope.takes_in(one);
    (is(SpanScope::Span) && of(&span.attributes))
        || (is(SpanScope::Resource) && of(&origin.resource.attributes))
        || (is(SpanScope::Event) && span.events.iter().any(|e| of(&e.attributes)))
        || (is(SpanScope::Link) && span.links.iter().any(|l| of(&l.attributes)))
        || (is(SpanScope::Instrumentation) && of(&origin.scope.attributes))
}

fn given(text: &str, f: &mut dyn FnMut(Seen<'_>) -> bool) -> bool {
    !text.is_empty() && f(Seen::Text(text))
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}
