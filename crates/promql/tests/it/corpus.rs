//! Every expression of real dashboards, rules and query lists parses, survives printing, and runs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use contract::Tenants;
use model::{MatchOp, TenantId};
use promql::{Engine, EngineOptions, Experimental, Expr, ParserOptions, QueryContext, parse};
use serde_json::Value as Json;

use crate::{
    memory::{Memory, Sample},
    shared_data,
};

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
    run(&found, what);
}

/// Runs each expression over series made for its selectors: two per selector, with a value for every label it
/// mentions anywhere, and buckets where it takes quantiles. What such data may make of a good query is a match that
/// is not unique; everything else is a failure.
fn run(found: &BTreeSet<String>, what: &str) {
    let options = ParserOptions { experimental: Experimental::all(), ..Default::default() };
    let memory = Arc::new(Memory::default());
    let engine_options = EngineOptions { experimental: Experimental::all(), ..Default::default() };
    let engine = Engine::new(memory.clone(), engine_options);
    let context = QueryContext::new(Tenants::one(TenantId::new("test").unwrap()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut answered, mut ambiguous, mut bad) = (0, 0, Vec::new());
    for text in found {
        memory.clear();
        populate(&memory, &parse(text, &options).unwrap());
        let range = runtime.block_on(engine.range(text, 3_600_000, 3_720_000, 60_000, &context));
        match range {
            Ok(a) => answered += usize::from(!matches!(a.value, promql::Value::Matrix(m) if m.is_empty())),
            Err(e)
                if e.to_string().contains("many-to-many") || e.to_string().contains("multiple matches") =>
            {
                ambiguous += 1;
            }
            Err(e) => bad.push(format!("{text}\n    {e}")),
        }
    }
    println!("{what}: {answered} answer something, {ambiguous} match ambiguously, {} fail", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(answered * 2 > found.len(), "{answered} of {} answer something", found.len());
}

fn populate(memory: &Memory, expr: &Expr) {
    let selectors = expr.selectors();
    let names: BTreeSet<&str> =
        selectors.iter().flat_map(|s| s.matchers.iter().map(|m| m.name.as_str())).collect();
    for selector in &selectors {
        for copy in 0..2 {
            let mut labels = model::labels::LabelsBuilder::default();
            labels.set("instance", format!("i{copy}"));
            for name in &names {
                if *name != "__name__" {
                    labels.set(*name, "x");
                }
            }
            for m in selector.matchers.iter().filter(|m| m.op == MatchOp::Equal || m.op == MatchOp::Regex) {
                // The first alternative of a pattern without anything special is a value that fits.
                let value: String = m.value.split('|').next().unwrap_or_default().to_owned();
                labels.set(
                    m.name.clone(),
                    value.trim_matches(['(', ')', '^', '$']).replace(".*", "x").replace(".+", "x"),
                );
            }
            let base = labels.build();
            let buckets: &[&str] =
                if base.metric_name().ends_with("_bucket") { &["0.1", "1", "+Inf"] } else { &[""] };
            for (b, le) in buckets.iter().enumerate() {
                let labels = base.with("le", le);
                for k in 48..=62i64 {
                    let v = (k * (copy + 1) * (b as i64 + 1)) as f64;
                    memory.put(&labels, k * 60_000, 0, Sample::Float(v));
                }
            }
        }
    }
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
fn expressions_of_rule_files_run() {
    let Some(folder) = shared_data("promtool-testdata") else { return };
    let mut list = Vec::new();
    files(&folder, &["yaml", "yml"], &mut list);
    let mut found = BTreeSet::new();
    for path in list {
        // Files whose names say so are wrong on purpose; the large one repeats one rule ten thousand times.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains("bad") || name == "rules_large.yml" {
            continue;
        }
        let Ok(yaml) = serde_saphyr::from_str::<Json>(&fs::read_to_string(&path).unwrap()) else { continue };
        expressions(&yaml, false, &mut found);
    }
    check(found, "rule files");
}

#[test]
fn queries_of_the_compliance_suite_parse() {
    let Some(folder) = shared_data("promql-compliance") else { return };
    let text = fs::read_to_string(folder.join("queries-expanded.jsonl")).unwrap();
    let cases = text.lines().map(|l| serde_json::from_str::<Json>(l).unwrap());
    let good = cases.filter(|c| c["should_fail"] == false).map(|c| c["query"].as_str().unwrap().to_owned());
    check(good.collect(), "compliance queries");
}
