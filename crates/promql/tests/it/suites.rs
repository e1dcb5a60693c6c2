//! Scripts: ours must pass whole; of those of Prometheus at least as many as are recorded here.

use std::{collections::BTreeMap, fs, path::PathBuf};

use promql::EngineOptions;

use crate::{
    script::{Case, Runner, options},
    shared_data,
};

/// Evals of each outside script that passed when last looked at; fewer is a step back.
const FLOORS: &[(&str, usize)] = &[
    ("aggregators", 83),
    ("at_modifier", 17),
    ("duration_expression", 14),
    ("extended_vectors", 72),
    ("fill-modifier", 23),
    ("functions", 230),
    ("histograms", 85),
    ("info", 33),
    ("limit", 12),
    ("literals", 25),
    ("name_label_dropping", 1),
    ("native_histograms", 258),
    ("operators", 101),
    ("range_queries", 5),
    ("selectors", 9),
    ("staleness", 4),
    ("start_timestamps", 7),
    ("subquery", 25),
    ("trig_functions", 18),
    ("type_and_unit", 29),
];

pub fn scripts(folder: &PathBuf) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "test"))
        .map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&p).unwrap()))
        .collect();
    out.sort();
    out
}

fn shown(case: &Case) -> Option<String> {
    let e = case.outcome.as_ref().err()?;
    let short: String = e.chars().take(400).collect();
    Some(format!("line {}: {}\n      {short}", case.line, case.query))
}

/// Runs every script of a folder of ours and demands that all pass.
fn all_pass(folder: &str, options: EngineOptions) {
    let runner = Runner::new(options);
    let folder = PathBuf::from(env!("ORRERY_CHECKOUT")).join("crates/promql/tests/scripts").join(folder);
    let mut failed = Vec::new();
    let mut total = 0;
    for (name, text) in scripts(&folder) {
        let cases = runner.run(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        total += cases.len();
        failed.extend(cases.iter().filter_map(shown).map(|s| format!("{name} {s}")));
    }
    assert!(failed.is_empty(), "{} of {total} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(total > 0);
}

#[test]
fn our_own_scripts_pass() {
    all_pass("", options());
}

#[test]
fn our_own_scripts_pass_without_feature_flags() {
    all_pass("stable", EngineOptions::default());
}

#[test]
fn scripts_of_prometheus_pass_as_before() {
    let Some(folder) = shared_data("promqltest") else { return };
    let runner = Runner::new(options());
    let mut unsupported: BTreeMap<String, usize> = BTreeMap::new();
    let mut fallen = Vec::new();
    let (mut all_passed, mut all) = (0, 0);
    let mut failures = String::new();
    println!("{:<24} passed  total", "script");
    for (name, text) in scripts(&folder) {
        let cases = runner.run(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let passed = cases.iter().filter(|c| c.outcome.is_ok()).count();
        println!("{name:<24} {passed:>6} {:>6}", cases.len());
        all_passed += passed;
        all += cases.len();
        for case in &cases {
            if let Some(what) = &case.unsupported {
                *unsupported.entry(what.clone()).or_default() += 1;
            }
            if let Some(s) = shown(case) {
                failures.push_str(&format!("{name} {s}\n"));
            }
        }
        let floor = FLOORS.iter().find(|(n, _)| *n == name).map_or(0, |f| f.1);
        if passed < floor {
            fallen.push(format!("{name}: {passed} pass, {floor} did before"));
        }
    }
    println!("{:<24} {all_passed:>6} {all:>6}", "together");
    println!("not yet supported: {unsupported:?}");
    println!("{failures}");
    assert!(fallen.is_empty(), "{}", fallen.join("\n"));
}
