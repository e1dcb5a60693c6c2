//! `status/tsdb`: how many series there are and what they are made of. Counted over the label sets of series
//! with samples in the last two hours, which is what a head of Prometheus holds.

use std::collections::BTreeMap;

use axum::extract::State;
use contract::{LabelNamesRequest, QueryLimits, Scope};
use model::{Labels, Signal, TimeRange, labels::METRIC_NAME};
use serde_json::{Value, json};

use super::{Answered, Ask, PromError};
use crate::{AppState, Error, params::bad};

/// What Prometheus' head spans.
const RECENT_MS: i64 = 2 * 3_600_000;
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 10_000;

pub async fn status(ask: Ask) -> Result<Answered, PromError> {
    let limit = match ask.params.get("limit") {
        None => DEFAULT_LIMIT,
        Some(text) => match text.parse::<usize>() {
            Ok(n) if n > MAX_LIMIT => return Err(bad("limit", text, "it must not exceed 10000").into()),
            Ok(n) if n > 0 => n,
            _ => return Err(bad("limit", text, "it must be a positive number").into()),
        },
    };
    let now = ask.state.clock.now_ms();
    let first = now.saturating_sub(RECENT_MS);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let scope = Scope { tenants, range: TimeRange::from_ms_inclusive(first, now), limits };
        let request =
            LabelNamesRequest { scope, signal: Signal::METRICS, selectors: Vec::new(), limit: None };
        let (sets, coverage) = select.label_sets(request).await?;
        let newest = coverage.sources().iter().filter_map(|s| s.watermark).max();
        let newest = newest.map_or(now, |t| t.to_ms().0);
        let counted = Counted::of(&sets);
        let data = json!({
            "headStats": {
                "numSeries": sets.len(),
                "numLabelPairs": counted.pairs.len(),
                // Samples are not kept in chunks of their own until they are flushed: one per series.
                "chunkCount": sets.len(),
                "minTime": first,
                "maxTime": newest,
            },
            "seriesCountByMetricName": top(counted.by_metric(), limit),
            "labelValueCountByLabelName": top(counted.values_by_name(), limit),
            "memoryInBytesByLabelName": top(counted.bytes_by_name(), limit),
            "seriesCountByLabelValuePair": top(counted.by_pair(), limit),
        });
        let answered = Answered::of(&data)?;
        Ok::<_, Error>(Answered { coverage: Some(coverage), ..answered })
    };
    Ok(ask.run(run).await?)
}

/// Series by name and value of each of their labels.
struct Counted<'a> {
    pairs: BTreeMap<(&'a str, &'a str), usize>,
}

impl<'a> Counted<'a> {
    fn of(sets: &'a [Labels]) -> Self {
        let mut pairs = BTreeMap::new();
        for pair in sets.iter().flat_map(Labels::iter) {
            *pairs.entry(pair).or_insert(0) += 1;
        }
        Counted { pairs }
    }

    fn by_metric(&self) -> Vec<(String, usize)> {
        let metrics = self.pairs.iter().filter(|((n, _), _)| *n == METRIC_NAME);
        metrics.map(|((_, v), n)| ((*v).to_owned(), *n)).collect()
    }

    fn by_pair(&self) -> Vec<(String, usize)> {
        self.pairs.iter().map(|((n, v), count)| (format!("{n}={v}"), *count)).collect()
    }

    fn values_by_name(&self) -> Vec<(String, usize)> {
        self.by_name(|_, _| 1)
    }

    /// What the values would take if every series held its own.
    fn bytes_by_name(&self) -> Vec<(String, usize)> {
        self.by_name(|value, series| value.len() * series)
    }

    fn by_name(&self, weight: impl Fn(&str, usize) -> usize) -> Vec<(String, usize)> {
        let mut out: BTreeMap<&str, usize> = BTreeMap::new();
        for ((n, v), series) in &self.pairs {
            *out.entry(n).or_insert(0) += weight(v, *series);
        }
        out.into_iter().map(|(n, count)| (n.to_owned(), count)).collect()
    }
}

fn top(mut counts: Vec<(String, usize)>, limit: usize) -> Vec<Value> {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.into_iter().take(limit).map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// A node answers here once its log is read, so nothing is left to replay.
pub async fn wal_replay() -> Result<Answered, PromError> {
    Ok(Answered::of(&json!({"min": 0, "max": 0, "current": 0}))?)
}

/// What is switched on, by the part it belongs to.
pub async fn features(State(state): State<AppState>) -> Result<Answered, PromError> {
    let on = state.reads.promql.options().experimental;
    Ok(Answered::of(&json!({
        "api": {
            "admin": state.options.enable_admin,
            "lifecycle": state.options.enable_lifecycle,
            "remote_read": true,
            "remote_write": true,
            "otlp_write": true,
        },
        "promql": {
            "experimental_functions": on.functions,
            "duration_expressions": on.durations,
            "extended_range_selectors": on.extended_selectors,
            "binop_fill_modifiers": on.fill,
            "start_timestamps": on.start_timestamps,
            "type_and_unit_labels": on.type_and_unit_labels,
        },
    }))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_sets_are_counted_by_metric_name_value_and_pair() {
        let sets = [
            Labels::from_pairs([("__name__", "a"), ("l", "xx")]),
            Labels::from_pairs([("__name__", "a"), ("l", "y")]),
            Labels::from_pairs([("__name__", "b"), ("l", "xx")]),
        ];
        let c = Counted::of(&sets);
        assert_eq!(c.by_metric(), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(c.values_by_name(), [("__name__".to_owned(), 2), ("l".to_owned(), 2)]);
        assert_eq!(c.bytes_by_name(), [("__name__".to_owned(), 3), ("l".to_owned(), 5)]);
        assert_eq!(top(c.by_pair(), 1), [json!({"name": "__name__=a", "value": 2})]);
    }
}
