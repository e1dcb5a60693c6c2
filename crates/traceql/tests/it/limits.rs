//! Limits, progress, exemplars, and who is asked for what.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use async_trait::async_trait;
use base::{Kind, memory::MemoryBudget};
use contract::{
    Capabilities, Coverage, LabelNamesRequest, LabelValuesRequest, LogsRequest, MetadataRequest, QueryLimits,
    Result, Select, Selection, SeriesData, SeriesRequest, SpansRequest, fake::Fake,
};
use model::{Labels, LogBatch, MetricMetadata, SpanBatch};
use traceql::{MetricsRequest, SearchRequest, metrics_range, parse, search};

use crate::{
    dealt::append,
    notation::{Line, read},
    script::{id, scope, tenant},
};

const S: i64 = 1_000_000_000;

/// Passes everything on and remembers what was asked for.
struct Spy {
    fake: Fake,
    asked: Mutex<Vec<SpansRequest>>,
}

#[async_trait]
impl Select for Spy {
    async fn spans(&self, r: SpansRequest) -> Result<Selection<SpanBatch>> {
        self.asked.lock().unwrap().push(r.clone());
        self.fake.spans(r).await
    }

    async fn series(&self, r: SeriesRequest) -> Result<Selection<SeriesData>> {
        self.fake.series(r).await
    }

    async fn logs(&self, r: LogsRequest) -> Result<Selection<LogBatch>> {
        self.fake.logs(r).await
    }

    async fn label_names(&self, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
        self.fake.label_names(r).await
    }

    async fn label_values(&self, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
        self.fake.label_values(r).await
    }

    async fn label_sets(&self, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
        self.fake.label_sets(r).await
    }

    async fn metadata(&self, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
        self.fake.metadata(r).await
    }

    fn capabilities(&self) -> Capabilities {
        self.fake.capabilities()
    }
}

async fn spy(script: &str) -> Arc<Spy> {
    let fake = Fake::new();
    for line in read(script) {
        let Line::Load(batch) = line else { panic!("only spans are loaded here") };
        append(&fake, &tenant(), batch).await;
    }
    Arc::new(Spy { fake, asked: Mutex::default() })
}

/// `n` traces of two spans, a second apart.
fn many(n: i64) -> String {
    let one = |i: i64| {
        let odd = i % 2;
        format!(
            "load {:x}\n  a - {i}s 1s service=s name=r span.odd={odd}\n  b a {i}s 10ms service=t name=c\n",
            i + 1
        )
    };
    (0..n).map(one).collect()
}

fn request(limits: QueryLimits, limit: usize) -> SearchRequest {
    let mut scope = scope(0, 1000 * S);
    scope.limits = limits;
    SearchRequest { scope, limit, spans_per_spanset: 1 }
}

#[tokio::test]
async fn the_newest_traces_are_found_and_told_of_on_the_way() {
    let spy = spy(&many(300)).await;
    let select: Arc<dyn Select> = spy.clone();
    let mut told = Vec::new();
    let query = parse("{ span.odd = 1 } >> { name = `c` }").unwrap();
    let answer = search(&select, &query, request(QueryLimits::default(), 3), |p| {
        told.extend(p.traces.iter().map(|t| id(&t.trace_id)));
    })
    .await
    .unwrap();
    let found: Vec<String> = answer.traces.iter().map(|t| id(&t.trace_id)).collect();
    // 299, 297 and 295 are odd; ids count from 1.
    assert_eq!(found, ["12c", "12a", "128"]);
    assert!(found.iter().all(|f| told.contains(f)), "{told:?}");
    assert!(answer.inspected.traces < 100, "{:?}", answer.inspected);
    assert!(answer.coverage.is_complete() && !answer.coverage.sources().is_empty());
    assert_eq!(answer.traces[0].spansets[0].spans.len(), 1);
}

#[tokio::test]
async fn traces_far_behind_the_first_candidates_are_found() {
    let mut script = many(300);
    script += "load fff\n  a - 1s 1s service=s name=r\n  c a 1s 1ms service=s name=c span.here=true\n";
    let spy = spy(&script).await;
    let select: Arc<dyn Select> = spy.clone();
    // What only a trace says excludes no candidate.
    let query = parse("{ span:childCount = 0 && nestedSetLeft = 2 && parent.odd = nil }").unwrap();
    let answer = search(&select, &query, request(QueryLimits::default(), 1), |_| ()).await.unwrap();
    assert_eq!(answer.traces.iter().map(|t| id(&t.trace_id)).collect::<Vec<_>>(), ["fff"]);
    assert!(answer.inspected.traces > 290);
}

