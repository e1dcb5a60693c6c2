//! OTLP over HTTP and gRPC (`opentelemetry.io/docs/specs/otlp`, 1.x): one path into [`ingest::Ingest::otlp`],
//! two framings around it.

pub(crate) mod answer;
pub mod grpc;
pub mod http;
