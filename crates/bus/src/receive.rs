//! Taking records from topics as one of a consumer group:
//!
//! ```text
//! poll ─► per partition, several at once and in order: intake ─► durable ─► progress ─► commit
//!            │ not now: tried again, while the others wait and the group is kept
//!            └ malformed: counted, passed over
//! ```
//! A record is committed when it and all before it in its partition are durable or passed over. After a crash what was
//! durable and not committed is taken again, under the same id.

mod board;
mod lane;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use base::{Clock, Shutdown, backoff::Backoff};
use futures::future::join_all;
use krafka::{
    KrafkaError,
    consumer::{
        AutoOffsetReset, Consumer, ConsumerRebalanceListener, ConsumerRecord, OffsetAndMetadata,
        PartitionAssignmentStrategy, TopicPartition,
    },
};
use model::{Signal, TenantId};

use self::{board::Board, lane::Lane};
use crate::{Connection, Encoding, Error, Intake, Result, stats::Stats};

/// How long one poll waits for records.
const POLL: Duration = Duration::from_millis(250);
/// Records waited for longer than this are waited for with the partitions paused, so that the group is kept meanwhile.
const STALLED: Duration = Duration::from_secs(1);
/// At most one line in this long about what does not go.
const LOG_EVERY_NS: i64 = 10_000_000_000;

/// What is taken, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiveOptions {
    pub connection: Connection,
    /// Nodes of one group share the partitions.
    pub group: String,
    pub topics: Vec<Subscription>,
    /// Whose a record is that does not say so.
    pub tenant: TenantId,
    /// Whether `X-Scope-OrgID` among a record's headers says whose it is.
    pub tenant_header: bool,
    /// Where a partition begins of which nothing was committed yet: at its beginning, or with what comes.
    pub from_beginning: bool,
    /// Records of one partition that are made durable at once.
    pub in_flight: usize,
    /// Records fetched at once.
    pub max_poll_records: usize,
    pub commit_interval: Duration,
    /// After this long without a word a node's partitions go to others.
    pub session_timeout: Duration,
}

/// A topic and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    pub topic: String,
    pub signal: Signal,
    pub encoding: Encoding,
}

impl ReceiveOptions {
    /// The topics of the Collector's exporter, in protobuf.
    pub fn new(connection: Connection) -> Self {
        let topic = |signal: Signal| Subscription {
            topic: crate::default_topic(&signal).to_owned(),
            signal,
            encoding: Encoding::Protobuf,
        };
        ReceiveOptions {
            connection,
            group: "orrery".to_owned(),
            topics: Signal::KNOWN.into_iter().map(topic).collect(),
            tenant: TenantId::default(),
            tenant_header: false,
            from_beginning: true,
            in_flight: 16,
            max_poll_records: 256,
            commit_interval: Duration::from_secs(1),
            session_timeout: Duration::from_secs(45),
        }
    }

    /// # Errors
    /// Settings that can never work.
    pub fn check(&self) -> Result<()> {
        self.connection.check()?;
        let setting = |name, value: &str, wanted| Error::Setting { name, value: value.to_owned(), wanted };
        if self.group.is_empty() {
            return Err(setting("group", "", "a name"));
        }
        if self.topics.is_empty() {
            return Err(setting("topics", "", "at least one"));
        }
        for (i, t) in self.topics.iter().enumerate() {
            if t.topic.is_empty() || self.topics.iter().skip(i + 1).any(|o| o.topic == t.topic) {
                return Err(setting("topics", &t.topic, "names, each once"));
            }
            if !Signal::KNOWN.contains(&t.signal) {
                return Err(setting("signal", t.signal.as_str(), "metrics, logs or traces"));
            }
        }
        if self.in_flight == 0 || self.max_poll_records == 0 {
            return Err(setting("in_flight or max_poll_records", "0", "at least 1"));
        }
        Ok(())
    }
}

/// Takes records until `shutdown` starts; then what is durable is committed. Lost brokers are waited for.
///
/// # Errors
/// Settings that can never work.
pub async fn receive(
    options: ReceiveOptions,
    intake: Arc<dyn Intake>,
    stats: Stats,
    clock: Clock,
    shutdown: Shutdown,
) -> Result<()> {
    options.check()?;
    let receiver = Receiver { options, intake, stats, clock, shutdown };
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    while !receiver.shutdown.is_started() {
        match receiver.session(&mut backoff).await {
            Ok(()) => break,
            Err(e) => {
                tracing::warn!(group = receiver.options.group, error = %e, "kafka cannot be received from; it is tried again")
            }
        }
        let wait = backoff.next_wait(&mut rand::rng());
        tokio::select! {
            () = receiver.clock.sleep(wait) => {}
            () = receiver.shutdown.started() => {}
        }
    }
    Ok(())
}

struct Receiver {
    options: ReceiveOptions,
    intake: Arc<dyn Intake>,
    stats: Stats,
    clock: Clock,
    shutdown: Shutdown,
}

