//! A stored record as the pipeline sees it.
//!
//! Structured metadata is, in Loki's names: the record's attributes, its severity, trace and span id, flags and
//! event name, the scope, and those resource attributes that are not stream labels. The observed time is left
//! out: it differs in every record and would make each of them a series of its own in metric queries.

use std::{borrow::Cow, collections::HashSet};

use model::{AnyValue, Attributes, Labels, LogRecord, LogStream};

use super::{Row, labels::RowLabels, labels::sanitise};

/// Names among so many are looked for one after the other.
const FEW: usize = 32;

/// What all records of one stream share.
pub(crate) struct StreamView {
    pub labels: Labels,
    /// From resource and scope.
    shared: Vec<(String, String)>,
}

impl StreamView {
    pub fn new(stream: &LogStream) -> Self {
        let mut shared = Vec::new();
        add_all(&mut shared, &stream.labels, &stream.resource.attributes);
        if !stream.scope.name.is_empty() {
            add(&mut shared, &stream.labels, "scope_name", stream.scope.name.clone());
        }
        if !stream.scope.version.is_empty() {
            add(&mut shared, &stream.labels, "scope_version", stream.scope.version.clone());
        }
        add_all(&mut shared, &stream.labels, &stream.scope.attributes);
        StreamView { labels: stream.labels.clone(), shared }
    }

    pub fn row<'a>(&'a self, record: &'a LogRecord) -> Row<'a> {
        let line = match &record.body {
            AnyValue::String(s) => Cow::Borrowed(s.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        let labels = RowLabels::new(&self.labels, self.structured(record));
        Row { ts_ns: record.timestamp_ns, line, labels }
    }

    fn structured(&self, r: &LogRecord) -> Cow<'_, [(String, String)]> {
        let bare = r.attributes.is_empty()
            && r.severity_number == 0
            && r.severity_text.is_empty()
            && r.trace_id == [0; 16]
            && r.span_id == [0; 8]
            && r.flags == 0
            && r.event_name.is_empty();
        if bare {
            return Cow::Borrowed(&self.shared);
        }
        let mut out = self.shared.clone();
        add_all(&mut out, &self.labels, &r.attributes);
        let mut put = |name: &str, value: String| add(&mut out, &self.labels, name, value);
        if r.severity_number != 0 {
            put("severity_number", r.severity_number.to_string());
            put("detected_level", level(r.severity_number).to_owned());
        }
        if !r.severity_text.is_empty() {
            put("severity_text", r.severity_text.clone());
        }
        if r.trace_id != [0; 16] {
            put("trace_id", hex(&r.trace_id));
        }
        if r.span_id != [0; 8] {
            put("span_id", hex(&r.span_id));
        }
        if r.flags != 0 {
            put("flags", r.flags.to_string());
        }
        if !r.event_name.is_empty() {
            put("event_name", r.event_name.clone());
        }
        Cow::Owned(out)
    }
}

fn add_all(out: &mut Vec<(String, String)>, stream: &Labels, attributes: &Attributes) {
    if out.len() + attributes.len() <= FEW {
        for (key, value) in attributes.iter() {
            add(out, stream, &sanitise(key), value.to_string());
        }
        return;
    }
    let mut seen: HashSet<String> = out.iter().map(|(n, _)| n.clone()).collect();
    for (key, value) in attributes.iter() {
        let (name, value) = (sanitise(key), value.to_string());
        let wanted = !name.is_empty() && !value.is_empty() && stream.get(&name).is_none();
        if wanted && seen.insert(name.clone()) {
            out.push((name, value));
        }
    }
}

/// Adds what is neither empty nor a stream label already. The first value of a name stays.
fn add(out: &mut Vec<(String, String)>, stream: &Labels, name: &str, value: String) {
    if !name.is_empty()
        && !value.is_empty()
        && stream.get(name).is_none()
        && !out.iter().any(|(n, _)| n == name)
    {
        out.push((name.to_owned(), value));
    }
}

/// Loki's name of an OpenTelemetry severity number.
fn level(severity: u8) -> &'static str {
    match severity {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "unknown",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_many_attributes_has_the_first_value_of_each_name() {
        for count in [3, 1000] {
            let mut attributes = Attributes::default();
            for n in 0..count {
                attributes.push(format!("key.{n}"), "first");
            }
            for name in ["key_1", "app", "empty"] {
                attributes.push(name, if name == "empty" { "" } else { "second" });
            }
            let stream = LogStream { labels: Labels::from_pairs([("app", "a")]), ..LogStream::default() };
            let view = StreamView::new(&stream);
            let record = LogRecord { attributes, ..LogRecord::default() };
            let found = view.structured(&record);
            assert_eq!(found.len(), count);
            assert!(found.iter().all(|(n, v)| n.starts_with("key_") && v == "first"), "{found:?}");
        }
    }
}
