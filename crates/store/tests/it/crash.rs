//! Crashes at every step that matters, duplicates across them, and damage at rest.

use std::path::Path;

use contract::{Append, AppendUnit, Scope, Select, SeriesHints, SeriesRequest, Tenants, fake::Fake};
use disklog::fault::Operation;
use model::{Batch, BatchId, LogBatch, LogRecord, LogStream, TenantId, TimeRange};
use testkit::{
    conformance::{self as suite, NOW_NS},
    objects::{Call, Failure},
};

use crate::rig::Rig;

fn line(n: i64) -> Batch {
    Batch::Logs(LogBatch {
        streams: vec![LogStream::default()],
        records: vec![LogRecord {
            timestamp_ns: NOW_NS - n,
            body: format!("line {n}").into(),
            ..LogRecord::default()
        }],
    })
}

fn numbered(n: u64) -> AppendUnit {
    let id = BatchId::Numbered { source: 7, epoch: 1, sequence: n };
    AppendUnit { batch_id: Some(id), ..suite::unit(vec![line(n as i64)]) }
}

async fn lines(rig: &Rig) -> Vec<String> {
    let request = contract::LogsRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![],
        line_filters: vec![],
        direction: contract::Direction::NewestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let (pieces, coverage) = rig.store().logs(request).await.unwrap().collect().await.unwrap();
    assert!(coverage.is_complete(), "{coverage:?}");
    pieces.into_iter().flat_map(|p| p.records.into_iter().map(|r| r.body.to_string())).collect()
}

fn expected(n: u64) -> Vec<String> {
    (0..n).map(|i| format!("line {i}")).collect()
}

#[tokio::test]
async fn a_flush_that_dies_at_any_put_loses_nothing_and_doubles_nothing() {
    for failure in [Failure::Before, Failure::After, Failure::CrashBefore, Failure::CrashAfter] {
        // Puts of a flush: segment, batch ids, catalog version.
        for put in 0..3 {
            let mut rig = Rig::new().await;
            for n in 0..3 {
                rig.store().append(&TenantId::default(), numbered(n)).await.unwrap();
            }
            rig.objects.fail_in(Call::Put, put, failure);
            assert!(rig.store().flush_all().await.is_err(), "{failure:?} at put {put}");
            rig.objects.heal();
            if matches!(failure, Failure::CrashBefore | Failure::CrashAfter) {
                rig.crash(put).await;
            }
            assert_eq!(lines(&rig).await, expected(3), "{failure:?} at put {put}, before the next flush");
            rig.store().append(&TenantId::default(), numbered(3)).await.unwrap();
            rig.store().flush_all().await.unwrap();
            assert_eq!(lines(&rig).await, expected(4), "{failure:?} at put {put}, after it");
            rig.crash(99).await;
            assert_eq!(lines(&rig).await, expected(4), "{failure:?} at put {put}, after another crash");
        }
    }
}

#[tokio::test]
async fn ids_are_known_after_a_crash_whether_their_units_were_flushed_or_not() {
    let mut rig = Rig::new().await;
    let t = TenantId::default();
    rig.store().append(&t, numbered(0)).await.unwrap();
    rig.store().flush_all().await.unwrap();
    rig.store().append(&t, numbered(1)).await.unwrap();
    rig.crash(5).await;
    for n in 0..2 {
        assert!(rig.store().append(&t, numbered(n)).await.unwrap().duplicate, "unit {n}");
    }
    assert_eq!(lines(&rig).await, expected(2));
    rig.clock.advance(std::time::Duration::from_secs(3601));
    rig.crash(6).await;
    assert!(
        !rig.store().append(&t, numbered(0)).await.unwrap().duplicate,
        "past the horizon it is a new unit"
    );
}

#[tokio::test]
async fn a_unit_refused_in_part_is_not_remembered() {
    let mut rig = Rig::new().await;
    let t = TenantId::default();
    let far = LogRecord { timestamp_ns: NOW_NS + 3_600_000_000_000, ..LogRecord::default() };
    let mut unit = numbered(0);
    if let Batch::Logs(b) = &mut unit.batches[0] {
        b.records.push(far);
    }
    let first = rig.store().append(&t, unit.clone()).await.unwrap();
    assert_eq!((first.accepted_items(), first.refused_items()), (1, 1));
    assert!(!rig.store().append(&t, unit.clone()).await.unwrap().duplicate);
    rig.crash(1).await;
    assert!(!rig.store().append(&t, unit).await.unwrap().duplicate);
    assert_eq!(lines(&rig).await.len(), 3);
}

