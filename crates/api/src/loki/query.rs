//! `query`, `query_range`, `format_query`.

use std::time::Instant;

use axum::response::Response;
use base::{MemoryBudget, memory::Use};
use contract::Direction;
use http::StatusCode;
use logql::{Answer, QueryContext};
use serde_json::json;

use super::{
    Answered, Ask, LokiError,
    json::{self as shape, Labelling},
};
use crate::{
    Error,
    params::{Params, bad},
    prom::json_response,
};

/// Lines where the client names no limit, as in Loki.
const DEFAULT_LIMIT: usize = 100;
pub(super) const HOUR_NS: i64 = 3_600_000_000_000;
pub(super) const SECOND_NS: i64 = 1_000_000_000;

pub async fn instant(ask: Ask) -> Result<Answered, LokiError> {
    let p = &ask.params;
    let query = p.require("query")?.to_owned();
    let at = p.loki_time_ns("time")?.unwrap_or_else(|| ask.state.clock.now_ns());
    let (limit, direction, labelling) = (limit(p)?, direction(p)?, labelling(&ask));
    let (engine, tenants) = (ask.reads.logql.clone(), ask.tenants.clone());
    let run = |limits| async move {
        let began = Instant::now();
        let context = QueryContext { tenants, limits };
        let answer = engine.instant(&query, at, limit, direction, &context).await?;
        write(answer, labelling, began, &context.limits.memory)
    };
    Ok(ask.run(run).await?)
}

pub async fn range(ask: Ask) -> Result<Answered, LokiError> {
    let p = &ask.params;
    let query = p.require("query")?.to_owned();
    let (start, end) = time_range(p, ask.state.clock.now_ns(), HOUR_NS)?;
    let step = step_ns(p, start, end)?;
    let (limit, direction, labelling) = (limit(p)?, direction(p)?, labelling(&ask));
    let (engine, tenants) = (ask.reads.logql.clone(), ask.tenants.clone());
    let run = |limits| async move {
        let began = Instant::now();
        let context = QueryContext { tenants, limits };
        let answer = engine.range(&query, start, end, step, limit, direction, &context).await?;
        write(answer, labelling, began, &context.limits.memory)
    };
    Ok(ask.run(run).await?)
}

fn write(
    mut answer: Answer,
    labelling: Labelling,
    began: Instant,
    budget: &MemoryBudget,
) -> Result<Answered, Error> {
    let mut memory = budget.reserve(Use::Query, shape::expected_bytes(&answer.value))?;
    let (coverage, warnings) = (answer.coverage.clone(), std::mem::take(&mut answer.warnings));
    let data = shape::data(answer, labelling, began.elapsed());
    memory.shrink_to(data.capacity() as u64);
    Ok(Answered { data, warnings, coverage, memory: Some(memory) })
}

pub async fn format(ask: Ask) -> Result<Response, LokiError> {
    let expr = logql::parse(ask.params.require("query")?).map_err(logql::Error::from)?;
    let body = json!({"status": "success", "data": expr.to_string()});
    Ok(json_response(StatusCode::OK, body.to_string().into()))
}

/// `start` and `end` in nanoseconds; `since` reaches back from the end, or `default_ns` does.
pub(super) fn time_range(p: &Params, now: i64, default_ns: i64) -> Result<(i64, i64), Error> {
    let end = p.loki_time_ns("end")?.unwrap_or(now);
    let since = p.duration("since")?.map(|d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    // As in Loki: a range that ends in the future begins before now, not before its end.
    let from = end.min(now);
    let start = p.loki_time_ns("start")?.unwrap_or_else(|| from.saturating_sub(since.unwrap_or(default_ns)));
    if end < start {
        return Err(bad(
            "end",
            p.get("end").unwrap_or_default(),
            "end timestamp must not be before start time",
        ));
    }
    Ok((start, end))
}

/// About 250 points where the client names no step, at least a second apart.
pub(super) fn step_ns(p: &Params, start: i64, end: i64) -> Result<i64, Error> {
    let text = p.get("step").unwrap_or_default();
    let positive = "zero or negative query resolution step widths are not accepted. Try a positive integer";
    if text.starts_with('-') {
        return Err(bad("step", text, positive));
    }
    match p.duration("step")? {
        Some(d) if d.is_zero() => Err(bad("step", text, positive)),
        Some(d) => Ok(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
        None => Ok((end.saturating_sub(start) / 250 / SECOND_NS).max(1) * SECOND_NS),
    }
}

pub(super) fn limit(p: &Params) -> Result<usize, Error> {
    match p.get("limit") {
        None => Ok(DEFAULT_LIMIT),
        Some(text) => match p.limit("limit")? {
            Some(n) => Ok(n),
            None => Err(bad("limit", text, "it must be positive")),
        },
    }
}

fn direction(p: &Params) -> Result<Direction, Error> {
    match p.get("direction").map(str::to_ascii_lowercase).as_deref() {
        None | Some("backward") => Ok(Direction::NewestFirst),
        Some("forward") => Ok(Direction::OldestFirst),
        Some(other) => Err(bad("direction", other, "it must be forward or backward")),
    }
}

pub(super) fn labelling(ask: &Ask) -> Labelling {
    let flags =
        ask.headers.get("x-loki-response-encoding-flags").and_then(|v| v.to_str().ok()).unwrap_or_default();
    match flags.split(',').any(|f| f.trim() == "categorize-labels") {
        true => Labelling::Categorised,
        false => Labelling::Flat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_the_last_hour_unless_told_otherwise() {
        let now = 10 * HOUR_NS;
        let range = |q: &str| time_range(&Params::from_query(q), now, HOUR_NS);
        assert_eq!(range("").unwrap(), (9 * HOUR_NS, now));
        assert_eq!(range("since=30m").unwrap(), (now - HOUR_NS / 2, now));
        assert_eq!(range("start=1&end=2").unwrap(), (SECOND_NS, 2 * SECOND_NS));
        assert!(range("start=2&end=1").is_err());
    }

    #[test]
    fn a_step_is_chosen_for_about_250_points() {
        let step = |q: &str, range| step_ns(&Params::from_query(q), 0, range);
        assert_eq!(step("", HOUR_NS).unwrap(), 14 * SECOND_NS);
        assert_eq!(step("", 10).unwrap(), SECOND_NS);
        assert_eq!(step("step=5m", HOUR_NS).unwrap(), 300 * SECOND_NS);
        for bad in ["step=0", "step=-1", "step=x"] {
            assert!(step(bad, HOUR_NS).is_err(), "{bad}");
        }
    }
}
