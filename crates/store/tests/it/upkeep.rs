//! Retention, the length of the log, orphans, background work.

use std::time::Duration;

use base::{MemoryBudget, Shutdown};
use contract::{Append, Direction, LogsRequest, Scope, Select, SeriesHints, SeriesRequest, Tenants};
use futures::{StreamExt, TryStreamExt};
use model::{
    Batch, Exemplar, Labels, LogBatch, LogRecord, LogStream, Matcher, MetricBatch, MetricMetadata, TenantId,
    TimeRange,
};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use testkit::{
    conformance::{self as suite, NOW_NS},
    objects::{Call, Failure},
};

use crate::rig::Rig;

const HOUR: i64 = 3_600_000_000_000;

fn lines(at_ns: i64, count: i64) -> Batch {
    Batch::Logs(LogBatch {
        streams: vec![LogStream::default()],
        records: (0..count)
            .map(|i| LogRecord {
                timestamp_ns: at_ns + i,
                body: format!("{i} {}", i * 7919).into(),
                ..LogRecord::default()
            })
            .collect(),
    })
}

/// As large in memory as one segment may be of 64 MiB, on the disk next to nothing: two of them make two again.
fn full(at_ns: i64) -> Batch {
    let record =
        |n| LogRecord { timestamp_ns: at_ns + n, body: "x".repeat(4000).into(), ..LogRecord::default() };
    Batch::Logs(LogBatch { streams: vec![LogStream::default()], records: (0..1000).map(record).collect() })
}

async fn stored(rig: &Rig) -> Vec<String> {
    let root = Path::from("segments");
    let all: Vec<_> = rig.objects.list(Some(&root)).try_collect().await.unwrap();
    all.into_iter().map(|m| m.location.to_string()).collect()
}

#[tokio::test]
async fn windows_past_the_retention_go_and_their_objects_follow_after_the_grace() {
    let rig = Rig::with(|r| r.options.policy.retention.logs = Some(Duration::from_secs(24 * 3600))).await;
    let t = TenantId::default();
    rig.store()
        .append(&t, suite::unit(vec![lines(NOW_NS - 20 * HOUR, 10), lines(NOW_NS, 10)]))
        .await
        .unwrap();
    rig.store().flush_all().await.unwrap();
    assert_eq!(rig.store().status().signals[1].segments, 2);
    rig.clock.advance(Duration::from_secs(5 * 3600));
    rig.store().maintain().await.unwrap();
    assert_eq!(rig.store().status().signals[1].items, 10);
    assert_eq!(stored(&rig).await.len(), 2, "a running query may still read it");
    rig.clock.advance(Duration::from_secs(61));
    rig.store().maintain().await.unwrap();
    assert_eq!(stored(&rig).await.len(), 1);
    assert!(rig.text().contains("cause=\"age\""), "{}", rig.text());
}

#[tokio::test]
async fn the_oldest_windows_go_while_the_store_is_larger_than_its_limit() {
    let max = 400_000;
    let rig = Rig::with(|r| r.options.policy.retention.max_bytes = Some(max)).await;
    let t = TenantId::default();
    for n in 0..30 {
        rig.store().append(&t, suite::unit(vec![lines(NOW_NS - (30 - n) * 2 * HOUR, 2000)])).await.unwrap();
        rig.store().flush_all().await.unwrap();
        rig.store().maintain().await.unwrap();
        let s = rig.store().status();
        assert!(s.segment_bytes + s.wal_bytes <= max, "{} + {}", s.segment_bytes, s.wal_bytes);
    }
    let s = rig.store().status();
    assert!(s.signals[1].oldest_ns.unwrap() > NOW_NS - 50 * HOUR, "the oldest went");
    assert!(s.signals[1].newest_ns.unwrap() >= NOW_NS - 2 * HOUR, "the newest stayed");
}

