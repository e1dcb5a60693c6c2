//! What scrape targets answer: the Prometheus text format 0.0.4, read leniently, OpenMetrics 1.0 and protobuf.
//!
//! ```text
//! line ─ sample::read (names, labels, value, time, exemplar) ─┬─ text: any order ───────────┐
//!                                                             └─ openmetrics: families ─────┼─► Builder ─► batch
//!                                                                  └─ check: what a family may hold
//! bytes ─ protobuf: families, native histograms ────────────────────────────────────────────┘
//! ```
//! A scrape is taken whole or not at all: an error names the line, as in Prometheus. Bounds and quantiles are
//! written one way whatever the target writes (`le="1.0"`).

mod check;
mod float;
mod openmetrics;
mod protobuf;
mod sample;
mod text;
pub mod write;

use std::{borrow::Cow, collections::HashMap};

use model::{Exemplar, Labels, MetricBatch, MetricKind, MetricMetadata, labels::METRIC_NAME};

pub use self::{openmetrics::parse_openmetrics, protobuf::parse_protobuf, text::parse_text};
use crate::{Error, Limits, Reason, Refusals, series::SeriesIndex};

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
    /// OpenMetrics only: whether `_created` lines are also samples, as in Prometheus unless told otherwise. Either
    /// way they are the starts of their metric.
    pub created_series: bool,
    pub histograms: Histograms,
    pub limits: &'a Limits,
}

impl<'a> ScrapeOptions<'a> {
    /// What Prometheus does with a target unless told otherwise.
    pub fn new(default_ms: i64, limits: &'a Limits) -> Self {
        ScrapeOptions {
            default_ms,
            honor_timestamps: true,
            strict: false,
            created_series: true,
            histograms: Histograms::default(),
            limits,
        }
    }
}

/// Which form of a histogram is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histograms {
    /// Native histograms where a target has them (`scrape_native_histograms`); only protobuf carries them.
    pub native: bool,
    /// Classic series also where a native histogram is kept (`always_scrape_classic_histograms`).
    pub classic: bool,
}

impl Default for Histograms {
    fn default() -> Self {
        Histograms { native: true, classic: false }
    }
}

/// A parsed scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    pub batch: MetricBatch,
    /// Parallel to `batch.series`: the series carried a time of its own that was honoured, so a later scrape
    /// without it must not mark it stale.
    pub timed: Vec<bool>,
    /// Exemplars that break a rule; they never cost the scrape.
    pub refused: Refusals,
}

/// Reads whichever format the `Content-Type` of the answer names; anything but OpenMetrics and protobuf is read as
/// text.
pub fn parse(content_type: &str, body: &[u8], options: &ScrapeOptions<'_>) -> Result<Exposition, Error> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/openmetrics-text") {
        parse_openmetrics(body, options)
    } else if media.eq_ignore_ascii_case("application/vnd.google.protobuf") {
        parse_protobuf(body, options)
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

    /// Adds a sample; `at_ms` is its own time if it has one, `kind` the type last declared. Returns the series.
    fn sample(
        &mut self,
        s: &sample::Sample<'a>,
        at_ms: Option<i64>,
        kind: MetricKind,
    ) -> Result<u32, String> {
        self.started(s, at_ms, 0, kind)
    }

    /// The same with the time at which the metric began counting, or 0.
    fn started(
        &mut self,
        s: &sample::Sample<'a>,
        at_ms: Option<i64>,
        start_ms: i64,
        kind: MetricKind,
    ) -> Result<u32, String> {
        let rewritten: Vec<(usize, String)> = match kind {
            MetricKind::Histogram | MetricKind::Summary => rewritten(kind, &s.labels),
            _ => Vec::new(),
        };
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(s.labels.len() + 1);
        pairs.push((METRIC_NAME, &s.name));
        for (n, v) in &s.labels {
            pairs.push((n, v));
        }
        for (at, value) in &rewritten {
            if let Some(pair) = pairs.get_mut(at + 1) {
                pair.1 = value;
            }
        }
        let labels = self.options.limits.labels(&mut pairs)?;
        let (series, at) = self.at(labels, at_ms);
        self.out.batch.samples.push_started(series, at, s.value, start_ms);
        Ok(series)
    }

    /// The series of a native histogram, and the time its sample gets.
    fn series(
        &mut self,
        name: &str,
        labels: &[(Cow<'a, str>, Cow<'a, str>)],
        at_ms: Option<i64>,
    ) -> Result<(u32, i64), String> {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(labels.len() + 1);
        pairs.push((METRIC_NAME, name));
        pairs.extend(labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())));
        let labels = self.options.limits.labels(&mut pairs)?;
        Ok(self.at(labels, at_ms))
    }

    fn at(&mut self, labels: Labels, at_ms: Option<i64>) -> (u32, i64) {
        let series = self.index.resolve(&mut self.out.batch, labels);
        let own = at_ms.filter(|_| self.options.honor_timestamps);
        if self.out.timed.len() <= series as usize {
            self.out.timed.push(own.is_some());
        }
        (series, own.unwrap_or(self.options.default_ms))
    }

    /// Adds an exemplar, whose time is its own, or else that of its sample. One that breaks a rule is counted and
    /// left out.
    fn exemplar(
        &mut self,
        series: u32,
        e: &sample::ExemplarText<'a>,
        own_ms: Option<i64>,
        sample_ms: Option<i64>,
    ) {
        let chars: usize = e.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        let mut pairs: Vec<(&str, &str)> = e.labels.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        let labels = if chars > check::MAX_EXEMPLAR_CHARS {
            let max = check::MAX_EXEMPLAR_CHARS;
            Err(format!("exemplar labels of {chars} characters, {max} are allowed"))
        } else {
            self.options.limits.labels(&mut pairs)
        };
        let honoured = sample_ms.filter(|_| self.options.honor_timestamps);
        let timestamp_ms = own_ms.or(honoured).unwrap_or(self.options.default_ms);
        match labels {
            Ok(labels) => {
                self.out.batch.exemplars.push((series, Exemplar { labels, value: e.value, timestamp_ms }));
            }
            Err(why) => {
                let index = self.out.batch.samples.len() as u64;
                self.out.refused.add(Reason::InvalidLabels, index, || why);
            }
        }
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

/// Bounds and quantiles that are not written the one way, by position.
fn rewritten(kind: MetricKind, labels: &[(Cow<'_, str>, Cow<'_, str>)]) -> Vec<(usize, String)> {
    let one = |(i, (n, v)): (usize, &(Cow<'_, str>, Cow<'_, str>))| match float::label_value(kind, n, v) {
        Cow::Owned(value) => Some((i, value)),
        Cow::Borrowed(_) => None,
    };
    labels.iter().enumerate().filter_map(one).collect()
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
