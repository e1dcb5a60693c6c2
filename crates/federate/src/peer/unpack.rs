//! Parts as items again. A peer's bytes are outside data: every part is decoded in proportion to its size, what is
//! joined over parts is held to the limits of the query, and what makes no sense is an error.

use std::collections::VecDeque;

use base::Kind;
use contract::{Error, QueryLimits, Result, SeriesData};
use model::{Batch, Exemplar, Labels, LogBatch, MetricBatch, MetricMetadata, SpanBatch};

/// Reads the batches of one unit.
pub(super) fn batches(unit: &[u8]) -> Result<Vec<Batch>> {
    let (_, _, _, batches) = wire::native::decode(unit)
        .map_err(|e| Error::new(Kind::Corrupt, format!("the answer cannot be decoded: {e}")))?;
    Ok(batches)
}

pub(super) fn metrics(unit: &[u8]) -> Result<Vec<MetricBatch>> {
    let metrics = |b| if let Batch::Metrics(b) = b { Ok(b) } else { Err(other("metrics")) };
    batches(unit)?.into_iter().map(metrics).collect()
}

fn other(wanted: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the answer has a batch that is not of {wanted}"))
}

fn dangling(what: &str, index: u32, of: usize) -> Error {
    Error::new(Kind::Corrupt, format!("the answer names series {index} of {of} in {what}"))
}

/// Makes items of the units of one stream.
pub(super) trait Unpack: Send + 'static {
    type Item: Send + 'static;

    fn push(&mut self, unit: &[u8], items: &mut VecDeque<Self::Item>) -> Result<()>;

    /// What waited for its rest, at the end.
    fn flush(&mut self, items: &mut VecDeque<Self::Item>);
}

/// Series; neighbours with equal labels are one.
pub(super) struct UnpackSeries {
    pending: Option<SeriesData>,
    max_samples: u64,
}

impl UnpackSeries {
    pub(super) fn new(limits: &QueryLimits) -> Self {
        UnpackSeries { pending: None, max_samples: limits.max_samples }
    }

    fn add(&mut self, s: SeriesData, items: &mut VecDeque<SeriesData>) -> Result<()> {
        let Some(last) = self.pending.as_mut().filter(|last| last.labels == s.labels) else {
            items.extend(self.pending.replace(s));
            return Ok(());
        };
        if !last.starts_ms.is_empty() || !s.starts_ms.is_empty() {
            last.starts_ms.resize(last.values.len(), 0);
            last.starts_ms.extend(&s.starts_ms);
            last.starts_ms.resize(last.values.len() + s.values.len(), 0);
        }
        last.timestamps_ms.extend(s.timestamps_ms);
        last.values.extend(s.values);
        last.histograms.extend(s.histograms);
        if last.sample_count() as u64 > self.max_samples {
            let max = self.max_samples;
            let message = format!("the query reads more than query.max_samples ({max}) samples");
            return Err(Error::limited("query.max_samples", message));
        }
        Ok(())
    }
}

impl Unpack for UnpackSeries {
    type Item = SeriesData;

    fn push(&mut self, unit: &[u8], items: &mut VecDeque<SeriesData>) -> Result<()> {
        for batch in metrics(unit)? {
            for s in series(batch)? {
                self.add(s, items)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, items: &mut VecDeque<SeriesData>) {
        items.extend(self.pending.take());
    }
}

pub(super) fn series(batch: MetricBatch) -> Result<Vec<SeriesData>> {
    let of = batch.series.len();
    let mut out: Vec<SeriesData> =
        batch.series.into_iter().map(|labels| SeriesData { labels, ..SeriesData::default() }).collect();
    let started = !batch.samples.start_ms.is_empty();
    let samples = batch.samples.series.iter().zip(&batch.samples.timestamp_ms).zip(&batch.samples.value);
    for (i, ((series, t), v)) in samples.enumerate() {
        let s = out.get_mut(*series as usize).ok_or_else(|| dangling("a sample", *series, of))?;
        s.timestamps_ms.push(*t);
        s.values.push(*v);
        if started {
            s.starts_ms.push(batch.samples.start_of(i));
        }
    }
    for h in batch.histograms {
        let s = out.get_mut(h.series as usize).ok_or_else(|| dangling("a histogram", h.series, of))?;
        s.histograms.push((h.timestamp_ms, h.start_ms, h.histogram));
    }
    for s in out.iter_mut().filter(|s| s.starts_ms.iter().all(|start| *start == 0)) {
        s.starts_ms.clear();
    }
    Ok(out)
}

pub(super) struct UnpackLogs;

impl Unpack for UnpackLogs {
    type Item = LogBatch;

    fn push(&mut self, unit: &[u8], items: &mut VecDeque<LogBatch>) -> Result<()> {
        for batch in batches(unit)? {
            let Batch::Logs(piece) = batch else { return Err(other("log records")) };
            items.push_back(piece);
        }
        Ok(())
    }

    fn flush(&mut self, _: &mut VecDeque<LogBatch>) {}
}

pub(super) struct UnpackSpans;

impl Unpack for UnpackSpans {
    type Item = SpanBatch;

    fn push(&mut self, unit: &[u8], items: &mut VecDeque<SpanBatch>) -> Result<()> {
        for batch in batches(unit)? {
            let Batch::Spans(piece) = batch else { return Err(other("spans")) };
            items.push_back(piece);
        }
        Ok(())
    }

    fn flush(&mut self, _: &mut VecDeque<SpanBatch>) {}
}

/// Series none of which goes over several units.
pub(super) fn whole_series(unit: &[u8]) -> Result<Vec<SeriesData>> {
    let batches = metrics(unit)?.into_iter().map(series);
    Ok(batches.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

pub(super) fn sets(unit: &[u8]) -> Result<Vec<Labels>> {
    Ok(metrics(unit)?.into_iter().flat_map(|b| b.series).collect())
}

pub(super) fn metadata(unit: &[u8]) -> Result<Vec<MetricMetadata>> {
    Ok(metrics(unit)?.into_iter().flat_map(|b| b.metadata).collect())
}

pub(super) fn exemplars(unit: &[u8]) -> Result<Vec<(Labels, Vec<Exemplar>)>> {
    let mut out = Vec::new();
    for batch in metrics(unit)? {
        let of = batch.series.len();
        let mut list: Vec<(Labels, Vec<Exemplar>)> =
            batch.series.into_iter().map(|l| (l, Vec::new())).collect();
        for (series, e) in batch.exemplars {
            let at = list.get_mut(series as usize).ok_or_else(|| dangling("an exemplar", series, of))?;
            at.1.push(e);
        }
        out.append(&mut list);
    }
    Ok(out)
}
