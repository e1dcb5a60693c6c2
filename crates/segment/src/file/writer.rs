//! Puts a segment file together in memory: row groups, blobs, footer, seal.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, add_encoded_arrow_schema_to_metadata, arrow_writer::ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    file::{
        metadata::{KeyValue, ParquetMetaData},
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
    },
};

use super::{KEY_BLOB, KEY_INFO, KEY_LAYOUT, blob::Blob, blob::BlobRef, seal};
use crate::{Error, FORMAT_VERSION, Result, SegmentInfo, Written};

/// A dictionary ends at this size where single rows are read: it is read whole for one row, so a column of ids
/// must give up its dictionary early. Larger compresses repeated long texts better.
pub(crate) const DICTIONARY_BYTES: usize = 64 << 10;

/// Properties all segments share; the signal's writer sets its columns on top.
///
/// `created_by` is fixed because the bytes are addressed by their hash: the same input must give the same
/// object whatever library version wrote it. Rows are only counted per row group by the writers.
pub(crate) fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(format!("orrery segment {FORMAT_VERSION}"))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None)
        .set_write_path_in_schema(true)
}

pub(crate) struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
}

/// A schema as its rows are handed over: texts as they are where dictionaries are read, since the file's encoder looks
/// every value up by itself, however it comes. But `kept` columns stay dictionaries.
pub(crate) fn plain(schema: &Schema, kept: &[&str]) -> SchemaRef {
    let field = |f: &Arc<Field>| match f.data_type() {
        DataType::Dictionary(_, value) if !kept.contains(&f.name().as_str()) => {
            Arc::new(f.as_ref().clone().with_data_type(value.as_ref().clone()))
        }
        _ => f.clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

impl FileWriter {
    /// `schema` is what readers are given, `rows` what is written, which [`plain`] makes of it. `expected_bytes`: a generous guess at the length of the file. Room that is never written to costs nothing, while
    /// a file that outgrows its room is held twice for as long as it moves.
    pub fn new(
        (schema, rows): (&Schema, SchemaRef),
        mut properties: WriterProperties,
        expected_bytes: usize,
    ) -> Result<Self> {
        let file = Vec::with_capacity(expected_bytes);
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        Ok(FileWriter { writer: ArrowWriter::try_new_with_options(file, rows, options)? })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(batch)?)
    }

    /// Ends the row group.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.writer.flush()?)
    }

    /// Encoded bytes so far.
    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    pub fn in_progress_bytes(&self) -> usize {
        self.writer.in_progress_size()
    }

    /// Writes blobs, footer and seal.
    pub fn finish(self, blobs: Vec<Blob>, layout: String, mut info: SegmentInfo) -> Result<Written> {
        let (mut writer, _) = self.writer.into_serialized_writer()?;
        let mut cuts = Vec::new();
        for blob in blobs {
            let offset = writer.bytes_written() as u64;
            let length = blob.bytes.len() as u64;
            cuts.push(offset);
            cuts.extend(blob.cuts.iter().map(|c| offset + c.min(&length)));
            cuts.push(offset + length);
            writer.write_all(&blob.bytes).map_err(|e| Error::Encode(e.to_string()))?;
            let place = BlobRef { offset, length, crc: crc32c::crc32c(&blob.bytes) };
            let key = format!("{KEY_BLOB}{}", blob.name);
            writer.append_key_value_metadata(KeyValue::new(key, place.format()));
        }
        info.bytes = 0;
        let json = serde_json::to_string(&info).map_err(|e| Error::Encode(e.to_string()))?;
        writer.append_key_value_metadata(KeyValue::new(KEY_INFO.to_owned(), json));
        writer.append_key_value_metadata(KeyValue::new(KEY_LAYOUT.to_owned(), layout));
        let metadata = writer.finish()?;
        let file = std::mem::take(writer.inner_mut());
        page_cuts(&metadata, &mut cuts);
        let bytes = Bytes::from(sealed(file, cuts)?);
        info.bytes = bytes.len() as u64;
        let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes));
        Ok(Written { bytes, info, hash })
    }
}

/// Every offset at which a reader may begin or end: column chunks and their pages, and the page offsets.
fn page_cuts(metadata: &ParquetMetaData, cuts: &mut Vec<u64>) {
    for (g, group) in metadata.row_groups().iter().enumerate() {
        for (c, column) in group.columns().iter().enumerate() {
            let (start, length) = column.byte_range();
            cuts.extend([start, start + length]);
            let offsets = metadata.offset_index().and_then(|i| i.get(g)).and_then(|g| g.get(c));
            for page in offsets.iter().flat_map(|o| o.page_locations()) {
                cuts.push(page.offset.max(0) as u64);
            }
        }
    }
    let offsets =
        metadata.row_groups().iter().flat_map(|g| g.columns()).filter_map(|c| c.offset_index_offset());
    cuts.extend(offsets.min().map(|o| o.max(0) as u64));
}

fn sealed(mut file: Vec<u8>, cuts: Vec<u64>) -> Result<Vec<u8>> {
    let broken = || Error::Encode("the Parquet writer left no footer".to_owned());
    let end = file.last_chunk::<8>().ok_or_else(broken)?;
    let [a, b, c, d, ..] = *end;
    let footer = u32::from_le_bytes([a, b, c, d]) as usize + 8;
    let at = file.len().checked_sub(footer).ok_or_else(broken)?;
    let footer = file.split_off(at);
    let seal = seal::encode(&file, cuts, &footer, FORMAT_VERSION)
        .ok_or_else(|| Error::Invalid("a page or blob of the segment is 4 GiB or larger".to_owned()))?;
    file.extend_from_slice(&seal);
    file.extend_from_slice(&footer);
    Ok(file)
}
