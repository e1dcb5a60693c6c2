//! The blob `traces`: which rows are a trace's.
//!
//! ```text
//! | traces u32 | fence: first id of each page, 16 bytes x pages | page ... |
//!   page = up to 256 x | trace id 16 bytes | first row u32 | rows u32 |
//! ```
//! Integers little-endian, ids as bytes, ascending over all pages; pages = traces / 256, rounded up. The blob is
//! cut for the seal after the fence and after every page: finding one trace reads one page of 6 KiB once the
//! fence is held.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::{
    Result,
    file::{File, blob::Blob},
};

pub(super) const BLOB: &str = "traces";
const PAGE: usize = 256;
const ENTRY: usize = 24;
const ID: usize = 16;

pub(super) type TraceId = [u8; ID];

/// `traces` ascending by id: (id, first row, rows).
pub(super) fn encode(traces: &[(TraceId, u32, u32)]) -> Blob {
    let mut bytes = (traces.len() as u32).to_le_bytes().to_vec();
    for page in traces.chunks(PAGE) {
        page.first().iter().for_each(|(id, ..)| bytes.extend_from_slice(id));
    }
    let mut cuts = vec![bytes.len() as u64];
    for page in traces.chunks(PAGE) {
        for (id, first, rows) in page {
            bytes.extend_from_slice(id);
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&rows.to_le_bytes());
        }
        cuts.push(bytes.len() as u64);
    }
    Blob { name: BLOB, bytes, cuts }
}

/// Looks ids up; the fence is read once.
#[derive(Debug, Default)]
pub(super) struct Directory {
    fence: OnceCell<Fence>,
}

#[derive(Debug)]
struct Fence {
    traces: usize,
    /// First ids, 16 bytes each.
    ids: Bytes,
}

impl Fence {
    fn pages(&self) -> usize {
        self.ids.len() / ID
    }

    fn first_of(&self, page: usize) -> &[u8] {
        self.ids.get(page * ID..(page + 1) * ID).unwrap_or_default()
    }

    /// The page that holds the id if any does.
    fn page_of(&self, id: &TraceId) -> Option<usize> {
        let (mut lo, mut hi) = (0, self.pages());
        while lo < hi {
            let mid = lo + (hi - lo) / 2;
            if self.first_of(mid) <= id.as_slice() { lo = mid + 1 } else { hi = mid }
        }
        lo.checked_sub(1)
    }
}

impl Directory {
    /// Rows of those of the ids that are inside, ascending.
    pub async fn find(&self, file: &File, ids: &[TraceId]) -> Result<Vec<Range<usize>>> {
        let blob = file.blob_ref(BLOB).ok_or_else(|| file.corrupt("a blob traces"))?;
        let fence = self.fence.get_or_try_init(|| read_fence(file)).await?;
        let mut wanted: BTreeMap<usize, Vec<TraceId>> = BTreeMap::new();
        for id in ids {
            if let Some(page) = fence.page_of(id) {
                wanted.entry(page).or_default().push(*id);
            }
        }
        let base = blob.offset + 4 + fence.ids.len() as u64;
        let ranges = wanted
            .keys()
            .map(|page| {
                let first = page * PAGE;
                let n = fence.traces.saturating_sub(first).min(PAGE);
                let start = base + (first * ENTRY) as u64;
                start..start + (n * ENTRY) as u64
            })
            .collect();
        let pages = file.source.read_many(ranges).await?;
        let mut rows: Vec<Range<usize>> = Vec::new();
        for (ids, page) in wanted.into_values().zip(&pages) {
            rows.extend(ids.iter().filter_map(|id| entry(page, id)));
        }
        rows.sort_unstable_by_key(|r| r.start);
        rows.dedup();
        let ascending = rows.windows(2).all(|w| matches!(w, [a, b] if a.end <= b.start));
        if !ascending {
            return Err(file.corrupt("traces in the blob traces that do not share rows"));
        }
        Ok(rows)
    }

    pub fn heap_bytes(&self) -> usize {
        self.fence.get().map_or(0, |f| f.ids.len())
    }
}

async fn read_fence(file: &File) -> Result<Fence> {
    let blob = file.blob_ref(BLOB).ok_or_else(|| file.corrupt("a blob traces"))?;
    let short = || file.corrupt("a fence and pages in the blob traces");
    let head = file.source.read(blob.offset..blob.offset + 4.min(blob.length)).await?;
    let traces = head.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)).ok_or_else(short)? as usize;
    let length = traces.div_ceil(PAGE) * ID;
    if blob.length != (4 + length + traces * ENTRY) as u64 {
        return Err(short());
    }
    let ids = file.source.read(blob.offset + 4..blob.offset + 4 + length as u64).await?;
    // A copy, so that the cache does not keep a larger read alive.
    Ok(Fence { traces, ids: Bytes::copy_from_slice(&ids) })
}

fn entry(page: &[u8], id: &TraceId) -> Option<Range<usize>> {
    let (entries, _) = page.as_chunks::<ENTRY>();
    let at = entries.binary_search_by(|e| e.get(..ID).unwrap_or_default().cmp(id.as_slice())).ok()?;
    let e = entries.get(at)?;
    let word = |at: usize| e.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let first = word(16)? as usize;
    Some(first..first + word(20)? as usize)
}
