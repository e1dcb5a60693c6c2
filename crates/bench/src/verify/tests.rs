use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use model::{LogBatch, MetricBatch, SpanBatch};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{Protocol, WriteOptions, write};

fn sent(worker: usize, first: u64, count: u64, acknowledged: bool) -> Sent {
    Sent { worker, first, count, from_ns: first as i64, to_ns: (first + count) as i64 - 1, acknowledged }
}

#[test]
fn lost_doubled_and_unknown_items_are_told_apart() {
    let all = [sent(0, 0, 3, true), sent(0, 3, 2, false), sent(1, 0, 1, true)];
    let found = BTreeMap::from([((0, 0), 1), ((0, 1), 2), ((0, 3), 1), ((1, 0), 1), ((7, 7), 2)]);
    let r = compare("r", &all, found);
    assert_eq!((r.acknowledged, r.stored, r.lost, r.doubled, r.unknown), (4, 3, 1, 1, 2));
    assert_eq!((r.unacknowledged_stored, r.unacknowledged_missing), (1, 1));
    assert!(!r.is_exact());
    assert_eq!(r.examples, ["w0/1 stored 2 times", "w0/2 stored 0 times"]);
}

#[test]
fn windows_join_small_batches_and_split_large_ones_of_logs() {
    let all =
        [sent(0, 0, 500, true), sent(0, 500, 500, true), sent(0, 1000, 5000, true), sent(1, 0, 10, true)];
    let counts =
        |signal| windows(&all, signal).iter().map(|w| (w.worker, w.first, w.count)).collect::<Vec<_>>();
    assert_eq!(counts(Signal::Metrics), [(0, 0, 1000), (0, 1000, 5000), (1, 0, 10)]);
    assert_eq!(
        counts(Signal::Logs),
        [(0, 0, 1000), (0, 1000, 2000), (0, 3000, 2000), (0, 5000, 1000), (1, 0, 10)]
    );
    assert_eq!(counts(Signal::Traces).len(), 4);
}

/// A receiver that stores in vectors and answers the three query APIs. Every third request is stored and then
/// answered with 503, as if it had been killed before its answer.
#[derive(Default)]
struct Receiver {
    requests: AtomicU64,
    bodies: Mutex<std::collections::HashSet<Bytes>>,
    recognises_retries: bool,
    metrics: Mutex<Vec<MetricBatch>>,
    logs: Mutex<Vec<LogBatch>>,
    spans: Mutex<Vec<SpanBatch>>,
}

type Shared = State<Arc<Receiver>>;

impl Receiver {
    /// Whether the body is to be stored, and the answer.
    fn take(&self, body: &Bytes) -> (bool, StatusCode) {
        let n = self.requests.fetch_add(1, Relaxed);
        let known = !self.bodies.lock().insert(body.clone());
        let answer = if n % 3 == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (!(known && self.recognises_retries), answer)
    }
}

async fn take_metrics(State(r): Shared, body: Bytes) -> StatusCode {
    let (store, status) = r.take(&body);
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let d = wire::remote_write::decode_v1(&plain, &wire::Limits::default()).unwrap();
    if store {
        r.metrics.lock().push(d.batch);
    }
    status
}

async fn take_logs(State(r): Shared, body: Bytes) -> StatusCode {
    let (store, status) = r.take(&body);
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let d = wire::loki::decode_protobuf(&plain, &wire::Limits::default()).unwrap();
    if store {
        r.logs.lock().push(d.batch);
    }
    status
}

async fn take_spans(State(r): Shared, body: Bytes) -> StatusCode {
    let (store, status) = r.take(&body);
    let d = wire::otlp::traces::decode_protobuf(&body, &wire::otlp::Options::default()).unwrap();
    if store {
        r.spans.lock().push(d.batch);
    }
    status
}

type Params = Query<HashMap<String, String>>;

