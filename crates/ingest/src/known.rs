//! Series that senders repeat, by tenant, for the decoder of remote write ([`wire::remote_write::KnownSeries`]).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use base::MemoryBudget;
use model::{MetricBatch, TenantId};
use parking_lot::Mutex;
use wire::{Decoded, Limits, remote_write::KnownSeries};

/// This part of the memory limit may be taken. Larger: more series are found by their bytes; smaller: beyond
/// it they are read anew.
const MEMORY_PART: u64 = 16;
/// Larger requests are read without: while one is read, the tenant's others wait.
const MAX_BODY_BYTES: usize = 8 << 20;

#[derive(Default)]
pub(crate) struct Known {
    tenants: Mutex<HashMap<TenantId, Arc<Mutex<KnownSeries>>>>,
    /// Of all tenants.
    bytes: Arc<AtomicUsize>,
}

/// What is known of one tenant.
pub(crate) struct OfTenant {
    series: Arc<Mutex<KnownSeries>>,
    bytes: Arc<AtomicUsize>,
}

impl Known {
    pub(crate) fn of(&self, tenant: &TenantId, budget: &MemoryBudget) -> OfTenant {
        let max = usize::try_from(budget.limit_bytes() / MEMORY_PART).unwrap_or(usize::MAX);
        let mut tenants = self.tenants.lock();
        if self.bytes.load(Relaxed) > max {
            // Each tenant's own bound is the same, so several together may pass it: all begin anew.
            tenants.clear();
            self.bytes.store(0, Relaxed);
        }
        let series = match tenants.get(tenant) {
            Some(known) => known.clone(),
            None => {
                let known = Arc::new(Mutex::new(KnownSeries::new(max)));
                tenants.insert(tenant.clone(), known.clone());
                known
            }
        };
        OfTenant { series, bytes: self.bytes.clone() }
    }
}

impl OfTenant {
    pub(crate) fn decode_v1(
        &self,
        body: &[u8],
        limits: &Limits,
    ) -> Result<Decoded<MetricBatch>, wire::Error> {
        if body.len() > MAX_BODY_BYTES {
            return wire::remote_write::decode_v1(body, limits);
        }
        let mut series = self.series.lock();
        let before = series.bytes();
        let decoded = wire::remote_write::decode_v1_known(body, limits, &mut series);
        let after = series.bytes();
        // Both may have shrunk meanwhile; the sum is only there to be compared with its bound.
        let _ = self.bytes.fetch_update(Relaxed, Relaxed, |b| Some((b + after).saturating_sub(before)));
        decoded
    }
}