#[tokio::test]
async fn retention_by_size_follows_what_is_written_and_waits_for_no_clock() {
    let max = 400_000;
    let rig = Rig::with(|r| r.options.policy.retention.max_bytes = Some(max)).await;
    let shutdown = Shutdown::new();
    rig.shared().run(&shutdown).unwrap();
    let t = TenantId::default();
    for n in 0..40 {
        rig.store().append(&t, suite::unit(vec![lines(NOW_NS - (40 - n) * 2 * HOUR, 2000)])).await.unwrap();
        rig.store().flush_all().await.unwrap();
        // The clock stands still, so only what was put can have rung.
        let give_up = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let s = rig.store().status();
            if s.segment_bytes + s.wal_bytes <= max / 10 * 9 {
                break;
            }
            assert!(std::time::Instant::now() < give_up, "{} + {}", s.segment_bytes, s.wal_bytes);
            tokio::task::yield_now().await;
        }
    }
    assert!(rig.store().status().signals[1].oldest_ns.unwrap() > NOW_NS - 70 * HOUR, "the oldest went");
    shutdown.start();
    assert!(shutdown.finished(Duration::from_secs(30)).await.is_ok());
}

#[tokio::test]
async fn a_flusher_that_panics_is_counted_and_begins_anew() {
    let rig = Rig::with(|r| r.options.policy.flush.max_age = Duration::from_secs(30)).await;
    let shutdown = Shutdown::new();
    rig.shared().run(&shutdown).unwrap();
    rig.store().append(&TenantId::default(), suite::unit(vec![lines(NOW_NS, 5)])).await.unwrap();
    rig.objects.fail_in(Call::Put, 0, Failure::Panic);
    let give_up = std::time::Instant::now() + Duration::from_secs(60);
    while rig.store().status().signals[1].segments == 0 {
        assert!(std::time::Instant::now() < give_up, "no flush came");
        rig.clock.advance(Duration::from_millis(500));
        tokio::task::yield_now().await;
    }
    let text = rig.text();
    assert!(text.contains("orrery_store_task_panics_total{task=\"flusher\"} 1"), "{text}");
    assert_eq!((rig.store().broken(), rig.store().status().refusing), (None, None));
    assert_eq!(rig.store().status().signals[1].items, 5);
    shutdown.start();
    assert!(shutdown.finished(Duration::from_secs(30)).await.is_ok());
}

/// One sample of a series every minute of `hours`, counted from the beginning of a day.
async fn hours_of_a_day(rig: &Rig, day_ns: i64, hours: std::ops::Range<i64>) {
    let mut batch = MetricBatch::default();
    let series = batch.push_series(Labels::from_pairs([("__name__", "load"), ("job", "node")]));
    for minute in hours.start * 60..hours.end * 60 {
        batch.samples.push(series, day_ns / 1_000_000 + minute * 60_000, minute as f64 / 8.0);
    }
    rig.store().append(&TenantId::default(), suite::unit(vec![Batch::Metrics(batch)])).await.unwrap();
    rig.store().flush_all().await.unwrap();
}

async fn values(rig: &Rig) -> Vec<(i64, u64)> {
    let request = SeriesRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![Matcher::equal("__name__", "load")],
        hints: SeriesHints::default(),
    };
    let (found, coverage) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    assert!(coverage.is_complete(), "{coverage:?}");
    let all = found.iter().flat_map(|s| s.timestamps_ms.iter().zip(&s.values));
    all.map(|(t, v)| (*t, v.to_bits())).collect()
}

