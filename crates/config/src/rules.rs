//! Rule files of Prometheus, as far as their expressions go: what somebody compares two systems by.

use std::path::Path;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::Error;

/// One recording or alerting rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExpression {
    pub group: String,
    /// Name of the alert or of the recorded series.
    pub name: String,
    pub expr: String,
    /// Where the expression begins, counted from 1; of a block, its first line.
    pub line: u64,
}

/// Everything else in the file is whoever evaluates it to judge.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    groups: Option<Vec<Group>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(default)]
    record: Option<String>,
    #[serde(default)]
    alert: Option<String>,
    expr: Spanned<crate::scalar::Scalar>,
}

/// The expressions of a rule file in their order. A file without groups, such as a unit test of rules, has none.
pub fn rule_expressions(path: &Path) -> Result<Vec<RuleExpression>, Error> {
    let text = crate::read(path)?;
    let file: File = crate::from_yaml(&text, path)?;
    let mut all = Vec::new();
    for group in file.groups.into_iter().flatten() {
        for rule in group.rules {
            all.push(RuleExpression {
                group: group.name.clone(),
                name: rule.alert.or(rule.record).unwrap_or_default(),
                line: rule.expr.referenced.line(),
                expr: rule.expr.value.0,
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_their_place_and_other_files_have_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.yaml");
        let text = "groups:\n- name: g\n  interval: 1m\n  rules:\n  - record: a:b\n    expr: sum(up)\n  - alert: Down\n    expr: |\n      up == 0\n    for: 5m\n    labels: {severity: page}\n";
        std::fs::write(&path, text).unwrap();
        let rules = rule_expressions(&path).unwrap();
        let short: Vec<_> = rules.iter().map(|r| (r.name.as_str(), r.expr.trim(), r.line)).collect();
        assert_eq!(short, [("a:b", "sum(up)", 6), ("Down", "up == 0", 9)]);
        std::fs::write(&path, "rule_files: [a]\ntests: []\n").unwrap();
        assert_eq!(rule_expressions(&path).unwrap(), []);
        std::fs::write(&path, "groups: [").unwrap();
        assert!(rule_expressions(&path).is_err());
    }
}
