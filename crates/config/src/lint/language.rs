//! Whether two anchored regular expressions can match the same text: both become automata, and a walk through
//! pairs of their states looks for one that both accept.
//!
//! Assertions (`^`, `$`, `\b`) are taken for always true, so what is said to have nothing in common surely has not.

use std::collections::HashSet;

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// States of one expression; counted repetitions multiply them.
const MAX_STATES: usize = 20_000;
/// Pairs that are looked at before the question is given up.
const MAX_PAIRS: usize = 500_000;

#[derive(Debug)]
enum Edge {
    Free(usize),
    /// Any character in one of these ranges, both ends included.
    On(Vec<(char, char)>, usize),
}

/// An automaton whose first state is 0.
#[derive(Debug)]
pub(super) struct Language {
    states: Vec<Vec<Edge>>,
    end: usize,
}

impl Language {
    /// None for what is no expression, or too large a one.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::Parser::new().parse(&format!("(?s:{pattern})")).ok()?;
        let mut l = Language { states: vec![Vec::new()], end: 0 };
        l.end = l.append(&hir, 0)?;
        Some(l)
    }

    /// Whether some text is in both; none where that takes too long to say.
    pub(super) fn meets(&self, other: &Language) -> Option<bool> {
        let mut seen: HashSet<(usize, usize)> = HashSet::from([(0, 0)]);
        let mut todo = vec![(0, 0)];
        while let Some((a, b)) = todo.pop() {
            if (a, b) == (self.end, other.end) {
                return Some(true);
            }
            for next in self.steps(other, a, b) {
                if seen.insert(next) {
                    todo.push(next);
                }
            }
            if seen.len() > MAX_PAIRS {
                return None;
            }
        }
        Some(false)
    }

    fn steps(&self, other: &Language, a: usize, b: usize) -> Vec<(usize, usize)> {
        let mut next = Vec::new();
        let (mine, theirs) = (self.edges(a), other.edges(b));
        for edge in mine {
            match edge {
                Edge::Free(to) => next.push((*to, b)),
                Edge::On(ranges, to) => next
                    .extend(theirs.iter().filter_map(|t| t.crosses(ranges)).map(|their_to| (*to, their_to))),
            }
        }
        next.extend(theirs.iter().filter_map(|t| match t {
            Edge::Free(to) => Some((a, *to)),
            Edge::On(..) => None,
        }));
        next
    }

    fn edges(&self, state: usize) -> &[Edge] {
        self.states.get(state).map_or(&[], Vec::as_slice)
    }

    fn state(&mut self) -> Option<usize> {
        if self.states.len() >= MAX_STATES {
            return None;
        }
        self.states.push(Vec::new());
        Some(self.states.len() - 1)
    }

    fn link(&mut self, from: usize, edge: Edge) {
        if let Some(edges) = self.states.get_mut(from) {
            edges.push(edge);
        }
    }

    /// Adds what `hir` matches after state `from`; the state in which it has matched.
    fn append(&mut self, hir: &Hir, from: usize) -> Option<usize> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Some(from),
            HirKind::Literal(l) => {
                let text = std::str::from_utf8(&l.0).ok()?;
                text.chars().try_fold(from, |at, c| self.on(at, vec![(c, c)]))
            }
            HirKind::Class(Class::Unicode(c)) => {
                self.on(from, c.ranges().iter().map(|r| (r.start(), r.end())).collect())
            }
            HirKind::Class(Class::Bytes(c)) => self
                .on(from, c.ranges().iter().map(|r| (char::from(r.start()), char::from(r.end()))).collect()),
            HirKind::Repetition(r) => self.repeat(r, from),
            HirKind::Capture(c) => self.append(&c.sub, from),
            HirKind::Concat(parts) => parts.iter().try_fold(from, |at, p| self.append(p, at)),
            HirKind::Alternation(parts) => {
                let end = self.state()?;
                for p in parts {
                    let begin = self.state()?;
                    self.link(from, Edge::Free(begin));
                    let at = self.append(p, begin)?;
                    self.link(at, Edge::Free(end));
                }
                Some(end)
            }
        }
    }

    fn on(&mut self, from: usize, ranges: Vec<(char, char)>) -> Option<usize> {
        let to = self.state()?;
        self.link(from, Edge::On(ranges, to));
        Some(to)
    }

    fn repeat(&mut self, r: &Repetition, from: usize) -> Option<usize> {
        let mut at = from;
        for _ in 0..r.min {
            at = self.append(&r.sub, at)?;
        }
        let Some(max) = r.max else {
            let again = self.state()?;
            self.link(at, Edge::Free(again));
            let back = self.append(&r.sub, again)?;
            self.link(back, Edge::Free(again));
            // A state of its own, so that nothing appended later can be repeated with it.
            let end = self.state()?;
            self.link(again, Edge::Free(end));
            return Some(end);
        };
        let end = self.state()?;
        self.link(at, Edge::Free(end));
        for _ in r.min..max {
            at = self.append(&r.sub, at)?;
            self.link(at, Edge::Free(end));
        }
        Some(end)
    }
}

