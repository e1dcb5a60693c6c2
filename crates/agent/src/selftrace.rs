//! The node's own spans: an OpenTelemetry exporter that turns finished spans into a batch and appends them.
//!
//! The exporter only puts spans into a bounded queue; full means that spans are dropped and counted. A task
//! appends them, under no tracing subscriber, so that storing the node's spans makes no spans itself.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use contract::AppendUnit;
use model::{
    AnyValue, Attributes, Batch, Span, SpanBatch, SpanEvent, SpanKind, SpanLink, SpanStatus, StatusCode,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value, trace::Status};
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use tokio::sync::mpsc;
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::Context;

const SOURCE: &str = "selftrace";

/// Spans that may wait to be appended. Larger: longer refusals of the store are survived.
const QUEUE_SPANS: usize = 8192;
const BATCH_SPANS: usize = 1024;
/// How long the first span of a batch waits for others.
const LINGER: Duration = Duration::from_millis(200);
/// How long a batch is offered to a node that refuses it; tracing must not hold up anything else.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who the spans come from.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub service_version: String,
    /// Name of the cluster, if it has one.
    pub cluster: Option<String>,
}

/// Hand this to the tracer provider.
pub struct Exporter {
    queue: mpsc::Sender<SpanData>,
    overflown: Arc<AtomicU64>,
}

/// The other end: finished spans that wait for [`start`].
pub struct Spans {
    waiting: mpsc::Receiver<SpanData>,
    overflown: Arc<AtomicU64>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("selftrace::Exporter")
    }
}

/// Makes the queue. Tracing begins before there is a store, so the two ends are made first and joined later.
pub fn queue() -> (Exporter, Spans) {
    let (queue, waiting) = mpsc::channel(QUEUE_SPANS);
    let overflown = Arc::new(AtomicU64::new(0));
    (Exporter { queue, overflown: overflown.clone() }, Spans { waiting, overflown })
}

/// Starts the task that appends.
pub fn start(context: &Context, spans: Spans, options: Options) {
    let resource = resource(&context.host_name, &options);
    context.shutdown.spawn(run(context.clone(), resource, spans).with_subscriber(NoSubscriber::default()));
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        for span in batch {
            match self.queue.try_send(span) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.overflown.fetch_add(1, Relaxed);
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(OTelSdkError::AlreadyShutdown),
            }
        }
        Ok(())
    }
}

async fn run(context: Context, resource: Resource, spans: Spans) {
    let Spans { mut waiting, overflown } = spans;
    loop {
        let mut spans = Vec::new();
        tokio::select! {
            n = waiting.recv_many(&mut spans, BATCH_SPANS) => if n == 0 { return },
            () = context.shutdown.started() => waiting.close(),
        }
        let stopping = context.shutdown.is_started();
        if !stopping && spans.len() < BATCH_SPANS {
            context.sleep(LINGER).await;
        }
        while spans.len() < BATCH_SPANS
            && let Ok(span) = waiting.try_recv()
        {
            spans.push(span);
        }
        let lost = overflown.swap(0, Relaxed);
        if lost > 0 {
            context.drop_items(SOURCE, "queue_full", lost);
        }
        if !spans.is_empty() {
            let batch = Batch::Spans(to_batch(&resource, &spans));
            let unit =
                AppendUnit { batch_id: None, received_ns: context.clock.now_ns(), batches: vec![batch] };
            context.deliver(SOURCE, unit, Some(PATIENCE)).await;
        } else if stopping {
            return;
        }
    }
}

fn resource(host_name: &str, options: &Options) -> Resource {
    let mut attributes = Attributes::default();
    attributes.push("service.name", "orrery");
    attributes.push("service.version", options.service_version.as_str());
    attributes.push("host.name", host_name);
    if let Some(cluster) = &options.cluster {
        attributes.push("k8s.cluster.name", cluster.as_str());
    }
    Resource { attributes, ..Resource::default() }
}

/// One origin per instrumentation scope.
fn to_batch(resource: &Resource, spans: &[SpanData]) -> SpanBatch {
    let mut scopes: Vec<&InstrumentationScope> = Vec::new();
    let mut out = SpanBatch::default();
    for s in spans {
        let scope = &s.instrumentation_scope;
        let origin = scopes.iter().position(|known| *known == scope).unwrap_or_else(|| {
            scopes.push(scope);
            out.origins.push(SpanOrigin { resource: resource.clone(), scope: to_scope(scope) });
            scopes.len() - 1
        });
        out.spans.push(to_span(s, origin as u32));
    }
    out
}

fn to_scope(s: &InstrumentationScope) -> Scope {
    Scope {
        name: s.name().to_owned(),
        version: s.version().unwrap_or_default().to_owned(),
        attributes: to_attributes(s.attributes()),
        dropped_attributes: 0,
    }
}

