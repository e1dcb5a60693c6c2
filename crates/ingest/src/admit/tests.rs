mod spans;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use base::Kind;
use contract::{Append, fake::Fake};
use model::{ClusterName, Labels, LogBatch, LogRecord, LogStream, MetricBatch, Signal};
use prost::Message;

use super::*;
use crate::{Cause, Limits, Otlp, OtlpFormat, OtlpSignal, OtlpTransport, ZipkinFormat};

/// A fake that can be told to answer that it is out of disk, and shows what it was given last.
#[derive(Default)]
struct Probe {
    fake: Fake,
    full: AtomicBool,
    last: parking_lot::Mutex<Option<AppendUnit>>,
}

#[async_trait]
impl Append for Probe {
    async fn append(&self, tenant: &TenantId, unit: AppendUnit) -> contract::Result<Receipt> {
        if self.full.load(Relaxed) {
            return Err(contract::Error::unavailable("the disk reserve is reached"));
        }
        *self.last.lock() = Some(unit.clone());
        self.fake.append(tenant, unit).await
    }
}

struct Rig {
    ingest: Ingest,
    probe: Arc<Probe>,
    metrics: Metrics,
    tenant: TenantId,
    sender: Sender,
}

fn rig_with(budget: MemoryBudget, options: Options) -> Rig {
    let probe = Arc::new(Probe::default());
    let metrics = Metrics::default();
    let clock = Clock::manual(1_700_000_000_000_000_000);
    let ingest = Ingest::new(probe.clone(), budget, &metrics, clock, options);
    let sender = Sender { addr: "10.0.0.1".into(), user_agent: "test".into(), ..Sender::default() };
    Rig { ingest, probe, metrics, tenant: TenantId::default(), sender }
}

fn rig() -> Rig {
    rig_with(MemoryBudget::unlimited(), Options::default())
}

fn snappy(bytes: &[u8]) -> Bytes {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap().into()
}

fn batch(samples: usize) -> MetricBatch {
    let mut batch = MetricBatch::default();
    let s = batch.push_series(Labels::from_pairs([("__name__", "up"), ("job", "a")]));
    for i in 0..samples {
        batch.samples.push(s, i as i64, i as f64);
    }
    batch
}

fn write(samples: usize) -> Bytes {
    snappy(&wire::remote_write::encode(&batch(samples)))
}

fn otlp_logs(time_ns: i64) -> Bytes {
    let record = LogRecord { timestamp_ns: time_ns, body: "line".into(), ..Default::default() };
    let batch = LogBatch { streams: vec![LogStream::default()], records: vec![record] };
    wire::otlp::logs::encode(&batch).encode_to_vec().into()
}

impl Rig {
    async fn write(&self, body: Bytes) -> Result<Receipt> {
        self.ingest.remote_write_v1(&self.tenant, &self.sender, Encoding::Snappy, body).await
    }

    async fn logs(&self, body: Bytes) -> Result<Receipt> {
        self.logs_by(OtlpTransport::Http, body).await
    }

    async fn logs_by(&self, transport: OtlpTransport, body: Bytes) -> Result<Receipt> {
        let what = Otlp { transport, signal: OtlpSignal::Logs, format: OtlpFormat::Protobuf };
        self.ingest.otlp(&self.tenant, &self.sender, what, Encoding::Identity, body).await
    }

    fn last(&self) -> AppendUnit {
        self.probe.last.lock().clone().unwrap()
    }
}

#[tokio::test]
async fn a_retry_is_recognised_and_another_sender_is_not_taken_for_one() {
    let mut r = rig();
    assert_eq!(r.write(write(3)).await.unwrap().accepted, [(Signal::METRICS, 3)]);
    assert!(r.write(write(3)).await.unwrap().duplicate);
    assert!(!r.write(write(4)).await.unwrap().duplicate);
    r.sender.addr = "10.0.0.2".into();
    assert!(!r.write(write(3)).await.unwrap().duplicate);
    r.tenant = TenantId::new("other").unwrap();
    assert!(!r.write(write(3)).await.unwrap().duplicate);
}

