//! Writes a batch as `prometheus.WriteRequest`, before snappy.

use model::{MetricBatch, MetricKind};

use crate::{protobuf::Writer, series::BySeries};

/// One `TimeSeries` per series that has anything to say, labels sorted, then the metadata. Start times have no
/// place in version 1.0 and are left out.
pub fn encode(batch: &MetricBatch) -> Vec<u8> {
    let n = batch.series.len();
    let samples = BySeries::new(n, batch.samples.series.iter().copied());
    let histograms = BySeries::new(n, batch.histograms.iter().map(|h| h.series));
    let exemplars = BySeries::new(n, batch.exemplars.iter().map(|(s, _)| *s));
    let mut out = Writer(Vec::with_capacity(batch.samples.len() * 20 + n * 128));
    let (mut series, mut inner, mut scratch) = (Writer::default(), Writer::default(), Writer::default());
    for (i, labels) in batch.series.iter().enumerate() {
        series.clear();
        for (name, value) in labels {
            inner.clear();
            inner.str(1, name);
            inner.str(2, value);
            series.bytes(1, &inner.0);
        }
        let bare = series.0.len();
        for s in samples.of(i) {
            inner.clear();
            inner.double(1, batch.samples.value.get(s).copied().unwrap_or_default());
            inner.varint(2, batch.samples.timestamp_ms.get(s).copied().unwrap_or_default() as u64);
            series.bytes(2, &inner.0);
        }
        for (_, e) in exemplars.of(i).filter_map(|e| batch.exemplars.get(e)) {
            inner.clear();
            for (name, value) in &e.labels {
                scratch.clear();
                scratch.str(1, name);
                scratch.str(2, value);
                inner.bytes(1, &scratch.0);
            }
            inner.double(2, e.value);
            inner.varint(3, e.timestamp_ms as u64);
            series.bytes(3, &inner.0);
        }
        for h in histograms.of(i).filter_map(|h| batch.histograms.get(h)) {
            inner.clear();
            super::histogram::encode(&mut inner, &mut scratch, h.timestamp_ms, &h.histogram);
            series.bytes(4, &inner.0);
        }
        if series.0.len() > bare {
            out.bytes(1, &series.0);
        }
    }
    for m in &batch.metadata {
        inner.clear();
        inner.varint(1, MetricKind::ALL.iter().position(|k| *k == m.kind).unwrap_or(0) as u64);
        inner.str(2, &m.family);
        inner.str(4, &m.help);
        inner.str(5, &m.unit);
        out.bytes(3, &inner.0);
    }
    out.0
}
