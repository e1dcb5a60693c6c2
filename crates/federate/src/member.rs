//! Who can be asked, and what.

use std::{fmt, sync::Arc, time::Duration};

use contract::Select;
use model::{Labels, Matcher, Signal, TimeRange};

use crate::peers::Link;

/// [`Member::grace`] where nothing is known of how fast it is.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

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
    /// What is known of the connection to it; `None` where there is none, as to the node's own store.
    pub link: Option<Arc<Link>>,
}

impl Member {
    /// One without replica, labels and connection that is waited for 10 s.
    pub fn new(name: impl Into<String>, select: Arc<dyn Select>) -> Self {
        let timeout = Duration::from_secs(10);
        Member { name: name.into(), replica: None, labels: Labels::default(), timeout, select, link: None }
    }

    /// `name`, or `name/replica`.
    pub fn title(&self) -> String {
        title(&self.name, self.replica.as_deref())
    }

    /// Whether it may hold what all the matchers accept.
    pub(crate) fn may_match(&self, matchers: &[Matcher]) -> bool {
        let fits =
            |labels: &Labels| matchers.iter().all(|m| labels.get(&m.name).is_none_or(|v| m.matches(v)));
        fits(&self.labels) && self.link.as_ref().is_none_or(|link| link.reaches(fits))
    }

    /// Those of the alternatives that it may hold something for; `None` where there are some and none can match.
    pub(crate) fn alternatives(&self, selectors: &[Vec<Matcher>]) -> Option<Vec<Vec<Matcher>>> {
        let left: Vec<_> = selectors.iter().filter(|s| self.may_match(s)).cloned().collect();
        (selectors.is_empty() || !left.is_empty()).then_some(left)
    }

    /// How long it is waited for once another that mirrors it has answered whole.
    pub(crate) fn grace(&self) -> Duration {
        self.link.as_ref().map_or(GRACE, |link| link.grace())
    }

    /// Whether everything it has of the signal begins after the range.
    pub(crate) fn begins_after(&self, signal: &Signal, range: TimeRange) -> bool {
        self.link.as_ref().is_some_and(|link| link.begins_after(signal, range))
    }

    /// Whether it has the signal; one that lists none may have any.
    pub(crate) fn has(&self, signal: &Signal) -> bool {
        let signals = self.select.capabilities().signals;
        signals.is_empty() || signals.contains(signal)
    }
}

/// `cluster`, or `cluster/replica`: what a source is called in questions, statistics and messages.
pub(crate) fn title(cluster: &str, replica: Option<&str>) -> String {
    match replica {
        Some(replica) => format!("{cluster}/{replica}"),
        None => cluster.to_owned(),
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
        let labels = Labels::from_pairs([("cluster", "dev-01"), ("region", "eu")]);
        let member = Member { labels, ..Member::new("dev-01", Arc::new(Fake::new())) };
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
