//! Records counted by stream, time and fields without being put together: of a stream that lies in one piece of time
//! nothing is read, of others the times, and of fields and bodies those columns that are asked for.

mod tally;

use std::{collections::HashMap, ops::Range, sync::Arc};

use arrow::{array::RecordBatch, datatypes::TimestampNanosecondType};
use futures::TryStreamExt;
use model::{LogRecord, LogStream, TimestampNs, matcher::all_match};
use parquet::file::{metadata::RowGroupMetaData, statistics::Statistics};

use self::tally::{Tally, Values};
use super::{
    Selection,
    cut::{
        bodies::{self, Bodies, Body},
        sieve::Sieve,
        template::Table,
    },
    decode,
    reader::{Inner, Reader},
    streams::Entry,
};
use crate::{
    Result,
    arrays::{at, primitive},
    attrs::{self, AttributeColumn},
    terms,
};

/// Rows decoded together.
const BATCH_ROWS: usize = 16 << 10;
/// Fields at most: combinations of their values in a batch are numbered in 64 bits.
const MAX_FIELDS: usize = 4;

/// What records are folded by.
#[derive(Debug, Clone)]
pub struct Folding {
    /// Ascending. Piece `i` of time is `(edges[i], edges[i + 1]]`; records outside are not counted.
    pub edges: Arc<[i64]>,
    /// Names, as LogQL knows them, of what else tells records apart.
    pub fields: Vec<String>,
    /// Whether bytes of text are summed.
    pub bytes: bool,
    /// Groups at most.
    pub max_groups: usize,
}

impl Folding {
    fn piece(&self, ts_ns: i64) -> Option<u32> {
        let i = self.edges.partition_point(|e| *e < ts_ns).checked_sub(1)?;
        (i + 1 < self.edges.len()).then_some(i as u32)
    }

    /// What tells streams apart that are counted: those of their labels, and of the attributes of resource and scope,
    /// that are asked for.
    fn seen_of(&self, s: &LogStream) -> Vec<String> {
        let shared = [&s.resource.attributes, &s.scope.attributes];
        let value = |field: &String| match s.labels.get(field) {
            Some(v) => format!("={v}"),
            None => {
                let mut own: Vec<String> = shared
                    .iter()
                    .flat_map(|a| a.iter())
                    .filter(|(k, _)| terms::name(k) == *field)
                    .map(|(_, v)| format!("{v:?}"))
                    .collect();
                match field.as_str() {
                    "scope_name" => own.push(s.scope.name.clone()),
                    "scope_version" => own.push(s.scope.version.clone()),
                    _ => {}
                }
                format!("{own:?}")
            }
        };
        self.fields.iter().map(value).collect()
    }

    fn names(&self, name: &str) -> bool {
        self.fields.iter().any(|f| f == name)
    }

    /// What of a record tells it apart: its fields that are asked for, and nothing else.
    fn project(&self, r: &LogRecord) -> LogRecord {
        let named = r.attributes.iter().filter(|(k, _)| self.names(&terms::name(k)));
        let attributes = named.map(|(k, v)| (k, v.clone())).collect();
        let mut out = LogRecord { attributes, ..LogRecord::default() };
        if self.names("severity_number") || self.names("detected_level") {
            out.severity_number = r.severity_number;
        }
        if self.names("severity_text") {
            out.severity_text.clone_from(&r.severity_text);
        }
        if self.names("trace_id") {
            out.trace_id = r.trace_id;
        }
        if self.names("span_id") {
            out.span_id = r.span_id;
        }
        if self.names("flags") {
            out.flags = r.flags;
        }
        if self.names("event_name") {
            out.event_name.clone_from(&r.event_name);
        }
        out
    }
}

/// Records that look the same in what was asked for, and lie in one piece of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Stands for them: stream, a time inside the piece, and the fields asked for.
    pub record: LogRecord,
    pub count: u64,
    /// Of their text, where asked for.
    pub bytes: u64,
}

/// Collects groups.
pub struct Counter {
    folding: Folding,
    /// Of each stream the first that is like it in what is asked for.
    kind: Vec<u32>,
    /// Records that are told apart by their fields, by what they look like.
    looks: HashMap<String, u32>,
    looking: Vec<LogRecord>,
    /// By stream, look and piece.
    counts: HashMap<(u32, u32, u32), (u64, u64)>,
}

