//! The series that say how a scrape went.

use model::{Labels, MetricBatch, labels::METRIC_NAME, stale_marker};

/// What is said about a scrape itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Report {
    pub(super) up: bool,
    pub(super) seconds: f64,
    pub(super) scraped: u64,
    pub(super) kept: u64,
    pub(super) added: u64,
    pub(super) extra: Option<Extra>,
}

/// What is said only where it is asked for (`extra_scrape_metrics`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Extra {
    pub(super) timeout_seconds: f64,
    pub(super) sample_limit: u64,
    /// -1 where the answer was longer than allowed.
    pub(super) body_bytes: f64,
}

const NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

const EXTRA_NAMES: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// The labels of a target's report series, made once.
pub(super) struct ReportSeries {
    usual: Vec<Labels>,
    extra: Vec<Labels>,
}

impl ReportSeries {
    pub(super) fn new(target: &Labels, with_extra: bool) -> Self {
        let series = |names: &[&str]| names.iter().map(|n| target.with(METRIC_NAME, n)).collect();
        ReportSeries {
            usual: series(&NAMES),
            extra: if with_extra { series(&EXTRA_NAMES) } else { Vec::new() },
        }
    }

    /// Adds the report.
    pub(super) fn push(&self, batch: &mut MetricBatch, r: &Report, at_ms: i64) {
        let up = f64::from(u8::from(r.up));
        let values = [up, r.seconds, r.scraped as f64, r.kept as f64, r.added as f64];
        push_all(batch, &self.usual, &values, at_ms);
        if let Some(e) = r.extra {
            push_all(batch, &self.extra, &[e.timeout_seconds, e.sample_limit as f64, e.body_bytes], at_ms);
        }
    }

    /// Adds the end of all of them.
    pub(super) fn push_end(&self, batch: &mut MetricBatch, at_ms: i64) {
        for labels in self.usual.iter().chain(&self.extra) {
            let series = batch.push_series(labels.clone());
            batch.samples.push(series, at_ms, stale_marker());
        }
    }
}

fn push_all(batch: &mut MetricBatch, series: &[Labels], values: &[f64], at_ms: i64) {
    for (labels, value) in series.iter().zip(values) {
        let series = batch.push_series(labels.clone());
        batch.samples.push(series, at_ms, *value);
    }
}
