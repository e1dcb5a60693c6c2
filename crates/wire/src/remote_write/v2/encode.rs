//! Writes a batch as `io.prometheus.write.v2.Request`, before snappy.

use std::collections::HashMap;

use model::{Labels, MetricBatch, MetricKind, MetricMetadata};

use crate::{protobuf::Writer, remote_write::histogram, series::BySeries};

/// The strings of a request in the order of their first use; the first is empty.
struct Table<'a> {
    known: HashMap<&'a str, u32>,
    order: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn new() -> Self {
        Table { known: HashMap::from([("", 0)]), order: vec![""] }
    }

    fn refer(&mut self, text: &'a str) -> u32 {
        *self.known.entry(text).or_insert_with(|| {
            self.order.push(text);
            (self.order.len() - 1) as u32
        })
    }

    /// The labels as packed references.
    fn labels(&mut self, out: &mut Writer, labels: &'a Labels) {
        out.clear();
        for (name, value) in labels {
            let (name, value) = (self.refer(name), self.refer(value));
            out.put_varint(u64::from(name));
            out.put_varint(u64::from(value));
        }
    }
}

/// One `TimeSeries` per series that has samples or exemplars and one more where it has histograms, since the two may
/// not share a message. Metadata goes with the series of its family; what describes no series of the batch has no
/// place in version 2.0.
pub fn encode(batch: &MetricBatch) -> Vec<u8> {
    let n = batch.series.len();
    let samples = BySeries::new(n, batch.samples.series.iter().copied());
    let histograms = BySeries::new(n, batch.histograms.iter().map(|h| h.series));
    let exemplars = BySeries::new(n, batch.exemplars.iter().map(|(s, _)| *s));
    let about: HashMap<&str, &MetricMetadata> =
        batch.metadata.iter().map(|m| (m.family.as_str(), m)).collect();
    let mut table = Table::new();
    let mut out = Writer(Vec::with_capacity(batch.samples.len() * 24 + n * 32));
    let (mut series, mut inner, mut scratch) = (Writer::default(), Writer::default(), Writer::default());
    for (i, labels) in batch.series.iter().enumerate() {
        let metadata = describes(&about, labels.metric_name());
        let mut first = true;
        for native in [false, true] {
            series.clear();
            table.labels(&mut inner, labels);
            series.bytes(1, &inner.0);
            let bare = series.0.len();
            if native {
                for h in histograms.of(i).filter_map(|h| batch.histograms.get(h)) {
                    inner.clear();
                    histogram::encode(&mut inner, &mut scratch, h.timestamp_ms, &h.histogram);
                    inner.varint(17, h.start_ms as u64);
                    series.bytes(3, &inner.0);
                }
            } else {
                for s in samples.of(i) {
                    inner.clear();
                    inner.double(1, batch.samples.value.get(s).copied().unwrap_or_default());
                    inner.varint(2, batch.samples.timestamp_ms.get(s).copied().unwrap_or_default() as u64);
                    inner.varint(3, batch.samples.start_of(s) as u64);
                    series.bytes(2, &inner.0);
                }
            }
            // Exemplars go with whatever is written first, or alone.
            let alone = native && first;
            if series.0.len() > bare || alone {
                for (_, e) in exemplars.of(i).filter(|_| first).filter_map(|e| batch.exemplars.get(e)) {
                    inner.clear();
                    table.labels(&mut scratch, &e.labels);
                    if !scratch.0.is_empty() {
                        inner.bytes(1, &scratch.0);
                    }
                    inner.double(2, e.value);
                    inner.varint(3, e.timestamp_ms as u64);
                    series.bytes(4, &inner.0);
                }
            }
            if series.0.len() > bare {
                first = false;
                if let Some(m) = metadata {
                    inner.clear();
                    inner.varint(1, MetricKind::ALL.iter().position(|k| *k == m.kind).unwrap_or(0) as u64);
                    inner.varint(3, u64::from(table.refer(&m.help)));
                    inner.varint(4, u64::from(table.refer(&m.unit)));
                    series.bytes(5, &inner.0);
                }
                out.bytes(5, &series.0);
            }
        }
    }
    let mut whole = Writer(Vec::with_capacity(out.0.len() + table.order.len() * 24));
    for symbol in &table.order {
        whole.bytes(4, symbol.as_bytes());
    }
    whole.0.extend_from_slice(&out.0);
    whole.0
}

/// The description of the family a metric name belongs to.
fn describes<'a>(about: &HashMap<&str, &'a MetricMetadata>, name: &str) -> Option<&'a MetricMetadata> {
    if let Some(m) = about.get(name) {
        return Some(m);
    }
    ["_bucket", "_sum", "_count", "_gsum", "_gcount"].iter().find_map(|suffix| {
        let m = about.get(name.strip_suffix(suffix)?)?;
        let parted =
            matches!(m.kind, MetricKind::Histogram | MetricKind::GaugeHistogram | MetricKind::Summary);
        parted.then_some(*m)
    })
}
