//! From a parsed scrape to what is appended: the target's labels, metric relabelling, limits.

use model::{
    Labels, LabelsBuilder, MetricBatch,
    labels::METRIC_NAME,
    metric::{HistogramSample, Samples},
};
use transform::relabel::relabel;
use wire::exposition::Exposition;

use super::{
    ScrapeConfig,
    failure::Failure,
    histograms::Reduction,
    job::names_allowed,
    memory::{Known, Memory},
    target::Target,
};

/// Samples further in the future than this are not taken; a target with such a clock is broken.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

/// The outcome of one scrape, ready to be appended.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Empty where the scrape failed.
    pub(super) batch: MetricBatch,
    /// Samples exposed; where the scrape failed, up to there. The same for the two below.
    pub(super) scraped: u64,
    /// Samples left after relabelling.
    pub(super) kept: u64,
    /// Series that the scrape before did not have.
    pub(super) added: u64,
    /// Second samples of a series at the same time.
    pub(super) duplicates: u64,
    pub(super) too_far_ahead: u64,
    pub(super) failure: Option<Failure>,
}

/// Applies the target's labels, relabelling and limits. A failure fails the whole scrape, as in Prometheus.
pub(super) fn prepare(
    config: &ScrapeConfig,
    target: &Target,
    memory: &mut Memory,
    exposition: Exposition,
    now_ms: i64,
) -> Prepared {
    let Exposition { batch, timed, .. } = exposition;
    let mut p = Preparation {
        config,
        target,
        memory,
        places: vec![Place::Open; batch.series.len()],
        timed,
        max_ms: now_ms.saturating_add(MAX_AHEAD_MS),
        appended: 0,
        over_samples: false,
        over_buckets: false,
        reduction: Reduction::of(&config.histograms),
        out: Prepared::default(),
    };
    p.out.batch.metadata = batch.metadata;
    if let Err(failure) = p.samples(&batch.series, &batch.samples, batch.histograms) {
        p.out.failure = Some(failure);
    } else if p.over_samples {
        p.out.failure = Some(Failure::SampleLimit);
    } else if p.over_buckets {
        p.out.failure = Some(Failure::BucketLimit);
    }
    if p.out.failure.is_some() {
        p.out.batch = MetricBatch::default();
        return p.out;
    }
    for (series, exemplar) in batch.exemplars {
        if let Some(Place::Slot(slot, _)) = p.places.get(series as usize)
            && let Some(series) = p.memory.placed(*slot)
        {
            p.out.batch.exemplars.push((series, exemplar));
        }
    }
    p.out
}

/// What became of an exposed series in this scrape.
#[derive(Clone, Copy)]
enum Place {
    /// Not looked at yet.
    Open,
    Dropped,
    /// Its slot in the memory, and whether the memory did not know it before.
    Slot(u32, bool),
}

struct Preparation<'a> {
    config: &'a ScrapeConfig,
    target: &'a Target,
    memory: &'a mut Memory,
    places: Vec<Place>,
    timed: Vec<bool>,
    max_ms: i64,
    appended: u64,
    over_samples: bool,
    over_buckets: bool,
    reduction: Reduction,
    out: Prepared,
}

