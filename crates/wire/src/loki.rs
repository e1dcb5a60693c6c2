//! Loki push (`grafana.com/docs/loki` → HTTP API, "Ingest logs"): JSON, or `logproto.PushRequest` in protobuf.
//!
//! ```text
//! {"streams": [{"stream": {"app": "a"}, "values": [["1700000000000000000", "line", {"trace": "x"}]]}]}
//! ```
//! Stream labels are kept exactly as pushed. Structured metadata becomes record attributes.

mod json;
mod protobuf;
mod selector;

use std::{borrow::Cow, convert::Infallible};

use model::{AnyValue, Attributes, Labels, LogBatch, LogRecord, LogStream};
use proto::loki::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};

pub use self::selector::parse_labels;
use crate::{Decoded, Error, Limits, Reason, Refusals, text::clip};

const WHAT: &str = "Loki push request";

/// Reads the JSON form.
pub fn decode_json(body: &[u8], limits: &Limits) -> Result<Decoded<LogBatch>, Error> {
    let push: json::Push<'_> = serde_json::from_slice(body).map_err(|e| Error::json(WHAT, e))?;
    let mut d = Decoder::new(limits);
    for s in push.streams {
        let labels = d.labels(&s.labels);
        let entries = s.values.into_iter().map(|e| Ok(json::Entry::into_parts(e)));
        let Ok(()) = d.stream::<Infallible>(labels, entries.len(), entries);
    }
    Ok(d.finish())
}

/// Reads the protobuf form, after snappy.
pub fn decode_protobuf(body: &[u8], limits: &Limits) -> Result<Decoded<LogBatch>, Error> {
    let mut d = Decoder::new(limits);
    protobuf::decode(body, &mut d).map_err(|fault| Error::protobuf(WHAT, fault))?;
    Ok(d.finish())
}

/// One entry: its time in nanoseconds or why it has none, its line, its structured metadata.
type Parts<'a> = (Result<i64, String>, Cow<'a, str>, Attributes);

struct Decoder<'a> {
    limits: &'a Limits,
    batch: LogBatch,
    refused: Refusals,
    seen: u64,
}

impl<'a> Decoder<'a> {
    fn new(limits: &'a Limits) -> Self {
        Decoder { limits, batch: LogBatch::default(), refused: Refusals::default(), seen: 0 }
    }

    fn finish(self) -> Decoded<LogBatch> {
        Decoded { batch: self.batch, refused: self.refused, all_timed: true }
    }

    fn labels(&self, pairs: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<Labels, String> {
        let mut pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        let labels = self.limits.labels(&mut pairs)?;
        if labels.is_empty() { Err("a stream has no labels".to_owned()) } else { Ok(labels) }
    }

    fn stream<'p, E>(
        &mut self,
        labels: Result<Labels, String>,
        count: usize,
        entries: impl Iterator<Item = Result<Parts<'p>, E>>,
    ) -> Result<(), E> {
        let first = self.seen;
        self.seen += count as u64;
        let labels = match labels {
            Ok(labels) => labels,
            Err(why) => {
                self.refused.add_many(Reason::InvalidLabels, first, count as u64, || why);
                return Ok(());
            }
        };
        let before = self.batch.records.len();
        for (i, parts) in entries.enumerate() {
            self.entry(first + i as u64, parts?);
        }
        if self.batch.records.len() > before {
            self.batch.streams.push(LogStream { labels, ..LogStream::default() });
        }
        Ok(())
    }

    fn entry(&mut self, index: u64, (time, line, attributes): Parts<'_>) {
        let max = self.limits.max_line_bytes;
        if line.len() > max {
            self.refused.add(Reason::TooLarge, index, || {
                format!("line of {} bytes ({}), ingest.max_line is {max}", line.len(), clip(&line))
            });
        } else if let Err(why) = self.limits.check_attributes("log record", &attributes) {
            self.refused.add(Reason::InvalidLabels, index, || why);
        } else {
            match time {
                Err(why) => self.refused.add(Reason::InvalidItem, index, || why),
                Ok(timestamp_ns) => self.batch.records.push(LogRecord {
                    stream: self.batch.streams.len() as u32,
                    timestamp_ns,
                    body: AnyValue::String(line.into_owned()),
                    attributes,
                    ..LogRecord::default()
                }),
            }
        }
    }
}

/// Writes a batch as a push request, one stream each. What Loki has no place for (severity, ids, typed
/// attributes) becomes structured metadata in text form.
pub fn encode(batch: &LogBatch) -> PushRequest {
    let mut streams: Vec<StreamAdapter> = batch
        .streams
        .iter()
        .map(|s| StreamAdapter { labels: selector::write(&s.labels), entries: Vec::new(), hash: 0 })
        .collect();
    for r in &batch.records {
        if let Some(s) = streams.get_mut(r.stream as usize) {
            s.entries.push(EntryAdapter {
                timestamp: Some(prost_types::Timestamp {
                    seconds: r.timestamp_ns.div_euclid(1_000_000_000),
                    nanos: r.timestamp_ns.rem_euclid(1_000_000_000) as i32,
                }),
                line: r.body.to_string(),
                structured_metadata: metadata(r),
            });
        }
    }
    streams.retain(|s| !s.entries.is_empty());
    PushRequest { streams }
}

fn metadata(r: &LogRecord) -> Vec<LabelPairAdapter> {
    let pair = |name: &str, value: String| LabelPairAdapter { name: name.to_owned(), value };
    let mut out: Vec<_> = r.attributes.iter().map(|(k, v)| pair(k, v.to_string())).collect();
    if !r.severity_text.is_empty() {
        out.push(pair("severity_text", r.severity_text.clone()));
    }
    if r.severity_number != 0 {
        out.push(pair("severity_number", r.severity_number.to_string()));
    }
    for (name, id) in [("trace_id", &r.trace_id[..]), ("span_id", &r.span_id[..])] {
        if id.iter().any(|b| *b != 0) {
            out.push(pair(name, id.iter().map(|b| format!("{b:02x}")).collect()));
        }
    }
    out
}

#[cfg(test)]
mod tests;
