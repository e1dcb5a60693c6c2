use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use contract::fake::Fake;
use disklog::fault::FaultDisk;
use model::{BatchId, LogBatch, LogRecord, LogStream};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::{Delivery, Outcome, ledger::*};

mod crash;
mod dying;
mod narrow;

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Takes,
    /// Takes it, and the answer is lost.
    TakesAndHangsUp,
    Down,
    Stalls,
    Refuses,
    /// Takes every second item and has the others sent again.
    Halves,
    /// Takes three items at most.
    Small,
}

/// A receiver in memory: what it has, by the id it came under.
struct Receiver {
    mood: Mutex<Mood>,
    has: Mutex<HashMap<BatchId, Vec<String>>>,
    addresses: usize,
    asked: Mutex<Vec<usize>>,
    /// The address that answers, where only one does.
    only: Mutex<Option<usize>>,
}

impl Receiver {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Receiver {
            mood: Mutex::new(mood),
            has: Mutex::default(),
            addresses: 1,
            asked: Mutex::default(),
            only: Mutex::new(None),
        })
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// Every line it has with how often, once per id.
    fn lines(&self) -> BTreeMap<String, usize> {
        let mut lines = BTreeMap::new();
        for line in self.has.lock().values().flatten() {
            *lines.entry(line.clone()).or_default() += 1;
        }
        lines
    }

    fn keep(&self, id: BatchId, lines: &[String]) {
        let mut has = self.has.lock();
        let known = has.entry(id).or_default();
        for line in lines {
            if !known.contains(line) {
                known.push(line.clone());
            }
        }
    }
}

fn lines_of(batch: &Batch) -> Vec<String> {
    match batch {
        Batch::Logs(l) => l.records.iter().map(|r| r.body.to_string()).collect(),
        Batch::Metrics(m) => m.samples.value.iter().map(|v| format!("m{v}")).collect(),
        _ => Vec::new(),
    }
}

#[async_trait]
impl Destination for Receiver {
    fn takes(&self, _: &Signal) -> bool {
        true
    }

    fn addresses(&self) -> usize {
        self.addresses
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        self.asked.lock().push(address);
        let lines = lines_of(&delivery.batch);
        if self.only.lock().is_some_and(|only| only != address) {
            return Outcome::down("nobody is there");
        }
        let mood = *self.mood.lock();
        match mood {
            Mood::Takes => {
                self.keep(delivery.id, &lines);
                Outcome::acknowledged()
            }
            Mood::TakesAndHangsUp => {
                self.keep(delivery.id, &lines);
                Outcome::down("hung up")
            }
            Mood::Down => Outcome::down("nobody is there"),
            Mood::Stalls => std::future::pending().await,
            Mood::Refuses => Outcome::refused("http_400", "never"),
            Mood::Halves => {
                let (now, later): (Vec<u32>, Vec<u32>) = (0..lines.len() as u32).partition(|i| i % 2 == 0);
                let taken: Vec<String> = now.iter().map(|i| lines[*i as usize].clone()).collect();
                self.keep(delivery.id, &taken);
                Outcome::Answered { refused: Reasons::new(), again: later, detail: "busy".to_owned() }
            }
            Mood::Small if lines.len() > 3 => Outcome::TooLarge { detail: "too large".to_owned() },
            Mood::Small => {
                self.keep(delivery.id, &lines);
                Outcome::acknowledged()
            }
        }
    }
}

fn limits() -> Limits {
    Limits {
        max_batch_items: 8,
        min_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
        ..Limits::default()
    }
}

fn target(name: &str, receiver: &Arc<Receiver>) -> Target {
    Target {
        name: name.to_owned(),
        selection: Selection::default(),
        limits: limits(),
        destination: receiver.clone(),
    }
}

fn options() -> QueueOptions {
    QueueOptions { segment_bytes: 4096, ids_every_bytes: 3000, ..QueueOptions::new("/forward") }
}

async fn opened(disk: Arc<dyn Disk>, targets: Vec<Target>) -> Result<Forwarder> {
    Forwarder::open(options(), targets, disk, &Metrics::default(), Clock::system()).await
}

fn unit(number: u64, lines: &[String]) -> AppendUnit {
    let records =
        lines.iter().map(|l| LogRecord { body: l.as_str().into(), timestamp_ns: 1, ..LogRecord::default() });
    AppendUnit {
        batch_id: Some(BatchId::Content(u128::from(number) + 1)),
        received_ns: 1_000_000_000,
        batches: vec![Batch::Logs(LogBatch {
            streams: vec![LogStream::default()],
            records: records.collect(),
        })],
    }
}

fn lines(from: u64, n: u64) -> Vec<String> {
    (from..from + n).map(|i| format!("line-{i}")).collect()
}

fn forwarding(forwarder: &Forwarder, store: &Arc<Fake>) -> Forwarding {
    Forwarding { append: store.clone(), forwarder: forwarder.clone() }
}

/// Looks until it is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(patience.await.is_ok(), "waited in vain: {what}");
}

