//! What OpenMetrics asks of the samples inside a family, beyond their spelling: values that counters may take,
//! labels that a type needs, metrics that are not interleaved, buckets that ascend and add up.

use std::collections::HashSet;

use model::MetricKind;

use super::sample::Sample;
use crate::text::quoted;

/// Characters an exemplar's labels may have together.
pub(super) const MAX_EXEMPLAR_CHARS: usize = 128;

/// Follows one family. Checks nothing when made with `strict: false`.
pub(super) struct Check {
    strict: bool,
    /// The current metric and the time of its last sample.
    group: Option<(u128, Option<i64>)>,
    groups: HashSet<u128>,
    histogram: Buckets,
}

/// Running state of one histogram metric at one time.
#[derive(Default)]
struct Buckets {
    open: bool,
    last_bound: Option<f64>,
    last_value: f64,
    count: Option<f64>,
    has_sum: bool,
    sum_is_negative: bool,
    has_negative_bound: bool,
}

impl Check {
    pub(super) fn new(strict: bool) -> Self {
        Check { strict, group: None, groups: HashSet::new(), histogram: Buckets::default() }
    }

    pub(super) fn sample(
        &mut self,
        family: &str,
        kind: MetricKind,
        suffix: &str,
        s: &Sample<'_>,
        group: u128,
        at_ms: Option<i64>,
    ) -> Result<(), String> {
        if !self.strict {
            return Ok(());
        }
        exemplar(kind, suffix, s)?;
        labels(family, kind, suffix, s)?;
        let same = self.same_metric(family, kind, group, at_ms)?;
        values(kind, suffix, s)?;
        if matches!(kind, MetricKind::Histogram | MetricKind::GaugeHistogram) {
            if !same {
                std::mem::take(&mut self.histogram).close(family, kind)?;
            }
            self.histogram.sample(family, suffix, s)?;
        }
        Ok(())
    }

    pub(super) fn close(self, family: &str, kind: MetricKind) -> Result<(), String> {
        self.histogram.close(family, kind)
    }

    /// Whether the sample continues the current metric at the same time; metrics may not be taken up again and
    /// their times may not go back.
    fn same_metric(
        &mut self,
        family: &str,
        kind: MetricKind,
        group: u128,
        at_ms: Option<i64>,
    ) -> Result<bool, String> {
        let last = self.group.replace((group, at_ms));
        if let Some((g, before)) = last
            && g == group
        {
            if before.is_some() != at_ms.is_some() {
                return Err(format!("samples of one metric of {family} with and without time"));
            }
            if at_ms < before && kind != MetricKind::Info {
                return Err(format!("time goes back inside {family}"));
            }
            return Ok(before == at_ms);
        }
        if !self.groups.insert(group) {
            return Err(format!("the samples of a metric of {family} are not together"));
        }
        Ok(false)
    }
}

/// Which samples may have an exemplar, and how long it may be.
fn exemplar(kind: MetricKind, suffix: &str, s: &Sample<'_>) -> Result<(), String> {
    let Some(e) = &s.exemplar else { return Ok(()) };
    let allowed = match kind {
        MetricKind::Histogram | MetricKind::GaugeHistogram => suffix == "_bucket",
        MetricKind::Counter => suffix == "_total",
        _ => false,
    };
    if !allowed {
        return Err(format!("sample {} may not have an exemplar", quoted(&s.name)));
    }
    let chars: usize = e.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
    if chars > MAX_EXEMPLAR_CHARS {
        return Err(format!("exemplar labels of {chars} characters, {MAX_EXEMPLAR_CHARS} are allowed"));
    }
    Ok(())
}

/// Labels that a type needs.
fn labels(family: &str, kind: MetricKind, suffix: &str, s: &Sample<'_>) -> Result<(), String> {
    let get = |name: &str| s.labels.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_ref());
    match (kind, suffix) {
        (MetricKind::StateSet, _) if get(family).is_none() => {
            Err(format!("state set {family} without the label {family}"))
        }
        (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket") => {
            bound(get("le")).map(|_| ()).ok_or_else(|| format!("bucket of {family} without a valid le"))
        }
        (MetricKind::Summary, "") => {
            let q = get("quantile").and_then(|q| q.parse::<f64>().ok()).filter(|q| (0.0..=1.0).contains(q));
            q.map(|_| ()).ok_or_else(|| format!("summary {family} without a quantile from 0 to 1"))
        }
        _ => Ok(()),
    }
}

/// A bucket's upper bound. `+Inf` has one spelling only.
fn bound(le: Option<&str>) -> Option<f64> {
    let le = le?;
    if le == "+Inf" {
        return Some(f64::INFINITY);
    }
    le.parse::<f64>().ok().filter(|b| b.is_finite() || le == "-Inf")
}

/// Values that a sample of its kind may have.
fn values(kind: MetricKind, suffix: &str, s: &Sample<'_>) -> Result<(), String> {
    let v = s.value;
    let counts = ["_total", "_sum", "_count", "_bucket", "_gcount", "_gsum"].contains(&suffix);
    let bad = match kind {
        MetricKind::StateSet => v != 0.0 && v != 1.0,
        MetricKind::Info => v != 1.0,
        MetricKind::Summary if suffix.is_empty() => v < 0.0,
        _ => counts && (v.is_nan() || (v < 0.0 && suffix != "_gsum")),
    };
    let bad = bad || (kind == MetricKind::Summary && counts && (v.is_nan() || v < 0.0));
    if bad { Err(format!("{} of type {} may not be {v}", quoted(&s.name), kind.as_str())) } else { Ok(()) }
}

impl Buckets {
    fn sample(&mut self, family: &str, suffix: &str, s: &Sample<'_>) -> Result<(), String> {
        self.open = true;
        match suffix {
            "_bucket" => {
                let le = s.labels.iter().find(|(n, _)| n == "le").map(|(_, v)| v.as_ref());
                let le = bound(le).ok_or_else(|| format!("bucket of {family} without a valid le"))?;
                if self.last_bound.is_some_and(|last| le <= last) {
                    return Err(format!("buckets of {family} do not ascend"));
                }
                if s.value < self.last_value {
                    return Err(format!("buckets of {family} are not cumulative"));
                }
                self.has_negative_bound |= le < 0.0;
                self.last_bound = Some(le);
                self.last_value = s.value;
            }
            "_count" | "_gcount" => self.count = Some(s.value),
            "_sum" | "_gsum" => {
                self.has_sum = true;
                self.sum_is_negative = suffix == "_gsum" && s.value < 0.0;
                if suffix == "_sum" && self.has_negative_bound {
                    return Err(format!("{family} has a _sum although a bucket is negative"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(self, family: &str, kind: MetricKind) -> Result<(), String> {
        if !self.open {
            return Ok(());
        }
        let fail = |why: &str| Err(format!("{} {family} {why}", kind.as_str()));
        if self.last_bound != Some(f64::INFINITY) {
            return fail("has no +Inf bucket");
        }
        if self.count.is_some_and(|c| c != self.last_value) {
            return fail("counts otherwise than its +Inf bucket");
        }
        if self.has_negative_bound && self.has_sum && kind == MetricKind::Histogram {
            return fail("has a _sum although a bucket is negative");
        }
        if self.sum_is_negative && !self.has_negative_bound {
            return fail("has a negative sum without a negative bucket");
        }
        if self.has_sum != self.count.is_some() {
            return fail("needs its sum and its count together");
        }
        Ok(())
    }
}
