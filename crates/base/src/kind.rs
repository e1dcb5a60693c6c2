//! The nine kinds of error. The kind alone decides HTTP and gRPC status, whether a sender may retry, and
//! the log level; the mapping to a protocol stands in `api::status`.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The caller sent something that can never work. Retrying is pointless.
    Invalid,
    /// The caller may not do this.
    Denied,
    /// What was named does not exist.
    NotFound,
    /// It exists already, or somebody else was first.
    Conflict,
    /// A limit of the caller's own making: too many series, too large a body, too costly a query.
    Limited,
    /// This node cannot do it now: out of memory budget, disk reserve reached, shutting down. Retry later.
    Unavailable,
    /// The deadline passed.
    Timeout,
    /// Bytes at rest do not say what they should.
    Corrupt,
    /// A defect of ours.
    Internal,
}

impl Kind {
    /// Whether the same request may succeed later without being changed.
    pub fn is_retryable(self) -> bool {
        matches!(self, Kind::Unavailable | Kind::Timeout)
    }

    /// The name used in metric labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Denied => "denied",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Limited => "limited",
            Kind::Unavailable => "unavailable",
            Kind::Timeout => "timeout",
            Kind::Corrupt => "corrupt",
            Kind::Internal => "internal",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
