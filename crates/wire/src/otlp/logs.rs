//! OTLP logs ⇄ [`LogBatch`]. A stream is one resource with one scope; its labels are the promoted resource
//! attributes, everything else stays where OTLP has it.

use std::borrow::Cow;

use model::{AnyValue, Attributes, Labels, LogBatch, LogRecord, LogStream, attributes::Resource};
use prost::Message;
use proto::otlp::{
    collector::logs::ExportLogsServiceRequest,
    logs::{LogRecord as PbRecord, ResourceLogs, ScopeLogs, SeverityNumber},
};

use super::{Options, STREAM_ATTRIBUTES, attributes as attr, json, ns, unsigned};
use crate::{Decoded, Error, Limits, Reason, Refusals, names};

const WHAT: &str = "OTLP logs request";
/// Resource attributes that say what the label `cluster` says.
const CLUSTER: [&str; 2] = ["k8s.cluster.name", "cluster.id"];

/// Reads `ExportLogsServiceRequest` in protobuf. Records without any time get `received_ns`.
pub fn decode_protobuf(body: &[u8], received_ns: i64, options: &Options) -> Result<Decoded<LogBatch>, Error> {
    let message = ExportLogsServiceRequest::decode(body).map_err(|e| Error::protobuf(WHAT, e))?;
    Ok(from_message(message, received_ns, options))
}

/// Reads `ExportLogsServiceRequest` in OTLP/JSON.
pub fn decode_json(body: &[u8], received_ns: i64, options: &Options) -> Result<Decoded<LogBatch>, Error> {
    let message: ExportLogsServiceRequest = json::decode(body).map_err(|e| Error::json(WHAT, e))?;
    Ok(from_message(message, received_ns, options))
}

/// Converts a decoded request.
pub fn from_message(
    request: ExportLogsServiceRequest,
    received_ns: i64,
    options: &Options,
) -> Decoded<LogBatch> {
    let mut d = Decoded { batch: LogBatch::default(), refused: Refusals::default(), all_timed: true };
    let mut seen = 0u64;
    for group in request.resource_logs {
        let resource = attr::from_resource(group.resource, group.schema_url);
        let labels = options
            .limits
            .check_attributes("resource", &resource.attributes)
            .and_then(|()| stream_labels(&resource, options));
        for scoped in group.scope_logs {
            let count = scoped.log_records.len() as u64;
            match &labels {
                Ok(labels) => {
                    push_scope(&mut d, scoped, labels, &resource, (seen, received_ns), &options.limits)
                }
                Err(why) => d.refused.add_many(Reason::InvalidLabels, seen, count, || why.clone()),
            }
            seen += count;
        }
    }
    d
}

fn push_scope(
    d: &mut Decoded<LogBatch>,
    scoped: ScopeLogs,
    labels: &Labels,
    resource: &Resource,
    (first, received_ns): (u64, i64),
    limits: &Limits,
) {
    let scope = attr::from_scope(scoped.scope);
    if let Err(why) = limits.check_attributes("scope", &scope.attributes) {
        d.refused.add_many(Reason::InvalidLabels, first, scoped.log_records.len() as u64, || why);
        return;
    }
    let stream = d.batch.streams.len() as u32;
    let before = d.batch.records.len();
    for (i, record) in scoped.log_records.into_iter().enumerate() {
        let (record, timed) = record_from(record, stream, received_ns);
        let index = first + i as u64;
        let body = body_bytes(&record.body);
        if body > limits.max_line_bytes {
            d.refused.add(Reason::TooLarge, index, || {
                format!("log body of {body} bytes, ingest.max_line is {}", limits.max_line_bytes)
            });
        } else if let Err(why) = limits.check_attributes("log record", &record.attributes) {
            d.refused.add(Reason::InvalidLabels, index, || why);
        } else {
            d.all_timed &= timed;
            d.batch.records.push(record);
        }
    }
    if d.batch.records.len() > before {
        d.batch.streams.push(LogStream { labels: labels.clone(), resource: resource.clone(), scope });
    }
}

fn body_bytes(body: &AnyValue) -> usize {
    match body {
        AnyValue::String(s) => s.len(),
        AnyValue::Bytes(b) => b.len(),
        other => other.heap_bytes(),
    }
}

