//! A span's status out of its tags. The error tag says whether it failed; without it OpenTelemetry's own tags, and
//! without those the HTTP status.

use model::{AnyValue, Attributes, SpanKind, SpanStatus, StatusCode};

use crate::spans::tags::{STATUS_DESCRIPTION, status_code, take, take_text};

const ERROR: &str = "error";
const HTTP_MESSAGE: &str = "http.status_message";
const HTTP_CODES: [&str; 2] = ["http.response.status_code", "http.status_code"];

/// Takes out of the tags what the status says then.
pub(super) fn status(tags: &mut Attributes, kind: SpanKind) -> SpanStatus {
    let failed = is_true(tags.get(ERROR));
    let code = status_code(tags);
    let mut status = SpanStatus::default();
    if failed {
        take(tags, ERROR);
        status.code = StatusCode::Error;
        let http = tags.get_str(HTTP_MESSAGE).unwrap_or_default().to_owned();
        status.message = take_text(tags, STATUS_DESCRIPTION).unwrap_or(http);
    } else if let Some(code) = code {
        status.code = code;
        status.message = take_text(tags, STATUS_DESCRIPTION).unwrap_or_default();
    } else if HTTP_CODES.iter().any(|key| fails(tags.get(key), kind)) {
        status.code = StatusCode::Error;
        status.message = tags.get_str(HTTP_MESSAGE).unwrap_or_default().to_owned();
    }
    status
}

/// Clients of OpenTracing write the tag as a boolean, and now and then as a text.
fn is_true(error: Option<&AnyValue>) -> bool {
    match error {
        Some(AnyValue::Bool(b)) => *b,
        Some(AnyValue::String(s)) => s.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// Whether an HTTP status makes the span a failed one: what went wrong by the caller's fault is no failure of a server
/// (semantic conventions for HTTP spans, "Status").
fn fails(code: Option<&AnyValue>, kind: SpanKind) -> bool {
    let code = match code {
        Some(AnyValue::Int(n)) => *n,
        Some(AnyValue::String(s)) => match s.parse() {
            Ok(n) => n,
            Err(_) => return false,
        },
        _ => return false,
    };
    match code {
        100..400 => false,
        400..500 => kind != SpanKind::Server,
        _ => true,
    }
}
