//! What federation counts about itself.

use std::time::Duration;

use base::metrics::{Counters, Latencies, Metrics, Pairs};
use model::Signal;

/// Handles into the node's own metrics; register once per registry, clone freely.
#[derive(Clone)]
pub struct Counts {
    asked: Counters,
    answered: Counters,
    missing: Counters,
    partial: Counters,
    seconds: Latencies,
}

impl Counts {
    pub fn register(metrics: &Metrics) -> Self {
        Counts {
            asked: metrics
                .counters("federation_asked", "Questions put to a member, by member and signal."),
            answered: metrics.counters(
                "federation_answered",
                "Questions a member answered as far as they needed it, by member and signal.",
            ),
            missing: metrics.counters(
                "federation_missing",
                "Answers that had to do without a member, by member, signal and class of reason.",
            ),
            partial: metrics.counters(
                "federation_partial",
                "Answers that have only a part of what a member holds, by member, signal and class of reason.",
            ),
            seconds: metrics.latencies(
                "federation_member_duration",
                "Time from asking a member to the end of its answer, by member and signal.",
            ),
        }
    }

    pub(crate) fn asked(&self, member: &str, signal: &Signal) {
        self.asked.get_or_create(&pairs(member, signal)).inc();
    }

    pub(crate) fn answered(&self, member: &str, signal: &Signal, took: Duration) {
        self.answered.get_or_create(&pairs(member, signal)).inc();
        self.seconds.get_or_create(&pairs(member, signal)).observe(took.as_secs_f64());
    }

    pub(crate) fn failed(
        &self,
        member: &str,
        signal: &Signal,
        used: bool,
        class: &'static str,
        took: Duration,
    ) {
        let mut labels = pairs(member, signal);
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        labels.push(("reason", class.to_owned()));
        let counter = if used { &self.partial } else { &self.missing };
        counter.get_or_create(&labels).inc();
    }
}

fn pairs(member: &str, signal: &Signal) -> Pairs {
    vec![("member", member.to_owned()), ("signal", signal.as_str().to_owned())]
}
