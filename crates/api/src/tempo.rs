//! Tempo's query API (`grafana.com/docs/tempo/latest/api_docs`): traces by id, search, tags and their values, TraceQL
//! metrics, over HTTP and, streaming, over gRPC (`tempopb.StreamingQuerier`).
//!
//! Mounted at the root, where Tempo has it, and under `/tempo` for data sources that want a place of their own. Of its
//! paths one is Jaeger's too, `/api/traces/{id}`: at the root whoever asks for Tempo's media types by name gets Tempo's
//! answer, everybody else Jaeger's ([`by_id::either`]). Errors are text with a status, as Tempo's are.
//!
//! An answer is built as Tempo's message and then written in the form that was asked for ([`form`]). Of sources asked
//! and answered its `metrics` say `totalJobs` and `completedJobs`.

mod by_id;
mod fitting;
mod form;
mod gathered;
mod grpc;
mod json;
mod legacy;
mod message;
mod metrics;
mod names;
mod otlp_json;
mod params;
mod search;
mod values;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use base::{
    MemoryBudget,
    memory::{Reservation, Use},
};
use contract::Coverage;
use http::{StatusCode, header};
use prost::Message;
use serde_json::json;

use crate::{
    AppState, Error, ask,
    body::Outgoing,
    coverage, layers,
    prom::{json::Writer, json_response},
    status,
};
use form::Form;
use json::Members;

pub(crate) use grpc::routes as grpc_routes;

pub type Ask = ask::Ask<TempoError>;

/// The query routes, under both of their roots.
pub fn routes() -> Router<AppState> {
    let both = ["", "/tempo"].into_iter().fold(Router::new(), |routes, root| {
        let at = |path: &str| format!("{root}/api/{path}");
        routes
            .route(&at("echo"), get(echo))
            .route(&at("status/buildinfo"), get(build_info))
            .route(&at("v2/traces/{id}"), get(by_id::v2))
            .route(&at("search"), get(search::search))
            .route(&at("search/tags"), get(names::tags))
            .route(&at("v2/search/tags"), get(names::tags_v2))
            // A tag may hold slashes, so that what ends the path is not a part of the pattern.
            .route(&at("search/tag/{*tag_values}"), get(values::values))
            .route(&at("v2/search/tag/{*tag_values}"), get(values::values_v2))
            .route(&at("metrics/query_range"), get(metrics::range))
            .route(&at("metrics/query"), get(metrics::instant))
    });
    both.route("/api/traces/{id}", get(by_id::either)).route("/tempo/api/traces/{id}", get(by_id::v1))
}

/// An error in Tempo's shape.
#[derive(Debug)]
pub struct TempoError(pub Error);

impl<E: Into<Error>> From<E> for TempoError {
    fn from(e: E) -> Self {
        TempoError(e.into())
    }
}

impl IntoResponse for TempoError {
    fn into_response(self) -> Response {
        layers::plain_error(&self.0, status::http_of(&self.0))
    }
}

/// Grafana asks for this to find out whether a Tempo is there.
async fn echo() -> &'static str {
    "echo"
}

/// The release whose API this one follows.
const API_VERSION: &str = "2.9.0";

async fn build_info(State(state): State<AppState>) -> Response {
    let v = &state.options.version;
    let body = json!({
        "version": API_VERSION,
        "revision": v.revision,
        "branch": v.branch,
        "buildUser": format!("orrery {}", v.version),
        "buildDate": v.build_date,
        "goVersion": v.rustc,
    });
    json_response(StatusCode::OK, body.to_string().into())
}

/// A successful answer.
struct Answered<M> {
    message: M,
    coverage: Coverage,
    form: Form,
    /// What the message occupies.
    memory: Option<Reservation>,
}

impl<M: Message> Answered<M> {
    /// Sets memory aside for what the message will be on its way.
    fn new(message: M, coverage: Coverage, form: Form, budget: &MemoryBudget) -> Result<Self, Error> {
        let memory = budget.reserve(Use::Query, form.expected_bytes(message.encoded_len()))?;
        Ok(Answered { message, coverage, form, memory: Some(memory) })
    }
}

impl<M> ask::Covered for Answered<M> {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl<M: Message + Members> IntoResponse for Answered<M> {
    fn into_response(self) -> Response {
        let mut response = match self.form {
            Form::Protobuf => protobuf_response(Outgoing::body(self.message.encode_to_vec(), self.memory)),
            Form::Json(reader) => {
                let mut w = Writer::default();
                w.raw("{");
                self.message.write(&mut w);
                if reader.takes_more() {
                    coverage_member(&mut w, &self.coverage);
                }
                w.raw("}");
                json_response(StatusCode::OK, Outgoing::body(w.0, self.memory))
            }
        };
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}

/// The field `coverage` behind other members.
fn coverage_member(w: &mut Writer, coverage: &Coverage) {
    w.raw(",\"coverage\":").raw(&coverage::to_json(coverage).to_string());
}

fn protobuf_response(body: axum::body::Body) -> Response {
    ([(header::CONTENT_TYPE, form::PROTOBUF)], body).into_response()
}
