//! What terms a search needs: a text it looks for, or a pattern.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::{LONG, each_long, fold, in_word, of_field, of_word};

/// Terms looked up for one text at most: more make a search no narrower.
const MAX_TERMS: usize = 8;
/// Alternatives of a pattern that are looked up one by one at most.
const MAX_ALTERNATIVES: usize = 64;

/// Terms without which a record is not what is searched for. What they say is necessary, never sufficient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Says nothing: any record may be meant.
    Any,
    /// All of these terms.
    Terms(Vec<u64>),
    All(Vec<Need>),
    OneOf(Vec<Need>),
}

impl Need {
    /// For a record whose text contains this one.
    pub fn contains(text: &str) -> Need {
        let mut folded = Vec::with_capacity(text.len());
        fold(text, &mut folded);
        of_literal(&folded)
    }

    /// For a record in which a pattern (syntax of the `regex` crate) is found. [`Need::Any`] where it says nothing, or
    /// is no pattern.
    pub fn matches(pattern: &str) -> Need {
        regex_syntax::Parser::new().parse(pattern).map_or(Need::Any, |hir| of_hir(&hir))
    }

    /// For a record of which an attribute, or an id, has this value as text.
    pub fn field(name: &str, value: &str) -> Need {
        Need::Terms(vec![of_field(name, value, &mut Vec::new())])
    }

    /// For a record that is all of these.
    pub fn all(needs: impl IntoIterator<Item = Need>) -> Need {
        let mut needs: Vec<Need> = needs.into_iter().filter(|n| *n != Need::Any).collect();
        match needs.len() {
            0 => Need::Any,
            1 => needs.pop().unwrap_or(Need::Any),
            _ => Need::All(needs),
        }
    }

    /// For a record that is one of these.
    pub fn one_of(needs: Vec<Need>) -> Need {
        match needs.as_slice() {
            [one] => one.clone(),
            many if many.is_empty() || many.len() > MAX_ALTERNATIVES || many.contains(&Need::Any) => {
                Need::Any
            }
            _ => Need::OneOf(needs),
        }
    }

    /// Every term that has to be looked up.
    pub(crate) fn terms(&self, out: &mut BTreeSet<u64>) {
        match self {
            Need::Any => {}
            Need::Terms(terms) => out.extend(terms),
            Need::All(needs) | Need::OneOf(needs) => needs.iter().for_each(|n| n.terms(out)),
        }
    }
}

/// Whether a pattern has a text in it by which matches can be looked for: without one every byte has to be walked, and
/// looking for texts of a byte or two first only stops the walk at every other one.
pub(crate) fn has_text(pattern: &str) -> bool {
    const WORTH_LOOKING_FOR: usize = 3;
    fn find(hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Literal(l) => l.0.len() >= WORTH_LOOKING_FOR,
            HirKind::Repetition(r) => r.min > 0 && find(&r.sub),
            HirKind::Capture(c) => find(&c.sub),
            HirKind::Concat(parts) => parts.iter().any(find),
            HirKind::Alternation(ways) => ways.iter().all(find),
            HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => false,
        }
    }
    regex_syntax::Parser::new().parse(pattern).is_ok_and(|hir| find(&hir))
}

/// For folded text of which it is not known what stands before and after. Words that are whole are terms, and so are
/// parts of a long one; a short word at an end may be part of another.
fn of_literal(folded: &[u8]) -> Need {
    let mut found: Vec<(usize, Vec<u64>)> = Vec::new();
    let mut at = 0;
    while let Some(start) = folded.iter().skip(at).position(|b| in_word(*b)).map(|n| at + n) {
        let end = folded.iter().skip(start).position(|b| !in_word(*b)).map_or(folded.len(), |n| start + n);
        let word = folded.get(start..end).unwrap_or_default();
        if word.len() >= LONG {
            let mut terms = Vec::new();
            each_long(word, &mut |t| terms.push(t));
            found.push((word.len(), terms));
        } else if start > 0 && end < folded.len() {
            found.push((word.len(), vec![of_word(word)]));
        }
        at = end;
    }
    // Long words are rare ones.
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    let mut terms: Vec<u64> = Vec::new();
    for term in found.into_iter().flat_map(|(_, terms)| terms) {
        if terms.len() < MAX_TERMS && !terms.contains(&term) {
            terms.push(term);
        }
    }
    if terms.is_empty() { Need::Any } else { Need::Terms(terms) }
}

