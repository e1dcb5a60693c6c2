//! Answers against the schema Prometheus publishes of its own API: required fields and types. Skips when the
//! schema is not beside the checkout.

use std::path::Path;

use serde_json::Value;

use axum::{Router, body::Body};
use http::Request;
use prost::Message;
use proto::prometheus as pb;

use crate::{
    node::{self, NOW_MS, ask},
    scenario::pack,
};

const SCHEMA: &str = "../shared/data/prom-openapi/openapi_3.1_golden.yaml";

#[tokio::test]
async fn answers_have_the_fields_and_types_prometheus_documents() {
    let path = Path::new(env!("ORRERY_CHECKOUT")).join(SCHEMA);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: there is no {SCHEMA}");
        return;
    };
    let schema: Value = serde_saphyr::from_str(&text).unwrap();
    let router = node::router();
    fill(&router).await;
    let asked = [
        ("/query", "/query?query=up&stats=all"),
        ("/query", "/query?query=h"),
        // No string here: Prometheus answers its time as a number, and the schema wants text.
        ("/query", "/query?query=up%5B5m%5D"),
        ("/query", "/query?query=sum(h)%20%2B%20sum(up)"),
        ("/query_range", "/query_range?query=h&start=1699999990&end=1700000000&step=5"),
        (
            "/query_range",
            "/query_range?query=rate(up%5B1m%5D)&start=1699999990&end=1700000000&step=5&limit=1",
        ),
        ("/series", "/series?match[]=%7Bjob%3D~%22.%2B%22%7D&limit=1"),
        ("/labels", "/labels?limit=1"),
        ("/metadata", "/metadata?limit_per_metric=1"),
        ("/targets/metadata", "/targets/metadata?match_target=%7Bjob%3D%22self%22%7D"),
        (
            "/parse_query",
            "/parse_query?query=sum%20by(a)(x%20%2F%20on(b)%20group_left%20max_over_time(y%5B5m%3A1m%5D%20offset%201m))",
        ),
        ("/query", "/query?query=vector(1)"),
        ("/query", "/query?query=1&stats=all"),
        ("/query_range", "/query_range?query=vector(1)&start=0&end=10&step=5"),
        ("/query_exemplars", "/query_exemplars?query=up"),
        ("/format_query", "/format_query?query=up"),
        ("/parse_query", "/parse_query?query=rate(up%5B5m%5D)"),
        ("/labels", "/labels"),
        ("/label/{name}/values", "/label/job/values"),
        ("/series", "/series?match[]=up"),
        ("/metadata", "/metadata"),
        ("/targets", "/targets"),
        ("/rules", "/rules"),
        ("/alerts", "/alerts"),
        ("/status/config", "/status/config"),
        ("/status/runtimeinfo", "/status/runtimeinfo"),
        ("/status/buildinfo", "/status/buildinfo"),
        ("/status/flags", "/status/flags"),
        ("/status/tsdb", "/status/tsdb"),
        ("/status/walreplay", "/status/walreplay"),
        ("/targets/metadata", "/targets/metadata"),
        ("/scrape_pools", "/scrape_pools"),
        ("/alertmanagers", "/alertmanagers"),
        ("/notifications", "/notifications"),
        ("/features", "/features"),
    ];
    for (documented, uri) in asked {
        let answer = node::get(&router, &format!("/api/v1{uri}")).await;
        assert_eq!(answer.status, 200, "{uri}: {}", answer.text());
        check(&schema, documented, "200", &answer.json());
    }
    let error = node::get(&router, "/api/v1/query?query=sum(").await;
    check(&schema, "/query", "default", &error.json());
}

