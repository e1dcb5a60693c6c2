//! Every path and every `crate/file::function` named in the documents exists.

use std::path::Path;

use anyhow::{Context, Result};

const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"];
/// First path elements that make a quoted word a path of this repository.
const TOP: &[&str] = &["crates/", "docs/", "ui/", "xtask/", "fuzz/", "scripts/", "tests/"];

pub fn check(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    for document in DOCUMENTS {
        let text =
            std::fs::read_to_string(root.join(document)).with_context(|| format!("reading {document}"))?;
        for (number, line) in text.lines().enumerate() {
            for quoted in line.split('`').skip(1).step_by(2) {
                if let Err(reason) = check_reference(root, quoted) {
                    findings.push(format!("{document}:{}: `{quoted}` {reason}", number + 1));
                }
            }
        }
    }
    Ok(())
}

fn check_reference(root: &Path, quoted: &str) -> Result<(), String> {
    if let Some((file, function)) = quoted.split_once("::")
        && file.contains('/')
        && !file.contains(' ')
    {
        return check_function(root, file, function);
    }
    let path = quoted.trim_end_matches('/');
    let is_path = TOP.iter().any(|t| quoted.starts_with(t)) && !quoted.contains([' ', '*', '<', '{']);
    match is_path && !root.join(path).exists() {
        true => Err("does not exist".to_owned()),
        false => Ok(()),
    }
}

/// `store/append::append` names `fn append` in `crates/store/src/append.rs` (or `append/mod.rs`).
fn check_function(root: &Path, file: &str, function: &str) -> Result<(), String> {
    let (krate, rest) = file.split_once('/').unwrap_or((file, "lib"));
    let base = root.join("crates").join(krate).join("src");
    let candidates = [base.join(format!("{rest}.rs")), base.join(rest).join("mod.rs")];
    let Some(path) = candidates.iter().find(|p| p.exists()) else {
        return Err(format!(
            "has no file {}",
            candidates[0].strip_prefix(root).unwrap_or(&candidates[0]).display()
        ));
    };
    let source = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let name = function.rsplit("::").next().unwrap_or(function).trim_end_matches("()");
    let defined = ["fn ", "struct ", "enum ", "trait ", "const ", "macro_rules! "].iter().any(|kind| {
        source.match_indices(&format!("{kind}{name}")).any(|(at, found)| {
            !source[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    });
    match defined {
        true => Ok(()),
        false => Err(format!("is not defined in {}", path.strip_prefix(root).unwrap_or(path).display())),
    }
}
