//! Remote read: both forms of answer, as a reader unpacks them.

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use prost::Message;

use crate::{
    node::{self, Answer, NOW_MS, ask},
    scenario::pack,
};

#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
    #[prost(int32, repeated, tag = "2")]
    accepted: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start_ms: i64,
    #[prost(int64, tag = "2")]
    end_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, Message)]
struct Matcher {
    #[prost(int32, tag = "1")]
    op: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

/// A query's result has the shape of a write request.
#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<proto::prometheus::WriteRequest>,
}

fn equal(name: &str, value: &str) -> Matcher {
    Matcher { op: 0, name: name.to_owned(), value: value.to_owned() }
}

fn query(matchers: Vec<Matcher>) -> Query {
    Query { start_ms: NOW_MS - 60_000, end_ms: NOW_MS, matchers }
}

async fn filled() -> Router {
    let state = node::state_with(base::MemoryBudget::unlimited(), |o| {
        o.external_labels = model::Labels::from_pairs([("replica", "a")]);
    });
    let router = api::router(state);
    let series = |job: &str| proto::prometheus::TimeSeries {
        labels: [("__name__", "up"), ("job", job)]
            .map(|(n, v)| proto::prometheus::Label { name: n.to_owned(), value: v.to_owned() })
            .into(),
        samples: (0..4)
            .map(|i| proto::prometheus::Sample { value: i as f64, timestamp: NOW_MS - 40_000 + i * 10_000 })
            .collect(),
        ..Default::default()
    };
    let timeseries = vec![series("x"), series("y")];
    let body = proto::prometheus::WriteRequest { timeseries, ..Default::default() }.encode_to_vec();
    let written = Request::post("/api/v1/write").body(Body::from(pack("snappy", &body).unwrap())).unwrap();
    assert_eq!(ask(&router, written).await.status, StatusCode::NO_CONTENT);
    router
}

async fn read(router: &Router, queries: Vec<Query>, accepted: &[i32]) -> Answer {
    let body = ReadRequest { queries, accepted: accepted.to_vec() }.encode_to_vec();
    let request = Request::post("/api/v1/read")
        .header("content-encoding", "snappy")
        .body(Body::from(pack("snappy", &body).unwrap()));
    ask(router, request.unwrap()).await
}

#[tokio::test]
async fn samples_come_in_one_message_in_the_order_of_the_queries() {
    let router = filled().await;
    // The external label is asked for and no series has it.
    let queries = vec![
        query(vec![equal("__name__", "up"), equal("job", "y"), equal("replica", "a")]),
        query(vec![equal("__name__", "none")]),
        query(vec![equal("__name__", "up")]),
    ];
    let a = read(&router, queries, &[]).await;
    assert_eq!(a.status, StatusCode::OK, "{}", a.text());
    assert_eq!(a.headers["content-type"], "application/x-protobuf");
    assert_eq!(a.headers["content-encoding"], "snappy");
    let plain = snap::raw::Decoder::new().decompress_vec(&a.body).unwrap();
    let results = ReadResponse::decode(&plain[..]).unwrap().results;
    let counts: Vec<usize> = results.iter().map(|r| r.timeseries.len()).collect();
    assert_eq!(counts, [1, 0, 2]);
    let found = &results[0].timeseries[0];
    let labels: Vec<_> = found.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
    assert_eq!(labels, [("__name__", "up"), ("job", "y"), ("replica", "a")]);
    assert_eq!(found.samples.iter().map(|s| s.value).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn chunks_come_as_a_stream_of_frames_with_checksums() {
    let router = filled().await;
    let a = read(&router, vec![query(vec![equal("__name__", "up")])], &[1, 0]).await;
    assert_eq!(a.status, StatusCode::OK, "{}", a.text());
    let media = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!(a.headers["content-type"], media);
    let mut rest = &a.body[..];
    let mut frames = 0;
    while let Some((length, tail)) = rest.split_first() {
        // Two short series: every length fits into one byte.
        assert!(*length < 0x80);
        let (sum, tail) = tail.split_at(4);
        let (message, tail) = tail.split_at(usize::from(*length));
        assert_eq!(sum, crc32c::crc32c(message).to_be_bytes());
        frames += 1;
        rest = tail;
    }
    assert_eq!(frames, 2);
    let none = read(&router, vec![query(vec![equal("__name__", "none")])], &[1]).await;
    assert_eq!((none.status, none.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn what_nobody_can_answer_is_refused_with_its_reason() {
    let router = filled().await;
    let empty = read(&router, vec![query(vec![equal("job", "")])], &[]).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(empty.text().contains("at least one non-empty matcher"), "{}", empty.text());
    let unknown = read(&router, vec![query(vec![equal("job", "x")])], &[7]).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let bad = Matcher { op: 2, name: "job".into(), value: "(".into() };
    let regex = read(&router, vec![query(vec![bad])], &[]).await;
    assert_eq!(regex.status, StatusCode::BAD_REQUEST);
    assert!(regex.text().contains("job"), "{}", regex.text());
}
