use std::task::Poll;

use base::Kind;
use disklog::fault::FaultDisk;
use model::{LogBatch, LogRecord, LogStream};
use object_store::memory::InMemory;

use super::*;

const NOW_NS: i64 = 1_767_225_600_000_000_000;

async fn open() -> Arc<Store> {
    let (store, _) = Store::open(
        Options::new("/simulated/data"),
        Arc::new(InMemory::new()),
        Arc::new(FaultDisk::new()),
        Clock::manual(NOW_NS),
        MemoryBudget::unlimited(),
        &Metrics::default(),
    )
    .await
    .unwrap();
    store
}

fn line(body: &str) -> AppendUnit {
    let record = LogRecord { timestamp_ns: NOW_NS, body: body.into(), ..LogRecord::default() };
    let batch = LogBatch { streams: vec![LogStream::default()], records: vec![record] };
    AppendUnit { batch_id: None, received_ns: NOW_NS, batches: vec![model::Batch::Logs(batch)] }
}

#[tokio::test]
async fn after_a_panic_of_the_committer_nothing_is_taken_and_the_store_says_why() {
    let store = open().await;
    store.append(&TenantId::default(), line("one")).await.unwrap();
    assert_eq!(store.broken(), None);
    store.queue().unwrap().send(Work::Panic).await.unwrap();
    let ended = store.committer.lock().take().unwrap();
    ended.await;
    let why = store.broken().unwrap();
    assert!(why.contains("committer") && why.contains("as the test wants it"), "{why}");
    assert_eq!(store.status().refusing.as_deref(), Some(why.as_str()));
    let refused = store.append(&TenantId::default(), line("two")).await.unwrap_err();
    assert_eq!((refused.kind, refused.message), (Kind::Unavailable, why));
    assert_eq!(store.status().signals.iter().map(|s| s.items).sum::<u64>(), 1, "what was taken is readable");
    // What cannot be frozen is left to the log; closing does not hang.
    assert!(store.close(Duration::from_secs(5)).await.is_err());
}

#[tokio::test]
async fn units_are_committed_while_the_callers_runtime_is_busy() {
    let store = open().await;
    let tenant = TenantId::default();
    // Once a tenant is known, one poll takes a unit to the queue. It may be committed before the poll is over.
    store.append(&tenant, line("first")).await.unwrap();
    let mut append = Box::pin(store.append(&tenant, line("second")));
    let first_poll = futures::poll!(&mut append);
    let give_up = std::time::Instant::now() + Duration::from_secs(60);
    // This never yields to the runtime, which has only this thread.
    while store.status().signals.iter().map(|s| s.items).sum::<u64>() < 2 {
        assert!(std::time::Instant::now() < give_up, "nobody commits");
        std::thread::yield_now();
    }
    match first_poll {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => append.await.unwrap(),
    };
}

#[tokio::test]
async fn what_is_queued_is_answered_before_the_store_is_closed() {
    let store = open().await;
    let tenant = TenantId::default();
    let appends = (0..50).map(|i| {
        let (store, tenant) = (store.clone(), tenant.clone());
        tokio::spawn(async move { store.append(&tenant, line(&i.to_string())).await })
    });
    let appends: Vec<_> = appends.collect();
    tokio::task::yield_now().await;
    assert!(store.close(Duration::from_secs(60)).await.unwrap());
    let mut taken = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(_) => taken += 1,
            Err(e) => assert!(e.message.contains("shutting down") || e.message.contains("closed"), "{e}"),
        }
    }
    assert!(taken > 0);
}

#[tokio::test]
async fn appends_wait_for_a_flush_where_heads_are_full_but_not_for_one_that_does_not_come() {
    let store = open().await;
    let tenant = TenantId::default();
    let mut policy = store.core.policy.load().as_ref().clone();
    policy.flush.max_head_bytes = 1000;
    store.core.policy.store(Arc::new(policy));
    let long = "x".repeat(3000);
    store.append(&tenant, line(&long)).await.unwrap();
    // Nobody flushes: nothing is waited for.
    store.append(&tenant, line("two")).await.unwrap();

    store.core.room.flushes(true);
    let mut waiting = Box::pin(store.append(&tenant, line("three")));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(store.status().signals.iter().map(|s| s.items).sum::<u64>(), 2);
    store.flush_all().await.unwrap();
    waiting.await.unwrap();

    store.append(&tenant, line(&long)).await.unwrap();
    let mut waiting = Box::pin(store.append(&tenant, line("four")));
    assert!(futures::poll!(&mut waiting).is_pending());
    store.core.clock.advance(Duration::from_secs(2));
    waiting.await.unwrap();

    let mut waiting = Box::pin(store.append(&tenant, line("five")));
    assert!(futures::poll!(&mut waiting).is_pending());
    store.core.room.flushes(false);
    waiting.await.unwrap();
    assert_eq!(store.status().signals.iter().map(|s| s.items).sum::<u64>(), 6);
}
