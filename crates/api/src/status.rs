//! What an error becomes on the wire. The kind alone decides HTTP and gRPC status, retry and log level;
//! protocols whose clients read a status differently say so here and nowhere else.
//!
//! ```text
//! kind         HTTP  Prometheus             gRPC / OTLP         retry   log
//! Invalid      400   400 bad_data           INVALID_ARGUMENT    no      debug
//! Denied       403   403 forbidden          PERMISSION_DENIED   no      info
//! NotFound     404   404 not_found          NOT_FOUND           no      debug
//! Conflict     409   409 bad_data           ALREADY_EXISTS      no      debug
//! Limited      422   422 execution          INVALID_ARGUMENT    no      info
//! Unavailable  503   503 unavailable        UNAVAILABLE         yes     warn
//! Timeout      504   503 timeout            DEADLINE_EXCEEDED   yes     info
//! Corrupt      500   500 internal           DATA_LOSS           no      error
//! Internal     500   500 internal           INTERNAL            no      error
//! ```

use std::time::Duration;

use base::Kind;
use http::StatusCode;
use tonic::Code;

use crate::{Error, layers::Note};

/// How long a sender is told to wait before it sends again. Longer: a full queue on the sender's side after
/// a short overload. Shorter: the overload is fed by its own retries.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The status for clients that follow HTTP: OTLP, Jaeger, admin.
pub fn http(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Limited => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of a whole error: those that HTTP has an exact word for use it.
pub fn http_of(e: &Error) -> StatusCode {
    match e {
        Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::UnsupportedMedia(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        other => http(other.kind()),
    }
}

/// Prometheus' status and `errorType` (`web/api/v1`, `returnAPIError`). A timeout is 503 there.
pub fn prometheus(e: &Error) -> (StatusCode, &'static str) {
    match e.kind() {
        Kind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        Kind::Invalid | Kind::Conflict => (http_of(e), "bad_data"),
        Kind::Limited => (http_of(e), "execution"),
        Kind::Denied => (StatusCode::FORBIDDEN, "forbidden"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Kind::Corrupt | Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// Loki's query errors: what the query did wrong is 400, also a limit it reached.
pub fn loki_query(e: &Error) -> StatusCode {
    match e.kind() {
        Kind::Limited => StatusCode::BAD_REQUEST,
        _ => http_of(e),
    }
}

/// Remote write and Loki push, whose senders keep a request on 5xx and drop it on 4xx.
///
/// 429 is never used. Real Prometheus drops on it unless told otherwise; promtail, Alloy and Fluent Bit send
/// again on 429 and on 5xx alike, but 429 would tell their operators that a tenant's own rate limit was hit,
/// which is not what happened. A timeout may pass later, so it is 503 too; a limit on items never will.
pub fn push(e: &Error) -> StatusCode {
    match e.kind() {
        Kind::Unavailable | Kind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Limited if !matches!(e, Error::TooLarge(_)) => StatusCode::BAD_REQUEST,
        _ => http_of(e),
    }
}

/// OTLP over HTTP: only 429, 502, 503 and 504 are sent again ("Retryable Response Codes"). 429 when this node
/// is short of memory and a smaller rate would help, 503 for everything else that may pass.
pub fn otlp_http(e: &Error) -> StatusCode {
    match e {
        Error::Overloaded(_) => StatusCode::TOO_MANY_REQUESTS,
        other if other.kind() == Kind::Limited => StatusCode::PAYLOAD_TOO_LARGE,
        other => http_of(other),
    }
}

/// OTLP over gRPC, alike: RESOURCE_EXHAUSTED is sent again because it carries RetryInfo.
pub fn otlp_grpc(e: &Error) -> Code {
    match e {
        Error::Overloaded(_) => Code::ResourceExhausted,
        other => grpc(other.kind()),
    }
}

/// Elasticsearch's status and the type of its error. Its clients send again on 429 and 5xx; 429 when this node is short
/// of memory or of turns, 503 for everything else that may pass. Limits of a query are 400 there.
pub fn elasticsearch(e: &Error) -> (StatusCode, &'static str) {
    match (e, e.kind()) {
        (Error::Overloaded(_) | Error::QueueFull { .. }, _) => {
            (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception")
        }
        (Error::TooLarge(_), _) => (StatusCode::PAYLOAD_TOO_LARGE, "circuit_breaking_exception"),
        (Error::UnsupportedMedia(_), _) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_header_exception")
        }
        (Error::Incomplete(_), _) => (StatusCode::BAD_REQUEST, "action_request_validation_exception"),
        (_, Kind::Invalid) => (StatusCode::BAD_REQUEST, "illegal_argument_exception"),
        (_, Kind::Limited) => (StatusCode::BAD_REQUEST, "too_many_buckets_exception"),
        (_, Kind::Denied) => (StatusCode::FORBIDDEN, "security_exception"),
        (_, Kind::NotFound) => (StatusCode::NOT_FOUND, "resource_not_found_exception"),
        (_, Kind::Conflict) => (StatusCode::CONFLICT, "version_conflict_engine_exception"),
        (_, Kind::Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_shards_exception"),
        (_, Kind::Timeout) => (StatusCode::GATEWAY_TIMEOUT, "timeout_exception"),
        (_, Kind::Corrupt | Kind::Internal) => (StatusCode::INTERNAL_SERVER_ERROR, "exception"),
    }
}

/// Whether the same request may succeed later unchanged.
pub fn is_retryable(e: &Error) -> bool {
    e.kind().is_retryable()
}

/// gRPC status.
pub fn grpc(kind: Kind) -> Code {
    match kind {
        Kind::Invalid | Kind::Limited => Code::InvalidArgument,
        Kind::Denied => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::AlreadyExists,
        Kind::Unavailable => Code::Unavailable,
        Kind::Timeout => Code::DeadlineExceeded,
        Kind::Corrupt => Code::DataLoss,
        Kind::Internal => Code::Internal,
    }
}

/// Logs an error at the level its kind deserves. `left_out` equal ones came before and were not logged.
pub fn log(note: &Note, method: &str, route: &str, left_out: u64) {
    let (kind, error) = (note.kind.as_str(), note.message.as_str());
    match note.kind {
        Kind::Invalid | Kind::NotFound | Kind::Conflict => {
            tracing::debug!(method, route, kind, error, left_out, "request refused");
        }
        Kind::Denied | Kind::Limited | Kind::Timeout => {
            tracing::info!(method, route, kind, error, left_out, "request refused");
        }
        Kind::Unavailable => tracing::warn!(method, route, kind, error, left_out, "request refused"),
        Kind::Corrupt | Kind::Internal => {
            tracing::error!(method, route, kind, error, left_out, "request went wrong");
        }
    }
}
