//! Elasticsearch's HTTP API as far as log shippers, its clients and Grafana's data source use it: `_bulk`, the
//! questions shippers ask before it, and search. Under `/es` on the main port and at the root of `listen.elasticsearch`.
//!
//! Nothing is set up here: there are no mappings, templates, policies or pipelines. What shippers put before they
//! write is acknowledged and not kept, so that asking for it again says 404; see `docs/decisions/0022`. Errors have
//! Elasticsearch's shape and its names, since clients decide by them.

mod bulk;
mod filter_path;
mod handshake;
mod indices;
mod scroll;
mod search;

use axum::{
    Router,
    body::Body,
    extract::{FromRequest, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base::{
    cap::{self, Encoding},
    memory::{Reservation, Use},
};
use contract::Coverage;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::{
    AppState, Error, ask,
    body::{self, Held, Outgoing},
    coverage, layers,
    params::Params,
    prom::json_response,
    push::header_text,
    status,
};

pub use scroll::Scrolls;

/// Clients refuse servers whose answers lack it.
const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
/// Media type that clients since version 8 ask for.
const VENDOR: &str = "application/vnd.elasticsearch+json";
/// A query larger than this is none.
const MAX_QUERY_BYTES: usize = 10 << 20;

/// Everything under `/es`, with the slash that clients put behind it too.
pub fn below() -> Router<AppState> {
    let root = Router::new().route("/es/", get(handshake::root)).layer(middleware::from_fn(as_product));
    Router::new().nest("/es", routes()).merge(root)
}

pub fn routes() -> Router<AppState> {
    Router::new()
        .merge(handshake::routes())
        .route("/_bulk", post(bulk::bulk).put(bulk::bulk))
        .route("/{index}/_bulk", post(bulk::bulk_into).put(bulk::bulk_into))
        .route("/{index}/_doc", post(bulk::one))
        .route("/{index}/_doc/{id}", get(search::document).put(bulk::one_named).post(bulk::one_named))
        .route("/{index}/_create/{id}", post(bulk::create_named).put(bulk::create_named))
        .route("/_monitoring/bulk", post(bulk::monitoring).put(bulk::monitoring))
        .merge(reads())
        .fallback(no_handler)
        .layer(middleware::from_fn(as_product))
}

fn reads() -> Router<AppState> {
    use indices as i;
    use search as s;
    Router::new()
        .route("/_search", get(s::all).post(s::all))
        .route("/{index}/_search", get(s::within).post(s::within))
        .route("/_msearch", get(s::many).post(s::many))
        .route("/{index}/_msearch", get(s::many_within).post(s::many_within))
        .route("/_count", get(s::count_all).post(s::count_all))
        .route("/{index}/_count", get(s::count_within).post(s::count_within))
        .route("/_search/scroll", get(s::scroll).post(s::scroll).delete(s::end_scroll))
        .route("/_search/scroll/{id}", get(s::scroll_named).post(s::scroll_named))
        .route("/_mapping", get(i::mapping_all))
        .route("/_mappings", get(i::mapping_all))
        .route("/{index}/_mapping", get(i::mapping_within).put(i::put_mapping))
        .route("/{index}/_mappings", get(i::mapping_within))
        .route("/_field_caps", get(i::field_caps_all).post(i::field_caps_all))
        .route("/{index}/_field_caps", get(i::field_caps_within).post(i::field_caps_within))
        .route("/_cat/indices", get(i::cat_all))
        .route("/_cat/indices/{index}", get(i::cat_within))
        .route("/_resolve/index/{index}", get(i::resolve))
        .route("/{index}/_ilm/explain", get(i::explain))
        .route("/{index}", get(i::get).put(i::put).delete(i::delete))
}

/// Marks every answer, and names its media type as the client did.
async fn as_product(request: Request, next: Next) -> Response {
    let vendor = header_text(request.headers(), &header::ACCEPT).starts_with(VENDOR);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    if vendor && headers.get(header::CONTENT_TYPE).is_some_and(|v| v == "application/json") {
        let named = HeaderValue::from_static("application/vnd.elasticsearch+json;compatible-with=9");
        headers.insert(header::CONTENT_TYPE, named);
    }
    response
}

async fn no_handler(method: Method, uri: Uri) -> EsError {
    let uri: String = uri.to_string().chars().take(200).collect();
    EsError::from(Error::invalid(format!("no handler found for uri [{uri}] and method [{method}]")))
}

/// An error in Elasticsearch's shape.
#[derive(Debug)]
pub struct EsError {
    error: Error,
    /// Status and type where they are not those of the error's kind.
    exact: Option<(StatusCode, &'static str)>,
}

impl EsError {
    pub(super) fn exactly(code: StatusCode, name: &'static str, error: Error) -> Self {
        EsError { error, exact: Some((code, name)) }
    }

    fn status_and_name(&self) -> (StatusCode, &'static str) {
        self.exact.unwrap_or_else(|| status::elasticsearch(&self.error))
    }

    /// What stands in an answer that is not about this alone.
    pub(super) fn to_json(&self) -> Value {
        let (code, name) = self.status_and_name();
        let cause = json!({"type": name, "reason": self.error.to_string()});
        let mut error = cause.clone();
        if let Some(fields) = error.as_object_mut() {
            fields.insert("root_cause".to_owned(), json!([cause]));
        }
        json!({"error": error, "status": code.as_u16()})
    }
}

impl<E: Into<Error>> From<E> for EsError {
    fn from(e: E) -> Self {
        EsError { error: e.into(), exact: None }
    }
}

impl IntoResponse for EsError {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        layers::finish_error(json_response(self.status_and_name().0, body.into()), &self.error)
    }
}

/// A request that reads: what all reads have, and its body unpacked.
pub struct Ask {
    pub ask: ask::Ask<EsError>,
    pub body: Held,
}

impl FromRequest<AppState> for Ask {
    type Rejection = EsError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, EsError> {
        let (head, incoming) = request.into_parts();
        let who = Use::Query;
        let mut body = body::read(state, &head.headers, incoming, MAX_QUERY_BYTES, "the query", who).await?;
        let encoding = encoding(&head.headers)?;
        if encoding != Encoding::Identity {
            body.bytes = cap::unpack(encoding, &body.bytes, MAX_QUERY_BYTES)?.into();
        }
        let ask = ask::Ask::from_request(Request::from_parts(head, Body::empty()), state).await?;
        Ok(Ask { ask, body })
    }
}

impl Ask {
    /// The body as JSON; an empty one is an empty object.
    pub fn json(&self) -> Result<Value, EsError> {
        if self.body.bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body.bytes).map_err(|e| {
            let why = Error::invalid(format!("the body is not valid JSON: {e}"));
            EsError::exactly(StatusCode::BAD_REQUEST, "x_content_parse_exception", why)
        })
    }
}

pub(super) fn encoding(headers: &HeaderMap) -> Result<Encoding, Error> {
    Ok(Encoding::parse(header_text(headers, &header::CONTENT_ENCODING))?)
}

/// A flag of the query string; there without a value it is set.
pub(super) fn flag(params: &Params, name: &str) -> bool {
    params.all(name).next().is_some_and(|v| v.is_empty() || v == "true")
}

/// An answer, as much of it as `filter_path` asks for.
pub(super) fn reply(params: &Params, code: StatusCode, value: Value) -> Response {
    let value = match params.get("filter_path") {
        Some(paths) => filter_path::apply(value, paths),
        None => value,
    };
    let text = match flag(params, "pretty") {
        true => format!("{value:#}\n"),
        false => value.to_string(),
    };
    json_response(code, text.into())
}

/// An answer that knows what it covers. `memory` is what it was made of, held until it is text.
pub(super) fn reply_covered(
    params: &Params,
    value: Value,
    covered: &Coverage,
    memory: Option<Reservation>,
) -> Response {
    let value = match params.get("filter_path") {
        Some(paths) => filter_path::apply(value, paths),
        None => value,
    };
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = match flag(params, "pretty") {
        true => serde_json::to_writer_pretty(&mut text, &value),
        false => serde_json::to_writer(&mut text, &value),
    };
    let mut response = json_response(StatusCode::OK, Outgoing::body(text, memory));
    coverage::stamp(&mut response, covered);
    response
}

/// What was asked for is not here, in the words of the one who asks for an index.
pub(super) fn no_such_index(name: &str) -> EsError {
    let name: String = name.chars().take(200).collect();
    let error = Error::new(base::Kind::NotFound, format!("no such index [{name}]"));
    EsError::exactly(StatusCode::NOT_FOUND, "index_not_found_exception", error)
}

/// What is answered to whoever sets something up.
pub(super) fn acknowledged() -> Value {
    json!({"acknowledged": true})
}
