//! Reading: every fetch of a plan through the seam, into samples the evaluator borrows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contract::{Coverage, Scope, Select, SeriesHints, SeriesRequest};
use eval::{
    Meter,
    window::{HistogramPoint, Samples},
};
use futures::StreamExt;
use model::{Labels, TimeRange};

use crate::{Error, QueryContext, Stats, gather::Pushed, plan::Plan};

/// One series with its samples, staleness markers included.
pub(crate) struct Fetched {
    pub labels: Labels,
    pub samples: Samples,
    /// Whether there is a staleness marker among the samples.
    pub has_stale: bool,
}

/// Everything a plan needs, by index of its fetches.
#[derive(Default)]
pub(crate) struct Data {
    pub series: Vec<Vec<Fetched>>,
    pub reads: Vec<Read>,
    /// What was evaluated elsewhere, by index of the plan's pushes.
    pub pushed: Vec<Pushed>,
    pub coverage: Coverage,
}

/// What one fetch took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Read {
    pub series: u64,
    pub samples: u64,
    pub bytes: u64,
    pub time: Duration,
}

pub(crate) async fn fetch(
    select: &Arc<dyn Select>,
    plan: &Plan,
    ctx: &QueryContext,
    meter: &mut Meter,
    stats: &mut Stats,
) -> Result<Data, Error> {
    let mut data = Data::default();
    for f in &plan.fetches {
        let began = Instant::now();
        let mut read = Read::default();
        let mut list = Vec::new();
        let range = TimeRange::from_ms_inclusive(f.first_ms, f.last_ms);
        let mut scope = Scope::new(ctx.tenants.clone(), range);
        scope.limits = ctx.limits.clone();
        let hints = SeriesHints {
            step_ms: plan.grid.step_ms,
            window_ms: f.window_ms,
            function: f.function.map(str::to_owned),
            ..Default::default()
        };
        let request = SeriesRequest { scope, matchers: f.matchers.clone(), hints };
        let mut selection = select.series(request).await?;
        while let Some(series) = selection.items.next().await {
            let series = series?;
            let samples = series.sample_count() as u64;
            stats.samples = stats.samples.saturating_add(samples);
            stats.series += 1;
            if stats.samples > ctx.limits.max_samples {
                return Err(too_many_samples(ctx.limits.max_samples));
            }
            if list.len() as u64 >= ctx.limits.max_series {
                return Err(Error::Limit(
                    format!(
                        "query.max_series of {} is reached: a selector matches more series",
                        ctx.limits.max_series
                    ),
                    "query.max_series",
                ));
            }
            let fetched = convert(series);
            let bytes = fetched.samples.heap_bytes() + fetched.labels.packed_len() + 64;
            meter.charge(bytes)?;
            meter.work(samples as usize)?;
            read.series += 1;
            read.samples += samples;
            read.bytes += bytes as u64;
            list.push(fetched);
        }
        data.coverage.merge(selection.coverage());
        data.series.push(list);
        data.reads.push(Read { time: began.elapsed(), ..read });
    }
    Ok(data)
}

pub(crate) fn too_many_samples(max: u64) -> Error {
    Error::Limit(
        format!("query.max_samples of {max} is reached: the query reads more samples"),
        "query.max_samples",
    )
}

fn convert(mut s: contract::SeriesData) -> Fetched {
    // Everything below indexes one by the other.
    let n = s.values.len().min(s.timestamps_ms.len());
    s.values.truncate(n);
    s.timestamps_ms.truncate(n);
    let has_stale = s.values.iter().any(|v| model::is_stale_marker(*v))
        || s.histograms.iter().any(|(_, _, h)| h.is_stale());
    let histograms = s
        .histograms
        .into_iter()
        .map(|(t_ms, start_ms, h)| HistogramPoint { t_ms, start_ms, histogram: Arc::new(h) })
        .collect();
    let samples =
        Samples { timestamps_ms: s.timestamps_ms, values: s.values, starts_ms: s.starts_ms, histograms };
    Fetched { labels: s.labels, samples, has_stale }
}

/// The samples a range sees: staleness markers are no samples.
pub(crate) fn without_stale(s: &Samples) -> Samples {
    let keep: Vec<usize> = (0..s.values.len()).filter(|i| !model::is_stale_marker(s.values[*i])).collect();
    Samples {
        timestamps_ms: keep.iter().map(|i| s.timestamps_ms[*i]).collect(),
        values: keep.iter().map(|i| s.values[*i]).collect(),
        starts_ms: if s.starts_ms.is_empty() {
            Vec::new()
        } else {
            keep.iter().map(|i| s.starts_ms.get(*i).copied().unwrap_or(0)).collect()
        },
        histograms: s.histograms.iter().filter(|p| !p.histogram.is_stale()).cloned().collect(),
    }
}
