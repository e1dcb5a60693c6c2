//! Samples as rows: floats first, then native histograms, each ascending in time.

use std::sync::Arc;

use contract::SeriesData;
use datafusion::arrow::{
    array::{ArrayRef, Float64Array, StringArray, TimestampNanosecondArray},
    datatypes::{DataType, Field},
};
use model::{Histogram, is_stale_marker, labels::METRIC_NAME};

use super::{Table, UTC, maps, no_such, number, said, time};
use crate::Error;

const NS_PER_MS: i64 = 1_000_000;

pub(super) fn fields() -> Vec<Field> {
    vec![
        time("timestamp", false),
        said("metric"),
        number("value", DataType::Float64),
        said("cluster"),
        maps::field("labels", DataType::Utf8),
        number("histogram_count", DataType::Float64),
        number("histogram_sum", DataType::Float64),
        time("start_timestamp", true),
    ]
}

pub(super) fn len(series: &SeriesData) -> usize {
    series.sample_count()
}

/// A sample of either kind.
enum Sample<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

/// When, since when where known, and what, in milliseconds.
fn sample(series: &SeriesData, row: usize) -> Option<(i64, i64, Sample<'_>)> {
    match series.values.get(row) {
        Some(value) => {
            let start = series.starts_ms.get(row).copied().unwrap_or(0);
            Some((*series.timestamps_ms.get(row)?, start, Sample::Float(*value)))
        }
        None => {
            let (at, start, histogram) = series.histograms.get(row.checked_sub(series.values.len())?)?;
            Some((*at, *start, Sample::Histogram(histogram)))
        }
    }
}

pub(super) fn time_of(series: &SeriesData, row: usize) -> Option<i64> {
    let (at, _, sample) = sample(series, row)?;
    let ends = match sample {
        Sample::Float(value) => is_stale_marker(value),
        Sample::Histogram(h) => h.is_stale(),
    };
    (!ends).then(|| at.saturating_mul(NS_PER_MS))
}

pub(super) fn cost(series: &SeriesData, _: usize) -> usize {
    64 + series.labels.packed_len()
}

pub(super) fn column(series: &SeriesData, column: usize, rows: &[usize]) -> Result<ArrayRef, Error> {
    let samples = || rows.iter().filter_map(|r| sample(series, *r));
    let of_histogram = |get: fn(&Histogram) -> f64| {
        Arc::new(Float64Array::from_iter(samples().map(|(_, _, s)| match s {
            Sample::Histogram(h) => Some(get(h)),
            Sample::Float(_) => None,
        })))
    };
    let label = |name| Arc::new(StringArray::from_iter(rows.iter().map(|_| series.labels.get(name))));
    let times = |all: &mut dyn Iterator<Item = Option<i64>>| {
        let all = all.map(|t| t.map(|ms| ms.saturating_mul(NS_PER_MS)));
        Arc::new(TimestampNanosecondArray::from_iter(all).with_timezone(UTC))
    };
    Ok(match column {
        0 => times(&mut samples().map(|(at, ..)| Some(at))),
        1 => label(METRIC_NAME),
        2 => Arc::new(Float64Array::from_iter(samples().map(|(_, _, s)| match s {
            Sample::Float(value) => Some(value),
            Sample::Histogram(_) => None,
        }))),
        3 => label("cluster"),
        4 => maps::labels(rows.iter().map(|_| &series.labels), Some(METRIC_NAME))?,
        5 => of_histogram(|h| h.count),
        6 => of_histogram(|h| h.sum),
        7 => times(&mut samples().map(|(_, start, _)| (start != 0).then_some(start))),
        other => return Err(no_such(Table::Metrics, other)),
    })
}
