//! Health, readiness, reload, the node's own metrics, and what the Fleet page shows.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use base::Kind;
use http::{StatusCode, Uri, header};

use crate::{AppState, Error, layers, params::Params};

pub async fn root() -> Redirect {
    Redirect::temporary("/ui/")
}

/// Says that the process serves and that starting it again would mend nothing. It waits for nobody, so it
/// answers when everything else is saturated.
pub async fn healthy(State(state): State<AppState>) -> Response {
    match state.hooks.is_healthy() {
        Ok(()) => "Orrery is healthy.\n".into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("not healthy: {why}\n")).into_response(),
    }
}

pub async fn ready(State(state): State<AppState>) -> Response {
    match state.hooks.is_ready() {
        Ok(()) => "Orrery is ready.\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

/// What Loki's clients and its Helm chart ask; the body is what Loki says.
pub async fn loki_ready(State(state): State<AppState>) -> Response {
    match state.hooks.is_ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

pub async fn reload(State(state): State<AppState>) -> Response {
    if !state.options.enable_lifecycle {
        let e = Error::new(Kind::Denied, "reloading over HTTP is switched off (http.enable_lifecycle)");
        return layers::plain_error(&e, crate::status::http_of(&e));
    }
    match state.hooks.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => {
            let e = Error::new(Kind::Internal, format!("the configuration was not reloaded: {why}"));
            layers::plain_error(&e, StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

pub async fn metrics(State(state): State<AppState>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.encode()).into_response()
}

pub async fn fleet(State(state): State<AppState>) -> Json<serde_json::Value> {
    Json(state.hooks.fleet())
}

pub async fn ledger(State(state): State<AppState>) -> Json<serde_json::Value> {
    Json(state.hooks.ledger().await)
}

pub async fn pipelines(State(state): State<AppState>) -> Json<serde_json::Value> {
    Json(state.hooks.pipelines().await)
}

/// Asked by the node that sent it, at whichever door it sends to: `?source=<16 hexadecimal digits>`, any number of times.
pub async fn received(State(state): State<AppState>, uri: Uri) -> Json<serde_json::Value> {
    let params = Params::from_query(uri.query().unwrap_or_default());
    let sources: Vec<u64> = params.all("source").filter_map(|s| u64::from_str_radix(s, 16).ok()).collect();
    Json(state.hooks.received(&sources))
}

pub async fn federation(State(state): State<AppState>) -> Json<serde_json::Value> {
    Json(state.hooks.federation())
}
