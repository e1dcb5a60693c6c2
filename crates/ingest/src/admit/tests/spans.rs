//! Spans by the ways besides OTLP.

use wire::jaeger::Protocol;

use super::*;
use crate::JaegerFormat;

pub(super) const FORMATS: [JaegerFormat; 3] =
    [JaegerFormat::Thrift(Protocol::Binary), JaegerFormat::Thrift(Protocol::Compact), JaegerFormat::Protobuf];

/// `{process: {serviceName: "a"}, spans: [{trace id 1, id 2, name "n", from 5 µs for 6 µs}]}` in compact Thrift.
const BATCH: &[u8] =
    &[0x1c, 0x18, 1, b'a', 0, 0x19, 0x1c, 0x16, 2, 0x26, 4, 0x28, 1, b'n', 0x36, 10, 0x16, 12, 0, 0];
const COMPACT: JaegerFormat = FORMATS[1];

impl Rig {
    async fn zipkin(&self, body: &'static str) -> Result<Receipt> {
        let format = ZipkinFormat::Json;
        self.ingest.zipkin(&self.tenant, &self.sender, format, Encoding::Identity, body.into()).await
    }

    async fn jaeger(&self, format: JaegerFormat, body: &[u8]) -> Result<Receipt> {
        let body = Bytes::copy_from_slice(body);
        self.ingest.jaeger(&self.tenant, &self.sender, format, Encoding::Identity, body).await
    }

    fn last_span(&self) -> model::Span {
        let Batch::Spans(s) = &self.last().batches[0] else { panic!() };
        s.spans[0].clone()
    }
}

#[tokio::test]
async fn zipkins_spans_are_admitted_refused_one_by_one_and_known_when_they_come_again() {
    let r = rig();
    let body = r#"[{"traceId":"1","id":"2","timestamp":5},{"traceId":"1","id":"x","timestamp":5}]"#;
    let receipt = r.zipkin(body).await.unwrap();
    assert_eq!(receipt.accepted, [(Signal::TRACES, 1)]);
    assert_eq!((receipt.refused[0].reason, receipt.refused[0].count), (RefusalReason::InvalidItem, 1));
    assert!(receipt.refused[0].detail.ends_with("(item 1 of the request)"), "{}", receipt.refused[0].detail);
    assert!(r.zipkin(body).await.unwrap().duplicate);
    assert_eq!(r.last_span().start_ns, 5000);
    let text = r.metrics.encode();
    for line in [
        r#"orrery_ingest_items_total{protocol="zipkin",signal="traces"} 1"#,
        r#"orrery_ingest_requests_total{protocol="zipkin",code="duplicate"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn a_span_without_any_time_is_given_that_of_receipt_and_never_taken_for_a_retry() {
    let r = rig();
    for _ in 0..2 {
        assert!(!r.zipkin(r#"[{"traceId":"1","id":"2"}]"#).await.unwrap().duplicate);
        assert_eq!(r.last_span().start_ns, 1_700_000_000_000_000_000);
    }
}

#[tokio::test]
async fn a_batch_for_jaeger_is_admitted_and_each_way_is_counted_apart() {
    let r = rig();
    assert_eq!(r.jaeger(COMPACT, BATCH).await.unwrap().accepted, [(Signal::TRACES, 1)]);
    assert!(r.jaeger(COMPACT, BATCH).await.unwrap().duplicate);
    let span = r.last_span();
    assert_eq!((span.name.as_str(), span.start_ns, span.end_ns), ("n", 5000, 11_000));
    let err = r.jaeger(COMPACT, &BATCH[..9]).await.unwrap_err();
    assert_eq!((err.kind, err.cause), (Kind::Invalid, Cause::Malformed));
    assert!(err.message.contains("Jaeger batch is not valid Thrift"), "{}", err.message);
    assert_eq!(r.jaeger(JaegerFormat::Protobuf, b"").await.unwrap(), Receipt::default());
    let text = r.metrics.encode();
    for line in [
        r#"orrery_ingest_requests_total{protocol="jaeger_http",code="ok"} 1"#,
        r#"orrery_ingest_requests_total{protocol="jaeger_http",code="invalid"} 1"#,
        r#"orrery_ingest_requests_total{protocol="jaeger_grpc",code="ok"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn packed_bodies_are_capped_and_the_clusters_name_is_stamped() {
    let cluster = Some(ClusterName::new("dev-01").unwrap());
    let r = rig_with(MemoryBudget::unlimited(), Options { cluster, ..Options::default() });
    r.jaeger(COMPACT, BATCH).await.unwrap();
    let Batch::Spans(s) = &r.last().batches[0] else { panic!() };
    assert_eq!(s.origins[0].resource.attributes.get_str("k8s.cluster.name"), Some("dev-01"));
    let limits = Limits { max_body_bytes: 8, ..Limits::default() };
    r.ingest.set_options(Options { limits, ..Options::default() });
    let err = r.jaeger(COMPACT, BATCH).await.unwrap_err();
    assert_eq!((err.cause, err.limit), (Cause::TooLarge, Some("ingest.max_body")));
}

#[test]
fn media_types_name_the_encoding() {
    let zipkin = ZipkinFormat::from_content_type;
    assert_eq!(zipkin("application/json; charset=utf-8"), Some(ZipkinFormat::Json));
    assert_eq!(zipkin(""), Some(ZipkinFormat::Json));
    assert_eq!(zipkin("application/x-protobuf"), Some(ZipkinFormat::Protobuf));
    assert_eq!(zipkin("application/x-thrift"), None);
    let jaeger = JaegerFormat::from_content_type;
    assert_eq!(jaeger("application/x-thrift"), Some(FORMATS[0]));
    assert_eq!(jaeger("application/vnd.apache.thrift.binary"), Some(FORMATS[0]));
    assert_eq!(jaeger("Application/vnd.apache.thrift.compact"), Some(COMPACT));
    assert_eq!(jaeger("application/json"), None);
}
