//! Exemplars: unions over tenants, heads and segments.

use std::{collections::BTreeMap, sync::Arc};

use contract::{Coverage, Error, ExemplarsRequest, Result};
use model::{Exemplar, Labels, Matcher, Signal, TenantId, TimeRange, matcher::all_match};

use super::{Answer, TENANT_LABEL, any_of_this};
use crate::{core::Core, deletions::Deleted, head::SeriesSnapshot, readers::Reader, shelf::FrozenData};

/// Bytes of an exemplar beside its labels, for the memory reservation.
const EXEMPLAR_BYTES: u64 = 48;

pub(crate) async fn exemplars(
    core: &Arc<Core>,
    r: ExemplarsRequest,
) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
    let answer = Answer::new(core, &r.scope, Signal::METRICS);
    let many = !r.scope.tenants.is_single();
    let mut found = Found { answer: &answer, held: answer.reserve(0)?, series: BTreeMap::new() };
    for tenant in r.scope.tenants.iter() {
        let selectors = if many { any_of_this(tenant, &r.selectors) } else { Some(r.selectors.clone()) };
        let Some(selectors) = selectors else { continue };
        found.of_tenant(tenant, &selectors, many).await?;
    }
    let mut series = found.series;
    for list in series.values_mut() {
        list.sort_by_key(|e| e.timestamp_ms);
        // The same one may be in a segment and in the head it was made of, or have been sent twice.
        list.dedup();
    }
    Ok((series.into_iter().collect(), answer.final_coverage()))
}

struct Found<'a> {
    answer: &'a Answer,
    held: base::memory::Reservation,
    series: BTreeMap<Labels, Vec<Exemplar>>,
}

impl Found<'_> {
    async fn of_tenant(&mut self, tenant: &TenantId, selectors: &[Vec<Matcher>], many: bool) -> Result<()> {
        let answer = self.answer;
        let Some(shelf) = answer.shelf(tenant) else { return Ok(()) };
        let own = |l: &Labels| if many { l.with(TENANT_LABEL, tenant.as_str()) } else { l.clone() };
        let (mut segments, live) = (Vec::new(), shelf.live());
        for (i, matchers) in selectors.iter().enumerate() {
            let before = selectors.get(..i).unwrap_or_default();
            // Exemplars may lie outside the times of the samples they came with.
            let view = shelf.view(matchers, TimeRange::ALL, answer.limits.max_series);
            for frozen in &view.frozen {
                if let FrozenData::Metrics(m) = &frozen.data {
                    self.in_head(m.select(matchers, TimeRange::ALL), before, &own)?;
                }
            }
            segments = view.segments(answer.range);
            if let FrozenData::Metrics(m) = view.head {
                self.in_head(m.series, before, &own)?;
            }
        }
        for segment in segments {
            answer.limits.check_deadline()?;
            if !selectors.iter().any(|m| segment.info.may_match(m)) {
                continue;
            }
            let Some(Reader::Metrics(reader)) = answer.open(&segment).await else { continue };
            let deleted = Deleted::of(&live, &segment)?;
            match reader.exemplars(selectors, answer.range).await {
                Ok(list) => list.into_iter().try_for_each(|(labels, mut e)| {
                    e.retain(|e| !deleted.covers(&labels, e.timestamp_ms));
                    if e.is_empty() { Ok(()) } else { self.add(own(&labels), e) }
                })?,
                Err(e) => answer.missing(&segment, &e),
            }
        }
        Ok(())
    }

    /// Adds what series of a head have; those that one of the selectors `before` matched were added by it.
    fn in_head(
        &mut self,
        series: Vec<SeriesSnapshot>,
        before: &[Vec<Matcher>],
        own: &dyn Fn(&Labels) -> Labels,
    ) -> Result<()> {
        self.answer.limits.check_deadline()?;
        let max = self.answer.limits.max_series;
        if series.len() as u64 > max {
            let message = format!("the selector matches more than query.max_series ({max}) series");
            return Err(Error::limited("query.max_series", message));
        }
        for s in series.into_iter().filter(|s| !before.iter().any(|m| all_match(m, &s.labels))) {
            let rows = s.store.rows(&s.labels, self.answer.range, true);
            if !rows.exemplars.is_empty() {
                self.add(own(&s.labels), rows.exemplars)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, labels: Labels, exemplars: Vec<Exemplar>) -> Result<()> {
        let bytes = exemplars.iter().map(|e| e.labels.packed_len() as u64 + EXEMPLAR_BYTES).sum::<u64>();
        self.held.grow(bytes + labels.packed_len() as u64)?;
        self.series.entry(labels).or_default().extend(exemplars);
        Ok(())
    }
}
