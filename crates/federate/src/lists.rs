//! Names, values, label sets, metadata and exemplars of many members: unions in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contract::{
    Coverage, Error, ExemplarsRequest, LabelNamesRequest, LabelValuesRequest, MetadataRequest, NamedField,
    Result, Select, SpanKeysRequest, SpanScope, SpanValue, SpanValuesRequest,
};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Future},
    stream::FuturesUnordered,
};
use model::{Exemplar, Labels, Matcher, MetricMetadata, Signal};
use tokio::time::Instant;

use crate::{Federation, Member, query::Query, replicas::Mark};

pub(crate) async fn label_names(f: &Federation, r: LabelNamesRequest) -> Result<(Vec<String>, Coverage)> {
    let mut query = f.ask(&r.scope, &r.signal, |m| selectors_for(m, &r.signal, &r.selectors).is_some())?;
    let asked = each(&query, |m, scope| {
        let selectors = selectors_for(m, &r.signal, &r.selectors).unwrap_or_default();
        let request = LabelNamesRequest { scope, selectors, ..r.clone() };
        let mark = mark_of(&query, m, &r.signal);
        call(m, move |s| unmarked_names(s, request, mark))
    });
    union(&mut query, asked, r.limit, "label names").await
}

pub(crate) async fn label_values(f: &Federation, r: LabelValuesRequest) -> Result<(Vec<String>, Coverage)> {
    // Everything but labels is asked about spans.
    let signal = match r.field {
        NamedField::Label(_) => r.signal.clone(),
        _ => Signal::TRACES,
    };
    let mut query = f.ask(&r.scope, &signal, |m| selectors_for(m, &signal, &r.selectors).is_some())?;
    let asked = each(&query, |m, scope| {
        let selectors = selectors_for(m, &signal, &r.selectors).unwrap_or_default();
        let request = LabelValuesRequest { scope, selectors, ..r.clone() };
        let mark = mark_of(&query, m, &signal);
        call(m, move |s| unmarked_values(s, request, mark))
    });
    union(&mut query, asked, r.limit, "values").await
}

pub(crate) async fn span_keys(
    f: &Federation,
    r: SpanKeysRequest,
) -> Result<(Vec<(SpanScope, String)>, Coverage)> {
    let mut query = f.ask(&r.scope, &Signal::TRACES, |_| true)?;
    let asked = each(&query, |m, scope| {
        let request = SpanKeysRequest { scope, ..r.clone() };
        call(m, move |s| async move { s.span_keys(request).await })
    });
    union(&mut query, asked, r.limit, "keys of attributes").await
}

pub(crate) async fn span_values(f: &Federation, r: SpanValuesRequest) -> Result<(Vec<SpanValue>, Coverage)> {
    let mut query = f.ask(&r.scope, &Signal::TRACES, |_| true)?;
    let asked = each(&query, |m, scope| {
        let request = SpanValuesRequest { scope, ..r.clone() };
        call(m, move |s| async move { s.span_values(request).await })
    });
    union(&mut query, asked, r.limit, "values").await
}

pub(crate) async fn label_sets(f: &Federation, r: LabelNamesRequest) -> Result<(Vec<Labels>, Coverage)> {
    let mut query = f.ask(&r.scope, &r.signal, |m| selectors_for(m, &r.signal, &r.selectors).is_some())?;
    let asked = each(&query, |m, scope| {
        let selectors = selectors_for(m, &r.signal, &r.selectors).unwrap_or_default();
        let request = LabelNamesRequest { scope, selectors, ..r.clone() };
        let mark = mark_of(&query, m, &r.signal);
        call(m, move |s| unmarked_sets(s, request, mark))
    });
    let max = query.limits().max_series;
    let (sets, coverage) = union(&mut query, asked, None, "label sets").await?;
    if sets.len() as u64 > max && r.limit.is_none_or(|l| l as u64 > max) {
        let message = format!("the selectors match more than query.max_series ({max}) series");
        return Err(Error::limited("query.max_series", message));
    }
    Ok((cut(sets, r.limit), coverage))
}

/// Of a family that several describe, the first member's description counts.
pub(crate) async fn metadata(f: &Federation, r: MetadataRequest) -> Result<(Vec<MetricMetadata>, Coverage)> {
    let mut query = f.ask(&r.scope, &Signal::METRICS, |_| true)?;
    let asked = each(&query, |m, scope| {
        let request = MetadataRequest { scope, ..r.clone() };
        call(m, move |s| async move { s.metadata(request).await })
    });
    let lists = gather(&mut query, asked, |list: &Vec<MetricMetadata>| {
        if list.is_sorted_by(|a, b| a.family < b.family) { None } else { Some("metadata") }
    });
    let mut found: BTreeMap<String, MetricMetadata> = BTreeMap::new();
    for family in lists.await?.into_iter().flatten() {
        found.entry(family.family.clone()).or_insert(family);
    }
    Ok((cut(found.into_values(), r.limit), query.coverage().lock().clone()))
}

