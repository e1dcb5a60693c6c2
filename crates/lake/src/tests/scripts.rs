//! Statements and the tables they give, as text:
//!
//! ```text
//! # what it is about
//! statement, on one or more lines
//! ----
//! header,row
//! 1,2
//! ```
//! An empty line ends a case. `ORRERY_UPDATE_SQL=1` writes what came instead of comparing it.

// Whether files are written anew comes from the environment.
#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};

use super::*;

struct Case {
    about: String,
    statement: String,
    wanted: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut all = Vec::new();
    for block in text.split("\n\n").map(str::trim).filter(|b| !b.is_empty()) {
        let (asked, wanted) = block.split_once("\n----\n").unwrap_or((block.trim_end_matches("\n----"), ""));
        let is_comment = |l: &&str| l.starts_with('#');
        let about: Vec<&str> = asked.lines().filter(is_comment).collect();
        let statement: Vec<&str> = asked.lines().filter(|l| !is_comment(l)).collect();
        all.push(Case {
            about: about.join("\n"),
            statement: statement.join("\n"),
            wanted: format!("{}\n", wanted.trim_end()),
        });
    }
    all
}

async fn compare(engine: &Engine, over: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()).filter(|p| p.is_file()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut written = String::new();
        for case in cases(&std::fs::read_to_string(&file).unwrap()) {
            let found = csv(engine, &case.statement).await;
            let about = if case.about.is_empty() { String::new() } else { format!("{}\n", case.about) };
            written.push_str(&format!("{about}{}\n----\n{}\n", case.statement, found.trim_end()));
            written.push('\n');
            if std::env::var_os("ORRERY_UPDATE_SQL").is_none() {
                assert_eq!(found, case.wanted, "over {over}, {}: {}", file.display(), case.statement);
            }
        }
        if std::env::var_os("ORRERY_UPDATE_SQL").is_some() {
            std::fs::write(&file, format!("{}\n", written.trim_end())).unwrap();
        }
    }
}

#[tokio::test]
async fn statements_give_their_tables() {
    compare(&fake().await, "the fake").await;
}

#[tokio::test]
async fn a_store_answers_as_the_fake_does_from_its_heads_and_from_its_segments() {
    if std::env::var_os("ORRERY_UPDATE_SQL").is_some() {
        return;
    }
    let cluster = testkit::cluster::Cluster::start(&["dev-01"]).await.unwrap();
    let store = cluster.members[0].store().clone();
    fill(&*store).await;
    compare(&engine_over(store.clone()), "heads").await;
    store.flush_all().await.unwrap();
    compare(&engine_over(store.clone()), "segments").await;
}
