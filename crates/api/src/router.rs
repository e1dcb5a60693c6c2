//! Every route of every listener, on one page.
//!
//! | listener | serves |
//! |---|---|
//! | `listen.http` | everything below |
//! | `listen.otlp_http` | OTLP over HTTP, health |
//! | `listen.otlp_grpc` | OTLP over gRPC, Flight SQL, Jaeger's query API and storage and Tempo over gRPC, health |
//! | `listen.elasticsearch` | what is below `/es` on the main port, health |
//! | `listen.zipkin` | spans as Zipkin's senders bring them, health |
//! | `listen.jaeger_http` | spans for Jaeger's collector in Thrift, health |
//! | `listen.jaeger_grpc` | spans for Jaeger's collector over gRPC, health |

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::Response,
    routing::{get, post},
};
use base::Kind;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer, DefaultPredicate, Predicate,
        predicate::{NotForContentType, SizeAbove},
    },
    cors::{Any, CorsLayer},
};

use crate::{
    AppState, Error, admin, body, es, flight, jaeger, layers, listen, loki, otlp, prom, spans, sql, tempo, ui,
};

/// The main port.
pub fn router(state: AppState) -> Router {
    let routes = Router::new()
        .route("/", get(admin::root))
        .route("/ui", get(admin::root))
        .route("/ui/", get(ui::serve))
        .route("/ui/{*path}", get(ui::serve))
        .route("/-/ready", get(admin::ready))
        .route("/-/reload", post(admin::reload).put(admin::reload))
        .route("/ready", get(admin::loki_ready))
        .route("/metrics", get(admin::metrics))
        .route("/api/v1/orrery/fleet", get(admin::fleet))
        .route("/api/v1/orrery/federation", get(admin::federation))
        .route("/api/v1/orrery/ledger", get(admin::ledger))
        .route("/api/v1/orrery/pipelines", get(admin::pipelines))
        .merge(prom::routes())
        .merge(loki::routes())
        .merge(jaeger::routes())
        .merge(jaeger::grpc_routes())
        .merge(tempo::routes())
        .merge(tempo::grpc_routes())
        .merge(sql::routes())
        .merge(flight::routes())
        .merge(otlp::http::routes())
        .merge(otlp::grpc::routes())
        .merge(spans::zipkin())
        .merge(spans::jaeger_http())
        .merge(spans::jaeger_grpc())
        .merge(es::below());
    let routes = match &state.store_api {
        Some(services) => routes
            .route_service("/thanos.Store/{*method}", services.clone())
            .route_service("/thanos.info.Info/{*method}", services.clone()),
        None => routes,
    };
    finish(routes, state)
}

/// Port 4318.
pub fn otlp_http_router(state: AppState) -> Router {
    finish(otlp::http::routes(), state)
}

/// Port 4317.
pub fn otlp_grpc_router(state: AppState) -> Router {
    let queries = flight::routes().merge(jaeger::grpc_routes()).merge(tempo::grpc_routes());
    finish(otlp::grpc::routes().merge(queries), state)
}

/// Port 9200.
pub fn elasticsearch_router(state: AppState) -> Router {
    finish(es::routes(), state)
}

/// Port 9411.
pub fn zipkin_router(state: AppState) -> Router {
    finish(spans::zipkin(), state)
}

/// Port 14268.
pub fn jaeger_http_router(state: AppState) -> Router {
    finish(spans::jaeger_http(), state)
}

/// Port 14250.
pub fn jaeger_grpc_router(state: AppState) -> Router {
    finish(spans::jaeger_grpc(), state)
}

/// Every port while the node starts: it lives, and nobody has to guess why it does not answer yet.
pub fn starting() -> Router {
    Router::new().route("/-/healthy", get(alive)).fallback(not_started)
}

async fn alive() -> &'static str {
    "Orrery is healthy and starting.\n"
}

async fn not_started(request: Request) -> Response {
    let e = Error::unavailable("the node is starting: its store is being read, try again in a moment");
    let grpc = is_grpc(request.headers());
    body::discard(request.into_body(), STARTING_DISCARDS).await;
    match grpc {
        true => otlp::grpc::failure(&e),
        false => layers::plain_error(&e, StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// How much of a body is taken while the node starts. Larger bodies see their connection close.
const STARTING_DISCARDS: usize = 64 << 20;

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

/// What surrounds all routes of a listener. Layers run from the bottom up.
fn finish(routes: Router<AppState>, state: AppState) -> Router {
    let cors = state.options.cors_origin.as_deref().and_then(cors);
    let router = routes
        .route("/-/healthy", get(admin::healthy))
        .route("/api/v1/orrery/ledger/received", get(admin::received))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(listen::guard))
        .layer(middleware::from_fn_with_state(state.clone(), layers::observe))
        // Bodies are bounded by body::read, which also answers in the protocol's own shape.
        .layer(DefaultBodyLimit::disable())
        .layer(compression())
        .with_state(state);
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

fn compression() -> CompressionLayer<impl Predicate> {
    // Fastest: an answer is read once, and two cores have better things to do. Answers that carry a
    // Content-Encoding already, the UI's files, are left alone by the layer itself.
    let worth_it =
        DefaultPredicate::new().and(SizeAbove::new(1024)).and(NotForContentType::const_new("font/"));
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it)
}

fn cors(origin: &str) -> Option<CorsLayer> {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers(Any)
        .expose_headers([crate::coverage::HEADER, sql::RANGE_HEADER]);
    match origin {
        "" => None,
        "*" => Some(layer.allow_origin(Any)),
        one => HeaderValue::try_from(one).ok().map(|o| layer.allow_origin(o)),
    }
}

async fn no_route(uri: Uri, headers: HeaderMap) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    if is_grpc(&headers) {
        return otlp::grpc::unimplemented(&path);
    }
    let e = Error::new(Kind::NotFound, format!("there is nothing at {path:?}"));
    layers::plain_error(&e, StatusCode::NOT_FOUND)
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let e = Error::invalid(format!("{method} is not allowed at {path:?}"));
    layers::plain_error(&e, StatusCode::METHOD_NOT_ALLOWED)
}
