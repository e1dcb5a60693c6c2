//! What scrape targets answer: the Prometheus text format 0.0.4, read leniently, and OpenMetrics 1.0.
//!
//! ```text
//! line ─ sample::read (names, labels, value, time, exemplar) ─┬─ text: any order ───────────┐
//!                                                             └─ openmetrics: families ─────┴─► Builder ─► batch
//!                                                                  └─ check: what a family may hold
//! ```
//! A scrape is taken whole or not at all: an error names the line, as in Prometheus.

mod check;
mod openmetrics;
mod sample;
mod text;

use std::{borrow::Cow, collections::HashMap};

use model::{Exemplar, MetricBatch, MetricKind, MetricMetadata, labels::METRIC_NAME};

pub use self::{openmetrics::parse_openmetrics, text::parse_text};
use crate::{Error, Limits, series::SeriesIndex};

/// How to read a scrape.
#[derive(Debug, Clone)]
pub struct ScrapeOptions<'a> {
    /// When the scrape began; the time of samples that carry none.
    pub default_ms: i64,
    /// Whether times in the exposition count; where not, every sample gets `default_ms`.
    pub honor_timestamps: bool,
    /// OpenMetrics only: also hold families to what their type promises (ordered cumulative buckets, no
    /// negative counters, grouping, ...). Prometheus does not ask that much of its targets.
    pub strict: bool,
    pub limits: &'a Limits,
}

/// A parsed scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    pub batch: MetricBatch,
    /// Parallel to `batch.series`: the series carried a time of its own that was honoured, so a later scrape
    /// without it must not mark it stale.
    pub timed: Vec<bool>,
}

/// Reads whichever format the `Content-Type` of the answer names; anything but OpenMetrics is read as text.
pub fn parse(content_type: &str, body: &[u8], options: &ScrapeOptions<'_>) -> Result<Exposition, Error> {
    if content_type.trim_start().starts_with("application/openmetrics-text") {
        parse_openmetrics(body, options)
    } else {
        parse_text(body, options)
    }
}

/// The body as text; the error names the line that is none.
fn utf8(body: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(body).map_err(|e| Error::Exposition {
        line: 1 + memchr::memchr_iter(b'\n', body.get(..e.valid_up_to()).unwrap_or_default()).count(),
        reason: "the text is not UTF-8".to_owned(),
    })
}

/// Puts samples and metadata together.
struct Builder<'a, 'o> {
    options: &'o ScrapeOptions<'o>,
    out: Exposition,
    index: SeriesIndex,
    families: HashMap<Cow<'a, str>, usize>,
}

impl<'a, 'o> Builder<'a, 'o> {
    fn new(options: &'o ScrapeOptions<'o>) -> Self {
        Builder {
            options,
            out: Exposition::default(),
            index: SeriesIndex::default(),
            families: HashMap::new(),
        }
    }

    /// Adds a sample; `at_ms` is its own time if it has one. Returns the series.
    fn sample(&mut self, s: &sample::Sample<'a>, at_ms: Option<i64>) -> Result<u32, String> {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(s.labels.len() + 1);
        pairs.push((METRIC_NAME, &s.name));
        for (n, v) in &s.labels {
            pairs.push((n, v));
        }
        let labels = self.options.limits.labels(&mut pairs)?;
        let series = self.index.resolve(&mut self.out.batch, labels);
        let own = at_ms.filter(|_| self.options.honor_timestamps);
        if self.out.timed.len() <= series as usize {
            self.out.timed.push(own.is_some());
        }
        let at = own.unwrap_or(self.options.default_ms);
        self.out.batch.samples.push(series, at, s.value);
        Ok(series)
    }

    fn exemplar(
        &mut self,
        series: u32,
        e: &sample::ExemplarText<'a>,
        at_ms: Option<i64>,
    ) -> Result<(), String> {
        let mut pairs: Vec<(&str, &str)> = e.labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        let labels = self.options.limits.labels(&mut pairs)?;
        let timestamp_ms = at_ms.unwrap_or(self.options.default_ms);
        self.out.batch.exemplars.push((series, Exemplar { labels, value: e.value, timestamp_ms }));
        Ok(())
    }

    /// The metadata of a family, created when new.
    fn family(&mut self, name: Cow<'a, str>) -> Option<&mut MetricMetadata> {
        let metadata = &mut self.out.batch.metadata;
        let next = metadata.len();
        let family = name.to_string();
        let at = *self.families.entry(name).or_insert(next);
        if at == next {
            metadata.push(MetricMetadata { family, ..MetricMetadata::default() });
        }
        metadata.get_mut(at)
    }
}

/// A kind by its name in either format.
fn kind(name: &str) -> Option<MetricKind> {
    if name == "untyped" {
        return Some(MetricKind::Unknown);
    }
    MetricKind::ALL.into_iter().find(|k| k.as_str() == name)
}

#[cfg(test)]
mod tests;
