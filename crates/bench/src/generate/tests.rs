use std::collections::BTreeSet;

use super::*;
use crate::Protocol;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn options(signal: Signal) -> WriteOptions {
    WriteOptions {
        signal,
        protocol: Protocol::OtlpHttp,
        targets: 4,
        concurrency: 2,
        ..WriteOptions::default()
    }
}

#[test]
fn the_same_seed_and_worker_generate_the_same_and_others_do_not() {
    for signal in [Signal::Metrics, Signal::Logs, Signal::Traces] {
        let o = options(signal);
        let of = |o: &WriteOptions, worker| {
            let mut g = Generator::new(o, worker);
            g.next(300, NOW_NS);
            g.next(300, NOW_NS + 1_000_000_000).batch
        };
        assert_eq!(of(&o, 0), of(&o, 0));
        assert_ne!(of(&o, 0), of(&o, 1), "{signal}");
        assert_ne!(of(&o, 0), of(&WriteOptions { seed: 2, ..o.clone() }, 0), "{signal}");
    }
}

#[test]
fn a_target_has_two_hundred_distinct_series_of_which_forty_percent_stand_still() {
    let mut g = Generator::new(&options(Signal::Metrics), 0);
    let Batch::Metrics(a) = g.next(400, NOW_NS).batch else { panic!() };
    let Batch::Metrics(b) = g.next(400, NOW_NS).batch else { panic!() };
    assert_eq!(a.series.len(), 400);
    assert_eq!(a.series.iter().collect::<BTreeSet<_>>().len(), 400);
    assert_eq!(a.series, b.series);
    let still = a.samples.value.iter().zip(&b.samples.value).filter(|(x, y)| x == y).count();
    assert!((160..=210).contains(&still), "{still} of 400");
    assert!(b.samples.timestamp_ms[0] > a.samples.timestamp_ms[0], "times of a target always ascend");
    let inf = a.series.iter().position(|l| l.value("le") == "+Inf").unwrap();
    let first = a.series.iter().position(|l| l.value("le") == "0.005").unwrap();
    assert!(b.samples.value[inf] >= b.samples.value[first], "buckets are cumulative");
}

#[test]
fn a_batch_larger_than_the_fleet_scrapes_targets_again_and_names_each_series_once() {
    let mut g = Generator::new(&options(Signal::Metrics), 0);
    let Batch::Metrics(m) = g.next(1000, NOW_NS).batch else { panic!() };
    assert_eq!((m.series.len(), m.samples.len()), (400, 1000));
    let seen: BTreeSet<_> = m.samples.series.iter().zip(&m.samples.timestamp_ms).collect();
    assert_eq!(seen.len(), 1000, "no series has two samples at one time");
}

#[test]
fn spans_lie_inside_their_parents_and_lines_name_only_streams_that_exist() {
    let Batch::Spans(s) = Generator::new(&options(Signal::Traces), 0).next(500, NOW_NS).batch else {
        panic!()
    };
    for span in s.spans.iter().filter(|s| s.parent_span_id != [0; 8]) {
        let parent =
            s.spans.iter().find(|p| p.trace_id == span.trace_id && p.span_id == span.parent_span_id).unwrap();
        assert!(parent.start_ns <= span.start_ns && span.end_ns <= parent.end_ns);
    }
    let Batch::Logs(l) = Generator::new(&options(Signal::Logs), 1).next(500, NOW_NS).batch else { panic!() };
    assert!(l.records.iter().all(|r| (r.stream as usize) < l.streams.len()));
    let ids: BTreeSet<_> = l.records.iter().map(|r| r.timestamp_ns).collect();
    assert_eq!(ids.len(), 500);
}

#[test]
fn counted_items_are_numbered_without_gaps_and_their_times_never_meet() {
    for signal in [Signal::Metrics, Signal::Logs, Signal::Traces] {
        let mut g = Generator::counting(&options(signal), "r1", 3);
        let (a, b) = (g.next(10, NOW_NS), g.next(10, NOW_NS));
        assert_eq!((a.first, a.items, b.first), (0, 10, 10));
        assert!(signal == Signal::Traces || a.to_ns < b.from_ns);
    }
    let large = WriteOptions { item_bytes: 700, ..options(Signal::Logs) };
    let Batch::Logs(l) = Generator::counting(&large, "r1", 3).next(2, NOW_NS).batch else { panic!() };
    let lines: Vec<_> = l.records.iter().filter_map(|r| r.body.as_str()).collect();
    assert!(lines.iter().all(|l| l.len() == 700), "{lines:?}");
    assert_ne!(lines[0].get(60..), lines[1].get(60..));
    assert_ne!(trace_id("r1", 0, 0), trace_id("r1", 1, 0));
    assert_ne!(trace_id("r1", 0, 0), trace_id("r1", 0, 10));
    assert_ne!(trace_id("r1", 0, 0), trace_id("r2", 0, 0));
}
