//! Series: sorted sources merged lazily; heads count over segments, later commits over earlier ones.

use std::{collections::VecDeque, sync::Arc};

use base::memory::Reservation;
use contract::{Error, Result, Selection, SeriesData, SeriesRequest};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Matcher, Signal, TenantId};
use segment::metrics::SeriesRows;

use super::{Answer, TENANT_LABEL, merge_rows, of_this, rows::RowStream};
use crate::{core::Core, deletions::Deleted, head::SeriesSnapshot, readers::Reader, shelf::FrozenData};

/// Segments opened at once.
const OPEN_AT_ONCE: usize = 8;
/// Bytes of one decoded sample, for the memory reservation.
const SAMPLE_BYTES: u64 = 16;
/// What reading one segment takes beside the samples it gives: pages of its columns and the state of their decoders.
const SOURCE_BYTES: u64 = 512 << 10;

pub(crate) async fn series(core: &Arc<Core>, r: SeriesRequest) -> Result<Selection<SeriesData>> {
    let answer = Answer::new(core, &r.scope, Signal::METRICS);
    let matchers: Arc<[Matcher]> = r.matchers.into();
    if r.scope.tenants.is_single() {
        let mut items = stream::empty().boxed();
        for tenant in r.scope.tenants.iter() {
            items = of_tenant(&answer, tenant, &matchers).await?;
        }
        return Ok(Selection::new(items, answer.coverage));
    }
    // The tenant's label changes how series compare, so the answer is put in order as a whole.
    let mut all = Vec::new();
    let mut held = answer.reserve(0)?;
    let (mut samples, limits) = (0, &answer.limits);
    for tenant in r.scope.tenants.iter() {
        let Some(matchers) = of_this(tenant, &matchers) else { continue };
        let mut items = of_tenant(&answer, tenant, &matchers.into()).await?;
        while let Some(mut s) = items.try_next().await? {
            samples += s.sample_count() as u64;
            s.labels = s.labels.with(TENANT_LABEL, tenant.as_str());
            held.grow(s.sample_count() as u64 * SAMPLE_BYTES + s.labels.packed_len() as u64)?;
            all.push(s);
            check(limits, all.len() as u64, samples)?;
        }
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let items = stream::iter(all).map(move |s| {
        let _ = &held;
        Ok(s)
    });
    Ok(Selection::new(items.boxed(), answer.coverage))
}

fn check(limits: &contract::QueryLimits, series: u64, samples: u64) -> Result<()> {
    limits.check_deadline()?;
    if series > limits.max_series {
        let message =
            format!("the selector matches more than query.max_series ({}) series", limits.max_series);
        return Err(Error::limited("query.max_series", message));
    }
    if samples > limits.max_samples {
        let message = format!("the query reads more than query.max_samples ({}) samples", limits.max_samples);
        return Err(Error::limited("query.max_samples", message));
    }
    Ok(())
}

struct Counting {
    merged: RowStream<Error>,
    answer: Answer,
    held: Reservation,
    series: u64,
    samples: u64,
}

async fn of_tenant(
    answer: &Answer,
    tenant: &TenantId,
    matchers: &Arc<[Matcher]>,
) -> Result<stream::BoxStream<'static, Result<SeriesData>>> {
    let Some(shelf) = answer.shelf(tenant) else { return Ok(stream::empty().boxed()) };
    let range = answer.range;
    let view = shelf.view(matchers, range, answer.limits.max_series);
    let mut sources: Vec<RowStream<Error>> = Vec::new();
    let segments = view.segments(range);
    let candidates = segments.into_iter().filter(|s| s.info.may_match(matchers));
    let candidates: Vec<_> = candidates.collect();
    let mut held = answer.reserve(candidates.len() as u64 * SOURCE_BYTES)?;
    let opened: Vec<_> = stream::iter(candidates)
        .map(|s| async move { (answer.open(&s).await, s) })
        .buffered(OPEN_AT_ONCE)
        .collect()
        .await;
    for (reader, segment) in opened {
        if let Some(Reader::Metrics(reader)) = reader {
            let answer = answer.clone();
            let deleted = Deleted::of(&view.live, &segment)?;
            // A segment that breaks off is left out from there on, and the coverage says so.
            let rows = reader.select(matchers.to_vec(), range).map(Some).scan((), move |(), item| {
                futures::future::ready(match item {
                    Some(Ok(mut rows)) => {
                        deleted.take_from(&mut rows);
                        Some(Ok(rows))
                    }
                    Some(Err(e)) => {
                        answer.missing(&segment, &e);
                        None
                    }
                    None => None,
                })
            });
            sources.push(rows.boxed());
        }
    }
    let mut heads: Vec<Vec<SeriesSnapshot>> = Vec::new();
    for frozen in &view.frozen {
        if let FrozenData::Metrics(m) = &frozen.data {
            heads.push(m.select(matchers, range));
        }
    }
    if let FrozenData::Metrics(m) = view.head {
        heads.push(m.series);
    }
    let mut head_bytes = 0;
    for mut found in heads {
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        check(&answer.limits, found.len() as u64, 0)?;
        head_bytes += found.iter().map(|s| s.store.heap_bytes() as u64 + 64).sum::<u64>();
        sources.push(snapshots(found, range));
    }
    held.grow(head_bytes)?;
    let state = Counting { merged: merge_rows(sources), answer: answer.clone(), held, series: 0, samples: 0 };
    Ok(stream::try_unfold(state, |mut s| async move { Ok(s.next().await?.map(|item| (item, s))) }).boxed())
}

impl Counting {
    async fn next(&mut self) -> Result<Option<SeriesData>> {
        loop {
            let Some(rows) = self.merged.try_next().await? else { return Ok(None) };
            let data = into_data(rows);
            if data.sample_count() == 0 {
                continue;
            }
            self.series += 1;
            self.samples += data.sample_count() as u64;
            check(&self.answer.limits, self.series, self.samples)?;
            self.held.grow(data.sample_count() as u64 * SAMPLE_BYTES)?;
            return Ok(Some(data));
        }
    }
}

fn snapshots(found: Vec<SeriesSnapshot>, range: model::TimeRange) -> RowStream<Error> {
    let mut found = VecDeque::from(found);
    // Each is decoded, and its copy freed, when its turn comes.
    stream::poll_fn(move |_| {
        std::task::Poll::Ready(found.pop_front().map(|s| Ok(s.store.rows(&s.labels, range, false))))
    })
    .boxed()
}

fn into_data(r: SeriesRows) -> SeriesData {
    SeriesData {
        labels: r.labels,
        timestamps_ms: r.timestamps_ms,
        values: r.values,
        starts_ms: if r.starts_ms.iter().any(|s| *s != 0) { r.starts_ms } else { Vec::new() },
        histograms: r.histograms,
    }
}
