//! Every expression of real dashboards, rules and query lists parses and survives printing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use promql::{Experimental, ParserOptions, parse};
use serde_json::Value as Json;

use crate::shared_data;

fn files(folder: &Path, extensions: &[&str], out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extensions, out);
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            out.push(path);
        }
    }
}

/// Expressions of panels that ask a Prometheus data source; a target without one has its panel's. Variables of
/// Grafana become names and durations.
fn expressions(json: &Json, inherited: bool, out: &mut BTreeSet<String>) {
    match json {
        Json::Object(map) => {
            let source = map.get("datasource").map(|d| d.to_string().to_lowercase());
            let other = source
                .map_or(inherited, |s| ["loki", "elasticsearch", "tempo"].iter().any(|l| s.contains(l)));
            if let Some(Json::String(e)) = map.get("expr")
                && !other
                && !e.trim().is_empty()
            {
                out.insert(plain(e));
            }
            map.values().for_each(|v| expressions(v, other, out));
        }
        Json::Array(list) => list.iter().for_each(|v| expressions(v, inherited, out)),
        _ => {}
    }
}

fn plain(e: &str) -> String {
    let bracketed = regex::Regex::new(r"\$\{(\w+)(:\w+)?\}|\[\[(\w+)\]\]").unwrap();
    let e = bracketed.replace_all(e, "$$${1}${3}").into_owned();
    let in_range = regex::Regex::new(r"([\[:]|offset\s+)\$\w+").unwrap();
    let e = in_range.replace_all(&e, "${1}5m").into_owned();
    regex::Regex::new(r"\$\w+").unwrap().replace_all(&e, "1").into_owned()
}

fn check(found: BTreeSet<String>, what: &str) {
    let options = ParserOptions { experimental: Experimental::all(), ..Default::default() };
    let mut bad = Vec::new();
    for text in &found {
        match parse(text, &options) {
            Err(e) => bad.push(format!("{text}\n    {e}")),
            Ok(e) => {
                let (line, pretty) = (e.to_string(), e.pretty());
                assert_eq!(parse(&line, &options).as_ref(), Ok(&e), "{text} printed as {line}");
                assert_eq!(parse(&pretty, &options).as_ref(), Ok(&e), "{text} printed as {pretty}");
            }
        }
    }
    println!("{what}: {} expressions, {} do not parse", found.len(), bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn expressions_of_dashboards_parse() {
    let Some(folder) = shared_data("dashboards") else { return };
    let mut list = Vec::new();
    files(&folder, &["json"], &mut list);
    let mut found = BTreeSet::new();
    for path in list {
        let Ok(json) = serde_json::from_str::<Json>(&fs::read_to_string(&path).unwrap()) else { continue };
        expressions(&json, false, &mut found);
    }
    check(found, "dashboards");
}

#[test]
fn expressions_of_rules_parse() {
    let Some(folder) = shared_data("rules") else { return };
    let mut list = Vec::new();
    files(&folder, &["yaml", "yml"], &mut list);
    let mut found = BTreeSet::new();
    for path in list {
        // Rules of log queries are another language.
        if path.components().any(|c| c.as_os_str() == "loki-logql") {
            continue;
        }
        let Ok(yaml) = serde_saphyr::from_str::<Json>(&fs::read_to_string(&path).unwrap()) else { continue };
        expressions(&yaml, false, &mut found);
    }
    check(found, "rules");
}

#[test]
fn queries_of_the_compliance_suite_parse() {
    let Some(folder) = shared_data("promql-compliance") else { return };
    let text = fs::read_to_string(folder.join("queries-expanded.jsonl")).unwrap();
    let cases = text.lines().map(|l| serde_json::from_str::<Json>(l).unwrap());
    let good = cases.filter(|c| c["should_fail"] == false).map(|c| c["query"].as_str().unwrap().to_owned());
    check(good.collect(), "compliance queries");
}
