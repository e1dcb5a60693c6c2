//! Writers, readers, flushes and merges at once: no reader ever sees an acknowledged item missing, an item
//! twice, or half a unit. And the same store on real files.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use base::{Clock, MemoryBudget, Metrics};
use contract::{
    Append, AppendUnit, Direction, LogsRequest, Scope, Select, SeriesHints, SeriesRequest, Tenants,
    fake::Fake,
};
use model::{Batch, Labels, LogBatch, LogRecord, LogStream, MetricBatch, TenantId, TimeRange};
use store::{LocalObjects, Options, Store};
use testkit::conformance::{self as suite, NOW_NS};

use crate::rig::Rig;

const WRITERS: u64 = 4;
const UNITS: u64 = 60;
/// Items of one unit; a reader sees all or none.
const LINES: u64 = 5;

fn unit(writer: u64, n: u64) -> AppendUnit {
    let mut metrics = MetricBatch::default();
    for i in 0..3 {
        let name = format!("m{i}");
        let labels = Labels::from_pairs([("__name__", name.as_str()), ("writer", &writer.to_string())]);
        let s = metrics.push_series(labels);
        metrics.samples.push(s, NOW_NS / 1_000_000 + n as i64, n as f64);
    }
    let records = (0..LINES)
        .map(|i| LogRecord {
            timestamp_ns: NOW_NS + (n * 1000 + writer * 10 + i) as i64,
            body: format!("{writer}/{n}/{i}").into(),
            ..LogRecord::default()
        })
        .collect();
    let logs = LogBatch { streams: vec![LogStream::default()], records };
    suite::unit(vec![Batch::Metrics(metrics), Batch::Logs(logs)])
}

async fn lines(store: &Store) -> Vec<String> {
    let request = LogsRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![],
        line_filters: vec![],
        direction: Direction::NewestFirst,
        limit: None,
        fields: Vec::new(),
        passing: None,
    };
    let (pieces, coverage) = store.logs(request).await.unwrap().collect().await.unwrap();
    assert!(coverage.is_complete(), "{coverage:?}");
    pieces.into_iter().flat_map(|p| p.records.into_iter().map(|r| r.body.to_string())).collect()
}

async fn samples(store: &Store) -> u64 {
    let request = SeriesRequest {
        scope: Scope::new(Tenants::one(TenantId::default()), TimeRange::ALL),
        matchers: vec![],
        hints: SeriesHints::default(),
    };
    let (found, _) = store.series(request).await.unwrap().collect().await.unwrap();
    assert!(found.windows(2).all(|w| w[0].labels < w[1].labels));
    assert!(found.iter().all(|s| s.timestamps_ms.windows(2).all(|w| w[0] < w[1])));
    found.iter().map(|s| s.values.len() as u64).sum()
}

async fn read_until_done(store: Arc<Store>, acknowledged: Arc<AtomicU64>, done: Arc<AtomicBool>) {
    loop {
        let last = done.load(SeqCst);
        let before = acknowledged.load(SeqCst);
        let found = lines(&store).await;
        let distinct: HashSet<&String> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "a line came twice");
        assert!(
            found.len() as u64 >= before * LINES,
            "{} lines, {before} units acknowledged before",
            found.len()
        );
        assert_eq!(found.len() as u64 % LINES, 0, "half a unit was visible");
        let before = acknowledged.load(SeqCst);
        let found = samples(&store).await;
        assert!(found >= before * 3 && found.is_multiple_of(3), "{found} samples, {before} units before");
        if last {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_every_acknowledged_unit_once_and_whole_while_heads_become_segments() {
    let rig = Rig::new().await;
    let (acknowledged, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for w in 0..WRITERS {
        let (store, acknowledged) = (rig.shared(), acknowledged.clone());
        writers.push(tokio::spawn(async move {
            for n in 0..UNITS {
                let receipt = store.append(&TenantId::default(), unit(w, n)).await.unwrap();
                assert_eq!((receipt.accepted_items(), receipt.refused_items()), (LINES + 3, 0));
                acknowledged.fetch_add(1, SeqCst);
            }
        }));
    }
    let upkeep = {
        let (store, done) = (rig.shared(), done.clone());
        tokio::spawn(async move {
            while !done.load(SeqCst) {
                store.flush_all().await.unwrap();
                store.maintain().await.unwrap();
            }
        })
    };
    let readers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(read_until_done(rig.shared(), acknowledged.clone(), done.clone())))
        .collect();
    for w in writers {
        w.await.unwrap();
    }
    done.store(true, SeqCst);
    upkeep.await.unwrap();
    for r in readers {
        r.await.unwrap();
    }
    assert_eq!(lines(rig.store()).await.len() as u64, WRITERS * UNITS * LINES);
    assert_eq!(samples(rig.store()).await, WRITERS * UNITS * 3);
}

async fn on_files(dir: &std::path::Path) -> Arc<Store> {
    let objects = LocalObjects::open(dir.join("objects")).unwrap();
    let (store, _) = Store::open(
        Options::new(dir),
        Arc::new(objects),
        Arc::new(disklog::RealDisk),
        Clock::manual(NOW_NS),
        MemoryBudget::unlimited(),
        &Metrics::default(),
    )
    .await
    .unwrap();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_files_hold_what_simulated_ones_do() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    suite::fill(&fake, suite::units()).await;
    let store = on_files(dir.path()).await;
    suite::fill(&*store, suite::units()).await;
    store.halt().await;
    drop(store);
    let store = on_files(dir.path()).await;
    suite::same_answers(&*store, &fake, &suite::tenants(), &suite::ranges()).await;
    store.flush_all().await.unwrap();
    suite::same_answers(&*store, &fake, &suite::tenants(), &suite::ranges()).await;
    store.halt().await;
    drop(store);
    let store = on_files(dir.path()).await;
    suite::same_answers(&*store, &fake, &suite::tenants(), &suite::ranges()).await;
    let status = store.status();
    assert!(status.total_disk_bytes > 0 && status.free_disk_bytes > 0, "{status:?}");
}

#[tokio::test]
async fn a_second_store_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = on_files(dir.path()).await;
    let objects = LocalObjects::open(dir.path().join("other")).unwrap();
    let second = Store::open(
        Options::new(dir.path()),
        Arc::new(objects),
        Arc::new(disklog::RealDisk),
        Clock::manual(NOW_NS),
        MemoryBudget::unlimited(),
        &Metrics::default(),
    )
    .await;
    let message = second.err().unwrap().to_string();
    assert!(message.contains("in use by another process"), "{message}");
}
