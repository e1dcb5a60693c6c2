//! What comes in here rather than goes out: OTLP to be shown as Jaeger's JSON, Jaeger's JSON to be stored, and traces to
//! be archived.

use axum::{
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use base::memory::Use;
use contract::Coverage;
use http::StatusCode;

use super::{Answered, JaegerError, UiError, find::TracePath, gathered::Traces, search, to_json, trace};
use crate::{AppState, body, push::Push};

/// `POST /transform`: OTLP/JSON, as a file of it is dropped into Jaeger's UI, in the UI's model. Nothing is stored.
pub async fn transform(State(state): State<AppState>, request: Request) -> Result<Answered, JaegerError> {
    let (head, incoming) = request.into_parts();
    let limit = state.ingest.max_body_bytes();
    let held = body::read(&state, &head.headers, incoming, limit, "ingest.max_body", Use::Query).await?;
    let read = wire::otlp::traces::decode_json(&held.bytes, &wire::otlp::Options::default());
    let read = read.map_err(|e| crate::Error::invalid(format!("cannot unmarshal OTLP: {e}")))?;
    let memory = state.budget.reserve(Use::Query, held.bytes.len() as u64 * 2).map_err(crate::Error::from)?;
    let errors = read.refused.iter().map(|r| UiError {
        code: 400,
        msg: format!("{} spans are left out: {}", r.count, r.detail),
        trace_id: None,
    });
    let errors = errors.collect();
    let mut traces = Traces::default();
    traces.add(read.batch);
    let ui: Vec<_> = traces.newest_first().iter().map(|(id, batch)| trace::ui(id, batch)).collect();
    let (data, memory) = (to_json(&ui)?, Some(memory));
    // Nobody was asked, so that nothing can be missing.
    Ok(Answered { data, errors, memory, coverage: Coverage::default(), ..Answered::default() })
}

/// `POST /traces`: what Jaeger's UI saves and its API answers is stored. 200 with what was refused, once durable.
pub async fn upload(State(state): State<AppState>, request: Request) -> Response {
    match store(&state, request).await {
        Ok(receipt) => {
            let refused = receipt.refused.iter().map(|r| UiError {
                code: 400,
                msg: format!("{} {}: {}", r.count, r.reason.as_str(), r.detail),
                trace_id: None,
            });
            let total = receipt.accepted_items() as usize;
            Answered { data: b"[]".to_vec(), total, errors: refused.collect(), ..Answered::default() }
                .into_response()
        }
        Err(e) => JaegerError(e).into_response(),
    }
}

async fn store(state: &AppState, request: Request) -> Result<ingest::Receipt, crate::Error> {
    let (push, encoding) = Push::open(state, request, |headers| {
        let media = crate::push::header_text(headers, &http::header::CONTENT_TYPE);
        if !media.starts_with("application/json") {
            return Err(crate::push::unsupported_media(media, "application/json"));
        }
        let named = crate::push::header_text(headers, &http::header::CONTENT_ENCODING);
        Ok(base::cap::Encoding::parse(named)?)
    })
    .await?;
    let (tenant, sender, held) = push.read(state).await?;
    Ok(state.ingest.jaeger_json(&tenant, &sender, encoding, held.bytes.clone()).await?)
}

/// `POST /archive/{id}`: there is no second storage with a longer life to copy a trace to, and saying that it was
/// archived would lose it.
pub async fn archive(Path(TracePath { id }): Path<TracePath>) -> Result<Response, JaegerError> {
    search::trace_id(&id)?;
    let msg = "archive span storage was not configured: traces are kept for as long as retention.traces says";
    let errors = vec![UiError { code: 501, msg: msg.to_owned(), trace_id: None }];
    let mut response = Answered { data: b"null".to_vec(), errors, ..Answered::default() }.into_response();
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    Ok(response)
}
