//! Splunk's collector as its documentation has it: it looks at one event after the other, takes those before the first that
//! is not valid, and says which that was; with acknowledgement, an indexer has them some questions later.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use forward::{
    Destination, Outcome, Reasons,
    destination::{
        hec::{Hec, HecAcknowledge, HecOptions},
        http::HttpOptions,
    },
};
use model::{AnyValue, Batch, MetricBatch, Span, SpanBatch, span::SpanOrigin};
use net::Secret;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::server::{clock, delivery, logs, metrics, unpacked};

#[derive(Default)]
struct Collector {
    events: Mutex<Vec<Value>>,
    acknowledges: bool,
    /// Questions until an indexer has what was sent; by number.
    waits: Mutex<HashMap<u64, u32>>,
    channels: Mutex<HashSet<String>>,
    /// Events with this text are no valid ones.
    poison: &'static str,
}

fn say(status: u16, code: u64, further: Value) -> Response {
    let mut body = json!({"text": "as documented", "code": code});
    if let (Some(body), Some(more)) = (body.as_object_mut(), further.as_object()) {
        body.extend(more.clone());
    }
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

/// The code of an event that is not valid.
fn invalid(event: &Value, poison: &str) -> Option<u64> {
    match event.get("event") {
        None => return Some(12),
        Some(Value::String(s)) if s.is_empty() => return Some(13),
        Some(Value::String(s)) if !poison.is_empty() && s == poison => return Some(6),
        _ => {}
    }
    let is_nested = |v: &Value| v.is_object() || v.is_array();
    let fields = event.get("fields").and_then(Value::as_object);
    fields.is_some_and(|f| f.values().any(is_nested)).then_some(15)
}

async fn take(State(c): State<Arc<Collector>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if header("authorization") != "Splunk t0ken" {
        return say(403, 4, Value::Null);
    }
    let channel = header("x-splunk-request-channel").to_owned();
    if c.acknowledges && channel.is_empty() {
        return say(400, 10, Value::Null);
    }
    let body = unpacked(header("content-encoding"), &body);
    for (n, event) in serde_json::Deserializer::from_slice(&body).into_iter::<Value>().enumerate() {
        let Ok(event) = event else { return say(400, 6, json!({"invalid-event-number": n})) };
        if let Some(code) = invalid(&event, c.poison) {
            return say(400, code, json!({"invalid-event-number": n}));
        }
        c.events.lock().push(event);
    }
    if !c.acknowledges {
        return say(200, 0, Value::Null);
    }
    c.channels.lock().insert(channel);
    let mut waits = c.waits.lock();
    let id = waits.len() as u64;
    waits.insert(id, 2);
    say(200, 0, json!({"ackId": id}))
}

async fn acks(State(c): State<Arc<Collector>>, headers: HeaderMap, Json(asked): Json<Value>) -> Response {
    let channel = headers.get("x-splunk-request-channel").map(|v| v.to_str().unwrap().to_owned());
    assert!(channel.is_some_and(|id| c.channels.lock().contains(&id)), "acks are of a channel");
    let mut waits = c.waits.lock();
    let mut one = |id: u64| match waits.get_mut(&id) {
        Some(0) | None => true,
        Some(n) => {
            *n -= 1;
            false
        }
    };
    let ids = asked["acks"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap());
    let acks: HashMap<String, bool> = ids.map(|id| (id.to_string(), one(id))).collect();
    Json(json!({"acks": acks})).into_response()
}

async fn start(collector: Collector) -> (Arc<Collector>, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let collector = Arc::new(collector);
    let router = Router::new()
        .route("/services/collector/event", post(take))
        .route("/services/collector/ack", post(acks))
        .with_state(collector.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (collector, url)
}

fn options() -> HecOptions {
    HecOptions {
        index: Some("main".to_owned()),
        metrics_index: Some("metrics".to_owned()),
        source: Some("orrery".to_owned()),
        ..HecOptions::new(Secret::Inline("t0ken".to_owned()))
    }
}

fn hec(url: &str, options: HecOptions) -> Hec {
    Hec::new("splunk", HttpOptions::new([url]), options, clock()).unwrap()
}

fn refused(reason: &str) -> Reasons {
    Reasons::from([(reason.to_owned(), 1)])
}

#[tokio::test]
async fn hec_takes_records_samples_and_spans() {
    let (collector, url) = start(Collector::default()).await;
    let hec = hec(&url, options());
    let mut records = logs(&["hello"]);
    if let Batch::Logs(l) = &mut records {
        l.streams[0].resource.attributes.push("host.name", "web-1");
        l.records[0].attributes.push("size", 7i64);
        l.records[0].attributes.push("nested", AnyValue::Array(vec![1i64.into()]));
        l.records[0].severity_number = 17;
        l.records[0].trace_id = [1; 16];
    }
    let span =
        Span { name: "GET /".to_owned(), trace_id: [2; 16], start_ns: 1_500_000_000, ..Span::default() };
    let spans = SpanBatch { origins: vec![SpanOrigin::default()], spans: vec![span] };
    for batch in [records, metrics(&[1.5]), Batch::Spans(spans)] {
        assert_eq!(hec.send(0, &delivery(batch)).await, Outcome::acknowledged());
    }
    let events = collector.events.lock();
    assert_eq!(
        events[0],
        json!({
            "time": 1_700_000_000.0, "host": "web-1", "source": "orrery", "index": "main", "event": "hello",
            "fields": {
                "service_name": "shop", "host.name": "web-1", "size": 7, "nested": "[1]",
                "otel.log.severity.number": 17, "trace_id": "01".repeat(16),
            },
        })
    );
    assert_eq!(
        events[1],
        json!({
            "time": 1_700_000_000.0, "source": "orrery", "index": "metrics", "event": "metric",
            "fields": {"metric_name:up": 1.5, "n": "0"},
        })
    );
    assert_eq!((&events[2]["time"], &events[2]["sourcetype"]), (&json!(1.5), &json!("otel:span")));
    assert_eq!(
        (&events[2]["event"]["name"], &events[2]["event"]["kind"]),
        (&json!("GET /"), &json!("SPAN_KIND_UNSPECIFIED"))
    );
}

#[tokio::test]
async fn one_event_that_is_not_valid_costs_itself_only() {
    let (collector, url) = start(Collector { poison: "bad", ..Collector::default() }).await;
    let hec = hec(&url, options());
    let sent = delivery(logs(&["a", "", "b", "bad", "c"]));
    let Outcome::Answered { refused: why, again, .. } = hec.send(0, &sent).await else { panic!() };
    assert_eq!(why, Reasons::from([("blank".to_owned(), 1), ("hec_6".to_owned(), 1)]));
    assert_eq!(again, [4]);
    let texts: Vec<String> =
        collector.events.lock().iter().map(|e| e["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["a", "b"]);
    assert_eq!(hec.send(0, &delivery(logs(&["c"]))).await, Outcome::acknowledged());

    let mut m = MetricBatch::default();
    let Batch::Metrics(up) = metrics(&[1.0]) else { panic!() };
    m.push_series(up.series[0].clone());
    m.samples.push(0, 1, f64::NAN);
    let nothing = hec.send(0, &delivery(Batch::Metrics(m))).await;
    assert!(
        matches!(nothing, Outcome::Answered { refused, .. } if refused == Reasons::from([("not_finite".to_owned(), 1)]))
    );
}

#[tokio::test]
async fn an_acknowledged_event_is_one_an_indexer_has() {
    let (collector, url) =
        start(Collector { acknowledges: true, poison: "bad", ..Collector::default() }).await;
    let how = HecAcknowledge { poll: Duration::from_millis(1), ..HecAcknowledge::default() };
    let with = |how: HecAcknowledge| HecOptions { acknowledge: Some(how), ..options() };
    let patient = hec(&url, with(how.clone()));
    assert_eq!(patient.send(0, &delivery(logs(&["a"]))).await, Outcome::acknowledged());
    assert_eq!(collector.waits.lock()[&0], 0, "it was asked for until an indexer had it");
    let Outcome::Answered { refused: why, again, .. } =
        patient.send(0, &delivery(logs(&["b", "bad", "c"]))).await
    else {
        panic!()
    };
    assert_eq!((why, again), (refused("hec_6"), vec![0, 2]), "what was before has no number to ask for");
    let hasty = hec(&url, with(HecAcknowledge { timeout: Duration::ZERO, ..how }));
    let late = hasty.send(0, &delivery(logs(&["d"]))).await;
    assert!(matches!(late, Outcome::Later { down: true, .. }), "{late:?}");
    let without = hec(&url, options()).send(0, &delivery(logs(&["e"]))).await;
    assert!(matches!(without, Outcome::Later { down: true, .. }), "a channel is missing: {without:?}");
}

#[tokio::test]
async fn a_token_that_is_not_valid_waits_and_is_never_shown() {
    let (_, url) = start(Collector::default()).await;
    let wrong = HecOptions { token: Secret::Inline("s3cret".to_owned()), ..options() };
    assert!(!format!("{wrong:?}").contains("s3cret"));
    let outcome = hec(&url, wrong).send(0, &delivery(logs(&["a"]))).await;
    assert!(
        matches!(&outcome, Outcome::Later { down: true, detail, .. } if !detail.contains("s3cret")),
        "{outcome:?}"
    );
}
