//! Text to tokens. Keywords are plain identifiers here: what a word means depends on where it stands, and the
//! parser knows that.

use std::ops::Range;

use crate::{
    error::ParseError,
    units::{parse_bytes, parse_duration},
};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Ident(String),
    Str(String),
    Number(f64),
    /// Nanoseconds.
    Duration(i64),
    Bytes(u64),
    /// An operator or bracket.
    Sym(&'static str),
    /// `--strict`, `--keep-empty`.
    Flag(String),
    End,
}

impl Token {
    /// The token's name in error messages, as Loki's parser calls it.
    pub fn name(&self) -> String {
        match self {
            Token::Ident(i) => match i.as_str() {
                "by" | "without" | "bool" | "on" | "ignoring" | "or" | "and" | "unless" | "offset"
                | "json" | "logfmt" | "regexp" | "pattern" | "unpack" | "unwrap" | "drop" | "keep" => {
                    i.clone()
                }
                _ => "IDENTIFIER".to_owned(),
            },
            Token::Str(_) => "STRING".to_owned(),
            Token::Number(_) => "NUMBER".to_owned(),
            Token::Duration(_) => "DURATION".to_owned(),
            Token::Bytes(_) => "BYTES".to_owned(),
            Token::Sym(s) => (*s).to_owned(),
            Token::Flag(_) => "PARSER_FLAG".to_owned(),
            Token::End => "$end".to_owned(),
        }
    }
}

/// Longer symbols before their prefixes.
const SYMBOLS: [&str; 32] = [
    "==", "=~", "!=", "!~", "!>", "|=", "|~", "|>", ">=", "<=", "{", "}", "(", ")", "[", "]", ",", ".", "=",
    "|", "+", "-", "*", "/", "%", "^", ">", "<", ";", ":", "@", "!",
];

pub(crate) struct Lexed {
    pub tokens: Vec<(Token, Range<usize>)>,
}

/// Splits the whole query. Memory is a small multiple of the text, whose length the caller has bounded.
pub(crate) fn lex(text: &str) -> Result<Lexed, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let start = at;
        let token = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                at = text[at..].find('\n').map_or(text.len(), |n| at + n);
                continue;
            }
            '"' => quoted(text, &mut at)?,
            '`' => raw(text, &mut at)?,
            '0'..='9' => number(text, &mut at)?,
            '.' if text[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => number(text, &mut at)?,
            c if c == '_' || c.is_alphabetic() => {
                at = end_of(text, at, |c| c == '_' || c.is_alphanumeric());
                Token::Ident(text[start..at].to_owned())
            }
            '-' if text[at + 1..].starts_with('-')
                && text[at + 2..].starts_with(|c: char| c.is_ascii_alphabetic()) =>
            {
                at = end_of(text, at + 2, |c| c == '-' || c.is_ascii_alphanumeric());
                Token::Flag(text[start..at].to_owned())
            }
            _ => match SYMBOLS.iter().find(|s| text[at..].starts_with(**s)) {
                Some(s) => {
                    at += s.len();
                    Token::Sym(s)
                }
                None => {
                    let message = format!("syntax error: unexpected character {c:?}");
                    return Err(ParseError::at(text, at..at + c.len_utf8(), message));
                }
            },
        };
        tokens.push((token, start..at));
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(Lexed { tokens })
}

fn end_of(text: &str, from: usize, keep: impl Fn(char) -> bool) -> usize {
    text[from..].find(|c: char| !keep(c)).map_or(text.len(), |n| from + n)
}

/// A number, or a number with a unit: a duration where it can be one, else a size.
fn number(text: &str, at: &mut usize) -> Result<Token, ParseError> {
    let start = *at;
    let mut end = end_of(text, start, |c| c.is_alphanumeric() || c == '.' || c == '_');
    // The sign of an exponent belongs to the number: `1e-3`.
    let head = &text[start..end];
    let exponent = head.ends_with(['e', 'E'])
        && !head.starts_with("0x")
        && head[..head.len() - 1].bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let after = &text[end..];
    if exponent && after.starts_with(['+', '-']) && after[1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = end_of(text, end + 1, |c| c.is_ascii_digit());
    }
    *at = end;
    let word = &text[start..end];
    if let Some(v) = plain_number(word) {
        return Ok(Token::Number(v));
    }
    if let Some(ns) = parse_duration(word) {
        return Ok(Token::Duration(ns));
    }
    if let Some(n) = parse_bytes(word) {
        return Ok(Token::Bytes(n));
    }
    Err(ParseError::at(text, start..end, format!("{word:?} is not a number, a duration or a size")))
}

fn plain_number(word: &str) -> Option<f64> {
    let digits = word.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(|v| v as f64);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) {
        return None;
    }
    digits.parse::<f64>().ok().filter(|v| v.is_finite())
}

fn raw(text: &str, at: &mut usize) -> Result<Token, ParseError> {
    let start = *at;
    match text[start + 1..].find('`') {
        Some(n) => {
            *at = start + n + 2;
            Ok(Token::Str(text[start + 1..start + 1 + n].replace('\r', "")))
        }
        None => Err(ParseError::at(text, start..text.len(), "literal not terminated")),
    }
}

/// A double-quoted string with Go's escapes. Escaped bytes that are no UTF-8 become the replacement character.
fn quoted(text: &str, at: &mut usize) -> Result<Token, ParseError> {
    let start = *at;
    let mut out: Vec<u8> = Vec::new();
    let mut chars = text[start + 1..].char_indices().map(|(i, c)| (start + 1 + i, c));
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => {
                *at = i + 1;
                return Ok(Token::Str(String::from_utf8_lossy(&out).into_owned()));
            }
            '\n' => break,
            '\\' => {
                let bad =
                    |end: usize| ParseError::at(text, i..end, format!("invalid escape {:?}", &text[i..end]));
                let Some((j, e)) = chars.next() else { break };
                let after = j + e.len_utf8();
                let digits = match e {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    '0'..='7' => 3,
                    _ => 0,
                };
                if digits == 0 {
                    out.push(simple_escape(e).ok_or_else(|| bad(after))?);
                    continue;
                }
                let octal = e.is_ascii_digit();
                let from = if octal { j } else { after };
                let code = text.get(from..from + digits).ok_or_else(|| bad(after))?;
                let value = u32::from_str_radix(code, if octal { 8 } else { 16 });
                let value = value.map_err(|_| bad(from + digits))?;
                if e == 'u' || e == 'U' {
                    let c = char::from_u32(value).ok_or_else(|| bad(from + digits))?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                } else {
                    out.push(u8::try_from(value).map_err(|_| bad(from + digits))?);
                }
                for _ in 0..if octal { digits - 1 } else { digits } {
                    chars.next();
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(ParseError::at(text, start..text.len(), "literal not terminated"))
}

fn simple_escape(c: char) -> Option<u8> {
    Some(match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        '\'' => b'\'',
        _ => return None,
    })
}
