//! Generated protobuf messages and gRPC stubs: OTLP, Prometheus remote write and exposition, Loki push, Jaeger's
//! collector, query API and storage, Tempo's queries, Thanos StoreAPI, and what our own nodes ask each other.
//!
//! This crate exists to fence in generated code and its build dependencies. It must never know anything else:
//! no label, no batch, no limit. The definitions in `protos/` are the public interfaces written down with what
//! we read of them; fields we leave out are skipped by the decoder as the wire format demands. They are ours
//! rather than a crate's because one build step then serves all protocols and carries no second telemetry SDK.
//! Start reading at `protos/`.

#[allow(clippy::all, clippy::unwrap_used, rust_2018_idioms, missing_docs)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/generated.rs"));
}

/// OpenTelemetry protocol, messages of version 1.
pub mod otlp {
    pub use crate::generated::opentelemetry::proto::{
        common::v1 as common, logs::v1 as logs, metrics::v1 as metrics, resource::v1 as resource,
        trace::v1 as trace,
    };

    /// The three `Export` services with their requests and answers.
    pub mod collector {
        pub use crate::generated::opentelemetry::proto::collector::{
            logs::v1 as logs, metrics::v1 as metrics, trace::v1 as trace,
        };
    }
}

/// Remote write 1.0 (`prometheus.WriteRequest`).
pub mod prometheus {
    pub use crate::generated::prometheus::*;
}

/// Remote write 2.0 (`io.prometheus.write.v2.Request`).
pub mod prometheus_v2 {
    pub use crate::generated::io::prometheus::write::v2::*;
}

/// Protobuf exposition (`io.prometheus.client.MetricFamily`, length-delimited).
pub mod exposition {
    pub use crate::generated::io::prometheus::client::*;
}

/// Loki push (`logproto.PushRequest`).
pub mod loki {
    pub use crate::generated::logproto::*;
}

/// Jaeger's model and its collector (`jaeger.api_v2`).
pub mod jaeger_v2 {
    pub use crate::generated::jaeger::api_v2::*;
}

/// How messages that come outside gRPC are read and written.
pub use prost::Message;

/// What one node asks another.
pub mod peer {
    pub use crate::generated::orrery::peer::v1::*;
}

/// Thanos StoreAPI (`thanos.Store`) and [`thanos::info`] (`thanos.info.Info`).
pub mod thanos {
    pub use crate::generated::thanos::*;
}

/// Jaeger: its query API, what it asks of storage that is not its own, and the filters of both.
pub mod jaeger {
    pub use crate::generated::jaeger::{api_v3, expression::v1 as expression, storage::v2 as storage};
    pub use prost_types::{Duration, Timestamp};
}

/// Tempo's queries (`tempopb.StreamingQuerier`).
pub mod tempo {
    pub use crate::generated::tempopb::*;
}
