//! `/api/traces/{id}` and `/api/v2/traces/{id}`: one trace, whole.
//!
//! A trace that nobody has is not found. Where somebody did not answer it may be there all the same: such an answer is
//! never "not found" but a trace that is marked as partial, be it empty.

use axum::{
    extract::{Path, Request, State},
    handler::Handler,
    response::{IntoResponse, Response},
};
use base::Kind;
use contract::{Coverage, QueryLimits, Scope, SpansRequest};
use futures::StreamExt;
use http::StatusCode;
use model::{TimeRange, TimestampNs};
use prost::{Message, encoding::encode_varint};
use proto::tempo as pb;

use super::{
    Ask, TempoError, coverage_member,
    form::Form,
    gathered::Gathered,
    json,
    message::partial,
    params::{SECOND_NS, invalid, trace_id},
    protobuf_response,
};
use crate::{
    AppState, Error, ask, coverage, jaeger,
    params::Params,
    prom::{json::Writer, json_response},
};

/// How far beyond the asked time the spans of a trace are looked for. In Tempo the time chooses the blocks to look in,
/// and what these have of the trace comes whole.
const AROUND_NS: i64 = 24 * 3_600_000_000_000;

#[derive(serde::Deserialize)]
pub(super) struct TracePath {
    id: String,
}

/// At the path that Tempo and Jaeger share: Tempo's answer for those who name its media types.
pub(super) async fn either(State(state): State<AppState>, request: Request) -> Response {
    match Form::is_named(request.headers()) {
        true => Handler::call(v1, request, state).await,
        false => Handler::call(jaeger::trace, request, state).await,
    }
}

pub(super) async fn v1(Path(path): Path<TracePath>, ask: Ask) -> Result<FirstVersion, TempoError> {
    find(&path.id, &ask).await.map(FirstVersion)
}

pub(super) async fn v2(Path(path): Path<TracePath>, ask: Ask) -> Result<SecondVersion, TempoError> {
    if ask.params.get("q").is_some_and(|q| !q.trim().is_empty()) {
        return Err(Error::invalid("invalid q: spans of a trace by its id are not filtered here").into());
    }
    find(&path.id, &ask).await.map(SecondVersion)
}

/// The trace as far as it was found.
struct Found {
    trace: Gathered,
    coverage: Coverage,
}

impl ask::Covered for Found {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

async fn find(id: &str, ask: &Ask) -> Result<Found, TempoError> {
    let id = trace_id(id)?;
    let range = range(&ask.params)?;
    let form = Form::of(&ask.headers);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut trace = Gathered::new(form, &limits.memory)?;
        let scope = Scope { tenants, range, limits };
        let request = SpansRequest { trace_ids: vec![id], ..SpansRequest::new(scope) };
        let mut found = select.spans(request).await?;
        while let Some(batch) = found.items.next().await {
            trace.add(batch?)?;
        }
        let coverage = found.coverage();
        match trace.is_empty() && coverage.is_complete() {
            true => Err(Error::new(Kind::NotFound, "trace not found")),
            false => Ok(Found { trace, coverage }),
        }
    };
    Ok(ask.run(run).await?)
}

/// The time that `start` and `end` name in seconds, and what lies around it; all of time where they are not given.
fn range(params: &Params) -> Result<TimeRange, Error> {
    if let Some(mode) = params.get("mode")
        && !["all", "ingesters", "blocks", "external", "recent"].contains(&mode)
    {
        return Err(invalid("mode", mode, "it is none of all, ingesters and blocks"));
    }
    let time = |name: &str| match params.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(s) => Ok(Some(s)),
            Err(_) => Err(invalid(name, text, "it must be Unix seconds")),
        },
    };
    let (start, end) = (time("start")?, time("end")?);
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        return Err(Error::invalid(format!(
            "invalid start: it must be before end, received start={start} end={end}"
        )));
    }
    let ns = |seconds: i64| seconds.saturating_mul(SECOND_NS);
    let from = start.map_or(TimeRange::ALL.start.0, |s| ns(s).saturating_sub(AROUND_NS));
    let to = end.map_or(TimeRange::ALL.end.0, |e| ns(e).saturating_add(AROUND_NS));
    Ok(TimeRange::new(TimestampNs(from), TimestampNs(to)))
}

/// `tempopb.Trace`, whose list is called `batches` in JSON.
pub(super) struct FirstVersion(Found);

/// `tempopb.TraceByIDResponse`.
pub(super) struct SecondVersion(Found);

impl IntoResponse for FirstVersion {
    fn into_response(self) -> Response {
        let Found { trace, coverage } = self.0;
        let mut response = match trace.form() {
            Form::Protobuf => protobuf_response(trace.body(Vec::new(), Vec::new())),
            Form::Json(reader) => {
                let mut behind = Writer::default();
                behind.raw("]");
                if reader.takes_more() {
                    coverage_member(&mut behind, &coverage);
                }
                behind.raw("}");
                json_response(StatusCode::OK, trace.body(b"{\"batches\":[".to_vec(), behind.0))
            }
        };
        coverage::stamp(&mut response, &coverage);
        response
    }
}

impl IntoResponse for SecondVersion {
    fn into_response(self) -> Response {
        let Found { trace, coverage } = self.0;
        let (status, message) = partial(&coverage);
        let inspected_bytes = trace.inspected_bytes;
        let mut response = match trace.form() {
            Form::Protobuf => {
                // Clients look into the trace without asking whether it is there, so it always is.
                let mut before = vec![TRACE_FIELD];
                encode_varint(trace.len() as u64, &mut before);
                let metrics = Some(pb::TraceByIdMetrics { inspected_bytes });
                let behind = pb::TraceByIdResponse { metrics, status, message }.encode_to_vec();
                protobuf_response(trace.body(before, behind))
            }
            Form::Json(reader) => {
                let mut behind = Writer::default();
                behind.raw("]},\"metrics\":{\"inspectedBytes\":\"").raw(&inspected_bytes.to_string());
                behind.raw("\"}");
                json::partial(&mut behind, status, &message);
                if reader.takes_more() {
                    coverage_member(&mut behind, &coverage);
                }
                behind.raw("}");
                let before = b"{\"trace\":{\"resourceSpans\":[".to_vec();
                json_response(StatusCode::OK, trace.body(before, behind.0))
            }
        };
        coverage::stamp(&mut response, &coverage);
        response
    }
}

/// Field 1, a message.
const TRACE_FIELD: u8 = 1 << 3 | 2;
