//! From a parsed scrape to what is appended: the target's labels, metric relabelling, limits, staleness.

use std::collections::{HashMap, HashSet};

use model::{Labels, LabelsBuilder, MetricBatch, labels::METRIC_NAME, metric::Samples, stale_marker};
use transform::relabel::relabel_labels;
use wire::exposition::Exposition;

use super::{ScrapeConfig, target::Target};

/// The outcome of one scrape, ready to be appended.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Prepared {
    pub(super) batch: MetricBatch,
    /// Series that a later scrape without them must mark stale.
    pub(super) tracked: HashSet<Labels>,
    /// Samples exposed.
    pub(super) scraped: u64,
    /// Samples left after relabelling.
    pub(super) kept: u64,
    /// Samples of series that came out equal to another one of the same scrape.
    pub(super) duplicates: u64,
}

/// Applies the target's labels, relabelling and limits. An error fails the whole scrape, as in Prometheus.
pub(super) fn prepare(config: &ScrapeConfig, target: &Target, e: Exposition) -> Result<Prepared, String> {
    let Exposition { batch, timed } = e;
    let mut out = Prepared {
        scraped: batch.item_count() as u64,
        batch: MetricBatch { metadata: batch.metadata, ..MetricBatch::default() },
        ..Prepared::default()
    };
    let mut index: HashMap<Labels, u32> = HashMap::new();
    // For each exposed series: its place in the new batch, or none where it was dropped.
    let mut places: Vec<Option<u32>> = Vec::with_capacity(batch.series.len());
    for (i, exposed) in batch.series.iter().enumerate() {
        let labels = with_target_labels(exposed, &target.labels, config.honor_labels);
        let labels = relabel_labels(&labels, &config.metric_relabel).filter(|l| !l.metric_name().is_empty());
        let Some(labels) = labels else {
            places.push(None);
            continue;
        };
        let count = labels.len() as u64;
        if config.label_limit > 0 && count > config.label_limit {
            return Err(format!("{count} labels in {labels}, label_limit is {}", config.label_limit));
        }
        if index.contains_key(&labels) {
            // Two values for one series and time cannot both be kept; the first one counts.
            out.duplicates += batch.samples.series.iter().filter(|s| **s as usize == i).count() as u64;
            places.push(None);
            continue;
        }
        let place = out.batch.push_series(labels.clone());
        index.insert(labels.clone(), place);
        places.push(Some(place));
        if !timed.get(i).copied().unwrap_or(false) {
            out.tracked.insert(labels);
        }
    }
    let place = |series: u32| places.get(series as usize).copied().flatten();
    move_samples(&batch.samples, &mut out.batch.samples, place);
    out.batch.histograms = batch
        .histograms
        .into_iter()
        .filter_map(|h| Some(model::metric::HistogramSample { series: place(h.series)?, ..h }))
        .collect();
    out.batch.exemplars = batch.exemplars.into_iter().filter_map(|(s, e)| Some((place(s)?, e))).collect();
    out.kept = out.batch.item_count() as u64;
    if config.sample_limit > 0 && out.kept > config.sample_limit {
        return Err(format!(
            "{} samples after relabelling, sample_limit is {}",
            out.kept, config.sample_limit
        ));
    }
    Ok(out)
}

fn move_samples(from: &Samples, to: &mut Samples, place: impl Fn(u32) -> Option<u32>) {
    for i in 0..from.len() {
        let (Some(series), Some(at), Some(value)) =
            (from.series.get(i), from.timestamp_ms.get(i), from.value.get(i))
        else {
            continue;
        };
        if let Some(series) = place(*series) {
            to.push_started(series, *at, *value, from.start_of(i));
        }
    }
}

/// Joins the labels of a sample and its target. Where both have a label, `honor_labels` keeps the sample's;
/// otherwise the target's wins and the sample's is kept as `exported_<name>`.
fn with_target_labels(exposed: &Labels, target: &Labels, honor_labels: bool) -> Labels {
    let mut b = exposed.to_builder();
    let mut moved: Vec<(String, String)> = Vec::new();
    for (name, value) in target {
        match exposed.get(name) {
            Some(_) if honor_labels => continue,
            Some(own) => moved.push((name.to_owned(), own.to_owned())),
            None => {}
        }
        b.set(name, value);
    }
    for (name, value) in moved {
        let name = free_name(&b, exposed, target, name);
        b.set(name, value);
    }
    b.build()
}

fn free_name(b: &LabelsBuilder, exposed: &Labels, target: &Labels, name: String) -> String {
    let mut name = format!("exported_{name}");
    while b.get(&name).is_some() || exposed.get(&name).is_some() || target.get(&name).is_some() {
        name.insert_str(0, "exported_");
    }
    name
}

/// Adds staleness markers at `at_ms` for what was there before and is not now; returns how many are new.
pub(super) fn mark_stale(
    batch: &mut MetricBatch,
    before: &HashSet<Labels>,
    now: &HashSet<Labels>,
    at_ms: i64,
) -> u64 {
    let mut gone: Vec<&Labels> = before.difference(now).collect();
    gone.sort_unstable();
    // A series can be in the batch without being tracked, when it carried its own time this once.
    let untracked: HashSet<Labels> = batch.series.iter().filter(|l| !now.contains(*l)).cloned().collect();
    for labels in gone.into_iter().filter(|l| !untracked.contains(*l)) {
        let series = batch.push_series(labels.clone());
        batch.samples.push(series, at_ms, stale_marker());
    }
    now.difference(before).count() as u64
}

/// What is said about a scrape itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Report {
    pub(super) up: bool,
    pub(super) seconds: f64,
    pub(super) scraped: u64,
    pub(super) kept: u64,
    pub(super) added: u64,
}

const REPORT_NAMES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// The report series of a target; with `None` their ends.
pub(super) fn push_report(batch: &mut MetricBatch, target: &Labels, report: Option<Report>, at_ms: i64) {
    let values = report
        .map(|r| [f64::from(u8::from(r.up)), r.seconds, r.scraped as f64, r.kept as f64, r.added as f64]);
    for (i, name) in REPORT_NAMES.iter().enumerate() {
        let series = batch.push_series(target.with(METRIC_NAME, name));
        batch.samples.push(series, at_ms, values.map_or_else(stale_marker, |v| v[i]));
    }
}
