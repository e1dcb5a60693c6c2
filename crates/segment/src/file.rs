//! What every segment file has in common: one Parquet file, readable by any Parquet reader, with two things
//! such a reader skips: named blobs and a seal.
//!
//! ```text
//! +------+------------+-------+--------------+------+--------+------------------+------+
//! | PAR1 | row groups | blobs | page offsets | seal | footer | footer length u32| PAR1 |
//! +------+------------+-------+--------------+------+--------+------------------+------+
//! ```
//! All integers of ours are little-endian. Key-values in the footer:
//!
//! ```text
//! orrery.segment       SegmentInfo as JSON: signal, format version, level, rows, items, range, ...
//! orrery.layout        what the signal's reader needs to know of the columns, as JSON
//! orrery.blob.<name>   "<offset>,<length>,<crc32c of the blob, 8 hex digits>"
//! ```
//! The **seal** ([`seal`]) holds a CRC-32C of every page, blob piece and the footer. Everything read is checked
//! against it before any decoder sees it, so a flipped bit is an error that names the file and never a
//! wrong sample.
//!
//! Version rule: [`crate::FORMAT_VERSION`] is one number for the whole contract. The reader takes it from
//! the seal before it parses anything else; greater than its own is [`Error::Version`]. Codec bytes inside
//! chunks are additive: an unknown one is corrupt unless the version was raised with it.

pub(crate) mod blob;
pub(crate) mod seal;
pub(crate) mod source;
pub(crate) mod writer;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, path::Path};
use parquet::{
    arrow::{
        ParquetRecordBatchStreamBuilder, ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection},
        async_reader::ParquetRecordBatchStream,
    },
    errors::ParquetError,
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData},
};

use crate::{Error, FORMAT_VERSION, Result, SegmentInfo};
use blob::BlobRef;
use source::Source;

pub(crate) const KEY_INFO: &str = "orrery.segment";
pub(crate) const KEY_LAYOUT: &str = "orrery.layout";
pub(crate) const KEY_BLOB: &str = "orrery.blob.";

/// Bytes read from the end of a file on opening. Larger wastes bandwidth on small segments, smaller costs a
/// second round trip on more of the large ones.
const TAIL_BYTES: u64 = 64 << 10;

/// Length and magic at the very end.
const PARQUET_END: u64 = 8;

/// An open segment file. Holds the parsed footer, everything else is read when asked.
pub(crate) struct File {
    pub source: Source,
    pub info: SegmentInfo,
    pub layout: String,
    meta: ArrowReaderMetadata,
    /// Positions of columns, which each query asks for by the dozen.
    columns: HashMap<String, usize>,
    blobs: HashMap<String, BlobRef>,
}

impl File {
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self> {
        let raw = source::Raw::new(store, path, size);
        let mut tail = raw.tail(TAIL_BYTES.min(size)).await?;
        let footer_len = footer_length(&raw, &tail)?;
        let mut need = PARQUET_END + footer_len + seal::TRAILER_BYTES;
        if need > size {
            return Err(raw.corrupt("a footer no longer than the file"));
        }
        if need > tail.len() as u64 {
            tail = raw.tail(need).await?;
        }
        let (body, footer) = split_from_end(&tail, (PARQUET_END + footer_len) as usize);
        let trailer = seal::Trailer::decode(&body, &footer).map_err(|e| raw.corrupt(e))?;
        if trailer.version > FORMAT_VERSION {
            return Err(Error::Version {
                path: raw.path.to_string(),
                found: trailer.version,
                known: FORMAT_VERSION,
            });
        }
        need += trailer.table_bytes();
        if need > size {
            return Err(raw.corrupt("a seal no longer than the file"));
        }
        if need > tail.len() as u64 {
            tail = raw.tail(need).await?;
        }
        let seal_start = size - need;
        let table = tail.slice(tail.len() - need as usize..);
        let regions = trailer.regions(&table, seal_start).map_err(|e| raw.corrupt(e))?;
        let source = Source::new(raw, regions);
        let thrift = footer.slice(..footer_len as usize);
        let metadata = parse(&source, &thrift, &tail).await?;
        Self::from_metadata(source, metadata)
    }

    fn from_metadata(source: Source, metadata: ParquetMetaData) -> Result<Self> {
        let size = source.size();
        let mut values = HashMap::new();
        for kv in metadata.file_metadata().key_value_metadata().into_iter().flatten() {
            values.insert(kv.key.clone(), kv.value.clone().unwrap_or_default());
        }
        let json = values.remove(KEY_INFO).ok_or_else(|| source.corrupt("a footer entry orrery.segment"))?;
        let mut info: SegmentInfo = serde_json::from_str(&json)
            .map_err(|e| source.corrupt(format!("orrery.segment as JSON: {e}")))?;
        info.bytes = size;
        let mut blobs = HashMap::new();
        for (k, v) in &values {
            if let Some(name) = k.strip_prefix(KEY_BLOB) {
                let blob = BlobRef::parse(v, size)
                    .ok_or_else(|| source.corrupt(format!("{k} to be an offset, a length and a checksum")))?;
                blobs.insert(name.to_owned(), blob);
            }
        }
        let layout = values.remove(KEY_LAYOUT).unwrap_or_default();
        let meta = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            .map_err(|e| source.parquet_error(e))?;
        let columns = meta.schema().fields().iter().enumerate().map(|(i, f)| (f.name().clone(), i)).collect();
        Ok(File { source, info, layout, meta, columns, blobs })
    }

