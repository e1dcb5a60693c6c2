//! What takes records: whoever makes them durable says so, and only then their offsets are committed.

use async_trait::async_trait;
use bytes::Bytes;
use model::{BatchId, Signal, TenantId};

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// An `Export…ServiceRequest` of OTLP; `otlp_proto` of the Collector.
    #[default]
    Protobuf,
    /// The same as OTLP/JSON; `otlp_json` of the Collector.
    Json,
}

/// A record as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The same however often the record is taken: of the batch it names, or else of topic, partition and offset.
    pub id: BatchId,
    pub tenant: TenantId,
    pub signal: Signal,
    pub encoding: Encoding,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub payload: Bytes,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Durable. Some items may have been refused; `duplicate` where it was durable before.
    Taken { duplicate: bool, accepted: u64, refused: u64 },
    /// It never will be; it is counted and passed over.
    Malformed(String),
    /// Not now; it is tried again.
    Later(String),
}

/// Takes records. Implementations MUST answer [`Verdict::Taken`] only for what survives power loss, and MUST know an id
/// again for as long as a record may come twice. They are called for several records at once. Cancelling leaves it open
/// whether the record was taken.
#[async_trait]
pub trait Intake: Send + Sync {
    async fn take(&self, arrival: Arrival) -> Verdict;
}
