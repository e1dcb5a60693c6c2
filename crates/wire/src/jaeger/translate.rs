//! One span: references become parent and links, tags become fields where there is one, logs become events.

use model::{AnyValue, Attributes, Span, SpanEvent, SpanLink, attributes::Scope};

use super::{Log, Reference, Source, status};
use crate::spans::tags;

/// Jaeger's flags (`model/v1/flags.go` of jaeger-idl). A span that was traced for debugging was sampled too.
const SAMPLED_OR_DEBUG: u32 = 1 | 2;
/// The bit of OTLP's flags, which are W3C's.
const SAMPLED: u32 = 1;
/// Names the kind of a reference that became a link (semantic conventions, "OpenTracing compatibility").
const REF_TYPE: &str = "opentracing.ref_type";
/// Where Jaeger 2 keeps what it found wrong with a span.
const WARNINGS: &str = "@jaeger@warnings";
/// The field of a log that names the event.
const EVENT: &str = "event";

pub(super) fn span(source: Source) -> (Scope, Span) {
    let parent_span_id = parent(&source);
    let mut tags = source.tags;
    let scope = tags::scope(&mut tags);
    let mut span = Span {
        trace_id: source.trace_id,
        span_id: source.span_id,
        parent_span_id,
        flags: if source.flags & SAMPLED_OR_DEBUG == 0 { 0 } else { SAMPLED },
        name: source.name,
        kind: tags::kind(&mut tags).unwrap_or_default(),
        start_ns: source.start_ns,
        end_ns: source.start_ns.saturating_add(source.duration_ns),
        events: source.logs.into_iter().map(event).collect(),
        ..Span::default()
    };
    let is_parent =
        |r: &Reference| !r.follows && r.span_id == parent_span_id && r.trace_id == source.trace_id;
    span.links = source.references.iter().filter(|r| !is_parent(r)).map(link).collect();
    span.status = status::status(&mut tags, span.kind);
    tags::fields(&mut tags, &mut span);
    if !source.warnings.is_empty() {
        let warnings = source.warnings.into_iter().map(AnyValue::String).collect();
        tags.0.push((WARNINGS.to_owned(), AnyValue::Array(warnings)));
    }
    span.attributes = tags;
    (scope, span)
}

/// The parent that is named, else the first span of the same trace that this one is a child of, else the first that it
/// follows from (`model/v1/span.go` of jaeger-idl).
fn parent(source: &Source) -> [u8; 8] {
    if source.parent_span_id != [0; 8] {
        return source.parent_span_id;
    }
    let same = || source.references.iter().filter(|r| r.trace_id == source.trace_id);
    let found = same().find(|r| !r.follows).or_else(|| same().next());
    found.map_or([0; 8], |r| r.span_id)
}

fn link(reference: &Reference) -> SpanLink {
    let kind = if reference.follows { "follows_from" } else { "child_of" };
    SpanLink {
        trace_id: reference.trace_id,
        span_id: reference.span_id,
        attributes: Attributes::from_iter([(REF_TYPE, kind)]),
        ..SpanLink::default()
    }
}

fn event(log: Log) -> SpanEvent {
    let mut fields = log.fields;
    let name = tags::take_text(&mut fields, EVENT).unwrap_or_default();
    let dropped_attributes = tags::dropped_attributes(&mut fields);
    SpanEvent { timestamp_ns: log.timestamp_ns, name, attributes: fields, dropped_attributes }
}
