//! The Arrow schema of metrics rows and the builders that fill it.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, Float64Builder, RecordBatch, StringBuilder, StringDictionaryBuilder,
        TimestampMillisecondBuilder, UInt32Builder,
    },
    datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit},
};
use parquet::{
    basic::{Compression, Encoding},
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};

use super::summary::Summary;
use crate::{Result, file::writer::properties};

/// Chunk bytes per page: what reading one series costs at least.
const DATA_PAGE_BYTES: usize = 64 << 10;
/// Values between two looks at the page size; chunks are hundreds of bytes.
const WRITE_BATCH: usize = 64;

pub(super) const REST: &str = "l_rest";
pub(super) const EXEMPLARS: &str = "exemplars";

pub(super) fn label_column(label: &str) -> String {
    // `l_rest` is taken, so a label of that name moves aside, and those it would then meet as well.
    let moved = label.strip_prefix("rest").is_some_and(|r| r.bytes().all(|b| b == b'='));
    format!("l_{label}{}", if moved { "=" } else { "" })
}

/// The columns of one chunk, in the order of the schema.
const CHUNK: [(&str, Sort); 18] = [
    ("n", Sort::Count),
    ("tmin", Sort::Time),
    ("tmax", Sort::Time),
    ("ts_ref", Sort::Count),
    ("first", Sort::Float),
    ("last", Sort::Float),
    ("min", Sort::Float),
    ("max", Sort::Float),
    ("sum", Sort::Float),
    ("increase", Sort::Float),
    ("resets", Sort::Count),
    ("stale", Sort::Count),
    ("starts", Sort::Bytes),
    ("s_data", Sort::Bytes),
    ("h_n", Sort::Count),
    ("h_ts_ref", Sort::Count),
    ("h_starts", Sort::Bytes),
    ("h_data", Sort::Bytes),
];

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Count,
    Time,
    Float,
    Bytes,
}

