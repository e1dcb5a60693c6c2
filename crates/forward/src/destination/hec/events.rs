//! Items as events: JSON objects one after the other.
//!
//! ```text
//! record  {"time": s, "host", "source", "sourcetype", "index", "event": body, "fields": {name: text, …}}
//! sample  {…, "event": "metric", "fields": {"metric_name:NAME": value, label: text, …}}
//! span    {…, "event": {"trace_id", "span_id", "name", …}, "fields": {of the resource}}
//! ```

use model::{
    AnyValue, Attributes, Batch, LogBatch, LogRecord, LogStream, MetricBatch, Span, SpanBatch, StatusCode,
    span::SpanOrigin,
};
use serde_json::{Map, Value, json};

use super::HecOptions;
use crate::{
    destination::{
        Outcome,
        flat::{self, Point},
        json,
    },
    ledger::Reasons,
};

/// A record without body and attributes, which no event may be.
const BLANK: &str = "blank";

/// A request's worth of events.
#[derive(Default)]
pub(super) struct Events {
    pub(super) body: Vec<u8>,
    /// Of each event, the item it is of. Those of an item stand together.
    pub(super) items: Vec<u32>,
    /// Items that are no event.
    left: Reasons,
}

impl Events {
    pub(super) fn of(batch: &Batch, options: &HecOptions) -> Option<Self> {
        let mut events = Events::default();
        match batch {
            Batch::Metrics(m) => events.metrics(m, options),
            Batch::Logs(l) => events.logs(l, options),
            Batch::Spans(s) => events.spans(s, options),
            _ => return None,
        }
        Some(events)
    }

    /// The items to be sent again where `event` is the first that is not valid and those before `before` are taken.
    pub(super) fn again(&self, before: usize, event: usize) -> Vec<u32> {
        let bad = self.items.get(event).copied();
        let mut again: Vec<u32> =
            self.items.iter().skip(before).copied().filter(|i| Some(*i) != bad).collect();
        again.dedup();
        again
    }

    /// The answer, with what never was an event.
    pub(super) fn outcome(self, again: Vec<u32>, invalid: Option<(usize, String)>, detail: &str) -> Outcome {
        let mut refused = self.left;
        if let Some((event, reason)) = invalid {
            if event >= self.items.len() {
                return Outcome::refused(reason, detail);
            }
            *refused.entry(reason).or_default() += 1;
        }
        Outcome::Answered { refused, again, detail: detail.to_owned() }
    }

    fn push(&mut self, item: usize, event: &Value) {
        // Writing into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.body, event);
        self.body.push(b'\n');
        self.items.push(item as u32);
    }

    fn logs(&mut self, batch: &LogBatch, options: &HecOptions) {
        let nowhere = LogStream::default();
        for (i, record) in batch.records.iter().enumerate() {
            let stream = batch.streams.get(record.stream as usize).unwrap_or(&nowhere);
            match log_event(stream, record, options) {
                Some(event) => self.push(i, &event),
                None => *self.left.entry(BLANK.to_owned()).or_default() += 1,
            }
        }
    }

    fn metrics(&mut self, batch: &MetricBatch, options: &HecOptions) {
        let (points, left) = flat::points(batch);
        self.left = left;
        for p in &points {
            self.push(p.item as usize, &metric_event(p, options));
        }
    }

    fn spans(&mut self, batch: &SpanBatch, options: &HecOptions) {
        let nowhere = SpanOrigin::default();
        for (i, span) in batch.spans.iter().enumerate() {
            let origin = batch.origins.get(span.origin as usize).unwrap_or(&nowhere);
            self.push(i, &span_event(origin, span, options));
        }
    }
}

/// What every event begins with. Seconds have six digits behind the point, which is what a double holds of them.
fn envelope(
    ns: i64,
    host: Option<&str>,
    kind: Option<&str>,
    index: Option<&str>,
    o: &HecOptions,
) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("time".to_owned(), json!((ns / 1000) as f64 / 1e6));
    let host = host.or(o.host.as_deref());
    let fields = [("host", host), ("source", o.source.as_deref()), ("sourcetype", kind), ("index", index)];
    for (name, value) in fields {
        if let Some(value) = value {
            map.insert(name.to_owned(), json!(value));
        }
    }
    map
}

