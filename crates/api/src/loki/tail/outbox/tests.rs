use base::Metrics;
use contract::SourceCoverage;
use model::{Signal, TimeRange};

use super::*;

fn outbox(budget: &MemoryBudget) -> (Outbox, Metrics) {
    let metrics = Metrics::default();
    (Outbox::new(budget, Dropped::new(&metrics)).unwrap(), metrics)
}

fn row(at_ns: i64, line: impl Into<String>) -> Row {
    let entry = Entry { ts_ns: at_ns, line: line.into(), ..Entry::default() };
    Row { labels: Labels::from_pairs([("app", if at_ns % 2 == 0 { "even" } else { "odd" })]), entry }
}

fn coverage() -> Coverage {
    Coverage::one(SourceCoverage::complete("local", Signal::LOGS, TimeRange::ALL))
}

async fn message(outbox: &Outbox) -> Message {
    match outbox.next().await {
        Next::Send(message) => message,
        Next::Ping => panic!("a ping was not asked for"),
    }
}

#[tokio::test]
async fn lines_go_out_in_messages_of_bounded_size_and_in_order() {
    let (outbox, _) = outbox(&MemoryBudget::unlimited());
    assert!(outbox.lines((0..1200).map(|i| row(i, format!("line {i}"))).collect()).is_empty());
    outbox.coverage(coverage());
    outbox.ping();
    assert_eq!(outbox.next().await, Next::Ping);
    let mut last = -1;
    for lines in [500, 500, 200] {
        let m = message(&outbox).await;
        let mut times: Vec<i64> = m.streams.iter().flat_map(|s| &s.entries).map(|e| e.ts_ns).collect();
        times.sort_unstable();
        assert_eq!((times.len(), times[0]), (lines, last + 1));
        last = times[lines - 1];
        // What is said of completeness is true once the last of the lines is there.
        assert_eq!(m.coverage.is_some(), lines == 200);
    }
}

#[tokio::test]
async fn what_a_slow_reader_does_not_take_is_dropped_named_and_counted() {
    let budget = MemoryBudget::new(1 << 30);
    let (outbox, metrics) = outbox(&budget);
    let large = |i: i64| row(i, "x".repeat(MAX_BYTES / 4));
    let refused = outbox.lines((0..5).map(large).collect());
    assert_eq!(refused.iter().map(|r| r.entry.ts_ns).collect::<Vec<_>>(), [3, 4]);
    outbox.drop_lines("slow_reader", refused);
    assert!(futures::poll!(Box::pin(outbox.room())).is_pending());
    assert!(budget.reserved() >= (MAX_BYTES / 4 * 3) as u64);
    let first = message(&outbox).await;
    let text = metrics.encode();
    assert_eq!(first.dropped.iter().map(|d| d.1).collect::<Vec<_>>(), [3, 4]);
    assert!(text.contains("tail_dropped_lines_total{reason=\"slow_reader\"} 2"), "{text}");
    for _ in 1..3 {
        assert!(message(&outbox).await.dropped.is_empty(), "each is named once");
    }
    outbox.room().await;
    assert_eq!(budget.reserved(), 0);
    outbox.drop_lines("slow_reader", (0..2000).map(|i| row(i, "x")));
    assert_eq!(message(&outbox).await.dropped.len(), NAMED);
}

#[tokio::test]
async fn without_memory_lines_are_dropped_and_one_that_is_too_large_for_a_message_is_sent_by_itself() {
    let (outbox, metrics) = outbox(&MemoryBudget::new(1 << 20));
    let lines = [row(1, "a"), row(2, "x".repeat(2 << 20)), row(3, "b")];
    assert!(outbox.lines(lines.into()).is_empty());
    let first = message(&outbox).await;
    assert_eq!((first.streams.len(), first.dropped.len()), (1, 1));
    assert_eq!(message(&outbox).await.streams[0].entries[0].line, "b");
    assert!(metrics.encode().contains("tail_dropped_lines_total{reason=\"memory\"} 1"));
    let (outbox, _) = self::outbox(&MemoryBudget::unlimited());
    assert!(outbox.lines([row(2, "x".repeat(2 * MAX_BYTES))].into()).is_empty());
    assert_eq!(message(&outbox).await.streams.len(), 1);
}

#[tokio::test]
async fn only_the_latest_of_several_coverages_is_told_and_lines_left_out_are_named() {
    let (outbox, _) = outbox(&MemoryBudget::unlimited());
    outbox.coverage(Coverage::default());
    outbox.coverage(coverage());
    outbox.drop_named("left_out", [(Labels::from_pairs([("cluster", "west")]), 7)]);
    let m = message(&outbox).await;
    assert_eq!((m.coverage, m.dropped.len(), m.streams.len()), (Some(coverage()), 1, 0));
    assert!(futures::poll!(Box::pin(outbox.next())).is_pending());
}
