//! Queries: what a document must be like. Parsed from the query DSL, evaluated one document at a time.
//!
//! There are no mappings, so each value is taken as what it is. Of a text both readings of Elasticsearch hold: `match` and
//! its like look at its words, `term` and its like at a word in lower case or at the whole; under the name with
//! `.keyword` only at the whole. Scores are not computed.

mod clause;
mod line;
mod parse;
mod range;
mod text;

use std::collections::HashSet;

use contract::LineFilter;
use regex::Regex;

use crate::{
    field::{Doc, Field},
    token,
};

pub use parse::{Context, parse};
pub use range::Range;
pub use text::parse_lucene;

/// A condition on documents.
#[derive(Debug, Clone)]
pub enum Query {
    All,
    Nothing,
    Bool(Bool),
    Term(Term),
    /// Any of the values.
    Terms {
        field: Field,
        values: HashSet<String>,
    },
    Words(Words),
    Phrase(Phrase),
    Range(Range),
    Exists(Field),
    /// A whole term matches: a word in lower case, or the value.
    Pattern {
        field: Field,
        regex: Regex,
    },
    /// A word at most so many changes away.
    Fuzzy {
        field: Field,
        word: String,
        changes: usize,
    },
    Ids(HashSet<String>),
}

/// `must` and `filter` together, `should`, `must_not`.
#[derive(Debug, Clone, Default)]
pub struct Bool {
    pub must: Vec<Query>,
    pub should: Vec<Query>,
    pub must_not: Vec<Query>,
    /// Of `should`.
    pub at_least: usize,
}

/// One value.
#[derive(Debug, Clone)]
pub struct Term {
    pub field: Field,
    pub value: String,
    /// In any case.
    pub fold: bool,
}

/// Words in any order.
#[derive(Debug, Clone)]
pub struct Words {
    pub field: Field,
    /// In lower case.
    pub words: Vec<String>,
    /// So many of them at least.
    pub at_least: usize,
    /// The last may be the beginning of a word.
    pub prefix: bool,
    /// As written, for what is no text.
    pub whole: String,
}

/// Words one after the other.
#[derive(Debug, Clone)]
pub struct Phrase {
    pub field: Field,
    pub words: Vec<String>,
    /// Words that may stand between them.
    pub slop: usize,
    pub prefix: bool,
    pub whole: String,
}

impl Query {
    pub fn matches(&self, doc: &Doc<'_>) -> bool {
        match self {
            Query::All => true,
            Query::Nothing => false,
            Query::Bool(b) => b.matches(doc),
            Query::Term(t) => t.matches(doc),
            Query::Terms { field, values } => clause::terms(field, values, doc),
            Query::Words(w) => w.matches(doc),
            Query::Phrase(p) => p.matches(doc),
            Query::Range(r) => r.matches(doc),
            Query::Exists(field) => field.is_there(doc),
            Query::Pattern { field, regex } => clause::pattern(field, regex, doc),
            Query::Fuzzy { field, word, changes } => clause::fuzzy(field, word, *changes, doc),
            Query::Ids(ids) => ids.contains(doc.id()),
        }
    }

    /// The times a document must lie in, in nanoseconds, the end excluded.
    pub fn times(&self) -> (i64, i64) {
        match self {
            Query::Range(r) => r.times(),
            Query::Bool(b) => b
                .must
                .iter()
                .map(Query::times)
                .fold((i64::MIN, i64::MAX), |a, b| (a.0.max(b.0), a.1.min(b.1))),
            _ => (i64::MIN, i64::MAX),
        }
    }

    /// What the text of a record's body must pass, so that less is read. Of what passes all is looked at again.
    pub fn line_filters(&self) -> Vec<LineFilter> {
        let mut out = Vec::new();
        self.add_line_filters(&mut out);
        out
    }

    fn add_line_filters(&self, out: &mut Vec<LineFilter>) {
        match self {
            Query::Bool(b) => {
                b.must.iter().for_each(|q| q.add_line_filters(out));
                // One of one is all.
                if let ([only], 1) = (b.should.as_slice(), b.at_least) {
                    only.add_line_filters(out);
                }
            }
            Query::Words(w) => line::of_words(&w.field, &w.words, w.at_least, out),
            Query::Phrase(p) => line::of_words(&p.field, &p.words, p.words.len(), out),
            _ => {}
        }
    }

    /// The words that what is found holds, for marking them.
    pub fn marked_words(&self) -> Vec<(Field, String, bool)> {
        let mut out = Vec::new();
        self.add_marked(&mut out);
        out
    }

    fn add_marked(&self, out: &mut Vec<(Field, String, bool)>) {
        let mut all = |field: &Field, words: &[String], prefix: bool| {
            for (i, word) in words.iter().enumerate() {
                out.push((field.clone(), word.clone(), prefix && i + 1 == words.len()));
            }
        };
        match self {
            Query::Bool(b) => b.must.iter().chain(&b.should).for_each(|q| q.add_marked(out)),
            Query::Words(w) => all(&w.field, &w.words, w.prefix),
            Query::Phrase(p) => all(&p.field, &p.words, p.prefix),
            Query::Term(t) => all(&t.field, &token::folded(&t.value), false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
