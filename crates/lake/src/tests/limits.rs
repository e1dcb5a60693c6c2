//! What bounds an answer, and that nothing is read in vain.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Instant,
};

use async_trait::async_trait;
use contract::{
    Capabilities, Coverage, CoverageState, LabelNamesRequest, LabelValuesRequest, LogsRequest,
    MetadataRequest, Selection, SeriesData, SeriesRequest, SourceCoverage, SpansRequest,
};
use futures::stream;
use model::{MetricMetadata, Signal};
use parking_lot::Mutex;

use super::*;

/// Lines without end, one piece at a time, from a source that says what it covers when it has ended only.
#[derive(Default)]
struct Endless {
    pieces: Arc<AtomicUsize>,
    asked: Mutex<Vec<LogsRequest>>,
    named: AtomicUsize,
}

fn late_coverage() -> Coverage {
    Coverage::one(SourceCoverage {
        state: CoverageState::Missing,
        ..SourceCoverage::complete("prod-01", Signal::LOGS, model::TimeRange::ALL)
    })
}

#[async_trait]
impl Select for Endless {
    async fn series(&self, _: SeriesRequest) -> contract::Result<Selection<SeriesData>> {
        Err(contract::Error::unavailable("not here"))
    }

    async fn logs(&self, r: LogsRequest) -> contract::Result<Selection<LogBatch>> {
        let most = r.limit;
        self.asked.lock().push(r.clone());
        let (range, pieces) = (r.scope.range, self.pieces.clone());
        let items = stream::unfold(0usize, move |n| {
            let pieces = pieces.clone();
            async move {
                if most.is_some_and(|m| n * 100 >= m) {
                    return None;
                }
                pieces.fetch_add(1, Relaxed);
                let records = (0..100).map(|i| LogRecord {
                    timestamp_ns: range.end.0 - 1 - (n * 100 + i) as i64,
                    body: format!("line {n} {i}").into(),
                    ..LogRecord::default()
                });
                let batch = LogBatch { streams: vec![LogStream::default()], records: records.collect() };
                Some((Ok(batch), n + 1))
            }
        });
        Ok(Selection::new(items.boxed(), Arc::default()))
    }

    async fn spans(&self, _: SpansRequest) -> contract::Result<Selection<SpanBatch>> {
        panic!("a source that panics")
    }

    async fn label_names(&self, _: LabelNamesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        self.named.fetch_add(1, Relaxed);
        Ok((Vec::new(), late_coverage()))
    }

    async fn label_values(&self, _: LabelValuesRequest) -> contract::Result<(Vec<String>, Coverage)> {
        Ok(Default::default())
    }

    async fn label_sets(&self, _: LabelNamesRequest) -> contract::Result<(Vec<Labels>, Coverage)> {
        Ok(Default::default())
    }

