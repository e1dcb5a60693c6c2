//! Conditions on the text of a record's body, in the forms that readers of segments can decide them by.

mod automaton;

use std::sync::Arc;

use contract::LineFilter;
use regex_automata::meta;

use crate::{Error, Result, terms::has_text};
pub(crate) use automaton::{Automaton, MATCHED, NEVER, State, UNKNOWN};

/// Compiled patterns stay below this many bytes.
const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Characters of a pattern that an error shows.
const SHOWN: usize = 256;

/// What a text must pass: all of its tests.
pub struct LineCondition {
    pub(crate) tests: Vec<Test>,
}

/// Whether something is found in a text, or is not.
pub(crate) struct Test {
    pub what: What,
    pub wanted: bool,
    /// Decides the same byte by byte; `None` where it would be too large, or no faster.
    pub automaton: Option<Arc<Automaton>>,
}

pub(crate) enum What {
    Text(String),
    Pattern(Box<meta::Regex>),
}

impl LineCondition {
    /// All filters as one; `None` where there are none. `Invalid` where a pattern is none, or larger than 1 MiB compiled;
    /// the message says which.
    pub fn compile(filters: &[LineFilter]) -> Result<Option<LineCondition>> {
        let tests = filters.iter().map(Test::of).collect::<Result<Vec<Test>>>()?;
        Ok((!tests.is_empty()).then_some(LineCondition { tests }))
    }

    pub fn matches(&self, text: &str) -> bool {
        self.tests.iter().all(|t| t.passes(text))
    }
}

impl Test {
    fn of(filter: &LineFilter) -> Result<Self> {
        let (what, pattern) = match filter {
            LineFilter::Contains(text) | LineFilter::NotContains(text) => {
                // Numbers would have to be spelled digit by digit: looking for the text in the line is faster.
                let has_digits = text.bytes().any(|b| b.is_ascii_digit());
                (What::Text(text.clone()), (!has_digits).then(|| regex_syntax::escape(text)))
            }
            LineFilter::Regex(p) | LineFilter::NotRegex(p) => {
                (What::Pattern(Box::new(compile(p)?)), Some(p.clone()))
            }
        };
        let wanted = matches!(filter, LineFilter::Contains(_) | LineFilter::Regex(_));
        let automaton = pattern.and_then(|p| Automaton::of(&p)).map(Arc::new);
        Ok(Test { what, wanted, automaton })
    }

    pub fn passes(&self, text: &str) -> bool {
        let found = match &self.what {
            What::Text(t) => text.contains(t.as_str()),
            What::Pattern(r) => r.is_match(text),
        };
        found == self.wanted
    }
}

fn compile(pattern: &str) -> Result<meta::Regex> {
    let config = meta::Config::new().nfa_size_limit(Some(REGEX_SIZE_LIMIT)).auto_prefilter(has_text(pattern));
    meta::Regex::builder().configure(config).build(pattern).map_err(|e| {
        let why = e.syntax_error().map_or_else(|| e.to_string(), ToString::to_string);
        let why = why.lines().last().unwrap_or_default();
        let shown: String = pattern.chars().take(SHOWN).collect();
        Error::Pattern(format!("line filter {shown:?} is not a valid regular expression: {why}"))
    })
}

#[cfg(test)]
mod tests;
