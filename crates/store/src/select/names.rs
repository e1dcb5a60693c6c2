//! Label names and values, label sets and metadata: unions over tenants and sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contract::{Coverage, Error, LabelNamesRequest, LabelValuesRequest, MetadataRequest, NamedField, Result};
use model::{Labels, Matcher, MetricMetadata, Signal, TenantId};

use super::{
    Answer, TENANT_LABEL, any_of_this, logs,
    spans::{
        self,
        names::{Ask, ask},
    },
};
use crate::{core::Core, deletions::Deleted, readers::Reader, shelf::FrozenData};

pub(crate) async fn label_names(core: &Arc<Core>, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
    let answer = Answer::new(core, &r.scope, r.signal.clone());
    let mut names = BTreeSet::new();
    let many = !r.scope.tenants.is_single();
    for tenant in r.scope.tenants.iter() {
        let Some(selectors) = selectors_of(tenant, &r.selectors, many) else { continue };
        match r.signal.as_str() {
            "traces" => ask_spans(&answer, tenant, &Ask::Keys, &mut names).await?,
            "logs" => {
                let sets = logs::label_sets(&answer, tenant, &selectors).await?;
                names.extend(sets.iter().flat_map(|l| l.iter().map(|(n, _)| n.to_owned())));
            }
            _ => metric_names(&answer, tenant, &selectors, &mut names).await?,
        }
    }
    if many && !names.is_empty() && r.signal != Signal::TRACES {
        names.insert(TENANT_LABEL.to_owned());
    }
    Ok((cut(names, r.limit), answer.final_coverage()))
}

pub(crate) async fn label_values(core: &Arc<Core>, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
    let traces = !matches!(r.field, NamedField::Label(_)) || r.signal == Signal::TRACES;
    let signal = if traces { Signal::TRACES } else { r.signal.clone() };
    let answer = Answer::new(core, &r.scope, signal);
    let mut values = BTreeSet::new();
    let limit = r.limit.unwrap_or(usize::MAX);
    let many = !r.scope.tenants.is_single();
    for tenant in r.scope.tenants.iter() {
        let Some(selectors) = selectors_of(tenant, &r.selectors, many) else { continue };
        let ask = match &r.field {
            NamedField::Service => Ask::Services,
            NamedField::Operation { service, kind } => {
                Ask::Operations { service: service.as_deref(), kind: *kind }
            }
            NamedField::Attribute(key) => Ask::Values { key, limit },
            NamedField::Label(key) if traces => Ask::Values { key, limit },
            NamedField::Label(name) if many && name == TENANT_LABEL => {
                if !tenant_sets(&answer, tenant, &selectors).await?.is_empty() {
                    values.insert(tenant.as_str().to_owned());
                }
                continue;
            }
            NamedField::Label(name) if r.signal == Signal::LOGS => {
                let sets = logs::label_sets(&answer, tenant, &selectors).await?;
                values.extend(sets.iter().filter_map(|l| l.get(name)).map(str::to_owned));
                continue;
            }
            NamedField::Label(name) => {
                metric_values(&answer, tenant, name, &selectors, &mut values).await?;
                continue;
            }
        };
        ask_spans(&answer, tenant, &ask, &mut values).await?;
    }
    Ok((cut(values, r.limit), answer.final_coverage()))
}

pub(crate) async fn label_sets(core: &Arc<Core>, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
    let answer = Answer::new(core, &r.scope, r.signal.clone());
    let many = !r.scope.tenants.is_single();
    let mut sets = BTreeSet::new();
    for tenant in r.scope.tenants.iter() {
        let Some(selectors) = selectors_of(tenant, &r.selectors, many) else { continue };
        let found = tenant_sets(&answer, tenant, &selectors).await?;
        if many {
            sets.extend(found.into_iter().map(|l| l.with(TENANT_LABEL, tenant.as_str())));
        } else {
            sets.extend(found);
        }
    }
    if sets.len() as u64 > answer.limits.max_series
        && r.limit.is_none_or(|l| l as u64 > answer.limits.max_series)
    {
        let max = answer.limits.max_series;
        return Err(Error::limited(
            "query.max_series",
            format!("the selectors match more than query.max_series ({max}) series"),
        ));
    }
    Ok((cut(sets, r.limit), answer.final_coverage()))
}

/// Metadata of every family seen; of one told by several tenants the last tenant's counts.
pub(crate) fn metadata(core: &Arc<Core>, r: MetadataRequest) -> (Vec<MetricMetadata>, Coverage) {
    let answer = Answer::new(core, &r.scope, Signal::METRICS);
    let mut found: BTreeMap<String, MetricMetadata> = BTreeMap::new();
    for tenant in r.scope.tenants.iter() {
        if let Some(shelf) = answer.shelf(tenant) {
            found.extend(shelf.metadata());
        }
    }
    let wanted = found.into_values().filter(|m| r.family.as_ref().is_none_or(|f| *f == m.family));
    (cut(wanted, r.limit), answer.final_coverage())
}

