//! Patterns of LIKE and regular expressions, as line filters and matchers take them.

use contract::LineFilter;
use regex_syntax::hir::{Hir, HirKind};

/// A pattern of LIKE, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Like {
    pub(super) pieces: Vec<Piece>,
    pub is_negated: bool,
    pub ignores_case: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// `_`
    One,
    /// `%`
    Any,
}

impl Like {
    /// `None` where the pattern ends in its escape character, which is for the engine to judge.
    pub(crate) fn parse(text: &str, escape: char, is_negated: bool, ignores_case: bool) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let piece = match c {
                c if c == escape => {
                    literal.push(chars.next()?);
                    continue;
                }
                '%' => Piece::Any,
                '_' => Piece::One,
                other => {
                    literal.push(other);
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Some(Like { pieces, is_negated, ignores_case })
    }

    pub(crate) fn containing(text: &str) -> Self {
        Self::of(vec![Piece::Any, Piece::Text(text.to_owned()), Piece::Any])
    }

    pub(crate) fn starting(text: &str) -> Self {
        Self::of(vec![Piece::Text(text.to_owned()), Piece::Any])
    }

    pub(crate) fn ending(text: &str) -> Self {
        Self::of(vec![Piece::Any, Piece::Text(text.to_owned())])
    }

    fn of(mut pieces: Vec<Piece>) -> Self {
        pieces.retain(|p| !matches!(p, Piece::Text(t) if t.is_empty()));
        Like { pieces, is_negated: false, ignores_case: false }
    }

    /// For a matcher, which is anchored at both ends and whose dot matches everything.
    pub(crate) fn regex(&self) -> String {
        let mut out = if self.ignores_case { "(?i)".to_owned() } else { String::new() };
        for piece in &self.pieces {
            match piece {
                Piece::Text(t) => out.push_str(&regex_syntax::escape(t)),
                Piece::One => out.push('.'),
                Piece::Any => out.push_str(".*"),
            }
        }
        out
    }

    /// As conditions on a line.
    pub(crate) fn lines(&self) -> Vec<LineFilter> {
        let regex = |t: &str| format!("(?i){}", regex_syntax::escape(t));
        if self.is_negated {
            // Only what says nothing but "contains" can be turned round.
            return match (&self.pieces[..], self.ignores_case) {
                ([Piece::Any, Piece::Text(t), Piece::Any], false) => vec![LineFilter::NotContains(t.clone())],
                _ => Vec::new(),
            };
        }
        let texts = self.pieces.iter().filter_map(|p| match p {
            Piece::Text(t) => Some(t),
            _ => None,
        });
        match self.ignores_case {
            true => texts.map(|t| LineFilter::Regex(regex(t))).collect(),
            false => texts.map(|t| LineFilter::Contains(t.clone())).collect(),
        }
    }
}

/// A pattern that matches each of the texts.
pub(crate) fn any_of(texts: &[String]) -> String {
    let all: Vec<String> = texts.iter().map(|t| regex_syntax::escape(t)).collect();
    format!("(?:{})", all.join("|"))
}

/// Whether an expression means the same wherever a `Select` may be: classes by name are of other characters in other
/// engines, and sets of classes and most flags do not exist there. It is whole by itself, so it can stand in a group.
pub(crate) fn portable(pattern: &str) -> bool {
    if regex_syntax::Parser::new().parse(pattern).is_err() {
        return false;
    }
    let plain = pattern.strip_prefix("(?i)").unwrap_or(pattern);
    if !plain.is_ascii() || ["&&", "--", "~~", "[:"].iter().any(|set| plain.contains(set)) {
        return false;
    }
    let bytes = plain.as_bytes();
    let mut escaped = false;
    for (at, b) in bytes.iter().enumerate() {
        match b {
            _ if escaped => {
                if b.is_ascii_alphanumeric() {
                    return false;
                }
                escaped = false;
            }
            b'\\' => escaped = true,
            // A group that is more than a group.
            b'?' if at > 0 && bytes[at - 1] == b'(' && bytes.get(at + 1) != Some(&b':') => return false,
            _ => {}
        }
    }
    true
}

/// Deeper expressions are not looked into.
const MAX_DEPTH: usize = 50;
/// More texts than this make nothing faster.
const MAX_TEXTS: usize = 8;

/// Texts that stand in everything the expression matches.
pub(crate) fn needed(pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(hir) = regex_syntax::Parser::new().parse(pattern) {
        collect(&hir, MAX_DEPTH, &mut found);
    }
    found.truncate(MAX_TEXTS);
    found
}

fn collect(hir: &Hir, depth: usize, found: &mut Vec<String>) {
    if depth == 0 {
        return;
    }
    match hir.kind() {
        HirKind::Literal(l) => found.extend(std::str::from_utf8(&l.0).ok().map(str::to_owned)),
        HirKind::Concat(parts) => parts.iter().for_each(|p| collect(p, depth - 1, found)),
        HirKind::Capture(c) => collect(&c.sub, depth - 1, found),
        HirKind::Repetition(r) if r.min > 0 => collect(&r.sub, depth - 1, found),
        _ => {}
    }
}
