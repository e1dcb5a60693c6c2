//! Grafana's data sources: two with different names that are the same data, and one that asks where only writes go.

use super::{
    address::Address,
    finding::{Findings, Severity, Told},
    tree::{Tree, joined},
};
use crate::yaml::Node;

/// What the data of a source hangs on, where it is one of the usual stores: its address, and what is sent along.
const STORES: [&str; 6] = ["prometheus", "loki", "tempo", "jaeger", "victoriametrics", "zipkin"];

pub(super) fn check(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.under(&["datasources", "additionalDataSources"]) {
        let sources: Vec<&Node> = v.node.items().iter().filter(|n| n.get("url").is_some()).collect();
        for (i, source) in v.node.items().iter().enumerate() {
            let path = joined(&format!("{}[{i}]", v.path), "url");
            if let Some(first) =
                sources.iter().take_while(|s| !std::ptr::eq(**s, source)).find(|s| is_same(s, source))
            {
                found.add(source.get("url").map_or(source.at, |u| u.at), &path, same(first, source));
            }
            if let Some(told) = asks_vminsert(source) {
                found.add(source.get("url").map_or(source.at, |u| u.at), &path, told);
            }
        }
    }
}

fn name(source: &Node) -> &str {
    source.text_of(&["name"]).unwrap_or("a source without a name")
}

fn address(source: &Node) -> Option<Address> {
    Address::of(source.text_of(&["url"])?)
}

fn is_same(a: &Node, b: &Node) -> bool {
    let kind = |n: &Node| n.text_of(&["type"]).unwrap_or_default().to_owned();
    let url = |n: &Node| {
        let url = n.text_of(&["url"]).unwrap_or_default().trim_end_matches('/').to_owned();
        (!url.is_empty()).then_some(url)
    };
    let org = |n: &Node| n.text_of(&["orgId"]).unwrap_or("1").to_owned();
    if kind(a) != kind(b) || url(a) != url(b) || url(a).is_none() || org(a) != org(b) || name(a) == name(b) {
        return false;
    }
    let whole = !STORES.iter().any(|s| kind(a).contains(s));
    asks(a, whole) == asks(b, whole)
}

/// All that makes a source ask for something else than another with the same address.
fn asks(source: &Node, whole: bool) -> Vec<(String, String)> {
    const NAMES: [&str; 9] =
        ["name", "uid", "isDefault", "editable", "version", "orgId", "type", "url", "readOnly"];
    let mut out = Vec::new();
    for e in source.entries().iter().filter(|e| !NAMES.contains(&e.key.as_str())) {
        let is_json = e.key == "jsonData" || e.key == "secureJsonData";
        if !is_json && (whole || ["database", "user", "basicAuthUser"].contains(&e.key.as_str())) {
            out.push((e.key.clone(), format!("{:?}", plain(&e.node))));
        }
        for inner in e.node.entries().iter().filter(|_| is_json) {
            let k = &inner.key;
            let chooses = k.starts_with("httpHeader") || k == "customQueryParameters" || k == "extraFilters";
            if whole || chooses {
                out.push((format!("{}.{k}", e.key), format!("{:?}", plain(&inner.node))));
            }
        }
    }
    out.sort();
    out
}

/// The texts of a value without their places.
fn plain(node: &Node) -> Vec<String> {
    let mut out = vec![node.text().unwrap_or_default().to_owned()];
    out.extend(node.items().iter().flat_map(plain));
    for e in node.entries() {
        out.push(e.key.clone());
        out.extend(plain(&e.node));
    }
    out
}

fn same(first: &Node, second: &Node) -> Told {
    let address = address(second);
    let of_cluster = address.as_ref().is_some_and(Address::is_of_the_cluster);
    let shown = address.map_or_else(String::new, |a| format!(" ({})", a.authority()));
    let (severity, why) = match of_cluster {
        true => (
            Severity::Error,
            "the name is resolved in the cluster Grafana runs in, so both show that cluster",
        ),
        false => (Severity::Warning, "both show the same data"),
    };
    Told {
        severity,
        rule: "datasources-share-address",
        message: format!("{:?} has the address of {:?}{shown}", name(second), name(first)),
        effect: format!(
            "{why}: a panel of {:?} is one of {:?} under another name, and an incident there is not seen",
            name(second),
            name(first)
        ),
        instead: "an address of the other cluster, reachable from here, or a header or query parameter that selects it"
            .to_owned(),
    }
}

/// An address without a path is completed with `/api/v1/…`, which vminsert does not have either.
fn asks_vminsert(source: &Node) -> Option<Told> {
    let a = address(source)?;
    if !a.goes_to("vminsert") || a.path.starts_with("/select") {
        return None;
    }
    Some(Told {
        severity: Severity::Error,
        rule: "vmcluster-address",
        message: format!("{:?} reads from vminsert ({})", name(source), a.authority()),
        effect: "vminsert takes writes only: every query of it is an error".to_owned(),
        instead: format!(
            "{}://{}:8481/select/0/prometheus",
            a.scheme,
            a.host.replace("vminsert", "vmselect")
        ),
    })
}
