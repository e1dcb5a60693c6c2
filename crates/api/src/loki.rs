//! The Loki HTTP API (`grafana.com/docs/loki/latest/reference/loki-http-api`), as of 3.x: push, queries, what
//! Logs Drilldown asks, deletion.
//!
//! Errors are plain text with a status, as Loki's are; Grafana and logcli show the text. What we add to answers
//! is the field `coverage`, and a warning for every source that is not complete.

mod delete;
mod detected;
mod json;
mod labels;
mod limits;
mod patterns;
mod push;
mod query;
mod tail;
mod volume;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base::memory::Reservation;
use contract::Coverage;
use http::StatusCode;
use serde_json::json;

use crate::{
    AppState, Error, ask, body::Outgoing, coverage, layers, prom::json::Writer, prom::json_response, status,
};

pub use tail::Tails;

pub type Ask = ask::Ask<LokiError>;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/loki/api/v1/push", post(push::push))
        .route("/loki/api/v1/query", get(query::instant).post(query::instant))
        .route("/loki/api/v1/query_range", get(query::range).post(query::range))
        .route("/loki/api/v1/tail", get(tail::tail))
        .route("/loki/api/v1/format_query", get(query::format).post(query::format))
        .route("/loki/api/v1/labels", get(labels::names).post(labels::names))
        // The old spelling, which Fluent Bit's and older Grafana's probes still use.
        .route("/loki/api/v1/label", get(labels::names).post(labels::names))
        .route("/loki/api/v1/label/{name}/values", get(labels::values).post(labels::values))
        .route("/loki/api/v1/series", get(labels::series).post(labels::series))
        .route("/loki/api/v1/index/stats", get(volume::stats).post(volume::stats))
        .route("/loki/api/v1/index/volume", get(volume::volume).post(volume::volume))
        .route("/loki/api/v1/index/volume_range", get(volume::volume_range).post(volume::volume_range))
        .route("/loki/api/v1/detected_labels", get(detected::labels).post(detected::labels))
        .route("/loki/api/v1/detected_fields", get(detected::fields).post(detected::fields))
        .route("/loki/api/v1/detected_field/{name}/values", get(detected::values).post(detected::values))
        .route("/loki/api/v1/patterns", get(patterns::patterns).post(patterns::patterns))
        .route(
            "/loki/api/v1/delete",
            get(delete::list).post(delete::create).put(delete::create).delete(delete::cancel),
        )
        .route("/loki/api/v1/drilldown-limits", get(limits::drilldown))
        .route("/config", get(limits::config))
        .route("/loki/api/v1/status/buildinfo", get(build_info))
}

/// An error in Loki's shape.
#[derive(Debug)]
pub struct LokiError(pub Error);

impl<E: Into<Error>> From<E> for LokiError {
    fn from(e: E) -> Self {
        LokiError(e.into())
    }
}

impl IntoResponse for LokiError {
    fn into_response(self) -> Response {
        layers::plain_error(&self.0, status::loki_query(&self.0))
    }
}

/// The release whose HTTP API this one follows; Grafana reads it to decide what it may ask.
pub(crate) const API_VERSION: &str = "3.5.0";

async fn build_info(State(state): State<AppState>) -> Response {
    let v = &state.options.version;
    let body = json!({
        "version": API_VERSION,
        "revision": v.revision,
        "branch": v.branch,
        "buildUser": "",
        "buildDate": v.build_date,
        "goVersion": "",
        "application": "Orrery",
        "orreryVersion": v.version,
    });
    json_response(StatusCode::OK, body.to_string().into())
}

/// A successful answer that is an object without an envelope.
pub(crate) struct Bare {
    /// Members of the object, without its braces.
    pub fields: Vec<u8>,
    pub coverage: Coverage,
    /// What `fields` occupies.
    pub memory: Option<Reservation>,
}

impl crate::ask::Covered for Bare {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl IntoResponse for Bare {
    fn into_response(mut self) -> Response {
        let mut w = Writer(Vec::with_capacity(self.fields.len() + 512));
        w.raw("{");
        w.0.append(&mut self.fields);
        w.raw(",\"coverage\":").raw(&coverage::to_json(&self.coverage).to_string()).raw("}");
        let mut response = json_response(StatusCode::OK, Outgoing::body(w.0, self.memory));
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}

/// A successful answer: `data` is JSON already.
pub(crate) struct Answered {
    pub data: Vec<u8>,
    pub warnings: Vec<String>,
    pub coverage: Coverage,
    /// What `data` occupies.
    pub memory: Option<Reservation>,
}

impl crate::ask::Covered for Answered {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl IntoResponse for Answered {
    fn into_response(mut self) -> Response {
        let mut w = Writer(Vec::with_capacity(self.data.len() + 512));
        w.raw("{\"status\":\"success\",\"data\":");
        w.0.append(&mut self.data);
        self.warnings.extend(coverage::warnings(&self.coverage));
        if !self.warnings.is_empty() {
            w.raw(",\"warnings\":").strings(&self.warnings);
        }
        w.raw(",\"coverage\":").raw(&coverage::to_json(&self.coverage).to_string()).raw("}");
        let mut response = json_response(StatusCode::OK, Outgoing::body(w.0, self.memory));
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}