    pub fn row_groups(&self) -> &[RowGroupMetaData] {
        self.meta.metadata().row_groups()
    }

    pub fn rows_in(&self, row_group: usize) -> usize {
        self.row_groups().get(row_group).map_or(0, |g| g.num_rows().max(0) as usize)
    }

    pub fn corrupt(&self, expected: impl Into<String>) -> Error {
        self.source.corrupt(expected)
    }

    /// Position of a column among the leaves; segments have flat schemas, so leaves are fields.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.get(name).copied()
    }

    /// Streams batches of some columns of some row groups. The selection counts rows of those row groups.
    pub fn stream(
        &self,
        row_groups: Vec<usize>,
        columns: impl IntoIterator<Item = usize>,
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchStream<Source>> {
        let mask = ProjectionMask::leaves(self.meta.parquet_schema(), columns);
        let mut b =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.source.clone(), self.meta.clone())
                .with_row_groups(row_groups)
                .with_projection(mask)
                .with_batch_size(batch_rows);
        if let Some(s) = selection {
            b = b.with_row_selection(s);
        }
        b.build().map_err(|e| self.source.parquet_error(e))
    }

    /// A whole blob; `None` where the segment has none of that name.
    pub async fn blob(&self, name: &str) -> Result<Option<Bytes>> {
        match self.blobs.get(name) {
            Some(b) => Ok(Some(self.source.read(b.offset..b.offset + b.length).await?)),
            None => Ok(None),
        }
    }

    pub fn blob_ref(&self, name: &str) -> Option<BlobRef> {
        self.blobs.get(name).copied()
    }

    pub fn heap_bytes(&self) -> usize {
        self.meta.metadata().memory_size()
            + self.source.heap_bytes()
            + self.layout.len()
            + self.blobs.len() * 96
            + self.columns.keys().map(|name| name.len() + 48).sum::<usize>()
            + std::mem::size_of::<Self>()
    }
}

fn footer_length(raw: &source::Raw, tail: &Bytes) -> Result<u64> {
    let end = tail.last_chunk::<8>().ok_or_else(|| raw.corrupt("at least 8 bytes"))?;
    let [a, b, c, d, magic @ ..] = end;
    if magic != b"PAR1" {
        return Err(raw.corrupt("PAR1 at the end of the file"));
    }
    Ok(u64::from(u32::from_le_bytes([*a, *b, *c, *d])))
}

/// Splits so that the second part has `n` bytes; `n` is at most the length.
fn split_from_end(bytes: &Bytes, n: usize) -> (Bytes, Bytes) {
    let at = bytes.len().saturating_sub(n);
    (bytes.slice(..at), bytes.slice(at..))
}

/// Parses footer and page offsets, both verified. `tail` is the end of the file as far as it was read.
async fn parse(source: &Source, thrift: &Bytes, tail: &Bytes) -> Result<ParquetMetaData> {
    let metadata = ParquetMetaDataReader::decode_metadata(thrift).map_err(|e| source.parquet_error(e))?;
    let Some(range) = page_offset_range(&metadata) else { return Ok(metadata) };
    // The parser wants the end of the file from the page offsets on; only their bytes are looked at, and
    // those are verified. What follows is filled with zeros.
    let size = source.size();
    if range.end > size {
        return Err(source.corrupt("page offsets inside the file"));
    }
    let mut end = match source.in_tail(tail, &range)? {
        Some(bytes) => bytes.to_vec(),
        None => source.read(range.clone()).await?.to_vec(),
    };
    end.resize((size - range.start) as usize, 0);
    let mut reader = ParquetMetaDataReader::new_with_metadata(metadata)
        .with_offset_index_policy(PageIndexPolicy::Required);
    reader.read_page_indexes_sized(&Bytes::from(end), size).map_err(|e| source.parquet_error(e))?;
    reader.finish().map_err(|e| source.parquet_error(e))
}

fn page_offset_range(metadata: &ParquetMetaData) -> Option<std::ops::Range<u64>> {
    let mut range: Option<std::ops::Range<u64>> = None;
    for column in metadata.row_groups().iter().flat_map(|g| g.columns()) {
        let start = u64::try_from(column.offset_index_offset()?).ok()?;
        let end = start.checked_add(u64::try_from(column.offset_index_length()?).ok()?)?;
        range = Some(match range {
            Some(r) => r.start.min(start)..r.end.max(end),
            None => start..end,
        });
    }
    range
}

/// An error of ours that travelled through the Parquet reader comes back as itself.
pub(crate) fn unwrap_parquet(path: &Path, e: ParquetError) -> Error {
    match e {
        ParquetError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::corrupt(path, format!("readable Parquet: {other}")),
        },
        other => Error::corrupt(path, format!("readable Parquet: {other}")),
    }
}

#[cfg(test)]
mod tests;
