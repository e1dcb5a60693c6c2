//! Prometheus relabelling (`relabel_config`), all actions. Expressions are anchored at both ends; captures are
//! expanded as `$1`, `${1}` and `${name}`, `$$` is a dollar sign.

use md5::{Digest, Md5};
use model::{Labels, LabelsBuilder};
use regex::Regex;
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("relabel rule is not valid: {0}")]
pub struct InvalidRule(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// A rule as configured, with Prometheus' defaults in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleConfig {
    pub source_labels: Vec<String>,
    /// Put between the values of the source labels, `;` by default.
    pub separator: String,
    pub regex: String,
    /// For `hashmod` only.
    pub modulus: u64,
    pub target_label: String,
    pub replacement: String,
    pub action: String,
}

impl Default for RuleConfig {
    fn default() -> Self {
        RuleConfig {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: "replace".to_owned(),
        }
    }
}

/// A rule ready to be applied.
#[derive(Debug, Clone)]
pub struct Rule {
    config: RuleConfig,
    regex: Regex,
    action: Action,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl Rule {
    /// Compiles and checks a rule by the rules Prometheus has for each action.
    pub fn new(config: RuleConfig) -> Result<Self, InvalidRule> {
        let action = match config.action.to_ascii_lowercase().as_str() {
            "" | "replace" => Action::Replace,
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "keepequal" => Action::KeepEqual,
            "dropequal" => Action::DropEqual,
            "hashmod" => Action::HashMod,
            "labelmap" => Action::LabelMap,
            "labeldrop" => Action::LabelDrop,
            "labelkeep" => Action::LabelKeep,
            "lowercase" => Action::Lowercase,
            "uppercase" => Action::Uppercase,
            other => return Err(InvalidRule(format!("action {other:?} is not known"))),
        };
        let needs_target = matches!(
            action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if needs_target && config.target_label.is_empty() {
            return Err(InvalidRule(format!("action {} needs target_label", config.action)));
        }
        if action == Action::HashMod && config.modulus == 0 {
            return Err(InvalidRule("action hashmod needs a modulus of at least 1".to_owned()));
        }
        if matches!(action, Action::LabelDrop | Action::LabelKeep) && !config.source_labels.is_empty() {
            return Err(InvalidRule(format!("action {} takes only a regex", config.action)));
        }
        let regex = regex::RegexBuilder::new(&format!("^(?s:{})$", config.regex))
            .size_limit(1 << 20)
            .build()
            .map_err(|e| InvalidRule(format!("regex {:?}: {}", config.regex, last_line(&e.to_string()))))?;
        Ok(Rule { config, regex, action })
    }

    /// Applies the rule; false means the labels are to be dropped.
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let c = &self.config;
        let source = || {
            let values: Vec<&str> = c.source_labels.iter().map(|n| labels.get(n).unwrap_or("")).collect();
            values.join(&c.separator)
        };
        match self.action {
            Action::Keep => return self.regex.is_match(&source()),
            Action::Drop => return !self.regex.is_match(&source()),
            Action::KeepEqual => return labels.get(&c.target_label).unwrap_or("") == source(),
            Action::DropEqual => return labels.get(&c.target_label).unwrap_or("") != source(),
            Action::Replace => {
                let value = source();
                if let Some(found) = self.regex.captures(&value) {
                    let (mut target, mut replaced) = (String::new(), String::new());
                    found.expand(&go_names(&c.target_label), &mut target);
                    found.expand(&go_names(&c.replacement), &mut replaced);
                    if !target.is_empty() {
                        labels.set(target, replaced);
                    }
                }
            }
            Action::HashMod => {
                let hash = Md5::digest(source().as_bytes());
                let low: [u8; 8] = std::array::from_fn(|i| hash[8 + i]);
                let bucket = u64::from_be_bytes(low) % c.modulus;
                labels.set(c.target_label.clone(), bucket.to_string());
            }
            Action::Lowercase => {
                let value = source().to_lowercase();
                labels.set(c.target_label.clone(), value);
            }
            Action::Uppercase => {
                let value = source().to_uppercase();
                labels.set(c.target_label.clone(), value);
            }
            Action::LabelMap => {
                let renamed: Vec<(String, String)> = labels
                    .iter()
                    .filter(|(n, _)| self.regex.is_match(n))
                    .map(|(n, v)| {
                        (self.regex.replace(n, go_names(&c.replacement).as_str()).into_owned(), v.to_owned())
                    })
                    .collect();
                for (n, v) in renamed {
                    labels.set(n, v);
                }
            }
            Action::LabelDrop | Action::LabelKeep => {
                let gone: Vec<String> = labels
                    .iter()
                    .filter(|(n, _)| self.regex.is_match(n) == (self.action == Action::LabelDrop))
                    .map(|(n, _)| n.to_owned())
                    .collect();
                for n in gone {
                    labels.remove(&n);
                }
            }
        }
        true
    }
}

/// Applies all rules in order; `None` where one of them drops the labels.
pub fn relabel(mut labels: LabelsBuilder, rules: &[Rule]) -> Option<LabelsBuilder> {
    rules.iter().all(|r| r.apply(&mut labels)).then_some(labels)
}

/// The same for finished labels.
pub fn relabel_labels(labels: &Labels, rules: &[Rule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    relabel(labels.to_builder(), rules).map(LabelsBuilder::build)
}

/// Both Go and this library read `$1x` as the group named `1x`, so nothing is left to translate but the
/// dollar at the end, which Go drops and this library keeps.
fn go_names(template: &str) -> String {
    let trailing = template.bytes().rev().take_while(|b| *b == b'$').count();
    match trailing % 2 {
        1 => template[..template.len() - 1].to_owned(),
        _ => template.to_owned(),
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
