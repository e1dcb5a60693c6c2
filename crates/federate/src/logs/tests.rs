use contract::{CoverageState, LineFilter, Select, fake::Fake};
use model::{Batch, Labels, Matcher};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{Act, Script, append, fakes, federation, refused, run, scope};

fn batch(records: impl Iterator<Item = (usize, i64)>) -> Option<Batch> {
    let streams = ["a", "b", "c"]
        .map(|v| LogStream { labels: Labels::from_pairs([("service_name", v)]), ..LogStream::default() });
    let record = |(stream, at): (usize, i64)| LogRecord {
        stream: (stream % 3) as u32,
        timestamp_ns: at,
        body: format!("line {at}").into(),
        ..LogRecord::default()
    };
    let records: Vec<_> = records.map(record).collect();
    (!records.is_empty()).then(|| Batch::Logs(LogBatch { streams: streams.to_vec(), records }))
}

fn request(direction: Direction, limit: Option<usize>) -> LogsRequest {
    LogsRequest {
        scope: scope(TimeRange::ALL),
        matchers: Vec::new(),
        line_filters: Vec::new(),
        direction,
        limit,
        fields: Vec::new(),
        passing: None,
    }
}

async fn lines(of: &impl Select, r: LogsRequest) -> Vec<(i64, Labels, String)> {
    let (pieces, _) = of.logs(r).await.unwrap().collect().await.unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        for r in &piece.records {
            let labels = piece.streams[r.stream as usize].labels.clone();
            out.push((r.timestamp_ns, labels, r.body.to_string()));
        }
    }
    out
}

fn piece(times: &[i64]) -> Act<LogBatch> {
    match batch(times.iter().map(|t| (0, *t))) {
        Some(Batch::Logs(b)) => Act::Item(b),
        _ => Act::Item(LogBatch::default()),
    }
}

proptest! {
    #[test]
    fn records_dealt_over_members_are_what_one_member_with_all_of_them_answers(
        dealt in prop::collection::btree_map(0i64..500, (0usize..5, 0usize..3), 0..80),
        n in 1usize..6,
        limit in prop::option::of(0usize..90),
    ) {
        run(async {
            let (members, federation, whole) = fakes(n);
            for (i, m) in members.iter().enumerate() {
                let mine = dealt.iter().filter(|(_, (to, _))| to % n == i).map(|(at, (_, s))| (*s, *at));
                append(m, batch(mine)).await;
            }
            append(&whole, batch(dealt.iter().map(|(at, (_, s))| (*s, *at)))).await;
            for direction in [Direction::NewestFirst, Direction::OldestFirst] {
                let mut r = request(direction, limit);
                prop_assert_eq!(lines(&federation, r.clone()).await, lines(&whole, r.clone()).await);
                r.matchers = vec![Matcher::equal("service_name", "b")];
                r.line_filters = vec![LineFilter::Contains("1".into())];
                r.scope.range = TimeRange::new(TimestampNs(50), TimestampNs(300));
                prop_assert_eq!(lines(&federation, r.clone()).await, lines(&whole, r).await);
            }
            Ok(())
        })?;
    }
}

#[test]
fn of_records_at_one_time_those_of_the_earlier_member_come_first_and_all_come() {
    run(async {
        let (members, federation, _) = fakes(3);
        for (i, m) in members.iter().enumerate() {
            append(m, batch([(i, 5), (i, 5), (i, 6)].into_iter())).await;
        }
        let found = lines(&federation, request(Direction::OldestFirst, None)).await;
        let streams: String = found.iter().map(|(_, l, _)| l.value("service_name").to_owned()).collect();
        assert_eq!(streams, "aabbccabc");
    });
}

