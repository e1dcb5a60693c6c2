//! Which conditions of a statement a `Select` can answer, as requests know them.
//!
//! A condition is used here to read less. But for bounds of time, which scans keep exactly, the engine applies each again
//! to what comes, so every rule below has to let through at least what the condition lets through, and may let through
//! more. What no rule knows is simply not here.

mod pattern;
mod text;
mod time;

use std::fmt;

use contract::{LineFilter, SpanFilter};
use datafusion::{logical_expr::Expr, logical_expr::TableProviderFilterPushDown as PushDown};
use model::{AnyValue, MatchOp, Matcher, SpanKind, TimeRange};

use crate::tables::Table;
use text::{Field, Test};

/// What a scan asks for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub said: TimeRange,
    pub matchers: Vec<Matcher>,
    pub lines: Vec<LineFilter>,
    /// Ids of log records, by column.
    pub fields: Vec<(String, String)>,
    /// One of these; empty means any.
    pub trace_ids: Vec<[u8; 16]>,
    pub spans: Vec<SpanFilter>,
}

/// Conditions nested deeper than this are not looked into.
const MAX_DEPTH: usize = 16;

impl Wanted {
    /// What all the conditions leave to be read.
    pub(crate) fn of(table: Table, filters: &[Expr]) -> Self {
        let mut wanted = Wanted {
            said: TimeRange::ALL,
            matchers: Vec::new(),
            lines: Vec::new(),
            fields: Vec::new(),
            trace_ids: Vec::new(),
            spans: Vec::new(),
        };
        for filter in filters {
            wanted.add(table, filter, MAX_DEPTH);
        }
        wanted
    }

    fn add(&mut self, table: Table, filter: &Expr, depth: usize) {
        if let Some(bound) = time::bound(filter, MAX_DEPTH) {
            self.said = self.said.intersect(bound.range);
            return;
        }
        if let Expr::BinaryExpr(b) = filter
            && b.op == datafusion::logical_expr::Operator::And
            && depth > 0
        {
            self.add(table, &b.left, depth - 1);
            self.add(table, &b.right, depth - 1);
            return;
        }
        if table == Table::Spans
            && let Some(filters) = time::duration(filter)
        {
            self.spans.extend(filters);
            return;
        }
        let Some((field, test)) = text::test(filter) else { return };
        match table {
            Table::Logs => self.add_log(&field, &test),
            Table::Metrics => self.matchers.extend(label(&field).and_then(|name| matcher(name, &test))),
            Table::Spans => self.add_span(&field, &test),
        }
    }

    fn add_log(&mut self, field: &Field, test: &Test) {
        match field {
            Field::Column(c) if c == "body" => self.lines.extend(test.lines()),
            Field::Column(c) if c == "trace_id" || c == "span_id" => {
                if let Test::In(ids) = test
                    && let [id] = &ids[..]
                    && !id.is_empty()
                {
                    self.fields.push((c.clone(), id.clone()));
                }
            }
            _ => self.matchers.extend(label(field).and_then(|name| matcher(name, test))),
        }
    }

    fn add_span(&mut self, field: &Field, test: &Test) {
        match (field, test) {
            (Field::Column(c), Test::In(ids)) if c == "trace_id" && self.trace_ids.is_empty() => {
                // A text that is no id is never equal to one; where none is, nothing is asked for less.
                self.trace_ids = ids.iter().filter_map(|id| trace_id(id)).collect();
            }
            (Field::Column(c), Test::In(values)) => {
                let [value] = &values[..] else { return };
                match c.as_str() {
                    "service_name" => self.spans.push(SpanFilter::Service(value.clone())),
                    "name" => self.spans.push(SpanFilter::Name(value.clone())),
                    "kind" => self.spans.extend(kind(value).map(SpanFilter::Kind)),
                    "status_code" if value == "error" => self.spans.push(SpanFilter::Error(true)),
                    _ => {}
                }
            }
            (Field::Entry(map, key), Test::In(values)) if map == "attributes" || map == "resource" => {
                let [value] = &values[..] else { return };
                self.spans.push(SpanFilter::Attribute(key.clone(), AnyValue::String(value.clone())));
            }
            _ => {}
        }
    }
}

/// How the engine is to see each condition: those of time alone are ours, of others we may make use.
pub(crate) fn push_down(table: Table, filters: &[&Expr]) -> Vec<PushDown> {
    filters
        .iter()
        .map(|filter| match time::bound(filter, MAX_DEPTH) {
            Some(bound) if bound.is_exact => PushDown::Exact,
            Some(_) => PushDown::Inexact,
            None if Wanted::of(table, &[(*filter).clone()]).is_something() => PushDown::Inexact,
            None => PushDown::Unsupported,
        })
        .collect()
}

impl Wanted {
    fn is_something(&self) -> bool {
        self.said != TimeRange::ALL
            || !(self.matchers.is_empty()
                && self.lines.is_empty()
                && self.fields.is_empty()
                && self.trace_ids.is_empty()
                && self.spans.is_empty())
    }
}

/// The label that a column shows.
fn label(field: &Field) -> Option<&str> {
    match field {
        Field::Entry(map, key) if map == "labels" => Some(key),
        Field::Column(c) if c == "metric" => Some(model::labels::METRIC_NAME),
        Field::Column(c) if c == "service_name" || c == "cluster" => Some(c),
        _ => None,
    }
}

fn matcher(name: &str, test: &Test) -> Option<Matcher> {
    // Labels never have an empty value: a column is null where the label is not there.
    let (op, value) = match test {
        Test::In(values) => match &values[..] {
            [one] if one.is_empty() => return None,
            [one] => (MatchOp::Equal, one.clone()),
            many => (MatchOp::Regex, pattern::any_of(many)),
        },
        Test::NotIn(values) => match &values[..] {
            [one] => (MatchOp::NotEqual, one.clone()),
            many => (MatchOp::NotRegex, pattern::any_of(many)),
        },
        // Engines differ in what they take for the same letter, so nothing is excluded by it.
        Test::Like(like) if like.is_negated && like.ignores_case => return None,
        Test::Like(like) if like.is_negated => (MatchOp::NotRegex, like.regex()),
        Test::Like(like) => (MatchOp::Regex, like.regex()),
        Test::Found { pattern, is_negated: true } if pattern.starts_with("(?i)") => return None,
        Test::Found { pattern, is_negated } => {
            let inside = pattern::portable(pattern).then(|| format!(".*(?-s:{pattern}).*"))?;
            (if *is_negated { MatchOp::NotRegex } else { MatchOp::Regex }, inside)
        }
    };
    // Patterns that are too large for a matcher stay with the engine.
    Matcher::new(name, op, value).ok()
}

fn kind(text: &str) -> Option<SpanKind> {
    (0..=5).map(SpanKind::from_number).find(|k| k.as_str() == text)
}

/// Exactly as ids are shown: 32 lower-case hexadecimal digits.
fn trace_id(text: &str) -> Option<[u8; 16]> {
    let is_shown_so = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_shown_so.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.matchers.is_empty() {
            let all: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
            write!(f, ", matchers={{{}}}", all.join(", "))?;
        }
        if !self.lines.is_empty() {
            write!(f, ", lines={:?}", self.lines)?;
        }
        if !self.fields.is_empty() {
            write!(f, ", fields={:?}", self.fields)?;
        }
        if !self.trace_ids.is_empty() {
            write!(f, ", trace_ids={}", self.trace_ids.len())?;
        }
        if !self.spans.is_empty() {
            write!(f, ", spans={:?}", self.spans)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
