//! An answer on its way: what stands around the rows, and what is known only at their end.

use std::io;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use base::{MemoryBudget, memory::Use};
use bytes::Bytes;
use contract::{SqlAnswer, SqlEnd, SqlRead};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use model::TimestampNs;
use serde_json::{Value, json};

use super::{Format, RANGE_HEADER};
use crate::{Error, ask, body, coverage, gate::Pass, params::format_rfc3339};

pub(super) struct Outgoing {
    format: Format,
    answer: SqlAnswer,
    denies_partial: bool,
}

/// Longer ones are cut by proxies on the way.
const MAX_HEADER_BYTES: usize = 2048;

impl Outgoing {
    pub(super) fn new(format: Format, answer: SqlAnswer, denies_partial: bool) -> Self {
        Outgoing { format, answer, denies_partial }
    }

    /// An answer of which everything is known.
    pub(super) fn whole(self, rows: Vec<u8>, budget: &MemoryBudget) -> Result<Response, Error> {
        let end = self.end()?;
        let mut bytes = self.head();
        bytes.extend_from_slice(&rows);
        drop(rows);
        bytes.append(&mut self.tail(&end, None));
        let memory = budget.reserve(Use::Query, bytes.len() as u64)?;
        let mut response = self.response(body::Outgoing::body(bytes, Some(memory)));
        coverage::stamp(&mut response, &end.coverage);
        Ok(response)
    }

    /// The rows there are, and those that come. The turn ends with them.
    pub(super) fn streamed(self, rows: Vec<u8>, pass: Pass) -> Response {
        let mut first = self.head();
        first.extend_from_slice(&rows);
        let mut response = self.response(Body::empty());
        response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-orrery-coverage"));
        let frames = stream::iter([Ok(Frame::data(Bytes::from(first)))]).chain(self.frames(pass));
        *response.body_mut() = Body::new(StreamBody::new(frames));
        response
    }

    fn frames(self, pass: Pass) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static {
        enum Next {
            Piece,
            Trailers(HeaderMap),
            BreakOff(Error),
            Nothing,
        }
        stream::unfold((self, pass, Next::Piece), |(mut me, pass, next)| async move {
            let (frame, next) = match next {
                Next::Nothing => return None,
                Next::BreakOff(e) => (Err(io::Error::other(e.to_string())), Next::Nothing),
                Next::Trailers(trailers) => (Ok(Frame::trailers(trailers)), Next::Nothing),
                Next::Piece => match me.answer.pieces.next().await {
                    Some(Ok(piece)) => (Ok(Frame::data(piece.into())), Next::Piece),
                    other => {
                        let ended = other.transpose().map_err(Error::from).and_then(|_| me.end());
                        let end = me.answer.end.lock().clone();
                        let tail = Ok(Frame::data(me.tail(&end, ended.as_ref().err()).into()));
                        match (ended, me.format) {
                            (Err(e), Format::Csv | Format::Arrow) => (tail, Next::BreakOff(e)),
                            _ => (tail, Next::Trailers(trailers(&end))),
                        }
                    }
                },
            };
            Some((frame, (me, pass, next)))
        })
    }

    /// What is known at the end; an error where the client will have all or nothing.
    fn end(&self) -> Result<SqlEnd, Error> {
        let end = self.answer.end.lock().clone();
        if self.denies_partial {
            ask::complete(&end.coverage)?;
        }
        Ok(end)
    }

    fn response(&self, body: Body) -> Response {
        let mut response = (StatusCode::OK, [self.format.content_type()], body).into_response();
        let shown: Vec<String> = self.answer.reads.iter().map(range_text).collect();
        let mut text = shown.join(", ");
        text.truncate(MAX_HEADER_BYTES);
        if let Ok(value) = HeaderValue::try_from(text)
            && !self.answer.reads.is_empty()
        {
            response.headers_mut().insert(RANGE_HEADER, value);
        }
        response
    }

    fn head(&self) -> Vec<u8> {
        if self.format != Format::Json {
            return Vec::new();
        }
        let columns: Vec<Value> =
            self.answer.columns.iter().map(|c| json!({"name": c.name, "type": c.kind})).collect();
        format!("{{\"columns\":{},\"rows\":[", Value::Array(columns)).into_bytes()
    }

    fn tail(&self, end: &SqlEnd, error: Option<&Error>) -> Vec<u8> {
        if self.format != Format::Json {
            return Vec::new();
        }
        let reads: Vec<Value> = self.answer.reads.iter().map(read_json).collect();
        let mut all = json!({
            "count": end.rows,
            "truncated": end.is_cut,
            "read": reads,
            "warnings": self.warnings(end),
            "coverage": coverage::to_json(&end.coverage),
        });
        if let Some(e) = error {
            all["errorType"] = Value::from(e.kind().as_str());
            all["error"] = Value::from(e.to_string());
        }
        let all = all.to_string();
        // The object goes on where the rows end.
        format!("],{}", all.strip_prefix('{').unwrap_or(&all)).into_bytes()
    }

    fn warnings(&self, end: &SqlEnd) -> Vec<String> {
        let assumed = self.answer.reads.iter().filter(|r| r.is_assumed).map(|r| {
            let (from, to) = (format_rfc3339(r.range.start.0), format_rfc3339(r.range.end.0));
            format!("nothing says from when on {} is read: read was {from} to {to}", r.table)
        });
        let cut = end.is_cut.then(|| format!("there are more than limit={} rows", end.rows));
        assumed.chain(cut).chain(coverage::warnings(&end.coverage)).collect()
    }
}

fn trailers(end: &SqlEnd) -> HeaderMap {
    let mut carrier = Response::new(Body::empty());
    coverage::stamp(&mut carrier, &end.coverage);
    std::mem::take(carrier.headers_mut())
}

fn at(t: TimestampNs) -> Value {
    Value::from(format_rfc3339(t.0))
}

fn read_json(r: &SqlRead) -> Value {
    json!({"table": r.table, "from": at(r.range.start), "to": at(r.range.end), "assumed": r.is_assumed})
}

fn range_text(r: &SqlRead) -> String {
    format!("{} {}/{}", r.table, format_rfc3339(r.range.start.0), format_rfc3339(r.range.end.0))
}
