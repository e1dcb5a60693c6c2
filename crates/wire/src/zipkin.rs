//! Zipkin v2 (`zipkin2-api.yaml` and `zipkin.proto` of zipkin-api), in JSON and in protobuf, by the rules of
//! OpenTelemetry's translation (`pkg/translator/zipkin` of the collector).
//!
//! ```text
//! [{"traceId": "5af7183fb1d4cf5f", "id": "352bff9a74ca9ad2", "kind": "SERVER", "timestamp": 1556604172355737, "duration": 1431,
//!   "localEndpoint": {"serviceName": "backend"}, "tags": {"http.method": "GET"}, "annotations": [{"timestamp": 1556604172355800, "value": "ws"}]}]
//! ```
//! | Zipkin | span |
//! |---|---|
//! | `localEndpoint.serviceName` | resource attribute `service.name`, or the one that `otlp.service.name.source` names |
//! | other parts of both endpoints | `net.host.ip`, `net.host.port`, `peer.service`, `net.peer.ip`, `net.peer.port` |
//! | tags that name the process, host or cluster | resource |
//! | `annotations` | events; texts in which OpenTelemetry packed attributes are unpacked |
//! | tag `error` | status: any text but `false` is a failure, and its message |
//! | tags `otel.*`, `otlp.link.*`, `w3c.tracestate` | scope, status, links, counts of what was dropped, trace state |
//! | `shared` | attribute `zipkin.shared`; the span keeps the id that it has in common with its caller's |
//! | `debug` | the flag for sampled |
//!
//! A span that has no timestamp is given that of its first annotation or else the time of receipt, and the attribute
//! `otel.zipkin.absentField.startTime`: at the begin of 1970, where OpenTelemetry puts it, nobody finds it.

mod json;
mod packed;
mod protobuf;
mod resource;
mod translate;

use model::{Attributes, SpanBatch, SpanKind};

pub use self::{json::decode_json, protobuf::decode_protobuf};

/// A span as it was sent, in either encoding.
#[derive(Debug, Default)]
struct Source {
    trace_id: [u8; 16],
    id: [u8; 8],
    parent_id: [u8; 8],
    kind: SpanKind,
    name: String,
    /// Microseconds since 1970; 0 is absent.
    timestamp_us: u64,
    duration_us: u64,
    local: Endpoint,
    remote: Endpoint,
    annotations: Vec<(u64, String)>,
    tags: Attributes,
    debug: bool,
    shared: bool,
}

/// Empty texts and port 0 are absent.
#[derive(Debug, Default)]
struct Endpoint {
    service: String,
    ipv4: String,
    ipv6: String,
    port: u16,
}

fn kind_of(text: &str) -> Option<SpanKind> {
    match text.to_ascii_uppercase().as_str() {
        "" => Some(SpanKind::Unspecified),
        "CLIENT" => Some(SpanKind::Client),
        "SERVER" => Some(SpanKind::Server),
        "PRODUCER" => Some(SpanKind::Producer),
        "CONSUMER" => Some(SpanKind::Consumer),
        _ => None,
    }
}

type Decoded = crate::Decoded<SpanBatch>;

#[cfg(test)]
mod tests;