pub(super) fn schema(labels: &[String], chunks: u32) -> SchemaRef {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields: Vec<Field> =
        labels.iter().map(|l| Field::new(label_column(l), text.clone(), true)).collect();
    fields.push(Field::new(REST, text, true));
    for i in 0..chunks {
        for (name, sort) in CHUNK {
            let data_type = match sort {
                Sort::Count => DataType::UInt32,
                Sort::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
                Sort::Float => DataType::Float64,
                Sort::Bytes => DataType::Binary,
            };
            fields.push(Field::new(format!("{name}_{i}"), data_type, true));
        }
    }
    fields.push(Field::new(EXEMPLARS, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

pub(super) fn write_properties(chunks: u32) -> WriterProperties {
    // A merge of many segments holds a decoder for each column of each: one of zstd takes 160 kB, one of Snappy nothing,
    // and little of a segment is in these columns.
    let mut p = properties().set_compression(Compression::SNAPPY).set_write_batch_size(WRITE_BATCH);
    for i in 0..chunks {
        for (name, sort) in CHUNK {
            let path = ColumnPath::from(format!("{name}_{i}"));
            if sort == Sort::Bytes {
                p = p
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                    .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                    .set_column_data_page_size_limit(path.clone(), DATA_PAGE_BYTES)
                    .set_column_statistics_enabled(path, parquet::file::properties::EnabledStatistics::None);
            }
        }
    }
    p.build()
}

/// Chunks of fewer samples have no summary: decoding them costs less than reading eight more columns would,
/// and in short segments summaries would outweigh the samples.
pub(super) const SUMMARY_SAMPLES: usize = 64;

/// What one chunk of one series puts into its columns.
#[derive(Debug, Default)]
pub(super) struct ChunkRow {
    pub n: u32,
    pub times: Option<(i64, i64)>,
    pub ts_ref: Option<u32>,
    pub summary: Option<Summary>,
    pub starts: Option<Vec<u8>>,
    pub data: Option<Vec<u8>>,
    pub h_n: u32,
    pub h_ts_ref: Option<u32>,
    pub h_starts: Option<Vec<u8>>,
    pub h_data: Option<Vec<u8>>,
}

#[derive(Default)]
struct ChunkBuilders {
    counts: [UInt32Builder; 6],
    times: [TimestampMillisecondBuilder; 2],
    floats: [Float64Builder; 6],
    bytes: [BinaryBuilder; 4],
}

impl ChunkBuilders {
    fn push(&mut self, row: &ChunkRow) {
        let s = row.summary.as_ref();
        let (resets, stale) = (s.map(|s| s.resets), s.map(|s| s.stale));
        let counts = [Some(row.n), row.ts_ref, resets, stale, Some(row.h_n), row.h_ts_ref];
        self.counts.iter_mut().zip(counts).for_each(|(b, v)| b.append_option(v));
        let times = [row.times.map(|t| t.0), row.times.map(|t| t.1)];
        self.times.iter_mut().zip(times).for_each(|(b, v)| b.append_option(v));
        let live = s.filter(|s| s.live > 0);
        let floats = live.map(|s| [s.first, s.last, s.min, s.max, s.sum, s.increase]);
        for (i, b) in self.floats.iter_mut().enumerate() {
            b.append_option(floats.and_then(|f| f.get(i).copied()));
        }
        let bytes = [&row.starts, &row.data, &row.h_starts, &row.h_data];
        self.bytes.iter_mut().zip(bytes).for_each(|(b, v)| b.append_option(v.as_deref()));
    }

    /// In the order of [`CHUNK`].
    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut counts = self.counts.iter_mut();
        let mut times = self.times.iter_mut();
        let mut floats = self.floats.iter_mut();
        let mut bytes = self.bytes.iter_mut();
        CHUNK
            .iter()
            .filter_map(|(_, sort)| -> Option<ArrayRef> {
                match sort {
                    Sort::Count => counts.next().map(|b| Arc::new(b.finish()) as ArrayRef),
                    Sort::Time => times.next().map(|b| Arc::new(b.finish()) as ArrayRef),
                    Sort::Float => floats.next().map(|b| Arc::new(b.finish()) as ArrayRef),
                    Sort::Bytes => bytes.next().map(|b| Arc::new(b.finish()) as ArrayRef),
                }
            })
            .collect()
    }
}

/// Collects rows into a record batch.
pub(super) struct RowBuilders {
    schema: SchemaRef,
    labels: Vec<StringDictionaryBuilder<Int32Type>>,
    rest: StringDictionaryBuilder<Int32Type>,
    chunks: Vec<ChunkBuilders>,
    exemplars: StringBuilder,
    rows: usize,
    bytes: usize,
}

impl RowBuilders {
    pub fn new(schema: SchemaRef, labels: usize, chunks: u32) -> Self {
        RowBuilders {
            schema,
            labels: (0..labels).map(|_| StringDictionaryBuilder::new()).collect(),
            rest: StringDictionaryBuilder::new(),
            chunks: (0..chunks).map(|_| ChunkBuilders::default()).collect(),
            exemplars: StringBuilder::new(),
            rows: 0,
            bytes: 0,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row; `values` are parallel to the label columns.
    pub fn push<'a>(
        &mut self,
        values: impl Iterator<Item = Option<&'a str>>,
        rest: Option<String>,
        chunks: &[ChunkRow],
        exemplars: Option<String>,
    ) {
        self.labels.iter_mut().zip(values).for_each(|(b, v)| b.append_option(v));
        self.rest.append_option(rest);
        for (b, row) in self.chunks.iter_mut().zip(chunks) {
            b.push(row);
            for part in [&row.starts, &row.data, &row.h_starts, &row.h_data] {
                self.bytes += part.as_ref().map_or(0, Vec::len);
            }
        }
        self.bytes += exemplars.as_ref().map_or(0, String::len);
        self.exemplars.append_option(exemplars);
        self.rows += 1;
    }

    pub fn take(&mut self) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for b in self.labels.iter_mut().chain([&mut self.rest]) {
            arrays.push(Arc::new(b.finish()));
        }
        self.chunks.iter_mut().for_each(|c| arrays.extend(c.finish()));
        arrays.push(Arc::new(self.exemplars.finish()));
        (self.rows, self.bytes) = (0, 0);
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }
}