#[test]
fn what_came_before_a_member_broke_off_is_covered_and_no_more() {
    run(async {
        let whole = Script { logs: vec![piece(&[95, 45])], ..Script::default() };
        let broken =
            Script { logs: vec![piece(&[90, 80]), piece(&[70]), Act::Fail(refused())], ..Script::default() };
        let f = federation([Arc::new(whole) as Arc<dyn Select>, Arc::new(broken)]);
        let mut r = request(Direction::NewestFirst, None);
        r.scope.range = TimeRange::new(TimestampNs(0), TimestampNs(100));
        let (pieces, coverage) = f.logs(r).await.unwrap().collect().await.unwrap();
        let times: Vec<i64> = pieces.iter().flat_map(|p| p.records.iter().map(|r| r.timestamp_ns)).collect();
        assert_eq!(times, [95, 90, 80, 70, 45]);
        let source = &coverage.sources()[1];
        assert_eq!((source.state, source.reason.as_str()), (CoverageState::Partial, "connection refused"));
        assert_eq!(source.covered, [TimeRange::new(TimestampNs(71), TimestampNs(100))]);
    });
}

#[test]
fn no_more_is_read_of_a_member_than_the_limit_needs() {
    run(async {
        let endless = Script { logs: vec![piece(&[9, 8]), Act::Hang], ..Script::default() };
        let f = federation([Arc::new(endless) as Arc<dyn Select>, Arc::new(Fake::new())]);
        let r = request(Direction::NewestFirst, Some(2));
        let (pieces, coverage) = f.logs(r).await.unwrap().collect().await.unwrap();
        assert_eq!(pieces[0].records.len(), 2);
        assert!(coverage.is_complete(), "{coverage:?}");
    });
}

#[test]
fn a_member_that_was_not_whole_from_the_beginning_is_not_when_the_limit_is_reached() {
    run(async {
        let script = Script { logs: vec![piece(&[9, 8]), Act::Hang], partial: true, ..Script::default() };
        let f = federation([Arc::new(script) as Arc<dyn Select>, Arc::new(Fake::new())]);
        let r = request(Direction::NewestFirst, Some(2));
        let (_, coverage) = f.logs(r).await.unwrap().collect().await.unwrap();
        let source = &coverage.sources()[0];
        assert_eq!(
            (source.state, source.reason.as_str()),
            (CoverageState::Partial, "a segment is unreadable")
        );
    });
}

#[test]
fn records_out_of_order_make_their_member_partial_and_are_not_used() {
    run(async {
        for (bad, reason) in [
            (piece(&[3, 4]), "sent log records out of order: 4 after 3"),
            (
                Act::Item(LogBatch { records: vec![LogRecord::default()], ..LogBatch::default() }),
                "stream 0 of 0",
            ),
        ] {
            let script = Script { logs: vec![piece(&[7, 5]), bad, piece(&[1])], ..Script::default() };
            let f = federation([Arc::new(script) as Arc<dyn Select>, Arc::new(Fake::new())]);
            let r = request(Direction::NewestFirst, None);
            let (pieces, coverage) = f.logs(r).await.unwrap().collect().await.unwrap();
            let times: Vec<i64> =
                pieces.iter().flat_map(|p| p.records.iter().map(|r| r.timestamp_ns)).collect();
            assert_eq!(times, [7, 5]);
            let source = &coverage.sources()[0];
            assert!(source.state == CoverageState::Partial && source.reason.contains(reason), "{source:?}");
            assert!(source.covered.is_empty());
        }
    });
}

#[test]
fn bytes_count_over_all_members_together() {
    run(async {
        let (members, federation, _) = fakes(2);
        for m in &members {
            append(m, batch([(0, 5)].into_iter())).await;
        }
        let mut r = request(Direction::NewestFirst, None);
        r.scope.limits.max_bytes = 800;
        let e = federation.logs(r.clone()).await.unwrap().collect().await.unwrap_err();
        assert_eq!(e.limit, Some("query.max_bytes"), "{e}");
        r.scope.limits.max_bytes = 3000;
        assert!(federation.logs(r).await.unwrap().collect().await.is_ok());
    });
}
