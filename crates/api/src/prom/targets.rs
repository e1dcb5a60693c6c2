//! The pools of scrape targets, and the metadata of what the targets expose.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use contract::{LabelValuesRequest, MetadataRequest, NamedField, QueryLimits, Scope};
use model::{Labels, Matcher, MetricMetadata, Signal, TimeRange, labels::METRIC_NAME, matcher::all_match};
use serde_json::json;

use super::{Answered, Ask, PromError, json::Writer, labels::count, selector};
use crate::{AppState, Error};

pub async fn pools(State(state): State<AppState>) -> Result<Answered, PromError> {
    let of_active = state.hooks.targets().into_iter().map(|t| t.scrape_pool);
    let of_dropped = state.hooks.dropped_targets().into_iter().map(|t| t.scrape_pool);
    let pools: BTreeSet<String> = of_active.chain(of_dropped).collect();
    Ok(Answered::of(&json!({"scrapePools": pools}))?)
}

/// Metadata by target: of the families whose series carry the target's labels.
pub async fn metadata(ask: Ask) -> Result<Answered, PromError> {
    let limit = count(&ask, "limit")?.unwrap_or(usize::MAX);
    let matchers = match ask.params.get("match_target") {
        Some(text) => selector("match_target", text)?,
        None => Vec::new(),
    };
    let metric = ask.params.get("metric").map(str::to_owned);
    let targets: Vec<Labels> = ask.state.hooks.targets().into_iter().map(|t| t.labels).collect();
    let now = ask.state.clock.now_ms();
    let recent = now.saturating_sub(ask.state.options.lookback_delta.as_millis() as i64);
    let range = TimeRange::from_ms_inclusive(recent, now);
    let (select, tenants) = (ask.reads.select.clone(), ask.tenants.clone());
    let run = |limits: QueryLimits| async move {
        let scope = Scope { tenants, range, limits };
        let request = MetadataRequest { scope: scope.clone(), family: metric.clone(), limit: None };
        let (known, coverage) = select.metadata(request).await?;
        let known: BTreeMap<&str, &MetricMetadata> = known.iter().map(|m| (m.family.as_str(), m)).collect();
        let mut rows: Vec<(&Labels, &MetricMetadata)> = Vec::new();
        for labels in targets.iter().filter(|l| all_match(&matchers, l)) {
            if rows.len() >= limit {
                break;
            }
            let selector = labels.iter().map(|(n, v)| Matcher::equal(n, v)).collect();
            let request = LabelValuesRequest {
                scope: scope.clone(),
                signal: Signal::METRICS,
                field: NamedField::Label(METRIC_NAME.to_owned()),
                selectors: vec![selector],
                limit: None,
            };
            let (names, _) = select.label_values(request).await?;
            let families: BTreeSet<&str> = names.iter().filter_map(|n| family(n, &known)).collect();
            rows.extend(families.into_iter().filter_map(|f| known.get(f)).map(|m| (labels, *m)));
        }
        let mut w = Writer::default();
        w.list(rows, |w, (labels, m)| {
            w.raw("{\"target\":").labels(labels);
            if metric.is_none() {
                w.raw(",\"metric\":").string(&m.family);
            }
            w.raw(",\"type\":").string(m.kind.as_str()).raw(",\"help\":").string(&m.help);
            w.raw(",\"unit\":").string(&m.unit).raw("}");
        });
        Ok::<_, Error>(Answered { data: w.0, coverage: Some(coverage), ..Answered::default() })
    };
    Ok(ask.run(run).await?)
}

/// The family a series belongs to by its name.
fn family<'a>(name: &'a str, known: &BTreeMap<&str, &MetricMetadata>) -> Option<&'a str> {
    const SUFFIXES: [&str; 8] =
        ["_bucket", "_count", "_sum", "_total", "_info", "_created", "_gcount", "_gsum"];
    let bare = SUFFIXES.iter().filter_map(|s| name.strip_suffix(s));
    std::iter::once(name).chain(bare).find(|f| known.contains_key(f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_belongs_to_the_family_that_is_known_by_its_name_or_without_a_suffix() {
        let m = |f: &str| MetricMetadata { family: f.to_owned(), ..Default::default() };
        let (a, b) = (m("h"), m("x_total"));
        let known = [("h", &a), ("x_total", &b)].into();
        assert_eq!(family("h_bucket", &known), Some("h"));
        assert_eq!(family("x_total", &known), Some("x_total"));
        assert_eq!(family("y_total", &known), None);
    }
}
