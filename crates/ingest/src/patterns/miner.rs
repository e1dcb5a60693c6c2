//! Groups lines that differ in variables only, as they come, in the manner of Drain (He, Zhu, Zheng, Lyu: "Drain: an
//! online log parsing approach with fixed depth tree", 2017), made smaller: lines of as many words, whose first word
//! agrees, and of whose words enough agree, are one pattern; words that differ become variables of it.
//!
//! A line with the same words as one before finds its pattern by their hash, which is what happens to nearly all.

use std::collections::HashMap;

use super::{
    samples::Samples,
    words::{Gap, VARIABLE, Words},
};

/// Patterns of one stream and level. One more takes the place of the one that was met least recently.
pub(super) const MAX_PATTERNS: usize = 300;
/// Hashes of known lines; past it they are learnt again.
const MAX_HASHES: usize = 4 * MAX_PATTERNS;
/// Of the words that could agree so many percent must: two of three. With fewer what is done to things becomes a variable
/// too; with more a line with two names in it is many patterns.
const MIN_AGREEING: usize = 66;

#[derive(Debug)]
struct Word {
    text: Box<str>,
    gap: Gap,
}

/// Lines that are one pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    words: Vec<Word>,
    open_start: bool,
    open_end: bool,
    /// How many lines had been seen when it was met last.
    met: u64,
    pub(super) samples: Samples,
}

/// The patterns of one stream and level.
#[derive(Debug, Default)]
pub(super) struct Miner {
    patterns: Vec<Pattern>,
    by_hash: HashMap<u64, usize>,
    /// Places of patterns by how many words they have.
    by_len: HashMap<usize, Vec<usize>>,
    seen: u64,
    /// The place that was met last.
    last: Option<usize>,
    bytes: usize,
}

impl Miner {
    /// The place of the pattern that a line is of. Places of others may change hands, this one's stays until the next
    /// call. `None` for a line without words. What is done is taken from `effort`, in words looked at; where nothing is
    /// left of it, a line that is not known is taken for the one before.
    pub(super) fn learn(&mut self, words: &Words, effort: &mut u64) -> Option<usize> {
        if words.len() == 0 {
            return None;
        }
        self.seen += 1;
        let hash = words.hash();
        let at = match (self.by_hash.get(&hash), self.last) {
            (Some(at), _) => *at,
            (None, Some(last)) if *effort == 0 => last,
            _ => {
                let at = self.search(words, effort);
                if self.by_hash.len() >= MAX_HASHES {
                    self.by_hash.clear();
                }
                self.by_hash.insert(hash, at);
                at
            }
        };
        *effort = effort.saturating_sub(words.len() as u64);
        if let Some(p) = self.patterns.get_mut(at) {
            p.met = self.seen;
        }
        self.last = Some(at);
        Some(at)
    }

    /// Counts lines of a pattern in a stretch of time.
    pub(super) fn count(&mut self, at: usize, stretch: u32, lines: u32) {
        if let Some(p) = self.patterns.get_mut(at) {
            let before = p.samples.bytes();
            p.samples.add(stretch, lines);
            self.bytes += p.samples.bytes();
            self.bytes = self.bytes.saturating_sub(before);
        }
    }

    /// Forgets counts before a stretch of time.
    pub(super) fn forget_before(&mut self, stretch: u32) {
        for p in &mut self.patterns {
            let before = p.samples.bytes();
            p.samples.forget_before(stretch);
            self.bytes = (self.bytes + p.samples.bytes()).saturating_sub(before);
        }
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// What it holds, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.by_hash.len() * 24
    }

    fn search(&mut self, words: &Words, effort: &mut u64) -> usize {
        let candidates = self.by_len.get(&words.len()).map_or(&[][..], Vec::as_slice);
        let mut best: Option<(usize, usize)> = None;
        for at in candidates {
            let Some(p) = self.patterns.get(*at) else { continue };
            let (agreeing, looked_at) = p.agreeing(words);
            *effort = effort.saturating_sub(looked_at);
            if agreeing >= MIN_AGREEING && best.is_none_or(|(most, _)| agreeing > most) {
                best = Some((agreeing, *at));
            }
        }
        match best {
            Some((_, at)) => {
                if let Some(p) = self.patterns.get_mut(at) {
                    let before = p.bytes();
                    p.widen(words);
                    self.bytes = (self.bytes + p.bytes()).saturating_sub(before);
                }
                at
            }
            None => self.add(Pattern::of(words)),
        }
    }

    fn add(&mut self, p: Pattern) -> usize {
        self.bytes += p.bytes();
        let len = p.words.len();
        let at = if self.patterns.len() < MAX_PATTERNS {
            self.patterns.push(p);
            self.patterns.len() - 1
        } else {
            self.replace(p)
        };
        self.by_len.entry(len).or_default().push(at);
        at
    }

