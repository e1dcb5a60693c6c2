//! The Jaeger query API as its UI and Grafana use it (`jaegertracing.io/docs` → "HTTP JSON", the UI's internal
//! model in `idl` and `model/json`): services, operations, search and traces.
//!
//! Mounted under `/jaeger/api`, where Jaeger's UI looks with a base path, and under `/api`, where everything else
//! does; none of its paths is one of Prometheus' `/api/v1`. What we add to answers is the field `coverage`.

mod find;
mod names;
mod search;
mod tags;
mod trace;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use base::memory::Reservation;
use contract::Coverage;
use http::StatusCode;
use serde::Serialize;

use crate::{
    AppState, Error, ask,
    body::Outgoing,
    coverage, layers,
    prom::{json::Writer, json_response},
    status,
};

pub type Ask = ask::Ask<JaegerError>;

/// The query routes, under both of their roots.
pub fn routes() -> Router<AppState> {
    ["/jaeger/api", "/api"].into_iter().fold(Router::new(), |routes, root| {
        routes
            .route(&format!("{root}/services"), get(names::services))
            .route(&format!("{root}/services/{{service}}/operations"), get(names::operations_of))
            .route(&format!("{root}/operations"), get(names::operations))
            .route(&format!("{root}/traces"), get(find::traces))
            .route(&format!("{root}/traces/{{id}}"), get(find::trace))
    })
}

/// An error in Jaeger's shape.
#[derive(Debug)]
pub struct JaegerError(pub Error);

impl<E: Into<Error>> From<E> for JaegerError {
    fn from(e: E) -> Self {
        JaegerError(e.into())
    }
}

impl IntoResponse for JaegerError {
    fn into_response(self) -> Response {
        let code = status::http_of(&self.0);
        let mut w = Writer::default();
        w.raw("{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":[{\"code\":");
        w.raw(&code.as_u16().to_string()).raw(",\"msg\":").string(&self.0.to_string()).raw("}]}");
        layers::finish_error(json_response(code, w.0.into()), &self.0)
    }
}

/// A problem with a part of an answer that is there.
#[derive(Debug, Clone, Serialize)]
struct UiError {
    code: u16,
    msg: String,
    #[serde(rename = "traceID", skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// A successful answer: `data` is JSON already.
struct Answered {
    data: Vec<u8>,
    /// How many names there are; search answers leave it at 0, as Jaeger does.
    total: usize,
    errors: Vec<UiError>,
    coverage: Coverage,
    /// What the answer occupies.
    memory: Option<Reservation>,
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|e| Error::new(base::Kind::Internal, format!("the answer has no JSON form: {e}")))
}

impl crate::ask::Covered for Answered {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl IntoResponse for Answered {
    fn into_response(mut self) -> Response {
        let incomplete = coverage::warnings(&self.coverage).into_iter();
        self.errors.extend(incomplete.map(|msg| UiError { code: 206, msg, trace_id: None }));
        let mut w = Writer(Vec::with_capacity(self.data.len() + 512));
        w.raw("{\"data\":");
        w.0.append(&mut self.data);
        w.raw(",\"total\":").raw(&self.total.to_string()).raw(",\"limit\":0,\"offset\":0,\"errors\":");
        match serde_json::to_string(&self.errors) {
            Ok(errors) if !self.errors.is_empty() => w.raw(&errors),
            _ => w.raw("null"),
        };
        w.raw(",\"coverage\":").raw(&coverage::to_json(&self.coverage).to_string()).raw("}");
        let mut response = json_response(StatusCode::OK, Outgoing::body(w.0, self.memory));
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}
