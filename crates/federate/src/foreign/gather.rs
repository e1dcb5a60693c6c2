//! Puts a foreign server's series into our order.
//!
//! Added labels change how series compare (a longer set may come before its own beginning), a server may cut one
//! series into several pieces, and some promise no order at all. So everything that matches is held until the last
//! piece is there, chunks still packed, and unpacked one series at a time as it is read. Series that differ in labels of
//! replicas only are one (`crate::dedup`).

use std::{collections::BTreeMap, sync::Arc};

use base::memory::{Reservation, Use};
use bytes::Bytes;
use contract::{Coverage, Error, QueryLimits, Result, Selection, SeriesData};
use futures::{StreamExt, stream};
use model::{Histogram, Labels, Matcher, matcher::all_match};
use parking_lot::Mutex;

use super::{error::garbled, labels::Added};
use crate::dedup;

/// Part of one series.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Samples {
        timestamps_ms: Vec<i64>,
        values: Vec<f64>,
        histograms: Vec<(i64, Histogram)>,
    },
    /// A TSDB chunk by the numbers of `tsdb::chunk`; it may reach past the asked range.
    Packed {
        encoding: u8,
        data: Bytes,
    },
}

impl Piece {
    fn bytes(&self) -> u64 {
        let held = match self {
            Piece::Samples { timestamps_ms, histograms, .. } => {
                timestamps_ms.len() * 16 + histograms.iter().map(|h| h.1.heap_bytes() + 8).sum::<usize>()
            }
            Piece::Packed { data, .. } => data.len(),
        };
        (held + std::mem::size_of::<Piece>()) as u64
    }
}

/// What one replica holds of a series.
struct Replica {
    /// The labels of replicas that it carries; none where there are none.
    own: Labels,
    pieces: Vec<Piece>,
}

/// What has come so far.
pub(super) struct Gather {
    name: String,
    matchers: Vec<Matcher>,
    added: Added,
    replica_labels: Vec<String>,
    first_ms: i64,
    last_ms: i64,
    limits: QueryLimits,
    series: BTreeMap<Labels, Vec<Replica>>,
    memory: Reservation,
}

impl Gather {
    /// For an answer to a [`contract::SeriesRequest`]; `name` is the peer's, for messages.
    pub(super) fn new(name: &str, request: &contract::SeriesRequest, added: Added) -> Result<Self> {
        let (first_ms, last_ms) = request.scope.range.to_ms_inclusive();
        Ok(Gather {
            name: name.to_owned(),
            matchers: request.matchers.clone(),
            added,
            replica_labels: Vec::new(),
            first_ms,
            last_ms,
            limits: request.scope.limits.clone(),
            series: BTreeMap::new(),
            memory: request.scope.limits.memory.reserve(Use::Query, 0)?,
        })
    }

    /// Leaves out these labels, and makes one of series that differ in nothing else.
    pub(super) fn without_replicas(mut self, labels: &[String]) -> Self {
        self.replica_labels = labels.to_vec();
        self
    }

    /// First and last millisecond that are asked for.
    pub(super) fn range_ms(&self) -> (i64, i64) {
        (self.first_ms, self.last_ms)
    }

    pub(super) fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// Takes pieces of a series under the labels it has there.
    pub(super) fn add(&mut self, labels: Labels, pieces: impl IntoIterator<Item = Piece>) -> Result<()> {
        let labels = self.added.dress(labels);
        if !all_match(&self.matchers, &labels) {
            return Ok(());
        }
        let (labels, own) = parted(labels, &self.replica_labels);
        let pieces: Vec<Piece> = pieces.into_iter().collect();
        let is_new = !self.series.contains_key(&labels);
        if is_new && self.series.len() as u64 >= self.limits.max_series {
            let message = format!(
                "the selector matches more than query.max_series ({}) series",
                self.limits.max_series
            );
            return Err(Error::limited("query.max_series", message));
        }
        let size = |l: &Labels| l.packed_len() as u64 + 96;
        let mut bytes: u64 = pieces.iter().map(Piece::bytes).sum();
        if is_new {
            bytes += size(&labels);
        }
        let replicas = self.series.entry(labels).or_default();
        match replicas.iter_mut().find(|r| r.own == own) {
            Some(replica) => replica.pieces.extend(pieces),
            None => {
                bytes += size(&own);
                replicas.push(Replica { own, pieces });
            }
        }
        self.memory.grow(bytes)?;
        Ok(())
    }

