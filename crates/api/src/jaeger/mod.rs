//! The Jaeger query API.

use axum::Router;

use crate::AppState;

/// Routes under `/jaeger` and `/api/v3`, mounted on the main port.
pub fn routes() -> Router<AppState> {
    Router::new()
}
