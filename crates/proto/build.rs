//! Generates messages and service stubs from `protos/` without a `protoc` on the machine: protox parses, prost
//! and tonic write.

use std::error::Error;

const FILES: &[&str] = &[
    "opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
    "opentelemetry/proto/collector/logs/v1/logs_service.proto",
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
    "prometheus/write.proto",
    "io/prometheus/write/v2/types.proto",
    "io/prometheus/client/metrics.proto",
    "loki/push.proto",
    "orrery/peer/v1/peer.proto",
    "thanos/store.proto",
    "thanos/info.proto",
    "jaeger/api_v2/collector.proto",
    "jaeger/api_v3/query_service.proto",
    "jaeger/storage/v2/trace_storage.proto",
    "jaeger/storage/v2/dependency_storage.proto",
    "jaeger/storage/v2/capabilities.proto",
    "tempo/tempo.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=protos");
    println!("cargo:rerun-if-changed=build.rs");
    let descriptors = protox::compile(FILES, ["protos"])?;
    tonic_prost_build::configure().include_file("generated.rs").compile_fds(descriptors)?;
    Ok(())
}
