//! `_search`, `_msearch`, `_count`, scrolling, and a document by its id.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use base::{memory::Reservation, memory::Use};
use contract::{Coverage, CoverageState};
use elastic::{
    engine::{self, Found},
    field::Doc,
    hit,
    indices::{self, Expression, Reader},
    page::{Hit, Position},
    query::Context,
    search::{Extra, Search, Track},
    sort,
};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Ask, EsError, flag, reply_covered, scroll::Scroll};
use crate::{AppState, Error, ask::Covered, coverage, params::Params};

/// Searches of one `_msearch`.
const MAX_SEARCHES: usize = 500;

/// An outcome that carries what it covers through the gate.
pub(super) struct Ran<T>(pub Result<T, elastic::Error>);

impl Covered for Ran<Found> {
    fn covered(&self) -> Option<&Coverage> {
        self.0.as_ref().ok().map(|f| &f.coverage)
    }
}

impl EsError {
    /// An error of the language, by its own name.
    pub(super) fn of(e: elastic::Error) -> Self {
        let name = e.name();
        let error = match e {
            elastic::Error::Select(e) => Error::from(e),
            other => Error::new(other.kind(), other.to_string()),
        };
        match name {
            Some(name) => EsError::exactly(crate::status::elasticsearch(&error).0, name, error),
            None => error.into(),
        }
    }
}

pub async fn all(ask: Ask) -> Result<Response, EsError> {
    one(&ask, "").await
}

pub async fn within(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    one(&ask, &index).await
}

pub async fn count_all(ask: Ask) -> Result<Response, EsError> {
    count(&ask, "").await
}

pub async fn count_within(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    count(&ask, &index).await
}

pub async fn many(ask: Ask) -> Result<Response, EsError> {
    several(&ask, "").await
}

pub async fn many_within(Path(index): Path<String>, ask: Ask) -> Result<Response, EsError> {
    several(&ask, &index).await
}

pub(super) fn context(state: &AppState) -> Context {
    Context { now_ns: state.clock.now_ns() }
}

fn extra(p: &Params) -> Extra<'_> {
    Extra {
        q: p.get("q"),
        df: p.get("df"),
        default_operator: p.get("default_operator"),
        from: p.get("from"),
        size: p.get("size"),
        sort: p.get("sort"),
        source: p.get("_source"),
        source_includes: p.get("_source_includes"),
        source_excludes: p.get("_source_excludes"),
        track_total_hits: p.get("track_total_hits"),
    }
}

/// One search over the names of an expression, at the gate.
pub(super) async fn run(
    ask: &Ask,
    expression: Expression,
    search: Arc<Search>,
    lenient: bool,
    from: Option<Position>,
) -> Result<Found, EsError> {
    let (select, tenants) = (ask.ask.reads.select.clone(), ask.ask.tenants.clone());
    let work = |limits| async move {
        let reader = Reader { select, tenants, limits };
        let found = async {
            let targets = indices::resolve(expression, &reader, lenient).await?;
            engine::search(&search, &targets, &reader, from).await
        };
        Ok(Ran(found.await))
    };
    ask.ask.run(work).await?.0.map_err(EsError::of)
}

async fn one(ask: &Ask, index: &str) -> Result<Response, EsError> {
    let began = ask.ask.state.clock.monotonic();
    let p = &ask.ask.params;
    let search = Search::parse(&ask.json()?, &extra(p), &context(&ask.ask.state)).map_err(EsError::of)?;
    let search = Arc::new(search);
    let (expression, lenient) = (Expression::parse(index), flag(p, "ignore_unavailable"));
    let keeps = p.duration("scroll")?;
    let found = run(ask, expression.clone(), search.clone(), lenient, None).await?;
    let covered = found.coverage.clone();
    let scroll_id = match keeps {
        Some(keep) => {
            let scroll = Scroll::new(search.clone(), expression, lenient, &found, ask.ask.tenants.clone());
            Some(ask.ask.state.scrolls().open(scroll, keep, &ask.ask.state)?)
        }
        None => None,
    };
    let mut body = answer(&search, found, p, began.elapsed().as_millis() as u64, &ask.ask.state)?;
    if let (Some(id), Some(fields)) = (scroll_id, body.0.as_object_mut()) {
        fields.insert("_scroll_id".to_owned(), Value::from(id));
    }
    Ok(reply_covered(p, body.0, &covered, Some(body.1)))
}

