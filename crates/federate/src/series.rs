//! Series of many members as one stream in label order.

use std::sync::Arc;

use contract::{Error, QueryLimits, Result, Selection, SeriesData, SeriesRequest};
use futures::{FutureExt, StreamExt, stream};
use model::{Histogram, Signal};

use crate::{
    Federation, Member, Replication, dedup, feed::Feed, query::Query, replicas::Unmarked, rules::SeriesRule,
};

pub(crate) fn series(federation: &Federation, r: SeriesRequest) -> Result<Selection<SeriesData>> {
    let mut query = federation.ask(&r.scope, &Signal::METRICS, |m| m.may_match(&r.matchers))?;
    let coverage = query.coverage();
    let open = |i: usize, member: Arc<Member>| {
        let request = SeriesRequest { scope: query.told(i), ..r.clone() };
        let patience = query.patience(i, &member);
        let unmarked = query.mark(&member).map(|mark| Unmarked::new(mark, &query)).transpose()?;
        let call = async move { member.select.series(request).await }.boxed();
        let feed = Feed::start(call, SeriesRule::new(query.range()), patience, query.limits().memory.clone());
        Ok(Source { feed: Some(feed), unmarked, head: None })
    };
    let sources = query.members().map(|(i, m)| open(i, m)).collect::<Result<Vec<_>>>()?;
    query.watch(sources.iter().map(|s: &Source| s.feed.as_ref().map(Feed::ended)));
    let mirrored = |(group, (_, m)): (Option<usize>, (usize, Arc<Member>))| {
        group.filter(|_| query.replication(&m.name) == Some(Replication::Mirrored))
    };
    let mirrors = query.groups().into_iter().zip(query.members()).map(mirrored).collect();
    let merge = Merge { sources, mirrors, query, series: 0, samples: 0 };
    let items = stream::try_unfold(merge, |mut m| async move { Ok(m.next().await?.map(|s| (s, m))) });
    Ok(Selection::new(items.boxed(), coverage))
}

struct Source {
    feed: Option<Feed<SeriesData>>,
    /// Where it is a replica.
    unmarked: Option<Unmarked>,
    head: Option<SeriesData>,
}

struct Merge {
    sources: Vec<Source>,
    /// Of each source the number of the group whose members mirror each other.
    mirrors: Vec<Option<usize>>,
    query: Query,
    series: u64,
    samples: u64,
}

impl Merge {
    /// The next series: nothing is known of its place before every member that still answers has said its next.
    async fn next(&mut self) -> Result<Option<SeriesData>> {
        loop {
            self.query.check_deadline()?;
            for (i, source) in self.sources.iter_mut().enumerate() {
                if source.head.is_none() {
                    source.head = match &mut source.unmarked {
                        Some(unmarked) => unmarked.next(&mut self.query, i, &mut source.feed).await?,
                        None => self.query.next(i, &mut source.feed, Vec::new).await?,
                    };
                    if source.head.is_some() {
                        self.query.used(i);
                    }
                }
            }
            let first = self.sources.iter().filter_map(|s| s.head.as_ref().map(|h| &h.labels)).min().cloned();
            let Some(labels) = first else {
                self.query.finish()?;
                return Ok(None);
            };
            let heads = self.sources.iter_mut().map(|s| s.head.take_if(|h| h.labels == labels));
            let Some(merged) = merge_all(heads.zip(&self.mirrors)) else { continue };
            if merged.sample_count() == 0 {
                continue;
            }
            self.series += 1;
            self.samples += merged.sample_count() as u64;
            check(self.query.limits(), self.series, self.samples)?;
            return Ok(Some(merged));
        }
    }
}

/// Parts of one series, in the order of the members: those of mirrors first become one each.
fn merge_all<'a>(parts: impl Iterator<Item = (Option<SeriesData>, &'a Option<usize>)>) -> Option<SeriesData> {
    let mut groups: Vec<(Option<usize>, Vec<SeriesData>)> = Vec::new();
    for (part, mirror) in parts {
        let Some(part) = part else { continue };
        match groups.iter_mut().find(|(g, _)| mirror.is_some() && g == mirror) {
            Some((_, group)) => group.push(part),
            None => groups.push((*mirror, vec![part])),
        }
    }
    groups.into_iter().map(|(_, group)| dedup::merge(group)).reduce(merge_two)
}

fn check(limits: &QueryLimits, series: u64, samples: u64) -> Result<()> {
    let (max_series, max_samples) = (limits.max_series, limits.max_samples);
    if series > max_series {
        let message = format!("the selector matches more than query.max_series ({max_series}) series");
        return Err(Error::limited("query.max_series", message));
    }
    if samples > max_samples {
        let message = format!("the query reads more than query.max_samples ({max_samples}) samples");
        return Err(Error::limited("query.max_samples", message));
    }
    Ok(())
}

/// Both of one series, each ascending in time; where times are equal `first` counts.
pub(crate) fn merge_two(first: SeriesData, second: SeriesData) -> SeriesData {
    let started = !first.starts_ms.is_empty() || !second.starts_ms.is_empty();
    let room = first.values.len() + second.values.len();
    let mut out = SeriesData {
        timestamps_ms: Vec::with_capacity(room),
        values: Vec::with_capacity(room),
        starts_ms: Vec::with_capacity(if started { room } else { 0 }),
        ..SeriesData::default()
    };
    for (t, (v, start)) in by_time(floats(&first), floats(&second)) {
        out.timestamps_ms.push(t);
        out.values.push(v);
        if started {
            out.starts_ms.push(start);
        }
    }
    let split = |h: (i64, i64, Histogram)| (h.0, (h.1, h.2));
    out.histograms = match (first.histograms.is_empty(), second.histograms.is_empty()) {
        (_, true) => first.histograms,
        (true, _) => second.histograms,
        _ => by_time(first.histograms.into_iter().map(split), second.histograms.into_iter().map(split))
            .map(|(t, (start, h))| (t, start, h))
            .collect(),
    };
    out.labels = first.labels;
    out
}

fn floats(s: &SeriesData) -> impl Iterator<Item = (i64, (f64, i64))> + '_ {
    let starts = s.starts_ms.iter().copied().chain(std::iter::repeat(0));
    s.timestamps_ms.iter().zip(&s.values).zip(starts).map(|((t, v), start)| (*t, (*v, start)))
}

/// Two lists that ascend in time as one; at equal times the first counts.
fn by_time<V>(
    first: impl Iterator<Item = (i64, V)>,
    second: impl Iterator<Item = (i64, V)>,
) -> impl Iterator<Item = (i64, V)> {
    let (mut first, mut second) = (first.peekable(), second.peekable());
    std::iter::from_fn(move || match (first.peek(), second.peek()) {
        (Some(a), Some(b)) if a.0 > b.0 => second.next(),
        (Some(a), Some(b)) => {
            if a.0 == b.0 {
                second.next();
            }
            first.next()
        }
        (Some(_), None) => first.next(),
        (None, _) => second.next(),
    })
}

#[cfg(test)]
mod tests;
