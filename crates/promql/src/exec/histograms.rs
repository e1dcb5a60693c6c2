//! `histogram_*`, on native histograms and on classic buckets.

use std::collections::{BTreeMap, HashMap};

use eval::{
    ByLabels, Cell, Column, Series,
    histogram::{self, ClassicBucket, Forced, classic_fraction, classic_quantile, general, significant},
};
use model::Labels;

use super::{Result, Run, bytes_of, call::arg, ranges::per_step, simple::rfc3339};
use crate::{
    ast::{Call, NodeId},
    functions::FunctionId,
};

const BUCKET_LABEL: &str = "le";

/// A classic histogram: labels without `le`, and its buckets as (bound, row).
struct Classic {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, usize)>,
}

/// Repairs of falling counts, over all samples of one metric.
struct Repairs {
    worst: Forced,
    samples: usize,
    first_ms: i64,
    last_ms: i64,
}

/// What is asked of each histogram.
enum Share {
    Quantile(Column),
    /// With the label that says which.
    Labelled(Column, String, String),
    Fraction(Column, Column),
}

impl<'a> Run<'a> {
    pub(super) fn histogram_number(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        use FunctionId::*;
        let mut rows = self.rows(arg(c, 0)?)?;
        let f: fn(&model::Histogram) -> f64 = match c.function.id {
            HistogramAvg => |h| h.sum / h.count,
            HistogramCount => |h| h.count,
            HistogramSum => |h| h.sum,
            HistogramStddev => |h| histogram::stdvar(h).sqrt(),
            _ => histogram::stdvar,
        };
        for row in &mut rows {
            self.meter.tick()?;
            let old = std::mem::take(&mut row.column);
            row.column = per_step(old.len(), |s| Some(f(old.histogram(s)?)));
        }
        rows.retain(|r| !r.column.is_empty());
        let span = self.span(id);
        Ok(eval::drop_names(rows, &mut self.env(span))?)
    }

    pub(super) fn histogram_share(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        let (vector, shares) = self.shares(c)?;
        let rows = self.rows(vector)?;
        let consumed = bytes_of(&rows);
        let grid = self.grid(id);
        let steps = grid.len();
        let mut repairs: BTreeMap<String, Repairs> = BTreeMap::new();
        let classics = self.classics(&rows, vector);
        let clashes = self.clashes(&rows, &classics, vector, steps);
        let mut out = Vec::new();
        for share in &shares {
            for (i, row) in rows.iter().enumerate().filter(|(_, r)| r.column.has_histograms()) {
                self.meter.tick()?;
                let column = per_step(steps, |s| {
                    let h = row.column.histogram(s)?;
                    if clashes.get(&i).is_some_and(|c| c.contains(&s)) {
                        return None;
                    }
                    self.native(share, s, h, row.labels.metric_name(), vector)
                });
                self.push(&mut out, share, &row.labels, row.drop_name, column)?;
            }
            for (n, classic) in classics.iter().enumerate() {
                self.meter.work(steps * (classic.buckets.len() + 4))?;
                let clash = rows
                    .iter()
                    .enumerate()
                    .find(|(i, r)| r.labels == classic.labels && clashes.contains_key(i));
                let mut buckets = Vec::with_capacity(classic.buckets.len());
                let column = per_step(steps, |s| {
                    if clash.is_some_and(|(i, _)| clashes.get(&i).is_some_and(|c| c.contains(&s))) {
                        return None;
                    }
                    gather(&classics[n], &rows, s, &mut buckets);
                    self.classic(share, s, &classics[n], &mut buckets, &mut repairs, grid.at(s))
                });
                self.push(&mut out, share, &classic.labels, classic.drop_name, column)?;
            }
        }
        self.note_repairs(repairs, vector);
        let span = self.span(id);
        let out = eval::drop_names(out, &mut self.env(span))?;
        self.settle(consumed, &out)?;
        Ok(out)
    }

