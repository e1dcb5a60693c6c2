//! Prometheus remote read (`prometheus.io/docs/prometheus/latest/querying/remote_read_api`): a snappy-packed
//! `prometheus.ReadRequest` in; out either one snappy-packed `prometheus.ReadResponse` of samples, or a stream
//! of frames, each one series with its samples as TSDB chunks. [`answer`] is the asking side.
//!
//! ```text
//! frame   | length uvarint | crc32c u32 big endian | ChunkedReadResponse ... |       the checksum is of the message
//! ```

pub mod answer;
mod bits;
mod chunk;

use model::{Histogram, Labels, MatchOp, Matcher};

pub use self::chunk::{Chunk, Encoding, chunks};
use crate::{
    Error,
    protobuf::{Fault, Reader, Value, Writer, take_varint},
    remote_write::encode_histogram,
};

const WHAT: &str = "remote read request";
/// Queries of one request, and matchers of one query. Prometheus sends one query at a time.
const MAX_QUERIES: usize = 256;
const MAX_MATCHERS: usize = 1024;

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadRequest {
    pub queries: Vec<ReadQuery>,
    /// The forms of answer the sender reads, the ones it likes best first; empty means samples.
    pub accepted: Vec<u64>,
}

/// One selector over a range of time, both ends included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadQuery {
    pub start_ms: i64,
    pub end_ms: i64,
    pub matchers: Vec<Matcher>,
}

/// The forms an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadForm {
    Samples,
    Chunks,
}

impl ReadRequest {
    /// The first accepted form that we know.
    pub fn form(&self) -> Result<ReadForm, Error> {
        let known = |n: &u64| match n {
            0 => Some(ReadForm::Samples),
            1 => Some(ReadForm::Chunks),
            _ => None,
        };
        match self.accepted.is_empty() {
            true => Ok(ReadForm::Samples),
            false => self.accepted.iter().find_map(known).ok_or_else(|| {
                let asked = format!("none of the accepted response types {:?} is known", self.accepted);
                Error::protobuf(WHAT, asked)
            }),
        }
    }
}

/// Reads the body after unpacking.
pub fn decode(body: &[u8]) -> Result<ReadRequest, Error> {
    let fault = |f: Fault| Error::protobuf(WHAT, f);
    let mut out = ReadRequest::default();
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        match (field, value) {
            (1, v) if out.queries.len() < MAX_QUERIES => out.queries.push(query(v.bytes().map_err(fault)?)?),
            (1, _) => return Err(fault("it has too many queries")),
            // Packed or not.
            (2, Value::Varint(v)) if out.accepted.len() < MAX_QUERIES => out.accepted.push(v),
            (2, Value::Bytes(mut b)) => {
                while !b.is_empty() && out.accepted.len() < MAX_QUERIES {
                    out.accepted.push(take_varint(&mut b).map_err(fault)?);
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

fn query(body: &[u8]) -> Result<ReadQuery, Error> {
    let fault = |f: Fault| Error::protobuf(WHAT, f);
    let mut out = ReadQuery::default();
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        match field {
            1 => out.start_ms = value.varint().map_err(fault)? as i64,
            2 => out.end_ms = value.varint().map_err(fault)? as i64,
            3 if out.matchers.len() < MAX_MATCHERS => {
                out.matchers.push(matcher(value.bytes().map_err(fault)?)?);
            }
            3 => return Err(fault("a query has too many matchers")),
            _ => {}
        }
    }
    Ok(out)
}

fn matcher(body: &[u8]) -> Result<Matcher, Error> {
    let fault = |f: Fault| Error::protobuf(WHAT, f);
    let (mut op, mut name, mut text) = (MatchOp::Equal, "", "");
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next().map_err(fault)? {
        match field {
            1 => {
                op = match value.varint().map_err(fault)? {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Regex,
                    3 => MatchOp::NotRegex,
                    _ => return Err(fault("a matcher has an unknown type")),
                }
            }
            2 => name = value.str().map_err(fault)?,
            3 => text = value.str().map_err(fault)?,
            _ => {}
        }
    }
    Matcher::new(name, op, text).map_err(|e| Error::protobuf(WHAT, e))
}

/// A series to be written; times ascend, and no time is in both kinds of samples.
#[derive(Debug, Clone, Copy)]
pub struct ReadSeries<'a> {
    pub labels: &'a Labels,
    pub timestamps_ms: &'a [i64],
    pub values: &'a [f64],
    /// Time, start (not written), histogram.
    pub histograms: &'a [(i64, i64, Histogram)],
}

/// Appends a series to the `QueryResult` in `out`.
pub fn push_series(out: &mut Vec<u8>, s: &ReadSeries<'_>) {
    let (mut series, mut inner, mut scratch) = (Writer::default(), Writer::default(), Writer::default());
    labels(&mut series, s.labels);
    for (at, value) in s.timestamps_ms.iter().zip(s.values) {
        inner.clear();
        inner.double(1, *value);
        inner.varint(2, *at as u64);
        series.bytes(2, &inner.0);
    }
    for (at, _, h) in s.histograms {
        inner.clear();
        encode_histogram(&mut inner, &mut scratch, *at, h);
        series.bytes(4, &inner.0);
    }
    let mut whole = Writer(std::mem::take(out));
    whole.bytes(1, &series.0);
    *out = whole.0;
}

/// The `ReadResponse` of `QueryResult`s, in the order of the queries; before snappy.
pub fn response(results: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(results.iter().map(|r| r.len() + 10).sum()));
    for r in results {
        out.bytes(1, r);
    }
    out.0
}

fn labels(out: &mut Writer, labels: &Labels) {
    let mut inner = Writer::default();
    for (name, value) in labels {
        inner.clear();
        inner.str(1, name);
        inner.str(2, value);
        out.bytes(1, &inner.0);
    }
}

/// Appends the frames of one series: as many chunks in each as fit into about `max_bytes`.
pub fn push_frames(out: &mut Vec<u8>, query: usize, s: &ReadSeries<'_>, max_bytes: usize) {
    let mut head = Writer::default();
    labels(&mut head, s.labels);
    let mut body = Writer(head.0.clone());
    for c in chunk::chunks(s) {
        let mut inner = Writer::default();
        inner.varint(1, c.min_ms as u64);
        inner.varint(2, c.max_ms as u64);
        inner.varint(3, c.encoding as u64);
        inner.bytes(4, &c.data);
        body.bytes(2, &inner.0);
        if body.0.len() >= max_bytes {
            frame(out, query, &body.0);
            body.0.clone_from(&head.0);
        }
    }
    if body.0.len() > head.0.len() {
        frame(out, query, &body.0);
    }
}

fn frame(out: &mut Vec<u8>, query: usize, series: &[u8]) {
    let mut message = Writer(Vec::with_capacity(series.len() + 16));
    message.bytes(1, series);
    message.varint(2, query as u64);
    let mut whole = Writer(std::mem::take(out));
    whole.put_varint(message.0.len() as u64);
    whole.0.extend_from_slice(&crc32c::crc32c(&message.0).to_be_bytes());
    whole.0.extend_from_slice(&message.0);
    *out = whole.0;
}

#[cfg(test)]
mod tests;
