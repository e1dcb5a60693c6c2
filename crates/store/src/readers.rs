//! Open segments, kept for the next query: opening one costs reads of its footer.

use std::{collections::HashMap, sync::Arc};

use object_store::{ObjectStore, path::Path};
use parking_lot::Mutex;

use crate::{Error, Result, catalog::SegmentRef};

/// Bytes of footers kept. Larger: fewer reads; smaller: less memory that no reservation accounts for.
const MAX_BYTES: usize = 32 << 20;
/// And no more of the memory limit than this part, of footers and of columns each.
const LIMIT_PART: u64 = 32;

#[derive(Clone)]
pub(crate) enum Reader {
    Metrics(segment::metrics::Reader),
    Logs(segment::logs::Reader),
    Spans(segment::spans::Reader),
}

/// Bytes of labels and counts of metrics segments kept decoded. Some 15 bytes for each series and segment: larger
/// serves more series without reading them anew, smaller leaves more memory to heads.
const MAX_COLUMN_BYTES: usize = 32 << 20;

pub(crate) struct Readers {
    held: Mutex<Held>,
    max_bytes: usize,
    pub(crate) columns: Arc<segment::metrics::ColumnCache>,
}

#[derive(Default)]
struct Held {
    /// Reader, its bytes, and when it was last used.
    by_path: HashMap<String, (Reader, usize, u64)>,
    bytes: usize,
    uses: u64,
}

impl Readers {
    pub(crate) fn new(memory_limit_bytes: u64) -> Self {
        let part = usize::try_from(memory_limit_bytes / LIMIT_PART).unwrap_or(usize::MAX);
        let columns = segment::metrics::ColumnCache::new(MAX_COLUMN_BYTES.min(part));
        Readers { held: Mutex::default(), max_bytes: MAX_BYTES.min(part), columns }
    }

    /// Bytes of footers held.
    pub(crate) fn bytes(&self) -> u64 {
        self.held.lock().bytes as u64
    }

    pub(crate) async fn open(&self, objects: &Arc<dyn ObjectStore>, segment: &SegmentRef) -> Result<Reader> {
        if let Some(found) = self.get(&segment.path) {
            return Ok(found);
        }
        let (path, size) = (Path::from(segment.path.as_str()), segment.info.bytes);
        let failed = |source| Error::Segment { path: segment.path.clone(), source };
        let (reader, bytes) = match segment.info.signal.as_str() {
            "logs" => {
                let r = segment::logs::Reader::open(objects.clone(), path, size).await.map_err(failed)?;
                let bytes = r.heap_bytes();
                (Reader::Logs(r), bytes)
            }
            "traces" => {
                let r = segment::spans::Reader::open(objects.clone(), path, size).await.map_err(failed)?;
                let bytes = r.heap_bytes();
                (Reader::Spans(r), bytes)
            }
            _ => {
                let r = segment::metrics::Reader::open_with(objects.clone(), path, size, &self.columns)
                    .await
                    .map_err(failed)?;
                let bytes = r.heap_bytes();
                (Reader::Metrics(r), bytes)
            }
        };
        self.put(&segment.path, reader.clone(), bytes);
        Ok(reader)
    }

    fn get(&self, path: &str) -> Option<Reader> {
        let held = &mut *self.held.lock();
        held.uses += 1;
        let (reader, _, used) = held.by_path.get_mut(path)?;
        *used = held.uses;
        Some(reader.clone())
    }

    fn put(&self, path: &str, reader: Reader, bytes: usize) {
        let held = &mut *self.held.lock();
        held.uses += 1;
        if let Some((_, old, _)) = held.by_path.insert(path.to_owned(), (reader, bytes, held.uses)) {
            held.bytes -= old;
        }
        held.bytes += bytes;
        while held.bytes > self.max_bytes && held.by_path.len() > 1 {
            let oldest = held.by_path.iter().min_by_key(|(_, (_, _, used))| *used).map(|(p, _)| p.clone());
            let Some((_, bytes, _)) = oldest.and_then(|p| held.by_path.remove(&p)) else { break };
            held.bytes -= bytes;
        }
    }

    /// Forgets a segment that is gone.
    pub(crate) fn forget(&self, path: &str) {
        let held = &mut *self.held.lock();
        if let Some((_, bytes, _)) = held.by_path.remove(path) {
            held.bytes -= bytes;
        }
    }
}
