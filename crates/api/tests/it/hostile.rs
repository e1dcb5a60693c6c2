//! What nobody should send: every answer is a clear 4xx and the node goes on.

use std::{
    io::{Read, Write},
    time::Duration,
};

use axum::{Router, body::Body};
use base::MemoryBudget;
use http::{Request, StatusCode};
use prost::Message;

use crate::{
    node::{self, Answer, ask},
    scenario::pack,
};

/// Route, content type, content encodings its senders use.
const INGEST: [(&str, &str, &[&str]); 14] = [
    ("/api/v1/write", "application/x-protobuf", &["snappy", "zstd"]),
    ("/api/v1/write", "application/x-protobuf;proto=io.prometheus.write.v2.Request", &["snappy", "zstd"]),
    ("/loki/api/v1/push", "application/x-protobuf", &["", "snappy"]),
    ("/loki/api/v1/push", "application/json", &["", "gzip"]),
    ("/v1/metrics", "application/x-protobuf", &["", "gzip", "zstd"]),
    ("/v1/logs", "application/x-protobuf", &["", "gzip", "zstd"]),
    ("/v1/traces", "application/x-protobuf", &["", "gzip", "zstd"]),
    ("/v1/metrics", "application/json", &["", "gzip"]),
    ("/v1/logs", "application/json", &["", "gzip"]),
    ("/v1/traces", "application/json", &["", "gzip"]),
    ("/api/v2/spans", "application/json", &["", "gzip"]),
    ("/api/v2/spans", "application/x-protobuf", &["", "gzip"]),
    ("/api/traces", "application/x-thrift", &["", "gzip", "zstd"]),
    ("/api/traces", "application/vnd.apache.thrift.compact", &[""]),
];

async fn send(router: &Router, path: &str, media: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let mut request = Request::post(path).header("content-type", media);
    if !encoding.is_empty() {
        request = request.header("content-encoding", encoding);
    }
    ask(router, request.body(Body::from(body)).expect("a valid request")).await
}

/// xorshift: the same bytes in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

#[tokio::test]
async fn random_bytes_at_every_ingest_route_are_refused_or_harmless() {
    let router = node::router();
    let mut noise = Noise(0x5eed);
    for (path, media, encodings) in INGEST {
        for encoding in encodings {
            for round in 0..40 {
                let length = (noise.next() % 300) as usize;
                let mut body = noise.bytes(length);
                // Every other body is packed well, so that the decoder behind sees noise too.
                if round % 2 == 1 && !encoding.is_empty() {
                    body = pack(encoding, &body).unwrap();
                }
                let a = send(&router, path, media, encoding, body).await;
                // Noise that happens to be a message of unknown fields is an empty request, and fine.
                assert!(
                    a.status.is_client_error() || a.status.is_success(),
                    "{path} {media} {encoding}: {} {}",
                    a.status,
                    a.text()
                );
            }
        }
    }
    healthy(&router).await;
}

#[tokio::test]
async fn bodies_cut_short_are_400() {
    let router = node::router();
    let plain = proto::prometheus::WriteRequest::default().encode_to_vec();
    let plain = [plain, vec![7; 5000]].concat();
    for (path, media, encodings) in INGEST {
        for encoding in encodings.iter().filter(|e| !e.is_empty()) {
            let whole = pack(encoding, &plain).unwrap();
            let cut = whole[..whole.len() / 2].to_vec();
            let a = send(&router, path, media, encoding, cut).await;
            assert_eq!(a.status, StatusCode::BAD_REQUEST, "{path} {encoding}: {}", a.text());
        }
    }
}

#[tokio::test]
async fn a_bomb_is_413_at_every_route_and_costs_its_cap() {
    let router = node::router();
    let zstd_1gib = zstd::encode_all(std::io::repeat(0).take(1 << 30), 1).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..128 {
        gz.write_all(&[0; 1 << 20]).unwrap();
    }
    let gzip_128mib = gz.finish().unwrap();
    // A header that promises 1 GiB.
    let snappy_1gib = vec![0x80, 0x80, 0x80, 0x80, 0x04, 0, 0, 0];
    for (path, media, encodings) in INGEST {
        for encoding in encodings.iter().filter(|e| !e.is_empty()) {
            let body = match *encoding {
                "zstd" => &zstd_1gib,
                "gzip" => &gzip_128mib,
                _ => &snappy_1gib,
            };
            let a = send(&router, path, media, encoding, body.clone()).await;
            assert_eq!(a.status, StatusCode::PAYLOAD_TOO_LARGE, "{path} {encoding}: {}", a.text());
        }
    }
    healthy(&router).await;
}