impl Preparation<'_> {
    fn samples(
        &mut self,
        exposed: &[Labels],
        samples: &Samples,
        histograms: Vec<HistogramSample>,
    ) -> Result<(), Failure> {
        for i in 0..samples.len() {
            let (Some(series), Some(at), Some(value)) =
                (samples.series.get(i), samples.timestamp_ms.get(i), samples.value.get(i))
            else {
                continue;
            };
            if let Some(place) = self.admit(exposed, *series, *at)? {
                self.out.batch.samples.push_started(place, *at, *value, samples.start_of(i));
            }
        }
        for mut h in histograms {
            let fits = self.reduction.apply(&mut h.histogram);
            if !fits {
                self.out.scraped += 1;
                self.out.kept += 1;
                self.over_buckets = true;
                continue;
            }
            if let Some(series) = self.admit(exposed, h.series, h.timestamp_ms)? {
                self.out.batch.histograms.push(HistogramSample { series, ..h });
            }
        }
        Ok(())
    }

    /// Counts a sample; returns its series' place in the new batch where it is to be stored.
    fn admit(&mut self, exposed: &[Labels], series: u32, at_ms: i64) -> Result<Option<u32>, Failure> {
        self.out.scraped += 1;
        let Some((slot, mut new)) = self.resolve(exposed, series)? else { return Ok(None) };
        self.out.kept += 1;
        if at_ms > self.max_ms {
            self.out.too_far_ahead += 1;
            return Ok(None);
        }
        let timed = self.timed.get(series as usize).copied().unwrap_or(false);
        // Two values for one series and time cannot both be kept; the first one counts.
        if !timed && !self.memory.first_untimed(slot) {
            self.out.duplicates += 1;
            return Ok(None);
        }
        let limit = self.config.limits.samples;
        if limit > 0 && self.appended >= limit {
            self.over_samples = true;
            return Ok(None);
        }
        self.appended += 1;
        if !timed || self.config.track_timestamps_staleness {
            self.memory.track(slot);
        }
        new &= !self.over_samples && !self.over_buckets;
        if new {
            self.out.added += 1;
            if let Some(place) = self.places.get_mut(series as usize) {
                *place = Place::Slot(slot, false);
            }
        }
        Ok(Some(self.memory.place(slot, &mut self.out.batch)))
    }

    /// The slot of an exposed series, and whether it is new; none where relabelling drops it.
    fn resolve(&mut self, exposed: &[Labels], series: u32) -> Result<Option<(u32, bool)>, Failure> {
        match self.places.get(series as usize) {
            Some(Place::Slot(slot, new)) => return Ok(Some((*slot, *new))),
            Some(Place::Dropped) => return Ok(None),
            _ => {}
        }
        let Some(labels) = exposed.get(series as usize) else { return Ok(None) };
        let place = match self.memory.lookup(labels) {
            Known::Dropped => Place::Dropped,
            Known::Series(slot) => Place::Slot(slot, false),
            Known::No => match stored_labels(self.config, self.target, labels)? {
                None => {
                    self.memory.remember_dropped(labels);
                    Place::Dropped
                }
                Some(stored) => Place::Slot(self.memory.remember(labels, stored), true),
            },
        };
        if let Some(p) = self.places.get_mut(series as usize) {
            *p = place;
        }
        Ok(match place {
            Place::Slot(slot, new) => Some((slot, new)),
            Place::Open | Place::Dropped => None,
        })
    }
}

/// The labels a series is stored under; none where relabelling drops it.
fn stored_labels(
    config: &ScrapeConfig,
    target: &Target,
    exposed: &Labels,
) -> Result<Option<Labels>, Failure> {
    let b = with_target_labels(exposed, &target.labels, config.honor_labels);
    let Some(labels) = relabel(b, &config.metric_relabel).map(LabelsBuilder::build) else {
        return Ok(None);
    };
    if labels.is_empty() {
        return Ok(None);
    }
    if labels.metric_name().is_empty() {
        return Err(Failure::Content(format!("missing metric name ({METRIC_NAME} label)")));
    }
    if !names_allowed(config.names, &labels) {
        return Err(Failure::Content(format!("invalid metric name or label names: {labels}")));
    }
    check_limits(config, &labels).map_err(Failure::LabelLimit)?;
    Ok(Some(labels))
}

fn check_limits(config: &ScrapeConfig, labels: &Labels) -> Result<(), String> {
    let limits = &config.limits;
    let clip = |s: &str| s.chars().take(50).collect::<String>();
    let metric = clip(labels.metric_name());
    let count = labels.len() as u64;
    if limits.labels > 0 && count > limits.labels {
        return Err(format!(
            "label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {})",
            limits.labels
        ));
    }
    if limits.label_name_bytes == 0 && limits.label_value_bytes == 0 {
        return Ok(());
    }
    for (name, value) in labels {
        let (n, v) = (name.len() as u64, value.len() as u64);
        if limits.label_name_bytes > 0 && n > limits.label_name_bytes {
            return Err(format!(
                "label_name_length_limit exceeded (metric: {metric}, label name: {}, length: {n}, limit: {})",
                clip(name),
                limits.label_name_bytes
            ));
        }
        if limits.label_value_bytes > 0 && v > limits.label_value_bytes {
            return Err(format!(
                "label_value_length_limit exceeded (metric: {metric}, label name: {}, value: {:?}, length: {v}, limit: {})",
                clip(name),
                clip(value),
                limits.label_value_bytes
            ));
        }
    }
    Ok(())
}

/// Joins the labels of a sample and its target. Where both have a label, `honor_labels` keeps the sample's;
/// otherwise the target's wins and the sample's is kept as `exported_<name>`.
fn with_target_labels(exposed: &Labels, target: &Labels, honor_labels: bool) -> LabelsBuilder {
    let mut b = exposed.to_builder();
    let mut moved: Vec<(&str, &str)> = Vec::new();
    for (name, value) in target {
        match exposed.get(name) {
            Some(_) if honor_labels => continue,
            Some(own) => moved.push((name, own)),
            None => {}
        }
        b.set(name, value);
    }
    // Shortest first, so that which of two names gets another prefix does not depend on their order.
    moved.sort_by_key(|(name, _)| name.len());
    for (name, value) in moved {
        let mut free = format!("exported_{name}");
        while b.get(&free).is_some() {
            free.insert_str(0, "exported_");
        }
        b.set(free, value);
    }
    b
}
