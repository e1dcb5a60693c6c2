use contract::{CoverageState, Select, SpanFilter, fake::Fake};
use model::{Attributes, Batch, TimeRange, TimestampNs, attributes::Resource};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{Act, Script, append, fakes, federation, run, scope};

fn batch(spans: impl Iterator<Item = (u8, i64)>) -> Option<Batch> {
    let origin = |v: &str| SpanOrigin {
        resource: Resource {
            attributes: Attributes::from_iter([("service.name", v)]),
            ..Resource::default()
        },
        ..SpanOrigin::default()
    };
    let span = |(trace, at): (u8, i64)| Span {
        origin: (at % 2) as u32,
        trace_id: [trace + 1; 16],
        span_id: at.to_be_bytes(),
        name: format!("op {}", at % 3),
        start_ns: at,
        end_ns: at + 10,
        ..Span::default()
    };
    let spans: Vec<_> = spans.map(span).collect();
    (!spans.is_empty()).then(|| Batch::Spans(SpanBatch { origins: vec![origin("web"), origin("db")], spans }))
}

fn request(max_traces: Option<usize>) -> SpansRequest {
    SpansRequest { max_traces, ..SpansRequest::new(scope(TimeRange::ALL)) }
}

async fn found(of: &impl Select, r: SpansRequest) -> Vec<(i64, String, String)> {
    let (pieces, _) = of.spans(r).await.unwrap().collect().await.unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        for s in &piece.spans {
            let service = piece.origins[s.origin as usize].service_name().to_owned();
            out.push((s.start_ns, service, format!("{:?} {:?} {}", s.trace_id, s.span_id, s.name)));
        }
    }
    out
}

fn piece(spans: &[(u8, i64)]) -> SpanBatch {
    match batch(spans.iter().copied()) {
        Some(Batch::Spans(b)) => b,
        _ => SpanBatch::default(),
    }
}

proptest! {
    #[test]
    fn spans_dealt_over_members_are_what_one_member_with_all_of_them_answers(
        // Each span to one member or to several.
        dealt in prop::collection::btree_map(0i64..400, (1u8..32, 0u8..9), 0..60),
        n in 1usize..6,
        max_traces in prop::option::of(0usize..8),
    ) {
        run(async {
            let (members, federation, whole) = fakes(n);
            for (i, m) in members.iter().enumerate() {
                let has = |to: u8| to & (1 << i) != 0 || (i == 0 && u32::from(to).trailing_zeros() as usize >= n);
                let mine = dealt.iter().filter(|(_, (to, _))| has(*to)).map(|(at, (_, trace))| (*trace, *at));
                append(m, batch(mine)).await;
            }
            append(&whole, batch(dealt.iter().map(|(at, (_, trace))| (*trace, *at)))).await;
            let mut r = request(max_traces);
            prop_assert_eq!(found(&federation, r.clone()).await, found(&whole, r.clone()).await);
            r.filters = vec![SpanFilter::Service("db".into()), SpanFilter::MinDurationNs(5)];
            r.scope.range = TimeRange::new(TimestampNs(30), TimestampNs(350));
            prop_assert_eq!(found(&federation, r.clone()).await, found(&whole, r.clone()).await);
            r.trace_ids = vec![[2; 16], [4; 16], [200; 16]];
            prop_assert_eq!(found(&federation, r.clone()).await, found(&whole, r).await);
            Ok(())
        })?;
    }
}

#[test]
fn older_spans_of_a_chosen_trace_are_fetched_from_members_that_were_cut_off() {
    run(async {
        let (members, federation, _) = fakes(2);
        append(&members[0], batch([(1, 100), (2, 90)].into_iter())).await;
        // Trace 1 is not among the newest two here.
        append(&members[1], batch([(3, 80), (4, 70), (1, 10)].into_iter())).await;
        let starts: Vec<i64> = found(&federation, request(Some(2))).await.iter().map(|s| s.0).collect();
        assert_eq!(starts, [100, 90, 10]);
    });
}

#[test]
fn both_halves_of_a_call_that_share_an_id_are_shown() {
    run(async {
        let (members, federation, _) = fakes(2);
        for (m, kind) in members.iter().zip([SpanKind::Client, SpanKind::Server]) {
            let Some(Batch::Spans(mut b)) = batch([(1, 100)].into_iter()) else { return };
            b.spans[0].kind = kind;
            append(m, Batch::Spans(b)).await;
        }
        assert_eq!(found(&federation, request(None)).await.len(), 2);
        assert_eq!(found(&federation, request(Some(5))).await.len(), 2);
    });
}

#[test]
fn a_piece_that_is_newer_than_the_one_before_makes_its_member_partial() {
    run(async {
        for max_traces in [None, Some(10)] {
            let acts = [&[(1, 50), (1, 60)][..], &[(2, 40)], &[(3, 45)], &[(4, 1)]];
            let acts = acts.map(|p| Act::Item(piece(p))).to_vec();
            let script = Script { spans: acts, ..Script::default() };
            let f = federation([Arc::new(script) as Arc<dyn Select>, Arc::new(Fake::new())]);
            let (pieces, coverage) = f.spans(request(max_traces)).await.unwrap().collect().await.unwrap();
            let starts: Vec<i64> = pieces.iter().flat_map(|p| p.spans.iter().map(|s| s.start_ns)).collect();
            assert_eq!(starts, [60, 50, 40]);
            let source = &coverage.sources()[0];
            assert_eq!(source.state, CoverageState::Partial);
            assert!(source.reason.contains("sent spans out of order: 45 in a piece after 40"), "{source:?}");
        }
    });
}
