//! Sending: an idempotent producer whose records count once all replicas in sync have them (`acks=all`).
//!
//! The producer keeps what it was given until it knows what became of it, through lost connections and brokers. Whoever
//! asks again about records under the same ticket waits on, and nothing is sent a second time; only when the producer
//! itself has given up, after [`SendOptions::give_up`], are they sent anew. Brokers drop what a retry doubles.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use krafka::{
    KrafkaError, Record,
    error::ErrorCode,
    producer::{DeliveryHandle, murmur2},
};
use model::TenantId;
use parking_lot::Mutex;

use crate::{BATCH_HEADER, Connection, Result, TENANT_HEADER};

/// How records are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    #[default]
    Lz4,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SendOptions {
    pub compression: Compression,
    /// Of one record before it is packed; brokers take 1 MiB unless told otherwise (`message.max.bytes`).
    pub max_record_bytes: usize,
    /// How long one call waits. What it waited for is not given up.
    pub timeout: Duration,
    /// How long the producer itself goes on trying before a record is lost to it.
    pub give_up: Duration,
}

impl Default for SendOptions {
    fn default() -> Self {
        SendOptions {
            compression: Compression::default(),
            max_record_bytes: 900_000,
            timeout: Duration::from_secs(30),
            give_up: Duration::from_secs(3600),
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub topic: String,
    pub partition: i32,
    pub payload: Bytes,
    pub tenant: TenantId,
    /// What [`BATCH_HEADER`] says.
    pub batch: String,
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// All replicas in sync have it.
    Written,
    /// It will never be taken.
    Refused { reason: &'static str, detail: String },
    /// Nobody knows yet, or it was lost; to be asked for again under the same ticket.
    Unknown { detail: String },
}

/// Connects when it is first used, and anew after errors that end a producer.
pub struct Producer {
    connection: Connection,
    options: SendOptions,
    open: tokio::sync::Mutex<Option<Arc<krafka::producer::Producer>>>,
    /// By ticket: what is under way.
    tickets: Mutex<HashMap<u64, Ticket>>,
}

/// Records under way of one sender. A sender has one request under way at a time.
struct Ticket {
    number: u128,
    records: Vec<Way>,
}

enum Way {
    Known(Sent),
    Waiting(DeliveryHandle),
}

impl Producer {
    /// # Errors
    /// Settings that can never work; nobody is asked.
    pub fn new(connection: Connection, options: SendOptions) -> Result<Self> {
        connection.check()?;
        Ok(Producer {
            connection,
            options,
            open: tokio::sync::Mutex::new(None),
            tickets: Mutex::new(HashMap::new()),
        })
    }

    pub fn options(&self) -> &SendOptions {
        &self.options
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// No broker answers, or there is no such topic.
    pub async fn partitions(&self, topic: &str) -> Result<usize> {
        let producer = self.open().await?;
        let asked = tokio::time::timeout(self.options.timeout, producer.partitions_for(topic)).await;
        let outcome = asked.unwrap_or_else(|e| Err(e.into()));
        self.note(outcome.as_ref().err()).await;
        Ok(outcome?.len().max(1))
    }

    /// Sends the records, or waits on for them where `sender` asked under this `number` before. The answer is as long as
    /// `messages` and in their order.
    ///
    /// Bears being dropped: what was given to the producer stays under its ticket.
    pub async fn send(&self, sender: u64, number: u128, messages: &[Message]) -> Vec<Sent> {
        let mut ticket = self.tickets.lock().remove(&sender).filter(|t| t.number == number);
        if ticket.as_ref().is_none_or(|t| t.records.len() != messages.len()) {
            ticket = None;
        }
        let lost = |detail: String| Way::Known(Sent::Unknown { detail });
        let mut held = Held {
            producer: self,
            sender,
            ticket: ticket.unwrap_or_else(|| Ticket {
                number,
                records: messages.iter().map(|_| lost(String::new())).collect(),
            }),
        };
        let work = self.work(&mut held.ticket.records, messages);
        let in_time = tokio::time::timeout(self.options.timeout, work).await;
        let answer = held.ticket.records.iter().map(|way| match way {
            Way::Known(sent) => sent.clone(),
            Way::Waiting(_) => Sent::Unknown { detail: "no broker has answered yet".to_owned() },
        });
        let answer: Vec<Sent> = answer.collect();
        if in_time.is_ok() && answer.iter().all(|s| !matches!(s, Sent::Unknown { .. })) {
            held.ticket.records.clear();
        }
        answer
    }

    /// Gives the producer what it has not, and waits for each.
    async fn work(&self, ways: &mut [Way], messages: &[Message]) {
        let is_lost = |w: &Way| matches!(w, Way::Known(Sent::Unknown { .. }));
        if ways.iter().any(is_lost) {
            let opened = self.open().await;
            for (way, message) in ways.iter_mut().zip(messages).filter(|(w, _)| is_lost(w)) {
                *way = match &opened {
                    Err(e) => Way::Known(Sent::Unknown { detail: e.to_string() }),
                    Ok(producer) => match producer.enqueue(record(message)).await {
                        Ok(handle) => Way::Waiting(handle),
                        Err(e) => Way::Known(self.judge(&e).await),
                    },
                };
            }
        }
        for way in ways {
            if let Way::Waiting(handle) = way {
                let known = match handle.await {
                    Ok(_) => Sent::Written,
                    Err(e) => self.judge(&e).await,
                };
                *way = Way::Known(known);
            }
        }
    }

    async fn judge(&self, e: &KrafkaError) -> Sent {
        self.note(Some(e)).await;
        let detail = e.to_string();
        match e {
            KrafkaError::Broker { code: ErrorCode::MessageTooLarge, .. } => {
                Sent::Refused { reason: "message_too_large", detail }
            }
            KrafkaError::Broker { code: ErrorCode::InvalidRecord, .. } => {
                Sent::Refused { reason: "invalid_record", detail }
            }
            KrafkaError::Config { .. } if detail.contains("record size") => {
                Sent::Refused { reason: "message_too_large", detail }
            }
            _ => Sent::Unknown { detail },
        }
    }

    async fn open(&self) -> Result<Arc<krafka::producer::Producer>> {
        let mut open = self.open.lock().await;
        if let Some(producer) = open.as_ref().filter(|p| !p.is_closed()) {
            return Ok(producer.clone());
        }
        let kafka = self.connection.open().await?;
        let compression = match self.options.compression {
            Compression::None => krafka::Compression::None,
            Compression::Gzip => krafka::Compression::Gzip,
            Compression::Snappy => krafka::Compression::Snappy,
            Compression::Lz4 => krafka::Compression::Lz4,
        };
        let least = self.connection.request_timeout.max(self.connection.connect_timeout);
        let builder = kafka
            .producer()
            .acks(krafka::producer::Acks::All)
            .idempotent(true)
            .compression(compression)
            .delivery_timeout(self.options.give_up.max(least + Duration::from_secs(1)))
            .max_block(self.options.timeout)
            .batch_size(self.options.max_record_bytes.max(16 << 10))
            .metrics_push(false);
        let producer = Arc::new(builder.build().await?);
        *open = Some(producer.clone());
        Ok(producer)
    }

    /// A producer that cannot go on is let go.
    async fn note(&self, e: Option<&KrafkaError>) {
        if e.is_some_and(KrafkaError::is_fatal) {
            *self.open.lock().await = None;
        }
    }
}

/// Puts a ticket back, however the call ends.
struct Held<'a> {
    producer: &'a Producer,
    sender: u64,
    ticket: Ticket,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let records = std::mem::take(&mut self.ticket.records);
        if !records.is_empty() {
            let ticket = Ticket { number: self.ticket.number, records };
            self.producer.tickets.lock().insert(self.sender, ticket);
        }
    }
}

fn record(m: &Message) -> Record {
    Record::new(m.topic.as_str(), m.payload.clone())
        .partition(m.partition)
        .header(BATCH_HEADER, m.batch.clone().into_bytes())
        .header(TENANT_HEADER, m.tenant.to_string().into_bytes())
}

/// The partition of a key where Kafka's own clients put it (murmur2, "DefaultPartitioner").
pub fn partition_of(key: &[u8], partitions: usize) -> i32 {
    let partitions = partitions.clamp(1, i32::MAX as usize);
    ((murmur2(key) & 0x7fff_ffff) as usize % partitions) as i32
}