    /// Everything in order, unpacked as it is read.
    pub(super) fn finish(self, coverage: Coverage) -> Selection<SeriesData> {
        let Gather { name, first_ms, last_ms, limits, series, memory, .. } = self;
        let mut samples = 0u64;
        let items = stream::iter(series).filter_map(move |(labels, mut replicas)| {
            // Memory is given back when the stream is dropped.
            let _ = &memory;
            replicas.sort_by(|a, b| a.own.cmp(&b.own));
            let parts =
                replicas.into_iter().map(|r| unpack(&name, labels.clone(), r.pieces, first_ms, last_ms));
            let one = parts.collect::<Result<Vec<_>>>().map(dedup::merge);
            if let Ok(s) = &one {
                samples = samples.saturating_add(s.sample_count() as u64);
            }
            let one = match one {
                Ok(s) if s.sample_count() == 0 => None,
                Ok(_) if samples > limits.max_samples => {
                    let message = format!(
                        "the query reads more than query.max_samples ({}) samples",
                        limits.max_samples
                    );
                    Some(Err(Error::limited("query.max_samples", message)))
                }
                other => Some(limits.check_deadline().and(other)),
            };
            futures::future::ready(one)
        });
        // A reader stops at the first error, and so does the stream.
        let items = items.scan(false, |ended, item| {
            let last = std::mem::replace(ended, *ended || item.is_err());
            futures::future::ready((!last).then_some(item))
        });
        Selection::new(items.boxed(), Arc::new(Mutex::new(coverage)))
    }
}

/// A label set without labels of replicas, and those.
pub(super) fn parted(labels: Labels, replica_labels: &[String]) -> (Labels, Labels) {
    if !replica_labels.iter().any(|n| labels.get(n).is_some()) {
        return (labels, Labels::default());
    }
    let own = labels.iter().filter(|(n, _)| replica_labels.iter().any(|r| r == n));
    (labels.without(replica_labels), Labels::from_pairs(own))
}

/// One series with its samples in the range, ascending, the earlier piece's where two have one time.
fn unpack(name: &str, labels: Labels, pieces: Vec<Piece>, first_ms: i64, last_ms: i64) -> Result<SeriesData> {
    let mut floats: Vec<(i64, i64, f64)> = Vec::new();
    let mut histograms: Vec<(i64, i64, Histogram)> = Vec::new();
    let inside = |t: i64| first_ms <= t && t <= last_ms;
    for piece in pieces {
        match piece {
            Piece::Samples { timestamps_ms, values, histograms: more } => {
                floats.extend(
                    timestamps_ms.into_iter().zip(values).map(|(t, v)| (t, 0, v)).filter(|s| inside(s.0)),
                );
                histograms.extend(more.into_iter().filter(|h| inside(h.0)).map(|(t, h)| (t, 0, h)));
            }
            Piece::Packed { encoding, data } => {
                let points = tsdb::chunk::decode(encoding, &data)
                    .map_err(|fault| garbled(name, "a chunk", format!("{fault} in {labels}")))?;
                let kept = points.floats.iter().filter(|p| inside(p.timestamp_ms));
                floats.extend(kept.map(|p| (p.timestamp_ms, p.start_ms, p.value)));
                let kept = points.histograms.into_iter().filter(|p| inside(p.timestamp_ms));
                histograms.extend(kept.map(|p| (p.timestamp_ms, p.start_ms, p.histogram)));
            }
        }
    }
    if !floats.is_sorted_by(|a, b| a.0 < b.0) {
        floats.sort_by_key(|s| s.0);
        floats.dedup_by_key(|s| s.0);
    }
    if !histograms.is_sorted_by(|a, b| a.0 < b.0) {
        histograms.sort_by_key(|h| h.0);
        histograms.dedup_by_key(|h| h.0);
    }
    if !histograms.is_empty() {
        floats.retain(|s| histograms.binary_search_by_key(&s.0, |h| h.0).is_err());
    }
    let starts_ms = match floats.iter().any(|s| s.1 != 0) {
        true => floats.iter().map(|s| s.1).collect(),
        false => Vec::new(),
    };
    Ok(SeriesData {
        labels,
        timestamps_ms: floats.iter().map(|s| s.0).collect(),
        values: floats.iter().map(|s| s.2).collect(),
        starts_ms,
        histograms,
    })
}

#[cfg(test)]
mod tests {
    use contract::SeriesRequest;
    use model::TimeRange;

    use super::*;
    use crate::fixtures::{run, series_request};

    fn request(first: i64, last: i64) -> SeriesRequest {
        series_request(Vec::new(), TimeRange::from_ms_inclusive(first, last))
    }

