//! Datadog's intake as its OpenAPI schema has it (`MetricPayload`, `HTTPLog`).

use std::time::Duration;

use forward::{
    Destination, Outcome, Reasons,
    destination::{
        datadog::{Datadog, DatadogOptions},
        http::HttpOptions,
    },
};
use model::{Batch, Labels, MetricBatch, Span, SpanBatch, span::SpanOrigin};
use net::Secret;
use proto::{Message, otlp::collector::trace::ExportTraceServiceRequest};
use serde_json::{Value, json};

use crate::server::{Asked, Say, Server, clock, delivery, logs, metrics, status};

fn options() -> DatadogOptions {
    DatadogOptions {
        tags: vec!["env:test".to_owned()],
        ..DatadogOptions::new(Secret::Inline("s3cret".to_owned()))
    }
}

fn datadog(server: &Server) -> Datadog {
    Datadog::new("dd", server.options(), options(), clock()).unwrap()
}

fn accepted(body: &[u8]) -> Say {
    Say::Is(202, &[("content-type", "application/json")], body.to_vec())
}

fn of(reasons: &[(&str, u64)]) -> Outcome {
    let refused: Reasons = reasons.iter().map(|(r, n)| ((*r).to_owned(), *n)).collect();
    Outcome::Answered { refused, again: Vec::new(), detail: String::new() }
}

/// What the schema asks of a payload of series; returns them.
fn series(asked: &Asked) -> Vec<Value> {
    assert_eq!((asked.path.as_str(), asked.header("content-type")), ("/api/v2/series", "application/json"));
    let payload: Value = serde_json::from_slice(&asked.plain()).unwrap();
    let series = payload["series"].as_array().unwrap().clone();
    for s in &series {
        assert!(s["metric"].is_string() && (0..=3).contains(&s["type"].as_i64().unwrap()), "{s}");
        assert!(s.get("interval").is_none_or(Value::is_i64), "{s}");
        assert!(s["tags"].as_array().unwrap().iter().all(Value::is_string), "{s}");
        for r in s.get("resources").and_then(Value::as_array).into_iter().flatten() {
            assert!(r["type"].is_string() && r["name"].is_string(), "{s}");
        }
        for p in s["points"].as_array().unwrap() {
            assert!(p["timestamp"].is_i64() && p["value"].is_number(), "{s}");
        }
    }
    series
}

fn counter(values: &[(i64, f64)]) -> Batch {
    let mut m = MetricBatch::default();
    let labels = [("__name__", "requests_total"), ("host", "web-1"), ("code", "200")];
    let s = m.push_series(Labels::from_pairs(labels));
    values.iter().for_each(|(t, v)| m.samples.push(s, t * 1000, *v));
    Batch::Metrics(m)
}

