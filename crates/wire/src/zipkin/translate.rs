//! One span: its endpoints, annotations and tags become what OpenTelemetry has for them.

use model::{AnyValue, Attributes, Span, SpanKind, SpanStatus, StatusCode};

use super::{Endpoint, Source, packed, resource};
use crate::spans::{Gathered, tags};

const ERROR: &str = "error";
const PEER_SERVICE: &str = "peer.service";
/// Attributes for address and port of an endpoint.
const LOCAL: [&str; 2] = ["net.host.ip", "net.host.port"];
const REMOTE: [&str; 2] = ["net.peer.ip", "net.peer.port"];
const SHARED: &str = "zipkin.shared";
const START_ABSENT: &str = "otel.zipkin.absentField.startTime";
/// A longer text of an error, a stack trace say, stays a tag: as a message it would be in every list of spans.
const MAX_MESSAGE_BYTES: usize = 4 << 10;
/// OTLP's flag for a sampled span; one that is traced for debugging is sampled whatever else holds.
const SAMPLED: u32 = 1;

/// Adds the span to those of its request.
pub(super) fn push(into: &mut Gathered<'_>, source: Source, received_ns: i64) {
    let mut attributes = source.tags;
    let resource = resource::resource(&source.local.service, &mut attributes);
    let scope = tags::scope(&mut attributes);
    let first = source.annotations.iter().map(|(at, _)| *at).filter(|at| *at > 0).min();
    let start_us = Some(source.timestamp_us).filter(|at| *at > 0);
    let start_ns = start_us.or(first).map(ns).unwrap_or(received_ns);
    let mut span = Span {
        trace_id: source.trace_id,
        span_id: source.id,
        // A span is not its own parent, whatever it says.
        parent_span_id: if source.parent_id == source.id { [0; 8] } else { source.parent_id },
        flags: if source.debug { SAMPLED } else { 0 },
        name: source.name,
        kind: kind(source.kind, &mut attributes),
        start_ns,
        end_ns: start_ns.saturating_add(ns(source.duration_us)),
        events: source.annotations.into_iter().map(|(at, text)| packed::event(ns(at), text)).collect(),
        links: packed::links(&mut attributes),
        status: status(&mut attributes),
        ..Span::default()
    };
    tags::fields(&mut attributes, &mut span);
    endpoint(&mut attributes, &source.local, LOCAL);
    if !source.remote.service.is_empty() {
        put(&mut attributes, PEER_SERVICE, source.remote.service.as_str().into());
    }
    endpoint(&mut attributes, &source.remote, REMOTE);
    if source.shared {
        attributes.push(SHARED, true);
    }
    if start_us.is_none() {
        attributes.push(START_ABSENT, true);
    }
    span.attributes = attributes;
    into.push(&resource, scope, span, start_us.or(first).is_some());
}

/// Zipkin has no word for a span inside of a service; OpenTelemetry writes it as a tag.
fn kind(named: SpanKind, attributes: &mut Attributes) -> SpanKind {
    match named {
        SpanKind::Unspecified => tags::kind(attributes).unwrap_or_default(),
        named => named,
    }
}

/// Zipkin's tag is there where the span failed and says how; exporters also write it empty or as `true`. OpenTelemetry's
/// own description is the message where there is one, and a tag that says something else then stays.
fn status(attributes: &mut Attributes) -> SpanStatus {
    let code = tags::status_code(attributes);
    let description = code.and_then(|_| tags::take_text(attributes, tags::STATUS_DESCRIPTION));
    let mut status = SpanStatus { code: code.unwrap_or_default(), message: description.unwrap_or_default() };
    let error = match attributes.get(ERROR) {
        Some(AnyValue::String(s)) => s.clone(),
        Some(AnyValue::Bool(b)) => b.to_string(),
        _ => return status,
    };
    if error == "false" {
        return status;
    }
    status.code = StatusCode::Error;
    let says_more = !error.is_empty() && error != "true" && error != status.message;
    if says_more && (!status.message.is_empty() || error.len() > MAX_MESSAGE_BYTES) {
        return status;
    }
    if says_more {
        status.message = error;
    }
    tags::take(attributes, ERROR);
    status
}

fn endpoint(attributes: &mut Attributes, of: &Endpoint, [ip, port]: [&str; 2]) {
    if !of.ipv4.is_empty() {
        put(attributes, ip, of.ipv4.as_str().into());
    }
    // Of two addresses both are kept, the older kind first.
    match (of.ipv4.is_empty(), of.ipv6.is_empty()) {
        (_, true) => {}
        (true, false) => put(attributes, ip, of.ipv6.as_str().into()),
        (false, false) => attributes.push(ip, of.ipv6.as_str()),
    }
    if of.port > 0 {
        put(attributes, port, i64::from(of.port).into());
    }
}

/// What Zipkin has a field for wins over a tag of that name.
fn put(attributes: &mut Attributes, key: &str, value: AnyValue) {
    attributes.0.retain(|(k, _)| k != key);
    attributes.0.push((key.to_owned(), value));
}

/// Zipkin counts in microseconds.
fn ns(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX).saturating_mul(1000)
}