/// An exemplar that several have comes once.
pub(crate) async fn exemplars(
    f: &Federation,
    r: ExemplarsRequest,
) -> Result<(Vec<(Labels, Vec<Exemplar>)>, Coverage)> {
    let mut query = f.ask(&r.scope, &Signal::METRICS, |m| m.alternatives(&r.selectors).is_some())?;
    let asked = each(&query, |m, scope| {
        let request = ExemplarsRequest { scope, selectors: m.alternatives(&r.selectors).unwrap_or_default() };
        let mark = mark_of(&query, m, &Signal::METRICS);
        call(m, move |s| unmarked_exemplars(s, request, mark))
    });
    let lists = gather(&mut query, asked, |list: &Exemplars| {
        let times = |(_, e): &(Labels, Vec<Exemplar>)| e.is_sorted_by_key(|e| e.timestamp_ms);
        let sorted = list.is_sorted_by(|a, b| a.0 < b.0) && list.iter().all(times);
        if sorted { None } else { Some("exemplars") }
    });
    let mut found: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
    for (labels, more) in lists.await?.into_iter().flatten() {
        found.entry(labels).or_default().extend(more);
    }
    found.values_mut().for_each(in_time_and_once);
    Ok((found.into_iter().collect(), query.coverage().lock().clone()))
}

fn in_time_and_once(list: &mut Vec<Exemplar>) {
    list.sort_by_key(|e| e.timestamp_ms);
    let mut kept: Vec<Exemplar> = Vec::with_capacity(list.len());
    for e in list.drain(..) {
        // Equal ones are of one time, and of one time there are few.
        let same_time = kept.iter().rev().take_while(|k| k.timestamp_ms == e.timestamp_ms);
        if !same_time.into_iter().any(|k| *k == e) {
            kept.push(e);
        }
    }
    *list = kept;
}

/// The alternatives that a member may hold something for; `None` where it need not be asked. What is asked about
/// spans is not about labels, so there nobody is left out.
fn selectors_for(m: &Member, signal: &Signal, selectors: &[Vec<Matcher>]) -> Option<Vec<Vec<Matcher>>> {
    if *signal == Signal::TRACES { Some(selectors.to_vec()) } else { m.alternatives(selectors) }
}

/// What series and streams of a member carry beside their own labels.
fn mark_of(query: &Query, m: &Member, signal: &Signal) -> Option<Mark> {
    query.mark(m).filter(|_| *signal != Signal::TRACES)
}

/// The mark's name is left out unless some series has a label of that name for itself.
async fn unmarked_names(
    select: Arc<dyn Select>,
    mut r: LabelNamesRequest,
    mark: Option<Mark>,
) -> Result<(Vec<String>, Coverage)> {
    let Some(mark) = mark else { return select.label_names(r).await };
    r.limit = r.limit.map(|l| l.saturating_add(1));
    let (mut names, mut coverage) = select.label_names(r.clone()).await?;
    if names.contains(&mark.label) {
        let LabelNamesRequest { scope, signal, selectors, .. } = r;
        let field = NamedField::Label(mark.label.clone());
        // Of two values one is not the mark's.
        let ask = LabelValuesRequest { scope, signal, field, selectors, limit: Some(2) };
        let (values, more) = select.label_values(ask).await?;
        coverage.merge(more);
        if values.iter().all(|v| *v == mark.replica) {
            names.retain(|n| *n != mark.label);
        }
    }
    Ok((names, coverage))
}

async fn unmarked_values(
    select: Arc<dyn Select>,
    mut r: LabelValuesRequest,
    mark: Option<Mark>,
) -> Result<(Vec<String>, Coverage)> {
    let mark = mark.filter(|m| r.field == NamedField::Label(m.label.clone()));
    let Some(mark) = mark else { return select.label_values(r).await };
    r.limit = r.limit.map(|l| l.saturating_add(1));
    let (mut values, coverage) = select.label_values(r).await?;
    values.retain(|v| *v != mark.replica);
    Ok((values, coverage))
}

async fn unmarked_sets(
    select: Arc<dyn Select>,
    mut r: LabelNamesRequest,
    mark: Option<Mark>,
) -> Result<(Vec<Labels>, Coverage)> {
    let Some(mark) = mark else { return select.label_sets(r).await };
    // Without the mark the first so many may be others.
    r.limit = None;
    let (mut sets, coverage) = select.label_sets(r).await?;
    if sets.is_sorted_by(|a, b| a < b) {
        sets.iter_mut().for_each(|l| *l = mark.off(l));
        sets.sort_unstable();
        sets.dedup();
    }
    Ok((sets, coverage))
}