async fn give_metrics(State(r): Shared, Query(q): Params) -> axum::Json<Value> {
    let query = &q["query"];
    let worker = query.split("worker=\"").nth(1).unwrap().split('"').next().unwrap();
    let range: i64 = query.split('[').nth(1).unwrap().trim_end_matches("ms]").parse().unwrap();
    let (s, ms) = q["time"].split_once('.').unwrap();
    let to = s.parse::<i64>().unwrap() * 1000 + ms.parse::<i64>().unwrap();
    let mut values = Vec::new();
    for b in r.metrics.lock().iter() {
        for i in 0..b.samples.len() {
            let t = b.samples.timestamp_ms[i];
            let of_worker = b.series[b.samples.series[i] as usize].value("worker") == worker;
            if of_worker && t > to - range && t <= to {
                values.push(json!([t as f64 / 1e3, b.samples.value[i].to_string()]));
            }
        }
    }
    axum::Json(
        json!({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}),
    )
}

async fn give_logs(State(r): Shared, Query(q): Params) -> axum::Json<Value> {
    let worker = q["query"].split("k8s_pod_name=\"").nth(1).unwrap().split('"').next().unwrap();
    let (from, to): (i64, i64) = (q["start"].parse().unwrap(), q["end"].parse().unwrap());
    let mut values = Vec::new();
    for b in r.logs.lock().iter() {
        for record in &b.records {
            let of_worker = b.streams[record.stream as usize].labels.value("k8s_pod_name") == worker;
            if of_worker && from <= record.timestamp_ns && record.timestamp_ns < to {
                values.push(json!([record.timestamp_ns.to_string(), record.body.to_string()]));
            }
        }
    }
    axum::Json(json!({"status": "success", "data": {"result": [{"stream": {}, "values": values}]}}))
}

async fn give_trace(State(r): Shared, Path(id): Path<String>) -> (StatusCode, axum::Json<Value>) {
    let mut spans = Vec::new();
    for b in r.spans.lock().iter() {
        for s in &b.spans {
            let hex: String = s.trace_id.iter().map(|b| format!("{b:02x}")).collect();
            if hex == id {
                let n = s.attributes.get("bench.n").unwrap().to_string();
                spans.push(json!({"tags": [{"key": "bench.n", "type": "int64", "value": n.parse::<i64>().unwrap()}]}));
            }
        }
    }
    let status = if spans.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    (status, axum::Json(json!({"data": [{"spans": spans}]})))
}

async fn receiver(recognises_retries: bool) -> String {
    let state = Arc::new(Receiver { recognises_retries, ..Receiver::default() });
    let app = Router::new()
        .route("/api/v1/write", post(take_metrics))
        .route("/loki/api/v1/push", post(take_logs))
        .route("/v1/traces", post(take_spans))
        .route("/api/v1/query", get(give_metrics))
        .route("/loki/api/v1/query_range", get(give_logs))
        .route("/jaeger/api/traces/{id}", get(give_trace))
        .with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn count_and_verify(protocol: Protocol, signal: Signal, recognises_retries: bool) -> VerifyReport {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let options = WriteOptions {
        target: receiver(recognises_retries).await,
        protocol,
        signal,
        batch: 50,
        rate: Some(2000.0),
        duration: Duration::from_millis(300),
        journal: Some(journal.clone()),
        ..WriteOptions::default()
    };
    let report = write(&options, |_| {}).await.unwrap();
    assert!(report.items >= 200 && report.retries >= 1, "{report}");
    let verified = verify(&VerifyOptions::new(journal)).await.unwrap();
    assert_eq!(verified.acknowledged, report.items);
    verified
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_recognises_retries_is_exact_for_every_signal() {
    for (protocol, signal) in [
        (Protocol::RemoteWrite, Signal::Metrics),
        (Protocol::Loki, Signal::Logs),
        (Protocol::OtlpHttp, Signal::Traces),
    ] {
        let r = count_and_verify(protocol, signal, true).await;
        assert!(r.is_exact() && r.stored == r.acknowledged, "{signal}: {r}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_retries_for_new_is_found_out() {
    let r = count_and_verify(Protocol::Loki, Signal::Logs, false).await;
    assert!(r.doubled > 0 && r.lost == 0 && !r.is_exact(), "{r}");
}
