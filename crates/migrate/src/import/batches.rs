//! Cuts a block into requests. The cut depends on the block and the options alone, so that a run that goes on
//! after an interruption sends the very same bodies.

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;
use model::{Labels, MetricBatch, metric::HistogramSample};
use tokio::sync::mpsc;
use tsdb::{Block, Points};

use super::{Options, Produced, journal::Place};
use crate::{Error, Result};

/// Width of a slice. Wider: more segments touched by one flush of the node. Narrower: the index is read more often.
const SLICE_MS: i64 = 24 * 3_600_000;
/// A request's bytes in memory; histograms reach it before the number of samples counts.
const MAX_BYTES: usize = 4 << 20;

/// One request, and where the next one begins.
pub(super) struct Batch {
    pub(super) block: String,
    pub(super) body: Bytes,
    pub(super) series: u64,
    pub(super) samples: u64,
    pub(super) next: Place,
}

pub(super) struct Reader {
    dir: PathBuf,
    from: Place,
    range: (i64, i64),
    labels: Vec<(String, String)>,
    max_samples: usize,
}

impl Reader {
    pub(super) fn new(o: &Options, dir: PathBuf, from: Place) -> Self {
        Reader { dir, from, range: (o.from_ms, o.to_ms), labels: o.labels.clone(), max_samples: o.batch }
    }

    /// Reads from the place on and hands out batches until the end, an error, or nobody takes them.
    pub(super) fn read(self, to: &mpsc::Sender<Produced>) {
        if let Err(e) = self.read_inner(to) {
            let _ = to.blocking_send(Err(e));
        }
    }

    fn read_inner(&self, to: &mpsc::Sender<Produced>) -> Result<()> {
        let mut block = Block::open(&self.dir)?;
        let stamped = block.meta().thanos.as_ref().map(|t| t.labels.clone()).unwrap_or_default();
        let (min, max) = (block.meta().min_time, block.meta().max_time);
        let ulid = block.meta().ulid.clone();
        let mut filling = Filling::new(ulid, self.max_samples);
        let mut slice = match self.from.slice_ms {
            i64::MIN => min.div_euclid(SLICE_MS).saturating_mul(SLICE_MS),
            resumed => resumed,
        };
        let mut place = Place { slice_ms: slice, ..self.from };
        while slice < max.max(min.saturating_add(1)) {
            let first = slice.max(self.range.0);
            let last = slice.saturating_add(SLICE_MS - 1).min(self.range.1);
            let mut n = place.series;
            while first <= last
                && let Some(series) = block.series(n)?
            {
                let points = block.read(&series, first, last)?;
                if points.len() > place.skip {
                    let labels = self.labelled(series.labels, &stamped);
                    let at = Place { slice_ms: slice, series: n, skip: place.skip };
                    if !filling.add(&labels, points, at, to)? {
                        return Ok(());
                    }
                }
                n += 1;
                place = Place { slice_ms: slice, series: n, skip: 0 };
            }
            slice = slice.saturating_add(SLICE_MS);
            place = Place { slice_ms: slice, series: 0, skip: 0 };
        }
        filling.flush(place, to)?;
        Ok(())
    }

    /// The labels the user gives, then those that Thanos noted for the whole block, each where there is none yet.
    fn labelled(&self, labels: Labels, stamped: &BTreeMap<String, String>) -> Labels {
        let given = self.labels.iter().map(|(n, v)| (n, v));
        given.chain(stamped).fold(labels, |l, (n, v)| if l.get(n).is_some() { l } else { l.with(n, v) })
    }
}

/// The batch being filled.
struct Filling {
    block: String,
    max_samples: usize,
    batch: MetricBatch,
    bytes: usize,
}

impl Filling {
    fn new(block: String, max_samples: usize) -> Self {
        Filling { block, max_samples, batch: MetricBatch::default(), bytes: 0 }
    }

    /// Adds the points of a series behind the first `at.skip`, handing out full batches on the way. False when
    /// nobody takes them any more.
    fn add(
        &mut self,
        labels: &Labels,
        points: Points,
        at: Place,
        to: &mpsc::Sender<Produced>,
    ) -> Result<bool> {
        let mut series = None;
        let mut done = 0;
        let Points { floats, histograms } = points;
        let floats = floats.into_iter().map(Point::Float);
        for point in floats.chain(histograms.into_iter().map(|h| Point::Histogram(Box::new(h)))) {
            done += 1;
            if done <= at.skip {
                continue;
            }
            if self.batch.item_count() >= self.max_samples || self.bytes >= MAX_BYTES {
                if !self.flush(Place { skip: done - 1, ..at }, to)? {
                    return Ok(false);
                }
                series = None;
            }
            let index = *series.get_or_insert_with(|| {
                self.bytes += labels.packed_len();
                self.batch.push_series(labels.clone())
            });
            match point {
                Point::Float(p) => {
                    self.bytes += 28;
                    self.batch.samples.push_started(index, p.timestamp_ms, p.value, p.start_ms);
                }
                Point::Histogram(h) => {
                    self.bytes += h.histogram.heap_bytes();
                    self.batch.histograms.push(HistogramSample {
                        series: index,
                        timestamp_ms: h.timestamp_ms,
                        start_ms: h.start_ms,
                        histogram: h.histogram,
                    });
                }
            }
        }
        Ok(true)
    }

    /// Hands out what there is; the next batch begins at `next`.
    fn flush(&mut self, next: Place, to: &mpsc::Sender<Produced>) -> Result<bool> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if batch.is_empty() {
            return Ok(true);
        }
        let plain = wire::remote_write::encode(&batch);
        let body = snap::raw::Encoder::new()
            .compress_vec(&plain)
            .map_err(|e| Error::Internal(format!("packing a request of {} bytes: {e}", plain.len())))?;
        let made = Batch {
            block: self.block.clone(),
            body: body.into(),
            series: batch.series.len() as u64,
            samples: batch.item_count() as u64,
            next,
        };
        Ok(to.blocking_send(Ok(made)).is_ok())
    }
}

enum Point {
    Float(tsdb::FloatPoint),
    Histogram(Box<tsdb::HistogramPoint>),
}