#[tokio::test]
async fn a_bulk_whose_documents_are_written_in_another_order_of_fields_is_the_same_one_sent_again() {
    let r = rig();
    let send = async |documents: &[&str]| {
        let body: String = documents.iter().map(|d| format!("{{\"create\":{{}}}}\n{d}\n")).collect();
        let none = Encoding::Identity;
        let index = Some("beats".to_owned());
        let items = r.ingest.bulk(&r.tenant, &r.sender, index, none, body.into()).await.unwrap();
        assert!(items.iter().all(|i| i.outcome.is_ok()), "{items:?}");
        r.metrics.encode().lines().any(|l| l.contains("elasticsearch") && l.contains("code=\"duplicate\""))
    };
    let time = "\"@timestamp\":\"2023-11-14T22:13:20.123Z\"";
    let one = format!("{{{time},\"message\":\"x\",\"a\":{{\"b\":1,\"c\":[1,2]}}}}");
    let same = format!("{{\"a\":{{\"c\":[1,2],\"b\":1}},\"message\":\"x\",{time}}}");
    let other = format!("{{\"a\":{{\"c\":[2,1],\"b\":1}},\"message\":\"x\",{time}}}");
    assert!(!send(&[&one, &other]).await);
    assert!(!send(&[&one, &one]).await);
    assert!(!send(&[&other, &one]).await, "another order is another request");
    assert!(!send(&[&one]).await);
    assert!(send(&[&same, &other]).await);
}

#[tokio::test]
async fn records_without_a_time_of_their_own_are_never_taken_for_a_retry() {
    let r = rig();
    for _ in 0..2 {
        assert!(!r.logs(otlp_logs(0)).await.unwrap().duplicate);
        assert_eq!(r.last().batch_id, None);
    }
    r.logs(otlp_logs(5)).await.unwrap();
    assert!(r.logs(otlp_logs(5)).await.unwrap().duplicate);
}

#[tokio::test]
async fn raising_a_limit_makes_the_same_body_another_batch() {
    let mut options = Options::default();
    options.limits.items.max_line_bytes = 2;
    let r = rig_with(MemoryBudget::unlimited(), options);
    let body = r#"{"streams":[{"stream":{"a":"b"},"values":[["1","ab"],["2","abc"]]}]}"#;
    let push = async || {
        r.ingest
            .loki_push(&r.tenant, &r.sender, LokiFormat::Json, Encoding::Identity, Bytes::from(body))
            .await
            .unwrap()
    };
    let first = push().await;
    assert_eq!((first.accepted_items(), first.refused_items()), (1, 1));
    assert_eq!(first.refused[0].reason, RefusalReason::TooLarge);
    assert!(first.refused[0].detail.ends_with("(item 1 of the request)"), "{}", first.refused[0].detail);
    assert!(push().await.duplicate);
    r.ingest.set_options(Options::default());
    assert_eq!(push().await.accepted_items(), 2);
}

#[tokio::test]
async fn without_memory_ingest_sheds_with_the_limits_name_and_a_time_to_retry() {
    let r = rig_with(MemoryBudget::new(1000), Options::default());
    let err = r.write(write(5000)).await.unwrap_err();
    assert_eq!(
        (err.kind, err.cause, err.limit),
        (Kind::Unavailable, Cause::Overloaded, Some("memory.limit"))
    );
    assert!(err.retry_after.is_some());
    assert_eq!(r.ingest.budget.used(), 0, "nothing stays reserved");
}

#[tokio::test]
async fn bodies_past_a_limit_are_refused_with_its_name() {
    let limits = Limits { max_body_bytes: 100, max_decompressed_bytes: 1 << 20, ..Limits::default() };
    let r = rig_with(MemoryBudget::unlimited(), Options { limits, ..Options::default() });
    let err = r.logs(vec![0; 101].into()).await.unwrap_err();
    assert_eq!((err.kind, err.cause, err.limit), (Kind::Limited, Cause::TooLarge, Some("ingest.max_body")));
    // A header that promises a gigabyte.
    let bomb = Bytes::from_static(&[0x80, 0x80, 0x80, 0x80, 0x04, 0, 0]);
    let err = r.write(bomb).await.unwrap_err();
    assert_eq!((err.cause, err.limit), (Cause::TooLarge, Some("ingest.max_unpacked")));
}

#[tokio::test]
async fn bodies_that_say_nothing_are_malformed() {
    let r = rig();
    let whole = write(3);
    for body in [whole.slice(..whole.len() - 1), Bytes::from_static(b"\xff\xff"), snappy(b"not protobuf")] {
        let err = r.write(body).await.unwrap_err();
        assert_eq!((err.kind, err.cause), (Kind::Invalid, Cause::Malformed));
    }
    assert_eq!(r.write(snappy(b"")).await.unwrap(), Receipt::default());
}

#[tokio::test]
async fn the_appends_answer_keeps_its_kind() {
    let r = rig();
    r.probe.full.store(true, Relaxed);
    let err = r.write(write(1)).await.unwrap_err();
    assert_eq!((err.kind, err.cause), (Kind::Unavailable, Cause::Append));
    assert_eq!(err.message, "the disk reserve is reached");
    assert!(err.retry_after.is_some());
}

