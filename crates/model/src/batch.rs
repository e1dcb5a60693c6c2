//! A batch: items of one signal that travel, are logged and are acknowledged together.

use crate::{ids::Signal, log::LogBatch, metric::MetricBatch, span::SpanBatch};

#[expect(
    clippy::large_enum_variant,
    reason = "there are few of them, and a box more for each batch buys nothing"
)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Batch {
    Metrics(MetricBatch),
    Logs(LogBatch),
    Spans(SpanBatch),
}

impl Batch {
    pub fn signal(&self) -> Signal {
        match self {
            Batch::Metrics(_) => Signal::METRICS,
            Batch::Logs(_) => Signal::LOGS,
            Batch::Spans(_) => Signal::TRACES,
        }
    }

    /// Samples, records or spans.
    pub fn item_count(&self) -> usize {
        match self {
            Batch::Metrics(b) => b.item_count(),
            Batch::Logs(b) => b.records.len(),
            Batch::Spans(b) => b.spans.len(),
        }
    }

    /// Rough bytes held, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Batch::Metrics(b) => {
                b.series.iter().map(|l| l.packed_len() + 32).sum::<usize>()
                    + b.samples.len() * 28
                    + b.histograms.iter().map(|h| h.histogram.heap_bytes()).sum::<usize>()
                    + b.exemplars.iter().map(|(_, e)| e.labels.packed_len() + 48).sum::<usize>()
                    + b.metadata.iter().map(|m| m.family.len() + m.help.len() + 80).sum::<usize>()
            }
            Batch::Logs(b) => {
                b.records.iter().map(|r| r.heap_bytes()).sum::<usize>()
                    + b.streams
                        .iter()
                        .map(|s| s.labels.packed_len() + s.resource.attributes.heap_bytes() + 256)
                        .sum::<usize>()
            }
            Batch::Spans(b) => {
                b.spans.iter().map(|s| s.heap_bytes()).sum::<usize>()
                    + b.origins.iter().map(|o| o.resource.attributes.heap_bytes() + 256).sum::<usize>()
            }
        }
    }
}
