//! Version 3 over HTTP (`query_service.openapi.yaml` of jaeger-idl): the messages of `jaeger.api_v3` in protobuf's JSON,
//! traces as OTLP/JSON inside `result`. What an answer covers is in its header alone, since a client that reads
//! protobuf's JSON may refuse fields it does not know.
//!
//! Errors are `{"error":{"grpcCode":5,"httpCode":404,"message":"…","httpStatus":"Not Found"}}`.

mod params;

use axum::{
    Router,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use base::{Kind, memory::Reservation, memory::Use};
use contract::{Coverage, NamedField, QueryLimits};
use http::StatusCode;
use model::{SpanBatch, SpanKind, merge::SpanMerger};
use serde_json::{Value, json};

use self::params::{Aliases, query, trace_range};
use super::{
    find::TracePath,
    names::{asked_kind, kind_text},
    pieces::Wanted,
    reads::Reads,
    search::{Search, trace_id},
    summary::{Summary, summarize},
    to_json,
    trace::hex,
};
use crate::{
    AppState, Error, ask,
    ask::Covered,
    body::{self, Outgoing},
    coverage, layers,
    params::{Params, bad},
    prom::json_response,
    status, tenant,
};

type Ask = ask::Ask<V3Error>;

/// JSON is larger than what it is made of: keys, quotes, hexadecimal ids.
const JSON_FACTOR: u64 = 3;
/// A query in JSON larger than this is none.
const MAX_QUERY_BYTES: usize = 1 << 20;

pub(super) fn routes(root: &str) -> Router<AppState> {
    Router::new()
        .route(&format!("{root}/v3/traces"), get(find).post(find_posted))
        .route(&format!("{root}/v3/traces/{{id}}"), get(by_id))
        .route(&format!("{root}/v3/trace-summaries"), get(summaries).post(summaries_posted))
        .route(&format!("{root}/v3/services"), get(services))
        .route(&format!("{root}/v3/operations"), get(operations))
        .route(&format!("{root}/v3/dependencies"), get(dependencies))
}

/// An error in the shape of grpc-gateway.
struct V3Error(Error);

impl<E: Into<Error>> From<E> for V3Error {
    fn from(e: E) -> Self {
        V3Error(e.into())
    }
}

impl IntoResponse for V3Error {
    fn into_response(self) -> Response {
        let code = status::http_of(&self.0);
        let body = json!({"error": {
            "grpcCode": status::grpc(self.0.kind()) as i32,
            "httpCode": code.as_u16(),
            "message": self.0.to_string(),
            "httpStatus": code.canonical_reason().unwrap_or_default(),
        }});
        layers::finish_error(json_response(code, body.to_string().into()), &self.0)
    }
}

/// A message in JSON.
struct Told {
    body: Vec<u8>,
    coverage: Coverage,
    memory: Option<Reservation>,
}

impl Told {
    fn of(message: &Value, coverage: Coverage) -> Result<Self, Error> {
        Ok(Told { body: to_json(message)?, coverage, memory: None })
    }
}

impl Covered for Told {
    fn covered(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let mut response = json_response(StatusCode::OK, Outgoing::body(self.body, self.memory));
        coverage::stamp(&mut response, &self.coverage);
        response
    }
}

/// The parameters of a query that came as JSON.
async fn posted(state: AppState, request: Request) -> Result<Ask, V3Error> {
    let (head, incoming) = request.into_parts();
    // Before the body is read: whoever may not ask sends none.
    let tenants = tenant::for_read(&head.headers)?;
    let held = body::read(&state, &head.headers, incoming, MAX_QUERY_BYTES, "the query", Use::Query).await?;
    let pairs = params::of_json(&held.bytes)?;
    let asked = Params::from_pairs(pairs, head.uri.query().unwrap_or_default());
    Ok(Ask::new(&state, head.headers, tenants, asked)?)
}

async fn find(ask: Ask) -> Result<Told, V3Error> {
    found(ask).await
}

async fn find_posted(State(state): State<AppState>, request: Request) -> Result<Told, V3Error> {
    found(posted(state, request).await?).await
}

async fn found(ask: Ask) -> Result<Told, V3Error> {
    let (search, raw) = query(&ask.params)?;
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let found = reads.matching(&search).await?;
        traces(reads, Wanted { ids: found.ids, range: found.around, raw }, "No traces found").await
    };
    Ok(ask.run(run).await?)
}

async fn by_id(Path(TracePath { id }): Path<TracePath>, ask: Ask) -> Result<Told, V3Error> {
    let (id, range) = (trace_id(&id)?, trace_range(&ask.params)?);
    let raw = ask.params.flag("rawTraces", "raw_traces")?;
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let reads = Reads::new(&from, tenants, limits);
        traces(reads, Wanted { ids: vec![id], range, raw }, "trace not found").await
    };
    Ok(ask.run(run).await?)
}

