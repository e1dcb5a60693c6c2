//! Quantiles of buckets that are powers of two, interpolated on a logarithmic scale.

use std::collections::BTreeMap;

use model::AnyValue;

use super::{
    cell::Cells,
    exemplars::{Exemplars, Shape},
    observe::{Series, group_labels},
    rows::Row,
};
use crate::{
    field::Field,
    value::{Groups, Value},
};

/// The label that names the quantile of a series.
const QUANTILE: &str = "p";

/// Counts by upper bound; positive floats sort as their bits do.
type Buckets = BTreeMap<u64, u64>;

#[derive(Default)]
struct Histograms {
    /// Per step.
    steps: Vec<Buckets>,
    exemplars: Exemplars,
}

/// A row per group and quantile, of series whose last key is the bucket. Steps without spans are 0.
pub(super) fn quantile_rows(
    series: Vec<(Vec<Value<'static>>, Series)>,
    quantiles: &[f64],
    by: &[Field],
    shape: &Shape<'_>,
) -> Vec<Row> {
    let mut groups: Groups<Histograms> = Groups::default();
    for (mut key, one) in series {
        let (Some(Value::Float(bucket)), Cells::Count(counts)) = (key.pop(), one.cells) else { continue };
        let (h, _) = groups.entry(&key, Histograms::default);
        h.steps.resize(counts.len(), Buckets::new());
        for (step, n) in h.steps.iter_mut().zip(counts).filter(|(_, n)| *n > 0) {
            *step.entry(bucket.to_bits()).or_default() += n;
        }
        h.exemplars.merge(one.exemplars);
    }
    groups.into_all().into_iter().flat_map(|(key, h)| rows(key, h, quantiles, by, shape)).collect()
}

fn rows(
    key: Vec<Value<'static>>,
    h: Histograms,
    quantiles: &[f64],
    by: &[Field],
    shape: &Shape<'_>,
) -> Vec<Row> {
    let labels = group_labels(by, key);
    let row = |q: &f64| {
        let mut labels = labels.clone();
        labels.push((QUANTILE.to_owned(), AnyValue::Double(*q)));
        Row { labels, values: h.steps.iter().map(|b| quantile(*q, b)).collect(), exemplars: Vec::new() }
    };
    let mut rows: Vec<Row> = quantiles.iter().map(row).collect();
    let mut whole = Buckets::new();
    for (bucket, n) in h.steps.iter().flatten() {
        *whole.entry(*bucket).or_default() += n;
    }
    let of_all: Vec<f64> = quantiles.iter().map(|q| quantile(*q, &whole)).collect();
    // Each exemplar goes to the quantile that it is nearest to.
    for e in shape.take(h.exemplars) {
        let distance = |i: &usize| of_all.get(*i).map_or(f64::MAX, |q| (q - e.value).abs());
        let nearest = (0..rows.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        if let Some(row) = nearest.and_then(|i| rows.get_mut(i)) {
            row.exemplars.push(e);
        }
    }
    rows
}

/// 0 where nothing was counted.
fn quantile(q: f64, buckets: &Buckets) -> f64 {
    let total: u64 = buckets.values().sum();
    // Rounded up, and at least one, which serves low counts better.
    let wanted = ((q * total as f64).ceil() as u64).max(1);
    let (mut seen, mut below) = (0, None);
    for (bits, n) in buckets {
        let bound = f64::from_bits(*bits);
        if seen + n == wanted {
            return bound;
        }
        if seen + n > wanted {
            let share = (wanted - seen) as f64 / *n as f64;
            return between(below, bound, share);
        }
        seen += n;
        below = Some(bound);
    }
    0.0
}

/// At a share of the way from one bound to the next, on a logarithmic scale.
fn between(below: Option<f64>, bound: f64, share: f64) -> f64 {
    if bound <= 0.0 {
        return bound;
    }
    let high = bound.log2();
    let low = below.filter(|b| *b > 0.0).map_or(high - 1.0, f64::log2);
    (low + (high - low) * share).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(all: &[(f64, u64)]) -> Buckets {
        all.iter().map(|(b, n)| (b.to_bits(), *n)).collect()
    }

    #[test]
    fn quantiles_lie_between_the_bounds_of_their_bucket() {
        let b = buckets(&[(2.0, 2), (4.0, 2)]);
        assert_eq!(quantile(0.0, &b), 2f64.sqrt());
        assert_eq!(quantile(0.5, &b), 2.0);
        assert_eq!(quantile(0.75, &b), 8f64.sqrt());
        assert_eq!(quantile(1.0, &b), 4.0);
        assert_eq!(quantile(0.5, &buckets(&[])), 0.0);
        assert_eq!(quantile(0.5, &buckets(&[(0.0, 3)])), 0.0);
        assert_eq!(quantile(0.9, &buckets(&[(0.0, 1), (8.0, 4)])), 8.0);
    }
}
