//! The Arrow schema of spans and the builders that fill it.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use arrow::{
    array::{
        ArrayRef, FixedSizeBinaryBuilder, RecordBatch, StringBuilder, TimestampNanosecondBuilder,
        UInt8Builder, UInt32Builder,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use contract::SpanParts;
use model::{Attributes, Span, SpanEvent, SpanLink};
use parquet::{
    basic::Encoding,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::{
    Error, Result, attrs,
    file::writer::{DICTIONARY_BYTES, properties},
    logs::writer::append_id,
    text,
};

/// Rows of a page: what a read of one trace unpacks per column.
pub(super) const PAGE_ROWS: usize = 2048;

const IDS: [(&str, i32); 3] = [("trace_id", 16), ("span_id", 8), ("parent_span_id", 8)];
const TEXTS: [&str; 3] = ["status_message", "events", "links"];
const COUNTS: [&str; 5] = ["flags", "dropped_attributes", "dropped_events", "dropped_links", "origin"];

pub(super) fn schema(plan: &attrs::Plan) -> SchemaRef {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, None);
    let mut fields: Vec<Field> =
        IDS.iter().map(|(n, width)| Field::new(*n, DataType::FixedSizeBinary(*width), true)).collect();
    fields.extend([
        Field::new("service", dictionary(), false),
        Field::new("name", dictionary(), false),
        Field::new("kind", DataType::UInt8, false),
        Field::new("status_code", DataType::UInt8, false),
        Field::new("start", time(), false),
        Field::new("end", time(), false),
        Field::new("trace_state", dictionary(), true),
    ]);
    fields.extend(TEXTS.iter().map(|n| Field::new(*n, DataType::Utf8, true)));
    fields.extend(COUNTS.iter().map(|n| Field::new(*n, DataType::UInt32, false)));
    fields.extend(plan.fields());
    Arc::new(Schema::new(fields))
}

/// Columns that the wanted parts of a span are put together from.
pub(super) fn span_columns(plan: &attrs::Plan, wanted: &SpanParts) -> Vec<String> {
    let ids = IDS.iter().map(|(n, _)| *n);
    let own = ["name", "kind", "status_code", "start", "end", "trace_state"];
    let texts = TEXTS.into_iter().filter(|n| match *n {
        "events" => wanted.events,
        "links" => wanted.links,
        _ => true,
    });
    let mut names: Vec<String> = ids.chain(own).chain(texts).chain(COUNTS).map(str::to_owned).collect();
    match &wanted.attributes {
        None => names.extend(plan.names()),
        Some(keys) => names.extend(plan.names_for(keys)),
    }
    names
}

pub(super) fn write_properties(plan: &attrs::Plan) -> WriterProperties {
    let mut p = properties()
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES);
    for name in ["start", "end"] {
        let path = ColumnPath::from(name);
        p = p
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for name in IDS.iter().map(|(n, _)| *n).chain(TEXTS) {
        let path = ColumnPath::from(name);
        // Ids of one trace repeat in its rows; every other id is there once.
        p = p
            .set_column_dictionary_enabled(path.clone(), name == "trace_id")
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    // Nobody asks for their bounds, which every value would be compared with.
    for c in plan.columns.iter().filter(|c| c.sort == attrs::Sort::Text) {
        p = p.set_column_statistics_enabled(ColumnPath::from(c.name()), EnabledStatistics::None);
    }
    p.build()
}

pub(super) struct Builders {
    /// Of rows as they are handed over.
    schema: SchemaRef,
    len: usize,
    ids: [FixedSizeBinaryBuilder; 3],
    service: StringBuilder,
    name: StringBuilder,
    kind: UInt8Builder,
    status_code: UInt8Builder,
    start: TimestampNanosecondBuilder,
    end: TimestampNanosecondBuilder,
    trace_state: StringBuilder,
    texts: [StringBuilder; 3],
    counts: [UInt32Builder; 5],
    attributes: attrs::Builders,
}

impl Builders {
    pub fn new(schema: SchemaRef, plan: &attrs::Plan) -> Self {
        Builders {
            schema,
            len: 0,
            ids: IDS.map(|(_, width)| FixedSizeBinaryBuilder::new(width)),
            service: Default::default(),
            name: Default::default(),
            kind: Default::default(),
            status_code: Default::default(),
            start: Default::default(),
            end: Default::default(),
            trace_state: Default::default(),
            texts: Default::default(),
            counts: Default::default(),
            attributes: attrs::Builders::new(plan),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Keys of attributes so far.
    pub fn keys(&self) -> BTreeSet<String> {
        self.attributes.keys()
    }

    pub fn push(&mut self, s: &Span, origin: u32, service: &str) -> Result<()> {
        let events = encode_list(&s.events, event, |e| (&e.attributes, e.dropped_attributes))?;
        let links = encode_list(&s.links, link, |l| (&l.attributes, l.dropped_attributes))?;
        self.attributes.push(&s.attributes)?;
        let ids: [&[u8]; 3] = [&s.trace_id, &s.span_id, &s.parent_span_id];
        for (b, id) in self.ids.iter_mut().zip(ids) {
            append_id(b, id)?;
        }
        self.service.append_value(service);
        self.name.append_value(&s.name);
        self.kind.append_value(s.kind.number() as u8);
        self.status_code.append_value(s.status.code as u8);
        self.start.append_value(s.start_ns);
        self.end.append_value(s.end_ns);
        self.trace_state.append_option(non_empty(&s.trace_state));
        let texts = [non_empty(&s.status.message), events.as_deref(), links.as_deref()];
        self.texts.iter_mut().zip(texts).for_each(|(b, t)| b.append_option(t));
        let counts = [s.flags, s.dropped_attributes, s.dropped_events, s.dropped_links, origin];
        self.counts.iter_mut().zip(counts).for_each(|(b, n)| b.append_value(n));
        self.len += 1;
        Ok(())
    }

    pub fn take(&mut self) -> Result<RecordBatch> {
        self.len = 0;
        let mut arrays: Vec<ArrayRef> =
            self.ids.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef).collect();
        arrays.push(Arc::new(self.service.finish()));
        arrays.push(Arc::new(self.name.finish()));
        arrays.push(Arc::new(self.kind.finish()));
        arrays.push(Arc::new(self.status_code.finish()));
        arrays.push(Arc::new(self.start.finish()));
        arrays.push(Arc::new(self.end.finish()));
        arrays.push(Arc::new(self.trace_state.finish()));
        arrays.extend(self.texts.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.extend(self.counts.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        arrays.extend(self.attributes.finish());
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Levels that a list and its objects take.
const LIST_LEVELS: usize = 2;

fn encode_list<T>(
    items: &[T],
    put: impl Fn(&T, &mut String) -> std::fmt::Result,
    rest: impl Fn(&T) -> (&Attributes, u32),
) -> Result<Option<String>> {
    if items.is_empty() {
        return Ok(None);
    }
    let mut out = String::from("[");
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i > 0 { ",{" } else { "{" });
        put(item, &mut out).map_err(|e| Error::Encode(e.to_string()))?;
        let (attributes, dropped) = rest(item);
        if !attributes.is_empty() {
            out.push_str(",\"attributes\":");
            text::put_map(attributes, text::MAX_DEPTH - LIST_LEVELS, &mut out)?;
        }
        if dropped != 0 {
            write!(out, ",\"dropped\":{dropped}").map_err(|e| Error::Encode(e.to_string()))?;
        }
        out.push('}');
    }
    out.push(']');
    Ok(Some(out))
}

/// `{"ts":ns,"name":"…","attributes":{…},"dropped":n}`
fn event(e: &SpanEvent, out: &mut String) -> std::fmt::Result {
    write!(out, "\"ts\":{},\"name\":", e.timestamp_ns)?;
    text::put_string(&e.name, out);
    Ok(())
}

/// `{"trace_id":"hex","span_id":"hex","trace_state":"…","flags":n,"attributes":{…},"dropped":n}`
fn link(l: &SpanLink, out: &mut String) -> std::fmt::Result {
    out.push_str("\"trace_id\":\"");
    l.trace_id.iter().try_for_each(|b| write!(out, "{b:02x}"))?;
    out.push_str("\",\"span_id\":\"");
    l.span_id.iter().try_for_each(|b| write!(out, "{b:02x}"))?;
    out.push('"');
    if !l.trace_state.is_empty() {
        out.push_str(",\"trace_state\":");
        text::put_string(&l.trace_state, out);
    }
    if l.flags != 0 {
        write!(out, ",\"flags\":{}", l.flags)?;
    }
    Ok(())
}
