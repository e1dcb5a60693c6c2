//! Refusals by name: memory, disk, query limits.

use std::time::Instant;

use base::{Kind, MemoryBudget};
use contract::{
    Append, Direction, Error, LogsRequest, QueryLimits, Scope, Select, SeriesHints, SeriesRequest, Tenants,
};
use model::{Batch, LogBatch, LogRecord, LogStream, TenantId, TimeRange};
use testkit::conformance::{self as suite, NOW_NS};

use crate::rig::Rig;

fn lines(count: i64, from: i64) -> Batch {
    Batch::Logs(LogBatch {
        streams: vec![LogStream::default()],
        records: (0..count)
            .map(|i| LogRecord {
                timestamp_ns: NOW_NS - from - i,
                body: "x".repeat(200).into(),
                ..LogRecord::default()
            })
            .collect(),
    })
}

#[tokio::test]
async fn appends_are_refused_at_the_memory_limit_and_taken_again_after_a_flush() {
    let rig = Rig::with(|r| r.budget = MemoryBudget::new(4 << 20)).await;
    let t = TenantId::default();
    let mut taken = 0;
    let refused = loop {
        match rig.store().append(&t, suite::unit(vec![lines(1000, taken * 1000)])).await {
            Ok(_) => taken += 1,
            Err(e) => break e,
        }
        assert!(taken < 100, "the limit must be reached");
    };
    assert_eq!((refused.kind, refused.limit), (Kind::Unavailable, Some("memory.limit")));
    rig.store().flush_all().await.unwrap();
    rig.store().append(&t, suite::unit(vec![lines(1000, taken * 1000)])).await.unwrap();
    assert!(rig.text().contains("orrery_store_units_shed_total{limit=\"memory.limit\"} 1"), "{}", rig.text());
}

#[tokio::test]
async fn replay_stays_inside_the_memory_limit() {
    let mut rig = Rig::new().await;
    for n in 0..20 {
        rig.store().append(&TenantId::default(), suite::unit(vec![lines(1000, n * 1000)])).await.unwrap();
    }
    rig.budget = MemoryBudget::new(24 << 20);
    rig.crash(1).await;
    assert_eq!(rig.report.items, 20_000);
    assert!(rig.report.segments > 0 || rig.store().status().signals[1].segments > 0, "it flushed as it went");
    assert!(rig.budget.reserved() < 24 << 20);
    assert_eq!(rig.store().status().signals[1].items, 20_000);
}

#[tokio::test]
async fn appends_are_refused_at_the_disk_reserve_and_taken_again_when_space_returns() {
    let rig = Rig::new().await;
    let t = TenantId::default();
    rig.store().append(&t, suite::unit(vec![lines(1, 0)])).await.unwrap();
    rig.disk.set_free_bytes(10 << 20);
    let refused = rig.store().append(&t, suite::unit(vec![lines(1, 1)])).await.unwrap_err();
    assert_eq!((refused.kind, refused.limit), (Kind::Unavailable, Some("disk.reserve")));
    assert!(rig.store().status().refusing.is_some());
    rig.store().flush_all().await.unwrap();
    rig.disk.heal();
    rig.store().append(&t, suite::unit(vec![lines(1, 1)])).await.unwrap();
    assert!(rig.store().status().refusing.is_none());
}

async fn series_with(rig: &Rig, limits: QueryLimits) -> Result<usize, Error> {
    let mut scope = Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL);
    scope.limits = limits;
    let request = SeriesRequest { scope, matchers: vec![], hints: SeriesHints::default() };
    rig.store().series(request).await?.collect().await.map(|(s, _)| s.len())
}

#[tokio::test]
async fn queries_end_at_their_limits_and_name_them() {
    let rig = Rig::new().await;
    suite::fill(rig.store(), suite::units()).await;
    for flushed in [false, true] {
        if flushed {
            rig.store().flush_all().await.unwrap();
        }
        let limits = |change: fn(&mut QueryLimits)| {
            let mut l = QueryLimits::default();
            change(&mut l);
            l
        };
        let named = |r: Result<usize, Error>| r.unwrap_err().limit.unwrap();
        assert_eq!(named(series_with(&rig, limits(|l| l.max_series = 3)).await), "query.max_series");
        assert_eq!(named(series_with(&rig, limits(|l| l.max_samples = 30)).await), "query.max_samples");
        assert_eq!(
            named(series_with(&rig, limits(|l| l.memory = MemoryBudget::new(500))).await),
            "memory.limit"
        );
        assert_eq!(
            named(series_with(&rig, limits(|l| l.deadline = Some(Instant::now()))).await),
            "query.timeout"
        );
        assert_eq!(series_with(&rig, QueryLimits::default()).await.unwrap(), 7);
        let mut scope = Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL);
        scope.limits.max_bytes = 1000;
        let request = LogsRequest {
            scope,
            matchers: vec![],
            line_filters: vec![],
            direction: Direction::NewestFirst,
            limit: None,
            fields: Vec::new(),
            passing: None,
        };
        let err = rig.store().logs(request).await.unwrap().collect().await.err().unwrap();
        assert_eq!(err.limit, Some("query.max_bytes"));
    }
}

#[tokio::test]
async fn new_tenants_are_refused_at_their_limit() {
    let rig = Rig::with(|r| r.options.policy.limits.max_tenants = 1).await;
    rig.store().append(&TenantId::default(), suite::unit(vec![lines(1, 0)])).await.unwrap();
    let err =
        rig.store().append(&TenantId::new("b").unwrap(), suite::unit(vec![lines(1, 0)])).await.unwrap_err();
    assert_eq!((err.kind, err.limit), (Kind::Limited, Some("ingest.max_tenants")));
    rig.store()
        .append(&TenantId::default(), suite::unit(vec![suite::sample("m", NOW_NS / 1_000_000, 1.0)]))
        .await
        .unwrap();
}
