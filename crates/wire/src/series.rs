//! Collects the series of a batch: each label set once, samples grouped by series when writing.

use std::{collections::HashMap, hash::BuildHasherDefault};

use base::hash::AsIs;
use model::{Labels, MetricBatch};

/// Finds the index of a label set in a batch, adding it where it is new. Senders may repeat a series inside
/// one request, while a batch holds it once.
#[derive(Default)]
pub(crate) struct SeriesIndex(HashMap<u64, u32, BuildHasherDefault<AsIs>>);

impl SeriesIndex {
    pub(crate) fn resolve(&mut self, batch: &mut MetricBatch, labels: Labels) -> u32 {
        let mut hash = labels.stable_hash();
        loop {
            match self.0.get(&hash) {
                None => {
                    let index = batch.push_series(labels);
                    self.0.insert(hash, index);
                    return index;
                }
                Some(i) if batch.series.get(*i as usize) == Some(&labels) => return *i,
                // Two label sets with one hash: try the next slot.
                Some(_) => hash = hash.wrapping_add(1),
            }
        }
    }
}

/// Positions of items grouped by series: `of(s)` are those of series `s`, in their order in the batch.
pub(crate) struct BySeries {
    ends: Vec<u32>,
    order: Vec<u32>,
}

impl BySeries {
    /// Items that name a series at or past `series` are left out.
    pub(crate) fn new(series: usize, items: impl Iterator<Item = u32> + Clone) -> Self {
        let mut ends = vec![0u32; series + 1];
        for s in items.clone() {
            if let Some(n) = ends.get_mut(s as usize + 1) {
                *n += 1;
            }
        }
        let mut sum = 0;
        for e in &mut ends {
            sum += *e;
            *e = sum;
        }
        let mut next = ends.clone();
        let mut order = vec![0u32; sum as usize];
        for (i, s) in items.enumerate() {
            if s as usize >= series {
                continue;
            }
            if let Some(at) = next.get_mut(s as usize) {
                if let Some(slot) = order.get_mut(*at as usize) {
                    *slot = i as u32;
                }
                *at += 1;
            }
        }
        BySeries { ends, order }
    }

    pub(crate) fn of(&self, series: usize) -> impl Iterator<Item = usize> + '_ {
        let from = self.ends.get(series).copied().unwrap_or(0) as usize;
        let to = self.ends.get(series + 1).copied().unwrap_or(0) as usize;
        self.order.get(from..to).unwrap_or_default().iter().map(|i| *i as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_grouped_in_their_order() {
        let by = BySeries::new(3, [2, 0, 2, 9, 1, 2].into_iter());
        assert_eq!(by.of(2).collect::<Vec<_>>(), [0, 2, 5]);
        assert_eq!(by.of(0).collect::<Vec<_>>(), [1]);
        assert_eq!(by.of(1).collect::<Vec<_>>(), [4]);
        assert_eq!(by.of(3).count(), 0);
    }
}
