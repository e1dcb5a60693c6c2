//! What OpenTelemetry writes into the tags of formats that have no field for it
//! (`opentelemetry.io/docs/specs/otel/common/mapping-to-non-otlp`), taken out of them again.

use model::{AnyValue, Attributes, Span, SpanKind, StatusCode, attributes::Scope};

pub(crate) const STATUS_CODE: &str = "otel.status_code";
pub(crate) const STATUS_DESCRIPTION: &str = "otel.status_description";
pub(crate) const SPAN_KIND: &str = "span.kind";
const TRACE_STATE: &str = "w3c.tracestate";
/// The names of today and those of before 2022; some exporters write both.
const SCOPE_NAME: [&str; 2] = ["otel.scope.name", "otel.library.name"];
const SCOPE_VERSION: [&str; 2] = ["otel.scope.version", "otel.library.version"];
const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";

/// Takes the first value of a key out.
pub(crate) fn take(tags: &mut Attributes, key: &str) -> Option<AnyValue> {
    let at = tags.iter().position(|(k, _)| k == key)?;
    Some(tags.0.remove(at).1)
}

/// Takes a key out where its first value is a text.
pub(crate) fn take_text(tags: &mut Attributes, key: &str) -> Option<String> {
    tags.get_str(key)?;
    match take(tags, key)? {
        AnyValue::String(s) => Some(s),
        _ => None,
    }
}

/// The instrumentation scope, whose own attributes no such format carries.
pub(crate) fn scope(tags: &mut Attributes) -> Scope {
    let mut first = |keys: [&str; 2]| {
        let [new, old] = keys.map(|k| take_text(tags, k));
        new.or(old).unwrap_or_default()
    };
    Scope { name: first(SCOPE_NAME), version: first(SCOPE_VERSION), ..Scope::default() }
}

/// Trace state and counts of what the sender dropped.
pub(crate) fn fields(tags: &mut Attributes, span: &mut Span) {
    if let Some(state) = take_text(tags, TRACE_STATE) {
        span.trace_state = state;
    }
    span.dropped_attributes = dropped_attributes(tags);
    span.dropped_events = count(tags, "otel.dropped_events_count");
    span.dropped_links = count(tags, "otel.dropped_links_count");
}

pub(crate) fn dropped_attributes(tags: &mut Attributes) -> u32 {
    count(tags, DROPPED_ATTRIBUTES)
}

/// Takes a count out, a number or a text of one; what is neither stays.
fn count(tags: &mut Attributes, key: &str) -> u32 {
    let n = match tags.get(key) {
        Some(AnyValue::Int(n)) => u32::try_from(*n).ok(),
        Some(AnyValue::String(s)) => s.parse().ok(),
        _ => None,
    };
    if n.is_some() {
        take(tags, key);
    }
    n.unwrap_or_default()
}

/// Takes the status code out; what is no code stays. Exporters write `ERROR`, the collector `STATUS_CODE_ERROR` or `Error`.
pub(crate) fn status_code(tags: &mut Attributes) -> Option<StatusCode> {
    let text = tags.get_str(STATUS_CODE)?.to_ascii_uppercase();
    let code = match text.strip_prefix("STATUS_CODE_").unwrap_or(&text) {
        "OK" => StatusCode::Ok,
        "ERROR" => StatusCode::Error,
        "UNSET" => StatusCode::Unset,
        _ => return None,
    };
    take(tags, STATUS_CODE);
    Some(code)
}

/// Takes the kind out; what is no kind stays.
pub(crate) fn kind(tags: &mut Attributes) -> Option<SpanKind> {
    let kind = match tags.get_str(SPAN_KIND)?.to_ascii_lowercase().as_str() {
        "internal" => SpanKind::Internal,
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        "unspecified" => SpanKind::Unspecified,
        _ => return None,
    };
    take(tags, SPAN_KIND);
    Some(kind)
}
