//! Columns of labels and counts, and sample times, kept between queries within a number of bytes.
//!
//! What matchers, labels and places of chunks are made of is small and asked for by every query, while reading it
//! out of Parquet pages costs more than the samples of most queries do; times are shared by many series. Values are
//! never kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::packed::Column;

/// Bytes of bookkeeping for one piece.
const ENTRY_BYTES: usize = 160;

/// Shared by the readers of a store. When it is full the columns that were not used for longest go.
#[derive(Debug)]
pub struct ColumnCache {
    max_bytes: usize,
    held: Mutex<Held>,
    readers: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What is kept whole.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Column(Arc<Column>),
    Times(Arc<Vec<i64>>),
}

impl Piece {
    fn heap_bytes(&self) -> usize {
        match self {
            Piece::Column(c) => c.heap_bytes(),
            Piece::Times(t) => t.capacity() * size_of::<i64>(),
        }
    }
}

/// Which piece of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Column {
        row_group: u32,
        column: u32,
    },
    /// A group of times, by its number.
    Times(u32),
}

/// By reader.
type Key = (u64, Place);

#[derive(Debug, Default)]
struct Held {
    pieces: HashMap<Key, Kept>,
    by_use: BTreeMap<u64, Key>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    piece: Piece,
    bytes: usize,
    used: u64,
}

/// What a cache holds and how it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ColumnCacheStats {
    pub bytes: u64,
    pub pieces: u64,
    pub hits: u64,
    pub misses: u64,
}

impl ColumnCache {
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(ColumnCache {
            max_bytes,
            held: Mutex::default(),
            readers: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    pub fn stats(&self) -> ColumnCacheStats {
        let held = self.lock();
        ColumnCacheStats {
            bytes: held.bytes as u64,
            pieces: held.pieces.len() as u64,
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
        }
    }

    /// A number for a reader that keeps columns here.
    pub(super) fn enter(&self) -> u64 {
        self.readers.fetch_add(1, Relaxed)
    }

    /// Forgets what a reader kept.
    pub(super) fn leave(&self, reader: u64) {
        let held = &mut *self.lock();
        held.pieces.retain(|key, kept| {
            let stays = key.0 != reader;
            if !stays {
                held.bytes -= kept.bytes;
                held.by_use.remove(&kept.used);
            }
            stays
        });
    }

    /// Pieces of a segment, those that are kept.
    pub(super) fn get(&self, reader: u64, places: impl IntoIterator<Item = Place>) -> Vec<Option<Piece>> {
        let held = &mut *self.lock();
        let find = |place: Place| {
            let kept = held.pieces.get_mut(&(reader, place))?;
            held.uses += 1;
            held.by_use.remove(&kept.used);
            kept.used = held.uses;
            held.by_use.insert(kept.used, (reader, place));
            Some(kept.piece.clone())
        };
        let found: Vec<Option<Piece>> = places.into_iter().map(find).collect();
        let hits = found.iter().flatten().count() as u64;
        self.hits.fetch_add(hits, Relaxed);
        self.misses.fetch_add(found.len() as u64 - hits, Relaxed);
        found
    }

    pub(super) fn put(&self, reader: u64, place: Place, piece: Piece) {
        let bytes = piece.heap_bytes() + ENTRY_BYTES;
        if bytes > self.max_bytes {
            return;
        }
        let held = &mut *self.lock();
        held.uses += 1;
        let (key, used) = ((reader, place), held.uses);
        if let Some(old) = held.pieces.insert(key, Kept { piece, bytes, used }) {
            held.bytes -= old.bytes;
            held.by_use.remove(&old.used);
        }
        held.by_use.insert(used, key);
        held.bytes += bytes;
        while held.bytes > self.max_bytes {
            let Some((_, oldest)) = held.by_use.pop_first() else { break };
            held.bytes -= held.pieces.remove(&oldest).map_or(0, |k| k.bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(n: usize) -> Piece {
        Piece::Column(Arc::new(Column::of_numbers((0..n as i64).map(|i| Some(i % 100)).collect())))
    }

    fn place(column: u32) -> Place {
        Place::Column { row_group: 0, column }
    }

    fn kept(cache: &ColumnCache, reader: u64, columns: std::ops::Range<u32>) -> Vec<bool> {
        cache.get(reader, columns.map(place)).iter().map(Option::is_some).collect()
    }

    #[test]
    fn the_pieces_not_used_for_longest_go_when_it_is_full() {
        let one = piece(1000).heap_bytes() + ENTRY_BYTES;
        let cache = ColumnCache::new(3 * one);
        let reader = cache.enter();
        (0..3).for_each(|c| cache.put(reader, place(c), piece(1000)));
        assert_eq!(kept(&cache, reader, 0..1), [true]);
        cache.put(reader, place(3), piece(1000));
        assert_eq!(kept(&cache, reader, 0..4), [true, false, true, true]);
        let stats = cache.stats();
        assert_eq!((stats.bytes, stats.pieces, stats.hits, stats.misses), (3 * one as u64, 3, 4, 1));
    }

    #[test]
    fn what_is_larger_than_the_cache_is_not_kept_and_readers_take_theirs_with_them() {
        let cache = ColumnCache::new(2000);
        let (a, b) = (cache.enter(), cache.enter());
        cache.put(a, place(0), piece(5000));
        assert_eq!(cache.stats().pieces, 0);
        cache.put(a, place(0), piece(100));
        cache.put(b, place(0), piece(100));
        cache.put(b, place(0), piece(200));
        cache.put(b, Place::Times(0), Piece::Times(Arc::new(vec![1, 2])));
        cache.leave(a);
        assert_eq!((kept(&cache, a, 0..1), kept(&cache, b, 0..1)), (vec![false], vec![true]));
        cache.leave(b);
        assert_eq!((cache.stats().bytes, cache.stats().pieces), (0, 0));
    }
}
