//! `logproto.PushRequest`, read in place, so that a line is copied once: to where it stays.
//!
//! ```text
//! PushRequest   1 StreamAdapter*
//! StreamAdapter 1 string labels    2 EntryAdapter*    3 hash, not looked at
//! EntryAdapter  1 Timestamp        2 string line      3 LabelPairAdapter* structured metadata
//! Timestamp     1 int64 seconds    2 int32 nanos
//! LabelPair     1 string name      2 string value
//! ```

use std::borrow::Cow;

use model::{AnyValue, Attributes};

use super::{Decoder, Parts, parse_labels};
use crate::protobuf::{Fault, Reader, name_and_value};

/// Bytes of an entry for which room is made at least, so that a body of empty ones asks for no more than another.
const MIN_ENTRY: usize = 16;

pub(super) fn decode(body: &[u8], d: &mut Decoder<'_>) -> Result<(), Fault> {
    let mut streams = Vec::new();
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next()? {
        if field == 1 {
            streams.push(Stream::read(value.bytes()?)?);
        }
    }
    // Records that move as their number grows cost more than counting them.
    let entries: usize = streams.iter().map(|s| s.entries).sum();
    d.batch.records.reserve_exact(entries.min(body.len() / MIN_ENTRY));
    for Stream { labels, entries, body } in streams {
        let labels = parse_labels(labels).map_err(|e| e.to_string()).and_then(|pairs| d.labels(&pairs));
        d.stream(labels, entries, Entries(Reader::new(body)))?;
    }
    Ok(())
}

struct Stream<'a> {
    labels: &'a str,
    entries: usize,
    body: &'a [u8],
}

impl<'a> Stream<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let (mut labels, mut entries) = ("", 0);
        let mut r = Reader::new(body);
        while let Some((field, value)) = r.next()? {
            match field {
                1 => labels = value.str()?,
                2 => entries += 1,
                _ => {}
            }
        }
        Ok(Stream { labels, entries, body })
    }
}

/// The entries of a stream, each once.
struct Entries<'a>(Reader<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Parts<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next() {
                Ok(None) => return None,
                Ok(Some((2, value))) => return Some(value.bytes().and_then(entry)),
                Ok(Some(_)) => {}
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

fn entry(body: &[u8]) -> Result<Parts<'_>, Fault> {
    let (mut time, mut line) = (None, "");
    let mut pairs = 0;
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => time = Some(timestamp(value.bytes()?)?),
            2 => line = value.str()?,
            3 => pairs += 1,
            _ => {}
        }
    }
    // One more: a level is found out for most lines.
    let mut attributes = Vec::with_capacity(pairs + 1);
    let mut r = Reader::new(body);
    while pairs > 0
        && let Some((field, value)) = r.next()?
    {
        if field == 3 {
            attributes.push(pair(value.bytes()?)?);
        }
    }
    let time = time.unwrap_or_else(|| Err("an entry has no timestamp".to_owned()));
    Ok((time, Cow::Borrowed(line), Attributes(attributes)))
}

/// Nanoseconds since 1970, or why there are none.
fn timestamp(body: &[u8]) -> Result<Result<i64, String>, Fault> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut r = Reader::new(body);
    while let Some((field, value)) = r.next()? {
        match field {
            1 => seconds = value.varint()? as i64,
            2 => nanos = value.varint()? as i32,
            _ => {}
        }
    }
    let ns = seconds.checked_mul(1_000_000_000).and_then(|s| s.checked_add(i64::from(nanos)));
    Ok(ns.ok_or_else(|| format!("timestamp of {seconds} seconds is out of range")))
}

fn pair(body: &[u8]) -> Result<(String, AnyValue), Fault> {
    let (name, text) = name_and_value(body)?;
    Ok((name.to_owned(), AnyValue::from(text)))
}
