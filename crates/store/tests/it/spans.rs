//! Traces: large ones, late spans, searches that read little.

use base::MemoryBudget;
use contract::{
    Append, Comparison, Scope, Select, SpanCondition, SpanField, SpanParts, SpanScope, SpanTest, SpanValue,
    SpansRequest, Tenants,
};
use futures::StreamExt;
use model::{Attributes, Batch, Span, SpanBatch, TenantId, TimeRange, span::SpanOrigin};
use testkit::conformance::{self as suite, NOW_NS};

use crate::rig::Rig;

const HOUR: i64 = 3_600_000_000_000;

fn trace(n: u64) -> [u8; 16] {
    (u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1).to_be_bytes()
}

/// Spans of one trace, a microsecond apart.
fn spans(of: u64, from: u64, count: u64, start_ns: i64) -> Vec<Span> {
    let one = |i: u64| Span {
        trace_id: trace(of),
        span_id: (i + 1).to_be_bytes(),
        name: format!("op {}", i % 7),
        start_ns: start_ns + i as i64 * 1000,
        end_ns: start_ns + i as i64 * 1000 + 5000,
        attributes: Attributes::from_iter([("n", i as i64)]),
        ..Span::default()
    };
    (from..from + count).map(one).collect()
}

async fn append(rig: &Rig, spans: Vec<Span>) {
    let batch = SpanBatch { origins: vec![SpanOrigin::default()], spans };
    let receipt = rig.store().append(&TenantId::default(), suite::unit(vec![Batch::Spans(batch)])).await;
    assert!(receipt.unwrap().refused.is_empty());
}

fn all() -> SpansRequest {
    SpansRequest::new(Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL))
}

/// The lengths of the pieces, and the span ids in their order. No piece has a span newer than one before it.
async fn read(rig: &Rig, r: SpansRequest) -> (Vec<usize>, Vec<u64>) {
    let mut found = rig.store().spans(r).await.unwrap();
    let (mut pieces, mut ids, mut oldest) = (Vec::new(), Vec::new(), i64::MAX);
    while let Some(piece) = found.items.next().await {
        let piece = piece.unwrap();
        let starts = || piece.spans.iter().map(|s| s.start_ns);
        assert!(starts().max().unwrap() <= oldest);
        oldest = starts().min().unwrap();
        pieces.push(piece.spans.len());
        ids.extend(piece.spans.iter().map(|s| u64::from_be_bytes(s.span_id)));
    }
    assert!(found.coverage().is_complete());
    (pieces, ids)
}

#[tokio::test]
async fn a_trace_of_many_spans_comes_in_pieces_out_of_heads_and_segments() {
    let rig = Rig::new().await;
    for part in 0..5 {
        append(&rig, spans(1, part * 8000, 8000, NOW_NS - HOUR)).await;
        append(&rig, spans(2 + part, 0, 10, NOW_NS - HOUR)).await;
        if part < 4 {
            rig.store().flush_all().await.unwrap();
        }
    }
    let by_id = || SpansRequest { trace_ids: vec![trace(1)], ..all() };
    let newest_first: Vec<u64> = (1..=40_000).rev().collect();
    for _ in 0..2 {
        let (pieces, ids) = read(&rig, by_id()).await;
        assert_eq!(ids, newest_first);
        assert!(pieces.len() >= 4 && pieces.iter().all(|p| *p <= 8192), "{pieces:?}");
        let (_, ids) = read(&rig, SpansRequest { max_traces: Some(1), ..all() }).await;
        assert_eq!(ids, newest_first, "the newest trace, whole");
        rig.store().flush_all().await.unwrap();
        rig.store().maintain().await.unwrap();
    }
    let field = SpanField::Attribute(SpanScope::Span, "n".to_owned());
    let last = SpanCondition::new(field, SpanTest::Is(Comparison::GreaterOrEqual, SpanValue::Int(39_998)));
    let some = SpansRequest { any_of: vec![vec![last]], wanted: SpanParts::least(), ..by_id() };
    assert_eq!(read(&rig, some).await.1, [40_000, 39_999]);
}

#[tokio::test]
async fn reading_a_large_trace_takes_the_memory_of_a_piece() {
    let rig = Rig::with(|r| r.budget = MemoryBudget::new(256 << 20)).await;
    for part in 0..5 {
        append(&rig, spans(1, part * 8000, 8000, NOW_NS - HOUR)).await;
        rig.store().flush_all().await.unwrap();
    }
    let mut r = SpansRequest { trace_ids: vec![trace(1)], ..all() };
    let whole: usize = spans(1, 0, 40_000, 0).iter().map(Span::heap_bytes).sum();
    r.scope.limits.memory = MemoryBudget::new(whole as u64 / 3);
    assert_eq!(read(&rig, r).await.1.len(), 40_000);
}

#[tokio::test]
async fn spans_that_arrive_later_join_their_trace() {
    let rig = Rig::new().await;
    append(&rig, spans(1, 0, 3, NOW_NS - 3 * HOUR)).await;
    append(&rig, spans(2, 0, 3, NOW_NS - 3 * HOUR)).await;
    rig.store().flush_all().await.unwrap();
    append(&rig, spans(1, 100, 2, NOW_NS - 2 * HOUR)).await;
    let want = [102, 101, 3, 2, 1];
    let by_id = || SpansRequest { trace_ids: vec![trace(1)], ..all() };
    assert_eq!(read(&rig, by_id()).await.1, want, "one half in memory");
    for at in 3..9 {
        rig.store().flush_all().await.unwrap();
        append(&rig, spans(at, 0, 3, NOW_NS - 3 * HOUR)).await;
    }
    rig.store().flush_all().await.unwrap();
    assert_eq!(read(&rig, by_id()).await.1, want);
    rig.store().maintain().await.unwrap();
    assert_eq!(read(&rig, by_id()).await.1, want, "after merging");
}

#[tokio::test]
async fn a_search_for_a_few_traces_does_not_read_them_all() {
    let rig = Rig::new().await;
    for n in 0..3000 {
        append(&rig, spans(n, 0, 10, NOW_NS - HOUR + n as i64 * 1_000_000)).await;
    }
    rig.store().flush_all().await.unwrap();
    let mut r = SpansRequest { max_traces: Some(5), ..all() };
    // A quarter of what all spans are in memory.
    let whole: usize = spans(0, 0, 10, 0).iter().map(Span::heap_bytes).sum::<usize>() * 3000;
    r.scope.limits.max_bytes = whole as u64 / 4;
    let (_, ids) = read(&rig, r).await;
    assert_eq!(ids.len(), 50);
}
