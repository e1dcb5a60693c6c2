//! Elasticsearch behind Jaeger, Collector and log shippers: flags that Jaeger has given up, and one store that all
//! signals hang on.

use super::{
    File,
    address::Address,
    command::Command,
    finding::{Findings, Severity, Told},
    tree::{Tree, Visited, joined},
};
use crate::yaml::{At, Node};

/// Keys of Jaeger 2 that `indices.<type>.rotation` replaces.
const ROTATION: [&str; 6] = [
    "use_ilm",
    "use_aliases",
    "span_read_alias",
    "span_write_alias",
    "service_read_alias",
    "service_write_alias",
];

/// Flags of Jaeger 1.
pub(super) fn check_flags(c: &Command, found: &mut Findings) {
    let flags = c.flags();
    let on = |name: &str| flags.iter().any(|f| f.name == name && f.value != "false");
    let by_variable = c.variables.iter().any(|(name, w)| name == "ES_USE_ALIASES" && w.text != "false");
    for name in ["es.use-ilm", "es-archive.use-ilm"] {
        let Some(f) = flags.iter().find(|f| f.name == name && f.value != "false") else { continue };
        let aliases = name.replace("use-ilm", "use-aliases");
        found.add(f.word.at, &f.word.path, ilm(name, &aliases, on(&aliases) || by_variable));
    }
}

/// The same in files: options of Jaeger's operator and charts, variables of containers, and Jaeger 2.
pub(super) fn check_keys(tree: &Tree<'_>, found: &mut Findings) {
    for v in &tree.all {
        if v.node.text_of(&["name"]) == Some("ES_USE_ILM") && v.node.get("value").is_some_and(Node::is_true) {
            let aliases = "ES_USE_ALIASES";
            let on = tree.all.iter().any(|o| o.node.text_of(&["name"]) == Some(aliases));
            found.add(v.node.at, &v.path, ilm("ES_USE_ILM", aliases, on || has_flag(tree)));
        }
    }
    for v in tree.all.iter().filter(|v| !v.path.ends_with(']') && v.node.text().is_some()) {
        let is_flag = v.key == "use-ilm" || v.key.ends_with(".use-ilm") || v.key == "ES_USE_ILM";
        if is_flag && v.node.is_true() {
            let aliases = other(&v.path);
            let on = tree.all.iter().any(|o| o.path == aliases && o.node.is_true());
            found.add(v.key_at, &v.path, ilm(v.key, &other(v.key), on));
        }
        let is_set = v.node.text().is_some_and(|t| !t.is_empty() && t != "false");
        let of_elastic = ["elasticsearch", "opensearch", "jaeger"].iter().any(|w| v.path.contains(w));
        if ROTATION.contains(&v.key) && is_set && of_elastic {
            found.add(v.key_at, &v.path, rotation(v.key));
        }
    }
}

/// The name of the switch that the one for ILM needs.
fn other(name: &str) -> String {
    name.replace("use-ilm", "use-aliases").replace("USE_ILM", "USE_ALIASES")
}

fn has_flag(tree: &Tree<'_>) -> bool {
    tree.all
        .iter()
        .filter_map(|v| v.node.text())
        .any(|t| t.contains("--es.use-aliases") && !t.ends_with("=false"))
}

fn ilm(flag: &str, aliases: &str, has_aliases: bool) -> Told {
    let (severity, now) = match has_aliases {
        true => (Severity::Warning, String::new()),
        false => (Severity::Error, format!("without {aliases} Jaeger refuses to start; ")),
    };
    Told {
        severity,
        rule: "jaeger-rotation",
        message: format!("{flag} is one of the flags that Jaeger replaces by indices.<type>.rotation"),
        effect: format!(
            "{now}newer versions of Jaeger refuse it: after an upgrade collectors do not start, and spans are lost"
        ),
        instead: "indices: {spans: {rotation: {auto_rollover: {policy_name: jaeger-ilm-policy}}}}, and the same for \
                  services, dependencies and sampling"
            .to_owned(),
    }
}

fn rotation(key: &str) -> Told {
    Told {
        severity: Severity::Warning,
        rule: "jaeger-rotation",
        message: format!("{key} is one of the keys that Jaeger replaces by indices.<type>.rotation"),
        effect: "newer versions of Jaeger refuse it: after an upgrade collectors do not start, and spans are lost"
            .to_owned(),
        instead: "indices.spans.rotation and those of services, dependencies and sampling: auto_rollover {policy_name} \
                  for ILM, manual_rollover for aliases that something else moves"
            .to_owned(),
    }
}

/// Somebody who sends a signal to an Elasticsearch.
struct Use {
    file: usize,
    at: At,
    key: String,
    signal: &'static str,
    address: Address,
}

