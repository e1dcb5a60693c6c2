//! Text to tokens. Keywords are plain words here: what a word means depends on where it stands, and the parser knows
//! that. An attribute is one token, since its name runs to the first character that cannot be part of it.

use std::ops::Range;

use crate::{
    error::ParseError,
    field::{Field, Intrinsic, Scope, is_attribute_char},
    units::parse_duration,
};

mod text;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Word(String),
    /// An attribute, or an intrinsic with its scope.
    Field(Field),
    Str(String),
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// An operator or bracket.
    Sym(&'static str),
    End,
}

impl Token {
    /// How messages name it.
    pub fn describe(&self) -> String {
        match self {
            Token::Word(w) => format!("{w:?}"),
            Token::Field(f) => format!("\"{f}\""),
            Token::Str(_) => "a string".to_owned(),
            Token::Int(_) | Token::Float(_) => "a number".to_owned(),
            Token::Duration(_) => "a duration".to_owned(),
            Token::Sym(s) => format!("{s:?}"),
            Token::End => "the end of the query".to_owned(),
        }
    }
}

/// Longer symbols before their prefixes.
const SYMBOLS: [&str; 36] = [
    "!>>", "!<<", "&>>", "&<<", "&&", "||", "!=", "!~", "!>", "!<", "&>", "&<", "&~", "=~", ">=", "<=", ">>",
    "<<", "{", "}", "(", ")", ",", "=", ">", "<", "+", "-", "*", "/", "%", "^", "|", "!", "~", ";",
];

/// Scopes of attributes, and of intrinsics.
const WITH_POINT: [&str; 6] = ["parent", "span", "resource", "event", "link", "instrumentation"];
const WITH_COLON: [&str; 5] = ["trace", "span", "event", "link", "instrumentation"];

pub(crate) type Placed = (Token, Range<usize>);

/// Splits the whole query; the last token is [`Token::End`]. Memory is a small multiple of the text, whose length the
/// caller has bounded.
pub(crate) fn lex(text: &str) -> Result<Vec<Placed>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let from = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, from..lexer.at));
        if end {
            return Ok(tokens);
        }
    }
}

pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error(&self, from: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, from..self.at.max(from), message)
    }

    /// White space and comments.
    fn skip_blank(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.at += blank;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let end = rest.find("*/").ok_or_else(|| self.error(self.at, "comment not terminated"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return Ok(Token::End) };
        let digit_follows = rest.chars().nth(1).is_some_and(|d| d.is_ascii_digit());
        match c {
            '"' => self.quoted().map(Token::Str),
            '`' => self.raw().map(Token::Str),
            '.' if !digit_follows => {
                self.at += 1;
                self.attribute(Scope::Any, false)
            }
            '.' | '0'..='9' => self.number(),
            c if c == '_' || c.is_alphabetic() => self.word(),
            _ => {
                let Some(s) = SYMBOLS.into_iter().find(|s| rest.starts_with(s)) else {
                    return Err(self.error(self.at, format!("unexpected character {c:?}")));
                };
                self.at += s.len();
                Ok(Token::Sym(s))
            }
        }
    }

    fn bare_word(&mut self) -> &'t str {
        let rest = self.rest();
        let len = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// A word, and where it is a scope what it is the scope of.
    fn word(&mut self) -> Result<Token, ParseError> {
        let from = self.at;
        let word = self.bare_word();
        if WITH_POINT.contains(&word) && self.rest().starts_with('.') {
            self.at += 1;
            if word != "parent" {
                return self.attribute(scope_named(word), false);
            }
            let inner = self.rest().split_once('.').map(|(w, _)| scope_named(w));
            let scope = inner.unwrap_or(Scope::Any);
            if scope != Scope::Any {
                self.at += scope.as_str().len() + 1;
            }
            return self.attribute(scope, true);
        }
        if WITH_COLON.contains(&word) && self.rest().starts_with(':') {
            self.at += 1;
            self.skip_blank()?;
            let full = format!("{word}:{}", self.bare_word());
            return match Intrinsic::parse(&full) {
                Some(i) => Ok(Token::Field(Field::Intrinsic(i))),
                None => Err(self.error(from, format!("unknown intrinsic {full:?}"))),
            };
        }
        Ok(Token::Word(word.to_owned()))
    }

    /// The name of an attribute, whose scope has been read: bare and quoted parts in any order.
    fn attribute(&mut self, scope: Scope, parent: bool) -> Result<Token, ParseError> {
        let from = self.at;
        let mut name = String::new();
        let mut some = false;
        while let Some(c) = self.peek() {
            if c == '"' {
                self.quoted_part(&mut name)?;
            } else if is_attribute_char(c) {
                name.push(c);
                self.at += c.len_utf8();
            } else {
                break;
            }
            some = true;
        }
        if !some {
            return Err(self.error(from, "expected the name of an attribute"));
        }
        Ok(Token::Field(Field::Attribute { scope, parent, name }))
    }

    /// A part of a name in quotes, in which `\"` and `\\` are the only escapes.
    fn quoted_part(&mut self, name: &mut String) -> Result<(), ParseError> {
        let from = self.at;
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = from + i + 1;
                    return Ok(());
                }
                '\\' => match chars.next() {
                    Some((_, e @ ('"' | '\\'))) => name.push(e),
                    _ => {
                        return Err(
                            self.error(from + i, "invalid escape sequence in the name of an attribute")
                        );
                    }
                },
                c => name.push(c),
            }
        }
        Err(self.error(from, "name of an attribute not terminated: expected \""))
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let from = self.at;
        let rest = self.rest();
        let number = number_len(rest);
        let tail = rest.get(number..).unwrap_or_default();
        let unit = |c: char| c.is_ascii_digit() || c == '.' || "nsumhµμdwy".contains(c);
        let more = tail.find(|c| !unit(c)).unwrap_or(tail.len());
        if more > 0
            && let Some(ns) = rest.get(..number + more).and_then(parse_duration)
        {
            self.at += number + more;
            return Ok(Token::Duration(ns));
        }
        let digits = rest.get(..number).unwrap_or_default();
        self.at += number;
        if digits.bytes().all(|b| b.is_ascii_digit()) {
            let value = digits.parse();
            return value
                .map(Token::Int)
                .map_err(|_| self.error(from, format!("{digits} does not fit an integer")));
        }
        match digits.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(Token::Float(v)),
            _ => Err(self.error(from, format!("{digits:?} is not a number"))),
        }
    }
}

fn scope_named(word: &str) -> Scope {
    Scope::ALL.into_iter().find(|s| s.as_str() == word).unwrap_or(Scope::Any)
}

/// Bytes of the number that a text begins with: digits, a fraction, an exponent.
fn number_len(text: &str) -> usize {
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let mut at = digits(0);
    if text.as_bytes().get(at) == Some(&b'.') {
        at += 1 + digits(at + 1);
    }
    if matches!(text.as_bytes().get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.as_bytes().get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}
