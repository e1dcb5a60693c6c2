//! Keys that messages and documents name, found by reading the sources.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::*;

/// Sections whose names no other dotted words share; of `http.` and `memory.` see [`is_key`].
const SECTIONS: [&str; 9] =
    ["listen", "http", "retention", "memory", "disk", "ingest", "query", "promql", "limits"];

/// Whether a dotted word speaks of the configuration, and not of OpenTelemetry's attributes or of cgroups.
fn is_key(word: &str) -> bool {
    let Some((section, rest)) = word.split_once('.') else { return false };
    SECTIONS.contains(&section)
        && match section {
            "http" => rest.starts_with("enable_") || rest.starts_with("cors_"),
            "memory" => !["max", "limit_in_bytes"].contains(&rest),
            "disk" => !rest.starts_with("io."),
            _ => true,
        }
}

fn sources(dir: PathBuf, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "tests", "decisions"].contains(&name.as_str()) {
            sources(path, found);
        } else if (name.ends_with(".rs") && name != "tests.rs") || name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// What a line shows to people: texts of code, and code in prose.
fn shown(line: &str) -> impl Iterator<Item = &str> {
    let code = !line.trim_start().starts_with("//") && line.contains('"');
    line.split(if code { '"' } else { '`' }).skip(1).step_by(2)
}

#[test]
fn every_key_that_a_message_or_a_document_names_exists() {
    let root = Path::new(env!("ORRERY_CHECKOUT"));
    let mut files = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    sources(root.join("crates"), &mut files);
    sources(root.join("docs"), &mut files);
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        // Parameters of Jaeger's API begin so too.
        let other = if file.components().any(|c| c.as_os_str() == "jaeger") { "query." } else { "\0" };
        for (n, line) in text.lines().enumerate() {
            for piece in shown(line) {
                // A name with a hyphen is a flag of Prometheus.
                let words = piece.split(|c: char| !(c.is_ascii_lowercase() || "_.-".contains(c)));
                let words = words.filter(|w| !w.contains('-'));
                for word in words.map(|w| w.trim_matches('.')).filter(|w| is_key(w) && !w.starts_with(other))
                {
                    let at = || format!("{}:{}", file.display(), n + 1);
                    named.entry(word.to_owned()).or_insert_with(at);
                }
            }
        }
    }
    assert!(named.contains_key("ingest.max_labels") && named.len() > 25, "{named:?}");
    for (key, at) in named {
        // Whatever the value, the complaint is about the key only where it does not exist.
        let yaml = key.split('.').rev().fold("1".to_owned(), |inner, part| format!("{{{part}: {inner}}}"));
        let unknown = problems(&yaml).into_iter().find(|p| p.contains("unknown field"));
        assert!(unknown.is_none(), "{at} names {key}: {unknown:?}");
    }
}