/// One life of a consumer.
struct Session<'a> {
    of: &'a Receiver,
    consumer: Arc<Consumer>,
    board: Arc<Board>,
    /// By topic: what tells it from one of the same name before.
    topic_ids: HashMap<String, u64>,
    committed_ns: i64,
    logged_ns: i64,
}

impl Receiver {
    async fn session(&self, backoff: &mut Backoff) -> Result<()> {
        let o = &self.options;
        let kafka = o.connection.open().await?;
        let board = Arc::new(Board::new(self.stats.clone()));
        let slot = Arc::new(OnceLock::new());
        let start = if o.from_beginning { AutoOffsetReset::Earliest } else { AutoOffsetReset::Latest };
        let records = i32::try_from(o.max_poll_records).unwrap_or(i32::MAX);
        let consumer = kafka
            .consumer(o.group.as_str())
            .enable_auto_commit(false)
            .auto_offset_reset(start)
            .max_poll_records(records)
            .max_buffered_records(records.saturating_mul(2))
            .session_timeout(o.session_timeout)
            .partition_assignment_strategy(PartitionAssignmentStrategy::CooperativeSticky)
            .metrics_push(false)
            .rebalance_listener(Listener { board: board.clone(), consumer: slot.clone() })
            .build()
            .await?;
        let consumer = Arc::new(consumer);
        let _ = slot.set(Arc::downgrade(&consumer));
        consumer.subscribe(o.topics.iter().map(|t| t.topic.as_str())).await?;
        let mut session = Session {
            of: self,
            consumer,
            board,
            topic_ids: HashMap::new(),
            committed_ns: self.clock.now_ns(),
            logged_ns: i64::MIN,
        };
        let outcome = session.run(backoff).await;
        session.commit().await;
        if let Err(e) = session.consumer.close().await {
            tracing::debug!(error = %e, "a consumer did not leave its group");
        }
        session.board.clear();
        outcome
    }
}

impl Session<'_> {
    async fn run(&mut self, backoff: &mut Backoff) -> Result<()> {
        let mut waits = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while !self.of.shutdown.is_started() {
            let polled = tokio::select! {
                polled = self.consumer.poll(POLL) => polled,
                () = self.of.shutdown.started() => return Ok(()),
            };
            match polled {
                Ok(records) => {
                    backoff.reset();
                    waits.reset();
                    self.work(records).await;
                }
                Err(e) if e.is_fatal() => return Err(e.into()),
                // The topic may yet be made, the broker may come back.
                Err(e) => {
                    self.say(&e);
                    let wait = waits.next_wait(&mut rand::rng());
                    tokio::select! {
                        () = self.of.clock.sleep(wait) => {}
                        () = self.of.shutdown.started() => return Ok(()),
                    }
                }
            }
            self.commit_if_due().await;
        }
        Ok(())
    }

    /// Takes these records, and those that come while it waits for them.
    async fn work(&mut self, mut records: Vec<ConsumerRecord>) {
        while !records.is_empty() && !self.of.shutdown.is_started() {
            self.learn(&records).await;
            let lanes: Vec<Lane> = self.lanes(std::mem::take(&mut records));
            let all = join_all(lanes.into_iter().map(Lane::run));
            tokio::pin!(all);
            let mut is_paused = false;
            loop {
                tokio::select! {
                    _ = &mut all => break,
                    () = self.of.shutdown.started() => return,
                    () = self.of.clock.sleep(STALLED) => {
                        is_paused = true;
                        records.extend(self.keep_group().await);
                        self.commit_if_due().await;
                    }
                }
            }
            if is_paused {
                self.resume().await;
            }
        }
    }

    /// Says a word to the group without asking for more.
    async fn keep_group(&mut self) -> Vec<ConsumerRecord> {
        for (topic, partitions) in self.consumer.assignment().await {
            self.consumer.pause(&topic, &partitions).await;
        }
        match self.consumer.poll(Duration::ZERO).await {
            Ok(records) => records,
            Err(e) => {
                self.say(&e);
                Vec::new()
            }
        }
    }

    async fn resume(&self) {
        for (topic, partition) in self.consumer.paused_partitions().await {
            self.consumer.resume(&topic, &[partition]).await;
        }
    }

    fn lanes(&self, records: Vec<ConsumerRecord>) -> Vec<Lane> {
        let mut lanes: Vec<Lane> = Vec::new();
        for record in records {
            let same = |l: &&mut Lane| *l.topic == *record.topic && l.partition == record.partition;
            if let Some(lane) = lanes.iter_mut().find(same) {
                lane.records.push(record);
                continue;
            }
            let Some(subscription) = self.of.options.topics.iter().find(|t| t.topic == *record.topic) else {
                continue;
            };
            lanes.push(Lane {
                topic: record.topic.clone(),
                partition: record.partition,
                topic_id: self.topic_ids.get(&*record.topic).copied().unwrap_or(0),
                signal: subscription.signal.clone(),
                encoding: subscription.encoding,
                tenant: self.of.options.tenant.clone(),
                tenant_header: self.of.options.tenant_header,
                in_flight: self.of.options.in_flight,
                life: self.board.life(&record.topic, record.partition),
                intake: self.of.intake.clone(),
                board: self.board.clone(),
                stats: self.of.stats.clone(),
                clock: self.of.clock.clone(),
                records: vec![record],
            });
        }
        lanes
    }

    /// Finds out what tells topics from those of the same name before, and where partitions went on.
    async fn learn(&mut self, records: &[ConsumerRecord]) {
        for record in records {
            let (topic, partition) = (&*record.topic, record.partition);
            if !self.topic_ids.contains_key(topic)
                && let Ok(found) = self.consumer.fetch_metadata(Some(topic)).await
                && let Some(info) = found.topics.iter().find(|t| t.name == topic)
            {
                self.topic_ids.insert(topic.to_owned(), xxhash_rust::xxh3::xxh3_64(&info.topic_id));
            }
            if self.board.is_new(topic, partition) {
                let committed = self.consumer.committed(&[(topic, partition)]).await.unwrap_or_default();
                let from = committed.get(&(topic.to_owned(), partition)).map(|c| c.offset);
                self.board.begin(topic, partition, from.filter(|o| *o >= 0));
            }
        }
    }

    async fn commit_if_due(&mut self) {
        let now_ns = self.of.clock.now_ns();
        let interval = i64::try_from(self.of.options.commit_interval.as_nanos()).unwrap_or(i64::MAX);
        if now_ns.saturating_sub(self.committed_ns) < interval {
            return;
        }
        self.committed_ns = now_ns;
        self.commit().await;
        for (at, lag) in self.consumer.lag().await {
            let unread = lag.lag.and_then(|n| i64::try_from(n).ok());
            let position = lag.position.unwrap_or(0);
            if let Some(unread) = unread {
                let taken = self.board.behind(at.topic(), at.partition(), position);
                self.of.stats.lag(at.topic(), at.partition(), unread + taken);
            }
        }
    }

    async fn commit(&mut self) {
        if let Err(e) = commit(&self.consumer, &self.board, None).await {
            self.say(&e);
        }
    }

    fn say(&mut self, e: &KrafkaError) {
        let now_ns = self.of.clock.now_ns();
        if now_ns.saturating_sub(self.logged_ns) >= LOG_EVERY_NS {
            self.logged_ns = now_ns;
            tracing::warn!(group = self.of.options.group, error = %e, "receiving from kafka");
        }
    }
}

