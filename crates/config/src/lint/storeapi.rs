//! Thanos: a global Query asks the Queries of the clusters, and they ask their sidecars. One that asks past them
//! has every sidecar as a member of its own, and its answers depend on the slowest.

use super::{
    address::Address,
    command::Command,
    finding::{Findings, Severity, Told},
    source::Block,
};
use crate::yaml::At;

const ENDPOINTS: [&str; 6] =
    ["endpoint", "store", "endpoint-strict", "store-strict", "endpoint-group", "endpoint-group-strict"];

pub(super) fn check(c: &Command, found: &mut Findings) {
    if !c.runs("thanos") || !c.has_word("query") {
        return;
    }
    let endpoints: Vec<_> = c.values(&ENDPOINTS).into_iter().map(|f| (host(f.value), f.word)).collect();
    let is_query = |h: &Address| h.goes_to("query") || h.goes_to("querier");
    let is_sidecar = |h: &Address| h.goes_to("sidecar") || h.host.contains("prometheus-operated");
    let asks_queries = endpoints.iter().filter_map(|(h, _)| h.as_ref()).any(is_query);
    let is_global = c.object.contains("global") || c.path.contains("global");
    for (host, word) in &endpoints {
        let Some(host) = host.as_ref().filter(|h| is_sidecar(h)) else { continue };
        let is_far = !host.is_of_the_cluster();
        if is_global || (asks_queries && is_far) {
            found.add(word.at, &word.path, past(&host.host));
        }
    }
}

/// `dnssrv+_grpc._tcp.name` is an address with a way to look it up before it.
fn host(endpoint: &str) -> Option<Address> {
    let bare = endpoint.rsplit('+').next().unwrap_or(endpoint);
    Address::of(bare.trim_start_matches("_grpc._tcp."))
}

fn past(sidecar: &str) -> Told {
    Told {
        severity: Severity::Warning,
        rule: "query-past-the-hop",
        message: format!("a global Query asks a sidecar directly ({sidecar})"),
        effect: "it waits for every sidecar of every cluster, the slowest decides, and where a cluster's own Query is \
                 asked too the same series come twice; a cluster's Query can no longer shield it"
            .to_owned(),
        instead: "the Query of that cluster as the endpoint: global → local Query → sidecar".to_owned(),
    }
}

/// A sequence diagram or flowchart of Mermaid.
pub(super) fn check_diagram(block: &Block, document: &str, found: &mut Findings) {
    let names = participants(block);
    let label =
        |id: &str| names.iter().find(|(n, _)| n == id).map_or(id, |(_, label)| label.as_str()).to_lowercase();
    let is_local = |l: &str| ["local", "leaf", "cluster", "spoke"].iter().any(|w| l.contains(w));
    let of_queries: Vec<String> =
        names.iter().map(|(_, l)| l.to_lowercase()).filter(|l| l.contains("quer")).collect();
    let has_local = of_queries.iter().any(|l| is_local(l));
    // A document that tells global from local Queries has a rule of one hop.
    let text = document.to_lowercase();
    let has_rule = text.contains("global") && (text.contains("local query") || text.contains("local quer"));
    for (i, line) in block.text.lines().enumerate() {
        let Some((from, to)) = arrow(line) else { continue };
        let (from, to) = (label(from), label(to));
        let asks = from.contains("quer") || from.contains("global");
        let is_global = from.contains("global") || (!is_local(&from) && (has_local || has_rule));
        if asks && is_global && to.contains("sidecar") {
            let indent = line.chars().take_while(|c| c.is_whitespace()).count() as u64;
            let at = At { line: block.line + i as u64, column: block.indent + indent + 1 };
            found.add(at, "", past(&to));
        }
    }
}

/// Identifiers with what they stand for: `participant SC as Thanos Sidecar`, `SC[Thanos Sidecar]`.
fn participants(block: &Block) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for line in block.text.lines().map(str::trim) {
        let declared = line.strip_prefix("participant ").or_else(|| line.strip_prefix("actor "));
        if let Some((id, label)) = declared.and_then(|d| d.split_once(" as ")) {
            out.push((id.trim().to_owned(), label.trim().to_owned()));
        }
        for part in line.split([' ', '>']).chain([line]) {
            let Some((id, rest)) = part.split_once(['[', '(']) else { continue };
            let id = id.rsplit([' ', '>', '-']).next().unwrap_or_default();
            let end = line.find(rest).and_then(|at| line.get(at..)).unwrap_or(rest);
            let label = end.split([']', ')']).next().unwrap_or_default();
            if !id.is_empty() {
                out.push((id.to_owned(), label.trim_matches(['"', '[', '(']).to_owned()));
            }
        }
    }
    out
}

/// Both ends of `A->>B: text`, `A -->|text| B` and the like.
fn arrow(line: &str) -> Option<(&str, &str)> {
    let body = line.trim();
    let at = ["->", "-)", "-x"].iter().filter_map(|a| body.find(a)).min()?;
    let from = body.get(..at)?.trim_end_matches('-').trim();
    let rest = body.get(at..)?.trim_start_matches(['-', '>', ')', 'x', '+']).trim();
    let rest = match rest.strip_prefix('|') {
        Some(labelled) => labelled.split_once('|')?.1.trim(),
        None => rest,
    };
    let to = rest.split([':', '[', '(', ' ', ';']).next()?.trim();
    let from = from.split(['[', '(', ' ']).next()?;
    (!from.is_empty() && !to.is_empty()).then_some((from, to))
}
