//! Jaeger's query APIs (`jaegertracing.io/docs` → "APIs"), all of them over the same search and the same spans:
//!
//! | API | where | starts at |
//! |---|---|---|
//! | version 1, HTTP, as Jaeger's UI and Grafana use it | `/jaeger/api`, `/api` | [`find`], [`names`], [`links`], [`red`] |
//! | version 3, HTTP | `/jaeger/api/v3`, `/api/v3` | [`v3`] |
//! | version 3, gRPC (`jaeger.api_v3.QueryService`) | the ports of gRPC | [`grpc`] |
//! | remote storage (`jaeger.storage.v2`), so that a Jaeger can have its traces here | the ports of gRPC | [`grpc`] |
//!
//! Under `/jaeger` Jaeger's UI looks with a base path, and without it everything else; none of the paths is one of
//! Prometheus' `/api/v1`. What we add to version 1 is the field `coverage`. Elsewhere clients read protobuf's JSON, some
//! of which refuse a field they do not know: there the header says it, and spans of traces that may not be whole carry
//! a warning.

mod adjust;
mod asked;
mod filter;
mod find;
mod gathered;
mod grpc;
mod links;
mod loaded;
mod names;
mod pieces;
mod reads;
mod red;
mod search;
mod summary;
mod tags;
mod trace;
mod v3;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base::memory::Reservation;
use contract::Coverage;
use http::StatusCode;
use serde::Serialize;

use crate::{
    AppState, Error, ask,
    body::Outgoing,
    coverage, layers,
    params::Params,
    prom::{json::Writer, json_response},
    status,
};

pub(crate) use find::trace;
pub use grpc::routes as grpc_routes;

pub type Ask = ask::Ask<JaegerError>;

/// The query routes, under both of their roots.
pub fn routes() -> Router<AppState> {
    ["/jaeger/api", "/api"]
        .into_iter()
        .fold(Router::new(), |routes, root| {
            routes
                .route(&format!("{root}/services"), get(names::services))
                .route(&format!("{root}/services/{{service}}/operations"), get(names::operations_of))
                .route(&format!("{root}/operations"), get(names::operations))
                .route(&format!("{root}/traces"), get(find::traces))
                .route(&format!("{root}/dependencies"), get(links::dependencies))
                .route(&format!("{root}/metrics/latencies"), get(red::latencies))
                .route(&format!("{root}/metrics/calls"), get(red::calls))
                .route(&format!("{root}/metrics/errors"), get(red::errors))
                .route(&format!("{root}/metrics/minstep"), get(red::min_step))
                .route(&format!("{root}/archive/{{id}}"), post(loaded::archive))
                .route(&format!("{root}/transform"), post(loaded::transform))
                .merge(v3::routes(root))
        })
        // The same path without its prefix is Tempo's too; `tempo` tells who asks.
        .route("/jaeger/api/traces/{id}", get(find::trace))
        // Elsewhere the path is a collector's.
        .route("/jaeger/api/traces", post(loaded::upload))
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
#[derive(Default)]
pub(crate) struct Answered {
    data: Vec<u8>,
    /// How many names there are; search answers leave it at 0, as Jaeger does.
    total: usize,
    errors: Vec<UiError>,
    /// What to know about an answer that is right.
    notes: Vec<String>,
    coverage: Coverage,
    /// For people to read.
    pretty: bool,
    /// What the answer occupies.
    memory: Option<Reservation>,
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|e| Error::new(base::Kind::Internal, format!("the answer has no JSON form: {e}")))
}

/// Whether an answer is to be read by people.
fn pretty(params: &Params) -> bool {
    params.get("prettyPrint").is_some_and(|v| v != "false")
}

/// The same JSON with a line for each value.
fn indented(json: Vec<u8>, pretty: bool) -> Vec<u8> {
    if !pretty {
        return json;
    }
    let value: Result<serde_json::Value, _> = serde_json::from_slice(&json);
    value.and_then(|v| serde_json::to_vec_pretty(&v)).unwrap_or(json)
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
        if !self.notes.is_empty() {
            w.raw(",\"warnings\":").strings(&self.notes);
        }
        w.raw(",\"coverage\":").raw(&coverage::to_json(&self.coverage).to_string()).raw("}");
        let body = Outgoing::body(indented(w.0, self.pretty), self.memory);
        let mut response = json_response(StatusCode::OK, body);
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}
