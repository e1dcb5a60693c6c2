//! The table of streams.

use std::{collections::HashMap, ops::Range};

use model::{AnyValue, Attributes, Labels, LogBatch, LogStream};

use crate::{
    Result,
    file::{
        File,
        blob::{Blob, pack_text, unpack_text},
    },
    origin, text,
};

pub(super) const BLOB: &str = "streams";

/// A stream and where its records are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub stream: LogStream,
    pub rows: Range<usize>,
    /// First and last time.
    pub from: i64,
    pub to: i64,
}

/// Streams that have records, equal ones merged, in order of labels. The second part gives the new number of each stream.
pub(super) fn merge(
    streams: &[LogStream],
    of_records: impl Iterator<Item = u32>,
) -> Result<(Vec<LogStream>, Vec<Option<usize>>)> {
    let mut used = vec![false; streams.len()];
    for stream in of_records {
        match used.get_mut(stream as usize) {
            Some(u) => *u = true,
            None => {
                let of = streams.len();
                return Err(crate::Error::Invalid(format!("a record names stream {stream} of {of}")));
            }
        }
    }
    let mut keys: Vec<(&Labels, String, usize)> = Vec::new();
    for (i, s) in streams.iter().enumerate().filter(|(i, _)| used.get(*i) == Some(&true)) {
        let (labels, rest) = key(s)?;
        keys.push((labels, rest, i));
    }
    keys.sort();
    let mut merged: Vec<LogStream> = Vec::new();
    let mut numbers = vec![None; streams.len()];
    let mut last: Option<&(&Labels, String, usize)> = None;
    for key in &keys {
        if last.is_none_or(|l| (l.0, &l.1) != (key.0, &key.1)) {
            merged.extend(streams.get(key.2).cloned());
        }
        if let Some(n) = numbers.get_mut(key.2) {
            *n = Some(merged.len() - 1);
        }
        last = Some(key);
    }
    Ok((merged, numbers))
}

/// What streams are ordered by. Compared as text: a float in an attribute may be NaN, which does not equal itself.
pub(super) fn key(s: &LogStream) -> Result<(&Labels, String)> {
    Ok((&s.labels, text::encode_pairs(describe(s).iter())?))
}

fn describe(s: &LogStream) -> Attributes {
    let mut out = Attributes::default();
    out.push("labels", AnyValue::Map(s.labels.iter().collect()));
    origin::encode(&s.resource, &s.scope, &mut out);
    out
}

pub(super) fn encode(entries: &[Entry]) -> Result<Blob> {
    let items = entries
        .iter()
        .map(|e| {
            let mut a = describe(&e.stream);
            for (key, n) in [
                ("first", e.rows.start as i64),
                ("rows", e.rows.len() as i64),
                ("from", e.from),
                ("to", e.to),
            ] {
                a.push(key, n);
            }
            AnyValue::Map(a)
        })
        .collect();
    Ok(Blob::whole(BLOB, pack_text("streams of a log segment", &text::encode(&AnyValue::Array(items))?)?))
}

pub(super) async fn read(file: &File) -> Result<Vec<Entry>> {
    let packed = file.blob(BLOB).await?.ok_or_else(|| file.corrupt("a blob streams"))?;
    let json = unpack_text(&packed).ok_or_else(|| file.corrupt("packed text in the blob streams"))?;
    let value = text::decode(&json).map_err(|e| file.corrupt(format!("the blob streams: {e}")))?;
    let total: usize = (0..file.row_groups().len()).map(|g| file.rows_in(g)).sum();
    let AnyValue::Array(items) = value else { return Err(file.corrupt("an array in the blob streams")) };
    let mut next = 0usize;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let entry = decode(&item).filter(|e| e.rows.start == next && e.rows.end <= total);
        let entry =
            entry.ok_or_else(|| file.corrupt(format!("stream {} to begin at row {next}", out.len())))?;
        next = entry.rows.end;
        out.push(entry);
    }
    if next != total {
        return Err(file.corrupt(format!("streams of {total} rows, they have {next}")));
    }
    Ok(out)
}

fn decode(item: &AnyValue) -> Option<Entry> {
    let AnyValue::Map(a) = item else { return None };
    let (resource, scope) = origin::decode(a);
    let labels = origin::map(a, "labels");
    let labels = Labels::from_sorted(labels.iter().filter_map(|(k, v)| Some((k, v.as_str()?))))?;
    let first = usize::try_from(origin::integer(a, "first")?).ok()?;
    let rows = usize::try_from(origin::integer(a, "rows")?).ok()?;
    Some(Entry {
        stream: LogStream { labels, resource, scope },
        rows: first..first.checked_add(rows)?,
        from: origin::integer(a, "from")?,
        to: origin::integer(a, "to")?,
    })
}

/// Gives the streams a piece of records names numbers of its own, in order of appearance.
#[derive(Default)]
pub(super) struct Renumber {
    numbers: HashMap<u32, u32>,
}

impl Renumber {
    /// The number of stream `from` in `batch`, which it joins if it is new there.
    pub fn add(&mut self, entries: &[Entry], from: u32, batch: &mut LogBatch) -> Option<u32> {
        if let Some(n) = self.numbers.get(&from) {
            return Some(*n);
        }
        batch.streams.push(entries.get(from as usize)?.stream.clone());
        let n = batch.streams.len() as u32 - 1;
        self.numbers.insert(from, n);
        Some(n)
    }
}
