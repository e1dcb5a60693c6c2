//! Which series have a label value: one bitmap of slots per (name, value).

use std::collections::BTreeMap;

use model::{Labels, MatchOp, Matcher};
use roaring::RoaringBitmap;

/// Rough bytes of a new (name, value) entry beside its text: key, map slot and a bitmap with one container.
const ENTRY_BYTES: usize = 120;

#[derive(Default)]
pub(crate) struct Index {
    by_name: BTreeMap<Box<str>, BTreeMap<Box<str>, RoaringBitmap>>,
    all: RoaringBitmap,
}

impl Index {
    /// Adds a series; returns the bytes by which the index grew.
    pub(crate) fn insert(&mut self, slot: u32, labels: &Labels) -> usize {
        let mut grown = 2;
        self.all.insert(slot);
        for (name, value) in labels {
            if !self.by_name.contains_key(name) {
                self.by_name.insert(name.into(), BTreeMap::new());
                grown += name.len() + 64;
            }
            let Some(values) = self.by_name.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(slots) => {
                    slots.insert(slot);
                    grown += 2;
                }
                None => {
                    values.insert(value.into(), RoaringBitmap::from_iter([slot]));
                    grown += value.len() + ENTRY_BYTES;
                }
            }
        }
        grown
    }

    /// Series with exactly this label value.
    pub(crate) fn count(&self, name: &str, value: &str) -> u64 {
        self.by_name.get(name).and_then(|v| v.get(value)).map_or(0, RoaringBitmap::len)
    }

    /// Slots of series that satisfy all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        // The ones that name a value come first: they leave the least to intersect.
        let mut order: Vec<&Matcher> = matchers.iter().collect();
        order.sort_by_key(|m| (m.matches_empty(), m.op != MatchOp::Equal));
        let mut found: Option<RoaringBitmap> = None;
        for m in order {
            let slots = if m.matches_empty() {
                let base = found.take().unwrap_or_else(|| self.all.clone());
                base - self.union(&m.name, |v| !m.matches(v))
            } else {
                let have = match m.op {
                    MatchOp::Equal => self
                        .by_name
                        .get(m.name.as_str())
                        .and_then(|v| v.get(m.value.as_str()))
                        .cloned()
                        .unwrap_or_default(),
                    _ => self.union(&m.name, |v| m.matches(v)),
                };
                match found.take() {
                    Some(f) => f & have,
                    None => have,
                }
            };
            if slots.is_empty() {
                return slots;
            }
            found = Some(slots);
        }
        found.unwrap_or_else(|| self.all.clone())
    }

    fn union(&self, name: &str, wanted: impl Fn(&str) -> bool) -> RoaringBitmap {
        let mut out = RoaringBitmap::new();
        for (value, slots) in self.by_name.get(name).into_iter().flatten() {
            if wanted(value) {
                out |= slots;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::matcher::all_match;
    use proptest::prelude::*;

    fn matcher() -> impl Strategy<Value = Matcher> {
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        ("[ab]", 0..4usize, "[xy]?|x\\|y|\\.\\*|\\.\\+")
            .prop_map(move |(n, op, v)| Matcher::new(n, ops[op], v).unwrap())
    }

    proptest! {
        #[test]
        fn the_index_finds_what_looking_at_every_series_finds(
            series in proptest::collection::vec(proptest::collection::vec(("[abc]", "[xyz]?"), 0..3), 0..20),
            matchers in proptest::collection::vec(matcher(), 0..4),
        ) {
            let series: Vec<Labels> = series.into_iter().map(Labels::from_pairs).collect();
            let mut index = Index::default();
            for (i, l) in series.iter().enumerate() {
                index.insert(i as u32, l);
            }
            let want: Vec<u32> =
                (0..series.len()).filter(|i| all_match(&matchers, &series[*i])).map(|i| i as u32).collect();
            prop_assert_eq!(index.select(&matchers).iter().collect::<Vec<_>>(), want);
        }
    }
}
