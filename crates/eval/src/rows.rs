//! Names and identity of series.

use model::{Labels, labels::METRIC_NAME};

use crate::{ByLabels, Env, Error, LabelSet, Result, Series};

/// Labels that say what a metric is rather than which series; they go together when a value changes its meaning.
fn is_metadata(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// The labels without name, type and unit.
pub fn drop_metadata(labels: &Labels) -> Labels {
    // Most results passed here before; then the same allocation serves.
    if labels.iter().any(|(n, _)| is_metadata(n)) {
        labels.filter(|n| !is_metadata(n))
    } else {
        labels.clone()
    }
}

/// Marks or drops the names of series whose values changed their meaning, and merges those that became equal.
pub fn drop_names(mut rows: Vec<Series>, env: &mut Env<'_>) -> Result<Vec<Series>> {
    for row in &mut rows {
        row.drop_name = env.delay_name_removal;
        if !env.delay_name_removal {
            row.labels = drop_metadata(&row.labels);
        }
    }
    merge_same(rows, env)
}

/// Makes one series of those with equal labels. Values at the same step are an error, except while names are
/// still to be dropped: then both stay and the end of the query decides.
pub fn merge_same(rows: Vec<Series>, env: &mut Env<'_>) -> Result<Vec<Series>> {
    merge(rows, !env.delay_name_removal)
}

/// As [`merge_same`], but values at the same step are an error in any case.
pub fn merge_strict(rows: Vec<Series>) -> Result<Vec<Series>> {
    merge(rows, true)
}

/// The end of a query with delayed name removal.
pub fn apply_drops(mut rows: Vec<Series>) -> Result<Vec<Series>> {
    for row in rows.iter_mut().filter(|r| r.drop_name) {
        row.labels = drop_metadata(&row.labels);
        row.drop_name = false;
    }
    merge(rows, true)
}

/// Series whose names are still to be dropped stay apart from those that keep theirs: they only look equal.
fn merge(rows: Vec<Series>, strict: bool) -> Result<Vec<Series>> {
    if !has_duplicates(&rows) {
        return Ok(rows);
    }
    let mut at: ByLabels<Vec<usize>> = ByLabels::with_capacity_and_hasher(rows.len(), Default::default());
    let mut out: Vec<Series> = Vec::with_capacity(rows.len());
    for row in rows {
        let same = at.entry(row.labels.clone()).or_default();
        if strict && same.iter().any(|i| out[*i].column.overlaps(&row.column)) {
            return Err(Error::invalid("vector cannot contain metrics with the same labelset"));
        }
        let fits = |i: &&usize| {
            let other = &out[**i];
            other.drop_name == row.drop_name && !other.column.overlaps(&row.column)
        };
        match same.iter().find(fits).copied() {
            Some(i) => {
                out[i].column.absorb(&row.column);
            }
            None => {
                same.push(out.len());
                out.push(row);
            }
        }
    }
    Ok(out)
}

fn has_duplicates(rows: &[Series]) -> bool {
    let mut seen = LabelSet::with_capacity_and_hasher(rows.len(), Default::default());
    rows.len() > 1 && !rows.iter().all(|r| seen.insert(&r.labels))
}
