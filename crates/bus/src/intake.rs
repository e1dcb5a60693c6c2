//! What takes records: whoever makes them durable says so, and only then their offsets are committed.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, Kind};
use bytes::Bytes;
use contract::{Append, AppendUnit};
use model::{Batch, BatchId, Signal, TenantId};
use wire::otlp::{Options, logs, metrics, traces};

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

/// Decodes OTLP and appends it as it is: for tests and for nodes without admission. Points of delta temporality are
/// refused, as adding them up needs state.
pub struct ToAppend {
    pub append: Arc<dyn Append>,
    pub options: Options,
    pub clock: Clock,
}

#[async_trait]
impl Intake for ToAppend {
    async fn take(&self, arrival: Arrival) -> Verdict {
        let received_ns = self.clock.now_ns();
        let (batch, undecoded) = match decode(&arrival, received_ns, &self.options) {
            Ok(decoded) => decoded,
            Err(e) => return Verdict::Malformed(e),
        };
        let unit = AppendUnit { batch_id: Some(arrival.id), received_ns, batches: vec![batch] };
        match self.append.append(&arrival.tenant, unit).await {
            Ok(receipt) => Verdict::Taken {
                duplicate: receipt.duplicate,
                accepted: receipt.accepted_items(),
                refused: undecoded + receipt.refused_items(),
            },
            Err(e) if matches!(e.kind(), Kind::Invalid | Kind::Denied) => Verdict::Malformed(e.to_string()),
            Err(e) => Verdict::Later(e.to_string()),
        }
    }
}

/// The batch, and how many items of the payload cannot be part of one.
fn decode(a: &Arrival, received_ns: i64, o: &Options) -> Result<(Batch, u64), String> {
    let fault = |e: wire::Error| e.to_string();
    let body = &a.payload;
    let decoded = match (a.signal.as_str(), a.encoding) {
        ("metrics", Encoding::Protobuf) => {
            metrics::decode_protobuf(body, received_ns, o, None).map_err(fault)?.map(Batch::Metrics)
        }
        ("metrics", Encoding::Json) => {
            metrics::decode_json(body, received_ns, o, None).map_err(fault)?.map(Batch::Metrics)
        }
        ("logs", Encoding::Protobuf) => {
            logs::decode_protobuf(body, received_ns, o).map_err(fault)?.map(Batch::Logs)
        }
        ("logs", Encoding::Json) => logs::decode_json(body, received_ns, o).map_err(fault)?.map(Batch::Logs),
        ("traces", Encoding::Protobuf) => traces::decode_protobuf(body, o).map_err(fault)?.map(Batch::Spans),
        ("traces", Encoding::Json) => traces::decode_json(body, o).map_err(fault)?.map(Batch::Spans),
        (other, _) => return Err(format!("OTLP has no signal {other}")),
    };
    Ok((decoded.batch, decoded.refused.total()))
}