fn log_event(stream: &LogStream, record: &LogRecord, o: &HecOptions) -> Option<Value> {
    let blank = match &record.body {
        AnyValue::Empty => true,
        AnyValue::String(s) => s.is_empty(),
        _ => false,
    };
    let event = match (blank, record.attributes.is_empty()) {
        (false, _) => json::value(&record.body),
        (true, false) => json::object(&record.attributes),
        (true, true) => return None,
    };
    let host = stream.resource.attributes.get_str("host.name");
    let mut map = envelope(record.timestamp_ns, host, o.sourcetype.as_deref(), o.index.as_deref(), o);
    map.insert("event".to_owned(), event);
    let mut fields = Map::new();
    for (name, value) in stream.labels.iter() {
        fields.insert(name.to_owned(), json!(value));
    }
    add(&mut fields, &stream.resource.attributes);
    add(&mut fields, &record.attributes);
    if record.severity_number > 0 {
        fields.insert("otel.log.severity.number".to_owned(), json!(record.severity_number));
    }
    if !record.severity_text.is_empty() {
        fields.insert("otel.log.severity.text".to_owned(), json!(record.severity_text));
    }
    for (name, id) in [("trace_id", json::id(&record.trace_id)), ("span_id", json::id(&record.span_id))] {
        if let Some(id) = id {
            fields.insert(name.to_owned(), json!(id));
        }
    }
    map.insert("fields".to_owned(), Value::Object(fields));
    Some(Value::Object(map))
}

/// Indexed fields are flat; what is nested becomes text.
fn add(fields: &mut Map<String, Value>, attributes: &Attributes) {
    for (key, value) in attributes.iter() {
        let flat = match value {
            AnyValue::Empty => continue,
            AnyValue::Array(_) | AnyValue::Map(_) => json!(value.to_string()),
            scalar => json::value(scalar),
        };
        fields.insert(key.to_owned(), flat);
    }
}

fn metric_event(p: &Point, o: &HecOptions) -> Value {
    let host = p.labels.get("host_name").or(p.labels.get("host"));
    let ns = p.timestamp_ms.saturating_mul(1_000_000);
    let mut map = envelope(ns, host, o.sourcetype.as_deref(), o.metrics_index.as_deref(), o);
    map.insert("event".to_owned(), json!("metric"));
    let mut fields = Map::new();
    fields.insert(format!("metric_name:{}", p.labels.metric_name()), json!(p.value));
    for (name, value) in p.labels.iter().filter(|(name, _)| *name != "__name__") {
        fields.insert(name.to_owned(), json!(value));
    }
    map.insert("fields".to_owned(), Value::Object(fields));
    Value::Object(map)
}

fn span_event(origin: &SpanOrigin, s: &Span, o: &HecOptions) -> Value {
    let host = origin.resource.attributes.get_str("host.name");
    let kind = o.sourcetype.as_deref().unwrap_or("otel:span");
    let mut map = envelope(s.start_ns, host, Some(kind), o.index.as_deref(), o);
    let status = match s.status.code {
        StatusCode::Unset => "STATUS_CODE_UNSET",
        StatusCode::Ok => "STATUS_CODE_OK",
        StatusCode::Error => "STATUS_CODE_ERROR",
    };
    let events = s.events.iter().map(
        |e| json!({"timestamp": e.timestamp_ns, "name": e.name, "attributes": json::object(&e.attributes)}),
    );
    let links = s.links.iter().map(|l| {
        json!({
            "trace_id": json::hex(&l.trace_id), "span_id": json::hex(&l.span_id),
            "trace_state": l.trace_state, "attributes": json::object(&l.attributes),
        })
    });
    let event = json!({
        "trace_id": json::hex(&s.trace_id),
        "span_id": json::hex(&s.span_id),
        "parent_span_id": json::id(&s.parent_span_id).unwrap_or_default(),
        "name": s.name,
        "kind": format!("SPAN_KIND_{}", s.kind.as_str().to_uppercase()),
        "start_time": s.start_ns,
        "end_time": s.end_ns,
        "status": {"code": status, "message": s.status.message},
        "attributes": json::object(&s.attributes),
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    });
    map.insert("event".to_owned(), event);
    let mut fields = Map::new();
    add(&mut fields, &origin.resource.attributes);
    map.insert("fields".to_owned(), Value::Object(fields));
    Value::Object(map)
}
