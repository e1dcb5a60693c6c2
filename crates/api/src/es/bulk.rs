//! `_bulk`, and the same for one document. An item's status is 201 when its document is durable; an answer of 200 may
//! hold items that were refused, each with its reason, as `errors` says.

use axum::{
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ingest::bulk::{Action, Item};
use serde_json::{Value, json};

use super::{EsError, encoding, reply};
use crate::{AppState, Error, params::Params, push::Push};

pub async fn bulk(State(state): State<AppState>, request: Request) -> Response {
    take(&state, None, request).await.unwrap_or_else(IntoResponse::into_response)
}

pub async fn bulk_into(
    State(state): State<AppState>,
    Path(index): Path<String>,
    request: Request,
) -> Response {
    take(&state, Some(index), request).await.unwrap_or_else(IntoResponse::into_response)
}

/// Monitoring of the sender about itself, which Elasticsearch takes and drops where collection is off.
pub async fn monitoring(State(state): State<AppState>, request: Request) -> Response {
    let done = async {
        let (push, ()) = Push::open(&state, request, |_| Ok(())).await?;
        drop(push.read(&state).await?);
        Ok::<_, Error>(())
    };
    match done.await {
        Ok(()) => {
            let body = json!({"took": 0, "ignored": true, "errors": false});
            reply(&Params::default(), StatusCode::OK, body)
        }
        Err(e) => EsError::from(e).into_response(),
    }
}

async fn take(state: &AppState, index: Option<String>, request: Request) -> Result<Response, EsError> {
    let began = state.clock.monotonic();
    let params = Params::from_query(request.uri().query().unwrap_or_default());
    let (push, encoding) = Push::open(state, request, encoding).await?;
    let (tenant, sender, held) = push.read(state).await?;
    let items = state.ingest.bulk(&tenant, &sender, index, encoding, held.bytes.clone()).await?;
    let errors = items.iter().any(|i| i.outcome.is_err());
    let took = began.elapsed().as_millis() as u64;
    let items: Vec<Value> = items.iter().map(answer).collect();
    Ok(reply(&params, StatusCode::OK, json!({"took": took, "errors": errors, "items": items})))
}

fn answer(item: &Item) -> Value {
    json!({item.action.as_str(): outcome(item)})
}

fn outcome(item: &Item) -> Value {
    match &item.outcome {
        Ok(_) => json!({
            "_index": item.index,
            "_id": item.id,
            "_version": 1,
            "result": "created",
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": 0,
            "_primary_term": 1,
            "status": 201,
        }),
        Err(problem) => json!({
            "_index": item.index,
            "_id": item.id,
            "status": problem.status,
            "error": {"type": problem.kind, "reason": problem.message, "index": item.index},
        }),
    }
}

pub async fn one(State(state): State<AppState>, Path(index): Path<String>, request: Request) -> Response {
    single(&state, Action::Index, index, None, request).await.unwrap_or_else(IntoResponse::into_response)
}

pub async fn one_named(
    State(state): State<AppState>,
    Path((index, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let create =
        Params::from_query(request.uri().query().unwrap_or_default()).get("op_type") == Some("create");
    let action = if create { Action::Create } else { Action::Index };
    single(&state, action, index, Some(id), request).await.unwrap_or_else(IntoResponse::into_response)
}

pub async fn create_named(
    State(state): State<AppState>,
    Path((index, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    single(&state, Action::Create, index, Some(id), request).await.unwrap_or_else(IntoResponse::into_response)
}

/// One document as a bulk of one item.
async fn single(
    state: &AppState,
    action: Action,
    index: String,
    id: Option<String>,
    request: Request,
) -> Result<Response, EsError> {
    let params = Params::from_query(request.uri().query().unwrap_or_default());
    let (push, packing) = Push::open(state, request, encoding).await?;
    let (tenant, sender, held) = push.read(state).await?;
    let plain =
        base::cap::unpack(packing, &held.bytes, state.ingest.max_body_bytes()).map_err(Error::from)?;
    // On one line, whatever it was on.
    let document: Value = serde_json::from_slice(&plain)
        .map_err(|e| Error::invalid(format!("the document is not valid JSON: {e}")))?;
    let mut head = json!({"_index": index});
    if let (Some(id), Some(fields)) = (id, head.as_object_mut()) {
        fields.insert("_id".to_owned(), Value::String(id));
    }
    let body = format!("{}\n{document}\n", json!({action.as_str(): head}));
    let none = base::cap::Encoding::Identity;
    let items = state.ingest.bulk(&tenant, &sender, None, none, body.into()).await?;
    let item = items.first().ok_or_else(|| Error::invalid("the document is missing"))?;
    if let Err(problem) = &item.outcome {
        let code = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        return Err(EsError::exactly(code, problem.kind, Error::invalid(problem.message.clone())));
    }
    let mut value = outcome(item);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    Ok(reply(&params, StatusCode::CREATED, value))
}