/// There are more groups than allowed.
#[derive(Debug)]
pub struct TooMany;

impl Counter {
    /// For records of these streams, as their numbers say.
    pub fn new<'s>(folding: Folding, streams: impl Iterator<Item = &'s LogStream>) -> Self {
        let mut kinds: HashMap<Vec<String>, u32> = HashMap::new();
        let kind =
            streams.enumerate().map(|(i, s)| *kinds.entry(folding.seen_of(s)).or_insert(i as u32)).collect();
        Counter { folding, kind, looks: HashMap::new(), looking: Vec::new(), counts: HashMap::new() }
    }

    /// Counts a record, if it lies in a piece.
    pub fn add(&mut self, r: &LogRecord) -> std::result::Result<(), TooMany> {
        let Some(piece) = self.folding.piece(r.timestamp_ns) else { return Ok(()) };
        let bytes = match (self.folding.bytes, r.body.as_str()) {
            (false, _) => 0,
            (true, Some(text)) => text.len(),
            (true, None) => r.body.to_string().len(),
        };
        let look = match self.folding.fields.is_empty() {
            true => self.look(LogRecord::default()),
            false => self.look(self.folding.project(r)),
        };
        self.put(r.stream, look, piece, 1, bytes as u64)
    }

    /// The number of what a record looks like that has only the fields asked for.
    fn look(&mut self, record: LogRecord) -> u32 {
        // Floats are compared as they are written: one that is no number does not equal itself.
        let text = match record.attributes.is_empty() && self.folding.fields.is_empty() {
            true => String::new(),
            false => format!("{record:?}"),
        };
        let next = self.looking.len() as u32;
        *self.looks.entry(text).or_insert_with(|| {
            self.looking.push(record);
            next
        })
    }

    fn put(
        &mut self,
        stream: u32,
        look: u32,
        piece: u32,
        count: u64,
        bytes: u64,
    ) -> std::result::Result<(), TooMany> {
        let groups = self.counts.len();
        let kind = self.kind.get(stream as usize).copied().unwrap_or(stream);
        let sum = self.counts.entry((kind, look, piece)).or_default();
        sum.0 += count;
        sum.1 += bytes;
        if groups > self.folding.max_groups { Err(TooMany) } else { Ok(()) }
    }

    pub fn finish(self) -> Vec<Group> {
        let group = |((stream, look, piece), (count, bytes)): ((u32, u32, u32), (u64, u64))| {
            // The end of a piece lies in it.
            let timestamp_ns = self.folding.edges.get(piece as usize + 1).copied().unwrap_or(i64::MAX);
            let record = self.looking.get(look as usize).cloned().unwrap_or_default();
            Group { record: LogRecord { stream, timestamp_ns, ..record }, count, bytes }
        };
        let mut groups: Vec<Group> = self.counts.iter().map(|(k, v)| group((*k, *v))).collect();
        groups.sort_by_key(|g| (g.record.timestamp_ns, g.record.stream));
        groups
    }
}

/// Where a field is in a segment.
enum Source<'a> {
    Attribute(&'a AttributeColumn),
    SeverityNumber,
    SeverityText,
}

impl Source<'_> {
    fn column(&self) -> String {
        match self {
            Source::Attribute(c) => c.name(),
            Source::SeverityNumber => "severity_number".to_owned(),
            Source::SeverityText => "severity_text".to_owned(),
        }
    }
}

impl Reader {
    /// Records of a selection folded, and the streams they name; `None` where there are more groups than allowed. Order
    /// and hint of the selection say nothing.
    pub async fn count(
        &self,
        selection: Selection,
        folding: &Folding,
    ) -> Result<Option<(Vec<LogStream>, Vec<Group>)>> {
        let inner = self.inner();
        let entries = inner.entries().await?;
        let mut counter = Counter::new(folding.clone(), entries.iter().map(|e| &e.stream));
        let counted = match inner.sources(folding) {
            Some(sources) => inner.count(&entries, &selection, &sources, &mut counter).await?,
            None => self.count_whole(selection, &entries, &mut counter).await?,
        };
        Ok(counted.is_ok().then(|| (entries.iter().map(|e| e.stream.clone()).collect(), counter.finish())))
    }

