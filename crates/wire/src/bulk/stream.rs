//! What of a document names its stream. Few fields do: what has a value per request or user stays an attribute.

use model::{AnyValue, Attributes, Labels, LogRecord, LogStream, attributes::Scope};

use super::{INDEX, SCOPE, find};
use crate::Limits;

/// Labels of a stream with the fields they are taken from, the first that is there: those of Beats, of
/// OpenTelemetry, and of Fluent Bit's Kubernetes filter.
const LABELS: &[(&str, &[&str])] = &[
    ("cluster", &["k8s.cluster.name", "orchestrator.cluster.name"]),
    ("host_name", &["host.name", "host.hostname", "host", "hostname"]),
    (
        "k8s_container_name",
        &["k8s.container.name", "kubernetes.container.name", "kubernetes.container_name", "container.name"],
    ),
    ("k8s_namespace_name", &["k8s.namespace.name", "kubernetes.namespace", "kubernetes.namespace_name"]),
    ("k8s_pod_name", &["k8s.pod.name", "kubernetes.pod.name", "kubernetes.pod_name"]),
    (
        "service_name",
        &["service.name", "kubernetes.container.name", "kubernetes.container_name", "container.name"],
    ),
];
/// Texts longer than this name nothing.
const MAX_VALUE_BYTES: usize = 256;
const LEVELS: &[&str] = &["log.level", "level", "severity", "severity_text"];

/// What makes two documents records of one stream: the index, then the labels of the table.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin(Vec<Option<String>>);

impl Origin {
    pub(super) fn of(index: &str, document: &Attributes, limits: &Limits) -> Self {
        let max = MAX_VALUE_BYTES.min(limits.max_label_value_bytes);
        let value = |fields: &&[&str]| {
            let texts = fields.iter().filter_map(|f| find(document, f)?.as_str());
            texts.filter(|s| !s.is_empty() && s.len() <= max).map(str::to_owned).next()
        };
        Origin([Some(index.to_owned())].into_iter().chain(LABELS.iter().map(|(_, f)| value(f))).collect())
    }

    pub(super) fn stream(&self, limits: &Limits) -> Result<LogStream, String> {
        let names = [INDEX].into_iter().chain(LABELS.iter().map(|(n, _)| *n));
        let mut pairs: Vec<(&str, &str)> =
            names.zip(&self.0).filter_map(|(n, v)| Some((n, v.as_deref()?))).collect();
        if !pairs.iter().any(|(n, _)| *n == "service_name") {
            pairs.push(("service_name", "unknown_service"));
        }
        let labels: Labels = limits.labels(&mut pairs)?;
        let scope = Scope { name: SCOPE.to_owned(), ..Scope::default() };
        let mut stream = LogStream { labels, scope, ..LogStream::default() };
        // What names its cluster keeps it, as stamping looks at both places.
        if let Some(cluster) = stream.labels.get("cluster").map(str::to_owned) {
            stream.resource.attributes.push("k8s.cluster.name", cluster);
        }
        Ok(stream)
    }
}

/// Fills in what records have a place of their own for. The document keeps its fields.
pub(super) fn derive(record: &mut LogRecord) {
    let text = |field: &str| find(&record.attributes, field).and_then(AnyValue::as_str);
    let severity = LEVELS.iter().find_map(|f| text(f)).and_then(severity).unwrap_or(0);
    let trace_id = ["trace.id", "trace_id"].iter().find_map(|f| hex(text(f)?));
    let span_id = ["span.id", "span_id"].iter().find_map(|f| hex(text(f)?));
    record.severity_number = severity;
    record.trace_id = trace_id.unwrap_or_default();
    record.span_id = span_id.unwrap_or_default();
}

/// OpenTelemetry's number of a level by name.
fn severity(level: &str) -> Option<u8> {
    let number = match level.to_ascii_lowercase().as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "warning" => 13,
        "error" | "err" => 17,
        "critical" | "crit" => 18,
        "alert" => 19,
        "fatal" | "panic" | "emergency" | "emerg" => 21,
        _ => return None,
    };
    Some(number)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    if bytes.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
