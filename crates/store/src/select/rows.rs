//! Merging series from several sources that each are in ascending order of labels.

use std::collections::VecDeque;

use futures::{StreamExt, stream, stream::BoxStream};
use segment::metrics::SeriesRows;

/// One source of series.
pub(crate) type RowStream<E> = BoxStream<'static, Result<SeriesRows, E>>;

struct Merge<E> {
    sources: Vec<(RowStream<E>, Option<SeriesRows>)>,
}

/// Series in ascending order of labels, each once. Of two samples at one time the one from the later source
/// counts.
pub(crate) fn merge_rows<E: Send + 'static>(mut sources: Vec<RowStream<E>>) -> RowStream<E> {
    if sources.len() == 1
        && let Some(only) = sources.pop()
    {
        return only;
    }
    let merge = Merge { sources: sources.into_iter().map(|s| (s, None)).collect() };
    stream::try_unfold(merge, |mut m| async move { Ok(m.next().await?.map(|rows| (rows, m))) }).boxed()
}

impl<E> Merge<E> {
    async fn next(&mut self) -> Result<Option<SeriesRows>, E> {
        let mut at = 0;
        while let Some((source, next)) = self.sources.get_mut(at) {
            if next.is_none() {
                *next = source.next().await.transpose()?;
            }
            if next.is_some() {
                at += 1;
            } else {
                // A source that has ended goes; the order of the others says which one counts.
                drop(self.sources.remove(at));
            }
        }
        let first = self.sources.iter().filter_map(|(_, n)| n.as_ref().map(|r| &r.labels)).min().cloned();
        let Some(labels) = first else { return Ok(None) };
        let parts = self.sources.iter_mut().filter_map(|(_, next)| next.take_if(|r| r.labels == labels));
        let mut parts: VecDeque<SeriesRows> = parts.collect();
        let Some(mut merged) = parts.pop_front() else { return Ok(None) };
        // Room for all at once: a series of a week comes from dozens of segments.
        let more: usize = parts.iter().map(|p| p.values.len()).sum();
        merged.timestamps_ms.reserve_exact(more);
        merged.values.reserve_exact(more);
        Ok(Some(parts.into_iter().fold(merged, merge_two)))
    }
}

/// Both of one series; where times are equal `newer` counts.
pub(crate) fn merge_two(mut older: SeriesRows, newer: SeriesRows) -> SeriesRows {
    let (histograms, floats);
    let in_order = |last: Option<i64>, first: Option<i64>| match (last, first) {
        (Some(l), Some(f)) => l < f,
        _ => true,
    };
    if in_order(older.timestamps_ms.last().copied(), newer.timestamps_ms.first().copied()) {
        if !older.starts_ms.is_empty() || !newer.starts_ms.is_empty() {
            older.starts_ms.resize(older.values.len(), 0);
            older.starts_ms.extend(&newer.starts_ms);
            older.starts_ms.resize(older.values.len() + newer.values.len(), 0);
        }
        older.timestamps_ms.extend(&newer.timestamps_ms);
        older.values.extend(&newer.values);
        floats = (older.timestamps_ms, older.values, older.starts_ms);
    } else {
        floats = merge_floats(&older, &newer);
    }
    let ordered = in_order(older.histograms.last().map(|h| h.0), newer.histograms.first().map(|h| h.0));
    if ordered {
        older.histograms.extend(newer.histograms);
        histograms = older.histograms;
    } else {
        let mut by_time: std::collections::BTreeMap<_, _> =
            older.histograms.into_iter().map(|(t, s, h)| (t, (s, h))).collect();
        by_time.extend(newer.histograms.into_iter().map(|(t, s, h)| (t, (s, h))));
        histograms = by_time.into_iter().map(|(t, (s, h))| (t, s, h)).collect();
    }
    let mut exemplars = older.exemplars;
    exemplars.extend(newer.exemplars);
    exemplars.sort_by_key(|e| e.timestamp_ms);
    exemplars.dedup();
    SeriesRows {
        labels: older.labels,
        timestamps_ms: floats.0,
        values: floats.1,
        starts_ms: floats.2,
        histograms,
        exemplars,
    }
}

fn merge_floats(older: &SeriesRows, newer: &SeriesRows) -> (Vec<i64>, Vec<f64>, Vec<i64>) {
    fn samples(r: &SeriesRows) -> impl Iterator<Item = (i64, f64, i64)> + '_ {
        let starts = r.starts_ms.iter().copied().chain(std::iter::repeat(0));
        r.timestamps_ms.iter().zip(&r.values).zip(starts).map(|((t, v), s)| (*t, *v, s))
    }
    let room = older.values.len() + newer.values.len();
    let (mut times, mut values) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let started = !older.starts_ms.is_empty() || !newer.starts_ms.is_empty();
    let mut starts = Vec::with_capacity(if started { room } else { 0 });
    let (mut a, mut b) = (samples(older).peekable(), samples(newer).peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.0 < y.0 => a.next(),
            (Some(x), Some(y)) => {
                if x.0 == y.0 {
                    a.next();
                }
                b.next()
            }
            (Some(_), None) => a.next(),
            (None, _) => b.next(),
        };
        let Some((t, v, s)) = next else { return (times, values, starts) };
        times.push(t);
        values.push(v);
        if started {
            starts.push(s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn rows(name: &str, samples: &[(i64, f64)]) -> SeriesRows {
        SeriesRows {
            labels: Labels::from_pairs([("__name__", name)]),
            timestamps_ms: samples.iter().map(|s| s.0).collect(),
            values: samples.iter().map(|s| s.1).collect(),
            ..SeriesRows::default()
        }
    }

    fn source(all: Vec<SeriesRows>) -> RowStream<()> {
        stream::iter(all.into_iter().map(Ok)).boxed()
    }

    #[tokio::test]
    async fn series_come_once_in_order_and_the_later_source_counts() {
        let one = source(vec![rows("a", &[(1, 1.0), (2, 1.0)]), rows("c", &[(1, 1.0)])]);
        let two = source(vec![rows("a", &[(2, 2.0), (3, 2.0)]), rows("b", &[(1, 2.0)])]);
        let out: Vec<_> = merge_rows(vec![one, two]).map(|r| r.unwrap()).collect().await;
        assert_eq!(
            out,
            [rows("a", &[(1, 1.0), (2, 2.0), (3, 2.0)]), rows("b", &[(1, 2.0)]), rows("c", &[(1, 1.0)])]
        );
    }

    #[test]
    fn starts_stay_with_their_samples() {
        let mut new = rows("a", &[(5, 5.0)]);
        new.starts_ms = vec![4];
        let merged = merge_two(rows("a", &[(1, 1.0)]), new.clone());
        assert_eq!(merged.starts_ms, [0, 4]);
        let merged = merge_two(new, rows("a", &[(1, 1.0), (9, 9.0)]));
        assert_eq!((merged.timestamps_ms, merged.starts_ms), (vec![1, 5, 9], vec![0, 4, 0]));
    }

    proptest! {
        #[test]
        fn merging_equals_a_map_written_in_order(
            a in proptest::collection::btree_map(0i64..30, any::<i32>(), 0..20),
            b in proptest::collection::btree_map(0i64..30, any::<i32>(), 0..20),
        ) {
            let list = |m: &BTreeMap<i64, i32>| m.iter().map(|(t, v)| (*t, f64::from(*v))).collect::<Vec<_>>();
            let mut want = a.clone();
            want.extend(b.clone());
            prop_assert_eq!(merge_two(rows("a", &list(&a)), rows("a", &list(&b))), rows("a", &list(&want)));
        }
    }
}
