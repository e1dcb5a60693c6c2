//! Strings, as Go writes them.

use super::Lexer;
use crate::error::ParseError;

impl Lexer<'_> {
    /// A string between quotes, with escapes.
    pub(super) fn quoted(&mut self) -> Result<String, ParseError> {
        let from = self.at;
        let mut out = Vec::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = from + i + 1;
                    return String::from_utf8(out).map_err(|_| self.error(from, "string is not UTF-8"));
                }
                '\n' => break,
                '\\' => {
                    let mut next = || chars.next().map(|(_, c)| c);
                    if unescape(&mut next, &mut out).is_none() {
                        return Err(self.error(from + i, "invalid escape sequence"));
                    }
                }
                c => push(&mut out, c),
            }
        }
        Err(self.error(from, "string not terminated"))
    }

    /// A string between backticks, without escapes.
    pub(super) fn raw(&mut self) -> Result<String, ParseError> {
        let from = self.at;
        let inner = self.rest().get(1..).unwrap_or_default();
        let Some(end) = inner.find('`') else { return Err(self.error(from, "string not terminated")) };
        self.at += end + 2;
        Ok(inner.get(..end).unwrap_or_default().replace('\r', ""))
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What follows a backslash; `None` where it is no escape.
fn unescape(next: &mut dyn FnMut() -> Option<char>, out: &mut Vec<u8>) -> Option<()> {
    let c = next()?;
    let simple = match c {
        'a' => Some(0x07),
        'b' => Some(0x08),
        'f' => Some(0x0c),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(0x0b),
        '\\' => Some(b'\\'),
        '"' => Some(b'"'),
        _ => None,
    };
    if let Some(b) = simple {
        out.push(b);
        return Some(());
    }
    let mut digits = |first: u32, n: usize, radix: u32| -> Option<u32> {
        (0..n).try_fold(first, |v, _| Some(v * radix + next()?.to_digit(radix)?))
    };
    match c {
        'x' => out.push(u8::try_from(digits(0, 2, 16)?).ok()?),
        'u' => push(out, char::from_u32(digits(0, 4, 16)?)?),
        'U' => push(out, char::from_u32(digits(0, 8, 16)?)?),
        '0'..='7' => out.push(u8::try_from(digits(c.to_digit(8)?, 2, 8)?).ok()?),
        _ => return None,
    }
    Some(())
}