impl Edge {
    /// Where it leads if it shares a character with these ranges.
    fn crosses(&self, ranges: &[(char, char)]) -> Option<usize> {
        let Edge::On(mine, to) = self else { return None };
        let meet = mine.iter().any(|(a, b)| ranges.iter().any(|(c, d)| a <= d && c <= b));
        meet.then_some(*to)
    }
}

/// The alternatives an expression is written as: `(up|node_.*)` has two. Anchors and a group around all of it
/// do not count.
pub(super) fn alternatives(pattern: &str) -> Vec<&str> {
    let mut body = pattern;
    loop {
        let inner = body.strip_prefix('^').unwrap_or(body);
        let inner = inner.strip_suffix('$').filter(|p| !p.ends_with('\\')).unwrap_or(inner);
        let inner = ungrouped(inner).unwrap_or(inner);
        if inner.len() == body.len() {
            break;
        }
        body = inner;
    }
    let mut found = Vec::new();
    let mut begin = 0;
    for (at, c, depth) in outside_classes(body) {
        if c == '|' && depth == 0 {
            found.push(body.get(begin..at).unwrap_or_default());
            begin = at + 1;
        }
    }
    found.push(body.get(begin..).unwrap_or_default());
    found
}

/// What stands in the one group that is the whole expression.
fn ungrouped(pattern: &str) -> Option<&str> {
    let closing = outside_classes(pattern).into_iter().find(|(_, c, depth)| *c == ')' && *depth == 0)?;
    let inner = pattern.strip_prefix('(')?.strip_suffix(')')?;
    if closing.0 + 1 != pattern.len() {
        return None;
    }
    match inner.strip_prefix('?') {
        None => Some(inner),
        Some(rest) => rest.strip_prefix(':'),
    }
}

/// The characters that are neither escaped nor in a class, each with its offset and how many groups are open
/// after it.
fn outside_classes(pattern: &str) -> Vec<(usize, char, usize)> {
    let mut out = Vec::new();
    let (mut depth, mut escaped, mut class) = (0usize, false, false);
    for (at, c) in pattern.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            _ if class => {}
            _ => {
                depth = match c {
                    '(' => depth + 1,
                    ')' => depth.saturating_sub(1),
                    _ => depth,
                };
                out.push((at, c, depth));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meet(a: &str, b: &str) -> Option<bool> {
        Language::of(a)?.meets(&Language::of(b)?)
    }

    #[test]
    fn expressions_meet_where_a_text_matches_both() {
        let suffix = ".*_(total|count|sum|bucket)$";
        for (a, b, expected) in [
            ("up", suffix, false),
            ("kube_pod_info", suffix, false),
            ("node_.*", suffix, true),
            ("a{2,3}", "aa+", true),
            ("a{2,3}", "a{4}", false),
            ("[a-c]x", "[d-f]x", false),
            ("", "a*", true),
            ("(?i)UP", "up", true),
            (".*foo.*bar", "bar.*", true),
            ("^x$", "x", true),
        ] {
            assert_eq!(meet(a, b), Some(expected), "{a} and {b}");
        }
        assert_eq!(meet("(", "a"), None);
        assert_eq!(meet("(a{1000}){1000}", "a"), None);
    }

    #[test]
    fn alternatives_are_those_of_the_whole_expression() {
        assert_eq!(alternatives("up|kube_.*"), ["up", "kube_.*"]);
        assert_eq!(alternatives("^(?:up|a(b|c))$"), ["up", "a(b|c)"]);
        assert_eq!(alternatives("(a|b)_(c|d)"), ["(a|b)_(c|d)"]);
        assert_eq!(alternatives("a\\|b|[|]"), ["a\\|b", "[|]"]);
        assert_eq!(alternatives(""), [""]);
    }

    proptest! {
        /// The oracle is all short texts over the same letters.
        #[test]
        fn what_is_said_to_be_apart_has_no_text_in_common(
            a in "[ab.*+?|]{0,6}", b in "[ab.*+?|]{0,6}", texts in proptest::collection::vec("[ab]{0,5}", 40)
        ) {
            let anchored = |p: &str| regex::Regex::new(&format!("^(?s:{p})$"));
            if let (Ok(x), Ok(y)) = (anchored(&a), anchored(&b)) {
                let common = texts.iter().any(|t| x.is_match(t) && y.is_match(t));
                if common {
                    prop_assert_eq!(meet(&a, &b), Some(true));
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(a in ".{0,12}") {
            let _ = (alternatives(&a), Language::of(&a));
        }
    }
}
