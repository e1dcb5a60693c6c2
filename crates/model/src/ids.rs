//! Who data belongs to and how a batch is recognised when it comes twice.

use std::{borrow::Cow, fmt, sync::Arc};

use thiserror::Error;

#[derive(Debug, Error, PartialEq, Eq)]
#[error("{what} {value:?} is not valid: {reason}")]
pub struct InvalidId {
    pub what: &'static str,
    pub value: String,
    pub reason: &'static str,
}

fn check(what: &'static str, value: &str) -> Result<Arc<str>, InvalidId> {
    let fail = |reason| Err(InvalidId { what, value: value.chars().take(64).collect(), reason });
    if value.is_empty() {
        return fail("it is empty");
    }
    if value.len() > 150 {
        return fail("it is longer than 150 bytes");
    }
    if value == "." || value == ".." || value.starts_with("__") {
        return fail("'.', '..' and names that start with '__' are reserved");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    if !value.chars().all(allowed) {
        return fail("letters, digits and !-_.*'() are allowed");
    }
    Ok(Arc::from(value))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the value: 1 to 150 bytes of `[A-Za-z0-9!\-_.*'()]`, safe as one path element.
            pub fn new(value: &str) -> Result<Self, InvalidId> {
                check($what, value).map($name)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// Whose data it is; `X-Scope-OrgID`, else `default`. The rules are those Loki and Mimir have for tenants.
    TenantId,
    "tenant"
);
name_type!(
    /// The Kubernetes cluster (or site) a node stands in.
    ClusterName,
    "cluster"
);
name_type!(
    /// One of several nodes that hold the same cluster's data.
    ReplicaName,
    "replica"
);

impl Default for TenantId {
    fn default() -> Self {
        TenantId(Arc::from("default"))
    }
}

/// A kind of telemetry. The set is open: a node keeps and forwards signals it does not know by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(Cow<'static, str>);

impl Signal {
    pub const METRICS: Signal = Signal(Cow::Borrowed("metrics"));
    pub const LOGS: Signal = Signal(Cow::Borrowed("logs"));
    pub const TRACES: Signal = Signal(Cow::Borrowed("traces"));
    /// The signals this version stores and queries.
    pub const KNOWN: [Signal; 3] = [Signal::METRICS, Signal::LOGS, Signal::TRACES];

    pub fn new(name: &str) -> Self {
        Signal::KNOWN
            .into_iter()
            .find(|s| s.as_str() == name)
            .unwrap_or_else(|| Signal(Cow::Owned(name.to_owned())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What makes a re-sent batch recognisable. Equal ids mean the same batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchId {
    /// Numbered by a source of ours: an agent, a scrape pool, a forwarding queue.
    Numbered { source: u64, epoch: u64, sequence: u64 },
    /// A 128-bit hash of tenant, endpoint, sender and body, used only where every item carries its own time:
    /// two equal bodies without times are two events.
    Content(u128),
}

/// The source of the ids that [`BatchId::derived`] makes.
const DERIVED: u64 = u64::MAX;

impl BatchId {
    /// The id of a unit with what was derived from everything stored before it: part `part` of `parts` of the
    /// `number`th collection of a process, which `epoch` tells from others.
    pub fn derived(epoch: u64, number: u32, part: u16, parts: u16) -> Self {
        let sequence = u64::from(number) << 32 | u64::from(part) << 16 | u64::from(parts);
        BatchId::Numbered { source: DERIVED, epoch, sequence }
    }

    /// Of such a unit: which part it is of how many.
    pub fn as_derived(&self) -> Option<(u16, u16)> {
        match self {
            BatchId::Numbered { source: DERIVED, sequence, .. } => {
                Some(((sequence >> 16) as u16, *sequence as u16))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "__x", "a b", &"x".repeat(151)] {
            assert!(TenantId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(TenantId::new("team-a.prod").unwrap().as_str(), "team-a.prod");
    }

    #[test]
    fn ids_of_what_was_derived_are_known_by_themselves() {
        assert_eq!(BatchId::derived(7, 3, 2, 5).as_derived(), Some((2, 5)));
        assert_ne!(BatchId::derived(7, 3, 2, 5), BatchId::derived(7, 4, 2, 5));
        assert_eq!(BatchId::Numbered { source: 1, epoch: 7, sequence: 3 }.as_derived(), None);
        assert_eq!(BatchId::Content(u128::MAX).as_derived(), None);
    }

    #[test]
    fn an_unknown_signal_keeps_its_name() {
        assert_eq!(Signal::new("profiles").as_str(), "profiles");
        assert_eq!(Signal::new("logs"), Signal::LOGS);
    }
}
