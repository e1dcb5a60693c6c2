//! Log records.

use proto::otlp::{
    collector::logs::ExportLogsServiceRequest,
    logs::{LogRecord, ResourceLogs, ScopeLogs},
};

use super::{Object, Writer, any_value, key_value, resource, scope};

pub(in crate::otlp) fn request(request: &ExportLogsServiceRequest) -> Vec<u8> {
    let mut w = Writer::default();
    w.object(|o| o.list("resourceLogs", &request.resource_logs, resource_logs));
    w.0
}

fn resource_logs(o: &mut Object<'_>, r: &ResourceLogs) {
    o.message("resource", r.resource.as_ref(), resource);
    o.list("scopeLogs", &r.scope_logs, scope_logs);
    o.text("schemaUrl", &r.schema_url);
}

fn scope_logs(o: &mut Object<'_>, s: &ScopeLogs) {
    o.message("scope", s.scope.as_ref(), scope);
    o.list("logRecords", &s.log_records, record);
    o.text("schemaUrl", &s.schema_url);
}

fn record(o: &mut Object<'_>, r: &LogRecord) {
    o.long("timeUnixNano", r.time_unix_nano);
    o.long("observedTimeUnixNano", r.observed_time_unix_nano);
    o.count("severityNumber", r.severity_number.unsigned_abs());
    o.text("severityText", &r.severity_text);
    o.message("body", r.body.as_ref(), any_value);
    o.list("attributes", &r.attributes, key_value);
    o.count("droppedAttributesCount", r.dropped_attributes_count);
    o.count("flags", r.flags);
    o.hex("traceId", &r.trace_id);
    o.hex("spanId", &r.span_id);
    o.text("eventName", &r.event_name);
}

#[cfg(test)]
mod tests {
    use model::{AnyValue, Attributes, LogBatch, LogRecord, LogStream};
    use proptest::prelude::*;

    use crate::otlp::{Options, logs};

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            bodies in proptest::collection::vec((".{0,20}", 1i64.., 0u8..=24, any::<[u8; 16]>()), 1..5),
        ) {
            let record = |(body, at, severity, trace): (String, i64, u8, [u8; 16])| LogRecord {
                timestamp_ns: at,
                observed_ns: at,
                severity_number: severity,
                severity_text: "warn".to_owned(),
                attributes: Attributes::from_iter([("k", AnyValue::from(body.as_str()))]),
                body: AnyValue::String(body),
                flags: 1,
                dropped_attributes: 2,
                trace_id: trace,
                event_name: "e".to_owned(),
                ..LogRecord::default()
            };
            let records = bodies.into_iter().map(record).collect();
            let batch = LogBatch { streams: vec![LogStream::default()], records };
            let back = logs::decode_json(&logs::encode_json(&batch), 7, &Options::default()).unwrap();
            prop_assert_eq!(back.refused.total(), 0);
            prop_assert_eq!(back.batch.records, batch.records);
        }
    }
}
