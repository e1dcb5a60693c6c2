//! Retention, the length of the log, orphans, background work.

use std::time::Duration;

use base::Shutdown;
use contract::Append;
use futures::TryStreamExt;
use model::{Batch, LogBatch, LogRecord, LogStream, TenantId};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use testkit::conformance::{self as suite, NOW_NS};

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
async fn a_flush_comes_by_age_without_being_asked_for() {
    let rig = Rig::with(|r| r.options.policy.flush.max_age = Duration::from_secs(30)).await;
    let shutdown = Shutdown::new();
    rig.shared().run(&shutdown);
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
