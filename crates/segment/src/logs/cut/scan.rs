//! Where the slots of a line are.

use std::ops::Range;

use crate::terms::classes::Classes;

/// Bytes of a line that is cut at most.
pub const MAX_LINE: usize = 16 << 10;
/// Slots of a line: which of them vary is held in as many bits.
pub const MAX_SLOTS: usize = 64;
/// Bytes up to here mark slots and end templates.
pub const LAST_MARK: u8 = 2;
/// Digits of a number.
pub const MAX_DIGITS: usize = 18;
/// Bytes of a word that is neither number nor hex.
pub const MAX_TOKEN: usize = 255;
const HEX: std::ops::RangeInclusive<usize> = 8..=128;
/// Letters before a number that are text, and after it, as units are.
const PREFIX: usize = 16;
const UNIT: usize = 3;
const DATE: &[u8] = b"0000-00-00";
const CLOCK: &[u8] = b"00:00:00";
/// Digits of a second's fraction.
const FRACTION: usize = 9;
const UUID: &[u8] = b"00000000-0000-0000-0000-000000000000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    /// Digits in fixed places.
    Pattern,
    Hex,
    Uuid,
    Token,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub at: Range<usize>,
    pub kind: Kind,
}

/// Finds slots; kept for its buffers.
#[derive(Default)]
pub struct Scanner {
    classes: Classes,
    pub slots: Vec<Slot>,
}

impl Scanner {
    /// Fills `slots`, in ascending order; false where the line has to stay as it is.
    pub fn scan(&mut self, line: &str) -> bool {
        self.slots.clear();
        let bytes = line.as_bytes();
        if bytes.len() > MAX_LINE {
            return false;
        }
        self.classes.tell(bytes, LAST_MARK + 1);
        let Classes { digits, plain, low } = &self.classes;
        if *low {
            return false;
        }
        let mut from = 0;
        while let Some(digit) = next_set(digits, from) {
            let before = bytes.get(from..digit).unwrap_or_default().iter().rev();
            let start = digit - before.take_while(|b| b.is_ascii_alphanumeric()).count();
            let word = start..next_clear(plain, digit, bytes.len());
            let digits = digit..next_clear(digits, digit, bytes.len());
            let Some(slot) = slot(bytes, word.clone(), digits) else { return false };
            from = slot.at.end;
            self.slots.push(slot);
            if self.slots.len() > MAX_SLOTS {
                return false;
            }
        }
        true
    }
}

/// The slot that a word begins with, given its first digits.
fn slot(bytes: &[u8], word: Range<usize>, digits: Range<usize>) -> Option<Slot> {
    let rest = bytes.get(digits.start..).unwrap_or_default();
    let begins = digits.start == word.start;
    let after_t = digits.start == word.start + 1 && bytes.get(word.start) == Some(&b'T');
    let pattern = match digits.len() {
        4 if begins && is_date(rest) => Some(DATE.len()),
        2 if begins || after_t => clock(rest),
        _ => None,
    };
    if let Some(n) = pattern {
        return Some(Slot { at: digits.start..digits.start + n, kind: Kind::Pattern });
    }
    let text = bytes.get(word.clone())?;
    if text.len() == 8 && is_uuid(bytes.get(word.start..).unwrap_or_default()) {
        return Some(Slot { at: word.start..word.start + UUID.len(), kind: Kind::Uuid });
    }
    let (letters, unit) = (digits.start - word.start, word.end.saturating_sub(digits.end));
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() == text.len() {
        return match digits.len() {
            n if n <= MAX_DIGITS => Some(Slot { at: digits, kind: Kind::Number }),
            n if n <= MAX_TOKEN => Some(Slot { at: word, kind: Kind::Token }),
            _ => None,
        };
    }
    if HEX.contains(&text.len()) && text.len() % 2 == 0 && text.iter().all(hex) {
        return Some(Slot { at: word, kind: Kind::Hex });
    }
    let behind = bytes.get(digits.end..word.end).unwrap_or_default();
    let plain = digits.len() <= MAX_DIGITS
        && letters <= PREFIX
        && (letters == 0 || unit == 0)
        && unit <= UNIT
        && behind.iter().all(u8::is_ascii_alphabetic);
    match plain {
        true => Some(Slot { at: digits, kind: Kind::Number }),
        false => (text.len() <= MAX_TOKEN).then_some(Slot { at: word, kind: Kind::Token }),
    }
}

/// Whether a text begins as a pattern does, of which a zero is any digit.
fn begins(text: &[u8], pattern: &[u8]) -> bool {
    let like = |(b, p): (&u8, &u8)| if *p == b'0' { b.is_ascii_digit() } else { b == p };
    text.len() >= pattern.len() && text.iter().zip(pattern).all(like)
}

fn is_date(text: &[u8]) -> bool {
    let ends = text.get(DATE.len()).is_none_or(|b| !b.is_ascii_alphanumeric() || *b == b'T');
    ends && begins(text, DATE)
}

/// Bytes of the time of day that a text begins with.
fn clock(text: &[u8]) -> Option<usize> {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    if !begins(text, CLOCK) || digit(CLOCK.len()) {
        return None;
    }
    let fraction = match text.get(CLOCK.len()) {
        Some(b'.' | b',') => (CLOCK.len() + 1..).take_while(|at| digit(*at)).take(FRACTION + 1).count(),
        _ => 0,
    };
    Some(CLOCK.len() + if (1..=FRACTION).contains(&fraction) { 1 + fraction } else { 0 })
}

fn is_uuid(text: &[u8]) -> bool {
    let like = |(b, p): (&u8, &u8)| match p {
        b'0' => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        _ => b == p,
    };
    text.get(8) == Some(&b'-')
        && text.len() >= UUID.len()
        && text.get(UUID.len()).is_none_or(|b| !b.is_ascii_alphanumeric())
        && text.iter().zip(UUID).all(like)
}

fn next_set(bits: &[u64], from: usize) -> Option<usize> {
    let mut at = from / 64;
    let mut word = bits.get(at)? & (!0 << (from % 64));
    while word == 0 {
        at += 1;
        word = *bits.get(at)?;
    }
    Some(at * 64 + word.trailing_zeros() as usize)
}

fn next_clear(bits: &[u64], from: usize, end: usize) -> usize {
    let mut at = from / 64;
    let mut word = bits.get(at).map_or(0, |w| !w & (!0 << (from % 64)));
    while word == 0 {
        at += 1;
        match bits.get(at) {
            Some(w) => word = !w,
            None => return end,
        }
    }
    (at * 64 + word.trailing_zeros() as usize).min(end)
}
