//! The engine over the fake and over a store.

mod hostile;
mod limits;
mod pushed;
mod scripts;

use std::sync::Arc;

use base::{Clock, MemoryBudget};
use contract::{
    Append, AppendUnit, QueryLimits, Select, Sql, SqlAnswer, SqlEnd, SqlFormat, SqlRequest, Tenants,
    fake::Fake,
};
use futures::StreamExt;
use model::{
    AnyValue, Attributes, Batch, Histogram, Labels, LogBatch, LogRecord, LogStream, MetricBatch, Span,
    SpanBatch, SpanKind, SpanStatus, StatusCode, TenantId, attributes::Resource, metric::HistogramSample,
    span::SpanOrigin, stale_marker,
};

use crate::Engine;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOON: i64 = testkit::cluster::BEGINNING_NS;
const SECOND: i64 = 1_000_000_000;

pub(crate) fn engine_over(select: Arc<dyn Select>) -> Engine {
    Engine::new(select, Clock::manual(NOON))
}

pub(crate) fn request(statement: &str) -> SqlRequest {
    SqlRequest {
        statement: statement.to_owned(),
        tenants: Tenants::one(TenantId::default()),
        limits: QueryLimits::default(),
        from: None,
        to: None,
        limit: None,
        format: SqlFormat::Csv,
    }
}

pub(crate) async fn read(answer: SqlAnswer) -> contract::Result<(String, SqlEnd)> {
    let SqlAnswer { mut pieces, end, .. } = answer;
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        all.extend(piece?);
    }
    let end = end.lock().clone();
    Ok((String::from_utf8(all).expect("CSV and JSON are text"), end))
}

pub(crate) async fn ask(engine: &Engine, request: SqlRequest) -> contract::Result<(String, SqlEnd)> {
    read(engine.query(request).await?).await
}

pub(crate) async fn csv(engine: &Engine, statement: &str) -> String {
    match ask(engine, request(statement)).await {
        Ok((text, _)) => text.replace("\r\n", "\n"),
        Err(e) => format!("error {}: {}\n", e.kind(), e.message),
    }
}

/// What every store under test holds.
pub(crate) fn known() -> Vec<Batch> {
    vec![Batch::Logs(logs()), Batch::Metrics(metrics()), Batch::Spans(spans())]
}

pub(crate) async fn fill(append: &dyn Append) {
    let unit = AppendUnit { batch_id: None, received_ns: NOON, batches: known() };
    let receipt = append.append(&TenantId::default(), unit).await.expect("known items are taken");
    assert!(receipt.refused.is_empty(), "{:?}", receipt.refused);
}

pub(crate) async fn fake() -> Engine {
    let fake = Fake::new();
    fill(&fake).await;
    engine_over(Arc::new(fake))
}