/// The record, and whether it brought its own time.
fn record_from(r: PbRecord, stream: u32, received_ns: i64) -> (LogRecord, bool) {
    let observed_ns = ns(r.observed_time_unix_nano);
    let (timestamp_ns, timed) = match (ns(r.time_unix_nano), observed_ns) {
        (0, 0) => (received_ns, false),
        (0, observed) => (observed, true),
        (time, _) => (time, true),
    };
    let record = LogRecord {
        stream,
        timestamp_ns,
        observed_ns,
        severity_number: u8::try_from(r.severity_number).ok().filter(|n| *n <= 24).unwrap_or(0),
        severity_text: r.severity_text,
        body: attr::from_value(r.body),
        attributes: attr::from_list(r.attributes),
        dropped_attributes: r.dropped_attributes_count,
        flags: r.flags,
        // An id of another length means "no trace" (logs.proto).
        trace_id: attr::id(&r.trace_id).unwrap_or_default(),
        span_id: attr::id(&r.span_id).unwrap_or_default(),
        event_name: r.event_name,
    };
    (record, timed)
}

/// Labels a stream is selected by. `service_name` is always there, as in Loki.
pub fn stream_labels(resource: &Resource, options: &Options) -> Result<Labels, String> {
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(8);
    for key in &options.promote_to_streams {
        if let Some(value) = resource.attributes.get(key) {
            let name = names::label_name(key).into_owned();
            if !pairs.iter().any(|(n, _)| *n == name) {
                pairs.push((name, value.to_string()));
            }
        }
    }
    if !pairs.iter().any(|(n, v)| n == "service_name" && !v.is_empty()) {
        pairs.retain(|(n, _)| n != "service_name");
        pairs.push(("service_name".to_owned(), "unknown_service".to_owned()));
    }
    options.limits.labels(&mut pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect())
}

/// [`encode`] as OTLP/JSON: `{"resourceLogs":[...]}`.
pub fn encode_json(batch: &LogBatch) -> Vec<u8> {
    json::write::logs(&encode(batch))
}

/// Writes a batch as a request: one resource and scope per stream. Labels that no resource attribute says, as those of a
/// stream that came from Loki, become resource attributes: under the name that gives the label back where there is one
/// ([`super::STREAM_ATTRIBUTES`]), else under their own.
pub fn encode(batch: &LogBatch) -> ExportLogsServiceRequest {
    let mut groups: Vec<ResourceLogs> = batch
        .streams
        .iter()
        .map(|s| {
            let mut resource = attr::to_resource(&s.resource);
            resource.attributes.extend(attr::to_list(&unsaid(s)));
            ResourceLogs {
                resource: Some(resource),
                scope_logs: vec![ScopeLogs {
                    scope: Some(attr::to_scope(&s.scope)),
                    log_records: Vec::new(),
                    schema_url: String::new(),
                }],
                schema_url: s.resource.schema_url.clone(),
            }
        })
        .collect();
    for r in &batch.records {
        if let Some(scope) = groups.get_mut(r.stream as usize).and_then(|g| g.scope_logs.first_mut()) {
            scope.log_records.push(record_to(r));
        }
    }
    groups.retain(|g| g.scope_logs.iter().any(|s| !s.log_records.is_empty()));
    ExportLogsServiceRequest { resource_logs: groups }
}

/// Labels of a stream that its resource does not say.
fn unsaid(s: &LogStream) -> Attributes {
    let said: Vec<Cow<'_, str>> =
        s.resource.attributes.iter().map(|(key, _)| names::label_name(key)).collect();
    let is_said = |name: &str, value: &str| match name {
        // Stands for none.
        "service_name" if value == "unknown_service" => true,
        "cluster" => CLUSTER.iter().any(|key| s.resource.attributes.get_str(key) == Some(value)),
        _ => false,
    };
    let mut out = Attributes::default();
    for (name, value) in s.labels.iter() {
        if said.iter().any(|k| k.as_ref() == name) || is_said(name, value) {
            continue;
        }
        let key = STREAM_ATTRIBUTES.into_iter().find(|key| names::label_name(key) == name);
        out.push(key.unwrap_or(name), value);
    }
    out
}

fn record_to(r: &LogRecord) -> PbRecord {
    PbRecord {
        time_unix_nano: unsigned(r.timestamp_ns),
        observed_time_unix_nano: unsigned(r.observed_ns),
        severity_number: SeverityNumber::try_from(i32::from(r.severity_number)).unwrap_or_default() as i32,
        severity_text: r.severity_text.clone(),
        body: Some(attr::to_value(&r.body)),
        attributes: attr::to_list(&r.attributes),
        dropped_attributes_count: r.dropped_attributes,
        flags: r.flags,
        trace_id: attr::id_bytes(&r.trace_id),
        span_id: attr::id_bytes(&r.span_id),
        event_name: r.event_name.clone(),
    }
}
