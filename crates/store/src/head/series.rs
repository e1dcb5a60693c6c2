//! The samples of one series in a head, and what a reader takes of them.

use std::{collections::BTreeMap, sync::Arc};

use model::{Exemplar, Histogram, Labels, TimeRange};
use segment::metrics::SeriesRows;

use super::run::Run;

/// Exemplars kept per series and head; the oldest go first. Prometheus keeps a fixed ring for all.
const MAX_EXEMPLARS: usize = 64;

/// Everything of one series. Parts that are rare are boxed, so that an ordinary series stays small.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeriesStore {
    run: Run,
    rare: Option<Box<Rare>>,
}

/// What most series do not have.
#[derive(Debug, Clone, Default)]
struct Rare {
    /// Starts of the run's samples, run-length: from this timestamp on, this start. Empty: unknown.
    starts: Vec<(i64, i64)>,
    /// Samples that came out of order: value bits and start by time. They count over the run.
    side: BTreeMap<i64, (u64, i64)>,
    histograms: BTreeMap<i64, (i64, Arc<Histogram>)>,
    exemplars: Vec<Exemplar>,
}

/// What became of an exemplar.
pub(crate) enum PushedExemplar {
    Kept {
        grown: usize,
    },
    /// It is the last one again.
    Repeated,
    /// The oldest of the series went for it.
    Replaced,
}

impl SeriesStore {
    pub(crate) fn is_empty(&self) -> bool {
        self.run.is_empty() && self.rare.as_ref().is_none_or(|r| r.side.is_empty() && r.histograms.is_empty())
    }

    /// Takes everything out. What was newest is still known: nothing older follows it in the run.
    pub(crate) fn take(&mut self) -> SeriesStore {
        SeriesStore { run: self.run.take(), rare: self.rare.take() }
    }

    /// Time and bits of the newest float of the run, taken ones included; `i64::MIN` before the first.
    pub(crate) fn newest(&self) -> (i64, u64) {
        self.run.newest()
    }

    /// Appends or, where the time is not past the newest, keeps the sample aside. Of two samples at one time
    /// the later call counts. Returns the bytes by which the store grew; `None` when the newest sample was
    /// repeated.
    pub(crate) fn push(&mut self, timestamp_ms: i64, value: f64, start_ms: i64) -> Option<usize> {
        let (newest_ms, newest_bits) = self.run.newest();
        if timestamp_ms > newest_ms {
            let before = self.run.heap_bytes();
            self.run.push(timestamp_ms, value);
            let mut grown = self.run.heap_bytes() - before;
            let last = self.rare.as_ref().and_then(|r| r.starts.last()).map_or(0, |(_, s)| *s);
            if start_ms != last {
                self.rare.get_or_insert_default().starts.push((timestamp_ms, start_ms));
                grown += 16;
            }
            return Some(grown);
        }
        if timestamp_ms == newest_ms && value.to_bits() == newest_bits {
            return None;
        }
        let side = &mut self.rare.get_or_insert_default().side;
        side.insert(timestamp_ms, (value.to_bits(), start_ms));
        Some(64)
    }

    pub(crate) fn push_histogram(&mut self, timestamp_ms: i64, start_ms: i64, h: &Histogram) -> usize {
        let grown = h.heap_bytes() + 64;
        let histograms = &mut self.rare.get_or_insert_default().histograms;
        histograms.insert(timestamp_ms, (start_ms, Arc::new(h.clone())));
        grown
    }

    pub(crate) fn push_exemplar(&mut self, exemplar: Exemplar) -> PushedExemplar {
        let kept = &mut self.rare.get_or_insert_default().exemplars;
        if kept.last() == Some(&exemplar) {
            return PushedExemplar::Repeated;
        }
        let grown = exemplar.labels.packed_len() + 48;
        if kept.len() >= MAX_EXEMPLARS {
            kept.remove(0);
            kept.push(exemplar);
            return PushedExemplar::Replaced;
        }
        kept.push(exemplar);
        PushedExemplar::Kept { grown }
    }

    /// The bits of the float at each of the ascending `times`, where one is held. Decodes the run once at
    /// most, and only as far as the last of them.
    pub(crate) fn floats_at(&self, times: impl IntoIterator<Item = i64>) -> Vec<Option<u64>> {
        let side = self.rare.as_ref().map(|r| &r.side);
        let mut run = None;
        let look_up = |t: i64| {
            if let Some((bits, _)) = side.and_then(|s| s.get(&t)) {
                return Some(*bits);
            }
            if self.run.bounds_ms().is_none_or(|(first, last)| t < first || t > last) {
                return None;
            }
            let run = run.get_or_insert_with(|| self.run.iter().peekable());
            while run.next_if(|(at, _)| *at < t).is_some() {}
            run.peek().filter(|(at, _)| *at == t).map(|(_, v)| v.to_bits())
        };
        times.into_iter().map(look_up).collect()
    }

    pub(crate) fn histogram_at(&self, timestamp_ms: i64) -> Option<&Histogram> {
        self.rare.as_ref()?.histograms.get(&timestamp_ms).map(|(_, h)| &**h)
    }

    /// First and last millisecond of floats and histograms.
    pub(crate) fn bounds_ms(&self) -> Option<(i64, i64)> {
        let mut bounds = self.run.bounds_ms();
        let mut widen = |t: Option<&i64>| {
            if let Some(t) = t {
                let (a, b) = bounds.unwrap_or((*t, *t));
                bounds = Some((a.min(*t), b.max(*t)));
            }
        };
        if let Some(r) = &self.rare {
            widen(r.side.keys().next());
            widen(r.side.keys().next_back());
            widen(r.histograms.keys().next());
            widen(r.histograms.keys().next_back());
        }
        bounds
    }

