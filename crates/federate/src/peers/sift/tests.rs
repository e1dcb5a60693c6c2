use contract::{Comparison, SpanCondition, SpanField, SpanScope, SpanTest, SpanValue, fake::Fake};
use model::{Attributes, Batch, Span, TimeRange, span::SpanOrigin};

use super::*;
use crate::fixtures::{append, scope};

/// Thirty traces of four spans; every third has one that is wanted.
fn batch() -> SpanBatch {
    let span = |i: i64| Span {
        trace_id: [(i / 4) as u8 + 1; 16],
        span_id: (i as u64 + 1).to_be_bytes(),
        start_ns: 1000 + i * 10,
        attributes: Attributes::from_iter([("n", if i % 12 == 5 { 1i64 } else { 0 })]),
        ..Span::default()
    };
    SpanBatch { origins: vec![SpanOrigin::default()], spans: (0..120).map(span).collect() }
}

async fn ids(found: Selection<SpanBatch>) -> Vec<(i64, [u8; 16])> {
    let (pieces, _) = found.collect().await.unwrap();
    pieces.iter().flat_map(|b| &b.spans).map(|s| (s.start_ns, s.trace_id)).collect()
}

#[tokio::test]
async fn one_that_ignores_conditions_answers_as_one_that_applies_them() {
    let fake = Arc::new(Fake::new());
    append(&fake, Batch::Spans(batch())).await;
    let select: Arc<dyn Select> = fake;
    let field = SpanField::Attribute(SpanScope::Any, "n".to_owned());
    let wanted = SpanCondition::new(field, SpanTest::Is(Comparison::Equal, SpanValue::Int(1)));
    for max_traces in [None, Some(1), Some(4), Some(100)] {
        let any_of = vec![vec![wanted.clone()]];
        let r = SpansRequest { any_of, max_traces, ..SpansRequest::new(scope(TimeRange::ALL)) };
        let want = ids(select.spans(r.clone()).await.unwrap()).await;
        assert_eq!(want.len(), max_traces.unwrap_or(10).min(10));
        assert_eq!(ids(spans(&select, r).await.unwrap()).await, want);
    }
}
