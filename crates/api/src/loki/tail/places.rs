//! How many tails there may be, and what is counted of them.

use std::{collections::HashMap, sync::Arc};

use base::{
    Metrics,
    metrics::{Counters, Gauges, pair},
};
use contract::Tenants;
use model::TenantId;
use parking_lot::Mutex;

use crate::Error;

/// The tails of a node. They last, so a turn at the gate would not bound them.
pub struct Tails {
    max: usize,
    max_per_tenant: usize,
    open: Arc<Mutex<Open>>,
    shown: Gauges,
    refused: Counters,
    pub(super) dropped: Dropped,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_tenant: HashMap<TenantId, usize>,
}

/// Counts lines that a tail did not send.
#[derive(Clone)]
pub struct Dropped(Counters);

impl Tails {
    pub fn new(max: usize, max_per_tenant: usize, metrics: &Metrics) -> Self {
        Tails {
            max,
            max_per_tenant,
            open: Arc::default(),
            shown: metrics.gauges("tails", "Live tails that are open, by protocol."),
            refused: metrics.counters("tails_refused", "Live tails that were refused, by reason."),
            dropped: Dropped::new(metrics),
        }
    }

    /// A place for one tail; one that reads for several tenants takes one of each.
    pub(super) fn enter(&self, tenants: &Tenants) -> Result<Place, Error> {
        let mut open = self.open.lock();
        let full = tenants.iter().find(|t| open.by_tenant.get(t).is_some_and(|n| *n >= self.max_per_tenant));
        let refusal = match full {
            _ if open.all >= self.max => {
                Some(("node", format!("query.max_tails {} live tails are open", self.max)))
            }
            Some(tenant) => Some((
                "tenant",
                format!(
                    "query.max_tails_per_tenant {} live tails are open for tenant {}",
                    self.max_per_tenant,
                    tenant.as_str()
                ),
            )),
            None if self.max_per_tenant == 0 => {
                Some(("tenant", "query.max_tails_per_tenant is 0".to_owned()))
            }
            None => None,
        };
        if let Some((reason, message)) = refusal {
            self.refused.get_or_create(&pair("reason", reason)).inc();
            return Err(Error::new(base::Kind::Limited, message));
        }
        open.all += 1;
        for tenant in tenants.iter() {
            *open.by_tenant.entry(tenant.clone()).or_default() += 1;
        }
        self.shown.get_or_create(&pair("protocol", "loki")).inc();
        Ok(Place { open: self.open.clone(), shown: self.shown.clone(), tenants: tenants.clone() })
    }
}

/// The right to one tail; given back on drop.
pub(super) struct Place {
    open: Arc<Mutex<Open>>,
    shown: Gauges,
    tenants: Tenants,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shown.get_or_create(&pair("protocol", "loki")).dec();
        let mut open = self.open.lock();
        open.all -= 1;
        for tenant in self.tenants.iter() {
            if let Some(n) = open.by_tenant.get_mut(tenant) {
                *n -= 1;
                if *n == 0 {
                    open.by_tenant.remove(tenant);
                }
            }
        }
    }
}

impl Dropped {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Dropped(metrics.counters("tail_dropped_lines", "Lines that a live tail did not send, by reason."))
    }

    pub(super) fn count(&self, reason: &'static str, lines: u64) {
        self.0.get_or_create(&pair("reason", reason)).inc_by(lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(names: &[&str]) -> Tenants {
        Tenants::several(names.iter().map(|n| TenantId::new(n).unwrap()).collect()).unwrap()
    }

    #[test]
    fn tails_are_bounded_by_node_and_by_tenant_and_a_place_is_given_back() {
        let tails = Tails::new(3, 2, &Metrics::default());
        let a = tails.enter(&tenants(&["a"])).unwrap();
        let ab = tails.enter(&tenants(&["a", "b"])).unwrap();
        let refused = tails.enter(&tenants(&["a", "c"])).err().unwrap();
        assert!(refused.to_string().contains("query.max_tails_per_tenant 2"), "{refused}");
        assert!(refused.to_string().contains("tenant a"), "{refused}");
        let _b = tails.enter(&tenants(&["b"])).unwrap();
        let refused = tails.enter(&tenants(&["c"])).err().unwrap();
        assert!(refused.to_string().contains("query.max_tails 3"), "{refused}");
        drop((a, ab));
        tails.enter(&tenants(&["a"])).unwrap();
        assert_eq!(tails.open.lock().by_tenant.len(), 1);
    }
}
