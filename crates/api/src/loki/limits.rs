//! What clients ask before they ask for logs: limits and switches that Logs Drilldown adapts to, the configuration.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use ingest::{LEVEL_FIELDS, SERVICE_LABELS};
use serde_json::json;

use super::API_VERSION;
use crate::{AppState, params::format_duration, prom::json_response};

/// Lines of one answer that a client may ask for; its own default in Grafana.
const MAX_LINES: u64 = 5000;

/// Of the limits those that Logs Drilldown reads, by Loki's names.
pub async fn drilldown(State(state): State<AppState>) -> Response {
    let o = &state.options;
    let services: &[&str] = if o.log_options.discover_service_name { &SERVICE_LABELS } else { &[] };
    let retention = o.log_options.retention.map_or("0s".to_owned(), format_duration);
    let body = json!({
        "limits": {
            "discover_log_levels": o.log_options.discover_log_levels,
            "discover_service_name": services,
            "log_level_fields": LEVEL_FIELDS,
            "max_entries_limit_per_query": MAX_LINES,
            "max_line_size_truncate": false,
            "max_query_bytes_read": format!("{}B", o.limits.max_bytes),
            "max_query_length": "0s",
            "max_query_lookback": "0s",
            "max_query_range": "0s",
            "max_query_series": o.limits.max_series,
            "metric_aggregation_enabled": false,
            "pattern_persistence_enabled": false,
            "query_timeout": format_duration(o.query_timeout),
            "retention_period": retention,
            "volume_enabled": true,
            "volume_max_series": o.limits.max_series,
        },
        "pattern_ingester_enabled": o.log_options.patterns,
        "version": API_VERSION,
    });
    json_response(StatusCode::OK, body.to_string().into())
}

/// The configuration in effect, secrets masked.
pub async fn config(State(state): State<AppState>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], state.hooks.config_yaml()).into_response()
}