/// One store outside the clusters that logs and traces both go to: its failure is everybody's.
pub(super) fn check_domains(files: &[File<'_>], found: &mut [Findings]) {
    let mut uses = Vec::new();
    for (i, file) in files.iter().enumerate() {
        for tree in file.trees {
            of_tree(i, tree, &mut uses);
        }
    }
    uses.retain(|u| !u.address.is_of_the_cluster());
    for u in uses.iter().filter(|u| u.signal == "traces") {
        let Some(logs) = uses.iter().find(|o| o.signal == "logs" && o.address.host == u.address.host) else {
            continue;
        };
        let beside = match (logs.file == u.file, files.get(logs.file)) {
            (false, Some(file)) => format!("{}:{}", file.path.display(), logs.at.line),
            _ => format!("line {}", logs.at.line),
        };
        if let Some(found) = found.get_mut(u.file) {
            found.add(u.at, &u.key, domain(u, &beside));
        }
    }
}

fn domain(u: &Use, beside: &str) -> Told {
    Told {
        severity: Severity::Warning,
        rule: "one-failure-domain",
        message: format!("traces go to the Elasticsearch that logs go to ({beside}): {}", u.address.authority()),
        effect: "when it fails, or a burst of one signal fills it, logs and traces of every cluster that sends there \
                 stop together, and senders drop what their queues in memory cannot hold"
            .to_owned(),
        instead: "a store in each cluster (or one for each signal) that is asked from elsewhere; at least a queue on \
                  disk before it (sending_queue.storage)"
            .to_owned(),
    }
}

fn of_tree(file: usize, tree: &Tree<'_>, uses: &mut Vec<Use>) {
    for v in &tree.all {
        if v.node.at_path(&["service", "pipelines"]).is_some() {
            of_collector(file, v, uses);
        }
        of_shipper(file, v, uses);
        let of_jaeger = v.path.contains("jaeger") || v.path.contains("backends");
        if v.key == "server_urls" && of_jaeger {
            add(file, v.node.at, &v.path, "traces", v.node.text(), uses);
        }
    }
    for c in Command::all_in(tree) {
        for f in c.values(&["es.server-urls"]) {
            add(file, f.word.at, &f.word.path, "traces", Some(f.value), uses);
        }
        for (_, word) in c.variables.iter().filter(|(name, _)| name == "ES_SERVER_URLS") {
            add(file, word.at, &word.path, "traces", Some(word.text.as_str()), uses);
        }
    }
}

fn add(file: usize, at: At, key: &str, signal: &'static str, text: Option<&str>, uses: &mut Vec<Use>) {
    for address in text.unwrap_or_default().split(',').filter_map(Address::of) {
        uses.push(Use { file, at, key: key.to_owned(), signal, address });
    }
}

/// Exporters of the pipelines; one with a queue on disk outlives the store's failure.
fn of_collector(file: usize, v: &Visited<'_>, uses: &mut Vec<Use>) {
    let pipelines = v.node.at_path(&["service", "pipelines"]).map(Node::entries).unwrap_or_default();
    for p in pipelines {
        let signal = match p.key.split('/').next() {
            Some("logs") => "logs",
            Some("traces") => "traces",
            _ => continue,
        };
        for name in p.node.get("exporters").map(Node::texts).unwrap_or_default() {
            let is_elastic = name.starts_with("elasticsearch") || name.starts_with("opensearch");
            let Some(exporter) = v.node.at_path(&["exporters", name]).filter(|_| is_elastic) else {
                continue;
            };
            if exporter.at_path(&["sending_queue", "storage"]).is_none() {
                let path = joined(&joined(&v.path, "exporters"), name);
                of_exporter(file, exporter, &path, signal, uses);
            }
        }
    }
}

fn of_exporter(file: usize, exporter: &Node, path: &str, signal: &'static str, uses: &mut Vec<Use>) {
    for key in ["endpoint", "endpoints"] {
        let Some(node) = exporter.get(key) else { continue };
        add(file, node.at, &joined(path, key), signal, node.text(), uses);
        for item in node.items() {
            add(file, item.at, &joined(path, key), signal, item.text(), uses);
        }
    }
    if let Some(node) = exporter.at_path(&["http", "endpoint"]) {
        add(file, node.at, &joined(path, "http.endpoint"), signal, node.text(), uses);
    }
}

/// Filebeat, Fluent Bit and Fluentd.
fn of_shipper(file: usize, v: &Visited<'_>, uses: &mut Vec<Use>) {
    if v.key == "output.elasticsearch" || v.path.ends_with("output.elasticsearch") {
        let hosts = v.node.get("hosts");
        for text in hosts.map(Node::texts).unwrap_or_default() {
            add(file, hosts.map_or(v.node.at, |h| h.at), &joined(&v.path, "hosts"), "logs", Some(text), uses);
        }
    }
    let is_output = v.node.text_of(&["name"]).is_some_and(|n| n == "es" || n == "opensearch");
    if let (true, Some(host)) = (is_output, v.node.get("host")) {
        add(file, host.at, &joined(&v.path, "host"), "logs", host.text(), uses);
    }
    let text = v.node.text().filter(|t| t.contains("[OUTPUT]") || t.contains("<match")).unwrap_or_default();
    let mut to_elastic = false;
    for line in text.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        let (key, value) =
            (words.next().unwrap_or_default().to_ascii_lowercase(), words.next().unwrap_or_default());
        match key.as_str() {
            "[output]" | "<match" => to_elastic = false,
            "name" | "@type" => to_elastic = ["es", "opensearch", "elasticsearch"].contains(&value),
            "host" if to_elastic => add(file, v.node.at, &v.path, "logs", Some(value), uses),
            _ => {}
        }
    }
}
