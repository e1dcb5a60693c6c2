//! Elasticsearch's `_bulk`: pairs of lines, an action and a document, to log records.
//!
//! ```text
//! {"create": {"_index": "filebeat-9.0", "_id": "a1"}}
//! {"@timestamp": "2024-05-06T07:08:09.123Z", "message": "line", "log": {"level": "warn"}}
//! ```
//! A document is a record: its `message`, where that is a text, is the body, its `@timestamp` the time (or the time
//! of receipt where it has none), everything else attributes as nested and typed as they came. So the document
//! can be put together again, by [`document::source`], and nothing is mapped: the same field may be a number here and an
//! object there. Few fields become labels of the stream as well (`stream`), so that LogQL finds the record.
//!
//! What is not an action ends the request, since nobody knows which lines follow; a document that cannot be read harms
//! itself only. `update` and `delete` are refused one by one: what was logged stays as it is.

pub mod document;
mod item;
mod stream;
mod value;

use std::collections::HashMap;

use model::{AnyValue, Attributes, LogBatch, LogRecord};

pub use self::{
    item::{Action, Identity, Item, Problem},
    value::find,
};
use crate::{Decoded, Error, Limits, Refusals, dates, text::clip};

/// Scope of the streams whose records are documents.
pub const SCOPE: &str = "elasticsearch";
/// Label that names a document's index.
pub const INDEX: &str = "index";
/// Attribute that holds the id a document was given. No document may have a field of this name.
pub const ID: &str = "_id";
/// The field that holds a document's time.
pub const TIMESTAMP: &str = "@timestamp";
/// The field that becomes the body.
pub const MESSAGE: &str = "message";

/// More items in one request are refused, so that an answer stays within bounds. Clients send some thousand.
pub const MAX_ITEMS: usize = 200_000;
/// An id is at most this long, as in Elasticsearch.
const MAX_ID_BYTES: usize = 512;

/// What a request came to.
#[derive(Debug)]
pub struct Bulk {
    /// The records, in order of the items they came from.
    pub decoded: Decoded<LogBatch>,
    /// One per action, in order.
    pub items: Vec<Item>,
}

/// Reads a request. `default_index` is that of the path; `identify` is asked about each `create` that gives an id,
/// once per item and in order.
pub fn decode(
    body: &[u8],
    default_index: Option<&str>,
    received_ns: i64,
    limits: &Limits,
    identify: &mut dyn FnMut(&str, &str) -> Identity,
) -> Result<Bulk, Error> {
    let batch = LogBatch::default();
    let mut d = Decoder {
        default_index,
        received_ns,
        limits,
        identify,
        streams: HashMap::new(),
        out: Bulk {
            decoded: Decoded { batch, refused: Refusals::default(), all_timed: true },
            items: Vec::new(),
        },
        unnamed: Vec::new(),
    };
    let mut lines = Lines { rest: body, number: 0 };
    while let Some(line) = lines.next_line() {
        if line.is_empty() {
            continue;
        }
        if d.out.items.len() + d.unnamed.len() >= MAX_ITEMS {
            return Err(Error::BulkItems { max: MAX_ITEMS });
        }
        let head = item::head(line, lines.number)?;
        let document = match head.action {
            Action::Delete => None,
            _ => Some(lines.next_line().ok_or(Error::Bulk {
                line: lines.number,
                reason: "the document of the last action is missing".to_owned(),
            })?),
        };
        d.item(head, document);
    }
    d.finish()
}

struct Lines<'a> {
    rest: &'a [u8],
    /// Of the line taken last, counted from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(at) => (self.rest.get(..at)?, self.rest.get(at + 1..)?),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

struct Decoder<'a> {
    default_index: Option<&'a str>,
    received_ns: i64,
    limits: &'a Limits,
    identify: &'a mut dyn FnMut(&str, &str) -> Identity,
    streams: HashMap<stream::Origin, u32>,
    out: Bulk,
    /// Items without an index, by number from 1.
    unnamed: Vec<usize>,
}