    /// The same over whole records.
    async fn count_whole(
        &self,
        selection: Selection,
        entries: &[Entry],
        counter: &mut Counter,
    ) -> Result<std::result::Result<(), TooMany>> {
        let mut found = self.select(selection);
        while let Some(batch) = found.try_next().await? {
            // Batches number streams by themselves.
            let number = |s: &LogStream| entries.iter().position(|e| e.stream == *s).unwrap_or(0) as u32;
            let numbers: Vec<u32> = batch.streams.iter().map(number).collect();
            for mut r in batch.records {
                r.stream = numbers.get(r.stream as usize).copied().unwrap_or(0);
                if counter.add(&r).is_err() {
                    return Ok(Err(TooMany));
                }
            }
        }
        Ok(Ok(()))
    }
}

impl Inner {
    /// The columns that hold the fields; `None` where a field may be in several places, or has no column.
    fn sources(&self, folding: &Folding) -> Option<Vec<Source<'_>>> {
        let mut sources = Vec::new();
        if folding.fields.is_empty() {
            return Some(sources);
        }
        if folding.fields.len() > MAX_FIELDS {
            return None;
        }
        let rest = self.file.column(attrs::REST)?;
        let none_left = |g: &RowGroupMetaData| {
            let nulls =
                g.columns().get(rest).and_then(|c| c.statistics()).and_then(Statistics::null_count_opt);
            nulls == u64::try_from(g.num_rows()).ok()
        };
        if !self.file.row_groups().iter().all(none_left) {
            return None;
        }
        for (i, field) in folding.fields.iter().enumerate() {
            if folding.fields.iter().take(i).any(|f| f == field) {
                continue;
            }
            let own = match field.as_str() {
                "severity_number" | "detected_level" => {
                    Some(Source::SeverityNumber).filter(|_| self.has_severities())
                }
                "severity_text" => Some(Source::SeverityText),
                "trace_id" | "span_id" | "flags" | "event_name" => return None,
                _ => None,
            };
            let columns = self.layout.attributes.columns.iter().filter(|c| terms::name(&c.key) == *field);
            let mut all: Vec<Source<'_>> = columns.map(Source::Attribute).chain(own).collect();
            if all.len() > 1 {
                return None;
            }
            sources.append(&mut all);
        }
        Some(sources)
    }

    /// Whether a record may have a severity number: those that came as Loki pushes have none.
    fn has_severities(&self) -> bool {
        let Some(column) = self.file.column("severity_number") else { return false };
        let none = |g: &RowGroupMetaData| match g.columns().get(column).and_then(|c| c.statistics()) {
            Some(Statistics::Int32(s)) => s.max_opt() == Some(&0),
            _ => false,
        };
        !self.file.row_groups().iter().all(none)
    }

    async fn count(
        &self,
        entries: &[Entry],
        selection: &Selection,
        sources: &[Source<'_>],
        counter: &mut Counter,
    ) -> Result<std::result::Result<(), TooMany>> {
        let blocks = self.blocks(&selection.need).await?;
        let mut wanted: Vec<(u32, &Entry)> = Vec::new();
        let untouched =
            sources.is_empty() && selection.line.is_none() && blocks.is_none() && !counter.folding.bytes;
        for (number, e) in entries.iter().enumerate() {
            let overlaps = e.from < selection.range.end.0 && e.to >= selection.range.start.0;
            if !overlaps || !all_match(&selection.matchers, &e.stream.labels) {
                continue;
            }
            let pieces = (counter.folding.piece(e.from), counter.folding.piece(e.to));
            let inside = [e.from, e.to].iter().all(|t| selection.range.contains(TimestampNs(*t)));
            match pieces {
                (Some(a), Some(b)) if a == b && inside && untouched => {
                    let look = counter.look(LogRecord::default());
                    if counter.put(number as u32, look, a, e.rows.len() as u64, 0).is_err() {
                        return Ok(Err(TooMany));
                    }
                }
                _ => wanted.push((number as u32, e)),
            }
        }
        let body = match selection.line.is_some() || counter.folding.bytes {
            true => bodies::columns(self.layout.cut),
            false => &[],
        };
        let templates = if body.is_empty() { Arc::default() } else { self.templates().await? };
        let mut line = selection.line.clone().map(|line| Sieve::new(line, &templates));
        let names = std::iter::once("ts".to_owned()).chain(body.iter().map(|n| (*n).to_owned()));
        let mut names: Vec<String> = names.chain(sources.iter().map(Source::column)).collect();
        names.sort();
        names.dedup();
        for (group, first, total) in self.groups() {
            let rows = self.rows_of(wanted.iter().map(|(_, e)| *e), (first, total), blocks.as_ref());
            if rows.is_empty() {
                continue;
            }
            let columns = self.indexes(&names)?;
            let mut batches =
                self.file.stream(vec![group], columns, Some(rows.selection(total)), BATCH_ROWS)?;
            let mut row = rows.iter().map(|r| first + r);
            while let Some(batch) = batches.try_next().await.map_err(|e| self.file.source.parquet_error(e))? {
                let rows: Vec<usize> = row.by_ref().take(batch.num_rows()).collect();
                let pass = match &mut line {
                    Some(line) => Some(decode::passing(&self.file, &templates, &batch, line)?),
                    None => None,
                };
                let look = Look {
                    inner: self,
                    batch: &batch,
                    rows: &rows,
                    wanted: &wanted,
                    selection,
                    sources,
                    templates: &templates,
                    pass,
                };
                if look.count(counter)?.is_err() {
                    return Ok(Err(TooMany));
                }
            }
        }
        Ok(Ok(()))
    }
}

