//! Stacks of others as members: what is installed already answers from the first day, asked in its own language.
//!
//! ```text
//! Select request ─► matchers without our labels ─► its API ─► pieces ─► our labels, our order ─► Selection
//!                         labels                    site       kind          gather
//! ```
//! Whatever a kind of server is asked for, the same holds: labels of the settings are on everything it gives and in
//! nothing it is asked; what comes back is filtered by the whole request again, so that a server that reads a matcher
//! in its own way costs bytes and never a wrong row; bodies, lines and frames are capped; a server's own warning makes
//! the answer partial, in its words. All of it belongs to one tenant here, and others see nothing of it.

mod error;
mod gather;
mod jaeger;
mod labels;
mod line;
mod loki;
mod prometheus;
mod selector;
mod site;
mod tempo;
mod thanos;
mod traces;

use std::{fmt, sync::Arc, time::Duration};

use base::Clock;
use contract::{Coverage, CoverageState, Scope, Select, Selection, SourceCoverage};
use futures::{StreamExt, stream};
use model::{Labels, Signal, TenantId};

use crate::{Error, Result};

/// What is asked, and in which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForeignKind {
    /// Prometheus, Thanos Query, Mimir, VictoriaMetrics: the Prometheus HTTP API, below `/api/v1` of the address.
    Prometheus,
    /// Thanos StoreAPI over gRPC: a sidecar, a store gateway, another query.
    Thanos,
    /// Loki's HTTP API, below `/loki/api/v1`.
    Loki,
    /// Tempo's HTTP API, below `/api`.
    Tempo,
    /// Jaeger's HTTP API, below `/api`.
    Jaeger,
}

impl ForeignKind {
    pub const ALL: [ForeignKind; 5] = [
        ForeignKind::Prometheus,
        ForeignKind::Thanos,
        ForeignKind::Loki,
        ForeignKind::Tempo,
        ForeignKind::Jaeger,
    ];

    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            ForeignKind::Prometheus => "prometheus",
            ForeignKind::Thanos => "thanos",
            ForeignKind::Loki => "loki",
            ForeignKind::Tempo => "tempo",
            ForeignKind::Jaeger => "jaeger",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        ForeignKind::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

impl fmt::Display for ForeignKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One foreign peer.
#[derive(Debug, Clone)]
pub struct ForeignSettings {
    /// The cluster it answers for; what coverage calls it.
    pub name: String,
    pub kind: ForeignKind,
    /// `http://host:port/prefix`; the prefix is what stands before the API's own paths. StoreAPI: `host:port`, or
    /// `https://host:port`.
    pub url: String,
    /// Added to everything it gives, in place of a label of its own with the same name.
    pub labels: Labels,
    /// Who asks, over which TLS, through which proxy, with which further headers.
    pub http: net::Settings,
    /// Sent as `X-Scope-OrgID` (StoreAPI: `THANOS-TENANT`): the tenant there.
    pub tenant: Option<String>,
    /// StoreAPI: labels that tell replicas of one origin apart, as `--query.replica-label` names them.
    pub replica_labels: Vec<String>,
    /// The tenant here that everything belongs to.
    pub owner: TenantId,
    /// How long one request to it may take.
    pub timeout: Duration,
}

/// Makes the peer that the settings describe. It is asked nothing yet, so it need not be up.
///
/// # Errors
/// A setting that can never work; the message names it.
pub fn open(settings: ForeignSettings, clock: Clock) -> Result<Arc<dyn Select>> {
    if settings.name.is_empty() {
        return Err(Error::Setting { name: "name", value: String::new(), wanted: "a cluster's name" });
    }
    Ok(match settings.kind {
        ForeignKind::Prometheus => Arc::new(prometheus::Prometheus::new(settings, clock)?),
        ForeignKind::Thanos => Arc::new(thanos::Thanos::new(settings)?),
        ForeignKind::Loki => Arc::new(loki::Loki::new(settings, clock)?),
        ForeignKind::Tempo => Arc::new(tempo::Tempo::new(settings, clock)?),
        ForeignKind::Jaeger => Arc::new(jaeger::Jaeger::new(settings, clock)?),
    })
}

/// An answer's coverage: complete, or partial in the words of whoever warned.
fn coverage(cluster: &str, signal: Signal, scope: &Scope, warnings: &[String]) -> Coverage {
    let mut source = SourceCoverage::complete(cluster, signal, scope.range);
    if !warnings.is_empty() {
        source.state = CoverageState::Partial;
        source.covered.clear();
        source.reason = error::one_line(&warnings.join("; "));
    }
    Coverage::one(source)
}

/// Nothing, and that is all there is.
fn nothing<T: Send + 'static>(cluster: &str, signal: Signal, scope: &Scope) -> Selection<T> {
    Selection::with_coverage(stream::empty().boxed(), coverage(cluster, signal, scope, &[]))
}

/// Whether the scope may see what belongs to `owner`, and the label it carries where several tenants are asked.
fn visible(scope: &Scope, owner: &TenantId) -> Option<Labels> {
    if !scope.tenants.iter().any(|t| t == owner) {
        return None;
    }
    Some(match scope.tenants.is_single() {
        true => Labels::default(),
        false => Labels::from_pairs([(TENANT_LABEL, owner.as_str())]),
    })
}

/// What the contract adds where several tenants are asked.
const TENANT_LABEL: &str = "__tenant_id__";

/// Sorted and distinct, and no more than asked for.
fn sorted<T: Ord>(mut list: Vec<T>, limit: Option<usize>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list.truncate(limit.unwrap_or(usize::MAX));
    list
}

#[cfg(test)]
pub(crate) mod tests;