/// An answer as JSON, and the memory it holds.
pub(super) fn answer(
    search: &Search,
    found: Found,
    p: &Params,
    took: u64,
    state: &AppState,
) -> Result<(Value, Reservation), EsError> {
    // Twice what the hits hold: as JSON in pieces, then as text.
    let held = found.memory.as_ref().map_or(0, Reservation::bytes);
    let memory = state.budget.reserve(Use::Query, 2 * held).map_err(Error::from)?;
    let Found { hits, total, exact, aggregations, coverage: covered, .. } = found;
    let words = search.highlight.as_ref().map(|_| search.query.marked_words()).unwrap_or_default();
    let any = !hits.is_empty();
    let hits: Vec<Value> = hits.iter().map(|h| shown(search, h, &words)).collect();
    let scored = search.sort.is_empty() && any;
    let mut inner = Map::new();
    if search.track != Track::Not {
        let relation = if exact { "eq" } else { "gte" };
        let total = match flag(p, "rest_total_hits_as_int") {
            true => Value::from(total),
            false => json!({"value": total, "relation": relation}),
        };
        inner.insert("total".to_owned(), total);
    }
    inner.insert("max_score".to_owned(), if scored { Value::from(1.0) } else { Value::Null });
    inner.insert("hits".to_owned(), Value::Array(hits));
    let mut out = json!({"took": took, "timed_out": timed_out(&covered), "_shards": shards(&covered)});
    if let Some(fields) = out.as_object_mut() {
        fields.insert("hits".to_owned(), Value::Object(inner));
        if let Some(aggregations) = aggregations {
            fields.insert("aggregations".to_owned(), aggregations);
        }
        if !covered.is_complete() {
            fields.insert("coverage".to_owned(), coverage::to_json(&covered));
        }
    }
    Ok((out, memory))
}

fn shown(search: &Search, h: &Hit, words: &[(elastic::field::Field, String, bool)]) -> Value {
    let doc = Doc::new(&h.stream, &h.record, &h.index);
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("_index", Value::from(&*h.index));
    put("_id", Value::from(doc.id()));
    if search.version {
        put("_version", Value::from(1));
    }
    if search.seq_no {
        put("_seq_no", Value::from(0));
        put("_primary_term", Value::from(1));
    }
    put("_score", if search.sort.is_empty() { Value::from(1.0) } else { Value::Null });
    if let Some(source) = hit::source(&doc, &search.source) {
        put("_source", source);
    }
    if !search.fields.is_empty() {
        put("fields", hit::fields(&doc, &search.fields));
    }
    if let Some(marked) = search.highlight.as_ref().and_then(|hl| hl.apply(&doc, words)) {
        put("highlight", marked);
    }
    if !search.sort.is_empty() {
        put("sort", Value::Array(sort::shown(&search.sort, &h.ranks)));
    }
    Value::Object(out)
}

/// Clusters that were asked, as shards: whoever lacks something has failed.
pub(super) fn shards(covered: &Coverage) -> Value {
    let total = covered.sources().len().max(1);
    let lacking = covered.sources().iter().filter(|s| s.state != CoverageState::Complete);
    let failures: Vec<Value> = lacking
        .map(|s| {
            let reason = if s.reason.is_empty() { s.state.as_str() } else { &s.reason };
            json!({"shard": 0, "index": s.cluster, "node": s.replica, "reason": {
                "type": format!("coverage_{}", s.state.as_str()), "reason": reason}})
        })
        .collect();
    let failed = failures.len();
    let mut out = json!({"total": total, "successful": total - failed, "skipped": 0, "failed": failed});
    if let (false, Some(fields)) = (failures.is_empty(), out.as_object_mut()) {
        fields.insert("failures".to_owned(), Value::Array(failures));
    }
    out
}