fn account(f: &Forwarder, name: &str) -> Account {
    let all = f.accounts();
    assert!(all.iter().all(Account::adds_up), "{all:#?}");
    all.into_iter().find(|a| a.destination == name && a.class == Class::Logs).unwrap()
}

fn is_drained(f: &Forwarder) -> bool {
    f.accounts().iter().all(|a| a.pending == 0)
}

#[tokio::test]
async fn everything_accepted_arrives_once_and_a_dead_destination_holds_nobody_back() {
    let (living, dead, stalled) =
        (Receiver::new(Mood::Takes), Receiver::new(Mood::Down), Receiver::new(Mood::Stalls));
    let targets = vec![target("living", &living), target("dead", &dead), target("stalled", &stalled)];
    let f = opened(Arc::new(FaultDisk::new()), targets).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    for i in 0..20 {
        node.append(&TenantId::default(), unit(i, &lines(i * 5, 5))).await.unwrap();
    }
    until("the living one has all", || account(&f, "living").pending == 0).await;
    assert_eq!(living.lines().len(), 100);
    assert!(living.lines().values().all(|n| *n == 1));
    let waits = account(&f, "dead");
    assert_eq!((waits.produced, waits.pending, waits.acknowledged), (100, 100, 0));
    assert!(waits.lag_seconds > 1.0 && waits.backlog_bytes > 0);
    dead.be(Mood::Takes);
    until("the dead one has all", || account(&f, "dead").pending == 0).await;
    assert_eq!(dead.lines().len(), 100);
    assert_eq!(account(&f, "stalled").pending, 100);
}

#[tokio::test]
async fn a_unit_that_comes_twice_is_queued_once() {
    let receiver = Receiver::new(Mood::Takes);
    let f = opened(Arc::new(FaultDisk::new()), vec![target("hub", &receiver)]).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    for _ in 0..3 {
        node.append(&TenantId::default(), unit(0, &lines(0, 4))).await.unwrap();
    }
    until("it is sent", || is_drained(&f)).await;
    assert_eq!(account(&f, "hub").produced, 4);
}

#[tokio::test]
async fn what_is_refused_is_counted_by_reason_and_passed_over() {
    let receiver = Receiver::new(Mood::Refuses);
    let f = opened(Arc::new(FaultDisk::new()), vec![target("hub", &receiver)]).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    node.append(&TenantId::default(), unit(0, &lines(0, 4))).await.unwrap();
    until("it is refused", || is_drained(&f)).await;
    receiver.be(Mood::Takes);
    node.append(&TenantId::default(), unit(1, &lines(4, 4))).await.unwrap();
    until("the next is sent", || is_drained(&f)).await;
    let a = account(&f, "hub");
    assert_eq!(a.refused, Reasons::from([("http_400".to_owned(), 4)]));
    assert_eq!((a.produced, a.acknowledged), (8, 4));
}

#[tokio::test]
async fn items_answered_one_by_one_and_requests_too_large_arrive_in_the_end() {
    for mood in [Mood::Halves, Mood::Small] {
        let receiver = Receiver::new(mood);
        let f = opened(Arc::new(FaultDisk::new()), vec![target("hub", &receiver)]).await.unwrap();
        let node = forwarding(&f, &Arc::new(Fake::new()));
        node.append(&TenantId::default(), unit(0, &lines(0, 13))).await.unwrap();
        until("all is sent", || is_drained(&f)).await;
        assert_eq!(account(&f, "hub").acknowledged, 13);
        assert_eq!(receiver.lines().values().copied().collect::<Vec<_>>(), vec![1; 13]);
    }
}

#[tokio::test]
async fn past_its_backlog_the_oldest_is_dropped_and_counted() {
    let (dead, living) = (Receiver::new(Mood::Down), Receiver::new(Mood::Takes));
    let mut small = target("dead", &dead);
    small.limits.max_backlog_bytes = 3000;
    let f = opened(Arc::new(FaultDisk::new()), vec![small, target("living", &living)]).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    for i in 0..100 {
        node.append(&TenantId::default(), unit(i, &lines(i * 5, 5))).await.unwrap();
    }
    until("it is within its bound", || account(&f, "dead").backlog_bytes <= 3000).await;
    let a = account(&f, "dead");
    assert_eq!(a.dropped.keys().collect::<Vec<_>>(), [QUEUE_FULL]);
    assert!(a.pending > 0 && a.dropped[QUEUE_FULL] > 300, "{a:?}");
    dead.be(Mood::Takes);
    until("the rest arrives", || account(&f, "dead").pending == 0).await;
    let (a, got) = (account(&f, "dead"), dead.lines());
    assert_eq!(got.len() as u64, a.acknowledged);
    assert!(got.contains_key("line-499") && !got.contains_key("line-0"), "the oldest went");
    until("the other has all", || account(&f, "living").acknowledged == 500).await;
}

