//! Who can be asked, and what.

use std::{fmt, sync::Arc, time::Duration};

use contract::Select;
use model::{Labels, Matcher, Signal};

/// One that answers for a cluster, or for one replica of it.
#[derive(Clone)]
pub struct Member {
    /// The cluster it answers for; what coverage calls it where it does not name itself.
    pub name: String,
    pub replica: Option<String>,
    /// Labels that all its series and log streams carry, the cluster's own included. It is not asked where they
    /// contradict a matcher, so a label may stand here only if nothing it holds lacks it.
    pub labels: Labels,
    /// How long a query waits for it, all waiting taken together. Time in which it waits for the reader is not its.
    pub timeout: Duration,
    pub select: Arc<dyn Select>,
}

impl Member {
    /// `name`, or `name/replica`.
    pub fn title(&self) -> String {
        match &self.replica {
            Some(replica) => format!("{}/{replica}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether it may hold what all the matchers accept.
    pub(crate) fn may_match(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|m| self.labels.get(&m.name).is_none_or(|v| m.matches(v)))
    }

    /// Those of the alternatives that it may hold something for; `None` where there are some and none can match.
    pub(crate) fn alternatives(&self, selectors: &[Vec<Matcher>]) -> Option<Vec<Vec<Matcher>>> {
        let left: Vec<_> = selectors.iter().filter(|s| self.may_match(s)).cloned().collect();
        (selectors.is_empty() || !left.is_empty()).then_some(left)
    }

    /// Whether it has the signal; one that lists none may have any.
    pub(crate) fn has(&self, signal: &Signal) -> bool {
        let signals = self.select.capabilities().signals;
        signals.is_empty() || signals.contains(signal)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .field("replica", &self.replica)
            .field("labels", &self.labels)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use contract::fake::Fake;
    use model::MatchOp;

    use super::*;

    #[test]
    fn labels_that_contradict_a_matcher_exclude_a_member() {
        let member = Member {
            name: "dev-01".into(),
            replica: None,
            labels: Labels::from_pairs([("cluster", "dev-01"), ("region", "eu")]),
            timeout: Duration::from_secs(10),
            select: Arc::new(Fake::new()),
        };
        let m = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let may = |m: Matcher| member.may_match(&[Matcher::equal("__name__", "up"), m]);
        assert!(may(m("cluster", MatchOp::Equal, "dev-01")) && !may(m("cluster", MatchOp::Equal, "prod-01")));
        assert!(
            may(m("cluster", MatchOp::Regex, "dev-.*")) && !may(m("cluster", MatchOp::NotRegex, "dev-.*"))
        );
        assert!(!may(m("region", MatchOp::Equal, "")) && may(m("zone", MatchOp::Equal, "")));

        let (here, there) =
            (vec![Matcher::equal("region", "eu")], vec![Matcher::equal("cluster", "prod-01")]);
        assert_eq!(member.alternatives(&[here.clone(), there.clone()]), Some(vec![here]));
        assert_eq!(member.alternatives(&[there]), None);
        assert_eq!(member.alternatives(&[]), Some(vec![]));
    }
}