fn timed_out(covered: &Coverage) -> bool {
    covered.sources().iter().any(|s| s.state == CoverageState::Missing && s.reason.contains("timeout"))
}

async fn count(ask: &Ask, index: &str) -> Result<Response, EsError> {
    let p = &ask.ask.params;
    let mut body = ask.json()?;
    if let Some(fields) = body.as_object_mut() {
        if let Some((key, _)) = fields.iter().find(|(k, _)| *k != "query") {
            let why = format!("request does not support [{}]", key.chars().take(100).collect::<String>());
            return Err(EsError::of(elastic::Error::parsing(why)));
        }
        fields.insert("size".to_owned(), Value::from(0));
        fields.insert("track_total_hits".to_owned(), Value::from(true));
    }
    let search = Search::parse(&body, &extra(p), &context(&ask.ask.state)).map_err(EsError::of)?;
    let lenient = flag(p, "ignore_unavailable");
    let found = run(ask, Expression::parse(index), Arc::new(search), lenient, None).await?;
    let mut body = json!({"count": found.total, "_shards": shards(&found.coverage)});
    if let (false, Some(fields)) = (found.coverage.is_complete(), body.as_object_mut()) {
        fields.insert("coverage".to_owned(), coverage::to_json(&found.coverage));
    }
    Ok(reply_covered(p, body, &found.coverage, None))
}

/// Pairs of lines: where, and what.
async fn several(ask: &Ask, index: &str) -> Result<Response, EsError> {
    let began = ask.ask.state.clock.monotonic();
    let text = &ask.body.bytes;
    let mut lines = text.split(|b| *b == b'\n').filter(|l| !l.iter().all(u8::is_ascii_whitespace));
    let (mut responses, mut covered, mut held) = (Vec::new(), Coverage::default(), Vec::new());
    while let Some(head) = lines.next() {
        if responses.len() >= MAX_SEARCHES {
            return Err(Error::invalid(format!("more than {MAX_SEARCHES} searches in one request")).into());
        }
        let body = lines.next().ok_or_else(|| Error::invalid("the body of the last search is missing"))?;
        match part(ask, index, head, body).await {
            Ok((mut value, coverage, memory)) => {
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("status".to_owned(), Value::from(200));
                }
                covered.merge(coverage);
                held.push(memory);
                responses.push(value);
            }
            Err(e) => responses.push(e.to_json()),
        }
    }
    if responses.is_empty() {
        return Err(EsError::exactly(
            StatusCode::BAD_REQUEST,
            "action_request_validation_exception",
            Error::invalid("Validation Failed: 1: no requests added;"),
        ));
    }
    let took = began.elapsed().as_millis() as u64;
    let body = json!({"took": took, "responses": responses});
    Ok(reply_covered(&ask.ask.params, body, &covered, held.pop()))
}

async fn part(
    ask: &Ask,
    index: &str,
    head: &[u8],
    body: &[u8],
) -> Result<(Value, Coverage, Reservation), EsError> {
    let began = ask.ask.state.clock.monotonic();
    let json = |line: &[u8]| {
        serde_json::from_slice::<Value>(line)
            .map_err(|e| EsError::of(elastic::Error::parsing(format!("a line is not valid JSON: {e}"))))
    };
    let (head, body) = (json(head)?, json(body)?);
    let names = match head.get("index").or_else(|| head.get("indices")) {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        _ => index.to_owned(),
    };
    let p = &ask.ask.params;
    let lenient = head.get("ignore_unavailable").is_some_and(|v| v == true || v == "true")
        || flag(p, "ignore_unavailable");
    let search = Search::parse(&body, &Extra::default(), &context(&ask.ask.state)).map_err(EsError::of)?;
    let search = Arc::new(search);
    let found = run(ask, Expression::parse(&names), search.clone(), lenient, None).await?;
    let covered = found.coverage.clone();
    let took = began.elapsed().as_millis() as u64;
    let (value, memory) = answer(&search, found, p, took, &ask.ask.state)?;
    Ok((value, covered, memory))
}

