//! Expressions nobody on the project wrote, where the data is at hand.

use std::{fs, path::PathBuf};

use logql::parse;

fn data(path: &str) -> Option<String> {
    let file: PathBuf = [env!("ORRERY_CHECKOUT"), "../shared/data", path].iter().collect();
    match fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(_) => {
            println!("{path} is not there, skipped");
            None
        }
    }
}

#[test]
fn every_expression_of_the_editors_grammar_parses_or_fails_where_its_tree_has_an_error() {
    let Some(text) = data("lezer-logql/expression.txt") else { return };
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for case in text.split("\n# ").skip(usize::from(!text.starts_with("# "))) {
        let Some((head, tree)) = case.split_once("==>") else { continue };
        let expression = head.split_once('\n').map_or("", |(_, e)| e).trim();
        if expression.is_empty() {
            continue;
        }
        let broken = tree.contains('⚠');
        match (parse(expression), broken) {
            (Ok(e), false) => {
                good += 1;
                assert_eq!(parse(&e.to_string()).as_ref(), Ok(&e), "{e}");
            }
            (Err(_), true) => bad += 1,
            (Ok(_), true) => wrong.push(format!("parses but should not: {expression}")),
            (Err(e), false) => wrong.push(format!("{e}: {expression}")),
        }
    }
    println!("lezer-logql: {good} parse, {bad} are refused as they should, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn queries_checked_against_a_real_loki_are_accepted_or_refused_alike() {
    let Some(text) = data("loki-vl-proxy/query-semantics-matrix.json") else { return };
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut same, mut wrong) = (0, Vec::new());
    for case in all["cases"].as_array().unwrap() {
        let (query, endpoint) = (case["query"].as_str().unwrap(), case["endpoint"].as_str().unwrap());
        let wants_error = case["expectation"] == "client_error";
        let got = parse(query).and_then(|e| logql::check::check(&e).map(|()| e));
        // A log query is refused at the instant endpoint, by the engine.
        let refused = match &got {
            Err(_) => true,
            Ok(logql::Expr::Log(_)) => endpoint == "query",
            Ok(_) => false,
        };
        if refused == wants_error {
            same += 1;
        } else {
            wrong.push(format!("{query}: {got:?}"));
        }
    }
    println!("loki-vl-proxy: {same} as in Loki, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