    fn push(
        &mut self,
        out: &mut Vec<Series>,
        share: &Share,
        labels: &Labels,
        drop_name: bool,
        column: Column,
    ) -> Result<()> {
        if column.is_empty() {
            return Ok(());
        }
        let labels = match share {
            Share::Labelled(_, name, value) => {
                // The label comes from the query and may be long.
                self.meter.charge(name.len() + value.len())?;
                labels.with(name, value)
            }
            _ => labels.clone(),
        };
        out.push(Series { labels, column, drop_name });
        Ok(())
    }

    /// The vector argument and what is asked of it.
    fn shares(&mut self, c: &Call) -> Result<(NodeId, Vec<Share>)> {
        Ok(match c.function.id {
            FunctionId::HistogramFraction => {
                let (lower, upper) = (self.scalar(arg(c, 0)?)?, self.scalar(arg(c, 1)?)?);
                (arg(c, 2)?, vec![Share::Fraction(lower, upper)])
            }
            FunctionId::HistogramQuantile => {
                let q = self.scalar(arg(c, 0)?)?;
                self.note_quantiles(&q, arg(c, 0)?);
                (arg(c, 1)?, vec![Share::Quantile(q)])
            }
            _ => {
                let label = self.string(arg(c, 1)?)?;
                let mut shares = Vec::new();
                for q in c.args.iter().skip(2) {
                    let column = self.scalar(*q)?;
                    self.note_quantiles(&column, *q);
                    let text = open_metrics_float(column.float(0).unwrap_or(f64::NAN));
                    shares.push(Share::Labelled(column, label.clone(), text));
                }
                (arg(c, 0)?, shares)
            }
        })
    }

    fn note_quantiles(&mut self, q: &Column, at: NodeId) {
        let span = self.span(at);
        for v in q.steps().filter_map(|s| q.float(s)).filter(|v| !(0.0..=1.0).contains(v)) {
            let message =
                format!("PromQL warning: quantile value should be between 0 and 1, got {}", general(v));
            self.notes.warn(span, message);
        }
    }

