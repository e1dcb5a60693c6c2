//! Several segments into one, a few thousand records of each in memory at a time.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    sync::Arc,
};

use futures::TryStreamExt;
use model::{Labels, LogRecord, LogStream};

use super::{
    Reader, WriteOptions,
    cut::{cutter::Cut, template::Table},
    reader::{Inner, Scan},
    streams,
    writer::Writer,
};
use crate::{Error, Result, Written, attrs};

/// Records handed to the encoder at once.
const CHUNK: usize = 16 << 10;

/// Whether a record with these labels and at this time (ns) stays.
pub type Keep = Box<dyn Fn(&Labels, i64) -> bool + Send + Sync>;

/// Writes what segments hold as one. Of equal stream and time the records of earlier segments stand first. Encoding is
/// done on blocking threads. `None` where nothing stays.
pub async fn merge(inputs: Vec<(Reader, Keep)>, options: &WriteOptions) -> Result<Option<Written>> {
    let mut all = Vec::with_capacity(inputs.len());
    for (reader, _) in &inputs {
        all.push(reader.inner().entries().await?);
    }
    let mut keys = BTreeSet::new();
    for e in all.iter().flat_map(|entries| entries.iter()) {
        keys.insert(streams::key(&e.stream)?);
    }
    let keys: Vec<(&Labels, String)> = keys.into_iter().collect();
    let mut streams: Vec<LogStream> = vec![LogStream::default(); keys.len()];
    let mut sources = Vec::with_capacity(inputs.len());
    let mut tables = Vec::with_capacity(inputs.len());
    let plans = inputs.iter().map(|(r, _)| (&r.inner().layout.attributes, r.info().rows as usize));
    let expected_bytes = inputs.iter().map(|(r, _)| r.info().bytes as usize).sum();
    let writer = Writer::new(attrs::Plan::merged(plans), expected_bytes)?;
    for ((reader, keep), entries) in inputs.iter().zip(&all) {
        let mut numbers = Vec::with_capacity(entries.len());
        for e in entries.iter() {
            let number = keys.binary_search(&streams::key(&e.stream)?).unwrap_or(0);
            if let Some(stream) = streams.get_mut(number) {
                stream.clone_from(&e.stream);
            }
            numbers.push(number as u32);
        }
        let scan = reader.inner().records().await?;
        tables.push(reader.inner().templates().await?);
        sources.push(Source { inner: reader.inner(), scan, keep, numbers, records: Vec::new().into_iter() });
    }
    let shared = Arc::new(Shared { streams, tables });
    run(sources, shared, writer, options).await
}

/// What records name by number.
struct Shared {
    streams: Vec<LogStream>,
    /// Of each source.
    tables: Vec<Arc<Table>>,
}

/// A record, its body beside it where that is cut, by the table of its source.
type Item = (LogRecord, Option<Cut>);

/// A segment being read.
struct Source<'a> {
    inner: &'a Arc<Inner>,
    scan: Scan,
    keep: &'a Keep,
    /// The number that each of its streams has among all.
    numbers: Vec<u32>,
    records: std::vec::IntoIter<Item>,
}

impl Source<'_> {
    /// The next record that stays, its stream numbered among all.
    async fn next(&mut self, streams: &[LogStream]) -> Result<Option<Item>> {
        loop {
            for (mut r, cut) in self.records.by_ref() {
                let number = self.numbers.get(r.stream as usize).copied();
                let stream = number.and_then(|n| streams.get(n as usize));
                let (Some(number), Some(stream)) = (number, stream) else {
                    return Err(self
                        .inner
                        .file
                        .corrupt(format!("stream {} in the table of streams", r.stream)));
                };
                if (self.keep)(&stream.labels, r.timestamp_ns) {
                    r.stream = number;
                    return Ok(Some((r, cut)));
                }
            }
            match self.scan.try_next().await? {
                Some(records) => self.records = records.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

async fn run(
    mut sources: Vec<Source<'_>>,
    shared: Arc<Shared>,
    mut writer: Writer,
    options: &WriteOptions,
) -> Result<Option<Written>> {
    let mut next = BinaryHeap::with_capacity(sources.len());
    let mut held = Vec::with_capacity(sources.len());
    for (i, source) in sources.iter_mut().enumerate() {
        let item = source.next(&shared.streams).await?;
        next.extend(item.as_ref().map(|(r, _)| Reverse((r.stream, r.timestamp_ns, i))));
        held.push(item);
    }
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(Reverse((_, _, i))) = next.pop() {
        if let (Some(source), Some(place)) = (sources.get_mut(i), held.get_mut(i)) {
            chunk.extend(place.take().map(|item| (i, item)));
            *place = source.next(&shared.streams).await?;
            next.extend(place.as_ref().map(|(r, _)| Reverse((r.stream, r.timestamp_ns, i))));
        }
        if chunk.len() >= CHUNK || next.is_empty() {
            (writer, chunk) = encode(writer, chunk, shared.clone()).await?;
        }
    }
    let options = *options;
    blocking(move || if writer.is_empty() { Ok(None) } else { writer.finish(&options).map(Some) }).await
}

async fn encode(
    mut writer: Writer,
    mut chunk: Vec<(usize, Item)>,
    shared: Arc<Shared>,
) -> Result<(Writer, Vec<(usize, Item)>)> {
    blocking(move || {
        for (source, (mut r, cut)) in chunk.drain(..) {
            let number = r.stream as usize;
            let Some(stream) = shared.streams.get(number) else { continue };
            match (cut, shared.tables.get(source)) {
                (Some(cut), Some(table)) => {
                    writer.push_cut((number, stream), &mut r, (source, table), &cut)?;
                }
                _ => writer.push((number, stream), &r)?,
            }
        }
        Ok((writer, chunk))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::Encode(e.to_string())))
}
