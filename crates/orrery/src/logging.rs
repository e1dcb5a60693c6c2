//! Logging and the node's own traces: human lines on stderr, finished spans into a queue that the collectors
//! empty once there is a store.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{EnvFilter, Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// The spans of this process, waiting for a store. `None` when the configuration wants none.
pub struct OwnTraces(pub Option<agent::selftrace::Spans>);

/// Sets up logging for the whole process; called once.
pub fn start(config: &config::Node) -> OwnTraces {
    let filter = EnvFilter::try_new(config::log_filter()).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        // It would tell of a stderr that is gone on stderr.
        .log_internal_errors(false)
        .with_filter(filter);
    let (spans, exporter) = match config.collect.traces {
        Some(_) => {
            let (exporter, spans) = agent::selftrace::queue();
            (Some(spans), Some(exporter))
        }
        None => (None, None),
    };
    let traces = exporter.map(|exporter| {
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
        let tracer = provider.tracer("orrery");
        // Only what serves somebody's request: the work of the collectors would trace itself for ever.
        let ours = Targets::new()
            .with_target("api", tracing::Level::INFO)
            .with_target("promql", tracing::Level::INFO)
            .with_target("logql", tracing::Level::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(ours)
    });
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).with(traces).try_init();
    OwnTraces(spans)
}
