//! Series on the way to the answer.

use std::cmp::Ordering;

use model::AnyValue;

use super::grid::Grid;
use crate::{
    answer::{MetricExemplar, MetricSeries},
    value::order,
};

pub(super) type Labels = Vec<(String, AnyValue)>;

/// A series with a value for each step, NaN where it has none.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub labels: Labels,
    pub values: Vec<f64>,
    pub exemplars: Vec<MetricExemplar>,
}

/// An order of label sets: name by name, value by value.
pub(super) fn order_labels(a: &Labels, b: &Labels) -> Ordering {
    let pairs = a.iter().zip(b);
    pairs
        .map(|((an, av), (bn, bv))| an.cmp(bn).then_with(|| order(av, bv)))
        .find(|o| o.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// What is left of them, in order. An exemplar without a value stands where the sample of its time does.
pub(super) fn series(mut rows: Vec<Row>, grid: &Grid) -> Vec<MetricSeries> {
    rows.sort_by(|a, b| order_labels(&a.labels, &b.labels));
    let made = |row: Row| {
        let sample = |(step, v): (usize, &f64)| (!v.is_nan()).then(|| (grid.sample_ms(step), *v));
        let samples: Vec<(i64, f64)> = row.values.iter().enumerate().filter_map(sample).collect();
        if samples.is_empty() {
            return None;
        }
        let at = |e: &MetricExemplar| {
            let step = grid.step_of(e.timestamp_ms.saturating_mul(1_000_000).max(grid.start_ns))?;
            row.values.get(step).copied().filter(|v| !v.is_nan())
        };
        let placed = |mut e: MetricExemplar| {
            let here = at(&e)?;
            if e.value.is_nan() {
                e.value = here;
            }
            Some(e)
        };
        let exemplars = row.exemplars.iter().cloned().filter_map(placed).collect();
        Some(MetricSeries { labels: row.labels, samples, exemplars })
    };
    rows.into_iter().filter_map(made).collect()
}