    /// Puts a pattern in the place of the one that was met least recently.
    fn replace(&mut self, p: Pattern) -> usize {
        let oldest = self.patterns.iter().enumerate().min_by_key(|(_, p)| p.met);
        let at = oldest.map_or(0, |(at, _)| at);
        self.by_hash.retain(|_, of| *of != at);
        if let Some(place) = self.patterns.get_mut(at) {
            let gone = std::mem::replace(place, p);
            self.bytes = self.bytes.saturating_sub(gone.bytes());
            if let Some(of_len) = self.by_len.get_mut(&gone.words.len()) {
                of_len.retain(|other| *other != at);
            }
        }
        at
    }
}

impl Pattern {
    fn of(words: &Words) -> Self {
        let words_of = words.iter().map(|(text, gap)| Word { text: text.into(), gap });
        Pattern {
            words: words_of.collect(),
            open_start: words.open_start,
            open_end: words.open_end,
            met: 0,
            samples: Samples::default(),
        }
    }

    fn bytes(&self) -> usize {
        let words: usize = self.words.iter().map(|w| w.text.len() + std::mem::size_of::<Word>()).sum();
        std::mem::size_of::<Self>() + words + self.samples.bytes()
    }

    /// Percent of the words that agree, of those that could, 0 where the first ones do not or it is not enough for sure;
    /// and how many were looked at for it.
    fn agreeing(&self, words: &Words) -> (usize, u64) {
        let (mut same, mut could, mut looked_at) = (0, 0, 0);
        let may_differ = self.words.len() * (100 - MIN_AGREEING) / 100;
        for (i, (mine, (other, _))) in self.words.iter().zip(words.iter()).enumerate() {
            looked_at += 1;
            let mine = &*mine.text;
            if mine == VARIABLE && other == VARIABLE {
                continue;
            }
            could += 1;
            if mine == other {
                same += 1;
            } else if could - same > may_differ || i == 0 && !alike(mine, other) {
                return (0, looked_at);
            }
        }
        // Nothing but variables: there is nothing in which they differ.
        ((100usize * same).checked_div(could).unwrap_or(100), looked_at)
    }

    /// Makes variables of what differs.
    fn widen(&mut self, words: &Words) {
        for (mine, (other, gap)) in self.words.iter_mut().zip(words.iter()) {
            if &*mine.text != other {
                mine.text = widened(&mine.text, other).into();
            }
            if mine.gap != gap {
                mine.gap = Gap::Other;
            }
        }
        self.open_start |= words.open_start;
        self.open_end |= words.open_end;
    }

    /// As the pattern filter of LogQL takes it; it fits every line it was made of.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if self.open_start {
            out.push_str(VARIABLE);
        }
        for (i, word) in self.words.iter().enumerate() {
            // Two variables side by side are one.
            let text = match out.ends_with(VARIABLE) {
                true => word.text.strip_prefix(VARIABLE).unwrap_or(&word.text),
                false => &word.text,
            };
            out.push_str(text);
            let is_last = i + 1 == self.words.len();
            match word.gap {
                Gap::Blank if !is_last => out.push(' '),
                Gap::Other if !is_last && !out.ends_with(VARIABLE) => out.push_str(VARIABLE),
                _ => {}
            }
        }
        if self.open_end && !out.ends_with(VARIABLE) {
            out.push_str(VARIABLE);
        }
        out
    }
}

/// Whether one can be the other but for variables: there is one in it, or both give a value to the same name.
fn alike(a: &str, b: &str) -> bool {
    let name = |word: &'_ str| word.find(['=', ':']).and_then(|at| word.get(..at)).map(str::to_owned);
    a.contains(VARIABLE) || b.contains(VARIABLE) || name(a).is_some() && name(a) == name(b)
}

/// What two words have in common: the name before `=` or `:`, and the brackets and commas behind.
fn widened(a: &str, b: &str) -> String {
    let common = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let head = a.get(..common).unwrap_or_default();
    let head = head.rfind(['=', ':']).and_then(|at| head.get(..=at)).unwrap_or_default();
    let is_tail = |c: char| matches!(c, ',' | ';' | ')' | ']' | '}' | '"' | '\'');
    let (rest_a, rest_b) = (a.get(head.len()..).unwrap_or_default(), b.get(head.len()..).unwrap_or_default());
    let tail = rest_a.get(rest_a.trim_end_matches(is_tail).len()..).unwrap_or_default();
    let other = rest_b.get(rest_b.trim_end_matches(is_tail).len()..).unwrap_or_default();
    let same = tail.bytes().rev().zip(other.bytes().rev()).take_while(|(x, y)| x == y).count();
    let tail = tail.get(tail.len() - same..).unwrap_or_default();
    // A quote that opens behind the name stays with it.
    let quoted = |rest: &str| rest.starts_with('"') && rest.len() > same;
    let quote = if quoted(rest_a) && quoted(rest_b) { "\"" } else { "" };
    format!("{head}{quote}{VARIABLE}{tail}")
}

#[cfg(test)]
mod tests;
