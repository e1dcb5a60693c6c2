//! `info`: adds the labels of info metrics (`target_info` by default) to the series they describe.

use std::collections::{HashMap, HashSet};

use eval::{Column, Error, Series};
use model::{Labels, Matcher, labels::METRIC_NAME, matcher::all_match};

use super::{
    Result, Run,
    call::arg,
    select::{Cursor, Found},
};
use crate::{
    ast::{Call, NodeId, NodeKind},
    plan::{info_matchers, reference},
};

/// Labels that say which target a series is of.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The info series of one metric and target, each with the time of the sample seen at each step.
type ByTarget<'a> = HashMap<Labels, Vec<(&'a Labels, Vec<Option<i64>>)>>;

impl<'a> Run<'a> {
    pub(super) fn info(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        let base = arg(c, 0)?;
        let rows = self.rows(base)?;
        let data: &[Matcher] = match c.args.get(1).map(|a| self.kind(*a)) {
            Some(NodeKind::Selector(s)) => &s.matchers,
            _ => &[],
        };
        let names: Vec<Matcher> = info_matchers(data).into_iter().filter(|m| m.name == METRIC_NAME).collect();
        let wanted: Vec<&Matcher> = data.iter().filter(|m| m.name != METRIC_NAME).collect();
        let grid = self.grid(id);
        let modifiers = self.plan.info_modifiers(base);
        let mut targets: ByTarget<'a> = HashMap::new();
        let described = described(rows.iter().filter(|r| !is_info(&names, &r.labels)));
        for series in self.fetched(id) {
            self.meter.tick()?;
            // Info series of targets that nobody asked about are not looked at, whatever is wrong with them.
            if described.iter().all(HashSet::is_empty)
                || (IDENTIFYING.iter().zip(&described))
                    .any(|(l, values)| !values.is_empty() && !values.contains(series.labels.value(l)))
            {
                continue;
            }
            let mut cursor = Cursor::new(&series.samples, self.lookback_ms);
            let mut seen: Vec<Option<i64>> = Vec::with_capacity(grid.len());
            for t in grid.times() {
                let found = cursor.find(reference(&modifiers, t));
                if let Some(Found::Histogram(_)) = found {
                    let message =
                        format!("this should be an info metric, with float samples: {}", series.labels);
                    return Err(Error::invalid(message).into());
                }
                seen.push(found.map(|f| f.t()));
            }
            let key = target(&series.labels, true);
            targets.entry(key).or_default().push((&series.labels, seen));
        }
        let mut metrics: Vec<&str> = targets.keys().map(Labels::metric_name).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let mut out = Vec::new();
        for row in rows {
            self.meter.tick()?;
            if is_info(&names, &row.labels) {
                out.push(row);
                continue;
            }
            self.enrich(row, &metrics, &targets, &wanted, &mut out)?;
        }
        Ok(eval::rows::merge_strict(out)?)
    }

    /// The labels found may differ from step to step, so one series may become several.
    fn enrich(
        &mut self,
        row: Series,
        metrics: &[&str],
        targets: &ByTarget<'a>,
        wanted: &[&Matcher],
        out: &mut Vec<Series>,
    ) -> Result<()> {
        let optional = wanted.iter().all(|m| m.matches_empty());
        let key = target(&row.labels, false);
        let candidates: Vec<_> =
            metrics.iter().filter_map(|m| targets.get(&key.with(METRIC_NAME, m))).collect();
        let identified = IDENTIFYING.iter().any(|l| row.labels.get(l).is_some());
        let mut at: HashMap<Labels, usize> = HashMap::new();
        let mut made: Vec<Series> = Vec::new();
        for step in row.column.steps() {
            let mut extra: Vec<(&str, &str)> = Vec::new();
            let mut matched = false;
            for list in candidates.iter().filter(|_| identified) {
                let Some(info) = newest(list, step)? else { continue };
                matched = true;
                for (name, value) in info.iter().filter(|(n, _)| *n != METRIC_NAME) {
                    if !wanted.is_empty() && !wanted.iter().any(|m| m.name == name) {
                        continue;
                    }
                    if extra.iter().any(|(n, v)| *n == name && *v != value) {
                        return Err(Error::invalid(format!("conflicting label: {name}")).into());
                    }
                    if row.labels.get(name).is_none() {
                        extra.push((name, value));
                    }
                }
            }
            if !matched && !optional {
                continue;
            }
            let mut labels = row.labels.to_builder();
            for (n, v) in extra {
                labels.set(n, v);
            }
            let labels = labels.build();
            if !at.contains_key(&labels) {
                self.meter.charge(labels.packed_len() + row.column.len() * 9)?;
            }
            let n = *at.entry(labels.clone()).or_insert_with(|| {
                made.push(Series {
                    labels,
                    column: Column::empty(row.column.len()),
                    drop_name: row.drop_name,
                });
                made.len() - 1
            });
            if let Some(cell) = row.column.get(step) {
                made[n].column.set(step, cell);
            }
        }
        out.append(&mut made);
        Ok(())
    }
}

/// Info series do not describe themselves.
fn is_info(names: &[Matcher], labels: &Labels) -> bool {
    all_match(names, &labels.only(&[METRIC_NAME]))
}

/// The values each identifying label has among the series to be described.
fn described<'r>(rows: impl Iterator<Item = &'r Series>) -> [HashSet<String>; 2] {
    let mut out = [HashSet::new(), HashSet::new()];
    for row in rows {
        for (label, values) in IDENTIFYING.iter().zip(&mut out) {
            if let Some(v) = row.labels.get(label)
                && !values.contains(v)
            {
                values.insert(v.to_owned());
            }
        }
    }
    out
}

/// What info series and described series have in common.
fn target(labels: &Labels, with_name: bool) -> Labels {
    labels.filter(|n| IDENTIFYING.contains(&n) || (with_name && n == METRIC_NAME))
}

/// Of several info series for one target the one with the newest sample.
fn newest<'l>(list: &[(&'l Labels, Vec<Option<i64>>)], step: usize) -> Result<Option<&'l Labels>> {
    let mut best: Option<(i64, &'l Labels)> = None;
    for (labels, seen) in list {
        let Some(t) = seen.get(step).copied().flatten() else { continue };
        match best {
            Some((old, other)) if old == t => {
                return Err(Error::invalid(format!(
                    "found duplicate series for info metric: existing {other} @ {old}, new {labels} @ {t}"
                ))
                .into());
            }
            Some((old, _)) if old > t => {}
            _ => best = Some((t, labels)),
        }
    }
    Ok(best.map(|(_, l)| l))
}
