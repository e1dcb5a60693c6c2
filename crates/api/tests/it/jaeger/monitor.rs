//! Rates, errors and latencies by service and operation, as Jaeger's Monitor tab asks for them.

use axum::{Router, body::Body};
use http::Request;
use prost::Message;
use serde_json::{Value, json};

use super::get;
use crate::node;

const END_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const STEP_MS: i64 = 15_000;

/// Name, labels and rise of a counter.
type Counter<'a> = (&'a str, Vec<(&'a str, &'a str)>, f64);

/// Writes counters that rise by `total` over the hour before [`END_MS`], and began before it.
pub async fn write_counters(router: &Router, series: &[Counter<'_>]) {
    use proto::prometheus::{Label, Sample, TimeSeries, WriteRequest};
    let mut request = WriteRequest::default();
    for (name, labels, total) in series {
        let mut pairs: Vec<(&str, &str)> = labels.iter().filter(|(_, v)| !v.is_empty()).copied().collect();
        pairs.push(("__name__", name));
        pairs.sort_unstable();
        let at = |t: i64| Sample {
            value: 1000.0 + total * (t - (END_MS - HOUR_MS)) as f64 / HOUR_MS as f64,
            timestamp: t,
        };
        let samples = (0..=HOUR_MS / STEP_MS).map(|i| at(END_MS - HOUR_MS + i * STEP_MS)).collect();
        let labels = pairs.iter().map(|(n, v)| Label { name: (*n).to_owned(), value: (*v).to_owned() });
        request.timeseries.push(TimeSeries { labels: labels.collect(), samples, ..TimeSeries::default() });
    }
    let packed = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
    let request = Request::post("/api/v1/write")
        .header("content-encoding", "snappy")
        .header("content-type", "application/x-protobuf");
    let answer = node::ask(router, request.body(Body::from(packed)).unwrap()).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

async fn monitored() -> Router {
    let router = node::router();
    let of = |service, name, kind, code| {
        vec![("service", service), ("span_name", name), ("span_kind", kind), ("status_code", code)]
    };
    let (server, client) = ("SPAN_KIND_SERVER", "SPAN_KIND_CLIENT");
    let (ok, error) = ("STATUS_CODE_UNSET", "STATUS_CODE_ERROR");
    let calls = "traces_spanmetrics_calls_total";
    let mut series = vec![
        (calls, of("a.b", "GET", server, ok), 2700.0),
        (calls, of("a.b", "GET", server, error), 900.0),
        (calls, of("a.b", "PUT", server, ok), 3600.0),
        (calls, of("a.b", "call", client, ok), 360.0),
        (calls, of("axb", "GET", server, ok), 7200.0),
    ];
    // Half take up to 100 ms, all up to 200 ms.
    for (le, total) in [("0.1", 1800.0), ("0.2", 3600.0), ("+Inf", 3600.0)] {
        let mut labels = of("a.b", "GET", server, ok);
        labels.push(("le", le));
        series.push(("traces_spanmetrics_latency_bucket", labels, total));
    }
    write_counters(&router, &series).await;
    router
}

async fn asked(router: &Router, what: &str, more: &str) -> Value {
    let path = format!(
        "/jaeger/api/metrics/{what}?service=a.b&endTs={END_MS}&lookback=60000&step=60000&ratePer=600000{more}"
    );
    let answer = get(router, &path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert!(answer.headers.contains_key("x-orrery-coverage"));
    answer.json()
}

/// Labels and the value of the last point, rounded.
fn last(family: &Value) -> Vec<(String, f64)> {
    let series = family["metrics"].as_array().unwrap();
    let value = |m: &Value| {
        m["metricPoints"].as_array().unwrap().last().unwrap()["gaugeValue"]["doubleValue"].clone()
    };
    let labels = |m: &Value| {
        let pair = |l: &Value| format!("{}={}", l["name"].as_str().unwrap(), l["value"].as_str().unwrap());
        m["labels"].as_array().unwrap().iter().map(pair).collect::<Vec<_>>().join(",")
    };
    series.iter().map(|m| (labels(m), (value(m).as_f64().unwrap() * 1e6).round() / 1e6)).collect()
}

fn rows(all: &[(&str, f64)]) -> Vec<(String, f64)> {
    all.iter().map(|(l, v)| ((*l).to_owned(), *v)).collect()
}

#[tokio::test]
async fn calls_errors_and_latencies_come_from_the_metrics_made_of_spans() {
    let router = monitored().await;
    let calls = asked(&router, "calls", "").await;
    assert_eq!(last(&calls), rows(&[("service_name=a.b", 2.0)]));
    assert_eq!(
        (calls["name"].as_str(), calls["type"].as_str(), calls["help"].as_str()),
        (Some("service_call_rate"), Some("GAUGE"), Some("calls/sec, grouped by service"))
    );
    let points = calls["metrics"][0]["metricPoints"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!(points[1]["timestamp"], "2023-11-14T22:13:20Z");
    let by_operation = asked(&router, "calls", "&groupByOperation=true").await;
    assert_eq!(by_operation["name"], "service_operation_call_rate");
    assert_eq!(
        last(&by_operation),
        rows(&[("service_name=a.b,operation=GET", 1.0), ("service_name=a.b,operation=PUT", 1.0)])
    );
    assert_eq!(last(&asked(&router, "calls", "&spanKind=client").await), rows(&[("service_name=a.b", 0.1)]));
    assert_eq!(last(&asked(&router, "errors", "").await), rows(&[("service_name=a.b", 0.125)]));
    // An operation without errors has a rate of none.
    assert_eq!(
        last(&asked(&router, "errors", "&groupByOperation=true").await),
        rows(&[("service_name=a.b,operation=GET", 0.25), ("service_name=a.b,operation=PUT", 0.0)])
    );
    // Milliseconds.
    let latencies = asked(&router, "latencies", "&quantile=0.75").await;
    assert_eq!(last(&latencies), rows(&[("service_name=a.b", 150.0)]));
    assert_eq!(latencies["help"], "0.75th quantile latency, grouped by service");
    assert_eq!(latencies["coverage"][0]["signal"], "metrics");
}

#[tokio::test]
async fn what_is_not_known_is_empty_and_what_cannot_be_read_is_named() {
    let router = node::router();
    let none = get(&router, "/api/metrics/calls?service=x").await.json();
    assert_eq!(none["metrics"], json!([]));
    let step = get(&router, "/api/metrics/minstep").await.json();
    assert_eq!((step["data"].clone(), step["total"].clone()), (json!(1), json!(1)));
    for path in ["calls", "latencies?service=x", "latencies?service=x&quantile=2", "errors?service=x&step=0"]
    {
        let answer = get(&router, &format!("/jaeger/api/metrics/{path}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["errors"][0]["code"].as_i64()),
            (400, Some(400)),
            "{path}"
        );
    }
}