#[tokio::test]
async fn a_body_larger_than_allowed_is_413_whether_it_says_so_or_not() {
    let router = node::router();
    let size = 17 << 20;
    let announced = Request::post("/v1/logs")
        .header("content-type", "application/json")
        .header("content-length", size)
        .body(Body::empty());
    assert_eq!(ask(&router, announced.unwrap()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = futures::stream::iter((0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])));
    let streamed =
        Request::post("/v1/logs").header("content-type", "application/json").body(Body::from_stream(chunks));
    let a = ask(&router, streamed.unwrap()).await;
    assert_eq!(a.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(a.text().contains("ingest.max_body"), "{}", a.text());
}

#[tokio::test]
async fn a_label_name_of_a_megabyte_is_refused_and_its_neighbours_stored() {
    let router = node::router();
    let series = |name: String| proto::prometheus::TimeSeries {
        labels: vec![
            proto::prometheus::Label { name: "__name__".into(), value: "up".into() },
            proto::prometheus::Label { name, value: "x".into() },
        ],
        samples: vec![proto::prometheus::Sample { value: 1.0, timestamp: node::NOW_MS - 1000 }],
        ..Default::default()
    };
    let timeseries = vec![series("a".repeat(1 << 20)), series("good".into())];
    let body = proto::prometheus::WriteRequest { timeseries, ..Default::default() }.encode_to_vec();
    let a =
        send(&router, "/api/v1/write", "application/x-protobuf", "snappy", pack("snappy", &body).unwrap())
            .await;
    assert_eq!(a.status, StatusCode::BAD_REQUEST);
    assert!(a.text().contains("1 items refused, 1 stored") && a.body.len() < 4096, "{}", a.text());
    let found = node::get(&router, "/api/v1/series?match[]=up").await;
    assert_eq!(found.json()["data"], serde_json::json!([{"__name__": "up", "good": "x"}]));
}

#[tokio::test]
async fn a_hundred_thousand_parentheses_are_a_parse_error_in_both_languages() {
    let router = node::router();
    let open = "(".repeat(100_000);
    for (path, inner) in [("/api/v1/query", "up"), ("/loki/api/v1/query", "vector(1)")] {
        for query in [format!("{open}{inner}{}", ")".repeat(100_000)), open.clone(), "-".repeat(100_000)] {
            let a = send(&router, path, "application/x-www-form-urlencoded", "", form(&query)).await;
            assert_eq!(
                a.status,
                StatusCode::BAD_REQUEST,
                "{path}: {}",
                a.text().chars().take(300).collect::<String>()
            );
            assert!(a.body.len() < 4096, "the answer quotes {} bytes", a.body.len());
        }
    }
    healthy(&router).await;
}

#[tokio::test]
async fn random_queries_never_break_the_node() {
    let router = node::router();
    let mut noise = Noise(0xbad);
    let alphabet: Vec<char> =
        "up{}[]()\"'`=~!<>+-*/%^,.:@0123456789 smhdoffsetbyrate|json\\\u{e9}\u{0}".chars().collect();
    for path in ["/api/v1/query", "/api/v1/series", "/loki/api/v1/query_range", "/loki/api/v1/series"] {
        for _ in 0..150 {
            let n = (noise.next() % 40) as usize;
            let query: String = (0..n).map(|_| alphabet[noise.next() as usize % alphabet.len()]).collect();
            let pairs = [("query", query.as_str()), ("match[]", query.as_str())];
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let a = send(&router, path, "application/x-www-form-urlencoded", "", body.into_bytes()).await;
            assert!(
                a.status.is_client_error() || a.status.is_success(),
                "{path} {query:?}: {} {}",
                a.status,
                a.text()
            );
        }
    }
}

#[tokio::test]
async fn without_memory_each_protocol_gets_its_own_retryable_answer() {
    let budget = MemoryBudget::new(1 << 20);
    let _full = budget.reserve(base::memory::Use::Query, 900_000).unwrap();
    let router = api::router(node::state_with(budget, |_| {}));
    let mut body = vec![0; 4096];
    body.fill(b' ');
    let write = send(&router, "/api/v1/write", "application/x-protobuf", "snappy", body.clone()).await;
    let push = send(&router, "/loki/api/v1/push", "application/json", "", body.clone()).await;
    let otlp = send(&router, "/v1/logs", "application/json", "", body.clone()).await;
    let zipkin = send(&router, "/api/v2/spans", "application/json", "", body.clone()).await;
    let jaeger = send(&router, "/api/traces", "application/x-thrift", "", body.clone()).await;
    let grpc = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    let grpc = send(&router, grpc, "application/grpc", "", body).await;
    assert_eq!(write.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(push.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(otlp.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!([zipkin.status, jaeger.status], [StatusCode::SERVICE_UNAVAILABLE; 2]);
    assert_eq!((grpc.status, grpc.headers["grpc-status"].to_str().unwrap()), (StatusCode::OK, "8"));
    assert!(grpc.headers.contains_key("grpc-status-details-bin"));
    for a in [write, push, otlp, zipkin, jaeger] {
        assert_eq!(a.headers["retry-after"], "5");
        assert!(a.text().contains("memory.limit"), "{}", a.text());
    }
    healthy(&router).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_on() {
    let router = api::router(node::state_with(MemoryBudget::unlimited(), |o| {
        o.body_read_timeout = Duration::from_millis(20);
    }));
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let a = ask(&router, Request::post("/api/v1/write").body(never).unwrap()).await;
    assert_eq!(a.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(a.text().contains("did not arrive"), "{}", a.text());
}

fn form(query: &str) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish().into_bytes()
}

async fn healthy(router: &Router) {
    assert_eq!(node::get(router, "/-/healthy").await.status, StatusCode::OK);
}