    pub(crate) fn overlaps(&self, first_ms: i64, last_ms: i64) -> bool {
        self.bounds_ms().is_some_and(|(a, b)| a <= last_ms && first_ms <= b)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |r| {
            let histograms: usize = r.histograms.values().map(|(_, h)| h.heap_bytes() + 64).sum();
            let exemplars: usize = r.exemplars.iter().map(|e| e.labels.packed_len() + 48).sum();
            let starts = r.starts.capacity() * 16;
            std::mem::size_of::<Rare>() + starts + r.side.len() * 64 + histograms + exemplars
        });
        self.run.heap_bytes() + rare
    }

    /// What lies in the range, decoded. Exemplars only where asked for.
    pub(crate) fn rows(&self, labels: &Labels, range: TimeRange, exemplars: bool) -> SeriesRows {
        let (first, last) = range.to_ms_inclusive();
        let mut rows = SeriesRows { labels: labels.clone(), ..SeriesRows::default() };
        let mut started = false;
        let mut put = |rows: &mut SeriesRows, t: i64, v: f64, start: i64| {
            rows.timestamps_ms.push(t);
            rows.values.push(v);
            if start != 0 && !started {
                started = true;
                rows.starts_ms.resize(rows.values.len() - 1, 0);
            }
            if started {
                rows.starts_ms.push(start);
            }
        };
        let mut side = self
            .rare
            .iter()
            .filter(|_| first <= last)
            .flat_map(|r| r.side.range(first..=last))
            .map(|(t, (bits, start))| (*t, f64::from_bits(*bits), *start))
            .peekable();
        let mut starts = self.rare.iter().flat_map(|r| &r.starts).peekable();
        let mut start = 0;
        for (t, v) in self.run.iter() {
            while let Some((from, s)) = starts.next_if(|(from, _)| *from <= t) {
                let _ = from;
                start = *s;
            }
            if t < first {
                continue;
            }
            if t > last {
                break;
            }
            while let Some((st, sv, ss)) = side.next_if(|(st, _, _)| *st < t) {
                put(&mut rows, st, sv, ss);
            }
            // At equal times the one that came aside came later.
            let (t, v, s) = side.next_if(|(st, _, _)| *st == t).unwrap_or((t, v, start));
            put(&mut rows, t, v, s);
        }
        for (t, v, s) in side {
            put(&mut rows, t, v, s);
        }
        if let Some(r) = &self.rare {
            if first <= last {
                let inside = r.histograms.range(first..=last);
                rows.histograms = inside.map(|(t, (start, h))| (*t, *start, (**h).clone())).collect();
            }
            if exemplars {
                let inside = r.exemplars.iter().filter(|e| first <= e.timestamp_ms && e.timestamp_ms <= last);
                rows.exemplars = inside.cloned().collect();
                rows.exemplars.sort_by_key(|e| e.timestamp_ms);
            }
        }
        rows
    }
}

/// A series as a query took it: decoding happens outside every lock.
#[derive(Debug, Clone)]
pub(crate) struct SeriesSnapshot {
    pub(crate) labels: Labels,
    pub(crate) store: SeriesStore,
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TimestampMs;

    fn all(s: &SeriesStore) -> SeriesRows {
        s.rows(&Labels::default(), TimeRange::ALL, true)
    }

    #[test]
    fn samples_out_of_order_are_merged_and_the_later_of_two_at_one_time_counts() {
        let mut s = SeriesStore::default();
        for (t, v) in [(10, 1.0), (30, 3.0), (20, 2.0), (5, 0.5), (30, 3.0), (10, 9.0)] {
            s.push(t, v, 0);
        }
        let rows = all(&s);
        assert_eq!(rows.timestamps_ms, [5, 10, 20, 30]);
        assert_eq!(rows.values, [0.5, 9.0, 2.0, 3.0]);
        assert!(rows.starts_ms.is_empty());
        assert_eq!(s.bounds_ms(), Some((5, 30)));
        let held = s.floats_at([4, 5, 10, 12, 20, 21, 30, 31]);
        let values: Vec<_> = held.into_iter().map(|b| b.map(f64::from_bits)).collect();
        let want = [None, Some(0.5), Some(9.0), None, Some(2.0), None, Some(3.0), None];
        assert_eq!(values, want);
    }

    #[test]
    fn starts_are_kept_by_runs_and_cut_with_the_range() {
        let mut s = SeriesStore::default();
        for (t, start) in [(10, 0), (20, 7), (30, 7), (40, 35), (15, 3)] {
            s.push(t, 1.0, start);
        }
        assert_eq!(all(&s).starts_ms, [0, 3, 7, 7, 35]);
        let range = TimeRange::new(TimestampMs(20).to_ns(), TimestampMs(40).to_ns());
        let rows = s.rows(&Labels::default(), range, false);
        assert_eq!((rows.timestamps_ms, rows.starts_ms), (vec![20, 30], vec![7, 7]));
    }

    #[test]
    fn histograms_lie_beside_floats() {
        let mut s = SeriesStore::default();
        s.push_histogram(5, 1, &Histogram { count: 2.0, ..Histogram::default() });
        assert!(!s.is_empty());
        assert_eq!(all(&s).histograms.len(), 1);
        assert_eq!(s.histogram_at(5).unwrap().count, 2.0);
        assert_eq!(s.bounds_ms(), Some((5, 5)));
    }
}
