//! Expressions nobody on the project wrote, where the data is at hand.

use std::{fs, path::PathBuf};

use traceql::parse;

use crate::shape;

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
fn every_expression_of_the_editors_grammar_parses_to_the_same_tree() {
    let Some(text) = data("lezer-traceql/expression.txt") else { return };
    let (mut same, mut wrong) = (0, Vec::new());
    for case in text.split("\n# ").skip(usize::from(!text.starts_with("# "))) {
        let Some((head, tree)) = case.split_once("==>") else { continue };
        let expression = head.split_once('\n').map_or("", |(_, e)| e).trim();
        if expression.is_empty() {
            continue;
        }
        let query = match parse(expression) {
            Ok(query) => query,
            Err(e) => {
                wrong.push(format!("{e}: {expression}"));
                continue;
            }
        };
        assert_eq!(parse(&query.to_string()).as_ref(), Ok(&query), "{query}");
        let (ours, theirs) = (shape::of(&query), shape::read(tree));
        match ours == theirs {
            true => same += 1,
            false => wrong.push(format!("{expression}\n  ours   {ours}\n  theirs {theirs}")),
        }
    }
    println!("lezer-traceql: {same} parse to the same tree, {} differ", wrong.len());
    assert!(same + wrong.len() > 100 && wrong.is_empty(), "{}", wrong.join("\n"));
}