/// What a pattern's parts add up to: text that stands in the match without a gap, or something else.
enum Piece {
    /// Folded.
    Text(Vec<u8>),
    Gap,
    Other(Need),
}

fn of_hir(hir: &Hir) -> Need {
    let mut pieces = Vec::new();
    cut(hir, &mut pieces);
    let mut needs = Vec::new();
    let mut text: Vec<u8> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.extend(more),
            gap => {
                needs.push(of_literal(&std::mem::take(&mut text)));
                if let Piece::Other(need) = gap {
                    needs.push(need);
                }
            }
        }
    }
    needs.push(of_literal(&text));
    Need::all(needs)
}

/// Stands for text that is in no word.
const APART: &[u8] = b" ";

fn cut(hir: &Hir, out: &mut Vec<Piece>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(l) => match std::str::from_utf8(&l.0) {
            Ok(text) => {
                let mut folded = Vec::new();
                fold(text, &mut folded);
                out.push(Piece::Text(folded));
            }
            Err(_) => out.push(Piece::Gap),
        },
        HirKind::Class(class) => out.push(match single(class) {
            Some(b) => Piece::Text(vec![b]),
            None if is_apart(class) => Piece::Text(APART.to_vec()),
            None => Piece::Gap,
        }),
        // No word reaches past the end of the text or of a line.
        HirKind::Look(
            Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF,
        ) => out.push(Piece::Text(APART.to_vec())),
        HirKind::Look(_) => {}
        HirKind::Repetition(r) if r.min == 0 => out.push(Piece::Gap),
        HirKind::Repetition(r) => match r.sub.kind() {
            HirKind::Class(class) if is_apart(class) => out.push(Piece::Text(APART.to_vec())),
            _ => {
                // What is repeated stands there once at least, with itself or a gap around.
                out.push(Piece::Gap);
                cut(&r.sub, out);
                out.push(Piece::Gap);
            }
        },
        HirKind::Capture(c) => cut(&c.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|p| cut(p, out)),
        HirKind::Alternation(ways) => {
            out.push(Piece::Other(Need::one_of(ways.iter().map(of_hir).collect())));
        }
    }
}

/// The folded letter that all of a class are.
fn single(class: &Class) -> Option<u8> {
    let Class::Unicode(class) = class else { return None };
    let mut one: Option<u8> = None;
    for range in class.ranges() {
        if u32::from(range.end()) - u32::from(range.start()) > 2 {
            return None;
        }
        for c in range.start()..=range.end() {
            let mut folded = Vec::new();
            fold(c.encode_utf8(&mut [0; 4]), &mut folded);
            let [b] = folded.as_slice() else { return None };
            if one.is_some_and(|o| o != *b) {
                return None;
            }
            one = Some(*b);
        }
    }
    one
}

/// Whether nothing of a class is in a word.
fn is_apart(class: &Class) -> bool {
    let apart = |start: u32, end: u32| {
        end < 0x80 && (start..=end).all(|c| u8::try_from(c).is_ok_and(|b| !in_word(b)))
    };
    match class {
        Class::Unicode(c) => {
            !c.ranges().is_empty()
                && c.ranges().iter().all(|r| apart(u32::from(r.start()), u32::from(r.end())))
        }
        Class::Bytes(c) => {
            !c.ranges().is_empty() && c.ranges().iter().all(|r| apart(r.start().into(), r.end().into()))
        }
    }
}
