//! Records in, segment out.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, DictionaryArray, FixedSizeBinaryBuilder, Int32Builder, RecordBatch,
        StringBuilder, TimestampNanosecondBuilder, UInt8Builder, UInt32Builder,
    },
    datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit},
};
use model::{AnyValue, LogBatch, LogRecord, LogStream, Signal, TimeRange, TimestampNs};
use parquet::{
    basic::Encoding,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use super::{
    Layout, WriteOptions,
    cut::{
        cutter::{Cut, Cutter},
        template::Table,
    },
    streams::{self, Entry},
};
use crate::{
    Error, FORMAT_VERSION, Result, SegmentInfo, Written, attrs,
    file::writer::{DICTIONARY_BYTES, FileWriter, plain, properties},
    info::MAX_SERVICES,
    terms, text,
};

/// Rows of a row group at most. Larger compresses a little better and reads more where few rows are wanted.
const GROUP_ROWS: usize = 64 << 10;
/// And its encoded bytes, which are held beside the file until it ends: seldom reached, but by what does not compress.
const GROUP_BYTES: usize = 8 << 20;
/// Rows of a page: what a read of one record unpacks per column.
const PAGE_ROWS: usize = 4096;
/// Records handed to the Parquet writer at once.
const BATCH_ROWS: usize = 1024;
/// Records that are brought into the cache together.
const FETCHED: usize = 16;
/// Lines that are looked at before the first is cut: enough to meet what is printed often.
const TAUGHT: usize = 2048;

/// Writes a segment of records in any order; equal streams are merged, records of equal (stream, time) keep
/// their order.
///
/// `Invalid` where a record names no stream of the batch, or a value is nested deeper than 128 levels.
pub fn write(batch: &LogBatch, options: &WriteOptions) -> Result<Written> {
    let records: Vec<(u32, &LogRecord)> = batch.records.iter().map(|r| (r.stream, r)).collect();
    write_of(&batch.streams, &records, options)
}

/// [`write`] of records that stay where they are, each with the number of its stream, which counts instead of its own.
pub fn write_of(
    streams: &[LogStream],
    records: &[(u32, &LogRecord)],
    options: &WriteOptions,
) -> Result<Written> {
    let (streams, numbers) = streams::merge(streams, records.iter().map(|(stream, _)| *stream))?;
    // By stream first, and then by time within each, as most records come.
    let mut order: Vec<Vec<&LogRecord>> = vec![Vec::new(); streams.len()];
    for (stream, record) in records {
        let number = numbers.get(*stream as usize).copied().flatten();
        if let Some(own) = number.and_then(|n| order.get_mut(n)) {
            own.push(record);
        }
    }
    let plan = attrs::Plan::of(records.iter().map(|(_, r)| &r.attributes));
    let expected_bytes = records.iter().map(|(_, r)| 32 + r.body.as_str().map_or(0, str::len)).sum();
    let mut writer = Writer::new(plan, expected_bytes)?;
    let sample = records.iter().step_by((records.len() / TAUGHT).max(1));
    sample.filter_map(|(_, r)| r.body.as_str()).for_each(|line| writer.cutter.teach(line));
    writer.cutter.taught();
    for (stream, mut records) in streams.iter().enumerate().zip(order) {
        records.sort_by_key(|r| r.timestamp_ns);
        for some in records.chunks(FETCHED) {
            fetch(some);
            for record in some {
                writer.push(stream, record)?;
            }
        }
    }
    writer.finish(options)
}

/// Brings records into the cache that lie all over the memory: asked for together they come together, where each of them
/// would be waited for by itself.
fn fetch(records: &[&LogRecord]) {
    const LINE: usize = 64;
    let mut sum = 0usize;
    for r in records {
        let text = r.body.as_str().unwrap_or_default().as_bytes();
        sum += text.iter().step_by(LINE).take(8).map(|b| usize::from(*b)).sum::<usize>();
        sum += r
            .attributes
            .iter()
            .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
            .sum::<usize>();
    }
    std::hint::black_box(sum);
}

/// Takes records stream by stream, those of each in order of time.
pub(super) struct Writer {
    plan: attrs::Plan,
    file: FileWriter,
    rows: Builders,
    found_by: terms::index::Builder,
    cutter: Cutter,
    entries: Vec<Entry>,
    /// What its caller calls the last stream of `entries`, and its labels as the column has them.
    stream: Option<(usize, String)>,
    in_group: usize,
    written: usize,
}

impl Writer {
    /// `expected_bytes` as of [`FileWriter::new`].
    pub fn new(plan: attrs::Plan, expected_bytes: usize) -> Result<Self> {
        let schema = schema(&plan);
        // Labels come by stream, which costs less than looking at their texts.
        let rows = plain(&schema, &["labels"]);
        Ok(Writer {
            file: FileWriter::new((&schema, rows.clone()), write_properties(), expected_bytes)?,
            rows: Builders::new(rows, &plan),
            plan,
            found_by: terms::index::Builder::new(PAGE_ROWS),
            cutter: Cutter::default(),
            entries: Vec::new(),
            stream: None,
            in_group: 0,
            written: 0,
        })
    }

    /// Adds a record of a stream, under a number that tells it from others.
    pub fn push(&mut self, stream: (usize, &LogStream), record: &LogRecord) -> Result<()> {
        let line = record.body.as_str();
        let template = line.and_then(|line| self.cutter.cut(line));
        match (template, line) {
            (Some(number), Some(line)) => self.cutter.tell(number, line, &mut self.found_by),
            (_, Some(line)) => self.found_by.text(line),
            (_, None) if matches!(record.body, AnyValue::Empty) => {}
            (_, None) => self.found_by.text(&record.body.to_string()),
        }
        self.put(stream, record, template)
    }

    /// The same where the body is cut already, by the table of segment `source`, and not in the record.
    pub fn push_cut(
        &mut self,
        stream: (usize, &LogStream),
        record: &mut LogRecord,
        (source, table): (usize, &Table),
        cut: &Cut,
    ) -> Result<()> {
        let template = self.cutter.carry(source, table, cut)?;
        match template {
            Some(number) => self.cutter.tell_carried(number, &mut self.found_by)?,
            None => {
                let line = self.cutter.line()?;
                self.found_by.text(line);
                record.body = AnyValue::from(line);
            }
        }
        self.put(stream, record, template)
    }

    /// Adds a record whose text was told; its body is that of a template where it has one.
    fn put(
        &mut self,
        (number, stream): (usize, &LogStream),
        record: &LogRecord,
        template: Option<u32>,
    ) -> Result<()> {
        if self.stream.as_ref().is_none_or(|(last, _)| *last != number) {
            let labels = text::encode(&AnyValue::Map(stream.labels.iter().collect()))?;
            self.stream = Some((number, labels));
            self.entries.push(Entry {
                stream: stream.clone(),
                rows: self.written..self.written,
                from: record.timestamp_ns,
                to: record.timestamp_ns,
            });
        }
        let at = self.entries.len().saturating_sub(1) as u32;
        if let (Some((_, labels)), Some(entry)) = (&self.stream, self.entries.last_mut()) {
            let cut = template.map(|number| (number, self.cutter.values.as_slice()));
            self.rows.push(at, labels, record, cut)?;
            self.written += 1;
            (entry.rows.end, entry.to) = (self.written, record.timestamp_ns);
        }
        index(&mut self.found_by, record);
        self.in_group += 1;
        if self.rows.len >= BATCH_ROWS {
            self.write_rows()?;
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    fn write_rows(&mut self) -> Result<()> {
        self.file.write(&self.rows.take()?)?;
        if self.in_group >= GROUP_ROWS || self.file.in_progress_bytes() >= GROUP_BYTES {
            self.file.flush()?;
            self.in_group = 0;
        }
        Ok(())
    }

    pub fn finish(mut self, options: &WriteOptions) -> Result<Written> {
        if self.rows.len > 0 {
            self.write_rows()?;
        }
        let (found_by, head) = self.found_by.finish().unzip();
        let layout = serde_json::to_string(&Layout { attributes: self.plan, terms: head, cut: true })
            .map_err(|e| Error::Encode(e.to_string()))?;
        let tables = [streams::encode(&self.entries)?, self.cutter.table.encode()?];
        let blobs = tables.into_iter().chain(found_by).collect();
        self.file.finish(blobs, layout, describe(&self.entries, self.written as u64, options))
    }
}

/// All but the body. Names are those that LogQL knows the fields by.
fn index(terms: &mut terms::index::Builder, r: &LogRecord) {
    for (key, value) in r.attributes.iter() {
        match value.as_str() {
            Some(s) => terms.field(key, s),
            None => terms.field(key, &value.to_string()),
        }
    }
    if r.trace_id != [0; 16] {
        terms.field("trace_id", &hex(&r.trace_id));
    }
    if r.span_id != [0; 8] {
        terms.field("span_id", &hex(&r.span_id));
    }
    if !r.event_name.is_empty() {
        terms.field("event_name", &r.event_name);
    }
    terms.end_row();
}

fn hex(id: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or('0');
    id.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn describe(entries: &[Entry], rows: u64, options: &WriteOptions) -> SegmentInfo {
    let first = entries.iter().map(|e| e.from).min();
    let last = entries.iter().map(|e| e.to).max();
    let (start, end) = first.zip(last).map_or((0, 0), |(a, b)| (a, b.saturating_add(1)));
    let services: BTreeSet<&str> = entries.iter().map(|e| e.stream.labels.value("service_name")).collect();
    SegmentInfo {
        signal: Signal::LOGS,
        format_version: FORMAT_VERSION,
        level: options.level,
        rows,
        items: rows,
        bytes: 0,
        range: TimeRange::new(TimestampNs(start), TimestampNs(end)),
        names: None,
        services: (services.len() <= MAX_SERVICES).then(|| services.into_iter().map(str::to_owned).collect()),
    }
}

fn schema(plan: &attrs::Plan) -> SchemaRef {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, None);
    let mut fields = vec![
        Field::new("ts", time(), false),
        Field::new("observed", time(), true),
        Field::new("stream", DataType::UInt32, false),
        Field::new("labels", dictionary(), false),
        Field::new("severity_number", DataType::UInt8, false),
        Field::new("severity_text", dictionary(), true),
        Field::new("body", DataType::Utf8, true),
        Field::new("body_typed", DataType::Utf8, true),
        Field::new("template", DataType::UInt32, true),
        Field::new("values", DataType::Binary, true),
        Field::new("trace_id", DataType::FixedSizeBinary(16), true),
        Field::new("span_id", DataType::FixedSizeBinary(8), true),
        Field::new("flags", DataType::UInt32, false),
        Field::new("dropped", DataType::UInt32, false),
        Field::new("event_name", dictionary(), true),
    ];
    fields.extend(plan.fields());
    Arc::new(Schema::new(fields))
}

fn write_properties() -> WriterProperties {
    let mut p = properties()
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES);
    for name in ["ts", "observed"] {
        let path = ColumnPath::from(name);
        p = p
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    // Numbers that seldom change: no table of their values is kept for them.
    for name in ["stream", "severity_number", "flags", "dropped"] {
        let path = ColumnPath::from(name);
        p = p
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["stream", "template", "flags", "dropped"] {
        p = p.set_column_statistics_enabled(name.into(), EnabledStatistics::None);
    }
    p = p.set_column_encoding("values".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    for name in ["body", "body_typed", "values", "trace_id", "span_id"] {
        let path = ColumnPath::from(name);
        p = p
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    p.build()
}

struct Builders {
    schema: SchemaRef,
    len: usize,
    ts: TimestampNanosecondBuilder,
    observed: TimestampNanosecondBuilder,
    stream: UInt32Builder,
    labels: Labels,
    severity_number: UInt8Builder,
    severity_text: StringBuilder,
    body: StringBuilder,
    body_typed: StringBuilder,
    template: UInt32Builder,
    values: BinaryBuilder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    flags: UInt32Builder,
    dropped: UInt32Builder,
    event_name: StringBuilder,
    attributes: attrs::Builders,
}

impl Builders {
    fn new(schema: SchemaRef, plan: &attrs::Plan) -> Self {
        Builders {
            schema,
            len: 0,
            ts: Default::default(),
            observed: Default::default(),
            stream: Default::default(),
            labels: Default::default(),
            severity_number: Default::default(),
            severity_text: Default::default(),
            body: Default::default(),
            body_typed: Default::default(),
            template: Default::default(),
            values: Default::default(),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            flags: Default::default(),
            dropped: Default::default(),
            event_name: Default::default(),
            attributes: attrs::Builders::new(plan),
        }
    }

    /// `cut` is template and values of the body where it has them.
    fn push(&mut self, stream: u32, labels: &str, r: &LogRecord, cut: Option<(u32, &[u8])>) -> Result<()> {
        let (body, typed) = match &r.body {
            _ if cut.is_some() => (None, None),
            AnyValue::Empty => (None, None),
            AnyValue::String(s) => (Some(s.as_str()), None),
            other => (None, Some(text::encode(other)?)),
        };
        self.attributes.push(&r.attributes)?;
        self.ts.append_value(r.timestamp_ns);
        self.observed.append_option((r.observed_ns != 0).then_some(r.observed_ns));
        self.stream.append_value(stream);
        self.labels.push(stream, labels);
        self.severity_number.append_value(r.severity_number);
        self.severity_text.append_option(non_empty(&r.severity_text));
        self.body.append_option(body);
        self.body_typed.append_option(typed);
        self.template.append_option(cut.map(|(number, _)| number));
        self.values.append_option(cut.map(|(_, values)| values));
        append_id(&mut self.trace_id, &r.trace_id)?;
        append_id(&mut self.span_id, &r.span_id)?;
        self.flags.append_value(r.flags);
        self.dropped.append_value(r.dropped_attributes);
        self.event_name.append_option(non_empty(&r.event_name));
        self.len += 1;
        Ok(())
    }

    fn take(&mut self) -> Result<RecordBatch> {
        self.len = 0;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.ts.finish()),
            Arc::new(self.observed.finish()),
            Arc::new(self.stream.finish()),
            self.labels.finish()?,
            Arc::new(self.severity_number.finish()),
            Arc::new(self.severity_text.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.body_typed.finish()),
            Arc::new(self.template.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.flags.finish()),
            Arc::new(self.dropped.finish()),
            Arc::new(self.event_name.finish()),
        ];
        arrays.extend(self.attributes.finish());
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
}

/// Labels of rows that come stream by stream.
#[derive(Default)]
struct Labels {
    keys: Int32Builder,
    values: StringBuilder,
    last: Option<(u32, i32)>,
}

impl Labels {
    fn push(&mut self, stream: u32, labels: &str) {
        let key = match self.last {
            Some((last, key)) if last == stream => key,
            last => {
                self.values.append_value(labels);
                last.map_or(0, |(_, key)| key + 1)
            }
        };
        self.last = Some((stream, key));
        self.keys.append_value(key);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.last = None;
        let array =
            DictionaryArray::<Int32Type>::try_new(self.keys.finish(), Arc::new(self.values.finish()))?;
        Ok(Arc::new(array))
    }
}

fn non_empty(s: &str) -> Option<&str> {
    (!s.is_empty()).then_some(s)
}

/// All zero means that there is none.
pub(crate) fn append_id(b: &mut FixedSizeBinaryBuilder, id: &[u8]) -> Result<()> {
    if id.iter().all(|x| *x == 0) {
        b.append_null();
        Ok(())
    } else {
        Ok(b.append_value(id)?)
    }
}
