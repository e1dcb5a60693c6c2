//! What a service has to tell since the last export. Bounded: past the caps new spans and lines are counted
//! and left out, so that a service that nobody collects from does not grow.

use base::Clock;
use model::{
    Attributes, Batch, LogBatch, LogRecord, LogStream, Span, SpanBatch,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};
use parking_lot::Mutex;
use prost::Message;
use proto::otlp::{
    collector::metrics::ExportMetricsServiceRequest,
    common::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    metrics::{ResourceMetrics, metric::Data},
};

use super::{ShopOptions, metrics::Instruments};

/// Spans, and lines, that wait for an export; a second of a load far beyond a demonstration's.
const MAX_HELD: usize = 20_000;
const SCOPE: &str = "orrery.shop";

pub(super) struct Recorder {
    state: Mutex<State>,
    resource: Resource,
    started_ns: i64,
    clock: Clock,
}

#[derive(Default)]
struct State {
    spans: Vec<Span>,
    records: Vec<LogRecord>,
    instruments: Instruments,
    lost_spans: u64,
    lost_records: u64,
}

/// One export's worth of a signal, with what had to be left out since the one before.
pub(super) struct Taken {
    /// `None` where there is nothing to send.
    pub(super) batch: Option<Batch>,
    pub(super) items: u64,
    pub(super) lost: u64,
}

impl Recorder {
    pub(super) fn new(o: &ShopOptions, clock: &Clock) -> Self {
        let instance = format!("{}-0", o.service);
        let attributes = Attributes::from_iter([
            ("service.name", o.service.as_str()),
            ("service.namespace", "shop"),
            ("service.instance.id", instance.as_str()),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("k8s.cluster.name", o.cluster.as_str()),
        ]);
        Recorder {
            state: Mutex::default(),
            resource: Resource { attributes, ..Resource::default() },
            started_ns: clock.now_ns(),
            clock: clock.clone(),
        }
    }

    pub(super) fn span(&self, span: Span) {
        let mut state = self.state.lock();
        match state.spans.len() < MAX_HELD {
            true => state.spans.push(span),
            false => state.lost_spans += 1,
        }
    }

    pub(super) fn line(&self, record: LogRecord) {
        let mut state = self.state.lock();
        match state.records.len() < MAX_HELD {
            true => state.records.push(record),
            false => state.lost_records += 1,
        }
    }

    pub(super) fn count(&self, with: impl FnOnce(&mut Instruments)) {
        with(&mut self.state.lock().instruments);
    }

    pub(super) fn take_spans(&self) -> Taken {
        let mut state = self.state.lock();
        let (spans, lost) = (std::mem::take(&mut state.spans), std::mem::take(&mut state.lost_spans));
        drop(state);
        let origin = SpanOrigin { resource: self.resource.clone(), scope: self.scope() };
        let batch = Batch::Spans(SpanBatch { origins: vec![origin], spans });
        Taken::new(batch, lost)
    }

    pub(super) fn take_lines(&self) -> Taken {
        let mut state = self.state.lock();
        let (records, lost) = (std::mem::take(&mut state.records), std::mem::take(&mut state.lost_records));
        drop(state);
        let stream =
            LogStream { resource: self.resource.clone(), scope: self.scope(), ..LogStream::default() };
        let batch = Batch::Logs(LogBatch { streams: vec![stream], records });
        Taken::new(batch, lost)
    }

    /// All metrics as of now as a request, and its data points.
    pub(super) fn metrics(&self) -> (Vec<u8>, u64) {
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let now_ns = self.clock.now_ns();
        let scoped = self.state.lock().instruments.collect(self.started_ns, now_ns, scope);
        let points = scoped.metrics.iter().filter_map(|m| m.data.as_ref()).map(points).sum::<usize>();
        let resource = proto::otlp::resource::Resource {
            attributes: self.resource.attributes.iter().map(|(k, v)| text(k, v.to_string())).collect(),
            dropped_attributes_count: 0,
        };
        let group = ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![scoped],
            schema_url: String::new(),
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![group] };
        (request.encode_to_vec(), points as u64)
    }

    fn scope(&self) -> Scope {
        Scope { name: SCOPE.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), ..Scope::default() }
    }
}

impl Taken {
    fn new(batch: Batch, lost: u64) -> Self {
        let items = batch.item_count() as u64;
        Taken { batch: (items > 0).then_some(batch), items, lost }
    }
}

fn points(data: &Data) -> usize {
    match data {
        Data::Gauge(g) => g.data_points.len(),
        Data::Sum(s) => s.data_points.len(),
        Data::Histogram(h) => h.data_points.len(),
        Data::ExponentialHistogram(h) => h.data_points.len(),
        Data::Summary(s) => s.data_points.len(),
    }
}

fn text(key: &str, value: String) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Any::StringValue(value)) }) }
}
