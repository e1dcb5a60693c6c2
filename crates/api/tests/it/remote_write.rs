//! Remote write 2.0, rule by rule of its specification, over HTTP.

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use prost::Message;
use proto::prometheus_v2 as pb;

use crate::{
    node::{self, Answer, NOW_MS, ask},
    scenario::pack,
};

const TWO: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn post(router: &Router, media: &str, body: &[u8]) -> Answer {
    let request = Request::post("/api/v1/write")
        .header("content-type", media)
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "2.0.0");
    ask(router, request.body(Body::from(pack("snappy", body).unwrap())).unwrap()).await
}

/// Samples, histograms and exemplars written, as the headers say.
fn written(a: &Answer) -> Option<[u64; 3]> {
    let mut out = [0; 3];
    for (slot, kind) in out.iter_mut().zip(["samples", "histograms", "exemplars"]) {
        let value = a.headers.get(format!("x-prometheus-remote-write-{kind}-written"))?;
        *slot = value.to_str().unwrap().parse().unwrap();
    }
    Some(out)
}

fn request(symbols: &[&str], timeseries: Vec<pb::TimeSeries>) -> Vec<u8> {
    pb::Request { symbols: symbols.iter().map(|s| (*s).to_owned()).collect(), timeseries }.encode_to_vec()
}

fn sample(refs: &[u32]) -> pb::TimeSeries {
    let samples = vec![pb::Sample { value: 1.5, timestamp: NOW_MS - 1000, start_timestamp: NOW_MS - 60_000 }];
    pb::TimeSeries { labels_refs: refs.to_vec(), samples, ..Default::default() }
}

fn histogram(refs: &[u32], count: u64) -> pb::TimeSeries {
    let h = pb::Histogram {
        count: Some(pb::histogram::Count::CountInt(count)),
        sum: 2.5,
        positive_spans: vec![pb::BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![1, 0],
        timestamp: NOW_MS - 1000,
        ..Default::default()
    };
    pb::TimeSeries { labels_refs: refs.to_vec(), histograms: vec![h], ..Default::default() }
}

const SYMBOLS: [&str; 8] = ["", "__name__", "up", "job", "a", "rpc", "trace_id", "0af7"];

#[tokio::test]
async fn what_is_written_is_counted_in_headers_and_read_back() {
    let router = node::router();
    let mut first = sample(&[1, 2, 3, 4]);
    first.exemplars = vec![pb::Exemplar { labels_refs: vec![6, 7], value: 1.0, timestamp: NOW_MS - 1000 }];
    let body = request(&SYMBOLS, vec![first, histogram(&[1, 5], 2)]);
    let a = post(&router, TWO, &body).await;
    assert_eq!((a.status, a.body.len()), (StatusCode::NO_CONTENT, 0), "{}", a.text());
    assert_eq!(written(&a), Some([1, 1, 1]));
    let read = node::get(&router, "/api/v1/query?query=up").await.json();
    assert_eq!(read["data"]["result"][0]["metric"]["job"], "a");
    assert_eq!(read["data"]["result"][0]["value"][1], "1.5");
    let again = post(&router, TWO, &body).await;
    assert_eq!((again.status, written(&again)), (StatusCode::NO_CONTENT, Some([1, 1, 1])), "a retry");
}

#[tokio::test]
async fn a_partial_write_is_400_with_reasons_and_with_what_was_written() {
    let router = node::router();
    let body = request(&SYMBOLS, vec![sample(&[3, 4]), sample(&[1, 2]), histogram(&[1, 5], 9)]);
    let a = post(&router, TWO, &body).await;
    assert_eq!((a.status, written(&a)), (StatusCode::BAD_REQUEST, Some([1, 0, 0])));
    let text = a.text();
    assert!(text.starts_with("2 items refused, 1 stored"), "{text}");
    assert_eq!(a.headers["x-orrery-stored"], "1", "for nodes that forward");
    assert!(text.contains("invalid_labels") && text.contains("the count is 9"), "{text}");
}

#[tokio::test]
async fn nothing_but_refused_items_is_400_with_zeros() {
    let router = node::router();
    for bad in [sample(&[]), sample(&[1]), sample(&[1, 99]), sample(&[3, 4]), sample(&[1, 2, 3, 4, 3, 5])] {
        let a = post(&router, TWO, &request(&SYMBOLS, vec![bad])).await;
        assert_eq!((a.status, written(&a)), (StatusCode::BAD_REQUEST, Some([0, 0, 0])), "{}", a.text());
    }
    let a = post(&router, TWO, b"no protobuf at all").await;
    assert_eq!((a.status, written(&a)), (StatusCode::BAD_REQUEST, Some([0, 0, 0])));
}

#[tokio::test]
async fn other_types_and_encodings_are_415_and_a_1_0_sender_sees_no_headers() {
    let router = node::router();
    let body = request(&SYMBOLS, vec![sample(&[1, 2])]);
    for media in
        ["application/json", "image/png", "application/x-protobuf;proto=io.prometheus.write.v3.Request"]
    {
        let a = post(&router, media, &body).await;
        assert_eq!((a.status, written(&a)), (StatusCode::UNSUPPORTED_MEDIA_TYPE, None), "{media}");
    }
    for encoding in ["gzip", "deflate"] {
        let request = Request::post("/api/v1/write").header("content-type", TWO);
        let request = request.header("content-encoding", encoding).body(Body::from("0")).unwrap();
        assert_eq!(ask(&router, request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
    }
    let label = |n: &str, v: &str| proto::prometheus::Label { name: n.to_owned(), value: v.to_owned() };
    let one = proto::prometheus::WriteRequest {
        timeseries: vec![proto::prometheus::TimeSeries {
            labels: vec![label("__name__", "one")],
            samples: vec![proto::prometheus::Sample { value: 1.0, timestamp: NOW_MS }],
            ..Default::default()
        }],
        metadata: vec![],
    };
    for media in ["application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest"] {
        let a = post(&router, media, &one.encode_to_vec()).await;
        assert_eq!((a.status, written(&a)), (StatusCode::NO_CONTENT, None), "{media}");
    }
}

#[tokio::test]
async fn special_values_names_and_metadata_are_taken() {
    let router = node::router();
    let symbols = ["", "__name__", "resource.cpu usage", "job name", "new\nline ü", "help", "seconds"];
    let values = [f64::NAN, f64::from_bits(0x7ff0_0000_0000_0002), f64::INFINITY, f64::NEG_INFINITY];
    for (i, value) in values.into_iter().enumerate() {
        let mut t = sample(&[1, 2, 3, 4]);
        t.samples[0] = pb::Sample { value, timestamp: NOW_MS - 1000 + i as i64, start_timestamp: 0 };
        for kind in 0..8 {
            t.metadata = Some(pb::Metadata { r#type: kind, help_ref: 5, unit_ref: 6 });
        }
        let a = post(&router, TWO, &request(&symbols, vec![t])).await;
        assert_eq!((a.status, written(&a)), (StatusCode::NO_CONTENT, Some([1, 0, 0])), "{value}");
    }
    let orphan = pb::TimeSeries {
        labels_refs: vec![1, 2],
        metadata: Some(pb::Metadata { r#type: 1, help_ref: 5, unit_ref: 0 }),
        ..Default::default()
    };
    let a = post(&router, TWO, &request(&symbols, vec![orphan])).await;
    assert_eq!((a.status, written(&a)), (StatusCode::NO_CONTENT, Some([0, 0, 0])));
}