#[tokio::test]
async fn space_returns_once_every_cursor_is_past_it() {
    let disk = FaultDisk::new();
    let (a, b) = (Receiver::new(Mood::Takes), Receiver::new(Mood::Down));
    let f = opened(Arc::new(disk.clone()), vec![target("a", &a), target("b", &b)]).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    let mut most = 0;
    for i in 0..200 {
        node.append(&TenantId::default(), unit(i, &lines(i * 5, 5))).await.unwrap();
        most = most.max(f.0.core.log.bytes());
    }
    assert!(most > 20_000, "the dead one holds it: {most}");
    b.be(Mood::Takes);
    until("all is sent", || is_drained(&f)).await;
    node.append(&TenantId::default(), unit(1000, &lines(2000, 40))).await.unwrap();
    until("the log is cut", || is_drained(&f) && f.0.core.log.bytes() < 12_000).await;
}

#[tokio::test]
async fn the_next_address_is_asked_at_once_and_the_first_again_only_later() {
    let mut receiver = Receiver::new(Mood::Takes);
    Arc::get_mut(&mut receiver).unwrap().addresses = 3;
    *receiver.only.lock() = Some(1);
    let f = opened(Arc::new(FaultDisk::new()), vec![target("hub", &receiver)]).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    for i in 0..5 {
        node.append(&TenantId::default(), unit(i, &lines(i * 5, 5))).await.unwrap();
        until("it is sent", || is_drained(&f)).await;
    }
    let asked = receiver.asked.lock().clone();
    assert_eq!(asked, [0, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn counts_and_cursors_go_on_after_a_restart_and_a_removed_destination_is_accounted_for() {
    let disk = FaultDisk::new();
    let store = Arc::new(Fake::new());
    let (a, b) = (Receiver::new(Mood::Takes), Receiver::new(Mood::Down));
    let f = opened(Arc::new(disk.clone()), vec![target("a", &a), target("b", &b)]).await.unwrap();
    let node = forwarding(&f, &store);
    node.append(&TenantId::default(), unit(0, &lines(0, 10))).await.unwrap();
    until("a has it", || account(&f, "a").pending == 0).await;
    f.close(Duration::from_secs(10)).await;
    assert!(node.append(&TenantId::default(), unit(9, &lines(90, 1))).await.is_err(), "it is closed");

    let f = opened(Arc::new(disk.clone()), vec![target("a", &a)]).await.unwrap();
    let node = forwarding(&f, &store);
    node.append(&TenantId::default(), unit(1, &lines(10, 10))).await.unwrap();
    until("a has more", || account(&f, "a").acknowledged == 20).await;
    let gone = account(&f, "b");
    assert!(gone.removed);
    assert_eq!(gone.dropped, Reasons::from([(DESTINATION_REMOVED.to_owned(), 10)]));
    f.close(Duration::from_secs(10)).await;

    b.be(Mood::Takes);
    let f = opened(Arc::new(disk.clone()), vec![target("a", &a), target("b", &b)]).await.unwrap();
    let node = forwarding(&f, &store);
    node.append(&TenantId::default(), unit(2, &lines(20, 10))).await.unwrap();
    until("both have it", || is_drained(&f)).await;
    assert_eq!((account(&f, "a").acknowledged, account(&f, "b").acknowledged), (30, 10));
    assert_eq!(a.lines().len(), 30);
}

#[tokio::test]
async fn a_full_disk_turns_senders_away_and_what_they_send_again_is_not_lost() {
    let disk = FaultDisk::new();
    let receiver = Receiver::new(Mood::Takes);
    let f = opened(Arc::new(disk.clone()), vec![target("hub", &receiver)]).await.unwrap();
    let node = forwarding(&f, &Arc::new(Fake::new()));
    disk.set_free_bytes(10);
    let e = node.append(&TenantId::default(), unit(0, &lines(0, 5))).await.unwrap_err();
    assert_eq!(e.kind(), base::Kind::Unavailable);
    disk.heal();
    let tenant = TenantId::default();
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while node.append(&tenant, unit(0, &lines(0, 5))).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    patience.await.unwrap();
    until("it is sent", || account(&f, "hub").acknowledged == 5).await;
}

#[tokio::test]
async fn settings_that_cannot_work_name_the_destination() {
    let r = Receiver::new(Mood::Takes);
    let twice = vec![target("a", &r), target("a", &r)];
    let e = opened(Arc::new(FaultDisk::new()), twice).await.err().unwrap();
    assert_eq!(e.to_string(), "name of destination a is \"a\", wanted is a name of its own");
    assert_eq!(e.kind(), base::Kind::Invalid);
}

#[test]
fn what_the_store_refused_is_not_queued() {
    let mut u = unit(0, &lines(0, 4));
    let mut receipt = Receipt::default();
    for i in [1, 3] {
        receipt.refuse_record(i, contract::RefusalReason::TooOld, String::new);
    }
    accepted(&mut u, &receipt);
    assert_eq!(lines_of(&u.batches[0]), ["line-0", "line-2"]);
}