#[tokio::test]
async fn what_the_log_refused_is_nowhere_and_the_sender_may_retry() {
    let mut rig = Rig::new().await;
    let t = TenantId::default();
    rig.store().append(&t, numbered(0)).await.unwrap();
    rig.disk.fail_write_in(0, 3);
    assert!(rig.store().append(&t, numbered(1)).await.unwrap_err().kind.is_retryable());
    assert_eq!(lines(&rig).await, expected(1));
    rig.disk.fail_sync_in(0);
    assert!(rig.store().append(&t, numbered(1)).await.is_err());
    assert_eq!(lines(&rig).await, expected(1));
    assert!(
        !rig.store().append(&t, numbered(1)).await.unwrap().duplicate,
        "a refused unit is not remembered"
    );
    assert_eq!(lines(&rig).await, expected(2));
    rig.crash(3).await;
    assert_eq!(lines(&rig).await, expected(2));
}

#[tokio::test]
async fn acknowledged_units_survive_random_crashes_and_nothing_comes_twice() {
    for seed in 0..12 {
        let mut rig = Rig::new().await;
        let t = TenantId::default();
        let mut acknowledged = 0;
        for round in 0..4 {
            for _ in 0..3 {
                rig.store().append(&t, numbered(acknowledged)).await.unwrap();
                acknowledged += 1;
            }
            if (seed + round) % 2 == 0 {
                rig.store().flush_all().await.unwrap();
            }
            // A unit on its way when the machine stops: it may or may not be there afterwards.
            let store = rig.shared();
            let pending =
                tokio::spawn(async move { store.append(&TenantId::default(), numbered(1_000)).await });
            if seed % 3 == 0 {
                tokio::task::yield_now().await;
            }
            rig.crash_only(seed * 10 + round);
            let _ = pending.await;
            rig.disk.crash(seed);
            rig.open().await.unwrap();
            let mut found = lines(&rig).await;
            found.retain(|l| l != "line 1000");
            assert_eq!(found, expected(acknowledged), "seed {seed} round {round}");
        }
    }
}

#[tokio::test]
async fn damage_in_the_middle_of_the_log_refuses_to_start_and_says_what_to_do() {
    let mut rig = Rig::new().await;
    for n in 0..5 {
        rig.store().append(&TenantId::default(), numbered(n)).await.unwrap();
    }
    let segment = rig.disk.contents(Path::new("/simulated/data/wal/log/00000000000000000001.log"));
    let path =
        if segment.is_some() { "00000000000000000001.log" } else { panic!("the segment has another name") };
    rig.crash_only(1);
    assert!(rig.disk.flip_byte(&Path::new("/simulated/data/wal/log").join(path), 60));
    let err = rig.open().await.expect_err("refused").to_string();
    assert!(err.contains(path) && err.contains("Restore the file from a backup"), "{err}");
}

#[tokio::test]
async fn a_log_that_was_replaced_is_not_taken_for_the_one_that_segments_cover() {
    let mut rig = Rig::new().await;
    for n in 0..3 {
        rig.store().append(&TenantId::default(), numbered(n)).await.unwrap();
    }
    rig.store().flush_all().await.unwrap();
    rig.crash_only(1);
    rig.disk = disklog::fault::FaultDisk::new();
    rig.open().await.unwrap();
    rig.store().append(&TenantId::default(), numbered(3)).await.unwrap();
    rig.crash(2).await;
    assert_eq!(lines(&rig).await, expected(4));
}

#[tokio::test]
async fn one_unit_is_one_atom_across_signals() {
    let mut rig = Rig::new().await;
    let (tenant, unit) = suite::units().remove(0);
    rig.disk.fail(Operation::Write);
    assert!(rig.store().append(&tenant, unit.clone()).await.is_err());
    rig.disk.heal();
    suite::same_answers(rig.store(), &Fake::new(), &suite::tenants(), &[TimeRange::ALL]).await;
    suite::fill(rig.store(), [(tenant.clone(), unit.clone())]).await;
    rig.crash(9).await;
    let fake = Fake::new();
    suite::fill(&fake, [(tenant, unit)]).await;
    suite::same_answers(rig.store(), &fake, &suite::tenants(), &suite::ranges()).await;
}

#[tokio::test]
async fn replay_applies_no_policy() {
    let mut rig = Rig::new().await;
    let at_ms = NOW_NS / 1_000_000 - 3_600_000;
    for name in ["one", "two"] {
        rig.store()
            .append(&TenantId::default(), suite::unit(vec![suite::sample(name, at_ms, 1.0)]))
            .await
            .unwrap();
    }
    rig.options.policy.retention.metrics = Some(std::time::Duration::from_secs(60));
    rig.options.policy.limits.max_series = 1;
    rig.crash(4).await;
    let request = SeriesRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![],
        hints: SeriesHints::default(),
    };
    let (found, _) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    assert_eq!(found.len(), 2);
}