    async fn metadata(&self, _: MetadataRequest) -> contract::Result<(Vec<MetricMetadata>, Coverage)> {
        Ok(Default::default())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

#[tokio::test]
async fn the_newest_lines_are_had_without_reading_the_rest() {
    let source = Arc::new(Endless::default());
    let engine = engine_over(source.clone());
    for statement in [
        "select body from logs limit 5",
        "select body from logs order by timestamp desc limit 5",
        "select body from logs where body like '%9' order by timestamp desc limit 5",
        "select timestamp, body from logs where labels['a'] is null order by timestamp desc limit 5",
    ] {
        source.pieces.store(0, Relaxed);
        let (_, end) = ask(&engine, request(statement)).await.unwrap();
        assert_eq!(end.rows, 5, "{statement}");
        // The engine wants whole batches of what it filters; it stops there.
        assert!(source.pieces.load(Relaxed) < 100, "{statement}: {}", source.pieces.load(Relaxed));
    }
    let limits: Vec<Option<usize>> = source.asked.lock().iter().map(|r| r.limit).collect();
    assert_eq!(limits[..2], [Some(5), Some(5)], "where nothing else filters, the source is told");
}

#[tokio::test]
async fn the_oldest_lines_are_asked_for_from_the_other_end() {
    let source = Arc::new(Endless::default());
    let engine = engine_over(source.clone());
    let statement =
        "select body from logs where timestamp > now() - interval '1 minute' order by timestamp limit 5";
    let _ = ask(&engine, request(statement)).await;
    assert_eq!(source.asked.lock()[0].direction, contract::Direction::OldestFirst);
    assert_eq!(source.asked.lock()[0].limit, Some(5));
}

#[tokio::test]
async fn who_was_given_up_before_saying_what_it_covers_is_asked_for_that() {
    let source = Arc::new(Endless::default());
    let engine = engine_over(source.clone());
    let (_, end) = ask(&engine, request("select body from logs where body like '%9' limit 1")).await.unwrap();
    assert_eq!(source.named.load(Relaxed), 1);
    assert_eq!(end.coverage, late_coverage());
}

#[tokio::test]
async fn rows_beyond_the_limit_are_left_out_and_beyond_the_nodes_limit_refused() {
    let engine = engine_over(Arc::new(Endless::default()));
    let cut = SqlRequest { limit: Some(7), ..request("select body from logs") };
    let (text, end) = ask(&engine, cut).await.unwrap();
    assert_eq!((text.lines().count(), end.rows, end.is_cut), (8, 7, true));
    let exact = SqlRequest { limit: Some(6), ..request("select body from logs") };
    let (_, end) = ask(&fake().await, exact).await.unwrap();
    assert_eq!((end.rows, end.is_cut), (6, false));

    let limits = QueryLimits { max_rows: 1000, ..QueryLimits::default() };
    let much = SqlRequest { limits, ..request("select body from logs") };
    let e = ask(&engine, much).await.unwrap_err();
    assert_eq!((e.kind(), e.limit), (base::Kind::Limited, Some("query.max_rows")), "{e}");
}

#[tokio::test]
async fn a_deadline_ends_a_statement_and_names_itself() {
    let engine = engine_over(Arc::new(Endless::default()));
    let limits = QueryLimits { deadline: Some(Instant::now()), ..QueryLimits::default() };
    for statement in
        ["select count(*) from logs", "select count(*) from logs a, logs b where a.body <> b.body"]
    {
        let e = ask(&engine, SqlRequest { limits: limits.clone(), ..request(statement) }).await.unwrap_err();
        assert_eq!((e.kind(), e.limit), (base::Kind::Timeout, Some("query.timeout")), "{e}");
    }
}

#[tokio::test]
async fn what_would_take_too_much_memory_is_refused_and_gives_it_back() {
    let engine = engine_over(Arc::new(Endless::default()));
    let budget = small_budget();
    let limits = QueryLimits { memory: budget.clone(), ..QueryLimits::default() };
    for statement in [
        "select body, count(*) from logs group by body",
        "select body from logs order by body",
        "select array_agg(body) from logs",
        "select distinct body from logs",
    ] {
        let e = ask(&engine, SqlRequest { limits: limits.clone(), ..request(statement) }).await.unwrap_err();
        assert_eq!((e.kind(), e.limit), (base::Kind::Unavailable, Some("memory.limit")), "{statement}: {e}");
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(budget.reserved(), 0);
}

#[tokio::test]
async fn nothing_is_read_once_nobody_listens() {
    let source = Arc::new(Endless::default());
    let engine = engine_over(source.clone());
    let mut answer = engine.query(request("select body from logs")).await.unwrap();
    answer.pieces.next().await.unwrap().unwrap();
    drop(answer);
    tokio::task::yield_now().await;
    let then = source.pieces.load(Relaxed);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(source.pieces.load(Relaxed), then);
}

#[tokio::test]
async fn a_panic_ends_the_statement_and_not_the_node() {
    let engine = engine_over(Arc::new(Endless::default()));
    let e = ask(&engine, request("select name from spans")).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::Internal, "{e}");
    let e = ask(&engine, request("select value from metrics")).await.unwrap_err();
    assert_eq!((e.kind(), e.message.as_str()), (base::Kind::Unavailable, "not here"));
}
