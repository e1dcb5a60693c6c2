//! What is asked of spans: which, by conditions on their fields, and how much of each.

pub mod condition;
mod field;

use std::collections::BTreeSet;

use model::{AnyValue, Attributes, Signal, Span, SpanKind, StatusCode, span::SpanOrigin};

use crate::{Coverage, LabelNamesRequest, LabelValuesRequest, NamedField, Result, Scope, Select};
pub use condition::{Comparison, SpanCondition, SpanPattern, SpanTest};
pub use field::{Seen, SpanField, SpanScope, SpanValue};

/// Which spans, how many traces of them, and how much of each.
///
/// Implementations MUST apply `filters`, `any_of` and `trace_ids` exactly, as [`SpansRequest::passes`] does.
#[derive(Clone)]
pub struct SpansRequest {
    pub scope: Scope,
    /// When not empty: only spans of these traces.
    pub trace_ids: Vec<[u8; 16]>,
    /// All must hold for a span to be returned.
    pub filters: Vec<SpanFilter>,
    /// Alternatives, each a list of conditions that must all hold; for a span to be returned one of them must. Empty
    /// means everything, an empty alternative too.
    pub any_of: Vec<Vec<SpanCondition>>,
    /// Stop after this many distinct traces, newest first: a trace is as new as the newest of its spans that pass. Of
    /// the traces chosen every span that passes comes.
    pub max_traces: Option<usize>,
    /// What the caller reads of a span. Implementations MAY leave out the rest; conditions look at all of a span
    /// whatever stands here.
    pub wanted: SpanParts,
}

impl SpansRequest {
    /// All spans of the scope, whole.
    pub fn new(scope: Scope) -> Self {
        SpansRequest {
            scope,
            trace_ids: Vec::new(),
            filters: Vec::new(),
            any_of: Vec::new(),
            max_traces: None,
            wanted: SpanParts::everything(),
        }
    }

    /// Whether a span of the given origin meets filters and conditions; its time and trace are not looked at.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        self.filters.iter().all(|f| f.passes(span, origin)) && passes_any(&self.any_of, span, origin)
    }
}

/// Whether one of the alternatives holds; always where there is none.
pub fn passes_any(any_of: &[Vec<SpanCondition>], span: &Span, origin: &SpanOrigin) -> bool {
    any_of.is_empty() || any_of.iter().any(|all| all.iter().all(|c| c.passes(span, origin)))
}

/// Parts of a span that are costly to read. Ids, name, kind, times, status, origin and counts of what was dropped always
/// come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanParts {
    /// Keys of attributes of the span itself; `None`: all of them.
    pub attributes: Option<BTreeSet<String>>,
    pub events: bool,
    pub links: bool,
}

impl SpanParts {
    pub fn everything() -> Self {
        SpanParts { attributes: None, events: true, links: true }
    }

    /// None of them.
    pub fn least() -> Self {
        SpanParts { attributes: Some(BTreeSet::new()), events: false, links: false }
    }

    /// A span with what is wanted of it.
    pub fn of(&self, span: &Span) -> Span {
        let Some(keys) = &self.attributes else {
            let mut whole = span.clone();
            self.trim(&mut whole);
            return whole;
        };
        let own = span.attributes.0.iter().filter(|(k, _)| keys.contains(k)).cloned();
        Span {
            attributes: Attributes(own.collect()),
            events: if self.events { span.events.clone() } else { Vec::new() },
            links: if self.links { span.links.clone() } else { Vec::new() },
            trace_state: span.trace_state.clone(),
            name: span.name.clone(),
            status: span.status.clone(),
            ..*span
        }
    }

    /// Takes from a span what is not wanted.
    pub fn trim(&self, span: &mut Span) {
        if let Some(keys) = &self.attributes {
            span.attributes.0.retain(|(k, _)| keys.contains(k));
        }
        if !self.events {
            span.events.clear();
        }
        if !self.links {
            span.links.clear();
        }
    }
}

impl Default for SpanParts {
    fn default() -> Self {
        SpanParts::everything()
    }
}

/// A condition as Jaeger's API has them; [`SpanCondition`] says more.
#[derive(Debug, Clone, PartialEq)]
pub enum SpanFilter {
    Service(String),
    Name(String),
    Kind(SpanKind),
    /// A span, resource, scope, event or link attribute equals the value; compared by type where the query
    /// gave one, else by text.
    Attribute(String, AnyValue),
    MinDurationNs(i64),
    MaxDurationNs(i64),
    /// Status is error (`true`) or anything else (`false`).
    Error(bool),
}

impl SpanFilter {
    /// Whether a span of the given origin passes; what every implementation answers with.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        match self {
            SpanFilter::Service(s) => origin.service_name() == s,
            SpanFilter::Name(n) => span.name == *n,
            SpanFilter::Kind(k) => span.kind == *k,
            SpanFilter::MinDurationNs(d) => span.duration_ns() >= *d,
            SpanFilter::MaxDurationNs(d) => span.duration_ns() <= *d,
            SpanFilter::Error(e) => (span.status.code == StatusCode::Error) == *e,
            SpanFilter::Attribute(key, want) => {
                let same =
                    |v: &AnyValue| v == want || matches!(want, AnyValue::String(s) if v.to_string() == *s);
                [&span.attributes, &origin.resource.attributes, &origin.scope.attributes]
                    .into_iter()
                    .chain(span.events.iter().map(|e| &e.attributes))
                    .chain(span.links.iter().map(|l| &l.attributes))
                    .any(|attributes| attributes.iter().any(|(k, v)| k == key && same(v)))
            }
        }
    }
}

/// Which attributes there are.
#[derive(Clone)]
pub struct SpanKeysRequest {
    pub scope: Scope,
    /// Where to look; `Any`: everywhere.
    pub of: SpanScope,
    pub limit: Option<usize>,
}

/// Which values a field has.
#[derive(Clone)]
pub struct SpanValuesRequest {
    pub scope: Scope,
    pub field: SpanField,
    /// As in [`SpansRequest::any_of`]: values of spans that pass. Implementations MAY name values of others.
    pub any_of: Vec<Vec<SpanCondition>>,
    pub limit: Option<usize>,
}

/// [`Select::span_keys`] of one that does not tell where attributes stand.
pub async fn keys_by_name<S: Select + ?Sized>(
    select: &S,
    r: SpanKeysRequest,
) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
    let (scope, selectors, limit) = (r.scope, Vec::new(), r.limit);
    let names = LabelNamesRequest { scope, signal: Signal::TRACES, selectors, limit };
    let (names, coverage) = select.label_names(names).await?;
    Ok((names.into_iter().map(|n| (SpanScope::Any, n)).collect(), coverage))
}

/// [`Select::span_values`] of one that knows no types.
pub async fn values_by_text<S: Select + ?Sized>(
    select: &S,
    r: SpanValuesRequest,
) -> Result<(Vec<SpanValue>, Coverage)> {
    let field = match r.field {
        SpanField::Name => NamedField::Operation { service: None, kind: None },
        SpanField::Attribute(_, key) => NamedField::Attribute(key),
        _ => return Ok((Vec::new(), Coverage::default())),
    };
    let (scope, selectors, limit) = (r.scope, Vec::new(), r.limit);
    let values = LabelValuesRequest { scope, signal: Signal::TRACES, field, selectors, limit };
    let (values, coverage) = select.label_values(values).await?;
    Ok((values.into_iter().map(SpanValue::Text).collect(), coverage))
}

#[cfg(test)]
mod tests;