#[tokio::test]
async fn a_window_and_then_a_day_that_are_over_become_one_segment_each() {
    let rig = Rig::new().await;
    let day_ns = NOW_NS.div_euclid(24 * HOUR) * 24 * HOUR - 24 * HOUR;
    for hour in 0..24 {
        hours_of_a_day(&rig, day_ns, hour..hour + 1).await;
    }
    let want: Vec<(i64, u64)> =
        (0..24 * 60).map(|m| (day_ns / 1_000_000 + m * 60_000, (m as f64 / 8.0).to_bits())).collect();
    assert_eq!(rig.store().status().signals[0].segments, 24);
    rig.clock.advance(Duration::from_secs(48 * 3600));
    rig.store().maintain().await.unwrap();
    assert_eq!(rig.store().status().signals[0].segments, 1);
    assert_eq!(values(&rig).await, want);
    // What comes late is found beside it.
    let mut late = MetricBatch::default();
    let series = late.push_series(Labels::from_pairs([("__name__", "load"), ("job", "node")]));
    late.samples.push(series, day_ns / 1_000_000 + 30_000, 7.0);
    rig.store().append(&TenantId::default(), suite::unit(vec![Batch::Metrics(late)])).await.unwrap();
    rig.store().flush_all().await.unwrap();
    rig.store().maintain().await.unwrap();
    assert_eq!(values(&rig).await.len(), want.len() + 1);
}

#[tokio::test]
async fn days_stay_cut_by_windows_where_they_are_kept_for_few_days() {
    let rig =
        Rig::with(|r| r.options.policy.retention.metrics = Some(Duration::from_secs(6 * 24 * 3600))).await;
    let day_ns = NOW_NS.div_euclid(24 * HOUR) * 24 * HOUR - 24 * HOUR;
    for hour in 0..24 {
        hours_of_a_day(&rig, day_ns, hour..hour + 1).await;
    }
    rig.clock.advance(Duration::from_secs(48 * 3600));
    rig.store().maintain().await.unwrap();
    assert_eq!(rig.store().status().signals[0].segments, 12, "two flushes a window, one segment each");
}

