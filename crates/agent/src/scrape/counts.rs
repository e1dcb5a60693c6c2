//! What scraping counts about itself, under the names Prometheus gives it.

use base::metrics::{Counters, Gauges, Latencies, Pairs, Single, pair};
use contract::{Receipt, RefusalReason};

/// Shared by all jobs; registered once.
#[derive(Clone)]
pub(crate) struct Counts {
    pub(super) pools: Single,
    pub(super) reloads: Single,
    pub(super) exceeded_targets: Single,
    pub(super) exceeded_body_size: Single,
    pub(super) exceeded_samples: Single,
    pub(super) exceeded_labels: Single,
    pub(super) exceeded_buckets: Single,
    pub(super) duplicates: Single,
    pub(super) out_of_order: Single,
    pub(super) out_of_bounds: Single,
    pub(super) forced_flushes: Single,
    target_limit: Gauges,
    targets: Gauges,
    syncs: Counters,
    sync_failures: Counters,
    pub(super) interval: Latencies,
}

impl Counts {
    pub(crate) fn new(metrics: &base::Metrics) -> Self {
        let m = metrics.with_prefix("prometheus_target");
        Counts {
            pools: m.counter("scrape_pools", "Scrape pools made."),
            reloads: m.counter("scrape_pool_reloads", "Scrape pools given another configuration."),
            exceeded_targets: m
                .counter("scrape_pool_exceeded_target_limit", "Times a pool was over its target limit."),
            exceeded_body_size: m
                .counter("scrapes_exceeded_body_size_limit", "Scrapes over the body size limit."),
            exceeded_samples: m.counter("scrapes_exceeded_sample_limit", "Scrapes over the sample limit."),
            exceeded_labels: m
                .counter("scrape_pool_exceeded_label_limits", "Scrapes over one of the label limits."),
            exceeded_buckets: m.counter(
                "scrapes_exceeded_native_histogram_bucket_limit",
                "Scrapes with a native histogram that could not be brought within the bucket limit.",
            ),
            duplicates: m.counter(
                "scrapes_sample_duplicate_timestamp",
                "Samples left out since their series had another value at the same time.",
            ),
            out_of_order: m.counter("scrapes_sample_out_of_order", "Samples refused as too old."),
            out_of_bounds: m
                .counter("scrapes_sample_out_of_bounds", "Samples left out as too far in the future."),
            forced_flushes: m.counter(
                "scrapes_cache_flush_forced",
                "Times failing scrapes left so many series behind that they were forgotten by force.",
            ),
            target_limit: m.gauges("scrape_pool_target_limit", "Targets a pool may have."),
            targets: m.gauges("scrape_pool_targets", "Targets a pool has."),
            syncs: m.counters("scrape_pool_sync", "Times a pool's targets were looked through."),
            sync_failures: m.counters("sync_failed", "Targets that could not be made."),
            interval: m.latencies("interval_length_histogram", "Time between two scrapes of a target."),
        }
    }

    pub(super) fn limit(&self, job: &str, limit: u64) {
        self.target_limit.get_or_create(&of(job)).set(limit.try_into().unwrap_or(i64::MAX));
    }

    pub(super) fn synced(&self, job: &str, targets: usize, failures: usize) {
        self.targets.get_or_create(&of(job)).set(targets as i64);
        self.syncs.get_or_create(&of(job)).inc();
        self.sync_failures.get_or_create(&of(job)).inc_by(failures as u64);
    }

    pub(super) fn forget(&self, job: &str) {
        let job = of(job);
        self.target_limit.remove(&job);
        self.targets.remove(&job);
        self.syncs.remove(&job);
        self.sync_failures.remove(&job);
    }

    /// What the node refused of a scrape.
    pub(super) fn refused(&self, receipt: &Receipt) {
        for r in &receipt.refused {
            match r.reason {
                RefusalReason::TooOld => self.out_of_order.inc_by(r.count),
                RefusalReason::TooFarInFuture => self.out_of_bounds.inc_by(r.count),
                RefusalReason::DuplicateConflict => self.duplicates.inc_by(r.count),
                _ => 0,
            };
        }
    }
}

fn of(job: &str) -> Pairs {
    pair("scrape_job", job)
}
