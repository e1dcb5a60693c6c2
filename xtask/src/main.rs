//! Chores of the repository. `cargo xtask tidy` proves what ARCHITECTURE.md and the style claim.

mod docs;
mod layers;
mod sources;

use std::path::PathBuf;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let task = std::env::args().nth(1).unwrap_or_default();
    match task.as_str() {
        "tidy" => tidy(),
        _ => bail!("usage: cargo xtask tidy"),
    }
}

/// Runs every check and reports all findings, so that one run is enough.
fn tidy() -> Result<()> {
    let root = root();
    let mut findings = Vec::new();
    layers::check(&root, &mut findings)?;
    docs::check(&root, &mut findings)?;
    sources::check(&root, &mut findings)?;
    for f in &findings {
        eprintln!("tidy: {f}");
    }
    if !findings.is_empty() {
        bail!("{} finding(s)", findings.len());
    }
    println!("tidy: layers, owners, documents and sources are in order");
    Ok(())
}

fn root() -> PathBuf {
    PathBuf::from(env!("ORRERY_CHECKOUT"))
}
