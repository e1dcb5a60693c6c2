//! What shippers and clients ask before they write: who this is, what licence, which features, and to take their
//! templates, policies and data streams.
//!
//! There is nothing to set up on a node, so what is put is acknowledged without being kept, and asked for again it is
//! not there. Where acknowledging would change what becomes of documents (ingest pipelines), the request is
//! refused instead.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use base::Kind;
use http::StatusCode;
use serde_json::{Value, json};

use super::{EsError, acknowledged, reply};
use crate::{AppState, Error, params::Params};

/// The version clients are told. They compare it with their own and refuse an older one, so it is higher than any
/// that exists of the API generation served here.
const VERSION: &str = "9.99.0";
/// 2100-01-01; clients warn of a licence that ends.
const LICENCE_ENDS_MS: i64 = 4_102_444_800_000;

pub fn routes() -> Router<AppState> {
    let kept_nowhere = || get(missing).put(acknowledge).post(acknowledge).delete(acknowledge);
    Router::new()
        .route("/", get(root))
        .route("/_license", get(license))
        .route("/_xpack", get(xpack))
        .route("/_xpack/usage", get(xpack))
        .route("/_cluster/health", get(health))
        .route("/_cluster/health/{index}", get(health))
        .route("/_cluster/settings", get(settings))
        .route("/_cat/health", get(cat_health))
        .route("/_nodes", get(nodes))
        .route("/_nodes/{what}", get(nodes))
        .route("/_nodes/{which}/{what}", get(nodes))
        .route("/_ilm/policy", get(nothing))
        .route("/_ilm/policy/{name}", kept_nowhere())
        .route("/_template", get(nothing))
        .route("/_template/{name}", kept_nowhere())
        .route("/_index_template", get(no_templates))
        .route("/_index_template/{name}", kept_nowhere())
        .route("/_component_template", get(no_components))
        .route("/_component_template/{name}", kept_nowhere())
        .route("/_data_stream", get(no_streams))
        .route("/_data_stream/{name}", kept_nowhere())
        .route("/_data_stream/{name}/_lifecycle", kept_nowhere())
        .route("/_alias", get(nothing))
        .route("/_alias/{name}", get(missing))
        .route("/_aliases", get(nothing).post(acknowledge))
        .route("/{index}/_alias", get(nothing))
        .route("/{index}/_alias/{name}", get(missing).put(acknowledge).post(acknowledge))
        .route("/_ingest/pipeline", get(nothing))
        .route("/_ingest/pipeline/{name}", get(missing).put(no_pipelines))
        .route("/_refresh", get(refreshed).post(refreshed))
        .route("/_flush", get(refreshed).post(refreshed))
        .route("/{index}/_refresh", get(refreshed).post(refreshed))
        .route("/{index}/_flush", get(refreshed).post(refreshed))
        .route("/{index}/_settings", put(acknowledge).post(acknowledge))
}

fn params(query: RawQuery) -> Params {
    Params::from_query(query.0.as_deref().unwrap_or_default())
}

fn cluster(state: &AppState) -> String {
    state.options.cluster.as_ref().map_or_else(|| "local".to_owned(), ToString::to_string)
}

pub(super) async fn root(State(state): State<AppState>, query: RawQuery) -> Response {
    let v = &state.options.version;
    let name = cluster(&state);
    let body = json!({
        "name": name,
        "cluster_name": name,
        "cluster_uuid": format!("orrery-{name}"),
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": v.revision,
            "build_date": v.build_date,
            "build_snapshot": false,
            "lucene_version": "10.0.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
            "orrery": v.version,
        },
        "tagline": "You Know, for Search",
    });
    reply(&params(query), StatusCode::OK, body)
}

fn licence(state: &AppState) -> Value {
    json!({
        "status": "active",
        "uid": format!("orrery-{}", cluster(state)),
        "type": "basic",
        "mode": "basic",
        "issue_date_in_millis": 0,
        "expiry_date_in_millis": LICENCE_ENDS_MS,
        "max_nodes": 1000,
        "issued_to": cluster(state),
        "issuer": "orrery",
        "start_date_in_millis": 0,
    })
}

async fn license(State(state): State<AppState>, query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, json!({"license": licence(&state)}))
}

/// Index lifecycles are not this node's to manage: shippers that look write to an index a day instead.
async fn xpack(State(state): State<AppState>, query: RawQuery) -> Response {
    let off = json!({"available": false, "enabled": false});
    let body = json!({
        "build": {"hash": state.options.version.revision, "date": state.options.version.build_date},
        "license": licence(&state),
        "features": {"ilm": off, "monitoring": off, "security": off},
        "tagline": "You know, for X",
    });
    reply(&params(query), StatusCode::OK, body)
}

async fn health(State(state): State<AppState>, query: RawQuery) -> Response {
    let ready = state.hooks.is_ready().is_ok();
    let body = json!({
        "cluster_name": cluster(&state),
        "status": if ready { "green" } else { "red" },
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": 1,
        "active_shards": 1,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": 0,
        "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": 100.0,
    });
    reply(&params(query), StatusCode::OK, body)
}

/// What rsyslog looks at before it sends.
async fn cat_health(State(state): State<AppState>, query: RawQuery) -> Response {
    let (name, seconds) = (cluster(&state), state.clock.now_ms().div_euclid(1000));
    let status = if state.hooks.is_ready().is_ok() { "green" } else { "red" };
    let p = params(query);
    if p.get("format") == Some("json") {
        let row = json!({"epoch": seconds.to_string(), "cluster": name, "status": status});
        return reply(&p, StatusCode::OK, json!([row]));
    }
    (StatusCode::OK, format!("{seconds} {name} {status} 1 1 1 1 0 0 0 0 - 100.0%\n")).into_response()
}

async fn settings(query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, json!({"persistent": {}, "transient": {}}))
}

async fn nodes(State(state): State<AppState>, query: RawQuery) -> Response {
    let name = cluster(&state);
    let body = json!({
        "_nodes": {"total": 1, "successful": 1, "failed": 0},
        "cluster_name": name,
        "nodes": {
            (format!("orrery-{name}")): {
                "name": name,
                "version": VERSION,
                "build_flavor": "default",
                "roles": ["data", "ingest"],
                "ingest": {"processors": []},
                "plugins": [],
                "modules": [],
            },
        },
    });
    reply(&params(query), StatusCode::OK, body)
}

async fn nothing(query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, json!({}))
}

async fn no_templates(query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, json!({"index_templates": []}))
}

async fn no_components(query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, json!({"component_templates": []}))
}

async fn no_streams(query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, json!({"data_streams": []}))
}

async fn missing(Path(names): Path<Vec<(String, String)>>) -> EsError {
    let name = names.last().map(|(_, v)| v.as_str()).unwrap_or_default();
    let name: String = name.chars().take(200).collect();
    Error::new(Kind::NotFound, format!("[{name}] is not kept here: nothing needs to be set up")).into()
}

async fn acknowledge(query: RawQuery) -> Response {
    reply(&params(query), StatusCode::OK, acknowledged())
}

async fn no_pipelines() -> EsError {
    Error::invalid(
        "ingest pipelines are not run here: documents are stored as they come, parse them when you ask",
    )
    .into()
}

/// What was acknowledged can be searched already.
async fn refreshed(query: RawQuery) -> Response {
    let body = json!({"_shards": {"total": 1, "successful": 1, "failed": 0}});
    reply(&params(query), StatusCode::OK, body)
}