#[tokio::test]
async fn exemplars_that_cannot_be_kept_are_counted_by_reason() {
    let rig = Rig::new().await;
    let at = NOW_NS / 1_000_000;
    let exemplar = |value: f64| Exemplar { labels: Labels::default(), value, timestamp_ms: at };
    let mut batch = MetricBatch::default();
    let (with, without) = ("with_samples", "without_samples");
    let series = [with, without].map(|n| batch.push_series(Labels::from_pairs([("__name__", n)])));
    batch.samples.push(series[0], at, 1.0);
    // One more than a series keeps, three beside no sample, one of no time that exists.
    batch.exemplars.extend((0..65).map(|i| (series[0], exemplar(f64::from(i)))));
    batch.exemplars.extend((0..3).map(|i| (series[1], exemplar(f64::from(i)))));
    batch.exemplars.push((series[0], Exemplar { timestamp_ms: i64::MIN, ..exemplar(7.0) }));
    rig.store().append(&TenantId::default(), suite::unit(vec![Batch::Metrics(batch)])).await.unwrap();
    rig.store().flush_all().await.unwrap();
    let text = rig.text();
    for (reason, count) in [("too_many", 1), ("no_sample", 3), ("invalid", 1)] {
        let line = format!("orrery_store_exemplars_dropped_total{{reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[tokio::test]
async fn the_log_is_cut_once_everything_in_it_is_in_segments() {
    let rig = Rig::new().await;
    for n in 0..50 {
        rig.store().append(&TenantId::default(), suite::unit(vec![lines(NOW_NS - n, 500)])).await.unwrap();
    }
    let before = rig.store().status().wal_bytes;
    rig.store().flush_all().await.unwrap();
    let after = rig.store().status().wal_bytes;
    assert!(after < 1000 && before > 100_000, "{before} became {after}");
}

#[tokio::test]
async fn objects_that_no_catalog_names_are_deleted_when_they_are_old_enough() {
    let rig = Rig::new().await;
    rig.store().append(&TenantId::default(), suite::unit(vec![lines(NOW_NS, 5)])).await.unwrap();
    rig.store().flush_all().await.unwrap();
    let orphan = Path::from("segments/default/logs/1/left-behind.parquet");
    rig.objects.put(&orphan, "x".into()).await.unwrap();
    // The object store has a clock of its own; many years later everything is old enough.
    rig.clock.advance(Duration::from_secs(50 * 365 * 86_400));
    rig.store().maintain().await.unwrap();
    let left = stored(&rig).await;
    assert!(!left.contains(&orphan.to_string()), "{left:?}");
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn flushes_that_fail_again_and_again_do_not_fill_the_bucket() {
    let rig = Rig::new().await;
    let batches = vec![lines(NOW_NS - 5 * HOUR, 10), lines(NOW_NS, 10)];
    rig.store().append(&TenantId::default(), suite::unit(batches)).await.unwrap();
    for _ in 0..5 {
        rig.objects.fail_in(Call::Put, 1, Failure::Before);
        assert!(rig.store().flush_all().await.is_err());
    }
    assert_eq!(stored(&rig).await.len(), 5);
    rig.objects.heal();
    rig.store().maintain().await.unwrap();
    assert_eq!(stored(&rig).await.len(), 2);
    assert_eq!(rig.store().status().signals[1].items, 20);
}

#[tokio::test]
async fn a_merge_whose_commit_gets_an_unclear_answer_keeps_its_objects() {
    let mut rig = Rig::new().await;
    for n in 0..8 {
        rig.store()
            .append(&TenantId::default(), suite::unit(vec![lines(NOW_NS - n * 1000, 100)]))
            .await
            .unwrap();
        rig.store().flush_all().await.unwrap();
    }
    // The merged segment, then the catalog version, which is there although the answer says otherwise.
    rig.objects.fail_in(Call::Put, 1, Failure::After);
    assert!(rig.store().maintain().await.is_err());
    rig.clock.advance(Duration::from_secs(50 * 365 * 86_400));
    rig.store().maintain().await.unwrap();
    assert_eq!(rig.store().status().signals[1].items, 800);
    rig.crash(1).await;
    assert_eq!(rig.store().status().signals[1].items, 800);
    let request = LogsRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![],
        line_filters: vec![],
        direction: Direction::NewestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let (pieces, coverage) = rig.store().logs(request).await.unwrap().collect().await.unwrap();
    assert!(coverage.is_complete(), "{coverage:?}");
    assert_eq!(pieces.iter().map(|p| p.records.len()).sum::<usize>(), 800);
}

#[tokio::test]
async fn a_flush_comes_by_age_without_being_asked_for() {
    let rig = Rig::with(|r| r.options.policy.flush.max_age = Duration::from_secs(30)).await;
    let shutdown = Shutdown::new();
    rig.shared().run(&shutdown).unwrap();
    rig.store().append(&TenantId::default(), suite::unit(vec![lines(NOW_NS, 5)])).await.unwrap();
    // Segments are written on blocking threads, so only the clock of the store is simulated.
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    while std::time::Instant::now() < give_up {
        rig.clock.advance(Duration::from_millis(500));
        tokio::task::yield_now().await;
        if rig.store().status().signals[1].segments == 1 {
            shutdown.start();
            assert!(shutdown.finished(Duration::from_secs(10)).await.is_ok());
            return;
        }
    }
    panic!("no flush came");
}

#[tokio::test]
async fn after_close_nothing_is_taken() {
    let rig = Rig::new().await;
    rig.store().append(&TenantId::default(), suite::unit(vec![lines(NOW_NS, 5)])).await.unwrap();
    assert!(rig.store().close(Duration::from_secs(10)).await.unwrap());
    let refused = rig.store().append(&TenantId::default(), suite::unit(vec![lines(NOW_NS, 5)])).await;
    assert!(refused.unwrap_err().kind.is_retryable());
}

async fn newest_value(rig: &Rig, at_ms: i64) -> Vec<f64> {
    let range = TimeRange::from_ms_inclusive(at_ms, at_ms);
    let request = SeriesRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), range),
        matchers: vec![Matcher::equal("__name__", "m")],
        hints: SeriesHints::default(),
    };
    let (found, _) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    found.into_iter().flat_map(|s| s.values).collect()
}

#[tokio::test]
async fn of_two_values_at_one_time_the_later_append_counts_in_heads_segments_and_merges() {
    let mut rig = Rig::new().await;
    let (t, at) = (TenantId::default(), NOW_NS / 1_000_000 - 60_000);
    let append = async |rig: &Rig, at: i64, v: f64| {
        let receipt = rig.store().append(&t, suite::unit(vec![suite::sample("m", at, v)])).await.unwrap();
        assert!(receipt.refused.is_empty());
    };
    append(&rig, at, 1.0).await;
    rig.store().flush_all().await.unwrap();
    append(&rig, at + 10, 1.0).await;
    rig.store().flush_all().await.unwrap();
    // Its predecessor is in a segment, so the conflict is not seen when it comes.
    append(&rig, at, 2.0).await;
    assert_eq!(newest_value(&rig, at).await, [2.0], "head over segment");
    rig.store().flush_all().await.unwrap();
    assert_eq!(newest_value(&rig, at).await, [2.0], "later segment over earlier");
    for n in 0..8 {
        append(&rig, at + 20 + n, 1.0).await;
        rig.store().flush_all().await.unwrap();
    }
    let before = rig.store().status().signals[0].segments;
    rig.store().maintain().await.unwrap();
    assert!(rig.store().status().signals[0].segments < before);
    assert_eq!(newest_value(&rig, at).await, [2.0], "after a merge");
    rig.crash(1).await;
    assert_eq!(newest_value(&rig, at).await, [2.0], "after a crash");
}

#[tokio::test]
async fn a_query_that_began_before_a_merge_ends_as_if_there_had_been_none() {
    let rig = Rig::new().await;
    for n in 0..8 {
        rig.store()
            .append(&TenantId::default(), suite::unit(vec![lines(NOW_NS - n * 10_000, 1500)]))
            .await
            .unwrap();
        rig.store().flush_all().await.unwrap();
    }
    let request = LogsRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![],
        line_filters: vec![],
        direction: Direction::OldestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let mut running = rig.store().logs(request).await.unwrap();
    let first = running.items.try_next().await.unwrap().unwrap().records.len();
    rig.store().maintain().await.unwrap();
    assert_eq!(rig.store().status().signals[1].segments, 1);
    let rest: usize = running
        .items
        .by_ref()
        .map_ok(|p| p.records.len())
        .try_fold(0, |a, b| async move { Ok(a + b) })
        .await
        .unwrap();
    assert_eq!(first + rest, 8 * 1500);
    assert!(running.coverage().is_complete(), "{:?}", running.coverage());
}

#[tokio::test]
async fn what_says_nothing_new_does_not_keep_the_log() {
    let rig = Rig::new().await;
    let metadata = (0..100)
        .map(|n| MetricMetadata {
            family: format!("family_{n}"),
            help: "h".repeat(1000),
            ..MetricMetadata::default()
        })
        .collect();
    let batch = MetricBatch { metadata, ..MetricBatch::default() };
    for turn in 0..2 {
        let unit = suite::unit(vec![Batch::Metrics(batch.clone())]);
        rig.store().append(&TenantId::default(), unit).await.unwrap();
        assert!(rig.store().status().wal_bytes > 10_000, "{turn}");
        rig.store().flush_all().await.unwrap();
        let left = rig.store().status().wal_bytes;
        assert!(left < 1000, "{left} bytes of the log are left after turn {turn}");
    }
}

#[tokio::test]
async fn a_flush_that_is_tried_again_leaves_other_heads_alone() {
    let rig = Rig::new().await;
    let tenants = ["a", "b"].map(|t| TenantId::new(t).unwrap());
    for t in &tenants {
        rig.store().append(t, suite::unit(vec![lines(NOW_NS, 10)])).await.unwrap();
    }
    rig.objects.fail_in(Call::Put, 0, Failure::Before);
    assert!(rig.store().flush_all().await.is_err());
    assert_eq!(rig.store().status().signals[1].segments, 1, "the other tenant was flushed");
    rig.store().append(&tenants[1], suite::unit(vec![lines(NOW_NS + 100, 10)])).await.unwrap();
    rig.store().maintain().await.unwrap();
    let logs = &rig.store().status().signals[1];
    assert_eq!((logs.segments, logs.items), (2, 30), "what came since waits for its own time");
}

#[tokio::test]
async fn a_node_that_sheds_what_comes_in_still_merges_what_it_has() {
    let limit = 64 << 20;
    let rig = Rig::with(|r| r.budget = MemoryBudget::new(limit)).await;
    let t = TenantId::default();
    for i in 0..8 {
        rig.store().append(&t, suite::unit(vec![lines(NOW_NS + i * 1000, 200)])).await.unwrap();
        rig.store().flush_all().await.unwrap();
    }
    let logs = |rig: &Rig| rig.store().status().signals[1].segments;
    assert_eq!(logs(&rig), 8);
    // As measured under a load that never ends: the resident set stays where ingest is shed.
    rig.budget.observe_rss(limit / 10 * 8 + 1);
    let refused = rig.store().append(&t, suite::unit(vec![lines(NOW_NS, 1)])).await.unwrap_err();
    assert_eq!(refused.limit, Some("memory.limit"));
    rig.store().maintain().await.unwrap();
    assert!(logs(&rig) < 8, "nothing was merged");
    // Where nothing is left at all it waits, and says so.
    rig.budget.observe_rss(limit);
    rig.store().maintain().await.unwrap();
}

#[tokio::test]
async fn merging_a_few_at_a_time_ends_where_merging_makes_no_fewer() {
    let limit = 64 << 20;
    let rig = Rig::with(|r| r.budget = MemoryBudget::new(limit)).await;
    let t = TenantId::default();
    let long = |i: i64| full(NOW_NS + i * 1_000_000);
    for i in 0..7 {
        rig.store().append(&t, suite::unit(vec![long(i)])).await.unwrap();
        rig.store().flush_all().await.unwrap();
    }
    let logs = |rig: &Rig| (rig.store().status().signals[1].segments, rig.store().status().signals[1].items);
    let (segments, items) = logs(&rig);
    assert!(segments >= 7 && items == 7000, "{segments} segments of {items} records");
    let bytes: u64 = rig
        .objects
        .list(Some(&Path::from("segments")))
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .iter()
        .map(|m| m.size)
        .sum();
    // Room for about three of them.
    rig.budget.observe_rss(limit / 10 * 9 - bytes / segments * 8 * 3);
    rig.store().maintain().await.unwrap();
    assert_eq!(logs(&rig).1, items);
}

#[tokio::test]
async fn segments_that_are_full_are_not_written_anew_each_time() {
    let rig = Rig::with(|r| r.budget = MemoryBudget::new(64 << 20)).await;
    let t = TenantId::default();
    let long = |i: i64| full(NOW_NS - 20 * HOUR + i * 1_000_000);
    for i in 0..7 {
        rig.store().append(&t, suite::unit(vec![long(i)])).await.unwrap();
        rig.store().flush_all().await.unwrap();
    }
    let items = |rig: &Rig| rig.store().status().signals[1].items;
    for _ in 0..3 {
        rig.store().maintain().await.unwrap();
    }
    let before = rig.text();
    for _ in 0..3 {
        rig.store().maintain().await.unwrap();
    }
    let merges = |text: &str| -> Vec<String> {
        text.lines().filter(|l| l.starts_with("orrery_store_compactions_total")).map(str::to_owned).collect()
    };
    assert!(!merges(&before).is_empty(), "{before}");
    assert_eq!(merges(&rig.text()), merges(&before));
    assert_eq!(items(&rig), 7000);
    // What is new is merged nonetheless.
    for i in 7..9 {
        rig.store().append(&t, suite::unit(vec![long(i)])).await.unwrap();
        rig.store().flush_all().await.unwrap();
    }
    rig.store().maintain().await.unwrap();
    assert_ne!(merges(&rig.text()), merges(&before));
    assert_eq!(items(&rig), 9000);
}