#[tokio::test]
async fn the_cluster_is_stamped_where_one_is_configured() {
    let cluster = Some(ClusterName::new("dev-01").unwrap());
    let r = rig_with(MemoryBudget::unlimited(), Options { cluster, ..Options::default() });
    r.write(write(1)).await.unwrap();
    let Batch::Metrics(m) = &r.last().batches[0] else { panic!() };
    assert_eq!(m.series[0].value("cluster"), "dev-01");
    r.logs(otlp_logs(1)).await.unwrap();
    let Batch::Logs(l) = &r.last().batches[0] else { panic!() };
    assert_eq!(l.streams[0].labels.value("cluster"), "dev-01");
}

#[tokio::test]
async fn a_large_body_is_decoded_beside_the_workers() {
    let mut big = MetricBatch::default();
    for i in 0..20_000u64 {
        // Names that snappy cannot shrink below the size that is decoded inline.
        let name = format!("m{:x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let s = big.push_series(Labels::from_pairs([("__name__", name)]));
        big.samples.push(s, 1, 1.0);
    }
    let body = snappy(&wire::remote_write::encode(&big));
    assert!(body.len() > INLINE_BYTES, "{}", body.len());
    let r = rig();
    assert_eq!(r.write(body).await.unwrap().accepted_items(), 20_000);
}

fn delta_sum(start_s: u64, end_s: u64, value: i64) -> Bytes {
    let (start, end) = (start_s * 1_000_000_000, end_s * 1_000_000_000);
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"n","sum":{{"aggregationTemporality":1,"isMonotonic":true,
            "dataPoints":[{{"asInt":{value},"startTimeUnixNano":"{start}","timeUnixNano":"{end}"}}]}}}}]}}]}}]}}"#
    )
    .into()
}

impl Rig {
    async fn otlp_metrics(&self, body: Bytes) -> Result<Receipt> {
        let (transport, signal) = (OtlpTransport::Http, OtlpSignal::Metrics);
        let what = Otlp { transport, signal, format: OtlpFormat::Json };
        self.ingest.otlp(&self.tenant, &self.sender, what, Encoding::Identity, body).await
    }

    fn last_values(&self) -> Vec<f64> {
        let Batch::Metrics(m) = &self.last().batches[0] else { panic!() };
        m.samples.value.clone()
    }
}

#[tokio::test]
async fn deltas_reach_the_store_as_totals_and_a_retry_adds_nothing_twice() {
    let r = rig();
    r.otlp_metrics(delta_sum(10, 20, 5)).await.unwrap();
    r.otlp_metrics(delta_sum(20, 30, 3)).await.unwrap();
    assert_eq!(r.last_values(), [8.0]);
    assert!(r.otlp_metrics(delta_sum(20, 30, 3)).await.unwrap().duplicate);
    r.probe.full.store(true, Relaxed);
    r.otlp_metrics(delta_sum(30, 40, 2)).await.unwrap_err();
    r.probe.full.store(false, Relaxed);
    let again = r.otlp_metrics(delta_sum(30, 40, 2)).await.unwrap();
    assert_eq!((again.accepted_items(), again.refused_items()), (1, 0));
    assert_eq!(r.last_values(), [10.0]);
}

#[tokio::test]
async fn without_totals_deltas_are_refused_as_unsupported() {
    let r = rig_with(MemoryBudget::unlimited(), Options { deltas: None, ..Options::default() });
    let receipt = r.otlp_metrics(delta_sum(10, 20, 5)).await.unwrap();
    assert_eq!(receipt.refused[0].reason, RefusalReason::Unsupported);
}

#[tokio::test]
async fn remote_write_2_tells_what_was_written_by_kind_also_for_a_retry() {
    let r = rig();
    let mut b = batch(3);
    let h = b.push_series(Labels::from_pairs([("__name__", "h")]));
    for i in 0..2 {
        let histogram = model::Histogram::default();
        b.histograms.push(model::metric::HistogramSample {
            series: h,
            timestamp_ms: i,
            start_ms: 0,
            histogram,
        });
    }
    let labels = Labels::from_pairs([("trace_id", "a")]);
    b.exemplars.push((0, model::Exemplar { labels, value: 1.0, timestamp_ms: 1 }));
    let body = snappy(&wire::remote_write::v2::encode(&b));
    let want = Written { samples: 3, histograms: 2, exemplars: 1 };
    for duplicate in [false, true] {
        let sent = r.ingest.remote_write_v2(&r.tenant, &r.sender, Encoding::Snappy, body.clone());
        let (receipt, written) = sent.await.unwrap();
        assert_eq!((receipt.duplicate, written), (duplicate, want));
    }
}

