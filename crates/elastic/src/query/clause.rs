//! How single conditions are met.

use std::collections::HashSet;

use regex::Regex;

use super::{Bool, Phrase, Query, Term, Words};
use crate::{
    field::{Doc, Field, Scalar},
    token,
};

impl Bool {
    pub(super) fn matches(&self, doc: &Doc<'_>) -> bool {
        let is = |q: &Query| q.matches(doc);
        if !self.must.iter().all(is) || self.must_not.iter().any(is) {
            return false;
        }
        let mut missing = self.at_least;
        for q in &self.should {
            if missing == 0 {
                return true;
            }
            if q.matches(doc) {
                missing -= 1;
            }
        }
        missing == 0
    }
}

/// Whether a value that is no text is what is written.
fn same(value: &Scalar<'_>, written: &str) -> bool {
    match value {
        Scalar::Text(t) => t == written,
        Scalar::Bool(b) => written == if *b { "true" } else { "false" },
        Scalar::Int(i) => match written.parse::<i64>() {
            Ok(n) => n == *i,
            Err(_) => written.parse::<f64>().is_ok_and(|n| n == *i as f64),
        },
        Scalar::Double(d) => written.parse::<f64>().is_ok_and(|n| n == *d),
        Scalar::Time(ns) => crate::datemath::parse(written, *ns, 0)
            .is_ok_and(|s| !written.starts_with("now") && s.from <= *ns && *ns < s.to),
    }
}

impl Term {
    pub(super) fn matches(&self, doc: &Doc<'_>) -> bool {
        let exact = self.field.is_exact();
        self.field.any(doc, |v| match v {
            Scalar::Text(t) if self.fold => {
                t.to_lowercase() == self.value.to_lowercase()
                    || !exact && token::words(t).any(|w| w.to_lowercase() == self.value.to_lowercase())
            }
            // Words of a text are in lower case; one that is not is the whole value or none.
            Scalar::Text(t) => {
                t.as_ref() == self.value
                    || !exact
                        && !self.value.chars().any(char::is_uppercase)
                        && token::words(t).any(|w| token::is(w, &self.value))
            }
            other => same(other, &self.value),
        })
    }
}

pub(super) fn terms(field: &Field, values: &HashSet<String>, doc: &Doc<'_>) -> bool {
    let exact = field.is_exact();
    field.any(doc, |v| match v {
        Scalar::Text(t) => {
            values.contains(t.as_ref())
                || !exact && token::words(t).any(|w| values.contains(w.to_lowercase().as_str()))
        }
        other => values.contains(other.text().as_ref()) || values.iter().any(|w| same(other, w)),
    })
}

impl Words {
    pub(super) fn matches(&self, doc: &Doc<'_>) -> bool {
        let exact = self.field.is_exact();
        let mut seen = vec![false; self.words.len()];
        let mut found = 0;
        let last = self.words.len().saturating_sub(1);
        self.field.any(doc, |v| {
            let text = match v {
                Scalar::Text(t) if exact => return t.as_ref() == self.whole,
                Scalar::Text(t) => t,
                other => return same(other, self.whole.trim()) || self.words.iter().any(|w| same(other, w)),
            };
            for word in token::words(text) {
                for (i, wanted) in self.words.iter().enumerate() {
                    let is_new = seen.get(i) == Some(&false);
                    let prefix = self.prefix && i == last;
                    if is_new && (token::is(word, wanted) || prefix && token::begins(word, wanted)) {
                        if let Some(s) = seen.get_mut(i) {
                            *s = true;
                        }
                        found += 1;
                    }
                }
                if found >= self.at_least {
                    return true;
                }
            }
            false
        })
    }
}

impl Phrase {
    pub(super) fn matches(&self, doc: &Doc<'_>) -> bool {
        let exact = self.field.is_exact();
        self.field.any(doc, |v| match v {
            Scalar::Text(t) if exact => t.as_ref() == self.whole,
            Scalar::Text(t) => self.stands_in(t),
            other => same(other, self.whole.trim()),
        })
    }

    fn stands_in(&self, text: &str) -> bool {
        let Some((first, rest)) = self.words.split_first() else { return false };
        let last = self.words.len() - 1;
        let is = |word: &str, wanted: &str, i: usize| {
            token::is(word, wanted) || self.prefix && i == last && token::begins(word, wanted)
        };
        // A phrase begins at any of the words; what follows is looked for from there on.
        let mut from = token::words(text);
        loop {
            let Some(word) = from.next() else { return false };
            if !is(word, first, 0) {
                continue;
            }
            let mut ahead = from.clone();
            let mut left = self.slop;
            let follows = rest.iter().enumerate().all(|(i, wanted)| {
                loop {
                    match ahead.next() {
                        Some(word) if is(word, wanted, i + 1) => return true,
                        Some(_) if left > 0 => left -= 1,
                        _ => return false,
                    }
                }
            });
            if follows {
                return true;
            }
        }
    }
}

pub(super) fn pattern(field: &Field, regex: &Regex, doc: &Doc<'_>) -> bool {
    let exact = field.is_exact();
    field.any(doc, |v| match v {
        Scalar::Text(t) => {
            regex.is_match(t) || !exact && token::words(t).any(|w| regex.is_match(&w.to_lowercase()))
        }
        other => regex.is_match(&other.text()),
    })
}

/// Words longer than this are not compared change by change.
const MAX_FUZZY_CHARS: usize = 64;

pub(super) fn fuzzy(field: &Field, word: &str, changes: usize, doc: &Doc<'_>) -> bool {
    let wanted: Vec<char> = word.chars().take(MAX_FUZZY_CHARS).collect();
    field.any(doc, |v| {
        token::words(&v.text()).any(|w| {
            let chars = w.chars().count();
            chars.abs_diff(wanted.len()) <= changes
                && chars <= MAX_FUZZY_CHARS
                && distance(&w.to_lowercase(), &wanted) <= changes
        })
    })
}

/// Insertions, deletions and replacements that make one of the other.
fn distance(a: &str, b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (j, d) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(0);
            let best = (corner + usize::from(c != *d)).min(above + 1).min(left + 1);
            corner = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = best;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}
