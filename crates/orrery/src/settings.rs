//! From the checked configuration to the options of each part.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Result, bail};
use api::params::format_duration;
use base::Clock;

/// What a running node can take over. A key that cannot is named.
pub fn only_reloadable(old: &config::Node, new: &config::Node) -> Result<()> {
    let fixed = [
        ("cluster", old.cluster == new.cluster),
        ("external_labels", old.external_labels == new.external_labels),
        ("roles", old.keeps == new.keeps),
        ("tls", old.tls == new.tls),
        ("peers, from none to some or back", old.peers.list.is_empty() == new.peers.list.is_empty()),
        ("peers_file", old.peers.file == new.peers.file),
        ("answer_to", old.peers.answer_to == new.peers.answer_to),
        ("data_dir", old.data_dir == new.data_dir),
        ("ingest.patterns", old.ingest.patterns == new.ingest.patterns),
        ("traces", old.derive == new.derive),
        ("listen", old.listen == new.listen),
        ("http", old.http == new.http),
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
            max_tenants: c.ingest.max_tenants,
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
        discover: discover(c),
        ..defaults
    }
}

/// What is found out about log lines, whichever way they come in.
pub fn discover(c: &config::Node) -> ingest::Discover {
    ingest::Discover {
        service_name: c.ingest.discover_service_name,
        log_levels: c.ingest.discover_log_levels,
    }
}

/// What one item may look like, for whoever decodes it.
pub fn items(c: &config::Node) -> ingest::ItemLimits {
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

pub fn logql(clock: &Clock) -> logql::EngineOptions {
    logql::EngineOptions { clock: clock.clone(), ..Default::default() }
}

pub fn api(c: &config::Node) -> api::ApiOptions {
    let labels = c.external_labels.iter().map(|(k, v)| (k.clone(), v.clone()));
    api::ApiOptions {
        query_timeout: c.query.timeout,
        lookback_delta: c.query.lookback,
        max_concurrent_queries: c.query.max_concurrent,
        max_queued_queries: c.query.max_queued,
        max_tails: c.query.max_tails,
        max_tails_per_tenant: c.query.max_tails_per_tenant,
        log_options: api::LogOptions {
            discover_service_name: c.ingest.discover_service_name,
            discover_log_levels: c.ingest.discover_log_levels,
            patterns: c.ingest.patterns,
            retention: c.retention.logs,
        },
        enable_lifecycle: c.http.enable_lifecycle,
        enable_admin: c.http.enable_admin,
        cors_origin: c.http.cors_origin.clone(),
        limits: contract::QueryLimits {
            max_samples: c.query.max_samples,
            max_series: c.query.max_series,
            max_bytes: c.query.max_bytes,
            max_rows: c.query.max_rows,
            ..Default::default()
        },
        cluster: c.cluster.clone(),
        external_labels: model::Labels::from_pairs(labels),
        version: api::VersionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("ORRERY_REVISION").to_owned(),
            branch: env!("ORRERY_BRANCH").to_owned(),
            rustc: env!("ORRERY_RUSTC").to_owned(),
            ..Default::default()
        },
        ..Default::default()
    }
}

/// How long and how much metrics are kept, in Prometheus' words.
pub fn retention_text(c: &config::Node) -> String {
    let time = c.retention.metrics.map(format_duration);
    let size = c.retention.max_bytes.map(|b| format!("{b}B"));
    [time, size].into_iter().flatten().collect::<Vec<_>>().join(" or ")
}

/// The settings that Prometheus has flags for, under those names: tools read them there.
pub fn flags(c: &config::Node, file: Option<&Path>) -> BTreeMap<String, String> {
    let address = c.listen.http.as_ref().map_or("off".to_owned(), |l| l.address.to_string());
    let time = c.retention.metrics.map_or("0s".to_owned(), format_duration);
    let size = c.retention.max_bytes.map_or("0B".to_owned(), |b| format!("{b}B"));
    let flags = [
        ("config.file", file.map(|f| f.display().to_string()).unwrap_or_default()),
        ("enable-feature", c.promql_experimental.join(",")),
        ("query.lookback-delta", format_duration(c.query.lookback)),
        ("query.max-concurrency", c.query.max_concurrent.to_string()),
        ("query.max-samples", c.query.max_samples.to_string()),
        ("query.timeout", format_duration(c.query.timeout)),
        ("storage.tsdb.out-of-order-time-window", format_duration(c.ingest.out_of_order_window)),
        ("storage.tsdb.path", c.data_dir.display().to_string()),
        ("storage.tsdb.retention.size", size),
        ("storage.tsdb.retention.time", time),
        ("web.cors.origin", c.http.cors_origin.clone().unwrap_or_default()),
        ("web.enable-admin-api", c.http.enable_admin.to_string()),
        ("web.enable-lifecycle", c.http.enable_lifecycle.to_string()),
        ("web.enable-remote-write-receiver", "true".to_owned()),
        ("web.listen-address", address),
    ];
    flags.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_what_the_configuration_says_in_prometheus_notation() {
        let text =
            "retention: {metrics: 36h, max_bytes: 1MiB}\nquery: {timeout: 90s}\nhttp: {enable_admin: true}\n";
        let c = config::parse(text, Path::new("o.yaml")).unwrap();
        let flags = flags(&c, Some(Path::new("o.yaml")));
        assert_eq!(flags["storage.tsdb.retention.time"], "1d12h");
        assert_eq!(flags["query.timeout"], "1m30s");
        assert_eq!(flags["web.enable-admin-api"], "true");
        assert_eq!(flags["config.file"], "o.yaml");
        assert_eq!(retention_text(&c), "1d12h or 1048576B");
        let for_ever = config::parse("retention: {metrics: 0, max_bytes: 0}\n", Path::new("o.yaml")).unwrap();
        assert_eq!(retention_text(&for_ever), "");
    }
}
