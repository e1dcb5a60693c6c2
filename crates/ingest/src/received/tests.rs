use contract::fake::Fake;
use disklog::fault::FaultDisk;
use model::{Batch, Labels, LogBatch, LogRecord, LogStream, MetricBatch, TenantId};

use super::*;

fn id(sequence: u64) -> BatchId {
    BatchId::Numbered { source: 7, epoch: 1, sequence }
}

fn logs(n: usize) -> Batch {
    let labels = Labels::from_pairs([("cluster", "dev-01")]);
    let record = |i: usize| LogRecord { timestamp_ns: 1_000_000_000 + i as i64, ..LogRecord::default() };
    Batch::Logs(LogBatch {
        streams: vec![LogStream { labels, ..LogStream::default() }],
        records: (0..n).map(record).collect(),
    })
}

/// What was dropped lets go of the directory when its writer has ended, which may be a moment later.
fn open(disk: &Arc<FaultDisk>) -> Received {
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let metrics = Metrics::default();
        let lag = PipelineLag::new(&metrics);
        match Received::open("ledger", disk.clone(), &metrics, lag, Clock::system()) {
            Err(e) if e.message.contains("in use") && std::time::Instant::now() < give_up => {
                std::thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}

fn noted(sequence: u64, n: usize) -> Noted {
    let sender = Sender { addr: "10.0.0.1".to_owned(), ..Sender::default() };
    Noted::new(id(sequence), &logs(n), 0, &sender, 3_000_000_000).unwrap()
}

fn stored(n: u64) -> Receipt {
    let mut receipt = Receipt::default();
    receipt.accept(Signal::LOGS, n);
    receipt
}

#[tokio::test]
async fn a_number_is_counted_once_whatever_comes_between() {
    let disk = Arc::new(FaultDisk::new());
    let received = open(&disk);
    let mut partly = stored(2);
    partly.refuse_record(1, RefusalReason::TooOld, || "x".to_owned());
    received.note(&noted(1, 3), &partly).await.unwrap();
    received.note(&noted(2, 5), &stored(5)).await.unwrap();
    received.again(&noted(1, 3)).await.unwrap();
    let before = received.sources();
    assert_eq!((before[0].requests, before[0].taken, before[0].repeated_items), (2, 7, 3));
    assert_eq!(before[0].refused, [("too_old".to_owned(), 1)].into());
    assert_eq!((before[0].cluster.as_str(), before[0].from.as_str()), ("dev-01", "10.0.0.1"));
    drop(received);
    disk.crash(1);

    let received = open(&disk);
    assert_eq!(received.sources(), before);
    let answer = received.known(&noted(1, 3)).unwrap().receipt(&Signal::LOGS);
    assert_eq!((answer.accepted_items(), answer.refused_items()), (2, 1));
    assert_eq!(answer.refused[0].positions, [1]);
    assert!(received.known(&noted(3, 1)).is_none());
    // The store had it, and the process died before it was counted here.
    let known = Receipt { duplicate: true, ..Receipt::default() };
    received.note(&noted(3, 4), &known).await.unwrap();
    assert_eq!(received.sources()[0].taken, 11);
}

#[tokio::test]
async fn a_number_whose_sender_hung_up_while_it_was_written_is_counted_once() {
    let disk = Arc::new(FaultDisk::new());
    let received = open(&disk);
    let known = Receipt { duplicate: true, ..Receipt::default() };
    for n in 0..20 {
        // The line is on its way, and nobody waits for it any more.
        let first = tokio::time::timeout(std::time::Duration::ZERO, async {
            received.note(&noted(n, 5), &stored(5)).await
        });
        let heard = first.await.is_ok();
        if !heard || received.known(&noted(n, 5)).is_none() {
            received.note(&noted(n, 5), &known).await.unwrap();
        }
    }
    let before = received.sources();
    assert_eq!((before[0].requests, before[0].taken), (20, 100));
    drop(received);
    disk.crash(1);
    let received = open(&disk);
    assert_eq!(received.sources(), before);
}

#[tokio::test]
async fn a_state_takes_the_place_of_the_lines_before_it() {
    let disk = Arc::new(FaultDisk::new());
    let received = open(&disk);
    for n in 0..600 {
        received.note(&noted(n, 1), &stored(1)).await.unwrap();
    }
    received.shorten().await.unwrap();
    received.note(&noted(600, 1), &stored(1)).await.unwrap();
    let before = received.sources();
    drop(received);
    let received = open(&disk);
    assert_eq!(received.sources(), before);
    assert_eq!(before[0].taken, 601);
    assert!(received.known(&noted(600, 1)).is_some() && received.known(&noted(300, 1)).is_some());
    assert!(received.known(&noted(10, 1)).is_none(), "bounded");
    let known = Receipt { duplicate: true, ..Receipt::default() };
    received.note(&noted(10, 1), &known).await.unwrap();
    let after = received.sources().remove(0);
    assert_eq!(
        (after.taken, after.repeated_items),
        (601, 1),
        "too far back to be remembered, and known to the store"
    );
}

#[tokio::test]
async fn admission_answers_a_repeated_number_as_it_did_and_stores_nothing() {
    let disk = Arc::new(FaultDisk::new());
    let received = Arc::new(open(&disk));
    let fake = Arc::new(Fake::new());
    let ingest = crate::Ingest::new(
        fake.clone(),
        base::MemoryBudget::new(1 << 30),
        &Metrics::default(),
        Clock::system(),
        crate::Options::default(),
    )
    .with_received(received.clone());
    let sender = crate::Sender { batch: Some(id(9)), ..crate::Sender::default() };
    let mut m = MetricBatch::default();
    let s = m.push_series(Labels::from_pairs([("__name__", "up"), ("cluster", "dev-01")]));
    m.samples.push(s, Clock::system().now_ms(), 1.0);
    let body = snap::raw::Encoder::new().compress_vec(&wire::remote_write::encode(&m)).unwrap();
    for _ in 0..3 {
        let tenant = TenantId::default();
        let encoding = base::cap::Encoding::Snappy;
        ingest.remote_write_v1(&tenant, &sender, encoding, body.clone().into()).await.unwrap();
    }
    let account = received.sources().remove(0);
    assert_eq!((account.taken, account.repeated_requests, account.repeated_items), (1, 2, 2));
    assert_eq!(account.cluster, "dev-01");
}

#[test]
fn the_newest_item_of_each_cluster_counts() {
    let mut m = MetricBatch::default();
    for (cluster, t) in [("a", 5), ("b", 1), ("a", 3)] {
        let s = m.push_series(Labels::from_pairs([("__name__", "up"), ("cluster", cluster)]));
        m.samples.push(s, t, 1.0);
    }
    assert_eq!(newest(&Batch::Metrics(m)), [("a".to_owned(), 5_000_000), ("b".to_owned(), 1_000_000)]);
    assert_eq!(newest(&logs(2)), [("dev-01".to_owned(), 1_000_000_001)]);
}
