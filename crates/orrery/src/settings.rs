//! From the checked configuration to the options of each part.

use anyhow::{Result, bail};

/// What a running node can take over. A key that cannot is named.
pub fn only_reloadable(old: &config::Node, new: &config::Node) -> Result<()> {
    let fixed = [
        ("cluster", old.cluster == new.cluster),
        ("external_labels", old.external_labels == new.external_labels),
        ("data_dir", old.data_dir == new.data_dir),
        ("listen", old.listen == new.listen),
        ("query", old.query == new.query),
        ("promql", old.promql_experimental == new.promql_experimental),
        ("collect.traces", old.collect.traces == new.collect.traces),
    ];
    match fixed.iter().find(|(_, same)| !same) {
        Some((key, _)) => bail!("{key} cannot change while the node runs; restart it to apply the new value"),
        None => Ok(()),
    }
}

pub fn policy(c: &config::Node) -> store::Policy {
    let defaults = store::Policy::default();
    store::Policy {
        retention: store::Retention {
            metrics: c.retention.metrics,
            logs: c.retention.logs,
            traces: c.retention.traces,
            max_bytes: c.retention.max_bytes,
        },
        out_of_order_window: c.ingest.out_of_order_window,
        disk_reserve_bytes: Some(c.disk.reserve_bytes),
        flush: flush(c, &defaults.flush),
        limits: store::Limits {
            max_series: c.ingest.max_series,
            max_series_per_metric: c.ingest.max_series_per_metric,
            max_labels: c.ingest.max_labels,
            max_label_name_bytes: c.ingest.max_label_name_bytes,
            max_label_value_bytes: c.ingest.max_label_value_bytes,
            // A record is its line and what it carries.
            max_item_bytes: c.ingest.max_line_bytes.saturating_mul(2).max(defaults.limits.max_item_bytes),
            ..defaults.limits
        },
        ..defaults
    }
}

/// Heads may take a quarter of the memory and the log a quarter of what retention leaves on the disk, so that a
/// small node flushes early instead of refusing.
fn flush(c: &config::Node, defaults: &store::FlushPolicy) -> store::FlushPolicy {
    let disk = c.retention.max_bytes.unwrap_or(u64::MAX);
    store::FlushPolicy {
        max_head_bytes: defaults.max_head_bytes.min(c.memory.limit_bytes / 4),
        max_wal_bytes: defaults.max_wal_bytes.min(disk / 4),
        ..defaults.clone()
    }
}

pub fn ingest(c: &config::Node) -> ingest::Options {
    let defaults = ingest::Options::default();
    ingest::Options {
        limits: ingest::Limits {
            max_body_bytes: c.ingest.max_body_bytes,
            max_decompressed_bytes: c.ingest.max_unpacked_bytes,
            items: items(c),
        },
        cluster: c.cluster.clone(),
        otlp_metrics: ingest::OtlpMetrics {
            lookback_ms: i64::try_from(c.query.lookback.as_millis()).unwrap_or(i64::MAX),
            ..c.otlp.metrics.clone()
        },
        deltas: c.otlp.deltas.clone(),
        ..defaults
    }
}

/// What one item may look like, for whoever decodes it.
fn items(c: &config::Node) -> ingest::ItemLimits {
    ingest::ItemLimits {
        max_labels: c.ingest.max_labels,
        max_label_name_bytes: c.ingest.max_label_name_bytes,
        max_label_value_bytes: c.ingest.max_label_value_bytes,
        max_line_bytes: c.ingest.max_line_bytes,
        ..Default::default()
    }
}

pub fn promql(c: &config::Node) -> promql::EngineOptions {
    let on = |name: &str| c.promql_experimental.iter().any(|n| n == name || n == "all");
    promql::EngineOptions {
        lookback_ms: c.query.lookback.as_millis() as i64,
        experimental: promql::Experimental {
            functions: on("functions"),
            durations: on("durations"),
            extended_selectors: on("extended_selectors"),
            fill: on("fill"),
            start_timestamps: on("start_timestamps"),
            type_and_unit_labels: on("type_and_unit_labels"),
        },
        delayed_name_removal: on("delayed_name_removal"),
        ..Default::default()
    }
}

pub fn api(c: &config::Node) -> api::ApiOptions {
    let labels = c.external_labels.iter().map(|(k, v)| (k.clone(), v.clone()));
    api::ApiOptions {
        query_timeout: c.query.timeout,
        lookback_delta: c.query.lookback,
        max_concurrent_queries: c.query.max_concurrent,
        limits: contract::QueryLimits {
            max_samples: c.query.max_samples,
            max_series: c.query.max_series,
            max_bytes: c.query.max_bytes,
            ..Default::default()
        },
        cluster: c.cluster.clone(),
        external_labels: model::Labels::from_pairs(labels),
        version: api::VersionInfo { version: env!("CARGO_PKG_VERSION").to_owned(), ..Default::default() },
        ..Default::default()
    }
}
