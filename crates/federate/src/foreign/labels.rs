//! Labels that a peer's data carry here and not there.

use model::{Labels, LabelsBuilder, Matcher};

/// What is put on, and taken off what is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Added {
    /// On everything, whatever it carried.
    fixed: Labels,
    /// Where the label is lacking, as a server's own external labels are.
    lacking: Labels,
}

impl Added {
    pub(super) fn new(fixed: &Labels, lacking: &Labels) -> Self {
        Added { fixed: fixed.clone(), lacking: lacking.clone() }
    }

    /// More that everything carries.
    pub(super) fn and(mut self, more: &Labels) -> Self {
        if !more.is_empty() {
            let mut all = self.fixed.to_builder();
            more.iter().for_each(|(n, v)| {
                all.set(n, v);
            });
            self.fixed = all.build();
        }
        self
    }

    /// The matchers that are left to ask; `None` where nothing of the peer can match. A superset comes back, so that
    /// [`Added::dress`] must be followed by the whole condition.
    pub(super) fn sent(&self, matchers: &[Matcher]) -> Option<Vec<Matcher>> {
        let mut left = Vec::with_capacity(matchers.len());
        for m in matchers {
            match (self.fixed.get(&m.name), self.lacking.get(&m.name)) {
                (Some(v), _) if m.matches(v) => {}
                (Some(_), _) => return None,
                (None, Some(v)) if m.matches(v) => {}
                _ => left.push(m.clone()),
            }
        }
        Some(left)
    }

    /// [`Added::sent`] for alternatives: `None` where there are some and none can match; no alternative means
    /// everything, and so does one of which nothing is left.
    pub(super) fn alternatives(&self, selectors: &[Vec<Matcher>]) -> Option<Vec<Vec<Matcher>>> {
        if selectors.is_empty() {
            return Some(Vec::new());
        }
        let left: Vec<_> = selectors.iter().filter_map(|s| self.sent(s)).collect();
        match left.is_empty() {
            true => None,
            false if left.iter().any(Vec::is_empty) => Some(Vec::new()),
            false => Some(left),
        }
    }

    /// A label set as it is seen here.
    pub(super) fn dress(&self, labels: Labels) -> Labels {
        if self.fixed.is_empty() && self.lacking.is_empty() {
            return labels;
        }
        let mut all = LabelsBuilder::default();
        for (n, v) in self.lacking.iter().chain(&labels).chain(&self.fixed) {
            all.set(n, v);
        }
        all.build()
    }

    /// Names of all labels that are put on.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.fixed.iter().chain(&self.lacking).map(|(n, _)| n.to_owned())
    }

    /// The one value a label has on everything.
    pub(super) fn fixed(&self, name: &str) -> Option<&str> {
        self.fixed.get(name)
    }

    /// The value a label has where the peer's data lack it.
    pub(super) fn lacking(&self, name: &str) -> Option<&str> {
        self.lacking.get(name)
    }
}

#[cfg(test)]
mod tests {
    use model::MatchOp;

    use super::*;

    fn added() -> Added {
        Added::new(
            &Labels::from_pairs([("cluster", "legacy")]),
            &Labels::from_pairs([("region", "eu"), ("cluster", "theirs")]),
        )
    }

    fn m(name: &str, op: MatchOp, value: &str) -> Matcher {
        Matcher::new(name, op, value).unwrap()
    }

    #[test]
    fn matchers_on_our_labels_are_decided_here_and_not_sent() {
        let up = Matcher::equal("__name__", "up");
        let sent = |m: Matcher| added().sent(&[up.clone(), m]).map(|s| s.len());
        assert_eq!(sent(m("cluster", MatchOp::Regex, "leg.*")), Some(1));
        assert_eq!(sent(Matcher::equal("cluster", "theirs")), None);
        assert_eq!(sent(m("cluster", MatchOp::NotEqual, "legacy")), None);
        assert_eq!(
            sent(Matcher::equal("region", "eu")),
            Some(1),
            "series of another region are filtered later"
        );
        assert_eq!(sent(Matcher::equal("region", "us")), Some(2), "a series may name its own");
        assert_eq!(sent(Matcher::equal("job", "a")), Some(2));
    }

    #[test]
    fn alternatives_that_cannot_match_go_and_one_without_conditions_means_all() {
        let here = vec![Matcher::equal("cluster", "legacy")];
        let there = vec![Matcher::equal("cluster", "other")];
        let job = vec![Matcher::equal("cluster", "legacy"), Matcher::equal("job", "a")];
        let asked = |s: &[&Vec<Matcher>]| {
            added().alternatives(&s.iter().map(|s| (*s).clone()).collect::<Vec<_>>()).map(|a| a.len())
        };
        assert_eq!(asked(&[]), Some(0));
        assert_eq!(asked(&[&there]), None);
        assert_eq!(asked(&[&there, &job]), Some(1));
        assert_eq!(asked(&[&here, &job]), Some(0));
    }

    #[test]
    fn ours_replace_theirs_and_external_labels_fill_gaps() {
        let dressed = added().dress(Labels::from_pairs([("a", "1"), ("cluster", "x"), ("region", "us")]));
        assert_eq!(dressed, Labels::from_pairs([("a", "1"), ("cluster", "legacy"), ("region", "us")]));
        let bare = added().dress(Labels::default());
        assert_eq!(bare, Labels::from_pairs([("cluster", "legacy"), ("region", "eu")]));
    }
}
