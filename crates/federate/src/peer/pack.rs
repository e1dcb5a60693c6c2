//! Items as parts: many small ones go together, what is large goes over several.

use std::collections::VecDeque;

use contract::{Coverage, Error, Result, SeriesData};
use model::{
    Batch, Exemplar, Labels, LogBatch, LogRecord, MetricBatch, MetricMetadata, Span, SpanBatch, TenantId,
    metric::HistogramSample,
};
use proto::peer as pb;

use super::{MAX_MESSAGE_BYTES, PART_BYTES, PART_SAMPLES, convert};

pub(super) type Parts = VecDeque<pb::Part>;

pub(super) fn end(coverage: &Coverage) -> pb::Part {
    pb::Part { part: Some(pb::part::Part::End(convert::coverage_to(coverage))) }
}

pub(super) fn failure(e: &Error) -> pb::Part {
    pb::Part { part: Some(pb::part::Part::Failure(convert::failure_to(e))) }
}

fn unit(batch: Batch) -> Result<pb::Part> {
    // Whose it is stands in the request.
    let bytes = encoded(&[batch])?;
    // Some room for the frame around it.
    if bytes.len() + 1024 > MAX_MESSAGE_BYTES {
        let message =
            format!("an item of {} bytes is larger than the {MAX_MESSAGE_BYTES} a peer takes", bytes.len());
        return Err(Error::new(base::Kind::Limited, message));
    }
    Ok(pb::Part { part: Some(pb::part::Part::Unit(bytes)) })
}

pub(super) fn encoded(batches: &[Batch]) -> Result<Vec<u8>> {
    wire::native::encode(&TenantId::default(), None, 0, batches)
        .map_err(|e| Error::internal(format!("encoding an answer for a peer: {e}")))
}

/// Packs the items of one stream.
pub(super) trait Pack: Send + 'static {
    type Item: Send + 'static;

    fn push(&mut self, item: Self::Item, parts: &mut Parts) -> Result<()>;

    /// Makes a part of what waits for company.
    fn flush(&mut self, parts: &mut Parts) -> Result<()>;
}

/// Series; one with many samples stands in several parts one after the other.
#[derive(Default)]
pub(super) struct PackSeries {
    batch: MetricBatch,
    bytes: usize,
}

impl Pack for PackSeries {
    type Item = SeriesData;

    fn push(&mut self, s: SeriesData, parts: &mut Parts) -> Result<()> {
        let (floats, mut histograms) = (s.values.len(), s.histograms.into_iter());
        let mut from = 0;
        loop {
            let to = floats.min(from + PART_SAMPLES);
            let series = self.batch.push_series(s.labels.clone());
            self.bytes += s.labels.packed_len() + 64 + (to - from) * 16;
            for i in from..to {
                let (Some(t), Some(v)) = (s.timestamps_ms.get(i), s.values.get(i)) else { break };
                let start = s.starts_ms.get(i).copied().unwrap_or(0);
                self.batch.samples.push_started(series, *t, *v, start);
            }
            while self.bytes < PART_BYTES
                && let Some((timestamp_ms, start_ms, histogram)) = histograms.next()
            {
                self.bytes += histogram.heap_bytes() + 24;
                self.batch.histograms.push(HistogramSample { series, timestamp_ms, start_ms, histogram });
            }
            from = to;
            if self.bytes >= PART_BYTES {
                self.flush(parts)?;
            }
            if from >= floats && histograms.len() == 0 {
                return Ok(());
            }
        }
    }

    fn flush(&mut self, parts: &mut Parts) -> Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if !batch.series.is_empty() {
            parts.push_back(unit(Batch::Metrics(batch))?);
        }
        Ok(())
    }
}

/// Log records; pieces go as they are unless they are too large.
#[derive(Default)]
pub(super) struct PackLogs;

impl Pack for PackLogs {
    type Item = LogBatch;

    fn push(&mut self, piece: LogBatch, parts: &mut Parts) -> Result<()> {
        let (streams, mut out) = (piece.streams, LogBatch::default());
        let mut numbers: Vec<Option<u32>> = vec![None; streams.len()];
        for (records, _) in pieces(piece.records, LogRecord::heap_bytes) {
            numbers.fill(None);
            for mut r in records {
                let stream = (streams.get(r.stream as usize), numbers.get_mut(r.stream as usize));
                let (Some(stream), Some(number)) = stream else { continue };
                r.stream = *number.get_or_insert_with(|| {
                    out.streams.push(stream.clone());
                    (out.streams.len() - 1) as u32
                });
                out.records.push(r);
            }
            parts.push_back(unit(Batch::Logs(std::mem::take(&mut out)))?);
        }
        Ok(())
    }

