//! `global`: what jobs take where they say nothing themselves.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use agent::scrape::{Escaping, Names, Protocol};

use super::section::Section;
use crate::check::Checker;

const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default)]
pub(super) struct Global {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) protocols: Option<Vec<Protocol>>,
    pub(super) external_labels: BTreeMap<String, String>,
    pub(super) limits: Limits,
    pub(super) failure_log: Option<PathBuf>,
    pub(super) names: Names,
    pub(super) escaping: Option<Escaping>,
    pub(super) native: Option<bool>,
    pub(super) always_classic: Option<bool>,
    pub(super) classic_to_custom: Option<bool>,
    pub(super) extra_metrics: Option<bool>,
}

/// The limits that both `global` and a job may name; none and zero leave the choice to the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) body_size: u64,
    pub(super) samples: u64,
    pub(super) targets: u64,
    pub(super) labels: u64,
    pub(super) label_name: u64,
    pub(super) label_value: u64,
    pub(super) keep_dropped: u64,
}

pub(super) fn limits(s: &mut Section<'_>, c: &mut Checker<'_>) -> Limits {
    let mut count = |key: &str| s.count(key, c).unwrap_or(0);
    Limits {
        samples: count("sample_limit"),
        targets: count("target_limit"),
        labels: count("label_limit"),
        label_name: count("label_name_length_limit"),
        label_value: count("label_value_length_limit"),
        keep_dropped: count("keep_dropped_targets"),
        body_size: s.size("body_size_limit", c).unwrap_or(0),
    }
}

/// A duration where zero means unset.
pub(super) fn set_duration(s: &mut Section<'_>, key: &str, c: &mut Checker<'_>) -> Option<Duration> {
    s.duration(key, c).filter(|d| !d.is_zero())
}

pub(super) fn protocols(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Vec<Protocol>> {
    let names = s.texts("scrape_protocols", c)?;
    if names.is_empty() {
        s.problem("scrape_protocols", c, "may not be empty");
        return None;
    }
    let mut out = Vec::new();
    for name in names {
        match protocol(&name) {
            Ok(p) if out.contains(&p) => s.problem("scrape_protocols", c, format!("{name:?} is named twice")),
            Ok(p) => out.push(p),
            Err(message) => s.problem("scrape_protocols", c, message),
        }
    }
    Some(out)
}

pub(super) fn protocol(name: &str) -> Result<Protocol, String> {
    let known = || Protocol::ALL.map(Protocol::as_str).join(", ");
    Protocol::parse(name).ok_or_else(|| format!("{name:?} is not known, use {}", known()))
}

/// `metric_name_validation_scheme`, none where it is not given.
pub(super) fn names(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Names> {
    match s.text("metric_name_validation_scheme", c)?.as_str() {
        "utf8" => Some(Names::Utf8),
        "legacy" => Some(Names::Legacy),
        other => {
            let message = format!("{other:?} is not known, use utf8 or legacy");
            s.problem("metric_name_validation_scheme", c, message);
            None
        }
    }
}

pub(super) fn escaping(s: &mut Section<'_>, c: &mut Checker<'_>) -> Option<Escaping> {
    let text = s.text("metric_name_escaping_scheme", c)?;
    let found = Escaping::parse(&text);
    if found.is_none() {
        let known = Escaping::ALL.map(Escaping::as_str).join(", ");
        s.problem("metric_name_escaping_scheme", c, format!("{text:?} is not known, use {known}"));
    }
    found
}

pub(super) fn check(s: Option<Section<'_>>, c: &mut Checker<'_>) -> Global {
    let Some(mut s) = s else {
        return Global { interval: INTERVAL, timeout: TIMEOUT, ..Global::default() };
    };
    let names = names(&mut s, c).unwrap_or_default();
    let external_labels = external_labels(&mut s, names, c);
    let interval = set_duration(&mut s, "scrape_interval", c).unwrap_or(INTERVAL);
    let timeout = set_duration(&mut s, "scrape_timeout", c);
    if timeout.is_some_and(|t| t > interval) {
        s.problem("scrape_timeout", c, "must not be longer than scrape_interval");
    }
    s.duration("evaluation_interval", c);
    s.duration("rule_query_offset", c);
    if s.text("query_log_file", c).is_some() {
        let at = s.place("query_log_file");
        c.notice(&s.name("query_log_file"), at, "is not supported by this version; queries are not logged");
    }
    let global = Global {
        interval,
        timeout: timeout.unwrap_or(TIMEOUT.min(interval)),
        protocols: protocols(&mut s, c),
        external_labels,
        limits: limits(&mut s, c),
        failure_log: s.text("scrape_failure_log_file", c).map(|f| c.resolve(&f)),
        names,
        escaping: escaping(&mut s, c),
        native: s.flag("scrape_native_histograms", c),
        always_classic: s.flag("always_scrape_classic_histograms", c),
        classic_to_custom: s.flag("convert_classic_histograms_to_nhcb", c),
        extra_metrics: s.flag("extra_scrape_metrics", c),
    };
    s.finish(c);
    global
}

fn external_labels(s: &mut Section<'_>, names: Names, c: &mut Checker<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value, at) in s.pairs("external_labels", c) {
        if !names.allow(&name) {
            c.problem_at(&s.name("external_labels"), at, format!("{name:?} is not a valid label name"));
        }
        out.insert(name, expanded(&value, crate::variable));
    }
    out
}

/// Replaces `$NAME` and `${NAME}` by variables of the environment, nothing where one is not set; `$$` is a
/// dollar sign.
fn expanded(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let word = |s: &str| s.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if let Some(next) = after.strip_prefix('$') {
            out.push('$');
            rest = next;
        } else if let Some((name, next)) = after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            out.push_str(&variable(name).unwrap_or_default());
            rest = next;
        } else {
            let (name, next) = after.split_at(word(after));
            match name {
                // No name follows: the dollar sign stands for itself.
                "" => out.push('$'),
                name => out.push_str(&variable(name).unwrap_or_default()),
            }
            rest = next;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_in_external_labels() {
        let v = |name: &str| (name == "TEST").then(|| "T".to_owned());
        for (text, is) in [
            ("${TEST}", "T"),
            ("foo${TEST}bar", "fooTbar"),
            ("foo$${TEST}", "foo${TEST}"),
            ("foo$$bar", "foo$bar"),
            ("$TEST-$NONE.", "T-."),
            ("a$", "a$"),
        ] {
            assert_eq!(expanded(text, v), is, "{text}");
        }
    }
}
