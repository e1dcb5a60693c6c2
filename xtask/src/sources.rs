//! Rules a compiler does not know: crates introduce themselves, nothing is left unfinished, no file names a
//! machine or a package registry.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Past this many lines a file has a second idea inside; tables and tests of text may be longer.
const MAX_LINES: usize = 800;

pub fn check(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    for path in tracked(root)? {
        let name = path.to_string_lossy().into_owned();
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        if name.ends_with("/src/lib.rs") && !text.starts_with("//!") {
            findings
                .push(format!("{name}: a crate begins by saying what it owns and what it must never know"));
        }
        let is_source = name.ends_with(".rs") || name.ends_with(".ts") || name.ends_with(".tsx");
        if is_source && text.lines().count() > MAX_LINES {
            findings.push(format!("{name}: {} lines; look for the second idea inside", text.lines().count()));
        }
        // This file holds the words it looks for.
        if name.starts_with("xtask/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let at = || format!("{name}:{}", number + 1);
            if is_source && ["todo!(", "unimplemented!(", "#[ignore"].iter().any(|w| line.contains(w)) {
                findings.push(format!("{}: unfinished or skipped code", at()));
            }
            if name.ends_with("package-lock.json") && line.contains("\"resolved\": \"http") {
                findings.push(format!("{}: a lock file must not name a registry host", at()));
                break;
            }
            if ["root", "home"]
                .map(|d| format!("/{d}/"))
                .iter()
                .any(|p| line.contains(&format!("\"{p}")) || line.contains(&format!(" {p}")))
            {
                findings.push(format!("{}: a path of somebody's machine", at()));
            }
        }
    }
    Ok(())
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let out = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    Ok(out
        .stdout
        .split(|b| *b == 0)
        .filter(|p| !p.is_empty())
        .map(|p| PathBuf::from(String::from_utf8_lossy(p).into_owned()))
        .collect())
}
