//! Scrapes of ports that speak gRPC and not HTTP, Hubble Relay's above all.

use super::{
    address::Address,
    finding::{Findings, Severity, Told},
    tree::{Tree, Visited},
};
use crate::yaml::Node;

const SCRAPES: [&str; 4] = ["ServiceMonitor", "PodMonitor", "VMServiceScrape", "VMPodScrape"];
/// Ports of Hubble Relay and of the agent's Hubble server.
const HUBBLE_GRPC: [u16; 2] = [4245, 4244];

pub(super) fn check(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.under(&["port", "targetPort"]) {
        let is_endpoint = v.path.contains("endpoints[") || v.path.contains("podMetricsEndpoints[");
        let Some(object) = v.object.filter(|o| is_endpoint && is_scrape(o)) else { continue };
        if let Some(told) = monitored(v, names_relay(object)) {
            found.add(v.node.at, &v.path, told);
        }
    }
    for v in tree.all.iter().filter(|v| v.key == "targets" && v.path.contains("static_configs")) {
        let Some(a) = v.node.text().and_then(Address::of) else { continue };
        if a.goes_to("hubble-relay") && a.port.is_some_and(|p| HUBBLE_GRPC.contains(&p) || p == 80) {
            found.add(v.node.at, &v.path, relay(&a.authority()));
        }
    }
}

fn is_scrape(object: &Node) -> bool {
    object.text_of(&["kind"]).is_some_and(|k| SCRAPES.contains(&k))
}

/// Whether it selects Hubble Relay, or is called after it and says nothing of what it selects.
fn names_relay(object: &Node) -> bool {
    let selects =
        |n: &Node| n.entries().iter().any(|e| e.node.texts().iter().any(|t| t.contains("hubble-relay")));
    let selector = object.at_path(&["spec", "selector"]);
    let labels = selector.and_then(|s| s.get("matchLabels")).is_some_and(selects);
    let expressions = selector.and_then(|s| s.get("matchExpressions")).map(Node::items).unwrap_or_default();
    let name = object.at_path(&["metadata", "name"]).and_then(Node::text);
    let selected = labels || expressions.iter().any(selects);
    selected
        || (selector.is_none_or(|s| s.entries().is_empty())
            && name.is_some_and(|n| n.contains("hubble-relay")))
}

fn monitored(v: &Visited<'_>, of_relay: bool) -> Option<Told> {
    let port = v.node.text()?;
    let is_named = port == "grpc" || port.starts_with("grpc-") || port.ends_with("-grpc");
    let is_number = port.parse().is_ok_and(|p| HUBBLE_GRPC.contains(&p));
    match (of_relay, is_named || is_number, is_named) {
        (true, true, _) => Some(relay(port)),
        (false, _, true) => Some(grpc(port)),
        _ => None,
    }
}

fn relay(port: &str) -> Told {
    Told {
        severity: Severity::Error,
        rule: "scrape-of-grpc",
        message: format!("Hubble Relay's {port} speaks gRPC and has no /metrics"),
        effect: "every scrape is an error: up is 0, and there is not one flow, drop or DNS metric".to_owned(),
        instead: "Hubble's metrics are HTTP on the agents: the service hubble-metrics, port hubble-metrics (9965). \
                  Relay's own are on its port metrics (9966)"
            .to_owned(),
    }
}

fn grpc(port: &str) -> Told {
    Told {
        severity: Severity::Warning,
        rule: "scrape-of-grpc",
        message: format!("the port {port} speaks gRPC by its name, and a scrape is HTTP"),
        effect: "every scrape is an error and up is 0".to_owned(),
        instead: "the port that serves /metrics over HTTP".to_owned(),
    }
}
