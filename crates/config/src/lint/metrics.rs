//! Names of metrics that nobody writes: in rules, dashboards, relabelling and prose.

use std::collections::HashSet;

use super::{
    File,
    finding::{Findings, Severity, Told},
    source::Source,
    tree::{Tree, Visited},
};
use crate::yaml::At;

struct Name {
    wrong: &'static str,
    right: &'static str,
    severity: Severity,
    why: &'static str,
}

const NEVER: &str = "Thanos has no metric of that name, and never had";
const KSM: &str = "kube-state-metrics calls it otherwise since 2.0";
const NODE: &str = "node_exporter calls it otherwise since 0.16";

/// Whoever uses the old and the new name together, for the time of a change, is left alone.
const NAMES: [Name; 13] = [
    Name {
        wrong: "thanos_sidecar_uploads_total",
        right: "thanos_shipper_uploads_total",
        severity: Severity::Error,
        why: NEVER,
    },
    Name {
        wrong: "thanos_sidecar_upload_failures_total",
        right: "thanos_shipper_upload_failures_total",
        severity: Severity::Error,
        why: NEVER,
    },
    renamed("kube_hpa_status_current_replicas", "kube_horizontalpodautoscaler_status_current_replicas", KSM),
    renamed("kube_hpa_status_desired_replicas", "kube_horizontalpodautoscaler_status_desired_replicas", KSM),
    renamed("kube_hpa_spec_max_replicas", "kube_horizontalpodautoscaler_spec_max_replicas", KSM),
    renamed("kube_hpa_spec_min_replicas", "kube_horizontalpodautoscaler_spec_min_replicas", KSM),
    renamed(
        "kube_pod_container_resource_requests_cpu_cores",
        "kube_pod_container_resource_requests{resource=\"cpu\"}",
        KSM,
    ),
    renamed(
        "kube_pod_container_resource_requests_memory_bytes",
        "kube_pod_container_resource_requests{resource=\"memory\"}",
        KSM,
    ),
    renamed("node_memory_MemAvailable", "node_memory_MemAvailable_bytes", NODE),
    renamed("node_memory_MemTotal", "node_memory_MemTotal_bytes", NODE),
    renamed("node_filesystem_avail", "node_filesystem_avail_bytes", NODE),
    renamed("node_filesystem_size", "node_filesystem_size_bytes", NODE),
    renamed("node_filesystem_free", "node_filesystem_free_bytes", NODE),
];

const fn renamed(wrong: &'static str, right: &'static str, why: &'static str) -> Name {
    Name { wrong, right, severity: Severity::Warning, why }
}

/// A name that any of the files records is a name that exists.
pub(super) fn check(files: &[File<'_>], found: &mut [Findings]) {
    let trees = files.iter().flat_map(|f| f.trees.iter());
    let recorded: HashSet<&str> = trees
        .flat_map(|t| t.all.iter())
        .filter(|v| v.key == "record")
        .filter_map(|v| v.node.text())
        .collect();
    for (file, found) in files.iter().zip(found) {
        for tree in file.trees {
            of_tree(tree, file.source, &recorded, found);
        }
        for (line, text) in &file.source.prose {
            for (name, at) in wrong_in(text, &recorded) {
                found.add(At { line: *line, column: at as u64 + 1 }, "", told(name));
            }
        }
    }
}

fn of_tree(tree: &Tree<'_>, source: &Source, recorded: &HashSet<&str>, found: &mut Findings) {
    for v in tree.all.iter().filter(|v| holds_names(v)) {
        for (name, _) in wrong_in(v.node.text().unwrap_or_default(), recorded) {
            found.add(source.place(v.node, name.wrong), &v.path, told(name));
        }
    }
}

fn holds_names(v: &Visited<'_>) -> bool {
    const KEYS: [&str; 8] =
        ["expr", "query", "definition", "regex", "match[]", "metricsQuery", "seriesQuery", "metric"];
    KEYS.contains(&v.key) && v.node.text().is_some()
}

/// Each wrong name once, with the character it begins at.
fn wrong_in(text: &str, recorded: &HashSet<&str>) -> Vec<(&'static Name, usize)> {
    let words = words(text);
    let has = |name: &str| words.iter().any(|(w, _)| name.split('{').next() == Some(*w));
    NAMES
        .iter()
        .filter(|n| !recorded.contains(n.wrong) && !has(n.right))
        .filter_map(|n| {
            let (_, at) = words.iter().find(|(w, _)| *w == n.wrong)?;
            Some((n, text.get(..*at)?.chars().count()))
        })
        .collect()
}

fn words(text: &str) -> Vec<(&str, usize)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut out = Vec::new();
    let mut begin = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (begin, part(c)) {
            (None, true) => begin = Some(at),
            (Some(from), false) => {
                out.extend(text.get(from..at).map(|w| (w, from)));
                begin = None;
            }
            _ => {}
        }
    }
    out
}

fn told(name: &Name) -> Told {
    Told {
        severity: name.severity,
        rule: "no-such-metric",
        message: format!("nothing writes {}: {}", name.wrong, name.why),
        effect: "it selects no series: an alert on it never fires, a panel stays empty, and neither says why"
            .to_owned(),
        instead: name.right.to_owned(),
    }
}
