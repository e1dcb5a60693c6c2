//! Alertmanager: conditions that compare texts where a pattern was meant, intervals that make a storm, receivers
//! that are not there. Its own files, and objects of its operator.

use std::time::Duration;

use super::{
    finding::{Findings, Severity, Told},
    tree::{Tree, Visited, joined},
};
use crate::{scalar, yaml::Node};

pub(super) fn check(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.all.iter().filter(|v| is_condition_of_alerts(&v.path)) {
        exact_map(v, found);
        matchers(v, found);
    }
    for v in tree.under(&["route"]).filter(|v| is_route(v.node)) {
        let above = Intervals { group: Duration::from_secs(300), repeat: Duration::from_secs(4 * 3600) };
        intervals(v.node, &v.path, &above, found);
    }
    receivers(tree, found);
}

/// Below routes and inhibitions only; `match` means other things elsewhere.
fn is_condition_of_alerts(path: &str) -> bool {
    path.contains("inhibit_rules") || path.contains("inhibitRules") || path.contains("route")
}

/// `target_match: {service: ".*"}`: every value is compared as it stands.
fn exact_map(v: &Visited<'_>, found: &mut Findings) {
    if !["match", "source_match", "target_match"].contains(&v.key) {
        return;
    }
    for e in v.node.entries() {
        let Some(value) = e.node.text().filter(|t| is_pattern(t)) else { continue };
        let told = exact(v.key, &e.key, value, false);
        found.add(e.node.at, &joined(&v.path, &e.key), told);
    }
}

/// `matchers: ['service=".*"']`, and maps of name, value and kind as the operator has them.
fn matchers(v: &Visited<'_>, found: &mut Findings) {
    const KEYS: [&str; 5] = ["matchers", "source_matchers", "target_matchers", "sourceMatch", "targetMatch"];
    if !KEYS.contains(&v.key) || !v.path.ends_with(']') {
        return;
    }
    if let Some((name, negated, value)) = v.node.text().and_then(equality)
        && is_pattern(&value)
    {
        found.add(v.node.at, &v.path, exact(v.key, name, &value, negated));
    }
    let kind = v.node.text_of(&["matchType"]).unwrap_or("=");
    let is_regex = kind.contains('~') || v.node.get("regex").is_some_and(Node::is_true);
    if let (Some(name), Some(value), false) = (v.node.text_of(&["name"]), v.node.get("value"), is_regex)
        && let Some(text) = value.text().filter(|t| is_pattern(t))
    {
        found.add(value.at, &joined(&v.path, "value"), exact(v.key, name, text, kind == "!="));
    }
}

/// Label and value of a matcher that compares, and whether it is negated.
fn equality(matcher: &str) -> Option<(&str, bool, String)> {
    let at = matcher.find(['=', '!'])?;
    let (name, rest) = (matcher.get(..at)?.trim().trim_start_matches('{'), matcher.get(at..)?);
    let (negated, value) = match rest.strip_prefix("!=") {
        Some(value) => (true, value),
        None => (false, rest.strip_prefix('=')?),
    };
    if value.starts_with('~') || rest.starts_with("!~") {
        return None;
    }
    Some((name, negated, value.trim().trim_end_matches('}').trim_matches(['"', '\'']).to_owned()))
}

/// Whether somebody who wrote this meant a regular expression.
fn is_pattern(value: &str) -> bool {
    is_surely_pattern(value)
        || value.starts_with('^')
        || value.ends_with('$')
        || (value.contains('|') && !value.contains(char::is_whitespace))
}

fn is_surely_pattern(value: &str) -> bool {
    [".*", ".+", "\\d", "\\w", "[^"].iter().any(|p| value.contains(p))
}

fn exact(key: &str, label: &str, value: &str, negated: bool) -> Told {
    let severity = if is_surely_pattern(value) { Severity::Error } else { Severity::Warning };
    let is_source = key.starts_with("source");
    let effect = match (negated, key.contains("source") || key.contains("target"), is_source) {
        (true, ..) => "no label has that value, so the condition holds for every alert".to_owned(),
        (false, true, true) => {
            "no label has that value, so this inhibition has no source and mutes nothing".to_owned()
        }
        (false, true, false) => {
            "no label has that value, so this inhibition has no target and mutes nothing".to_owned()
        }
        (false, false, _) => "no label has that value, so no alert takes this route".to_owned(),
    };
    let list = match key {
        "match" | "matchers" => "matchers",
        k if k.starts_with("source") => "source_matchers",
        _ => "target_matchers",
    };
    let op = if negated { "!~" } else { "=~" };
    Told {
        severity,
        rule: "exact-match-of-pattern",
        message: format!("{label} is compared with the text {value:?}, which reads as a regular expression"),
        effect,
        instead: format!("{list}: ['{label}{op}\"{value}\"']"),
    }
}

