//! Target groups as files and servers write them: a list of `{"targets": [...], "labels": {...}}`, in JSON or
//! YAML (`prometheus.io/docs/prometheus/latest/configuration`, `file_sd_config` and `http_sd_config`).

use std::collections::BTreeMap;

use model::Labels;
use serde::Deserialize;

use super::Group;

/// Longest list read. Larger: a mistaken source costs more memory.
pub const MAX_GROUP_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    targets: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// Reads JSON. The error says what is wrong and where.
pub fn parse_json(text: &str) -> Result<Vec<Group>, String> {
    let written: Option<Vec<Option<Written>>> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    groups(written)
}

/// Reads YAML.
pub fn parse_yaml(text: &str) -> Result<Vec<Group>, String> {
    if text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let written: Option<Vec<Option<Written>>> =
        serde_saphyr::from_str(text).map_err(|e| e.without_snippet().to_string())?;
    groups(written)
}

fn groups(written: Option<Vec<Option<Written>>>) -> Result<Vec<Group>, String> {
    let group = |(i, w): (usize, Option<Written>)| {
        let w = w.ok_or_else(|| format!("group {i} is empty"))?;
        let labels = w.labels.unwrap_or_default();
        if labels.contains_key("") {
            return Err(format!("group {i} has a label without a name"));
        }
        Ok(Group::of(w.targets.unwrap_or_default(), Labels::from_pairs(labels)))
    };
    written.unwrap_or_default().into_iter().enumerate().map(group).collect()
}