    /// In notes; where names are dropped at once, Prometheus no longer knows it here.
    fn known_name<'n>(&self, name: &'n str) -> &'n str {
        if self.options.delayed_name_removal { name } else { "" }
    }

    fn note_repairs(&mut self, repairs: BTreeMap<String, Repairs>, vector: NodeId) {
        let span = self.span(vector);
        for (name, r) in repairs {
            let named = if name.is_empty() { String::new() } else { format!(" for metric name {name:?}") };
            let message = format!(
                "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){named}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                general(r.worst.lowest_bound),
                general(r.worst.highest_bound),
                significant(r.worst.largest, 2),
                r.samples,
                rfc3339(r.first_ms),
                rfc3339(r.last_ms),
            );
            self.notes.info(span, message);
        }
    }

    fn classics(&mut self, rows: &[Series], vector: NodeId) -> Vec<Classic> {
        let span = self.span(vector);
        let mut at: ByLabels<usize> = ByLabels::default();
        let mut out: Vec<Classic> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            if row.column.count() == row.column.histogram_count() {
                continue;
            }
            let bound = row.labels.value(BUCKET_LABEL);
            let Ok(upper) = bound.parse::<f64>() else {
                let mut message = format!(
                    "PromQL warning: bucket label \"le\" is missing or has a malformed value of {bound:?}"
                );
                let name = self.known_name(row.labels.metric_name());
                if !name.is_empty() {
                    message.push_str(&format!(" for metric name {name:?}"));
                }
                self.notes.warn(span, message);
                continue;
            };
            let labels = row.labels.without(&[BUCKET_LABEL]);
            let n = *at.entry(labels.clone()).or_insert_with(|| {
                out.push(Classic { labels, drop_name: false, buckets: Vec::new() });
                out.len() - 1
            });
            out[n].buckets.push((upper, i));
            out[n].drop_name |= row.drop_name;
        }
        for classic in &mut out {
            // In order here, they need not be sorted anew at each step.
            classic.buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        }
        out
    }

    /// Steps at which a native histogram and classic buckets of the same name meet: neither is evaluated.
    fn clashes(
        &mut self,
        rows: &[Series],
        classics: &[Classic],
        vector: NodeId,
        steps: usize,
    ) -> HashMap<usize, Vec<usize>> {
        let mut out: HashMap<usize, Vec<usize>> = HashMap::new();
        for classic in classics {
            for (i, row) in rows.iter().enumerate() {
                if row.labels != classic.labels || !row.column.has_histograms() {
                    continue;
                }
                for s in (0..steps).filter(|s| row.column.histogram(*s).is_some()) {
                    if classic.buckets.iter().any(|(_, b)| rows[*b].column.float(s).is_some()) {
                        out.entry(i).or_default().push(s);
                    }
                }
                if out.contains_key(&i) {
                    let mut message =
                        "PromQL warning: vector contains a mix of classic and native histograms".to_owned();
                    let name = self.known_name(row.labels.metric_name());
                    if !name.is_empty() {
                        message.push_str(&format!(" for metric name {name:?}"));
                    }
                    let span = self.span(vector);
                    self.notes.warn(span, message);
                }
            }
        }
        out
    }

    fn native(
        &mut self,
        share: &Share,
        step: usize,
        h: &model::Histogram,
        name: &str,
        vector: NodeId,
    ) -> Option<f64> {
        let span = self.span(vector);
        let name = self.known_name(name);
        let named = |text: &str| match name {
            "" => format!("PromQL info: {text}"),
            n => format!("PromQL info: {text} for metric name {n:?}"),
        };
        match share {
            Share::Quantile(q) | Share::Labelled(q, ..) => {
                let found = histogram::quantile(q.float(step)?, h);
                if found.nan_result {
                    let text = "input to histogram_quantile has NaN observations, result is NaN";
                    self.notes.info(span, named(text));
                }
                if found.nan_skew {
                    let text = "input to histogram_quantile has NaN observations, result is skewed higher";
                    self.notes.info(span, named(text));
                }
                Some(found.value)
            }
            Share::Fraction(lower, upper) => {
                let (value, nans) = histogram::fraction(lower.float(step)?, upper.float(step)?, h);
                if nans {
                    let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
                    self.notes.info(span, named(text));
                }
                Some(value)
            }
        }
    }

    fn classic(
        &mut self,
        share: &Share,
        step: usize,
        classic: &Classic,
        buckets: &mut Vec<ClassicBucket>,
        repairs: &mut BTreeMap<String, Repairs>,
        at_ms: i64,
    ) -> Option<f64> {
        if buckets.is_empty() {
            return None;
        }
        match share {
            Share::Quantile(q) | Share::Labelled(q, ..) => {
                let (value, forced) = classic_quantile(q.float(step)?, buckets);
                if let Some(f) = forced {
                    let name = self.known_name(classic.labels.metric_name()).to_owned();
                    let r = repairs.entry(name).or_insert(Repairs {
                        worst: f,
                        samples: 0,
                        first_ms: at_ms,
                        last_ms: at_ms,
                    });
                    r.worst.lowest_bound = r.worst.lowest_bound.min(f.lowest_bound);
                    r.worst.highest_bound = r.worst.highest_bound.max(f.highest_bound);
                    r.worst.largest = r.worst.largest.max(f.largest);
                    r.samples += 1;
                    r.first_ms = r.first_ms.min(at_ms);
                    r.last_ms = r.last_ms.max(at_ms);
                }
                Some(value)
            }
            Share::Fraction(lower, upper) => {
                Some(classic_fraction(lower.float(step)?, upper.float(step)?, buckets))
            }
        }
    }
}

/// The buckets that have a count at a step, in order of their bounds.
fn gather(classic: &Classic, rows: &[Series], step: usize, out: &mut Vec<ClassicBucket>) {
    out.clear();
    out.extend(classic.buckets.iter().filter_map(|(upper, row)| match rows[*row].column.get(step) {
        Some(Cell::Float(count)) => Some(ClassicBucket { upper: *upper, count }),
        _ => None,
    }));
}

/// A float that is recognisable as one: `1` is written `1.0`.
fn open_metrics_float(v: f64) -> String {
    let text = general(v);
    let special = text.contains(['.', 'e', 'I', 'N']);
    if special { text } else { format!("{text}.0") }
}