fn is_route(node: &Node) -> bool {
    let keys = ["receiver", "group_by", "groupBy", "group_wait", "group_interval", "groupInterval", "routes"];
    node.is_map() && keys.iter().any(|k| node.get(k).is_some())
}

/// What holds for a route where it says nothing itself.
struct Intervals {
    group: Duration,
    repeat: Duration,
}

// Routes are at most as deep as the YAML reader allows.
fn intervals(route: &Node, path: &str, above: &Intervals, found: &mut Findings) {
    let written = |keys: &[&'static str]| {
        keys.iter().find_map(|k| {
            let node = route.get(k)?;
            Some((*k, node, scalar::duration(node.text()?).ok()?))
        })
    };
    let (group, repeat) =
        (written(&["group_interval", "groupInterval"]), written(&["repeat_interval", "repeatInterval"]));
    let here =
        Intervals { group: group.map_or(above.group, |g| g.2), repeat: repeat.map_or(above.repeat, |r| r.2) };
    if let Some((key, node, interval)) = group
        && !interval.is_zero()
        && interval < Duration::from_secs(60)
        && here.repeat >= interval * 10
    {
        found.add(node.at, &joined(path, key), storm(node, interval, here.repeat));
    }
    if let Some((key, node, interval)) = repeat
        && interval < here.group
    {
        found.add(node.at, &joined(path, key), unreached(interval, here.group));
    }
    for (i, child) in route.get("routes").map(Node::items).unwrap_or_default().iter().enumerate() {
        intervals(child, &format!("{}[{i}]", joined(path, "routes")), &here, found);
    }
}

fn storm(node: &Node, interval: Duration, repeat: Duration) -> Told {
    let times = 600 / interval.as_secs().max(1);
    Told {
        severity: Severity::Warning,
        rule: "notification-storm",
        message: format!(
            "group_interval {} sends a group again that often whenever an alert joins or leaves it; repeat_interval {} \
             holds back unchanged groups only",
            node.text().unwrap_or_default(),
            shown(repeat),
        ),
        effect: format!("ten minutes of an outage that grows are up to {times} notifications of one group"),
        instead: "group_interval: 5m".to_owned(),
    }
}

fn unreached(interval: Duration, group: Duration) -> Told {
    Told {
        severity: Severity::Warning,
        rule: "repeat-below-group-interval",
        message: format!(
            "repeat_interval {} is shorter than group_interval {}",
            shown(interval),
            shown(group)
        ),
        effect: "a group is looked at once every group_interval, so it repeats that often and not sooner"
            .to_owned(),
        instead: "a repeat_interval that is a multiple of group_interval".to_owned(),
    }
}

fn shown(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        _ if s > 0 && s.is_multiple_of(3600) => format!("{}h", s / 3600),
        _ if s > 0 && s.is_multiple_of(60) => format!("{}m", s / 60),
        _ if s > 0 => format!("{s}s"),
        _ => format!("{}ms", d.as_millis()),
    }
}

/// Receivers that a route names and nobody defines. In a fragment, which defines none, nothing is missing.
fn receivers(tree: &Tree<'_>, found: &mut Findings) {
    for v in tree.all.iter().filter(|v| v.node.get("route").is_some()) {
        let defined = v.node.get("receivers").map(Node::items).unwrap_or_default();
        let names: Vec<&str> = defined.iter().filter_map(|r| r.text_of(&["name"])).collect();
        if names.is_empty() {
            continue;
        }
        let route = joined(&v.path, "route");
        let used = tree.under(&["receiver"]).filter(|u| u.path.starts_with(&route));
        for u in used {
            let Some(name) = u.node.text().filter(|n| !names.contains(n)) else { continue };
            let told = Told {
                severity: Severity::Error,
                rule: "receiver-not-defined",
                message: format!("no receiver is called {name:?}"),
                effect: "Alertmanager refuses to start with it, and to reload it".to_owned(),
                instead: format!("one of {}", names.join(", ")),
            };
            found.add(u.node.at, &u.path, told);
        }
    }
}