#[tokio::test]
async fn labels_that_a_body_only_refers_to_are_paid_for() {
    let mut b = MetricBatch::default();
    let long = "x".repeat(8 << 10);
    for i in 0..400 {
        let labels = Labels::from_pairs([("__name__", format!("m{i}")), ("l", long.clone())]);
        let s = b.push_series(labels);
        b.samples.push(s, 1, 1.0);
    }
    let body = wire::remote_write::v2::encode(&b);
    let r = rig_with(MemoryBudget::new(400_000), Options::default());
    let packed = snappy(&body);
    let e = r.ingest.remote_write_v2(&r.tenant, &r.sender, Encoding::Snappy, packed).await;
    // Refused by the memory limit or cut by the cap on what references may mean; never held for nothing.
    if let Ok((receipt, written)) = e {
        assert_eq!(written.samples + receipt.refused_items(), 400);
        assert!(receipt.refused_items() > 0);
    }
    assert_eq!(r.ingest.budget.used(), 0);
}

#[tokio::test]
async fn messages_from_grpc_take_the_same_way_and_are_counted_apart() {
    let r = rig();
    let send = async |at| r.logs_by(OtlpTransport::Grpc, otlp_logs(at)).await.unwrap();
    assert_eq!(send(7).await.accepted, [(Signal::LOGS, 1)]);
    assert!(send(7).await.duplicate);
    r.logs(otlp_logs(8)).await.unwrap();
    let text = r.metrics.encode();
    for line in [
        r#"orrery_ingest_requests_total{protocol="otlp_grpc",code="ok"} 1"#,
        r#"orrery_ingest_requests_total{protocol="otlp_grpc",code="duplicate"} 1"#,
        r#"orrery_ingest_requests_total{protocol="otlp_http",code="ok"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn every_outcome_is_counted() {
    let r = rig();
    r.write(write(3)).await.unwrap();
    r.write(write(3)).await.unwrap();
    let mut bad = batch(2);
    bad.series[0] = Labels::from_pairs([("no", "name")]);
    r.write(snappy(&wire::remote_write::encode(&bad))).await.unwrap();
    r.write(Bytes::from_static(b"\xff\xff")).await.unwrap_err();
    let text = r.metrics.encode();
    for line in [
        r#"orrery_ingest_items_total{protocol="remote_write",signal="metrics"} 3"#,
        r#"orrery_ingest_refused_items_total{protocol="remote_write",signal="metrics",reason="invalid_labels"} 2"#,
        r#"orrery_ingest_requests_total{protocol="remote_write",code="ok"} 1"#,
        r#"orrery_ingest_requests_total{protocol="remote_write",code="duplicate"} 1"#,
        r#"orrery_ingest_requests_total{protocol="remote_write",code="partial"} 1"#,
        r#"orrery_ingest_requests_total{protocol="remote_write",code="invalid"} 1"#,
        r#"orrery_ingest_duration_seconds_count{protocol="remote_write"} 4"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

proptest::proptest! {
    #[test]
    fn random_bodies_end_in_an_answer(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), way in 0..35usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let r = rig();
            let encoding = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd, Encoding::Snappy, Encoding::Deflate][way % 5];
            let body = Bytes::from(body);
            let answer = match way / 5 {
                0 if body.len() % 2 == 0 => r.ingest.remote_write_v2(&r.tenant, &r.sender, encoding, body).await.map(|a| a.0),
                0 => r.ingest.remote_write_v1(&r.tenant, &r.sender, encoding, body).await,
                1 => r.ingest.loki_push(&r.tenant, &r.sender, LokiFormat::Json, encoding, body).await,
                2 => r.ingest.zipkin(&r.tenant, &r.sender, [ZipkinFormat::Json, ZipkinFormat::Protobuf][body.len() % 2], encoding, body).await,
                3 => r.ingest.jaeger(&r.tenant, &r.sender, spans::FORMATS[body.len() % 3], encoding, body).await,
                4 => {
                    let (transport, signal) = (OtlpTransport::Grpc, OtlpSignal::Traces);
                    let what = Otlp { transport, signal, format: OtlpFormat::Protobuf };
                    r.ingest.otlp(&r.tenant, &r.sender, what, encoding, body).await
                }
                _ => {
                    let (transport, signal) = (OtlpTransport::Http, OtlpSignal::Metrics);
                    let what = Otlp { transport, signal, format: OtlpFormat::Json };
                    r.ingest.otlp(&r.tenant, &r.sender, what, encoding, body).await
                }
            };
            if let Err(e) = answer {
                assert!(e.kind != Kind::Internal && !e.message.is_empty(), "{e}");
            }
            assert_eq!(r.ingest.budget.used(), 0);
        });
    }
}
