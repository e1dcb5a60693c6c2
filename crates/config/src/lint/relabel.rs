//! Lists of relabelling rules, under whatever key. Rules run in order, so two `keep` rules are one condition
//! joined by *and*: what only one of them lets through is gone. Whoever writes two of them most often means *or*.

use regex::Regex;

use super::{
    finding::{Findings, Severity, Told},
    language::{Language, alternatives},
    tree::{Tree, joined},
};
use crate::yaml::{At, Node};

/// Keys of a rule, as Prometheus, its operator and vmagent write them.
const KEYS: [&str; 16] = [
    "source_labels",
    "sourceLabels",
    "separator",
    "regex",
    "modulus",
    "target_label",
    "targetLabel",
    "replacement",
    "action",
    "if",
    "match",
    "matchLabels",
    "labels",
    "name",
    "enforcedLabels",
    "comment",
];

/// Names that nearly every cluster has, to say what is lost.
const WELL_KNOWN: [&str; 24] = [
    "up",
    "ALERTS",
    "scrape_duration_seconds",
    "kube_pod_info",
    "kube_pod_status_phase",
    "kube_deployment_status_replicas",
    "kube_node_status_condition",
    "node_cpu_seconds_total",
    "node_load1",
    "node_memory_MemAvailable_bytes",
    "node_filesystem_avail_bytes",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "http_request_duration_seconds_count",
    "process_resident_memory_bytes",
    "go_goroutines",
    "apiserver_request_total",
    "etcd_server_has_leader",
    "prometheus_build_info",
    "coredns_dns_requests_total",
    "kubelet_running_pods",
    "probe_success",
];

/// Rules compared with each other in one list.
const MAX_KEEPS: usize = 50;
/// Examples told of a kind.
const EXAMPLES: usize = 5;

/// Whether a list is one of relabelling rules: no key in it is of anything else, and one says what to do.
pub(super) fn is_rules(list: &Node) -> bool {
    let could_be = |n: &Node| n.is_map() && n.entries().iter().all(|e| KEYS.contains(&e.key.as_str()));
    let surely = |n: &Node| n.get("regex").is_some() || n.get("action").is_some();
    list.items().iter().all(could_be) && list.items().iter().any(surely)
}

/// A `keep`, ready to be compared.
struct Keep {
    index: usize,
    sources: Vec<String>,
    separator: String,
    regex: String,
    at: At,
    key: String,
}

pub(super) fn check(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.all.iter().filter(|v| is_rules(v.node)) {
        let keeps = keeps(v.node, &v.path);
        for (i, second) in keeps.iter().enumerate() {
            for first in keeps.iter().take(i) {
                if let Some(told) = conflict(first, second, v.node) {
                    found.add(second.at, &second.key, told);
                }
            }
        }
    }
}

fn keeps(list: &Node, path: &str) -> Vec<Keep> {
    let mut out = Vec::new();
    for (index, rule) in list.items().iter().enumerate().take(MAX_KEEPS) {
        let action = rule.text_of(&["action"]).unwrap_or("replace").to_ascii_lowercase();
        let by_name = action == "keep_metrics";
        // `if` of vmagent makes a rule one of some series only.
        if !(action == "keep" || by_name) || rule.get("if").is_some() {
            continue;
        }
        let Some(regex) = rule.get("regex") else { continue };
        let sources = match by_name {
            true => vec!["__name__".to_owned()],
            false => sources(rule),
        };
        out.push(Keep {
            index,
            sources,
            separator: rule.text_of(&["separator"]).unwrap_or(";").to_owned(),
            regex: regex.texts().join("|"),
            at: regex.at,
            key: joined(&format!("{path}[{index}]"), "regex"),
        });
    }
    out
}

fn sources(rule: &Node) -> Vec<String> {
    let node = rule.get("source_labels").or_else(|| rule.get("sourceLabels"));
    node.map(Node::texts).unwrap_or_default().into_iter().map(str::to_owned).collect()
}