/// Commits what is durable, of all partitions or of these.
async fn commit(consumer: &Consumer, board: &Board, only: Option<&[TopicPartition]>) -> krafka::Result<()> {
    let wanted = |topic: &str, partition: i32| {
        only.is_none_or(|all| all.iter().any(|p| p.topic() == topic && p.partition() == partition))
    };
    let due: Vec<(String, i32, i64)> =
        board.due().into_iter().filter(|(topic, partition, _)| wanted(topic, *partition)).collect();
    if due.is_empty() {
        return Ok(());
    }
    let offsets = due.iter().map(|(topic, partition, offset)| {
        (TopicPartition::new(topic.as_str(), *partition), OffsetAndMetadata::new(*offset))
    });
    consumer.commit_offsets(offsets.collect::<Vec<_>>()).await?;
    due.iter().for_each(|(topic, partition, offset)| board.committed(topic, *partition, *offset));
    Ok(())
}

/// Commits what is durable of a partition before it goes to somebody else.
struct Listener {
    board: Arc<Board>,
    consumer: Arc<OnceLock<Weak<Consumer>>>,
}

impl ConsumerRebalanceListener for Listener {
    async fn on_partitions_assigned(&self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|p| self.board.assign(p.topic(), p.partition()));
    }

    async fn on_partitions_revoked(&self, partitions: &[TopicPartition]) {
        if let Some(consumer) = self.consumer.get().and_then(Weak::upgrade)
            && let Err(e) = commit(&consumer, &self.board, Some(partitions)).await
        {
            tracing::warn!(error = %e, "partitions go to another with records that will be taken again");
        }
        partitions.iter().for_each(|p| self.board.remove(p.topic(), p.partition()));
    }

    async fn on_partitions_lost(&self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|p| self.board.remove(p.topic(), p.partition()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_named() {
        let o = ReceiveOptions::new(Connection::new(["a:9092"]));
        assert_eq!(o.check().map_err(|e| e.to_string()), Ok(()));
        let topics: Vec<&str> = o.topics.iter().map(|t| t.topic.as_str()).collect();
        assert_eq!(topics, ["otlp_metrics", "otlp_logs", "otlp_spans"]);
        let twice = ReceiveOptions { topics: [o.topics.clone(), o.topics.clone()].concat(), ..o.clone() };
        assert_eq!(
            twice.check().unwrap_err().to_string(),
            "topics is \"otlp_metrics\", wanted is names, each once"
        );
        assert!(ReceiveOptions { group: String::new(), ..o.clone() }.check().is_err());
        assert!(ReceiveOptions { in_flight: 0, ..o }.check().is_err());
    }
}