    fn flush(&mut self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

/// Spans, as log records.
#[derive(Default)]
pub(super) struct PackSpans;

impl Pack for PackSpans {
    type Item = SpanBatch;

    fn push(&mut self, piece: SpanBatch, parts: &mut Parts) -> Result<()> {
        let mut spans = piece.spans;
        // No part may have a span that is newer than one of a part before it.
        spans.sort_by_key(|s| std::cmp::Reverse(s.start_ns));
        let (origins, mut out) = (piece.origins, SpanBatch::default());
        let mut numbers: Vec<Option<u32>> = vec![None; origins.len()];
        for (spans, _) in pieces(spans, Span::heap_bytes) {
            numbers.fill(None);
            for mut s in spans {
                let origin = (origins.get(s.origin as usize), numbers.get_mut(s.origin as usize));
                let (Some(origin), Some(number)) = origin else { continue };
                s.origin = *number.get_or_insert_with(|| {
                    out.origins.push(origin.clone());
                    (out.origins.len() - 1) as u32
                });
                out.spans.push(s);
            }
            parts.push_back(unit(Batch::Spans(std::mem::take(&mut out)))?);
        }
        Ok(())
    }

    fn flush(&mut self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

/// Items in runs of about the size of a part.
pub(super) fn pieces<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<(Vec<T>, usize)> {
    let mut out: Vec<(Vec<T>, usize)> = Vec::new();
    for item in items {
        let more = bytes(&item);
        match out.last_mut() {
            Some((run, held)) if *held + more <= PART_BYTES => {
                run.push(item);
                *held += more;
            }
            _ => out.push((vec![item], more)),
        }
    }
    out
}

/// Lists as parts.
pub(super) fn strings(values: Vec<String>) -> Result<Parts> {
    let runs = pieces(values, |v| v.len() + 24).into_iter();
    Ok(runs
        .map(|(values, _)| pb::Part { part: Some(pb::part::Part::Strings(pb::Strings { values })) })
        .collect())
}

pub(super) fn sets(sets: Vec<Labels>) -> Result<Parts> {
    let runs = pieces(sets, |l| l.packed_len() + 24).into_iter();
    runs.map(|(series, _)| unit(Batch::Metrics(MetricBatch { series, ..MetricBatch::default() }))).collect()
}

/// Short series: a list of them is not cut within one.
pub(super) fn series(list: Vec<SeriesData>) -> Result<Parts> {
    let runs = pieces(list, |s| s.labels.packed_len() + 64 + s.values.len() * 16).into_iter();
    runs.map(|(run, _)| {
        let mut batch = MetricBatch::default();
        for s in run {
            let series = batch.push_series(s.labels);
            for (t, v) in s.timestamps_ms.iter().zip(&s.values) {
                batch.samples.push(series, *t, *v);
            }
        }
        unit(Batch::Metrics(batch))
    })
    .collect()
}

pub(super) fn metadata(list: Vec<MetricMetadata>) -> Result<Parts> {
    let runs = pieces(list, |m| m.family.len() + m.help.len() + m.unit.len() + 80).into_iter();
    runs.map(|(metadata, _)| unit(Batch::Metrics(MetricBatch { metadata, ..MetricBatch::default() })))
        .collect()
}

pub(super) fn exemplars(list: Vec<(Labels, Vec<Exemplar>)>) -> Result<Parts> {
    let bytes = |e: &(Labels, Vec<Exemplar>)| {
        e.0.packed_len() + e.1.iter().map(|e| e.labels.packed_len() + 48).sum::<usize>()
    };
    let runs = pieces(list, bytes).into_iter();
    runs.map(|(run, _)| {
        let mut batch = MetricBatch::default();
        for (labels, exemplars) in run {
            let series = batch.push_series(labels);
            batch.exemplars.extend(exemplars.into_iter().map(|e| (series, e)));
        }
        unit(Batch::Metrics(batch))
    })
    .collect()
}
