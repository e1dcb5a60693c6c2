//! `delete`: whole streams in a stretch of time, of this node's own store. Switched off unless the configuration allows
//! it.
//!
//! Loki takes a request and works through it later; here what is deleted is gone from every read when the answer comes,
//! so every request that is listed is `processed` and none can be cancelled. Listed are those whose bytes still wait to
//! be written anew.

use axum::response::{IntoResponse, Response};
use base::Kind;
use http::StatusCode;
use logql::{Expr, ast::LogExpr};
use model::{Matcher, TimeRange};

use super::{Ask, LokiError};
use crate::{Error, LogDeletion, params::bad, prom::json::Writer, prom::json_response};

fn allowed(ask: &Ask) -> Result<(), Error> {
    match ask.state.options.enable_admin {
        true => Ok(()),
        false => Err(Error::new(Kind::Denied, "deletion is not available (http.enable_admin)")),
    }
}

pub async fn create(ask: Ask) -> Result<Response, LokiError> {
    allowed(&ask)?;
    let matchers = streams(ask.params.require("query")?)?;
    let now = ask.state.clock.now_ns();
    let start =
        ask.params.loki_time_ns("start")?.ok_or_else(|| Error::invalid("parameter \"start\" is missing"))?;
    let end = ask.params.loki_time_ns("end")?.unwrap_or(now);
    // The stretches that Loki would work in; here it is one.
    ask.params.duration("max_interval")?;
    if end > now {
        let end = ask.params.get("end").unwrap_or_default();
        return Err(bad("end", end, "deletes in the future are not allowed").into());
    }
    if start > end {
        let start = ask.params.get("start").unwrap_or_default();
        return Err(bad("start", start, "it must not be after the end").into());
    }
    let range = TimeRange::from_ms_inclusive(start.div_euclid(1_000_000), end.div_euclid(1_000_000));
    ask.state.hooks.delete_logs(ask.tenants.clone(), matchers, range).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The selector of a delete request. Lines cannot be chosen by what they say.
fn streams(text: &str) -> Result<Vec<Matcher>, Error> {
    let expr = logql::parse(text).map_err(logql::Error::from)?;
    logql::check::check(&expr).map_err(logql::Error::from)?;
    match expr {
        Expr::Log(LogExpr { matchers, stages }) if stages.is_empty() => Ok(matchers),
        Expr::Log(_) => Err(bad(
            "query",
            text,
            "streams are deleted whole in a stretch of time: line filters and other stages are not supported",
        )),
        Expr::Metric(_) => Err(bad("query", text, "it must be a stream selector")),
    }
}

pub async fn list(ask: Ask) -> Result<Response, LokiError> {
    allowed(&ask)?;
    let mut w = Writer::default();
    w.list(deletions(&ask)?, |w, d| {
        let query = Expr::Log(LogExpr::selector(d.matchers)).to_string();
        w.raw("{\"request_id\":").string(&d.id).raw(",\"start_time\":").time(d.first_ms);
        w.raw(",\"end_time\":").time(d.last_ms).raw(",\"query\":").string(&query);
        w.raw(",\"status\":\"processed\",\"created_at\":").time(d.made_ms).raw("}");
    });
    Ok(json_response(StatusCode::OK, w.0.into()))
}

pub async fn cancel(ask: Ask) -> Result<Response, LokiError> {
    allowed(&ask)?;
    let id = ask.params.require("request_id")?;
    let known = deletions(&ask)?.iter().any(|d| d.id == id);
    let e = match known {
        true => bad("request_id", id, "what it deleted is gone already, there is nothing to cancel"),
        false => Error::new(Kind::NotFound, format!("there is no delete request {id:?}")),
    };
    Err(e.into())
}

fn deletions(ask: &Ask) -> Result<Vec<LogDeletion>, Error> {
    Ok(ask.state.hooks.log_deletions(&ask.tenants)?)
}
