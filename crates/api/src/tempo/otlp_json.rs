//! Spans as Tempo's JSON has them: OTLP's messages as the protobuf library of Go writes them, with ids in base64 and
//! kinds by name, where OTLP's own JSON has hexadecimal and numbers.

use proto::otlp::trace::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link, SpanKind},
    status::StatusCode,
};

use super::json::{bytes, key_value, number, text};
use crate::prom::json::Writer;

pub(super) fn resource_spans(w: &mut Writer, r: &ResourceSpans) {
    w.raw("{\"resource\":{");
    if let Some(resource) = &r.resource {
        w.raw("\"attributes\":").list(&resource.attributes, key_value);
        number(w, "droppedAttributesCount", resource.dropped_attributes_count.into());
    }
    w.raw("},\"scopeSpans\":").list(&r.scope_spans, scope_spans);
    text(w, "schemaUrl", &r.schema_url);
    w.raw("}");
}

fn scope_spans(w: &mut Writer, s: &ScopeSpans) {
    w.raw("{");
    if let Some(scope) = &s.scope {
        w.raw("\"scope\":{\"name\":").string(&scope.name);
        text(w, "version", &scope.version);
        if !scope.attributes.is_empty() {
            w.raw(",\"attributes\":").list(&scope.attributes, key_value);
        }
        number(w, "droppedAttributesCount", scope.dropped_attributes_count.into());
        w.raw("},");
    }
    w.raw("\"spans\":").list(&s.spans, span);
    text(w, "schemaUrl", &s.schema_url);
    w.raw("}");
}

fn span(w: &mut Writer, s: &Span) {
    w.raw("{\"traceId\":");
    bytes(w, &s.trace_id);
    w.raw(",\"spanId\":");
    bytes(w, &s.span_id);
    text(w, "traceState", &s.trace_state);
    if !s.parent_span_id.is_empty() {
        w.raw(",\"parentSpanId\":");
        bytes(w, &s.parent_span_id);
    }
    number(w, "flags", s.flags.into());
    text(w, "name", &s.name);
    if let Some(kind) = SpanKind::try_from(s.kind).ok().filter(|k| *k != SpanKind::Unspecified) {
        w.raw(",\"kind\":").string(kind.as_str_name());
    }
    time(w, "startTimeUnixNano", s.start_time_unix_nano);
    time(w, "endTimeUnixNano", s.end_time_unix_nano);
    if !s.attributes.is_empty() {
        w.raw(",\"attributes\":").list(&s.attributes, key_value);
    }
    number(w, "droppedAttributesCount", s.dropped_attributes_count.into());
    if !s.events.is_empty() {
        w.raw(",\"events\":").list(&s.events, event);
    }
    number(w, "droppedEventsCount", s.dropped_events_count.into());
    if !s.links.is_empty() {
        w.raw(",\"links\":").list(&s.links, link);
    }
    number(w, "droppedLinksCount", s.dropped_links_count.into());
    status(w, s.status.as_ref());
    w.raw("}");
}

fn time(w: &mut Writer, name: &str, ns: u64) {
    w.raw(",\"").raw(name).raw("\":\"").raw(&ns.to_string()).raw("\"");
}

fn status(w: &mut Writer, status: Option<&Status>) {
    let Some(status) = status else { return };
    w.raw(",\"status\":{");
    if !status.message.is_empty() {
        w.raw("\"message\":").string(&status.message);
    }
    if let Some(code) = StatusCode::try_from(status.code).ok().filter(|c| *c != StatusCode::Unset) {
        w.raw(if status.message.is_empty() { "\"code\":" } else { ",\"code\":" });
        w.string(code.as_str_name());
    }
    w.raw("}");
}

fn event(w: &mut Writer, e: &Event) {
    w.raw("{\"timeUnixNano\":\"").raw(&e.time_unix_nano.to_string()).raw("\"");
    text(w, "name", &e.name);
    if !e.attributes.is_empty() {
        w.raw(",\"attributes\":").list(&e.attributes, key_value);
    }
    number(w, "droppedAttributesCount", e.dropped_attributes_count.into());
    w.raw("}");
}

fn link(w: &mut Writer, l: &Link) {
    w.raw("{\"traceId\":");
    bytes(w, &l.trace_id);
    w.raw(",\"spanId\":");
    bytes(w, &l.span_id);
    text(w, "traceState", &l.trace_state);
    if !l.attributes.is_empty() {
        w.raw(",\"attributes\":").list(&l.attributes, key_value);
    }
    number(w, "droppedAttributesCount", l.dropped_attributes_count.into());
    number(w, "flags", l.flags.into());
    w.raw("}");
}
