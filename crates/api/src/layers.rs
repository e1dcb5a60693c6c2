//! What every request passes before and after its handler: panics caught, counted, timed, traced, logged.
//!
//! One function does it in the order it is read: [`observe`]. Compression and CORS stand around it in
//! [`crate::router`]; bodies and queries are bounded where they are read and run ([`crate::body`],
//! [`crate::gate`]), so that a cheap route is never held up by a dear one.

mod trace;

use std::{collections::HashMap, panic::AssertUnwindSafe, time::Duration, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base::{
    Kind, Metrics,
    metrics::{Counters, Latencies, pair},
};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use tracing::Instrument;

use crate::{AppState, Error, status};

/// What an error response carries inside the process, so that it is logged once and in one place.
#[derive(Clone)]
pub struct Note {
    pub kind: Kind,
    pub message: String,
}

/// The API's own counters and the memory of what was logged lately.
pub struct HttpMetrics {
    requests: Counters,
    duration: Latencies,
    panics: Counters,
    errors: Counters,
    logged: Mutex<HashMap<Kind, (Instant, u64)>>,
}

/// One line per kind of error and this long; how many were left out stands in the next.
const LOG_EVERY: Duration = Duration::from_secs(5);

impl HttpMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        HttpMetrics {
            requests: metrics.counters("http_requests", "Requests by route, method and status code."),
            duration: metrics.latencies("http_request_duration", "Time from request head to response head."),
            panics: metrics.counters("http_panics", "Handlers that panicked; each is a defect."),
            errors: metrics.counters("http_errors", "Requests answered with an error, by its kind."),
            logged: Mutex::default(),
        }
    }

    /// How many lines of this kind were left out since the last one, or `None` when this one is left out too.
    fn may_log(&self, kind: Kind, now: Instant) -> Option<u64> {
        let mut logged = self.logged.lock();
        match logged.get_mut(&kind) {
            Some((last, left_out)) if now.duration_since(*last) < LOG_EVERY => {
                *left_out += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                logged.insert(kind, (now, 0));
                Some(0)
            }
        }
    }
}

/// Surrounds every handler.
pub async fn observe(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let span = trace::span(&request, method, &route);
    let mut count =
        Count { state: &state, route: &route, method, began: state.clock.monotonic(), code: None };

    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = handled.unwrap_or_else(|panic| {
        let what = panic_text(&*panic);
        state.http().panics.get_or_create(&pair("handler", route.as_str())).inc();
        plain_error(
            &Error::new(Kind::Internal, format!("the handler panicked: {what}")),
            StatusCode::INTERNAL_SERVER_ERROR,
        )
    });
    guard_sniffing(&mut response);
    count.code = Some(code_of(&response));
    trace::finish(&span, &response);
    if let Some(note) = response.extensions_mut().remove::<Note>() {
        state.http().errors.get_or_create(&pair("kind", note.kind.as_str())).inc();
        if let Some(left_out) = state.http().may_log(note.kind, state.clock.monotonic()) {
            span.in_scope(|| status::log(&note, method, &route, left_out));
        }
    }
    response
}

/// Counts on drop, so that requests whose client went away are counted too.
struct Count<'a> {
    state: &'a AppState,
    route: &'a str,
    method: &'static str,
    began: Instant,
    code: Option<String>,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        // 499 is what nginx and Prometheus write for a client that did not wait.
        let code = self.code.take().unwrap_or_else(|| "499".to_owned());
        let http = self.state.http();
        let took = self.state.clock.monotonic().duration_since(self.began);
        let labels =
            vec![("handler", self.route.to_owned()), ("method", self.method.to_owned()), ("code", code)];
        http.requests.get_or_create(&labels).inc();
        http.duration.get_or_create(&pair("handler", self.route)).observe(took.as_secs_f64());
    }
}

/// The status, or `grpc-14` and the like where a gRPC call failed under its HTTP 200.
fn code_of(response: &Response) -> String {
    match response.headers().get("grpc-status").and_then(|v| v.to_str().ok()) {
        Some(code) if code != "0" => format!("grpc-{code}"),
        _ => response.status().as_u16().to_string(),
    }
}

/// Methods are a closed set, since each becomes a metric label.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Error texts quote the request; no browser may take them for a page.
fn guard_sniffing(response: &mut Response) {
    const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
    response.headers_mut().entry(NOSNIFF).or_insert(HeaderValue::from_static("nosniff"));
}

/// An error as one line of text, for protocols without a shape of their own.
pub fn plain_error(e: &Error, code: StatusCode) -> Response {
    finish_error((code, format!("{e}\n")).into_response(), e)
}

/// Adds what every error response has: the note for the log, and when to come back.
pub fn finish_error(mut response: Response, e: &Error) -> Response {
    response.extensions_mut().insert(Note { kind: e.kind(), message: e.to_string() });
    let code = response.status();
    if code == StatusCode::SERVICE_UNAVAILABLE || code == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(status::RETRY_AFTER.as_secs()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_equal_errors_one_line_is_logged_and_the_rest_counted() {
        let m = HttpMetrics::new(&Metrics::default());
        let t = Instant::now();
        assert_eq!(m.may_log(Kind::Unavailable, t), Some(0));
        assert_eq!(m.may_log(Kind::Unavailable, t), None);
        assert_eq!(m.may_log(Kind::Internal, t), Some(0));
        assert_eq!(m.may_log(Kind::Unavailable, t + LOG_EVERY), Some(1));
    }
}
