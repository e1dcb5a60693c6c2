//! The log defines a series once and then names it by a number: whatever ends an epoch, what is replayed has
//! the labels it had.

use contract::{Append, AppendUnit, Scope, Select, SeriesHints, SeriesRequest, Tenants, fake::Fake};
use model::{Batch, Labels, MetricBatch, TenantId, TimeRange};
use testkit::conformance::{self as suite, NOW_NS};

use crate::rig::Rig;

const START_MS: i64 = NOW_NS / 1_000_000 - 3_600_000;

/// A sample of each of these series.
fn unit(series: impl IntoIterator<Item = u64>, at_ms: i64) -> AppendUnit {
    let mut batch = MetricBatch::default();
    for s in series {
        let labels =
            [("__name__", format!("m{}", s % 3)), ("job", "a".to_owned()), ("instance", s.to_string())];
        let at = batch.push_series(Labels::from_pairs(labels));
        batch.samples.push(at, START_MS + at_ms, (s * 10) as f64 + at_ms as f64);
    }
    suite::unit(vec![Batch::Metrics(batch)])
}

async fn same(rig: &Rig, fake: &Fake) {
    suite::same_answers(rig.store(), fake, &[TenantId::default()], &[TimeRange::ALL]).await;
}

#[tokio::test]
async fn series_keep_their_labels_over_flushes_refused_groups_crashes_and_restarts() {
    let t = TenantId::default();
    for seed in 0..24u64 {
        let mut rig = Rig::new().await;
        let fake = Fake::new();
        let mut random = seed;
        for step in 0..14 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let chosen = (random >> 33) % 8;
            // Other series each time, some of them met before, in another order.
            let series =
                (0..6).map(move |i| (random >> (20 + i)) % 9).collect::<std::collections::BTreeSet<_>>();
            let unit = unit(series, step);
            match chosen {
                0 => rig.store().flush_all().await.unwrap(),
                1 => {
                    rig.disk.fail_write_in(0, 3);
                    assert!(rig.store().append(&t, unit).await.is_err());
                    rig.disk.heal();
                }
                2 => rig.crash(seed * 100 + step as u64).await,
                3 => rig.restart().await,
                _ => {
                    assert_eq!(rig.store().append(&t, unit.clone()).await.unwrap().refused_items(), 0);
                    fake.append(&t, unit).await.unwrap();
                }
            }
        }
        same(&rig, &fake).await;
        rig.crash(seed).await;
        same(&rig, &fake).await;
    }
}

#[tokio::test]
async fn a_replay_that_flushes_on_its_way_can_be_replayed_again() {
    let t = TenantId::default();
    let mut rig = Rig::new().await;
    let mut random = 1u64;
    let mut bulk = |first_ms: i64| {
        let mut batch = MetricBatch::default();
        for s in 0..50 {
            let at = batch
                .push_series(Labels::from_pairs([("__name__", "bulk".to_owned()), ("n", s.to_string())]));
            for i in 0..2000 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                batch.samples.push(at, START_MS + first_ms + i, random as f64 / 3.0);
            }
        }
        suite::unit(vec![Batch::Metrics(batch)])
    };
    for i in 0..8 {
        rig.store().append(&t, bulk(2000 * i)).await.unwrap();
    }
    // Heads as large as these are flushed while the log is read.
    rig.options.policy.flush.max_head_bytes = 1 << 20;
    rig.crash(1).await;
    assert!(rig.report.segments > 0 && rig.report.units == 8, "{:?}", rig.report);
    rig.store().append(&t, bulk(2000 * 8)).await.unwrap();
    rig.crash(2).await;
    let request = SeriesRequest {
        scope: Scope::new(Tenants::one(t), TimeRange::ALL),
        matchers: vec![],
        hints: SeriesHints::default(),
    };
    let (found, _) = rig.store().series(request).await.unwrap().collect().await.unwrap();
    assert_eq!(found.len(), 50);
    assert!(found.iter().all(|s| s.timestamps_ms.len() == 18_000));
}
