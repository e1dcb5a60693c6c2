//! The file as people write it: every key optional, every value with its place in the text. Unknown keys are
//! errors. The keys and their defaults are explained in `docs/configuration.md`.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny},
};
use serde_saphyr::Spanned;

use crate::scalar::Scalar;

/// A value with its line, if the key is there.
pub type Field<T> = Option<Spanned<T>>;

/// A key this version knows but does not serve; its presence is an error with advice.
pub type NotYet = Option<Spanned<IgnoredAny>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    pub cluster: Field<String>,
    pub external_labels: Option<BTreeMap<String, Spanned<String>>>,
    pub data_dir: Field<String>,
    pub listen: crate::listen::Written,
    pub http: Http,
    pub insecure: Option<bool>,
    pub roles: Field<Vec<String>>,
    pub retention: Retention,
    pub memory: Memory,
    pub disk: Disk,
    pub ingest: Ingest,
    pub otlp: Option<Spanned<crate::otlp::Written>>,
    pub traces: crate::traces::Written,
    pub query: Query,
    pub promql: PromQl,
    pub collect: Collect,
    pub prometheus: Option<Spanned<Prometheus>>,
    pub bucket: NotYet,
    pub tls: Field<crate::listen::WrittenTls>,
    /// Read by another reader.
    pub peers: Option<Spanned<IgnoredAny>>,
    pub peers_file: Field<String>,
    /// Read by another reader.
    pub answer_to: Option<Spanned<IgnoredAny>>,
    /// Read by another reader.
    pub forward: Option<Spanned<IgnoredAny>>,
    /// Read by another reader.
    pub receive: Option<Spanned<IgnoredAny>>,
    pub collector: NotYet,
    pub alertmanager: NotYet,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub enable_lifecycle: Option<bool>,
    pub enable_admin: Option<bool>,
    pub cors_origin: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    pub metrics: Field<Scalar>,
    pub logs: Field<Scalar>,
    pub traces: Field<Scalar>,
    pub max_bytes: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    pub limit: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    pub reserve: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    pub max_body: Field<Scalar>,
    pub max_unpacked: Field<Scalar>,
    pub max_series: Field<Scalar>,
    pub max_series_per_metric: Field<Scalar>,
    pub max_tenants: Field<Scalar>,
    pub max_labels: Field<Scalar>,
    pub max_label_name: Field<Scalar>,
    pub max_label_value: Field<Scalar>,
    pub max_line: Field<Scalar>,
    pub out_of_order_window: Field<Scalar>,
    pub discover_service_name: Option<bool>,
    pub discover_log_levels: Option<bool>,
    pub patterns: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    pub timeout: Field<Scalar>,
    pub max_concurrent: Field<Scalar>,
    pub max_queued: Field<Scalar>,
    pub max_tails: Field<Scalar>,
    pub max_tails_per_tenant: Field<Scalar>,
    pub max_samples: Field<Scalar>,
    pub max_series: Field<Scalar>,
    pub max_bytes: Field<Scalar>,
    pub max_rows: Field<Scalar>,
    pub lookback: Field<Scalar>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromQl {
    pub experimental: Option<Spanned<Switches>>,
}

/// `true`, `false` or a list of names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Switches {
    All(bool),
    Names(Vec<String>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    pub host: Host,
    pub files: Files,
    pub pods: Pods,
    pub traces: OwnTraces,
    /// Scrape this node's own metrics and a node exporter on 127.0.0.1:9100 when one listens.
    pub defaults: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    pub enabled: Option<bool>,
    pub interval: Field<Scalar>,
    pub proc: Field<String>,
    pub sys: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    pub paths: Option<Vec<Spanned<String>>>,
    pub exclude: Option<Vec<Spanned<String>>>,
    pub start_at: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pods {
    pub path: Field<String>,
    pub start_at: Field<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnTraces {
    pub enabled: Option<bool>,
}

/// `prometheus:` is the name of a file or its content. The content is read by another reader.
#[derive(Debug)]
pub enum Prometheus {
    File(String),
    Inline,
}

impl<'de> Deserialize<'de> for Prometheus {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> de::Visitor<'de> for V {
            type Value = Prometheus;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a prometheus.yml or its content")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Prometheus, E> {
                Ok(Prometheus::File(v.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Prometheus, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Prometheus::Inline)
            }
        }
        d.deserialize_any(V)
    }
}