fn attributes(all: &[(&str, AnyValue)]) -> Attributes {
    all.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

/// Two services that differ in what they take `status` for: three lines each, a second apart.
fn logs() -> LogBatch {
    let stream = |app: &str| LogStream {
        labels: Labels::from_pairs([("app", app), ("cluster", "dev-01"), ("service_name", app)]),
        resource: Resource {
            attributes: attributes(&[("host.name", format!("{app}-1").into())]),
            ..Resource::default()
        },
        ..LogStream::default()
    };
    let record = |n: i64, stream: u32, severity: u8, body: &str, status: AnyValue| LogRecord {
        stream,
        timestamp_ns: NOON - 60 * SECOND + n * SECOND,
        severity_number: severity,
        body: body.into(),
        attributes: attributes(&[("status", status)]),
        trace_id: if n == 2 { [0xab; 16] } else { [0; 16] },
        ..LogRecord::default()
    };
    LogBatch {
        streams: vec![stream("shop"), stream("cart")],
        records: vec![
            record(0, 0, 9, "paid 12 in 5ms", 200i64.into()),
            record(1, 1, 9, "put \"one\", two", "ok".into()),
            record(2, 0, 17, "payment failed: timeout", 500i64.into()),
            record(3, 1, 17, "PUT failed\nagain", "failed".into()),
            record(4, 0, 0, "paid 7 in 9ms", 200.5.into()),
            record(5, 1, 9, "", true.into()),
        ],
    }
}

fn metrics() -> MetricBatch {
    let mut batch = MetricBatch::default();
    let labels = |name: &str, job: &str| Labels::from_pairs([("__name__", name), ("job", job)]);
    let ms = NOON / 1_000_000;
    for (n, job) in ["a", "b"].into_iter().enumerate() {
        let up = batch.push_series(labels("up", job));
        for step in 0..4i64 {
            let value = if step == 3 && n == 1 { stale_marker() } else { (step + n as i64) as f64 };
            batch.samples.push(up, ms - 60_000 + step * 15_000, value);
        }
    }
    let latency = batch.push_series(labels("latency", "a"));
    batch.histograms.push(HistogramSample {
        series: latency,
        timestamp_ms: ms - 30_000,
        start_ms: 0,
        histogram: Histogram {
            count: 3.0,
            sum: 1.5,
            zero_count: 3.0,
            is_integer: true,
            ..Histogram::default()
        },
    });
    batch
}

fn spans() -> SpanBatch {
    let origin = |service: &str| SpanOrigin {
        resource: Resource {
            attributes: attributes(&[("service.name", service.into())]),
            ..Resource::default()
        },
        ..SpanOrigin::default()
    };
    let span = |n: u8, origin: u32, name: &str, kind: SpanKind, code: StatusCode| Span {
        origin,
        trace_id: [if n < 2 { 1 } else { 2 }; 16],
        span_id: [n + 1; 8],
        parent_span_id: if n == 1 { [1; 8] } else { [0; 8] },
        name: name.to_owned(),
        kind,
        start_ns: NOON - 60 * SECOND + i64::from(n) * SECOND,
        end_ns: NOON - 60 * SECOND + i64::from(n) * SECOND + (i64::from(n) + 1) * 100_000_000,
        attributes: attributes(&[("http.status", if n == 2 { "teapot".into() } else { 200i64.into() })]),
        status: SpanStatus { code, message: String::new() },
        ..Span::default()
    };
    SpanBatch {
        origins: vec![origin("shop"), origin("cart")],
        spans: vec![
            span(0, 0, "GET /", SpanKind::Server, StatusCode::Unset),
            span(1, 1, "put", SpanKind::Client, StatusCode::Ok),
            span(2, 0, "GET /pay", SpanKind::Server, StatusCode::Error),
        ],
    }
}

pub(crate) fn small_budget() -> MemoryBudget {
    MemoryBudget::new(4 << 20)
}

#[tokio::test]
async fn an_answer_says_what_was_read_and_what_it_covers() {
    let engine = fake().await;
    let answer = engine.query(request("select body from logs")).await.unwrap();
    assert_eq!(answer.columns[0].name, "body");
    let [read_one] = &answer.reads[..] else { panic!("{:?}", answer.reads) };
    assert!(read_one.is_assumed && read_one.range.end.0 == NOON + 1, "{read_one:?}");
    assert_eq!(read_one.range.start.0, NOON - 3600 * SECOND);
    let (_, end) = read(answer).await.unwrap();
    assert_eq!(end.rows, 6);
    assert_eq!(end.coverage.sources()[0].cluster, "local");

    let bounded = "select body from logs where timestamp >= now() - interval '2 hours' and timestamp < now()";
    let answer = engine.query(request(bounded)).await.unwrap();
    let range = answer.reads[0].range;
    assert_eq!((range.start.0, range.end.0), (NOON - 7200 * SECOND, NOON));
    assert!(!answer.reads[0].is_assumed);

    let within =
        SqlRequest { from: Some(model::TimestampNs(NOON - 58 * SECOND)), ..request("select body from logs") };
    let (text, end) = ask(&engine, within).await.unwrap();
    assert_eq!(end.rows, 4, "{text}");
}

#[tokio::test]
async fn json_keeps_whole_numbers_that_a_double_cannot_hold() {
    let engine = fake().await;
    let statement = "select 9007199254740993 as big, 5 as small, 0.5 as half, 'NaN'::double as nan, null as nil, \
                     timestamp '2026-01-01T00:00:00.25' as at, attributes from logs order by timestamp limit 1";
    let request = SqlRequest { format: SqlFormat::JsonRows, ..request(statement) };
    let (text, _) = ask(&engine, request).await.unwrap();
    let row: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        row,
        serde_json::json!(["9007199254740993", 5, 0.5, "NaN", null, "2026-01-01T00:00:00.25Z", {"status": "200"}])
    );
}

#[tokio::test]
async fn an_arrow_stream_is_read_back_as_it_was() {
    let engine = fake().await;
    let request = SqlRequest { format: SqlFormat::Arrow, ..request("select * from logs") };
    let mut answer = engine.query(request).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = answer.pieces.next().await {
        bytes.extend(piece.unwrap());
    }
    let reader = arrow::ipc::reader::StreamReader::try_new(&bytes[..], None).unwrap();
    assert_eq!(reader.map(|b| b.unwrap().num_rows()).sum::<usize>(), 6);
}