async fn unmarked_exemplars(
    select: Arc<dyn Select>,
    r: ExemplarsRequest,
    mark: Option<Mark>,
) -> Result<(Exemplars, Coverage)> {
    let (mut list, coverage) = select.exemplars(r).await?;
    if let Some(mark) = mark
        && list.is_sorted_by(|a, b| a.0 < b.0)
    {
        let mut by_labels: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for (labels, more) in list {
            by_labels.entry(mark.off(&labels)).or_default().extend(more);
        }
        by_labels.values_mut().for_each(|l| l.sort_by_key(|e| e.timestamp_ms));
        list = by_labels.into_iter().collect();
    }
    Ok((list, coverage))
}

type Exemplars = Vec<(Labels, Vec<Exemplar>)>;
pub(crate) type Call<T> = BoxFuture<'static, Result<(T, Coverage)>>;

pub(crate) fn call<T, F>(member: &Member, ask: impl FnOnce(Arc<dyn Select>) -> F) -> Call<T>
where
    F: Future<Output = Result<(T, Coverage)>> + Send + 'static,
{
    ask(member.select.clone()).boxed()
}

fn each<T>(query: &Query, mut ask: impl FnMut(&Member, contract::Scope) -> Call<T>) -> Vec<Call<T>> {
    each_numbered(query, |_, m, scope| ask(m, scope))
}

/// The same where it matters whose answer one is.
pub(crate) fn each_numbered<T>(
    query: &Query,
    mut ask: impl FnMut(usize, &Member, contract::Scope) -> Call<T>,
) -> Vec<Call<T>> {
    query.members().map(|(i, m)| ask(i, &m, query.told(i))).collect()
}

/// Sorted and distinct, as far as the limit goes: each member's first so many hold the first so many of all.
async fn union<T: Ord>(
    query: &mut Query,
    asked: Vec<Call<Vec<T>>>,
    limit: Option<usize>,
    what: &'static str,
) -> Result<(Vec<T>, Coverage)> {
    let ascends = |list: &Vec<T>| if list.is_sorted_by(|a, b| a < b) { None } else { Some(what) };
    let all: BTreeSet<T> = gather(query, asked, ascends).await?.into_iter().flatten().collect();
    Ok((cut(all, limit), query.coverage().lock().clone()))
}

fn cut<T>(values: impl IntoIterator<Item = T>, limit: Option<usize>) -> Vec<T> {
    values.into_iter().take(limit.unwrap_or(usize::MAX)).collect()
}

/// Waits for all members at once; their answers in the order of the list. `disorder` names what came out of order:
/// such an answer is used, and known not to be whole.
pub(crate) async fn gather<T>(
    query: &mut Query,
    asked: Vec<Call<T>>,
    disorder: impl Fn(&T) -> Option<&'static str>,
) -> Result<Vec<T>> {
    let patience: Vec<_> = query.members().map(|(i, m)| query.patience(i, &m)).collect();
    let waits = asked.into_iter().zip(patience).enumerate();
    let mut pending: FuturesUnordered<_> =
        waits.map(|(i, (call, mut patience))| async move { (i, patience.ask(call).await) }).collect();
    let (mut found, mut ended) = (Vec::new(), vec![None; pending.len()]);
    let mut open: BTreeSet<usize> = (0..pending.len()).collect();
    while !open.is_empty() {
        let overdue = open.iter().filter_map(|i| Some((query.overdue(*i, &ended)?, *i))).min();
        let next = tokio::select! {
            biased;
            next = pending.next() => next,
            i = over(overdue) => Some((i, Err(crate::Error::Outrun))),
        };
        let Some((i, outcome)) = next else { break };
        if !open.remove(&i) {
            // It was given up already.
            continue;
        }
        match outcome {
            Err(e) => query.failed(i, e, Coverage::default(), Vec::new())?,
            Ok((list, said)) => {
                query.used(i);
                match disorder(&list) {
                    None => {
                        if let Some(at) = ended.get_mut(i).filter(|_| said.is_complete()) {
                            *at = Some(Instant::now());
                        }
                        query.answered(i, said);
                    }
                    Some(what) => {
                        let detail = "what lies beyond the limit may have been cut wrongly".to_owned();
                        query.failed(i, crate::Error::Order { what, detail }, said, Vec::new())?;
                    }
                }
                found.push((i, list));
            }
        }
    }
    query.finish()?;
    query.check_deadline()?;
    found.sort_by_key(|(i, _)| *i);
    Ok(found.into_iter().map(|(_, list)| list).collect())
}

/// Which one is overdue, once it is.
async fn over(overdue: Option<(Instant, usize)>) -> usize {
    let Some((at, i)) = overdue else { return std::future::pending().await };
    tokio::time::sleep_until(at).await;
    i
}

#[cfg(test)]
mod tests;
