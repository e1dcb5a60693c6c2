//! Lists of relabelling rules.

use transform::relabel::{Names, Rule, RuleConfig};

use super::section::Section;
use crate::{check::Checker, yaml::Value};

/// The rules under `key`.
pub(crate) fn rules(s: &mut Section<'_>, key: &str, names: Names, c: &mut Checker<'_>) -> Vec<Rule> {
    let mut out = Vec::new();
    for mut r in s.sections(key, c) {
        let defaults = RuleConfig::default();
        // A regex that is given and empty matches nothing but the empty text; one that is absent, everything.
        let regex = match r.take("regex").map(|n| &n.value) {
            None => defaults.regex,
            Some(Value::Null) => String::new(),
            Some(Value::Scalar(text, _)) => text.clone(),
            Some(_) => {
                r.problem("regex", c, "must be a single value");
                continue;
            }
        };
        let given_or = |r: &mut Section<'_>, key: &str, default: String, c: &mut Checker<'_>| match r
            .take(key)
            .map(|n| &n.value)
        {
            None => default,
            Some(Value::Scalar(text, _)) => text.clone(),
            Some(Value::Null) => String::new(),
            Some(_) => {
                r.problem(key, c, "must be a single value");
                default
            }
        };
        let config = RuleConfig {
            source_labels: r.texts("source_labels", c).unwrap_or_default(),
            separator: given_or(&mut r, "separator", defaults.separator, c),
            regex,
            modulus: r.count("modulus", c).unwrap_or(0),
            target_label: r.text("target_label", c).unwrap_or_default(),
            replacement: given_or(&mut r, "replacement", defaults.replacement, c),
            action: given_or(&mut r, "action", defaults.action, c),
            names,
        };
        match Rule::new(config) {
            Ok(rule) => out.push(rule),
            Err(e) => r.wrong(c, e.to_string()),
        }
        r.finish(c);
    }
    out
}
