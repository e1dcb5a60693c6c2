//! `forward`: where telemetry is sent onward to, and which. `remote_write` of a `prometheus.yml` becomes the same.
//!
//! Entries are read as a tree, since they have Prometheus' client keys inlined.

mod budget;
mod build;
pub(crate) mod kinds;
mod read;

use std::collections::BTreeMap;

use forward::{
    Limits, Selection,
    destination::{
        datadog::DatadogOptions, elastic::ElasticOptions, file::FileOptions, hec::HecOptions,
        http::HttpOptions, kafka::KafkaOptions, remote_write::WriteVersion,
    },
};
use transform::relabel::{Names, Rule, RuleConfig};

pub use self::read::destinations_of;
pub(crate) use self::read::{backlog_bytes, check, twice, version};

/// One destination, checked: [`Destination::open`] succeeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    pub name: String,
    pub protocol: Protocol,
    pub selection: Selection,
    pub limits: Limits,
    /// Of brokers and files the addresses only.
    pub http: HttpOptions,
    /// Whether series get the node's external labels that they lack.
    pub with_external_labels: bool,
    /// How many of the rules, the first ones, set external labels.
    pub external_rules: usize,
}

/// What is spoken to a destination.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    OtlpGrpc,
    OtlpHttp,
    RemoteWrite(WriteVersion),
    Loki,
    Elasticsearch(ElasticOptions),
    SplunkHec(HecOptions),
    Datadog(DatadogOptions),
    Kafka(KafkaOptions),
    File(FileOptions),
}

impl Protocol {
    /// As `to` names it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Protocol::OtlpGrpc => "otlp",
            Protocol::OtlpHttp => "otlp_http",
            Protocol::RemoteWrite(_) => "remote_write",
            Protocol::Loki => "loki",
            Protocol::Elasticsearch(_) => "elasticsearch",
            Protocol::SplunkHec(_) => "splunk_hec",
            Protocol::Datadog(_) => "datadog",
            Protocol::Kafka(_) => "kafka",
            Protocol::File(_) => "file",
        }
    }
}

impl Destination {
    /// Puts the node's external labels before the rules, as Prometheus does: each is set where it is absent.
    pub(crate) fn stamp(&mut self, external: &BTreeMap<String, String>) {
        if !self.with_external_labels {
            return;
        }
        let absent = |(name, value): (&String, &String)| {
            Rule::new(RuleConfig {
                source_labels: vec![name.clone()],
                regex: String::new(),
                target_label: name.clone(),
                replacement: value.replace('$', "$$"),
                names: Names::Utf8,
                ..RuleConfig::default()
            })
        };
        // Names were checked where the labels stand.
        let mut rules: Vec<Rule> = external.iter().filter_map(|l| absent(l).ok()).collect();
        self.external_rules = rules.len();
        rules.append(&mut self.selection.write_relabel);
        self.selection.write_relabel = rules;
    }
}

#[cfg(test)]
mod tests;
