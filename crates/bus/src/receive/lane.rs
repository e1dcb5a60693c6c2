//! Records of one partition, in their order.

use std::{sync::Arc, time::Duration};

use base::{Clock, backoff::Backoff};
use futures::{StreamExt, stream};
use krafka::consumer::ConsumerRecord;
use model::{BatchId, Signal, TenantId};
use xxhash_rust::xxh3::Xxh3;

use super::board::Board;
use crate::{Arrival, BATCH_HEADER, Encoding, Intake, TENANT_HEADER, Verdict, stats::Stats};

pub(super) struct Lane {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) topic_id: u64,
    pub(super) signal: Signal,
    pub(super) encoding: Encoding,
    pub(super) tenant: TenantId,
    pub(super) tenant_header: bool,
    pub(super) in_flight: usize,
    /// The assignment the records were handed out under.
    pub(super) life: u64,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) board: Arc<Board>,
    pub(super) stats: Stats,
    pub(super) clock: Clock,
    pub(super) records: Vec<ConsumerRecord>,
}

impl Lane {
    /// Ends when all are durable or passed over, or the partition is somebody else's.
    pub(super) async fn run(mut self) {
        let records = std::mem::take(&mut self.records);
        let mut taken = stream::iter(records).map(|r| self.one(r)).buffered(self.in_flight);
        while let Some(offset) = taken.next().await {
            let is_mine =
                offset.is_some_and(|o| self.board.advance(&self.topic, self.partition, self.life, o));
            if !is_mine {
                return;
            }
        }
    }

    /// The offset once it is done with; none where the partition was lost meanwhile.
    async fn one(&self, record: ConsumerRecord) -> Option<i64> {
        let offset = record.offset;
        let arrival = match self.arrival(record) {
            Ok(arrival) => arrival,
            Err(why) => {
                self.pass(offset, &why);
                return Some(offset);
            }
        };
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while self.board.life(&self.topic, self.partition) == self.life {
            match self.intake.take(arrival.clone()).await {
                Verdict::Taken { duplicate, accepted, refused } => {
                    self.stats.record(&self.topic, if duplicate { "duplicate" } else { "stored" });
                    self.stats.taken(&self.topic, arrival.payload.len(), accepted, refused);
                    return Some(offset);
                }
                Verdict::Malformed(why) => {
                    self.pass(offset, &why);
                    return Some(offset);
                }
                Verdict::Later(why) => {
                    self.stats.record(&self.topic, "later");
                    tracing::debug!(topic = &*self.topic, offset, why, "a record is not taken now");
                    let wait = backoff.next_wait(&mut rand::rng());
                    self.clock.sleep(wait).await;
                }
            }
        }
        None
    }

    fn pass(&self, offset: i64, why: &str) {
        self.stats.record(&self.topic, "malformed");
        let (topic, partition) = (&*self.topic, self.partition);
        tracing::warn!(topic, partition, offset, why, "a record is passed over");
    }

    fn arrival(&self, record: ConsumerRecord) -> Result<Arrival, String> {
        let text = |name: &str| record.header_str(name).map(str::to_owned);
        let named = text(TENANT_HEADER).filter(|_| self.tenant_header);
        let tenant = match named {
            Some(name) => TenantId::new(&name).map_err(|e| e.to_string())?,
            None => self.tenant.clone(),
        };
        let id = match text(BATCH_HEADER).filter(|batch| !batch.is_empty()) {
            Some(batch) => self.by_name(&batch),
            None => self.by_place(record.offset),
        };
        let payload = record.value.ok_or("it has no value")?;
        Ok(Arrival {
            id,
            tenant,
            signal: self.signal.clone(),
            encoding: self.encoding,
            topic: self.topic.to_string(),
            partition: self.partition,
            offset: record.offset,
            payload,
        })
    }

    /// Of the batch the record names: it may stand in the topic twice.
    fn by_name(&self, batch: &str) -> BatchId {
        let mut hash = Xxh3::new();
        hash.update(b"kafka-batch\0");
        hash.update(self.topic.as_bytes());
        hash.update(b"\0");
        hash.update(batch.as_bytes());
        BatchId::Content(hash.digest128())
    }

    /// Of where the record stands.
    fn by_place(&self, offset: i64) -> BatchId {
        let mut hash = Xxh3::new();
        hash.update(b"kafka\0");
        hash.update(self.topic.as_bytes());
        hash.update(&self.partition.to_le_bytes());
        BatchId::Numbered { source: hash.digest(), epoch: self.topic_id, sequence: offset.unsigned_abs() }
    }
}
