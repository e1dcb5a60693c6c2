//! A metrics head between its freeze and the moment its segments are published: readable, unchanging.

use model::{Labels, Matcher, MetricMetadata, TimeRange, matcher::all_match};

use crate::head::SeriesSnapshot;

/// Exemplars since the last freeze.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExemplarCount {
    pub(crate) taken: u64,
    /// Of these, went again because their series had too many.
    pub(crate) replaced: u64,
}

/// The samples of a head between two flushes, in the order in which series were registered.
#[derive(Default)]
pub(crate) struct FrozenMetrics {
    pub(crate) series: Vec<SeriesSnapshot>,
    pub(crate) samples: u64,
    pub(crate) bounds_ms: Option<(i64, i64)>,
    pub(crate) exemplars: ExemplarCount,
    /// What changed since the freeze before.
    pub(crate) metadata: Vec<MetricMetadata>,
}

impl FrozenMetrics {
    pub(crate) fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<SeriesSnapshot> {
        let (first, last) = range.to_ms_inclusive();
        let wanted = |s: &&SeriesSnapshot| all_match(matchers, &s.labels) && s.store.overlaps(first, last);
        self.series.iter().filter(wanted).cloned().collect()
    }

    pub(crate) fn label_sets(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<Labels> {
        let (first, last) = range.to_ms_inclusive();
        let any = |l: &Labels| selectors.is_empty() || selectors.iter().any(|m| all_match(m, l));
        let wanted = |s: &&SeriesSnapshot| any(&s.labels) && s.store.overlaps(first, last);
        self.series.iter().filter(wanted).map(|s| s.labels.clone()).collect()
    }
}