#[tokio::test]
async fn datadog_gets_gauges_and_what_counters_added() {
    let fine = accepted(br#"{"errors":[]}"#);
    let server = Server::start([fine.clone(), fine.clone(), status(503), fine.clone(), fine]).await;
    let dd = datadog(&server);
    assert_eq!(dd.send(0, &delivery(metrics(&[0.5, f64::NAN]))).await, of(&[("not_finite", 1)]));
    let first = counter(&[(10, 5.0), (20, 7.0), (30, 12.0)]);
    assert_eq!(dd.send(0, &delivery(first)).await, of(&[("counter_without_start", 1)]));
    let second = delivery(counter(&[(40, 20.0)]));
    assert!(matches!(dd.send(0, &second).await, Outcome::Later { down: true, .. }));
    assert_eq!(dd.send(0, &second).await, of(&[]));

    let asked = server.asked.lock();
    assert!(asked.iter().all(|a| a.header("dd-api-key") == "s3cret"));
    let gauge = &series(&asked[0])[0];
    let expected = json!({
        "metric": "up", "type": 3, "points": [{"timestamp": 1_700_000_000, "value": 0.5}],
        "tags": ["n:0", "env:test"],
    });
    assert_eq!(*gauge, expected);
    let count = &series(&asked[1])[0];
    let expected = json!({
        "metric": "requests_total", "type": 1, "interval": 10,
        "points": [{"timestamp": 20, "value": 2.0}, {"timestamp": 30, "value": 5.0}],
        "tags": ["code:200", "env:test"], "resources": [{"type": "host", "name": "web-1"}],
    });
    assert_eq!(*count, expected);
    assert_eq!(asked[2].body, asked[3].body, "sent again it is the same");
    assert_eq!(series(&asked[3])[0]["points"], json!([{"timestamp": 40, "value": 8.0}]));
}

#[tokio::test]
async fn datadog_gets_logs_and_spans() {
    let server = Server::start([accepted(b"{}"), Say::Is(200, &[], Vec::new())]).await;
    let dd = datadog(&server);
    let mut records = logs(&["hello"]);
    if let Batch::Logs(l) = &mut records {
        l.streams[0].resource.attributes.push("host.name", "web-1");
        l.records[0].attributes.push("size", 7i64);
        l.records[0].attributes.push("message", "not this");
        l.records[0].severity_number = 17;
    }
    assert_eq!(dd.send(0, &delivery(records)).await, of(&[]));
    let span = Span { name: "GET".to_owned(), trace_id: [2; 16], span_id: [1; 8], ..Span::default() };
    let spans = SpanBatch { origins: vec![SpanOrigin::default()], spans: vec![span] };
    assert_eq!(dd.send(0, &delivery(Batch::Spans(spans.clone()))).await, of(&[]));
    let asked = server.asked.lock();
    assert_eq!(asked[0].path, "/api/v2/logs");
    let entries: Value = serde_json::from_slice(&asked[0].plain()).unwrap();
    let expected = json!([{
        "message": "hello", "ddsource": "orrery", "ddtags": "service_name:shop,env:test",
        "hostname": "web-1", "service": "shop", "timestamp": 1_700_000_000_000_i64, "status": "error",
        "size": 7, "host.name": "web-1",
    }]);
    assert_eq!(entries, expected);
    assert_eq!((asked[1].path.as_str(), asked[1].header("dd-protocol")), ("/v1/traces", "otlp"));
    let request = ExportTraceServiceRequest::decode(&asked[1].plain()[..]).unwrap();
    assert_eq!(request, wire::otlp::traces::encode(&spans));
}

#[tokio::test]
async fn what_the_intake_would_turn_down_for_its_size_is_cut_before_it_is_sent() {
    let server = Server::start([accepted(b"{}")]).await;
    let dd = datadog(&server);
    let lines: Vec<String> = (0..1001).map(|i| i.to_string()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(matches!(dd.send(0, &delivery(logs(&lines))).await, Outcome::TooLarge { .. }));
    assert_eq!(dd.send(0, &delivery(logs(&lines[..1000]))).await, of(&[]));
    let long = "x".repeat(5_000_000);
    assert!(matches!(dd.send(0, &delivery(logs(&[&long]))).await, Outcome::TooLarge { .. }));
    let mut m = MetricBatch::default();
    for i in 0..60_000 {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", &format!("host-{i}.example"))]);
        let s = m.push_series(labels);
        m.samples.push(s, 1, 0.5);
    }
    assert!(matches!(dd.send(0, &delivery(Batch::Metrics(m))).await, Outcome::TooLarge { .. }));
    assert_eq!(server.asked.lock().len(), 1);
}

#[tokio::test]
async fn statuses_of_the_intake_decide_and_the_key_is_never_shown() {
    let server = Server::start([
        Say::Is(429, &[("x-ratelimit-reset", "9")], Vec::new()),
        status(408),
        status(403),
        status(413),
        status(400),
        accepted(br#"{"errors":["Bad series"]}"#),
    ])
    .await;
    let dd = datadog(&server);
    let sent = delivery(metrics(&[1.0]));
    let later = dd.send(0, &sent).await;
    assert!(
        matches!(&later, Outcome::Later { after: Some(d), down: false, .. } if *d == Duration::from_secs(9)),
        "{later:?}"
    );
    assert!(matches!(dd.send(0, &sent).await, Outcome::Later { down: false, .. }));
    let forbidden = dd.send(0, &sent).await;
    assert!(matches!(&forbidden, Outcome::Later { down: true, .. }), "{forbidden:?}");
    assert!(!format!("{forbidden:?}{:?}", options()).contains("s3cret"));
    assert!(matches!(dd.send(0, &sent).await, Outcome::TooLarge { .. }));
    assert!(matches!(dd.send(0, &sent).await, Outcome::Refused { reason, .. } if reason == "http_400"));
    assert!(matches!(dd.send(0, &sent).await, Outcome::Refused { reason, .. } if reason == "series_errors"));
    let odd = DatadogOptions { site: "data dog".to_owned(), ..options() };
    let e = Datadog::new("dd", HttpOptions::new(Vec::<String>::new()), odd, clock()).err().unwrap();
    assert!(e.to_string().starts_with("site of destination dd is \"data dog\""), "{e}");
}
