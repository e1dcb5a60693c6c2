//! Prometheus relabelling (`relabel_config`), all actions. Expressions are anchored at both ends; captures are
//! expanded as `$1`, `${1}` and `${name}`, `$$` is a dollar sign. What a rule may say is checked as Prometheus
//! checks it, action by action.

use md5::{Digest, Md5};
use model::{Labels, LabelsBuilder, labels::is_classic_label_name};
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

/// Which label names a rule may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*` only.
    Legacy,
}

impl Names {
    pub fn allow(self, name: &str) -> bool {
        match self {
            Names::Utf8 => !name.is_empty(),
            Names::Legacy => is_classic_label_name(name),
        }
    }
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
    pub names: Names,
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
            names: Names::Utf8,
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
            "replace" => Action::Replace,
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
            "" => return Err(InvalidRule("action is empty".to_owned())),
            other => return Err(InvalidRule(format!("action {other:?} is not known"))),
        };
        check(action, &config).map_err(InvalidRule)?;
        let regex = regex::RegexBuilder::new(&format!("^(?s:{})$", config.regex))
            .size_limit(1 << 20)
            .build()
            .map_err(|e| InvalidRule(format!("regex {:?}: {}", config.regex, last_line(&e.to_string()))))?;
        Ok(Rule { config, regex, action })
    }

    /// As it was configured.
    pub fn config(&self) -> &RuleConfig {
        &self.config
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
                    found.expand(&c.target_label, &mut target);
                    found.expand(&c.replacement, &mut replaced);
                    if c.names.allow(&target) {
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
                    .map(|(n, v)| (self.regex.replace(n, c.replacement.as_str()).into_owned(), v.to_owned()))
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

/// What each action needs and what it leaves no room for.
fn check(action: Action, c: &RuleConfig) -> Result<(), String> {
    use Action::{
        DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase,
    };
    let name = c.action.to_ascii_lowercase();
    let defaults = RuleConfig::default();
    if action == HashMod && c.modulus == 0 {
        return Err("action hashmod needs a modulus of at least 1".to_owned());
    }
    let writes = matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual);
    if writes && c.target_label.is_empty() {
        return Err(format!("action {name} needs target_label"));
    }
    let target_is_valid = match (action, c.target_label.contains('$')) {
        (Replace, true) => template_allowed(&c.target_label, c.names),
        _ => c.names.allow(&c.target_label),
    };
    if writes && !target_is_valid {
        return Err(format!("target_label {:?} is not a label name", c.target_label));
    }
    let fixed = matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual);
    if fixed && c.replacement != defaults.replacement {
        return Err(format!("action {name} takes no replacement"));
    }
    if action == LabelMap && !template_allowed(&c.replacement, c.names) {
        return Err(format!("replacement {:?} is not a label name", c.replacement));
    }
    let only_defaults = c.modulus == 0 && c.separator == defaults.separator;
    if matches!(action, KeepEqual | DropEqual) && (!only_defaults || c.regex != defaults.regex) {
        return Err(format!("action {name} takes only source_labels and target_label"));
    }
    let bare = only_defaults && c.source_labels.is_empty() && c.target_label.is_empty();
    if matches!(action, LabelDrop | LabelKeep) && (!bare || c.replacement != defaults.replacement) {
        return Err(format!("action {name} takes only a regex"));
    }
    Ok(())
}

/// Whether a label name with `$1`, `${1}` and `${name}` in it can become a label name.
fn template_allowed(template: &str, names: Names) -> bool {
    if names == Names::Utf8 {
        return names.allow(template);
    }
    // Captures may bring any characters; what stands between them must be allowed in a name by itself.
    let mut rest = template;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '$' {
            let word = |s: &str| s.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let (skip, closed) = match after.strip_prefix('{') {
                Some(braced) => {
                    (1 + word(braced), braced.get(word(braced)..).and_then(|s| s.strip_prefix('}')))
                }
                None => (word(after), after.get(word(after)..)),
            };
            match closed {
                Some(next) if skip > usize::from(after.starts_with('{')) => rest = next,
                _ => return false,
            }
        } else if c == '_' || c.is_ascii_alphabetic() || (!first && c.is_ascii_digit()) {
            rest = after;
        } else {
            return false;
        }
        first = false;
    }
    !template.is_empty()
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