/// What the selectors ask of one tenant; `None` when they exclude it.
fn selectors_of(tenant: &TenantId, selectors: &[Vec<Matcher>], many: bool) -> Option<Vec<Vec<Matcher>>> {
    if many { any_of_this(tenant, selectors) } else { Some(selectors.to_vec()) }
}

fn cut<T>(values: impl IntoIterator<Item = T>, limit: Option<usize>) -> Vec<T> {
    values.into_iter().take(limit.unwrap_or(usize::MAX)).collect()
}

async fn tenant_sets(
    answer: &Answer,
    tenant: &TenantId,
    selectors: &[Vec<Matcher>],
) -> Result<BTreeSet<Labels>> {
    match answer.signal.as_str() {
        "logs" => logs::label_sets(answer, tenant, selectors).await,
        "metrics" => {
            let mut sets = BTreeSet::new();
            let found = metric_sources(answer, tenant, selectors, |l| {
                sets.insert(l.clone());
            });
            for open in found.await? {
                sets.extend(open.label_sets(answer, selectors).await);
            }
            Ok(sets)
        }
        _ => Ok(BTreeSet::new()),
    }
}

struct OpenSegment {
    reader: segment::metrics::Reader,
    segment: Arc<crate::catalog::SegmentRef>,
    deleted: Deleted,
}

impl OpenSegment {
    /// Those that are not deleted whole, as far as asked for.
    async fn label_sets(&self, answer: &Answer, selectors: &[Vec<Matcher>]) -> Vec<Labels> {
        let inside = self.segment.range().intersect(answer.range);
        match self.reader.label_sets(selectors, answer.range).await {
            Ok(sets) if self.deleted.is_nothing() => sets.into_iter().collect(),
            Ok(sets) => sets.into_iter().filter(|l| !self.deleted.hides(l, inside)).collect(),
            Err(e) => {
                answer.missing(&self.segment, &e);
                Vec::new()
            }
        }
    }
}

/// Calls `each` for label sets in heads and opens the segments in range.
async fn metric_sources(
    answer: &Answer,
    tenant: &TenantId,
    selectors: &[Vec<Matcher>],
    mut each: impl FnMut(&Labels),
) -> Result<Vec<OpenSegment>> {
    let Some(shelf) = answer.shelf(tenant) else { return Ok(Vec::new()) };
    let (active, view) = shelf.label_view(selectors, answer.range);
    active.iter().for_each(&mut each);
    for frozen in &view.frozen {
        if let FrozenData::Metrics(m) = &frozen.data {
            m.label_sets(selectors, answer.range).iter().for_each(&mut each);
        }
    }
    let mut open = Vec::new();
    for s in view.segments(answer.range) {
        answer.limits.check_deadline()?;
        let may = selectors.is_empty() || selectors.iter().any(|m| s.info.may_match(m));
        if may && let Some(Reader::Metrics(reader)) = answer.open(&s).await {
            let deleted = Deleted::of(&view.live, &s)?;
            open.push(OpenSegment { reader, segment: s, deleted });
        }
    }
    Ok(open)
}

async fn metric_names(
    answer: &Answer,
    tenant: &TenantId,
    selectors: &[Vec<Matcher>],
    names: &mut BTreeSet<String>,
) -> Result<()> {
    let found = metric_sources(answer, tenant, selectors, |l| {
        for (n, _) in l {
            if !names.contains(n) {
                names.insert(n.to_owned());
            }
        }
    });
    for open in found.await? {
        if !open.deleted.is_nothing() {
            let sets = open.label_sets(answer, selectors).await;
            names.extend(sets.iter().flat_map(|l| l.iter().map(|(n, _)| n.to_owned())));
            continue;
        }
        match open.reader.label_names(selectors, answer.range).await {
            Ok(more) => names.extend(more),
            Err(e) => answer.missing(&open.segment, &e),
        }
    }
    Ok(())
}

async fn metric_values(
    answer: &Answer,
    tenant: &TenantId,
    name: &str,
    selectors: &[Vec<Matcher>],
    values: &mut BTreeSet<String>,
) -> Result<()> {
    let found = metric_sources(answer, tenant, selectors, |l| {
        if let Some(v) = l.get(name)
            && !values.contains(v)
        {
            values.insert(v.to_owned());
        }
    });
    for open in found.await? {
        if !open.deleted.is_nothing() {
            let sets = open.label_sets(answer, selectors).await;
            values.extend(sets.iter().filter_map(|l| l.get(name)).map(str::to_owned));
            continue;
        }
        match open.reader.label_values(name, selectors, answer.range).await {
            Ok(more) => values.extend(more),
            Err(e) => answer.missing(&open.segment, &e),
        }
    }
    Ok(())
}

async fn ask_spans(
    answer: &Answer,
    tenant: &TenantId,
    what: &Ask<'_>,
    out: &mut BTreeSet<String>,
) -> Result<()> {
    for source in spans::of_tenant(answer, tenant) {
        ask(answer, &source, what, out).await?;
    }
    Ok(())
}
