//! OpenTelemetry Collector: pipelines that name what is not defined, what is defined and in no pipeline, and the
//! order that lets a burst take the memory.

use super::{
    finding::{Findings, Severity, Told},
    tree::{Tree, joined},
};
use crate::yaml::Node;

const PARTS: [&str; 3] = ["receivers", "processors", "exporters"];

pub(super) fn check(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.all.iter().filter(|v| is_whole(v.node)) {
        let pipelines = v.node.at_path(&["service", "pipelines"]).map(Node::entries).unwrap_or_default();
        let base = joined(&v.path, "service");
        for p in pipelines {
            let path = joined(&joined(&base, "pipelines"), &p.key);
            for part in PARTS {
                undefined(v.node, &p.node, part, &joined(&path, part), found);
            }
            limiter(&p.node, &joined(&path, "processors"), found);
        }
        for part in ["receivers", "processors", "exporters", "connectors"] {
            unused(v.node, part, &joined(&v.path, part), found);
        }
        extensions(v.node, &base, found);
    }
}

/// A file that defines both ends; parts of one are merged with others when the Collector starts.
fn is_whole(node: &Node) -> bool {
    let has = |key: &str| node.get(key).is_some_and(Node::is_map);
    has("receivers") && has("exporters") && node.at_path(&["service", "pipelines"]).is_some()
}

fn undefined(config: &Node, pipeline: &Node, part: &str, path: &str, found: &mut Findings) {
    let items = pipeline.get(part).map(Node::items).unwrap_or_default();
    for (i, item) in items.iter().enumerate() {
        let Some(name) = item.text() else { continue };
        let is_connector = part != "processors" && config.at_path(&["connectors", name]).is_some();
        if is_connector || config.at_path(&[part, name]).is_some() || name.contains("${") {
            continue;
        }
        let told = Told {
            severity: Severity::Error,
            rule: "component-not-defined",
            message: format!("{name:?} is not defined under {part}"),
            effect: "the Collector refuses to start: nothing of any signal is received".to_owned(),
            instead: format!("define it under {part}, or take it out of the pipeline"),
        };
        found.add(item.at, &format!("{path}[{i}]"), told);
    }
}

fn unused(config: &Node, part: &str, path: &str, found: &mut Findings) {
    let pipelines = config.at_path(&["service", "pipelines"]).map(Node::entries).unwrap_or_default();
    let keys: &[&str] = if part == "connectors" { &["receivers", "exporters"] } else { &[part] };
    let used: Vec<&str> = pipelines
        .iter()
        .flat_map(|p| keys.iter().filter_map(move |k| p.node.get(k)))
        .flat_map(Node::texts)
        .collect();
    for e in config.get(part).map(Node::entries).unwrap_or_default() {
        if used.contains(&e.key.as_str()) || used.iter().any(|u| u.contains("${")) {
            continue;
        }
        let told = Told {
            severity: Severity::Warning,
            rule: "component-not-used",
            message: format!("{:?} is in no pipeline", e.key),
            effect: "it is never started: what it was to receive, change or send is not".to_owned(),
            instead: format!("add it to a pipeline under service.pipelines, or remove it from {part}"),
        };
        found.add(e.at, &joined(path, &e.key), told);
    }
}

/// `memory_limiter` refuses what comes in; behind a batch, what it refuses was acknowledged already.
fn limiter(pipeline: &Node, path: &str, found: &mut Findings) {
    let items = pipeline.get("processors").map(Node::items).unwrap_or_default();
    let is = |n: &Node, kind: &str| n.text().is_some_and(|t| t.split('/').next() == Some(kind));
    let Some(at) = items.iter().position(|n| is(n, "memory_limiter")) else { return };
    let batched = items.iter().take(at).any(|n| is(n, "batch"));
    if let (true, Some(item)) = (batched, items.get(at)) {
        let told = Told {
            severity: Severity::Warning,
            rule: "limiter-behind-batch",
            message: "memory_limiter stands behind batch".to_owned(),
            effect: "senders have their answer before it looks: what it refuses then is lost, and a burst is in memory \
                     already"
                .to_owned(),
            instead: "memory_limiter as the first processor of the pipeline".to_owned(),
        };
        found.add(item.at, &format!("{path}[{at}]"), told);
    }
}

fn extensions(config: &Node, base: &str, found: &mut Findings) {
    let used = config.at_path(&["service", "extensions"]).map(Node::items).unwrap_or_default();
    for (i, item) in used.iter().enumerate() {
        let Some(name) = item.text().filter(|n| config.at_path(&["extensions", n]).is_none()) else {
            continue;
        };
        if name.contains("${") {
            continue;
        }
        let told = Told {
            severity: Severity::Error,
            rule: "component-not-defined",
            message: format!("{name:?} is not defined under extensions"),
            effect: "the Collector refuses to start: nothing of any signal is received".to_owned(),
            instead: "define it under extensions, or take it out of service.extensions".to_owned(),
        };
        found.add(item.at, &format!("{}[{i}]", joined(base, "extensions")), told);
    }
}
