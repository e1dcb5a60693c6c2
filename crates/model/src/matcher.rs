//! Label matchers as PromQL and LogQL have them: regular expressions are anchored at both ends.

use std::fmt;

use regex::Regex;
use thiserror::Error;

use crate::labels::Labels;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

#[derive(Debug, Error)]
#[error("regular expression {pattern:?} of label {label:?} is not valid: {reason}")]
pub struct MatcherError {
    pub label: String,
    pub pattern: String,
    pub reason: String,
}

/// One condition on one label. An absent label has the value "".
#[derive(Clone)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    pub value: String,
    /// Present exactly for `Regex` and `NotRegex`.
    regex: Option<Regex>,
}

/// Compiled patterns stay below this many bytes, so a hostile repetition costs an error, not memory.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

impl Matcher {
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(&name, &value)?),
        };
        Ok(Matcher { name, op, value, regex })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|r| r.is_match(value)),
            MatchOp::NotRegex => !self.regex.as_ref().is_some_and(|r| r.is_match(value)),
        }
    }

    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }

    /// Whether the matcher accepts series that lack the label.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

/// True when every matcher accepts the labels.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches_labels(labels))
}

fn anchored(name: &str, pattern: &str) -> Result<Regex, MatcherError> {
    // `(?s)`: a dot matches newlines too, as in Prometheus since 3.0.
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_SIZE_LIMIT).build().map_err(|e| {
        MatcherError {
            label: name.to_owned(),
            pattern: pattern.chars().take(256).collect(),
            reason: e.to_string().lines().last().unwrap_or_default().to_owned(),
        }
    })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.name, self.op, &self.value).hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.as_str(), self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_are_anchored_and_an_absent_label_is_empty() {
        let m = Matcher::new("a", MatchOp::Regex, "b|c").unwrap();
        assert!(m.matches("b") && m.matches("c") && !m.matches("xb") && !m.matches("bc"));
        let m = Matcher::new("a", MatchOp::NotRegex, "b.*").unwrap();
        assert!(m.matches("") && !m.matches("b\nx"));
    }

    #[test]
    fn a_pattern_that_would_take_much_memory_is_an_error() {
        assert!(Matcher::new("a", MatchOp::Regex, "((a{1000}){1000}){1000}").is_err());
        assert!(Matcher::new("a", MatchOp::Regex, "(").unwrap_err().to_string().contains("\"a\""));
    }
}
