//! Why a scrape failed. The words are Prometheus' where it has some: people search for them.

use std::fmt;

use super::counts::Counts;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// The target was not reached, or did not answer as it should.
    Target(String),
    /// The answer cannot be read.
    Content(String),
    BodySize,
    SampleLimit,
    BucketLimit,
    LabelLimit(String),
    /// The job has more targets than it may.
    TargetLimit(String),
}

impl Failure {
    pub(super) fn count(&self, counts: &Counts) {
        match self {
            Failure::BodySize => counts.exceeded_body_size.inc(),
            Failure::SampleLimit => counts.exceeded_samples.inc(),
            Failure::BucketLimit => counts.exceeded_buckets.inc(),
            Failure::LabelLimit(_) => counts.exceeded_labels.inc(),
            Failure::Target(_) | Failure::Content(_) | Failure::TargetLimit(_) => 0,
        };
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Target(text)
            | Failure::Content(text)
            | Failure::LabelLimit(text)
            | Failure::TargetLimit(text) => text,
            Failure::BodySize => "body size limit exceeded",
            Failure::SampleLimit => "sample limit exceeded",
            Failure::BucketLimit => "histogram bucket limit exceeded",
        })
    }
}
