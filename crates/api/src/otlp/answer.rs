//! What an OTLP sender reads back: `Export*ServiceResponse` and `google.rpc.Status`, as protobuf or JSON.
//!
//! The three responses are one shape on the wire under three names; in JSON the counter's name differs.

use ingest::{OtlpSignal, Receipt};
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;

use crate::{Error, status};

#[derive(Clone, PartialEq, Message)]
pub struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// `rejected_spans`, `rejected_data_points` or `rejected_log_records`.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub struct Delay {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The specification wants no `partial_success` where everything was accepted.
pub fn export_response(receipt: &Receipt) -> ExportResponse {
    if receipt.refused.is_empty() {
        return ExportResponse::default();
    }
    let reasons: Vec<String> =
        receipt.refused.iter().map(|r| format!("{} {}: {}", r.count, r.reason.as_str(), r.detail)).collect();
    let rejected = i64::try_from(receipt.refused_items()).unwrap_or(i64::MAX);
    ExportResponse { partial_success: Some(PartialSuccess { rejected, error_message: reasons.join("; ") }) }
}

/// 64-bit integers are strings in protobuf's JSON.
pub fn export_json(response: &ExportResponse, signal: OtlpSignal) -> Value {
    let Some(p) = &response.partial_success else { return json!({}) };
    let counter = match signal {
        OtlpSignal::Metrics => "rejectedDataPoints",
        OtlpSignal::Logs => "rejectedLogRecords",
        OtlpSignal::Traces => "rejectedSpans",
    };
    json!({"partialSuccess": {counter: p.rejected.to_string(), "errorMessage": p.error_message}})
}

/// The status of an error, with the time to wait where waiting may help.
pub fn status_of(e: &Error) -> Status {
    let details = if status::is_retryable(e) { vec![retry_info()] } else { Vec::new() };
    Status { code: status::otlp_grpc(e) as i32, message: e.to_string(), details }
}

/// Details are left out: in JSON they need the type's own form, and HTTP has Retry-After.
pub fn status_json(status: &Status) -> Value {
    json!({"code": status.code, "message": status.message})
}

/// For gRPC: the same status in tonic's type.
pub fn grpc_status(e: &Error) -> tonic::Status {
    let status = status_of(e);
    let details = if status.details.is_empty() { Vec::new() } else { status.encode_to_vec() };
    tonic::Status::with_details(Code::from(status.code), status.message, details.into())
}

fn retry_info() -> Any {
    let delay = Delay { seconds: status::RETRY_AFTER.as_secs() as i64, nanos: 0 };
    Any { type_url: RETRY_INFO_URL.to_owned(), value: RetryInfo { retry_delay: Some(delay) }.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use contract::RefusalReason;
    use model::Signal;

    use super::*;

    #[test]
    fn our_one_shape_is_what_each_of_the_three_responses_reads() {
        let mut receipt = Receipt::default();
        receipt.refuse(Signal::TRACES, RefusalReason::TooOld, || "span a".to_owned());
        let ours = export_response(&receipt);
        let bytes = ours.encode_to_vec();
        use proto::otlp::collector::{logs, metrics, trace};
        let t = trace::ExportTraceServiceResponse::decode(&bytes[..]).unwrap();
        let m = metrics::ExportMetricsServiceResponse::decode(&bytes[..]).unwrap();
        let l = logs::ExportLogsServiceResponse::decode(&bytes[..]).unwrap();
        assert_eq!(t.partial_success.unwrap().rejected_spans, 1);
        assert_eq!(m.partial_success.unwrap().rejected_data_points, 1);
        assert_eq!(l.partial_success.unwrap().error_message, "1 too_old: span a");
        assert_eq!(export_json(&ours, OtlpSignal::Logs)["partialSuccess"]["rejectedLogRecords"], "1");
        assert!(export_response(&Receipt::default()).encode_to_vec().is_empty());
    }

    #[test]
    fn only_what_may_pass_later_carries_a_time_to_wait() {
        let overloaded = status_of(&Error::Overloaded("memory.limit".into()));
        assert_eq!(overloaded.code, Code::ResourceExhausted as i32);
        let delay = RetryInfo::decode(&overloaded.details[0].value[..]).unwrap().retry_delay.unwrap();
        assert_eq!(delay.seconds, 5);
        assert!(status_of(&Error::invalid("no")).details.is_empty());
        assert_eq!(status_of(&Error::unavailable("disk")).code, Code::Unavailable as i32);
    }
}