/// A counter with an exemplar and its metadata, and a native histogram.
async fn fill(router: &Router) {
    let labels = |pairs: &[(&str, &str)]| -> Vec<pb::Label> {
        pairs.iter().map(|(n, v)| pb::Label { name: (*n).to_owned(), value: (*v).to_owned() }).collect()
    };
    let timestamp = NOW_MS - 10_000;
    let trace = labels(&[("trace_id", "abc")]);
    let up = pb::TimeSeries {
        labels: labels(&[("__name__", "up"), ("job", "self")]),
        samples: [1.0, 2.0]
            .iter()
            .zip([timestamp - 5000, timestamp])
            .map(|(v, t)| pb::Sample { value: *v, timestamp: t })
            .collect(),
        exemplars: vec![pb::Exemplar { labels: trace, value: 2.0, timestamp }],
        ..Default::default()
    };
    let histogram = pb::Histogram {
        count: Some(pb::histogram::Count::CountFloat(3.0)),
        sum: 4.5,
        schema: 1,
        positive_spans: vec![pb::BucketSpan { offset: 0, length: 2 }],
        positive_counts: vec![1.0, 2.0],
        timestamp,
        ..Default::default()
    };
    let h = pb::TimeSeries {
        labels: labels(&[("__name__", "h"), ("job", "self")]),
        histograms: vec![histogram],
        ..Default::default()
    };
    let family =
        pb::MetricMetadata { r#type: 1, metric_family_name: "up".into(), help: "h".into(), unit: "u".into() };
    let body = pb::WriteRequest { timeseries: vec![up, h], metadata: vec![family] }.encode_to_vec();
    let request = Request::post("/api/v1/write").body(Body::from(pack("snappy", &body).unwrap())).unwrap();
    let answer = ask(router, request).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[tokio::test]
async fn exemplars_and_metadata_come_back_as_they_were_written() {
    let router = node::router();
    fill(&router).await;
    let answer = node::get(&router, "/api/v1/query_exemplars?query=rate(up%5B5m%5D)").await;
    let want = serde_json::json!([{
        "seriesLabels": {"__name__": "up", "job": "self"},
        "exemplars": [{"labels": {"trace_id": "abc"}, "value": "2", "timestamp": 1_699_999_990}],
    }]);
    assert_eq!(answer.json()["data"], want, "{}", answer.text());
    let answer = node::get(&router, "/api/v1/query_exemplars?query=up&end=1699999989").await;
    assert_eq!(answer.json()["data"], serde_json::json!([]));
    let answer = node::get(&router, "/api/v1/targets/metadata?match_target=%7Bjob%3D%22self%22%7D").await;
    let want = serde_json::json!([
        {"target": {"job": "self"}, "metric": "up", "type": "counter", "help": "h", "unit": "u"}
    ]);
    assert_eq!(answer.json()["data"], want, "{}", answer.text());
    let none = node::get(&router, "/api/v1/targets/metadata?match_target=%7Bjob%3D%22other%22%7D").await;
    assert_eq!(none.json()["data"], serde_json::json!([]));
    assert_eq!(node::get(&router, "/api/v1/metadata?limit=0").await.json()["data"], serde_json::json!({}));
}

fn check(schema: &Value, path: &str, code: &str, got: &Value) {
    let wanted = &schema["paths"][path]["get"]["responses"][code]["content"]["application/json"]["schema"];
    assert!(wanted.is_object(), "{path} {code} is not in the schema");
    let problem = differ(schema, wanted, got, path, 0);
    assert!(problem.is_none(), "{}\nin {got}", problem.unwrap_or_default());
}

/// Where `got` is not what the schema says. Of further fields only `coverage` at the top is allowed.
fn differ(root: &Value, schema: &Value, got: &Value, at: &str, depth: usize) -> Option<String> {
    if depth > 30 {
        return None;
    }
    let next = |s: &Value, v: &Value, at: String| differ(root, s, v, &at, depth + 1);
    if let Some(r) = schema["$ref"].as_str() {
        let target = root.pointer(r.trim_start_matches('#'))?;
        return next(target, got, at.to_owned());
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(options) = schema[several].as_array() {
            let problems: Vec<String> = options.iter().filter_map(|o| next(o, got, at.to_owned())).collect();
            return (problems.len() == options.len()).then(|| problems.join("\n"));
        }
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(got)
    {
        return Some(format!("{at}: {got} is none of {allowed:?}"));
    }
    let fits = match schema["type"].as_str() {
        Some("object") => got.is_object(),
        Some("array") => got.is_array(),
        Some("string") => got.is_string(),
        Some("integer") => got.is_i64() || got.is_u64(),
        Some("number") => got.is_number(),
        Some("boolean") => got.is_boolean(),
        _ => true,
    };
    if !fits {
        return Some(format!("{at}: {got} is no {}", schema["type"]));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if got.get(name).is_none() {
            return Some(format!("{at}.{name} is missing"));
        }
    }
    let known = schema["properties"].as_object();
    for (name, value) in got.as_object().into_iter().flatten() {
        let of_field = known.and_then(|k| k.get(name)).unwrap_or(&schema["additionalProperties"]);
        if *of_field == Value::Bool(false) && !(depth <= 1 && name == "coverage") {
            return Some(format!("{at}.{name} is not in the schema"));
        }
        if of_field.is_object()
            && let Some(p) = next(of_field, value, format!("{at}.{name}"))
        {
            return Some(p);
        }
    }
    let items = got.as_array().into_iter().flatten().enumerate();
    items
        .filter(|_| schema["items"].is_object())
        .find_map(|(i, v)| next(&schema["items"], v, format!("{at}[{i}]")))
}
