//! What can go wrong with a member, and which kind each is.

use std::time::Duration;

use base::{Kind, memory::OverLimit};
use thiserror::Error;

/// Longest reason that goes into a coverage; a member's own message is cut there.
const MAX_REASON: usize = 200;

#[derive(Debug, Clone, Error)]
pub enum Error {
    /// Nothing came in the time a member has.
    #[error("no answer within {}", time(*allowed))]
    Silent { allowed: Duration },
    /// Something came, and then the time was used up.
    #[error("stopped in the middle: the rest did not come within {}", time(*allowed))]
    Stopped { allowed: Duration },
    /// What came cannot be merged, since it is not in the order every `Select` promises.
    #[error("sent {what} out of order: {detail}")]
    Order { what: &'static str, detail: String },
    /// What came contradicts itself or was not asked for.
    #[error("sent {what} that cannot be: {detail}")]
    Malformed { what: &'static str, detail: String },
    /// The member said so itself.
    #[error("{0}")]
    Told(contract::Error),
    /// Another that holds the same has answered for all that was asked.
    #[error("slower than a replica that has answered for all of it")]
    Outrun,
    /// The task that read the member is gone.
    #[error("reading it broke off inside this node")]
    Lost,
    /// This node has no memory for more of the answer.
    #[error(transparent)]
    Memory(#[from] OverLimit),
    /// Of several asked, or of one, nobody answered. `list` names each with its reason.
    #[error("{list}")]
    Nobody { list: String, kind: Kind, limit: Option<&'static str> },
    /// What a peer is configured with can never work.
    #[error("{name} is {value:?}, wanted is {wanted}")]
    Setting { name: &'static str, value: String, wanted: &'static str },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Silent { .. } | Error::Stopped { .. } | Error::Outrun => Kind::Timeout,
            Error::Order { .. } | Error::Malformed { .. } => Kind::Corrupt,
            Error::Told(e) => e.kind(),
            Error::Lost => Kind::Internal,
            Error::Memory(_) => Kind::Unavailable,
            Error::Nobody { kind, .. } => *kind,
            Error::Setting { .. } => Kind::Invalid,
        }
    }

    /// The label under which it is counted: one of few words.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Error::Silent { .. } => "silent",
            Error::Stopped { .. } => "stopped",
            Error::Order { .. } | Error::Malformed { .. } => "malformed",
            Error::Outrun => "outrun",
            Error::Told(e) if e.limit == Some(NOT_ASKED) => "open",
            _ => self.kind().as_str(),
        }
    }

    /// Whether it is about the query and not about one member: then the query fails as it would on one node.
    pub(crate) fn is_of_query(&self) -> bool {
        match self {
            Error::Memory(_) => true,
            Error::Told(e) => e.limit.is_some_and(|l| l.starts_with("query.") && l != QUERY_TIMEOUT),
            _ => false,
        }
    }

    /// Whether nothing that came before can be relied on to be all there is.
    pub(crate) fn is_distrust(&self) -> bool {
        matches!(self, Error::Order { .. } | Error::Malformed { .. })
    }

    /// One line for a coverage, in which a comma separates reasons.
    pub(crate) fn reason(&self) -> String {
        let text = self.to_string().replace(',', ";");
        let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = line.char_indices().nth(MAX_REASON) {
            line.truncate(cut);
            line.push('…');
        }
        line
    }
}

/// The limit that a store names when its deadline has passed. Members get a shorter one than the query has, so from
/// a member it means that the member was slow.
pub(crate) const QUERY_TIMEOUT: &str = "query.timeout";

/// The limit that a member's connection names where it does not ask, as asking was in vain lately.
pub(crate) const NOT_ASKED: &str = "federation.breaker";

impl From<Error> for contract::Error {
    fn from(e: Error) -> Self {
        match e {
            Error::Told(e) => e,
            Error::Memory(e) => e.into(),
            Error::Nobody { limit, kind, .. } => contract::Error { kind, message: e.to_string(), limit },
            _ => contract::Error::new(e.kind(), e.to_string()),
        }
    }
}

/// `10 s`, `1.5 s`, `250 ms`.
fn time(d: Duration) -> String {
    if d < Duration::from_secs(1) {
        return format!("{} ms", d.as_millis());
    }
    format!("{} s", (d.as_secs_f64() * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_time_and_stay_on_one_line() {
        let silent = |ms| Error::Silent { allowed: Duration::from_millis(ms) }.reason();
        assert_eq!(silent(10_000), "no answer within 10 s");
        assert_eq!(silent(1_540), "no answer within 1.5 s");
        assert_eq!(silent(250), "no answer within 250 ms");
        let told = Error::Told(contract::Error::unavailable(format!("a, b\n{}", "x".repeat(400))));
        assert!(told.reason().starts_with("a; b x") && told.reason().chars().count() == MAX_REASON + 1);
    }

    #[test]
    fn only_limits_that_the_caller_set_are_the_querys_own() {
        let limited = |limit| Error::Told(contract::Error::limited(limit, "too much")).is_of_query();
        assert!(limited("query.max_samples") && limited("query.max_bytes"));
        assert!(!limited(QUERY_TIMEOUT) && !limited("memory.limit"));
        assert!(!Error::Told(contract::Error::unavailable("gone")).is_of_query());
    }
}
