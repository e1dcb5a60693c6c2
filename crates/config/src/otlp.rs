//! `otlp`: how OTLP metrics become series. Keys, defaults and rules are those of Prometheus' section of the same
//! name, which counts where this one is absent; what begins with `delta_` is ours.

use ingest::{DeltaLimits, NameStrategy, Naming, OtlpMetrics, Promote};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::{check::Checker, scalar::Scalar, written::Field};

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub promote_resource_attributes: Field<Vec<String>>,
    pub promote_all_resource_attributes: Option<bool>,
    pub ignore_resource_attributes: Field<Vec<String>>,
    pub translation_strategy: Field<String>,
    pub keep_identifying_resource_attributes: Option<bool>,
    pub convert_histograms_to_nhcb: Option<bool>,
    pub promote_scope_metadata: Option<bool>,
    pub label_name_underscore_sanitization: Option<bool>,
    pub label_name_preserve_multiple_underscores: Option<bool>,
    pub delta_to_cumulative: Option<bool>,
    pub delta_max_series: Field<Scalar>,
    pub delta_max_idle: Field<Scalar>,
}

/// The section, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    pub metrics: OtlpMetrics,
    /// Bounds of the totals that deltas are added to; `None` refuses deltas.
    pub deltas: Option<DeltaLimits>,
}

impl Default for Otlp {
    fn default() -> Self {
        Otlp { metrics: OtlpMetrics::default(), deltas: Some(DeltaLimits::default()) }
    }
}

/// The node's own section, which wins over the one of `prometheus`.
pub(crate) fn check(own: Option<Spanned<Written>>, prometheus: Option<Otlp>, c: &mut Checker<'_>) -> Otlp {
    match own {
        Some(w) => section(&w.value, "otlp", c),
        None => prometheus.unwrap_or_default(),
    }
}

fn section(w: &Written, at: &str, c: &mut Checker<'_>) -> Otlp {
    let d = OtlpMetrics::default();
    let naming = Naming {
        strategy: strategy(&w.translation_strategy, at, c),
        label_underscore_prefix: w.label_name_underscore_sanitization.unwrap_or(true),
        label_multiple_underscores: w.label_name_preserve_multiple_underscores.unwrap_or(true),
    };
    let limits = DeltaLimits::default();
    let max_series =
        c.count(&format!("{at}.delta_max_series"), &w.delta_max_series, limits.max_series as u64);
    let max_idle = c.duration(&format!("{at}.delta_max_idle"), &w.delta_max_idle, limits.max_idle);
    if let Some(f) = w.delta_max_idle.as_ref().filter(|_| max_idle.is_zero()) {
        c.problem(&format!("{at}.delta_max_idle"), f.referenced, "must be more than zero");
    }
    let deltas = DeltaLimits { max_series: usize::try_from(max_series).unwrap_or(usize::MAX), max_idle };
    Otlp {
        metrics: OtlpMetrics {
            naming,
            promote: promote(w, at, c),
            keep_identifying: w.keep_identifying_resource_attributes.unwrap_or(d.keep_identifying),
            promote_scope: w.promote_scope_metadata.unwrap_or(d.promote_scope),
            histograms_to_custom: w.convert_histograms_to_nhcb.unwrap_or(d.histograms_to_custom),
            lookback_ms: d.lookback_ms,
        },
        deltas: w.delta_to_cumulative.unwrap_or(true).then_some(deltas),
    }
}

fn strategy(f: &Field<String>, at: &str, c: &mut Checker<'_>) -> NameStrategy {
    let Some(s) = f else { return NameStrategy::default() };
    NameStrategy::parse(&s.value).unwrap_or_else(|| {
        let known = NameStrategy::ALL.map(NameStrategy::as_str).join(", ");
        let message = format!("{:?} is not known, use one of {known}", s.value);
        c.problem(&format!("{at}.translation_strategy"), s.referenced, message);
        NameStrategy::default()
    })
}

fn promote(w: &Written, at: &str, c: &mut Checker<'_>) -> Promote {
    let all = w.promote_all_resource_attributes.unwrap_or(false);
    let only = keys(&w.promote_resource_attributes, &format!("{at}.promote_resource_attributes"), c);
    let but = keys(&w.ignore_resource_attributes, &format!("{at}.ignore_resource_attributes"), c);
    if let (true, Some((_, line))) = (all, &only) {
        let why = "excludes promote_all_resource_attributes: true; keep one of the two";
        c.problem(&format!("{at}.promote_resource_attributes"), *line, why);
    }
    if let (false, Some((_, line))) = (all, &but) {
        let why = "needs promote_all_resource_attributes: true";
        c.problem(&format!("{at}.ignore_resource_attributes"), *line, why);
    }
    let list = |found: Option<(Vec<String>, Location)>| found.map(|(keys, _)| keys).unwrap_or_default();
    if all { Promote::AllBut(list(but)) } else { Promote::Only(list(only)) }
}

/// A list of attribute keys, none empty, none twice; `None` where it is absent or empty.
fn keys(f: &Field<Vec<String>>, at: &str, c: &mut Checker<'_>) -> Option<(Vec<String>, Location)> {
    let s = f.as_ref().filter(|s| !s.value.is_empty())?;
    for (i, key) in s.value.iter().enumerate() {
        if key.trim().is_empty() {
            c.problem(at, s.referenced, "has an empty attribute key");
        } else if s.value.iter().take(i).any(|k| k == key) {
            c.problem(at, s.referenced, format!("names {key:?} twice"));
        }
    }
    Some((s.value.clone(), s.referenced))
}
