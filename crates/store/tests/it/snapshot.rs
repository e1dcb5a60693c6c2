//! A snapshot opens as a store with the same answers, and goes on by itself.

use std::{path::Path, sync::Arc, time::Duration};

use base::{Clock, MemoryBudget, Metrics};
use contract::fake::Fake;
use model::{Matcher, TenantId, TimeRange};
use store::{LocalObjects, Options, Store};
use testkit::conformance::{self as suite, NOW_NS};

async fn open(dir: &Path) -> (Arc<Store>, LocalObjects) {
    let objects = LocalObjects::open(dir.join("objects")).unwrap();
    let disk = Arc::new(disklog::RealDisk);
    let (clock, budget) = (Clock::manual(NOW_NS), MemoryBudget::unlimited());
    let (options, metrics) = (Options::new(dir), Metrics::default());
    let opened = Store::open(options, Arc::new(objects.clone()), disk, clock, budget, &metrics).await;
    (opened.unwrap().0, objects)
}

#[tokio::test]
async fn a_snapshot_answers_as_its_store_did_whatever_becomes_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (live, taken) = (dir.path().join("live"), dir.path().join("taken"));
    let (store, objects) = open(&live).await;
    let oracle = Fake::new();
    suite::fill(&oracle, suite::units()).await;
    suite::fill(&*store, suite::units()).await;
    store.snapshot(&objects, &taken, true).await.unwrap();
    let everything = [vec![Matcher::new("__name__", model::MatchOp::Regex, ".+").unwrap()]];
    let tenants: [TenantId; 2] = suite::tenants();
    store.delete_series(&tenants, &everything, TimeRange::ALL).await.unwrap();
    store.clean_deleted().await.unwrap();
    let (copy, _) = open(&taken).await;
    suite::same_answers(&*copy, &oracle, &suite::tenants(), &suite::ranges()).await;
    assert!(copy.close(Duration::from_secs(10)).await.unwrap());
    assert!(store.close(Duration::from_secs(10)).await.unwrap());
}

#[tokio::test]
async fn without_heads_a_snapshot_holds_what_was_flushed_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    let (store, objects) = open(&dir.path().join("live")).await;
    suite::fill(&*store, suite::units()).await;
    store.snapshot(&objects, &taken, false).await.unwrap();
    let (copy, _) = open(&taken).await;
    assert!(copy.status().signals.iter().all(|s| s.items == 0));
}