/// `{"result":{"resourceSpans":[…]}}` of all traces together.
async fn traces(mut reads: Reads, wanted: Wanted, nothing: &str) -> Result<Told, Error> {
    let (mut merged, mut memory) = (SpanMerger::default(), reads.reserve()?);
    let held = |batch: &SpanBatch| batch.spans.iter().map(|s| s.heap_bytes() as u64).sum::<u64>();
    reads
        .each_trace(&wanted, |_, batch| {
            let grown = memory.grow(held(&batch) * JSON_FACTOR).map_err(Error::from);
            merged.extend(batch);
            std::future::ready(grown)
        })
        .await?;
    // Whoever did not answer may have some, so an incomplete answer is no "not found".
    if merged.spans() == 0 && reads.coverage.is_complete() {
        return Err(Error::new(Kind::NotFound, nothing));
    }
    let spans = wire::otlp::traces::encode_json(&merged.take());
    let mut body = Vec::with_capacity(spans.len() + 16);
    body.extend_from_slice(b"{\"result\":");
    body.extend_from_slice(&spans);
    body.push(b'}');
    memory.shrink_to(body.len() as u64);
    Ok(Told { body, coverage: reads.coverage, memory: Some(memory) })
}

async fn summaries(ask: Ask) -> Result<Told, V3Error> {
    summed_up(ask).await
}

async fn summaries_posted(State(state): State<AppState>, request: Request) -> Result<Told, V3Error> {
    summed_up(posted(state, request).await?).await
}

async fn summed_up(ask: Ask) -> Result<Told, V3Error> {
    let (search, _) = query(&ask.params)?;
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let all = summaries_of(&mut reads, &search).await?;
        Told::of(&json!({"summaries": all}), reads.coverage)
    };
    Ok(ask.run(run).await?)
}

async fn summaries_of(reads: &mut Reads, search: &Search) -> Result<Vec<Value>, Error> {
    let found = reads.matching(search).await?;
    let wanted = Wanted { ids: found.ids, range: found.around, raw: false };
    let mut all = Vec::new();
    reads
        .each_trace(&wanted, |id, batch| {
            all.push(summary(&summarize(id, &batch)));
            std::future::ready(Ok(()))
        })
        .await?;
    Ok(all)
}

/// Numbers of 64 bits are strings in protobuf's JSON, and zeros are left out.
fn summary(s: &Summary) -> Value {
    let mut out = json!({
        "traceId": hex(&s.id),
        "minStartTimeUnixNano": s.start_ns.to_string(),
        "maxEndTimeUnixNano": s.end_ns.to_string(),
        "spanCount": s.spans,
    });
    let mut add = |key: &str, value: Value, is_zero: bool| {
        if !is_zero && let Some(o) = out.as_object_mut() {
            o.insert(key.to_owned(), value);
        }
    };
    add("rootServiceName", s.root_service.as_str().into(), s.root_service.is_empty());
    add("rootOperationName", s.root_operation.as_str().into(), s.root_operation.is_empty());
    add("errorSpanCount", s.errors.into(), s.errors == 0);
    add("orphanSpanCount", s.orphans.into(), s.orphans == 0);
    let of_service = |(name, (spans, errors)): (&String, &(usize, usize))| match errors {
        0 => json!({"name": name, "spanCount": spans}),
        n => json!({"name": name, "spanCount": spans, "errorSpanCount": n}),
    };
    add("services", s.services.iter().map(of_service).collect(), false);
    out
}

async fn services(ask: Ask) -> Result<Told, V3Error> {
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let services = reads.names(NamedField::Service).await?;
        Told::of(&json!({"services": services}), reads.coverage)
    };
    Ok(ask.run(run).await?)
}

async fn operations(ask: Ask) -> Result<Told, V3Error> {
    let service = ask.params.require("service")?.to_owned();
    let (name, text) = ask.params.either("spanKind", "span_kind");
    let kind = asked_kind(name, text.unwrap_or_default())?;
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let found = reads.operations(&service, kind).await?;
        // Over HTTP Jaeger calls the kind of spans that have none internal.
        let named = |k| if k == SpanKind::Unspecified { SpanKind::Internal } else { k };
        let shown: Vec<_> =
            found.iter().map(|(n, k)| json!({"name": n, "spanKind": kind_text(named(*k))})).collect();
        Told::of(&json!({"operations": shown}), reads.coverage)
    };
    Ok(ask.run(run).await?)
}

async fn dependencies(ask: Ask) -> Result<Response, V3Error> {
    let bound = |camel: &'static str, snake: &'static str| {
        let (name, _) = ask.params.either(camel, snake);
        let at = ask.params.time(camel, snake)?;
        at.map(|ns| ns.div_euclid(1_000_000)).ok_or_else(|| bad(name, "", "it must be given"))
    };
    let (start, end) = (bound("startTime", "start_time")?, bound("endTime", "end_time")?);
    let (from, tenants) = (ask.reads.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let mut reads = Reads::new(&from, tenants, limits);
        let links = reads.links(start, end).await?;
        let shown: Vec<_> = links
            .all
            .iter()
            .map(|l| json!({"parent": l.parent, "child": l.child, "callCount": l.calls.to_string()}))
            .collect();
        let told = Told::of(&json!({"dependencies": shown}), reads.coverage)?;
        Ok(Noted { told, note: links.note.unwrap_or_else(|| format!("computed from {}", links.source)) })
    };
    let Noted { told, note } = ask.run(run).await?;
    let mut response = told.into_response();
    if let Ok(note) = note.parse() {
        response.headers_mut().insert("x-orrery-source", note);
    }
    Ok(response)
}

/// An answer and what it was made of.
struct Noted {
    told: Told,
    note: String,
}

impl Covered for Noted {
    fn covered(&self) -> Option<&Coverage> {
        self.told.covered()
    }
}