/// What two rules about the same labels make of each other.
fn conflict(first: &Keep, second: &Keep, list: &Node) -> Option<Told> {
    let between = list.items().get(first.index + 1..second.index).unwrap_or_default();
    let same = first.sources == second.sources && first.separator == second.separator;
    if !same || first.sources.is_empty() || between.iter().any(|r| writes(r, &first.sources)) {
        return None;
    }
    let dead = [dead(first, second)?, dead(second, first)?];
    let label = first.sources.join(&first.separator);
    let lost = lost(first, second);
    let is_name = first.sources == ["__name__"];
    if let Some((of, parts)) =
        [(first, &dead[0]), (second, &dead[1])].into_iter().find(|(_, d)| !d.is_empty())
    {
        let all = parts.len() == alternatives(&of.regex).len();
        return Some(excluded(of, second.index, first.index, &label, parts, all, &lost));
    }
    let [only_first, only_second] = [&lost.0, &lost.1];
    if !is_name || only_first.is_empty() || only_second.is_empty() {
        return None;
    }
    Some(Told {
        severity: Severity::Warning,
        rule: "keep-rules-exclude",
        message: format!(
            "this keep and rule {} are joined by and: a series stays only where its name matches both",
            first.index
        ),
        effect: format!(
            "dropped by this rule: {}; dropped by the other: {}",
            only_first.join(", "),
            only_second.join(", ")
        ),
        instead: together(first, second),
    })
}

fn excluded(
    of: &Keep,
    second: usize,
    first: usize,
    label: &str,
    parts: &[String],
    all: bool,
    lost: &(Vec<String>, Vec<String>),
) -> Told {
    let other = if of.index == second { first } else { second };
    let shown: Vec<String> = parts.iter().take(EXAMPLES).map(|p| format!("{p:?}")).collect();
    let more = if parts.len() > EXAMPLES { " and more" } else { "" };
    let known: Vec<&str> = lost
        .0
        .iter()
        .chain(&lost.1)
        .map(String::as_str)
        .filter(|_| label == "__name__")
        .take(EXAMPLES)
        .collect();
    let known = if known.is_empty() { String::new() } else { format!("; dropped too: {}", known.join(", ")) };
    let what = match all {
        true => "no value passes both: every series is dropped".to_owned(),
        false => format!("nothing that matches {}{more} is left{known}", shown.join(", ")),
    };
    Told {
        severity: Severity::Error,
        rule: "keep-rules-exclude",
        message: format!(
            "keep rules {first} and {second} exclude each other: rule {} keeps {label} {}{more}, which rule {other} drops",
            of.index,
            shown.join(", "),
        ),
        effect: format!("rules run in order, so two keeps are joined by and; {what}"),
        instead: "one rule with both: regex: '(first)|(second)', action: keep".to_owned(),
    }
}

fn together(first: &Keep, second: &Keep) -> String {
    format!("one rule, where either is meant: regex: '({})|({})', action: keep", first.regex, second.regex)
}

/// The alternatives of `of` that cannot match anything `by` lets through. None where that cannot be told.
fn dead(of: &Keep, by: &Keep) -> Option<Vec<String>> {
    let lets = Language::of(&by.regex)?;
    let mut out = Vec::new();
    for part in alternatives(&of.regex) {
        if !Language::of(part)?.meets(&lets)? {
            out.push(part.to_owned());
        }
    }
    Some(out)
}

/// Well-known names that only the first lets through, and those that only the second does.
fn lost(first: &Keep, second: &Keep) -> (Vec<String>, Vec<String>) {
    let anchored = |k: &Keep| Regex::new(&format!("^(?s:{})$", k.regex));
    let (Ok(a), Ok(b)) = (anchored(first), anchored(second)) else { return (Vec::new(), Vec::new()) };
    let only = |x: &Regex, y: &Regex| {
        let names = WELL_KNOWN.iter().filter(|n| x.is_match(n) && !y.is_match(n));
        names.take(EXAMPLES).map(|n| (*n).to_owned()).collect()
    };
    (only(&a, &b), only(&b, &a))
}

/// Whether a rule may change one of these labels.
fn writes(rule: &Node, sources: &[String]) -> bool {
    let action = rule.text_of(&["action"]).unwrap_or("replace").to_ascii_lowercase();
    match action.as_str() {
        "keep" | "drop" | "keepequal" | "dropequal" | "keep_metrics" | "drop_metrics" => false,
        "replace" | "hashmod" | "lowercase" | "uppercase" => {
            let target = rule.text_of(&["target_label", "targetLabel"]).unwrap_or_default();
            target.contains('$') || sources.iter().any(|s| s == target)
        }
        _ => true,
    }
}
