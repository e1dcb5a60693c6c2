//! What surrounds every handler: panics, spans, the gate, foreign origins.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::body::Body;
use base::MemoryBudget;
use http::{Request, StatusCode};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

use crate::node::{self, ask, get};

#[tokio::test]
async fn admin_calls_are_refused_unless_switched_on_and_answer_as_prometheus_does() {
    let post = |path: &str| Request::post(format!("/api/v1/admin/tsdb/{path}")).body(Body::empty()).unwrap();
    let off = node::router();
    for path in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        let a = ask(&off, post(path)).await;
        assert_eq!(a.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(a.text().contains("http.enable_admin"), "{}", a.text());
    }
    let on = api::router(node::state_with(MemoryBudget::unlimited(), |o| o.enable_admin = true));
    assert_eq!(ask(&on, post("delete_series?match[]=up&start=1&end=2")).await.status, StatusCode::NO_CONTENT);
    let none = ask(&on, post("delete_series")).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(none.text().contains("no match[] parameter provided"), "{}", none.text());
    assert_eq!(ask(&on, post("delete_series?match[]=%7B%7D")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&on, post("clean_tombstones")).await.status, StatusCode::NO_CONTENT);
    let taken = ask(&on, post("snapshot?skip_head=true")).await;
    assert_eq!(taken.json()["data"]["name"], "with head: false", "{}", taken.text());
    assert_eq!(ask(&on, post("snapshot?skip_head=maybe")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(node::get(&on, "/api/v1/admin/tsdb/snapshot").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_panic_is_a_500_that_is_counted_and_the_node_goes_on() {
    let router = api::router(node::state_with(MemoryBudget::unlimited(), |o| {
        o.version.revision = node::PANIC.to_owned();
    }));
    let a = get(&router, "/api/v1/orrery/fleet").await;
    assert_eq!(a.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(a.text().contains("the handler panicked: no fleet today"), "{}", a.text());
    let metrics = get(&router, "/metrics").await.text();
    assert!(metrics.contains("orrery_http_panics_total{handler=\"/api/v1/orrery/fleet\"} 1"), "{metrics}");
    assert!(metrics.contains("handler=\"/api/v1/orrery/fleet\",method=\"GET\",code=\"500\"} 1"), "{metrics}");
}

#[tokio::test]
async fn past_the_queue_a_query_is_503_naming_the_limit() {
    let state = node::state_with(MemoryBudget::unlimited(), |o| {
        o.max_concurrent_queries = 1;
        o.max_queued_queries = 0;
    });
    let router = api::router(state.clone());
    let running = state.gate().enter(None).await.unwrap();
    let a = get(&router, "/api/v1/labels").await;
    assert_eq!((a.status, &a.json()["errorType"]), (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into()));
    assert!(a.text().contains("query.max_concurrent 1") && a.headers["retry-after"] == "5", "{}", a.text());
    assert_eq!(get(&router, "/-/healthy").await.status, StatusCode::OK);
    drop(running);
    assert_eq!(get(&router, "/api/v1/labels").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_timeout_shorter_than_the_wait_is_503_timeout() {
    let state = node::state_with(MemoryBudget::unlimited(), |o| o.max_concurrent_queries = 1);
    let router = api::router(state.clone());
    let _running = state.gate().enter(None).await.unwrap();
    let a = get(&router, "/api/v1/labels?timeout=1ms").await;
    assert_eq!((a.status, &a.json()["errorType"]), (StatusCode::SERVICE_UNAVAILABLE, &"timeout".into()));
}

#[tokio::test]
async fn foreign_origins_are_let_in_only_when_configured() {
    let origin =
        || Request::get("/api/v1/labels").header("origin", "http://a.example").body(Body::empty()).unwrap();
    let closed = ask(&node::router(), origin()).await;
    assert!(!closed.headers.contains_key("access-control-allow-origin"));
    let open =
        node::state_with(MemoryBudget::unlimited(), |o| o.cors_origin = Some("http://a.example".to_owned()));
    let open = ask(&api::router(open), origin()).await;
    assert_eq!(open.headers["access-control-allow-origin"], "http://a.example");
    assert_eq!(open.headers["access-control-expose-headers"], "x-orrery-coverage,x-orrery-range");
}

#[tokio::test]
async fn large_answers_are_packed_for_clients_that_take_it() {
    let router = node::router();
    get(&router, "/api/v1/labels").await;
    for encoding in ["gzip", "br", "zstd"] {
        let asked = Request::get("/metrics").header("accept-encoding", encoding).body(Body::empty()).unwrap();
        assert_eq!(ask(&router, asked).await.headers["content-encoding"], encoding);
    }
    assert!(!get(&router, "/metrics").await.headers.contains_key("content-encoding"));
}

/// Fields of the spans called `request`, by span.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<u64, BTreeMap<String, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "request" {
            let mut seen = self.0.lock().unwrap();
            attributes.record(&mut Fields(seen.entry(id.into_u64()).or_default()));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(&mut Fields(fields));
        }
    }
}

#[tokio::test]
async fn a_request_is_a_span_with_the_conventional_fields_and_probes_are_none() {
    // With one subscriber alone, a thread without it may decide that nobody wants such spans.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let seen = Seen::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(seen.clone()));
    let router = node::router();
    let asked = Request::get("/api/v1/label/job/values?start=x")
        .header("host", "node.example:9494")
        .header("user-agent", "test/1")
        .body(Body::empty())
        .unwrap();
    ask(&router, asked).await;
    for quiet in ["/-/healthy", "/metrics", "/ui/", "/nowhere"] {
        get(&router, quiet).await;
    }
    let own = Request::post("/v1/traces").header("x-orrery-self", "1").body(Body::empty()).unwrap();
    ask(&router, own).await;
    let spans = seen.0.lock().unwrap();
    assert_eq!(spans.len(), 1, "{spans:?}");
    let fields = spans.values().next().unwrap();
    for (name, value) in [
        ("otel.name", "GET /api/v1/label/{name}/values"),
        ("otel.kind", "server"),
        ("http.request.method", "GET"),
        ("http.route", "/api/v1/label/{name}/values"),
        ("url.path", "/api/v1/label/job/values"),
        ("http.response.status_code", "400"),
        ("server.address", "node.example"),
        ("server.port", "9494"),
        ("user_agent.original", "test/1"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name} in {fields:?}");
    }
    assert!(!fields.contains_key("otel.status_code"), "a 4xx is the client's error");
}

#[tokio::test]
async fn logs_are_deleted_by_stream_and_time_and_the_requests_are_listed() {
    let on = api::router(node::state_with(MemoryBudget::unlimited(), |o| o.enable_admin = true));
    let path = |rest: &str| format!("/loki/api/v1/delete{rest}");
    let send = async |method: &str, rest: &str| {
        let request = Request::builder().method(method).uri(path(rest)).body(Body::empty()).unwrap();
        ask(&on, request).await
    };
    let shop = "?query=%7Bapp%3D%22shop%22%7D";
    let made = send("POST", &format!("{shop}&start=1699990000&end=1699999000&max_interval=1h")).await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.text());
    assert_eq!(send("PUT", &format!("{shop}&start=1699990000")).await.status, StatusCode::NO_CONTENT);
    let listed = send("GET", "").await.json();
    assert_eq!(
        listed[0],
        serde_json::json!({"request_id": "1", "start_time": 1_699_990_000, "end_time": 1_699_999_000,
            "query": "{app=\"shop\"}", "status": "processed", "created_at": 1_700_000_000})
    );
    assert_eq!(listed[1]["end_time"], 1_700_000_000, "up to now");
    for (rest, word) in [
        ("?start=1", "query"),
        (shop, "start"),
        (&format!("{shop}%20%7C%3D%20%22x%22&start=1"), "not supported"),
        ("?query=%7Bapp%3D~%22.*%22%7D&start=1", "empty-compatible"),
        (&format!("{shop}&start=1&end=1800000000"), "future"),
        (&format!("{shop}&start=3&end=2"), "start"),
    ] {
        let refused = send("POST", rest).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{rest}");
        assert!(refused.text().contains(word), "{rest}: {}", refused.text());
    }
    assert_eq!(send("DELETE", "?request_id=1").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("DELETE", "?request_id=9").await.status, StatusCode::NOT_FOUND);
}