fn to_span(s: &SpanData, origin: u32) -> Span {
    let c = &s.span_context;
    let event = |e: &opentelemetry::trace::Event| SpanEvent {
        timestamp_ns: nanos(e.timestamp),
        name: e.name.to_string(),
        attributes: to_attributes(e.attributes.iter()),
        dropped_attributes: e.dropped_attributes_count,
    };
    let link = |l: &opentelemetry::trace::Link| SpanLink {
        trace_id: l.span_context.trace_id().to_bytes(),
        span_id: l.span_context.span_id().to_bytes(),
        trace_state: l.span_context.trace_state().header(),
        attributes: to_attributes(l.attributes.iter()),
        dropped_attributes: l.dropped_attributes_count,
        flags: u32::from(l.span_context.trace_flags().to_u8()),
    };
    Span {
        origin,
        trace_id: c.trace_id().to_bytes(),
        span_id: c.span_id().to_bytes(),
        parent_span_id: s.parent_span_id.to_bytes(),
        trace_state: c.trace_state().header(),
        flags: u32::from(c.trace_flags().to_u8()),
        name: s.name.to_string(),
        kind: match s.span_kind {
            opentelemetry::trace::SpanKind::Client => SpanKind::Client,
            opentelemetry::trace::SpanKind::Server => SpanKind::Server,
            opentelemetry::trace::SpanKind::Producer => SpanKind::Producer,
            opentelemetry::trace::SpanKind::Consumer => SpanKind::Consumer,
            opentelemetry::trace::SpanKind::Internal => SpanKind::Internal,
        },
        start_ns: nanos(s.start_time),
        end_ns: nanos(s.end_time),
        attributes: to_attributes(s.attributes.iter()),
        dropped_attributes: s.dropped_attributes_count,
        events: s.events.iter().map(event).collect(),
        dropped_events: s.events.dropped_count,
        links: s.links.iter().map(link).collect(),
        dropped_links: s.links.dropped_count,
        status: match &s.status {
            Status::Unset => SpanStatus::default(),
            Status::Ok => SpanStatus { code: StatusCode::Ok, message: String::new() },
            Status::Error { description } => {
                SpanStatus { code: StatusCode::Error, message: description.to_string() }
            }
        },
    }
}

fn nanos(t: SystemTime) -> i64 {
    t.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

fn to_attributes<'a>(pairs: impl Iterator<Item = &'a KeyValue>) -> Attributes {
    pairs.map(|kv| (kv.key.as_str(), to_value(&kv.value))).collect()
}

fn to_value(v: &Value) -> AnyValue {
    fn each<T: Clone + Into<AnyValue>>(items: &[T]) -> AnyValue {
        AnyValue::Array(items.iter().cloned().map(Into::into).collect())
    }
    match v {
        Value::Bool(b) => (*b).into(),
        Value::I64(i) => (*i).into(),
        Value::F64(f) => (*f).into(),
        Value::String(s) => s.as_str().into(),
        Value::Array(Array::Bool(a)) => each(a),
        Value::Array(Array::I64(a)) => each(a),
        Value::Array(Array::F64(a)) => each(a),
        Value::Array(Array::String(a)) => AnyValue::Array(a.iter().map(|s| s.as_str().into()).collect()),
        // The enums may grow; what is not known here is still readable as text.
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use base::Clock;
    use opentelemetry::trace::{Span as _, SpanBuilder, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::context::tests::context;

    #[tokio::test]
    async fn finished_spans_are_appended_with_their_resource() {
        let (c, recorder) = context(Clock::manual(7));
        let options = Options { service_version: "1.2.3".into(), cluster: Some("dev-01".into()) };
        let (exporter, spans) = queue();
        start(&c, spans, options);
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter).build();
        let tracer = provider.tracer("test-scope");
        let builder = SpanBuilder::from_name("GET /x").with_attributes([KeyValue::new("http.status", 200)]);
        let mut span = tracer.build(builder);
        span.add_event("halfway", vec![KeyValue::new("ok", true)]);
        span.set_status(Status::error("boom"));
        span.end();
        c.shutdown.start();
        drop((provider, tracer));
        c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
        let units = recorder.units.lock();
        let Batch::Spans(b) = &units[0].batches[0] else { panic!("spans") };
        assert_eq!(b.origins[0].service_name(), "orrery");
        assert_eq!(b.origins[0].resource.attributes.get_str("k8s.cluster.name"), Some("dev-01"));
        assert_eq!(b.origins[0].scope.name, "test-scope");
        let s = &b.spans[0];
        assert_eq!((s.name.as_str(), s.status.message.as_str()), ("GET /x", "boom"));
        assert_eq!(s.attributes.get("http.status"), Some(&AnyValue::Int(200)));
        assert_eq!((s.events.len(), s.events[0].name.as_str()), (1, "halfway"));
    }
}
