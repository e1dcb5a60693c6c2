//! Verified byte ranges of one object.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, path::Path};
use parquet::{
    arrow::{arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
    errors::ParquetError,
    file::metadata::ParquetMetaData,
};

use super::seal::Regions;
use crate::{Error, Result};

/// Two ranges closer than this are fetched as one. Larger reads more for nothing, smaller makes more requests.
const COALESCE_GAP: u64 = 16 << 10;

/// An object before its seal is known.
#[derive(Clone)]
pub(crate) struct Raw {
    store: Arc<dyn ObjectStore>,
    pub path: Path,
    size: u64,
}

impl Raw {
    pub fn new(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Self {
        Raw { store, path, size }
    }

    pub fn corrupt(&self, expected: impl Into<String>) -> Error {
        Error::corrupt(&self.path, expected)
    }

    /// The last `n` bytes.
    pub async fn tail(&self, n: u64) -> Result<Bytes> {
        let range = self.size.saturating_sub(n)..self.size;
        if range.is_empty() {
            return Err(self.corrupt("a file that is not empty"));
        }
        // Asked with the options of a get so that a store reports the real size of a truncated object.
        let options = GetOptions::default().with_range(Some(range.clone()));
        let got = self.store.get_opts(&self.path, options).await.map_err(|e| self.unreadable(e))?;
        if got.meta.size != self.size {
            return Err(self.corrupt(format!("{} bytes, the object has {}", self.size, got.meta.size)));
        }
        let bytes = got.bytes().await.map_err(|e| self.unreadable(e))?;
        self.check_length(&bytes, &range)?;
        Ok(bytes)
    }

    fn check_length(&self, bytes: &Bytes, range: &Range<u64>) -> Result<()> {
        if bytes.len() as u64 == range.end - range.start {
            return Ok(());
        }
        Err(self.corrupt(format!("bytes {} to {}, got {} of them", range.start, range.end, bytes.len())))
    }

    fn unreadable(&self, e: object_store::Error) -> Error {
        Error::Store { path: self.path.to_string(), source: e }
    }
}

/// An object whose reads are checked against its seal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Source {
    raw: Raw,
    regions: Arc<Regions>,
}

impl Source {
    pub fn new(raw: Raw, regions: Regions) -> Self {
        Source { raw, regions: Arc::new(regions) }
    }

    pub fn size(&self) -> u64 {
        self.raw.size
    }

    pub fn corrupt(&self, expected: impl Into<String>) -> Error {
        self.raw.corrupt(expected)
    }

    pub fn parquet_error(&self, e: ParquetError) -> Error {
        super::unwrap_parquet(&self.raw.path, e)
    }

    /// That a task which read broke off.
    pub fn task_error(&self, source: tokio::task::JoinError) -> Error {
        let source = object_store::Error::JoinError { source };
        Error::Store { path: self.raw.path.to_string(), source }
    }

    pub fn heap_bytes(&self) -> usize {
        self.regions.heap_bytes() + self.raw.path.as_ref().len()
    }

    pub async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.read_many(vec![range]).await?.pop().unwrap_or_default())
    }

    /// Reads ranges, in the order given. Whole sealed pieces are fetched and verified, near ones together.
    pub async fn read_many(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let mut covers = Vec::with_capacity(ranges.len());
        for r in ranges.iter().filter(|r| r.start < r.end) {
            covers.push(self.regions.cover(r).ok_or_else(|| {
                self.corrupt(format!("bytes {} to {} to lie before the seal", r.start, r.end))
            })?);
        }
        covers.sort_unstable_by_key(|r| r.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(covers.len());
        for c in covers {
            match merged.last_mut() {
                Some(last) if c.start <= last.end.saturating_add(COALESCE_GAP) => {
                    last.end = last.end.max(c.end)
                }
                _ => merged.push(c),
            }
        }
        let fetched = self.fetch(&merged).await?;
        ranges
            .iter()
            .map(|r| {
                if r.start >= r.end {
                    return Ok(Bytes::new());
                }
                let i = merged.partition_point(|m| m.start <= r.start).saturating_sub(1);
                let (Some(m), Some(bytes)) = (merged.get(i), fetched.get(i)) else {
                    return Err(self.corrupt("a range that was fetched"));
                };
                let (from, to) = ((r.start - m.start) as usize, (r.end - m.start) as usize);
                if to > bytes.len() {
                    return Err(self.corrupt("a range that was fetched"));
                }
                Ok(bytes.slice(from..to))
            })
            .collect()
    }

    /// A range out of the end of the file that was read already; `None` where it begins earlier.
    pub fn in_tail(&self, tail: &Bytes, range: &Range<u64>) -> Result<Option<Bytes>> {
        let start = self.size().saturating_sub(tail.len() as u64);
        let Some(cover) = self.regions.cover(range).filter(|c| c.start >= start && c.end <= self.size())
        else {
            return Ok(None);
        };
        let bytes = tail.slice((cover.start - start) as usize..(cover.end - start) as usize);
        self.verify(cover.start, &bytes)?;
        Ok(Some(bytes.slice((range.start - cover.start) as usize..(range.end - cover.start) as usize)))
    }

    fn verify(&self, start: u64, bytes: &Bytes) -> Result<()> {
        self.regions.verify(start, bytes).map_err(|bad| {
            self.corrupt(format!("bytes {} to {} to have the checksum in the seal", bad.start, bad.end))
        })
    }

    async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let got = match ranges {
            [] => Vec::new(),
            [one] => vec![
                self.raw
                    .store
                    .get_range(&self.raw.path, one.clone())
                    .await
                    .map_err(|e| self.raw.unreadable(e))?,
            ],
            many => {
                self.raw.store.get_ranges(&self.raw.path, many).await.map_err(|e| self.raw.unreadable(e))?
            }
        };
        if got.len() != ranges.len() {
            return Err(self.corrupt(format!("{} ranges, the store answered {}", ranges.len(), got.len())));
        }
        for (r, bytes) in ranges.iter().zip(&got) {
            self.raw.check_length(bytes, r)?;
            self.verify(r.start, bytes)?;
        }
        Ok(got)
    }
}

/// How the Parquet reader gets its bytes. Errors travel through it as [`ParquetError::External`].
impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { self.read(range).await.map_err(|e| ParquetError::External(Box::new(e))) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.read_many(ranges).await.map_err(|e| ParquetError::External(Box::new(e))) }.boxed()
    }

    /// Never asked: every stream is built with the metadata that was verified on opening.
    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let e = ParquetError::General("the footer is parsed on opening".to_owned());
        async move { Err(e) }.boxed()
    }
}
