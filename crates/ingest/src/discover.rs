//! What Loki finds out about logs as they come in, so that what was made for Loki finds it here too: which service a
//! stream is of, and how grave a record is.
//!
//! ```text
//! stream   label service_name     of the first label that names one, else unknown_service
//! record   attribute detected_level   of a label, an attribute, the severity or the line; unknown where none says it
//! ```
//! Names and order are those of Loki's `discover_service_name` and `discover_log_levels`. A record with an
//! OpenTelemetry severity number has its level in that already.

use model::{AnyValue, Batch, LogBatch, LogRecord, LogStream};

use crate::stamp::add_label;

mod level;

/// What a stream of a service is called by.
const SERVICE_NAME: &str = "service_name";
const UNKNOWN_SERVICE: &str = "unknown_service";
/// What a record's level is called by.
pub(crate) const DETECTED_LEVEL: &str = "detected_level";

/// Labels that name a service, the first that a stream has counts.
pub const SERVICE_LABELS: [&str; 13] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// Labels, attributes and fields of a line that say a level, the first that is there counts.
pub const LEVEL_FIELDS: [&str; 14] = [
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
];

/// What is found out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Discover {
    /// `ingest.discover_service_name`
    pub service_name: bool,
    /// `ingest.discover_log_levels`
    pub log_levels: bool,
}

/// Finds out what senders of logs left to be found out; for what did not come in by admission.
pub fn discover(batch: &mut Batch, what: Discover) {
    if let Batch::Logs(logs) = batch {
        apply(logs, what);
    }
}

pub(crate) fn apply(batch: &mut LogBatch, what: Discover) {
    if what.service_name {
        batch.streams.iter_mut().for_each(name_service);
    }
    if what.log_levels {
        let of_streams: Vec<Option<String>> = batch.streams.iter().map(stream_level).collect();
        for r in &mut batch.records {
            let of_stream = of_streams.get(r.stream as usize).and_then(Option::as_deref);
            note_level(r, of_stream);
        }
    }
}

fn name_service(stream: &mut LogStream) {
    if stream.labels.get(SERVICE_NAME).is_some() {
        return;
    }
    let named = SERVICE_LABELS.iter().find_map(|name| stream.labels.get(name));
    let service = named.unwrap_or(UNKNOWN_SERVICE).to_owned();
    add_label(&mut stream.labels, SERVICE_NAME, &service);
}

fn stream_level(stream: &LogStream) -> Option<String> {
    LEVEL_FIELDS.iter().find_map(|name| stream.labels.get(name)).map(|v| level::normal(v).to_owned())
}

fn note_level(r: &mut LogRecord, of_stream: Option<&str>) {
    if let Some((_, value)) = r.attributes.0.iter_mut().find(|(k, _)| k == DETECTED_LEVEL) {
        if let AnyValue::String(said) = value
            && level::normal(said) != said.as_str()
        {
            *said = level::normal(said).to_owned();
        }
        return;
    }
    let found = match (of_stream, said_by_attributes(r)) {
        (Some(level), _) => level.to_owned(),
        (None, Some(level)) => level,
        (None, None) if r.severity_number != 0 => return,
        (None, None) => match &r.body {
            AnyValue::String(line) => level::of_line(line).to_owned(),
            _ => level::UNKNOWN.to_owned(),
        },
    };
    r.attributes.push(DETECTED_LEVEL, found);
}

fn said_by_attributes(r: &LogRecord) -> Option<String> {
    let attribute = LEVEL_FIELDS.iter().find_map(|name| r.attributes.get_str(name));
    // OpenTelemetry's severity text has a field of its own; a number beside it says it better.
    let text = Some(r.severity_text.as_str()).filter(|t| !t.is_empty() && r.severity_number == 0);
    attribute.or(text).filter(|v| !v.is_empty()).map(|v| level::normal(v).to_owned())
}

#[cfg(test)]
mod tests;