/// A document by its id.
pub async fn document(Path((index, id)): Path<(String, String)>, ask: Ask) -> Result<Response, EsError> {
    let body = json!({"query": {"ids": {"values": [id]}}, "size": 1, "track_total_hits": false});
    let search = Search::parse(&body, &Extra::default(), &context(&ask.ask.state)).map_err(EsError::of)?;
    let search = Arc::new(search);
    let found = run(&ask, Expression::parse(&index), search.clone(), false, None).await?;
    let covered = found.coverage.clone();
    let value = match found.hits.first() {
        None => json!({"_index": index, "_id": id, "found": false}),
        Some(hit) => {
            let mut value = shown(&search, hit, &[]);
            if let Some(fields) = value.as_object_mut() {
                fields.remove("_score");
                fields.insert("_version".to_owned(), Value::from(1));
                fields.insert("found".to_owned(), Value::from(true));
            }
            value
        }
    };
    let found = value["found"] == true;
    let mut response = reply_covered(&ask.ask.params, value, &covered, None);
    if !found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// The next page of a scroll.
pub async fn scroll(ask: Ask) -> Result<Response, EsError> {
    let (id, keep) = scroll_of(&ask)?;
    next_page(&ask, &id, keep.as_deref()).await
}

/// The same with the id in the path.
pub async fn scroll_named(Path(id): Path<String>, ask: Ask) -> Result<Response, EsError> {
    let keep = ask.ask.params.get("scroll").map(str::to_owned);
    next_page(&ask, &id, keep.as_deref()).await
}

fn scroll_of(ask: &Ask) -> Result<(String, Option<String>), EsError> {
    let body = ask.json()?;
    let text = |key: &str| {
        let value = body.get(key).and_then(|v| v.as_str().or_else(|| v.get(0)?.as_str()));
        value.or_else(|| ask.ask.params.get(key)).map(str::to_owned)
    };
    let id = text("scroll_id").ok_or_else(|| Error::invalid("Validation Failed: 1: scrollId is missing;"))?;
    Ok((id, text("scroll")))
}

async fn next_page(ask: &Ask, id: &str, keep: Option<&str>) -> Result<Response, EsError> {
    let state = &ask.ask.state;
    let began = state.clock.monotonic();
    let scroll = state.scrolls().find(id, &ask.ask.tenants, state)?;
    let keep = match keep {
        Some(text) => Some(crate::params::duration(text).ok_or_else(|| {
            Error::invalid(format!(
                "[scroll] {:?} is not a duration",
                text.chars().take(50).collect::<String>()
            ))
        })?),
        None => None,
    };
    let Scroll { search, expression, lenient, next, .. } = scroll.clone();
    let mut found = run(ask, expression, search.clone(), lenient, next).await?;
    (found.total, found.exact) = (scroll.total, scroll.exact);
    found.aggregations = None;
    state.scrolls().turn(id, found.next.clone(), keep, state);
    let covered = found.coverage.clone();
    let took = began.elapsed().as_millis() as u64;
    let (mut body, memory) = answer(&search, found, &ask.ask.params, took, state)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("_scroll_id".to_owned(), Value::from(id));
    }
    Ok(reply_covered(&ask.ask.params, body, &covered, Some(memory)))
}

/// Ends scrolls: one, some, or all of the tenant.
pub async fn end_scroll(State(state): State<AppState>, ask: Ask) -> Result<Response, EsError> {
    let body = ask.json()?;
    let ids: Vec<String> = match body.get("scroll_id") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => ask.ask.params.get("scroll_id").map(str::to_owned).into_iter().collect(),
    };
    let freed = state.scrolls().close(&ids, &ask.ask.tenants);
    Ok(super::reply(&ask.ask.params, StatusCode::OK, json!({"succeeded": true, "num_freed": freed})))
}
