//! Which labels get a column.

use std::collections::BTreeMap;

use model::Labels;

/// A label on at most one series in this many shares the column `l_rest`. Smaller makes more, emptier columns;
/// larger makes matchers on rare labels parse text.
const RARE: usize = 100;
/// Label columns at most, the most frequent first: each costs footer bytes whatever it holds.
const MAX_COLUMNS: usize = 200;
/// Rare label names listed in the footer at most.
const MAX_REST: usize = 1000;

/// Which labels get a column of their own; made from the labels of all series to come. Labels it was not
/// shown still go to the shared column.
#[derive(Debug, Clone, Default)]
pub struct LabelColumns {
    /// Sorted.
    pub(super) names: Vec<String>,
    pub(super) rest: Option<Vec<String>>,
}

impl LabelColumns {
    pub fn of<'a>(labels: impl IntoIterator<Item = &'a Labels>) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut series = 0usize;
        for l in labels {
            series += 1;
            l.iter().for_each(|(n, _)| *counts.entry(n).or_default() += 1);
        }
        let mut frequent: Vec<(usize, &str)> =
            counts.iter().filter(|(_, c)| **c * RARE > series).map(|(n, c)| (*c, *n)).collect();
        frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        frequent.truncate(MAX_COLUMNS);
        let mut names: Vec<String> = frequent.into_iter().map(|(_, n)| n.to_owned()).collect();
        names.sort_unstable();
        let rest: Vec<String> = counts
            .keys()
            .filter(|n| names.binary_search_by(|x| x.as_str().cmp(n)).is_err())
            .map(|n| (*n).to_owned())
            .collect();
        LabelColumns { names, rest: (rest.len() <= MAX_REST).then_some(rest) }
    }
}
