//! `admin/tsdb`: deleting series, cleaning up after it, snapshots. Switched off unless the configuration allows
//! it; done is 204, as in Prometheus.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::{Answered, Ask, PromError, labels::time_range, selectors};
use crate::{Error, params::bad};

fn allowed(ask: &Ask) -> Result<(), Error> {
    match ask.state.options.enable_admin {
        true => Ok(()),
        false => Err(Error::unavailable("admin APIs disabled (http.enable_admin)")),
    }
}

/// What the selectors match, in the range given, of the tenant asked for.
pub async fn delete_series(ask: Ask) -> Result<Response, PromError> {
    allowed(&ask)?;
    let selectors = selectors(&ask, "match[]")?;
    if selectors.is_empty() {
        return Err(Error::invalid("no match[] parameter provided").into());
    }
    let range = time_range(&ask)?;
    ask.state.hooks.delete_series(ask.tenants.clone(), selectors, range).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub async fn clean_tombstones(ask: Ask) -> Result<Response, PromError> {
    allowed(&ask)?;
    ask.state.hooks.clean_tombstones().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub async fn snapshot(ask: Ask) -> Result<Answered, PromError> {
    allowed(&ask)?;
    let skip_head = match ask.params.get("skip_head") {
        None | Some("false" | "0" | "f" | "F" | "FALSE" | "False") => false,
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") => true,
        Some(other) => return Err(bad("skip_head", other, "it must be true or false").into()),
    };
    let name = ask.state.hooks.snapshot(!skip_head).await?;
    Ok(Answered::of(&json!({"name": name}))?)
}
