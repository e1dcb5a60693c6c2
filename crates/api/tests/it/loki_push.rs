//! What is pushed as Loki's clients push it, in JSON and in protobuf, is found as Loki would show it.

use axum::{Router, body::Body};
use http::{Request, StatusCode, header};
use prost::Message;
use proto::loki::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};
use serde_json::{Value, json};

use crate::node::{self, ask, get};

const BASE_S: i64 = 1_699_990_000;

/// A node that finds out what Loki would.
fn discovering() -> Router {
    let state = node::state();
    let discover = ingest::Discover { service_name: true, log_levels: true };
    state.ingest.set_options(ingest::Options { discover, ..ingest::Options::default() });
    api::router(state)
}

async fn push(router: &Router, media: &str, body: Vec<u8>) {
    let request =
        Request::post("/loki/api/v1/push").header(header::CONTENT_TYPE, media).body(Body::from(body));
    let answer = ask(router, request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
}

fn json_body(app: &str, entries: &[(i64, &str, Value)]) -> Vec<u8> {
    let value = |(at, line, metadata): &(i64, &str, Value)| {
        json!([((BASE_S + at) * 1_000_000_000).to_string(), line, metadata])
    };
    let values: Vec<Value> = entries.iter().map(value).collect();
    json!({"streams": [{"stream": {"app": app}, "values": values}]}).to_string().into_bytes()
}

fn protobuf_body(app: &str, entries: &[(i64, &str, Value)]) -> Vec<u8> {
    let entry = |(at, line, metadata): &(i64, &str, Value)| EntryAdapter {
        timestamp: Some(prost_types::Timestamp { seconds: BASE_S + at, nanos: 0 }),
        line: (*line).to_owned(),
        structured_metadata: metadata
            .as_object()
            .into_iter()
            .flatten()
            .map(|(n, v)| LabelPairAdapter { name: n.clone(), value: v.as_str().unwrap().to_owned() })
            .collect(),
    };
    let stream = StreamAdapter {
        labels: format!("{{app=\"{app}\"}}"),
        entries: entries.iter().map(entry).collect(),
        hash: 0,
    };
    let message = PushRequest { streams: vec![stream] }.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

/// Time, line and structured metadata of every entry, oldest first.
async fn entries(router: &Router, query: &str) -> Vec<(i64, String, Value)> {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let uri = format!("/loki/api/v1/query_range?query={query}&direction=forward&start={BASE_S}&limit=1000");
    let request = Request::get(uri).header("X-Loki-Response-Encoding-Flags", "categorize-labels");
    let answer = ask(router, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut out = Vec::new();
    for stream in answer.json()["data"]["result"].as_array().unwrap() {
        for e in stream["values"].as_array().unwrap() {
            let at: i64 = e[0].as_str().unwrap().parse().unwrap();
            let metadata = e[2]["structuredMetadata"].clone();
            out.push((at / 1_000_000_000 - BASE_S, e[1].as_str().unwrap().to_owned(), metadata));
        }
    }
    out
}

#[tokio::test]
async fn entries_out_of_order_are_taken_and_shown_in_order_with_their_structured_metadata() {
    type Encode = fn(&str, &[(i64, &str, Value)]) -> Vec<u8>;
    let forms: [(&str, &str, Encode); 2] =
        [("json", "application/json", json_body), ("protobuf", "application/x-protobuf", protobuf_body)];
    let router = node::router();
    for (app, media, encode) in forms {
        let late =
            [(30, "third", json!({"trace_id": "c"})), (10, "first", json!({"trace_id": "a", "user": "u"}))];
        push(&router, media, encode(app, &late)).await;
        push(
            &router,
            media,
            encode(app, &[(20, "second", json!({"trace_id": "b"})), (5, "zeroth", json!({}))]),
        )
        .await;
        let want = [
            (5, "zeroth", Value::Null),
            (10, "first", json!({"trace_id": "a", "user": "u"})),
            (20, "second", json!({"trace_id": "b"})),
            (30, "third", json!({"trace_id": "c"})),
        ];
        let got = entries(&router, &format!("{{app=\"{app}\"}}")).await;
        assert_eq!(got, want.map(|(at, line, m)| (at, line.to_owned(), m)), "{app}");
        let one = entries(&router, &format!("{{app=\"{app}\"}} | trace_id=\"b\"")).await;
        assert_eq!(one.len(), 1, "{app}");
    }
}

#[tokio::test]
async fn services_and_levels_are_found_out_where_the_node_is_told_to() {
    let router = discovering();
    let lines = [(1, "level=warn msg=x", json!({})), (2, "all well", json!({"severity": "ERROR"}))];
    push(&router, "application/json", json_body("shop", &lines)).await;
    push(&router, "application/x-protobuf", protobuf_body("cart", &[(3, "[debug] x", json!({}))])).await;
    let body = json!({"streams": [{"stream": {"zone": "z"}, "values": [["1699990004000000000", "plain"]]}]});
    push(&router, "application/json", body.to_string().into_bytes()).await;
    let services = get(&router, "/loki/api/v1/label/service_name/values").await.json();
    assert_eq!(services["data"], json!(["cart", "shop", "unknown_service"]));
    let got = entries(&router, "{service_name=~\".+\"}").await;
    let levels: Vec<_> =
        got.iter().map(|(_, line, m)| (line.as_str(), m["detected_level"].as_str().unwrap())).collect();
    let mut sorted = levels.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [("[debug] x", "debug"), ("all well", "error"), ("level=warn msg=x", "warn"), ("plain", "unknown")]
    );
    let by_level = "/loki/api/v1/query_range?query=sum%20by%20(detected_level)%20(count_over_time(%7Bservice_name%3D~%22.%2B%22%7D%5B1h%5D))\
        &start=1699993000&end=1699993000&step=60";
    let series = get(&router, by_level).await.json()["data"]["result"].as_array().unwrap().len();
    assert_eq!(series, 4);
}

#[tokio::test]
async fn every_pattern_finds_as_many_lines_as_it_counts() {
    let router = node::router();
    let mut lines = Vec::new();
    for n in 0..40i64 {
        lines.push((n, format!("user u{n} logged in from 10.0.0.{n}"), json!({})));
        lines.push((
            n,
            format!("{{\"level\":\"info\",\"took\":\"{n}ms\",\"path\":\"/a/{}\"}}", n % 3),
            json!({}),
        ));
        lines.push((
            n,
            format!("level={} caller=main.go:{n}  msg=\"done <x> {n}\"", ["info", "warn"][n as usize % 2]),
            json!({}),
        ));
        lines.push((n, "GET /health ".to_owned() + ["ok", "fine", "good"][n as usize % 3], json!({})));
    }
    let lines: Vec<(i64, &str, Value)> =
        lines.iter().map(|(at, l, m)| (*at, l.as_str(), m.clone())).collect();
    push(&router, "application/json", json_body("shop", &lines)).await;
    let uri = format!("/loki/api/v1/patterns?query=%7Bapp%3D%22shop%22%7D&start={BASE_S}");
    let found = get(&router, &uri).await.json();
    let mut all = 0;
    for p in found["data"].as_array().unwrap() {
        let text = p["pattern"].as_str().unwrap();
        let counted: u64 = p["samples"].as_array().unwrap().iter().map(|s| s[1].as_u64().unwrap()).sum();
        let passing = entries(&router, &format!("{{app=\"shop\"}} |> `{text}`")).await.len() as u64;
        assert_eq!(passing, counted, "{text}");
        all += counted;
    }
    assert_eq!(all as usize, lines.len());
    assert!(found["data"].as_array().unwrap().len() < 8, "{found}");
}