/// One batch of rows that are to be counted.
struct Look<'a> {
    inner: &'a Inner,
    batch: &'a RecordBatch,
    /// Numbers of its rows in the file, ascending.
    rows: &'a [usize],
    wanted: &'a [(u32, &'a Entry)],
    selection: &'a Selection,
    sources: &'a [Source<'a>],
    templates: &'a Table,
    /// Which of the rows pass the condition on lines, where there is one.
    pass: Option<Vec<bool>>,
}

impl Look<'_> {
    fn count(&self, counter: &mut Counter) -> Result<std::result::Result<(), TooMany>> {
        let file = &self.inner.file;
        let ts = primitive::<TimestampNanosecondType>(file, self.batch, "ts")?;
        let lengths = if counter.folding.bytes { Some(self.lengths()?) } else { None };
        let values = self.sources.iter().map(|s| Values::of(self, s)).collect::<Result<Vec<_>>>()?;
        let mut tally = Tally::new(&values);
        let mut at_row = 0;
        while let Some(row) = self.rows.get(at_row) {
            let place = self.wanted.partition_point(|(_, e)| e.rows.end <= *row);
            let Some((stream, entry)) = self.wanted.get(place) else { break };
            let end =
                at_row + self.rows.get(at_row..).unwrap_or_default().partition_point(|r| *r < entry.rows.end);
            let mut open: Option<(u32, Range<i64>)> = None;
            for i in at_row..end {
                let t = at(ts, i).ok_or_else(|| file.corrupt("a time for each record"))?;
                let passes = self.pass.as_ref().is_none_or(|p| p.get(i) == Some(&true));
                if !passes || !self.selection.range.contains(TimestampNs(t)) {
                    continue;
                }
                // Times of a stream ascend: most are in the piece of the one before.
                if !open.as_ref().is_some_and(|(_, range)| range.contains(&t)) {
                    if let Some((piece, _)) = open.take()
                        && tally.flush(counter, *stream, piece, self, &values).is_err()
                    {
                        return Ok(Err(TooMany));
                    }
                    let Some(piece) = counter.folding.piece(t) else { continue };
                    let edge = |i: usize| counter.folding.edges.get(i).copied().unwrap_or(i64::MAX);
                    let range =
                        edge(piece as usize).saturating_add(1)..edge(piece as usize + 1).saturating_add(1);
                    open = Some((piece, range));
                }
                tally.add(i, &values, lengths.as_ref().and_then(|l| l.get(i)).copied().unwrap_or(0));
            }
            if let Some((piece, _)) = open
                && tally.flush(counter, *stream, piece, self, &values).is_err()
            {
                return Ok(Err(TooMany));
            }
            at_row = end.max(at_row + 1);
        }
        Ok(Ok(()))
    }

    /// Bytes of each row's text.
    fn lengths(&self) -> Result<Vec<u64>> {
        let bodies = Bodies::of(&self.inner.file, self.templates, self.batch)?;
        let mut buffer = Vec::new();
        (0..self.batch.num_rows())
            .map(|row| {
                let body = bodies.body(row)?;
                if let Body::Cut(template, values) = &body
                    && let Some(bytes) = template.length(values)
                {
                    return Ok(bytes as u64);
                }
                Ok(bodies.text(body, &mut buffer)?.len() as u64)
            })
            .collect()
    }
}
