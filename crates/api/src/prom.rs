//! The Prometheus HTTP API (`prometheus.io/docs/prometheus/latest/querying/api`), as of 3.x.
//!
//! Shapes and status codes are Prometheus' own; what we add is the field `coverage`, and a warning for every
//! source that is not complete, since Grafana shows those. Start reading at [`routes`].

mod admin;
mod buckets;
mod exemplars;
mod federate;
pub(crate) mod graph;
pub mod json;
mod labels;
mod query;
mod read;
mod stats;
mod status;
mod targets;
mod tree;
mod tsdb;
mod write;

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base::memory::Reservation;
use contract::Coverage;
use http::{HeaderValue, StatusCode, header};
use model::Matcher;

use crate::{AppState, Error, ask, body::Outgoing, coverage, layers, status as codes};
use json::Writer;

pub type Ask = ask::Ask<PromError>;

pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/query_exemplars", get(exemplars::query).post(exemplars::query))
        .route("/api/v1/orrery/service_graph", get(graph::service_graph))
        .route("/api/v1/format_query", get(query::format).post(query::format))
        .route("/api/v1/parse_query", get(query::parse).post(query::parse))
        .route("/api/v1/series", get(labels::series).post(labels::series))
        .route("/api/v1/labels", get(labels::names).post(labels::names))
        .route("/api/v1/label/{name}/values", get(labels::values))
        .route("/api/v1/metadata", get(labels::metadata))
        .route("/api/v1/targets", get(status::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/alertmanagers", get(status::alertmanagers))
        .route("/api/v1/rules", get(status::rules))
        .route("/api/v1/alerts", get(status::alerts))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/api/v1/status/runtimeinfo", get(status::runtime_info))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/tsdb", get(tsdb::status))
        .route("/api/v1/status/walreplay", get(tsdb::wal_replay))
        .route("/api/v1/features", get(tsdb::features))
        .route("/api/v1/notifications", get(status::notifications))
        .route("/api/v1/read", post(read::read))
        .route("/api/v1/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route(
            "/api/v1/admin/tsdb/clean_tombstones",
            post(admin::clean_tombstones).put(admin::clean_tombstones),
        )
        .route("/api/v1/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/federate", get(federate::federate))
        .route("/api/v1/write", post(write::write))
        // Where senders configured for Mimir and Cortex push.
        .route("/api/v1/push", post(write::write))
}

/// An error in Prometheus' shape.
#[derive(Debug)]
pub struct PromError(pub Error);

impl<E: Into<Error>> From<E> for PromError {
    fn from(e: E) -> Self {
        PromError(e.into())
    }
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let (code, kind) = codes::prometheus(&self.0);
        let mut w = Writer::default();
        w.raw("{\"status\":\"error\",\"errorType\":").string(kind).raw(",\"error\":");
        w.string(&self.0.to_string()).raw("}");
        layers::finish_error(json_response(code, w.0.into()), &self.0)
    }
}

/// A successful answer: `data` is JSON already.
#[derive(Default)]
pub(crate) struct Answered {
    pub data: Vec<u8>,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    /// `None` where no telemetry was read.
    pub coverage: Option<Coverage>,
    /// What `data` occupies.
    pub memory: Option<Reservation>,
}

impl Answered {
    /// From anything that serialises.
    pub fn of(data: &impl serde::Serialize) -> Result<Self, Error> {
        let data = serde_json::to_vec(data)
            .map_err(|e| Error::new(base::Kind::Internal, format!("the answer has no JSON form: {e}")))?;
        Ok(Answered { data, ..Answered::default() })
    }
}

impl ask::Covered for Answered {
    fn covered(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }
}

impl IntoResponse for Answered {
    fn into_response(mut self) -> Response {
        let mut w = Writer(Vec::with_capacity(self.data.len() + 512));
        w.raw("{\"status\":\"success\",\"data\":");
        w.0.append(&mut self.data);
        if let Some(c) = &self.coverage {
            self.warnings.extend(coverage::warnings(c));
        }
        if !self.warnings.is_empty() {
            w.raw(",\"warnings\":").strings(&self.warnings);
        }
        if !self.infos.is_empty() {
            w.raw(",\"infos\":").strings(&self.infos);
        }
        if let Some(c) = &self.coverage {
            w.raw(",\"coverage\":").raw(&coverage::to_json(c).to_string());
        }
        w.raw("}");
        let mut response = json_response(StatusCode::OK, Outgoing::body(w.0, self.memory));
        if let Some(c) = &self.coverage {
            coverage::stamp(&mut response, c);
        }
        response
    }
}

pub(crate) fn json_response(code: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What clients are told when `limit` cut a list; the words are Prometheus'.
pub(crate) const TRUNCATED: &str = "results truncated due to limit";

/// Reads the series selectors of a repeated parameter, `match[]`, each of which must leave something out.
pub(crate) fn selectors(ask: &Ask, name: &str) -> Result<Vec<Vec<Matcher>>, Error> {
    let narrow = |text| {
        let matchers = selector(name, text)?;
        match matchers.iter().all(Matcher::matches_empty) {
            true => Err(Error::invalid(format!(
                "invalid parameter {name:?}: match[] must contain at least one non-empty matcher"
            ))),
            false => Ok(matchers),
        }
    };
    ask.params.all(name).map(narrow).collect()
}

/// One series selector, without modifiers; it may select everything.
fn selector(name: &str, text: &str) -> Result<Vec<Matcher>, Error> {
    let found = promql::parse_selector(text)
        .map_err(|e| Error::invalid(format!("invalid parameter {name:?}: {e}")))?;
    Ok(found.matchers)
}
