//! What takes records in these tests; a node has its admission instead.

use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, Kind};
use bus::{Arrival, Encoding, Intake, Verdict};
use contract::{Append, AppendUnit};
use model::Batch;
use wire::otlp::{Options, logs, metrics, traces};

/// Decodes OTLP and appends it as it is.
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
