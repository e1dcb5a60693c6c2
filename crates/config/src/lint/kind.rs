//! Which program a document is for, told by what it says.

use serde::Serialize;

use crate::yaml::{Node, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Orrery,
    Prometheus,
    Rules,
    RuleTests,
    Relabeling,
    Targets,
    Alertmanager,
    Collector,
    Vmauth,
    Tenants,
    Datasources,
    Dashboard,
    Kubernetes,
    HelmValues,
    Compose,
    Shipper,
    Markdown,
    Unknown,
}

impl Kind {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Orrery => "Orrery configuration",
            Kind::Prometheus => "Prometheus configuration",
            Kind::Rules => "Prometheus rules",
            Kind::RuleTests => "unit tests of Prometheus rules",
            Kind::Relabeling => "relabelling rules",
            Kind::Targets => "targets for file_sd_configs",
            Kind::Alertmanager => "Alertmanager configuration",
            Kind::Collector => "OpenTelemetry Collector configuration",
            Kind::Vmauth => "vmauth configuration",
            Kind::Tenants => "list of tenants",
            Kind::Datasources => "Grafana data sources",
            Kind::Dashboard => "Grafana dashboard",
            Kind::Kubernetes => "Kubernetes manifest",
            Kind::HelmValues => "values of a Helm chart",
            Kind::Compose => "Compose file",
            Kind::Shipper => "configuration of a log shipper",
            Kind::Markdown => "Markdown with configuration in it",
            Kind::Unknown => "YAML of no kind known",
        }
    }
}

/// Keys of `prometheus.yml` that no other program's file begins with.
const PROMETHEUS: [&str; 8] = [
    "scrape_configs",
    "scrape_config_files",
    "remote_write",
    "remote_read",
    "rule_files",
    "alerting",
    "storage",
    "tracing",
];
const GLOBAL: [&str; 6] = [
    "scrape_interval",
    "scrape_timeout",
    "evaluation_interval",
    "external_labels",
    "scrape_protocols",
    "query_log_file",
];
const ALERTMANAGER: [&str; 5] =
    ["route", "inhibit_rules", "templates", "time_intervals", "mute_time_intervals"];
const ORRERY: [&str; 16] = [
    "cluster",
    "data_dir",
    "listen",
    "roles",
    "peers",
    "peers_file",
    "answer_to",
    "retention",
    "collect",
    "ingest",
    "memory",
    "traces",
    "prometheus",
    "forward",
    "collector",
    "alertmanager",
];
const HELM: [&[&str]; 7] = [
    &["prometheus", "prometheusSpec"],
    &["alertmanager", "config"],
    &["alertmanager", "alertmanagerSpec"],
    &["grafana", "datasources"],
    &["grafana", "additionalDataSources"],
    &["defaultRules"],
    &["fullnameOverride"],
];

pub(super) fn recognise(root: &Node) -> Kind {
    match &root.value {
        Value::List(_) => of_list(root),
        Value::Map(_) => of_map(root),
        // A node runs on its defaults with an empty file.
        Value::Null => Kind::Orrery,
        Value::Scalar(..) => Kind::Unknown,
    }
}

fn of_list(root: &Node) -> Kind {
    let all = |f: fn(&Node) -> bool| !root.items().is_empty() && root.items().iter().all(f);
    match () {
        () if all(|n| n.get("targets").is_some() || n.get("labels").is_some()) => Kind::Targets,
        () if super::relabel::is_rules(root) => Kind::Relabeling,
        () => Kind::Unknown,
    }
}

fn of_map(root: &Node) -> Kind {
    let has = |key: &str| root.get(key).is_some();
    let any = |keys: &[&str]| keys.iter().any(|k| has(k));
    let is_list = |key: &str| root.get(key).is_some_and(|n| !n.items().is_empty());
    let is_map = |key: &str| root.get(key).is_some_and(Node::is_map);
    let global = |keys: &[&str]| keys.iter().any(|k| root.at_path(&["global", *k]).is_some());
    match () {
        () if is_list("datasources") => Kind::Datasources,
        () if has("kind") && (has("apiVersion") || has("metadata")) => Kind::Kubernetes,
        () if is_list("panels")
            || is_list("rows")
            || has("schemaVersion")
            || root.at_path(&["dashboard", "panels"]).is_some() =>
        {
            Kind::Dashboard
        }
        () if is_collector(root) => Kind::Collector,
        () if is_list("tests") => Kind::RuleTests,
        () if has("groups") => Kind::Rules,
        () if super::vmauth::is_config(root) => Kind::Vmauth,
        () if HELM.iter().any(|path| root.at_path(path).is_some()) => Kind::HelmValues,
        () if any(&PROMETHEUS) || global(&GLOBAL) => Kind::Prometheus,
        () if any(&ALERTMANAGER) || is_list("receivers") => Kind::Alertmanager,
        () if global(&["resolve_timeout", "smtp_smarthost", "slack_api_url"]) => Kind::Alertmanager,
        () if has("tenants") => Kind::Tenants,
        () if is_map("services") => Kind::Compose,
        () if any(&["filebeat.inputs", "output.elasticsearch", "pipeline"]) => Kind::Shipper,
        () if any(&ORRERY) => Kind::Orrery,
        () if any(&["otlp", "global", "runtime"]) => Kind::Prometheus,
        () if root.entries().iter().all(|e| super::relabel::is_rules(&e.node)) => Kind::Relabeling,
        () => Kind::Unknown,
    }
}

fn is_collector(root: &Node) -> bool {
    let is_map = |key: &str| root.get(key).is_some_and(Node::is_map);
    root.at_path(&["service", "pipelines"]).is_some()
        || is_map("exporters")
        || (is_map("receivers") && is_map("processors"))
        || root.at_path(&["extensions", "jaeger_storage"]).is_some()
}