    fn floats(list: &[(i64, f64)]) -> Piece {
        Piece::Samples {
            timestamps_ms: list.iter().map(|s| s.0).collect(),
            values: list.iter().map(|s| s.1).collect(),
            histograms: Vec::new(),
        }
    }

    fn gather(request: &SeriesRequest) -> Gather {
        let added = Added::new(&Labels::from_pairs([("cluster", "x")]), &Labels::default());
        Gather::new("legacy", request, added).unwrap()
    }

    fn read(g: Gather) -> Result<Vec<SeriesData>> {
        run(g.finish(Coverage::default()).collect()).map(|(s, _)| s)
    }

    #[test]
    fn added_labels_change_the_order_and_pieces_of_a_series_become_one() {
        let mut g = gather(&request(10, 40));
        let (short, long) = (Labels::from_pairs([("a", "1")]), Labels::from_pairs([("a", "1"), ("b", "1")]));
        g.add(short.clone(), [floats(&[(0, 1.0), (10, 2.0)])]).unwrap();
        g.add(long.clone(), [floats(&[(20, 3.0)])]).unwrap();
        g.add(short.clone(), [floats(&[(30, 4.0), (10, 9.0), (50, 5.0)])]).unwrap();
        let got = read(g).unwrap();
        assert!(short < long, "there the shorter set comes first");
        assert_eq!(got[0].labels, long.with("cluster", "x"));
        assert_eq!(got[1].labels, short.with("cluster", "x"));
        assert_eq!((&got[1].timestamps_ms[..], &got[1].values[..]), (&[10, 30][..], &[2.0, 4.0][..]));
    }

    #[test]
    fn series_of_replicas_become_one_without_jumping_between_them() {
        let mut g = gather(&request(0, 100_000)).without_replicas(&["prom".to_owned()]);
        let ramp = |shift: i64, without: std::ops::Range<i64>| {
            let times = (0..10).filter(|i| !without.contains(i));
            floats(&times.map(|i| (i * 10_000 + shift, i as f64)).collect::<Vec<_>>())
        };
        // The second replica is half an interval late; the first misses three samples.
        g.add(Labels::from_pairs([("a", "1"), ("prom", "y")]), [ramp(5_000, 0..0)]).unwrap();
        g.add(Labels::from_pairs([("a", "1"), ("prom", "x")]), [ramp(0, 0..0)]).unwrap();
        g.add(Labels::from_pairs([("a", "2"), ("prom", "x")]), [ramp(0, 4..7)]).unwrap();
        g.add(Labels::from_pairs([("a", "2")]), [ramp(5_000, 0..0)]).unwrap();
        let got = read(g).unwrap();
        let labels: Vec<_> = got.iter().map(|s| s.labels.clone()).collect();
        let want = |a: &str| Labels::from_pairs([("a", a), ("cluster", "x")]);
        assert_eq!(labels, [want("1"), want("2")]);
        assert_eq!(got[0].timestamps_ms, (0..10).map(|i| i * 10_000).collect::<Vec<_>>());
        assert!(got[1].values.is_sorted() && got[1].timestamps_ms.len() == 10, "{:?}", got[1].timestamps_ms);
    }

    #[test]
    fn limits_of_the_query_end_the_answer_by_name() {
        let mut r = request(0, 100);
        r.scope.limits.max_series = 1;
        let mut g = gather(&r);
        g.add(Labels::from_pairs([("a", "1")]), [floats(&[(1, 1.0)])]).unwrap();
        let e = g.add(Labels::from_pairs([("a", "2")]), [floats(&[(1, 1.0)])]).unwrap_err();
        assert_eq!(e.limit, Some("query.max_series"));
        let mut r = request(0, 100);
        r.scope.limits.max_samples = 1;
        let mut g = gather(&r);
        g.add(Labels::default(), [floats(&[(1, 1.0), (2, 1.0)])]).unwrap();
        assert_eq!(read(g).unwrap_err().limit, Some("query.max_samples"));
    }

    #[test]
    fn a_chunk_that_is_none_is_an_error_that_names_the_series() {
        let mut g = gather(&request(0, 100));
        g.add(
            Labels::from_pairs([("a", "1")]),
            [Piece::Packed { encoding: 1, data: Bytes::from_static(b"\x00\x09") }],
        )
        .unwrap();
        let e = read(g).unwrap_err();
        assert!(e.to_string().contains("legacy sent a chunk") && e.to_string().contains("a=\"1\""), "{e}");
    }
}
