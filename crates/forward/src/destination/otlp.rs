//! OTLP over HTTP (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP"): protobuf, packed with gzip, partial success counted.

use async_trait::async_trait;
use base::Clock;
use model::{Batch, Signal};
use net::Answer;
use proto::{
    Message,
    otlp::collector::{
        logs::{ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
};

use super::{
    Delivery, Destination, Outcome,
    http::{Http, HttpOptions, gzip},
};
use crate::Result;

/// Reason of what a partial success rejects.
pub(crate) const PARTIAL: &str = "partial_success";

pub struct OtlpHttp(Http);

impl OtlpHttp {
    /// URLs are those of the receiver, to which `/v1/metrics`, `/v1/logs` and `/v1/traces` are added.
    ///
    /// # Errors
    /// A URL that cannot be one.
    pub fn new(name: &str, options: HttpOptions, clock: Clock) -> Result<Self> {
        Ok(OtlpHttp(Http::new(name, options, ("", None), clock)?))
    }
}

/// A batch as OTLP has it.
pub(crate) enum Export {
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
    Traces(ExportTraceServiceRequest),
}

impl Export {
    pub(crate) fn of(batch: &Batch) -> Option<Self> {
        Some(match batch {
            Batch::Metrics(m) => Export::Metrics(wire::otlp::metrics::encode(m)),
            Batch::Logs(l) => Export::Logs(wire::otlp::logs::encode(l)),
            Batch::Spans(s) => Export::Traces(wire::otlp::traces::encode(s)),
            _ => return None,
        })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Export::Metrics(m) => m.encode_to_vec(),
            Export::Logs(m) => m.encode_to_vec(),
            Export::Traces(m) => m.encode_to_vec(),
        }
    }
}

#[async_trait]
impl Destination for OtlpHttp {
    fn takes(&self, signal: &Signal) -> bool {
        Signal::KNOWN.contains(signal)
    }

    fn addresses(&self) -> usize {
        self.0.addresses()
    }

    async fn send(&self, address: usize, delivery: &Delivery) -> Outcome {
        let Some(export) = Export::of(&delivery.batch) else {
            return Outcome::refused("unsupported", "OTLP has no such signal");
        };
        let path = match &export {
            Export::Metrics(_) => "/v1/metrics",
            Export::Logs(_) => "/v1/logs",
            Export::Traces(_) => "/v1/traces",
        };
        let body = export.bytes();
        let url = format!("{}{path}", self.0.url(address).trim_end_matches('/'));
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
        let answer = match self.0.post(&url, delivery, gzip(&body), &headers).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        read(&answer, delivery, &export)
    }
}

fn read(answer: &Answer, delivery: &Delivery, export: &Export) -> Outcome {
    let json = answer.header("content-type").starts_with("application/json");
    match rejected(export, &answer.body, json) {
        Some((n, why)) => Outcome::partly(PARTIAL, n.min(delivery.items()), why),
        None => Outcome::down(format!("the answer is no OTLP: {}", answer.excerpt())),
    }
}

/// What an answer of success to spans says.
pub(crate) fn read_traces(answer: &Answer, delivery: &Delivery) -> Outcome {
    read(answer, delivery, &Export::Traces(ExportTraceServiceRequest::default()))
}

/// Items rejected and why; none where the answer cannot be read.
fn rejected(export: &Export, body: &[u8], json: bool) -> Option<(u64, String)> {
    if json {
        return rejected_json(body);
    }
    let (n, why) = match export {
        Export::Metrics(_) => {
            let answer = ExportMetricsServiceResponse::decode(body).ok()?;
            answer.partial_success.map(|p| (p.rejected_data_points, p.error_message))
        }
        Export::Logs(_) => {
            let answer = ExportLogsServiceResponse::decode(body).ok()?;
            answer.partial_success.map(|p| (p.rejected_log_records, p.error_message))
        }
        Export::Traces(_) => {
            let answer = ExportTraceServiceResponse::decode(body).ok()?;
            answer.partial_success.map(|p| (p.rejected_spans, p.error_message))
        }
    }
    .unwrap_or_default();
    Some((u64::try_from(n).unwrap_or(0), why))
}

/// Some receivers answer in JSON whatever they were asked in; its 64-bit numbers are texts.
fn rejected_json(body: &[u8]) -> Option<(u64, String)> {
    if body.is_empty() {
        return Some((0, String::new()));
    }
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let partial = answer.as_object()?.get("partialSuccess");
    let number = |v: &serde_json::Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let of = |name| partial.and_then(|p| p.get(name));
    let names = ["rejectedDataPoints", "rejectedLogRecords", "rejectedSpans"];
    let n = names.into_iter().find_map(|name| number(of(name)?)).unwrap_or(0);
    Some((n, of("errorMessage").and_then(|v| v.as_str()).unwrap_or_default().to_owned()))
}
