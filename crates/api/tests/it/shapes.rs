//! Answers against the schema Prometheus publishes of its own API: required fields and types. Skips when the
//! schema is not beside the checkout.

use std::path::Path;

use serde_json::Value;

use crate::node;

const SCHEMA: &str = "../../../shared/data/prom-openapi/openapi_3.1_golden.yaml";

#[tokio::test]
async fn answers_have_the_fields_and_types_prometheus_documents() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: there is no {SCHEMA}");
        return;
    };
    let schema: Value = serde_saphyr::from_str(&text).unwrap();
    let router = node::router();
    let asked = [
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
    ];
    for (documented, uri) in asked {
        let answer = node::get(&router, &format!("/api/v1{uri}")).await;
        assert_eq!(answer.status, 200, "{uri}: {}", answer.text());
        check(&schema, documented, "200", &answer.json());
    }
    let error = node::get(&router, "/api/v1/query?query=sum(").await;
    check(&schema, "/query", "default", &error.json());
}

fn check(schema: &Value, path: &str, code: &str, got: &Value) {
    let wanted = &schema["paths"][path]["get"]["responses"][code]["content"]["application/json"]["schema"];
    assert!(wanted.is_object(), "{path} {code} is not in the schema");
    let problem = differ(schema, wanted, got, path, 0);
    assert!(problem.is_none(), "{}\nin {got}", problem.unwrap_or_default());
}

/// Where `got` is not what the schema says. Further fields are allowed: `coverage` is one.
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
