//! Vector aggregations: many series to few, step by step.

use std::collections::BTreeMap;

use model::Labels;

use super::{
    fold::Acc,
    frame::{Grid, Series},
    pieces::{Made, Make, absorb},
};
use crate::ast::{Grouping, VectorAggregation, VectorOp};

pub(super) fn evaluate(a: &VectorAggregation, series: Vec<Series>, grid: Grid) -> Vec<Series> {
    match a.op {
        // Order is a matter of the final answer.
        VectorOp::Sort | VectorOp::SortDesc => series,
        VectorOp::Topk | VectorOp::Bottomk | VectorOp::ApproxTopk => extremes(a, series, grid),
        op => {
            let mut out = Vec::new();
            for (labels, members) in groups(&series, a.grouping.as_ref()) {
                let values = (0..grid.len)
                    .map(|k| reduce(op, members.iter().filter_map(|m| series[*m].values[k])))
                    .collect();
                out.push(Series { labels, values });
            }
            out
        }
    }
}

/// What is known of each group at every step, without finishing it.
pub(super) fn accumulate(a: &VectorAggregation, make: Make, series: &[Series], grid: Grid) -> Vec<Made> {
    let made = |(labels, members): (Labels, Vec<usize>)| {
        let mut accs: Vec<Option<Acc>> = vec![None; grid.len];
        for s in members.iter().filter_map(|m| series.get(*m)) {
            absorb(&mut accs, s.values.iter().map(|v| v.map(|v| make.one(v))).collect());
        }
        Made { labels, accs }
    };
    groups(series, a.grouping.as_ref()).into_iter().map(made).collect()
}

/// Members of each group, by their place in `series`.
fn groups(series: &[Series], grouping: Option<&Grouping>) -> BTreeMap<Labels, Vec<usize>> {
    let mut out: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
    for (i, s) in series.iter().enumerate() {
        let key = match grouping {
            None => Labels::default(),
            Some(g) if g.without => s.labels.without(&g.labels),
            Some(g) => s.labels.only(&g.labels),
        };
        out.entry(key).or_default().push(i);
    }
    out
}

fn reduce(op: VectorOp, values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum, mut lost) = (0.0, 0.0f64, 0.0);
    let (mut mean, mut m2) = (0.0, 0.0);
    let (mut min, mut max) = (f64::NAN, f64::NAN);
    for v in values {
        n += 1.0;
        let total = sum + v;
        if total.is_finite() {
            lost += if sum.abs() >= v.abs() { (sum - total) + v } else { (v - total) + sum };
        }
        sum = total;
        let delta = v - mean;
        mean += delta / n;
        m2 += delta * (v - mean);
        if v < min || min.is_nan() {
            min = v;
        }
        if v > max || max.is_nan() {
            max = v;
        }
    }
    (n > 0.0).then(|| match op {
        VectorOp::Avg => (sum + lost) / n,
        VectorOp::Min => min,
        VectorOp::Max => max,
        VectorOp::Count => n,
        VectorOp::Stddev => (m2 / n).sqrt(),
        VectorOp::Stdvar => m2 / n,
        _ => sum + lost,
    })
}

/// The `k` largest or smallest of each group at each step, with their own labels. `approx_topk` is exact here.
fn extremes(a: &VectorAggregation, mut series: Vec<Series>, grid: Grid) -> Vec<Series> {
    let keep = usize::try_from(a.parameter.unwrap_or(1)).unwrap_or(0);
    let largest = a.op != VectorOp::Bottomk;
    let members: Vec<Vec<usize>> = groups(&series, a.grouping.as_ref()).into_values().collect();
    for k in 0..grid.len {
        for group in &members {
            let mut present: Vec<(f64, usize)> =
                group.iter().filter_map(|m| Some((series[*m].values[k]?, *m))).collect();
            // NaN is the last choice either way; equal values go by the order of labels.
            present.sort_by(|(x, i), (y, j)| {
                let by_value = if largest { y.partial_cmp(x) } else { x.partial_cmp(y) };
                x.is_nan()
                    .cmp(&y.is_nan())
                    .then(by_value.unwrap_or(std::cmp::Ordering::Equal))
                    .then_with(|| series[*i].labels.cmp(&series[*j].labels))
            });
            for (_, gone) in present.iter().skip(keep) {
                series[*gone].values[k] = None;
            }
        }
    }
    series.retain(|s| s.values.iter().any(Option::is_some));
    series
}