impl Decoder<'_> {
    fn item(&mut self, head: item::Head, document: Option<&[u8]>) {
        let index = head.index.or_else(|| self.default_index.map(str::to_owned));
        let Some(index) = index else {
            self.unnamed.push(self.out.items.len() + self.unnamed.len() + 1);
            return;
        };
        let mut item = Item { action: head.action, index, id: head.id, claimed: false, outcome: Ok(0) };
        item.outcome = self.outcome(&mut item, document);
        if let Err(problem) = &item.outcome {
            let at = self.out.items.len() as u64;
            self.out.decoded.refused.add(problem.reason(), at, || problem.message.clone());
        }
        self.out.items.push(item);
    }

    /// Where the record stands in the batch, or why there is none.
    fn outcome(&mut self, item: &mut Item, document: Option<&[u8]>) -> Result<u32, Problem> {
        item::check_index(&item.index)?;
        let document = match item.action {
            Action::Index | Action::Create => document.unwrap_or_default(),
            other => return Err(Problem::unsupported(other)),
        };
        if let Some(id) = item.id.as_ref().filter(|id| id.is_empty() || id.len() > MAX_ID_BYTES) {
            return Err(Problem::illegal(format!(
                "the id {:?} has {} bytes, it must have 1 to {MAX_ID_BYTES}",
                clip(id),
                id.len()
            )));
        }
        let mut fields = value::object(document)
            .map_err(|why| Problem::document(format!("the document cannot be read: {}", clip(&why))))?;
        if fields.get(ID).is_some() {
            let why = format!("field [{ID}] is a metadata field and cannot be added inside a document");
            return Err(Problem::document(why));
        }
        let (timestamp_ns, timed) = self.time(&mut fields)?;
        let body = match fields.0.iter().position(|(k, v)| k == MESSAGE && v.as_str().is_some()) {
            Some(at) => fields.0.remove(at).1,
            None => AnyValue::Empty,
        };
        let max = self.limits.max_line_bytes;
        if let Some(long) = body.as_str().filter(|s| s.len() > max) {
            let why = format!("message of {} bytes, ingest.max_line is {max}", long.len());
            return Err(Problem::too_large(why));
        }
        self.limits.check_attributes("document", &fields).map_err(Problem::illegal)?;
        let mut record = LogRecord { timestamp_ns, body, attributes: fields, ..LogRecord::default() };
        let known = item.action == Action::Create;
        match &item.id {
            Some(id) if known => match (self.identify)(&item.index, id) {
                Identity::New => {
                    item.claimed = true;
                    record.attributes.push(ID, id.as_str());
                }
                Identity::Known => return Err(Problem::conflict(id)),
                Identity::Pending => return Err(Problem::pending(id)),
            },
            Some(id) => record.attributes.push(ID, id.as_str()),
            None => item.id = Some(document::id(&item.index, &record)),
        }
        stream::derive(&mut record);
        record.stream = self.stream(&item.index, &record)?;
        self.out.decoded.all_timed &= timed;
        self.out.decoded.batch.records.push(record);
        Ok((self.out.decoded.batch.records.len() - 1) as u32)
    }

    /// The time of a document, and whether it is its own. Where its text says no more than the time does, the field
    /// goes: it can be written again.
    fn time(&self, fields: &mut Attributes) -> Result<(i64, bool), Problem> {
        let at = fields.0.iter().position(|(k, v)| k == TIMESTAMP && *v != AnyValue::Empty);
        let Some((at, (_, value))) = at.and_then(|at| Some((at, fields.0.get(at)?))) else {
            return Ok((self.received_ns, false));
        };
        let text = match value {
            AnyValue::String(_) | AnyValue::Int(_) => value.to_string(),
            AnyValue::Double(ms) => format!("{ms:.6}"),
            _ => String::new(),
        };
        let Some(date) = dates::parse(&text) else {
            return Err(Problem::document(format!(
                "failed to parse field [{TIMESTAMP}] of type [date]: {:?} has not the format \
                 [strict_date_optional_time||epoch_millis] or lies beyond 1677 to 2262",
                clip(&value.to_string())
            )));
        };
        if value.as_str().is_some_and(|s| s == dates::format(date.ns)) {
            fields.0.remove(at);
        }
        Ok((date.ns, true))
    }

    fn stream(&mut self, index: &str, record: &LogRecord) -> Result<u32, Problem> {
        let origin = stream::Origin::of(index, &record.attributes, self.limits);
        if let Some(known) = self.streams.get(&origin) {
            return Ok(*known);
        }
        let stream = origin.stream(self.limits).map_err(Problem::illegal)?;
        let streams = &mut self.out.decoded.batch.streams;
        streams.push(stream);
        let at = (streams.len() - 1) as u32;
        self.streams.insert(origin, at);
        Ok(at)
    }

    fn finish(self) -> Result<Bulk, Error> {
        if self.unnamed.is_empty() {
            return Ok(self.out);
        }
        let all: Vec<String> =
            self.unnamed.iter().take(100).map(|n| format!("{n}: index is missing;")).collect();
        Err(Error::BulkValidation { reason: format!("Validation Failed: {}", all.join("")) })
    }
}

#[cfg(test)]
mod tests;
