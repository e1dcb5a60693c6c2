//! Patterns of log lines of many members: equal ones are one, and their counts are added up. Replicas that mirror each
//! other saw the same lines, so of their counts the larger is taken.

use std::collections::BTreeMap;

use contract::{Coverage, PatternsRequest, Result, SeriesData};
use model::{Labels, Signal};

use crate::{
    Federation, Replication,
    lists::{call, each_numbered, gather},
};

type Counts = BTreeMap<Labels, BTreeMap<i64, f64>>;

pub(crate) async fn patterns(f: &Federation, r: PatternsRequest) -> Result<(Vec<SeriesData>, Coverage)> {
    let asked = std::slice::from_ref(&r.matchers);
    let mut query = f.ask(&r.scope, &Signal::LOGS, |m| m.alternatives(asked).is_some())?;
    let calls = each_numbered(&query, |i, m, scope| {
        let matchers = m.alternatives(asked).and_then(|all| all.into_iter().next()).unwrap_or_default();
        let request = PatternsRequest { scope, matchers, step_ms: r.step_ms };
        call(m, move |s| async move {
            let (found, coverage) = s.patterns(request).await?;
            Ok(((i, found), coverage))
        })
    });
    let lists = gather(&mut query, calls, |(_, list): &(usize, Vec<SeriesData>)| {
        if list.is_sorted_by(|a, b| a.labels < b.labels) { None } else { Some("patterns") }
    });
    let lists = lists.await?;
    // Per cluster first: what mirrors each other is of one.
    let mut clusters: BTreeMap<String, Counts> = BTreeMap::new();
    for (i, list) in lists {
        let Some((_, member)) = query.members().find(|(n, _)| *n == i) else { continue };
        let mirrored =
            query.mark(&member).is_some() && query.replication(&member.name) == Some(Replication::Mirrored);
        let counts = clusters.entry(member.name.clone()).or_default();
        add(counts, list, |a, b| if mirrored { a.max(b) } else { a + b });
    }
    let mut all = Counts::new();
    for counts in clusters.into_values() {
        add(&mut all, listed(counts), |a, b| a + b);
    }
    Ok((listed(all), query.coverage().lock().clone()))
}

fn add(to: &mut Counts, list: Vec<SeriesData>, both: impl Fn(f64, f64) -> f64) {
    for s in list {
        let steps = to.entry(s.labels).or_default();
        for (at, n) in s.timestamps_ms.into_iter().zip(s.values) {
            steps.entry(at).and_modify(|mine| *mine = both(*mine, n)).or_insert(n);
        }
    }
}

fn listed(counts: Counts) -> Vec<SeriesData> {
    let series = |(labels, steps): (Labels, BTreeMap<i64, f64>)| SeriesData {
        labels,
        timestamps_ms: steps.keys().copied().collect(),
        values: steps.into_values().collect(),
        ..SeriesData::default()
    };
    counts.into_iter().map(series).collect()
}

#[cfg(test)]
mod tests;
