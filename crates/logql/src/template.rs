//! The templates of `line_format` and `label_format`: the part of Go's `text/template` that log queries use.
//!
//! Actions, pipes, variables, `if`, `range`, `with` and the functions of Loki's reference are here; `define`,
//! `template` and `block` are not, and say so. Rendering is bounded in steps and in output.

use std::{collections::HashMap, sync::Mutex};

use base::Clock;
use regex::Regex;

use crate::pipeline::Row;

mod exec;
mod functions;
mod parse;
mod time;
mod value;

/// Nodes and calls one rendering may run; a `range` over a large array ends here.
const MAX_STEPS: usize = 100_000;
/// Bytes one rendering may produce; repeating and padding functions end here.
const MAX_OUTPUT: usize = 1 << 20;
/// Nesting of actions and parentheses.
const MAX_DEPTH: usize = 50;
/// Compiled patterns kept per template.
const MAX_REGEXES: usize = 32;

pub(crate) struct Template {
    nodes: Vec<parse::Node>,
    clock: Clock,
    /// Patterns are arguments and so may change with each line, but seldom do.
    regexes: Mutex<HashMap<String, Regex>>,
}

impl Template {
    pub fn parse(text: &str, clock: &Clock) -> Result<Self, String> {
        let nodes = parse::parse(text).map_err(|e| format!("invalid template: {e}"))?;
        Ok(Template { nodes, clock: clock.clone(), regexes: Mutex::new(HashMap::new()) })
    }

    /// Whether what a text renders to depends on when that is done; a text that is no template counts as one that
    /// does.
    pub fn reads_clock(text: &str) -> bool {
        parse::parse(text).map_or(true, |nodes| nodes.iter().any(|n| n.calls("now")))
    }

    /// Renders over the row's labels. A label that is not there is empty.
    pub fn render(&self, row: &Row<'_>) -> Result<String, String> {
        exec::render(self, row)
    }

    fn regex(&self, pattern: &str) -> Result<Regex, String> {
        let mut cache = self.regexes.lock().unwrap_or_else(|p| p.into_inner());
        if let Some(r) = cache.get(pattern) {
            return Ok(r.clone());
        }
        let r = crate::re2::compile(pattern)?;
        if cache.len() >= MAX_REGEXES {
            cache.clear();
        }
        cache.insert(pattern.to_owned(), r.clone());
        Ok(r)
    }
}