#[tokio::test]
async fn who_holds_spans_is_asked_for_those_that_can_be_found_and_for_what_is_used_of_them() {
    let spy = spy(&many(5)).await;
    let select: Arc<dyn Select> = spy.clone();
    let query = parse("{ span.odd = 1 && duration > 2 * 100ms } | select(event.x)").unwrap();
    search(&select, &query, request(QueryLimits::default(), 3), |_| ()).await.unwrap();
    let asked = spy.asked.lock().unwrap().clone();
    let first = format!("{:?}", asked[0].any_of);
    assert!(
        first.contains("\"odd\"") && first.contains("Duration") && first.contains("200000000"),
        "{first}"
    );
    assert_eq!(asked[0].any_of.len(), 1);
    assert_eq!(
        asked[0].wanted.attributes.as_ref().map(|a| a.iter().cloned().collect()),
        Some(vec!["odd".to_owned()])
    );
    assert!(asked[0].wanted.events && !asked[0].wanted.links);
    assert!(asked[1].trace_ids.len() == 2 && asked[1].any_of.is_empty());
    let query = parse("{ trace:id = `2` } | rate()").unwrap();
    metrics_range(&select, &query, MetricsRequest { scope: scope(0, 10 * S), step_ns: S, exemplars: 0 })
        .await
        .unwrap();
    let asked = spy.asked.lock().unwrap().clone();
    assert_eq!(asked.last().unwrap().trace_ids, [2u128.to_be_bytes()]);
}

#[tokio::test]
async fn limits_end_a_query_with_their_name() {
    let spy = spy(&many(50)).await;
    let select: Arc<dyn Select> = spy.clone();
    let few = |f: fn(&mut QueryLimits)| {
        let mut limits = QueryLimits::default();
        f(&mut limits);
        limits
    };
    for (limits, kind, words) in [
        (few(|l| l.max_bytes = 1000), Kind::Limited, "query.max_bytes"),
        (few(|l| l.memory = MemoryBudget::new(100)), Kind::Unavailable, "memory.limit"),
        (few(|l| l.deadline = Some(Instant::now())), Kind::Timeout, "did not finish"),
    ] {
        for query in ["{}", "{} >> {}"] {
            let query = parse(query).unwrap();
            let e = search(&select, &query, request(limits.clone(), 5), |_| ()).await.unwrap_err();
            assert_eq!(e.kind(), kind, "{e}");
            assert!(e.to_string().contains(words), "{e}");
        }
    }
    let mut scope = scope(0, 50 * S);
    scope.limits.max_series = 10;
    let query = parse("{} | rate() by(trace:id)").unwrap();
    let e =
        metrics_range(&select, &query, MetricsRequest { scope, step_ns: S, exemplars: 0 }).await.unwrap_err();
    assert!(e.to_string().contains("query.max_series"), "{e}");
}

#[tokio::test]
async fn a_search_is_no_metrics_query_and_the_other_way_round() {
    let spy = spy(&many(1)).await;
    let select: Arc<dyn Select> = spy.clone();
    let (spans, rate) = (parse("{}").unwrap(), parse("{} | rate()").unwrap());
    assert!(!spans.is_metrics() && rate.is_metrics());
    assert_eq!(
        search(&select, &rate, request(QueryLimits::default(), 5), |_| ()).await.unwrap_err().kind(),
        Kind::Invalid
    );
    let range = MetricsRequest { scope: scope(0, S), step_ns: S, exemplars: 0 };
    assert_eq!(metrics_range(&select, &spans, range).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn exemplars_are_few_spread_over_time_and_carry_their_trace() {
    let spy = spy(&many(200)).await;
    let select: Arc<dyn Select> = spy.clone();
    for (query, rate) in
        [("{ name = `r` } | rate()", true), ("{ name = `r` } | max_over_time(duration)", false)]
    {
        let query = parse(query).unwrap();
        let request = MetricsRequest { scope: scope(0, 199 * S), step_ns: 10 * S, exemplars: 10 };
        let answer = metrics_range(&select, &query, request).await.unwrap();
        let exemplars = &answer.series[0].exemplars;
        assert_eq!(exemplars.len(), 10);
        assert!(exemplars.windows(2).all(|w| w[0].timestamp_ms <= w[1].timestamp_ms));
        assert!(exemplars.last().unwrap().timestamp_ms - exemplars[0].timestamp_ms > 100_000);
        for e in exemplars {
            assert_eq!(e.labels[0].0, "trace:id");
            assert_eq!(e.labels[0].1.to_string().len(), 32);
            // Of a rate it stands where the sample does: ten spans in ten seconds, fewer at either end.
            assert!(e.value == 1.0 || rate && [0.1, 0.9].contains(&e.value), "{e:?}");
        }
    }
    let query = parse("{} | rate() with(exemplars=false)").unwrap();
    let request = MetricsRequest { scope: scope(0, 199 * S), step_ns: 10 * S, exemplars: 10 };
    assert!(metrics_range(&select, &query, request).await.unwrap().series[0].exemplars.is_empty());
}
