//! Layer edges point down, and every heavy library has one owner.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

/// The layer of each crate; an edge may only go to a lower one. `dev` crates are for tests.
const LAYERS: &[(&str, u8)] = &[
    ("base", 0),
    ("model", 0),
    ("proto", 0),
    ("contract", 1),
    ("wire", 1),
    ("transform", 1),
    ("net", 1),
    ("disklog", 1),
    ("eval", 1),
    ("tsdb", 1),
    ("segment", 2),
    ("promql", 2),
    ("logql", 2),
    ("traceql", 2),
    ("elastic", 2),
    ("lake", 2),
    ("derive", 2),
    ("bus", 2),
    ("store", 3),
    ("federate", 3),
    ("ingest", 3),
    ("agent", 3),
    ("forward", 3),
    ("bench", 3),
    ("migrate", 3),
    ("config", 4),
    ("api", 4),
    ("orrery", 5),
    ("testkit", 9),
    ("xtask", 9),
];

/// Libraries that may be a direct dependency of the named crates only.
const OWNERS: &[(&str, &[&str])] = &[
    ("parquet", &["segment"]),
    ("arrow", &["segment", "lake"]),
    ("arrow-flight", &["lake"]),
    ("datafusion", &["lake"]),
    ("object_store", &["segment", "store", "testkit"]),
    ("axum", &["api"]),
    ("tower", &["api"]),
    ("tower-http", &["api"]),
    ("hyper", &["api", "bench"]),
    ("hyper-util", &["api", "bench", "federate"]),
    ("tonic", &["api", "proto", "bench", "federate", "forward", "lake"]),
    ("prost", &["api", "proto", "wire", "bench", "ingest", "lake"]),
    ("rustls", &["net"]),
    ("tokio-rustls", &["net"]),
    ("rcgen", &["net"]),
    ("x509-parser", &["net"]),
    ("reqwest", &["net"]),
    ("prometheus-client", &["base"]),
    ("krafka", &["bus"]),
    ("notify", &["agent"]),
    ("clap", &["orrery"]),
    ("serde-saphyr", &["config", "agent"]),
    ("sha2", &["store"]),
    ("tikv-jemallocator", &["orrery"]),
    ("rust-embed", &["api"]),
];

pub fn check(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for package in packages(root)? {
        let name = text(&package, "name");
        let Some(mine) = layers.get(name.as_str()) else {
            findings.push(format!(
                "crate {name} has no layer; add it to xtask/src/layers.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = text(dependency, "name");
            let is_dev = dependency["kind"].as_str() == Some("dev");
            if let Some(theirs) = layers.get(to.as_str())
                && !is_dev
                && theirs >= mine
            {
                findings.push(format!("{name} (layer {mine}) must not depend on {to} (layer {theirs})"));
            }
            if let Some((_, owners)) = OWNERS.iter().find(|(lib, _)| *lib == to)
                && !is_dev
                && !owners.contains(&name.as_str())
            {
                findings.push(format!("{to} belongs to {}; {name} must go through it", owners.join(", ")));
            }
        }
    }
    Ok(())
}

fn packages(root: &Path) -> Result<Vec<Value>> {
    let out = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&out.stdout).context("reading cargo metadata")?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}

fn text(v: &Value, key: &str) -> String {
    v[key].as_str().unwrap_or_default().to_owned()
}
