//! Text to tree: recursive descent over tokens, operators by precedence as Tempo's grammar gives it.
//!
//! From loose to tight: `|`; `&&` and `||` alike; comparisons and structural operators; `+ -`; `!`; `* / %`; `^`. All
//! bind to the left, `^` to the right. One table holds for what is asked of spans ([`field`]) and for what stands
//! between spansets, aggregates and series ([`node`]).
//!
//! Types are checked where operators are read ([`crate::check`]), since there the place is known.

use crate::{
    ast::{Expr, Hint, Query},
    error::ParseError,
    lex::{Placed, Token, lex},
    value::Value,
};

mod field;
mod function;
mod literal;
mod node;
mod pipeline;

pub(crate) use field::single_field;
use pipeline::Piped;

/// Bytes a query may have.
pub const MAX_BYTES: usize = 128 << 10;
/// Brackets and signs inside of each other, and operators in all: a tree that is deeper would not fit the stack.
const MAX_NESTED: usize = 64;
const MAX_OPERATORS: usize = 1000;

/// The query that a text is, types checked.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let mut p = Parser::new(text)?;
    if matches!(p.peek(), Token::End) {
        return Err(p.error("the query is empty"));
    }
    let from = p.at;
    let expr = match p.pipe()? {
        Piped::Pipeline(pipeline) => Expr::Spans(pipeline),
        Piped::Metrics(m) => Expr::Metrics(m),
        Piped::Scalar(..) => {
            return Err(p.error_from(from, "an aggregate must be compared with something, as in count() > 1"));
        }
    };
    let mut hints = Vec::new();
    while p.eat_word("with") {
        p.hints(&mut hints)?;
    }
    p.end()?;
    if let Expr::Metrics(m) = &expr {
        crate::check::metrics(m).map_err(|message| p.error_from(from, message))?;
    }
    Ok(Query { expr, hints })
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Placed>,
    at: usize,
    nested: usize,
    operators: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, ParseError> {
        if text.len() > MAX_BYTES {
            return Err(ParseError::whole(format!("the query is longer than {MAX_BYTES} bytes")));
        }
        Ok(Parser { text, tokens: lex(text)?, at: 0, nested: 0, operators: 0 })
    }

    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(t, _)| t)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Sym(s) if *s == symbol)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.eat(symbol) { Ok(()) } else { Err(self.unexpected(&format!("{symbol:?}"))) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(w) if w == word)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn end(&self) -> Result<(), ParseError> {
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(self.unexpected("the end of the query")),
        }
    }

    /// An error about the next token.
    fn error(&self, message: impl Into<String>) -> ParseError {
        self.error_at(self.at, self.at + 1, message)
    }

    /// An error about everything read since a token.
    fn error_from(&self, from: usize, message: impl Into<String>) -> ParseError {
        self.error_at(from, self.at.max(from + 1), message)
    }

    fn error_at(&self, from: usize, to: usize, message: impl Into<String>) -> ParseError {
        let end = self.text.len();
        let start = self.tokens.get(from).map_or(end, |(_, r)| r.start);
        let stop = to.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(end, |(_, r)| r.end);
        ParseError::at(self.text, start..stop.max(start), message)
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        self.error(format!("unexpected {}, expected {wanted}", self.peek().describe()))
    }

    /// Runs what may contain itself, up to a depth.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.nested >= MAX_NESTED {
            return Err(self.error(format!("the query is nested more than {MAX_NESTED} deep")));
        }
        self.nested += 1;
        let out = inner(self);
        self.nested -= 1;
        out
    }

    fn count_operator(&mut self) -> Result<(), ParseError> {
        self.operators += 1;
        match self.operators > MAX_OPERATORS {
            true => Err(self.error(format!("the query has more than {MAX_OPERATORS} operators"))),
            false => Ok(()),
        }
    }

    /// `(name=value, ...)`; what is given twice holds as given last.
    fn hints(&mut self, hints: &mut Vec<Hint>) -> Result<(), ParseError> {
        self.expect("(")?;
        loop {
            let Token::Word(name) = self.peek().clone() else {
                return Err(self.unexpected("the name of a hint"));
            };
            self.next();
            self.expect("=")?;
            let value: Value<'static> = self.hint_value()?;
            hints.retain(|h| h.name != name);
            hints.push(Hint { name, value });
            if !self.eat(",") {
                break;
            }
        }
        self.expect(")")
    }

    fn hint_value(&mut self) -> Result<Value<'static>, ParseError> {
        match self.literal() {
            Some(v) if !v.is_nil() => {
                self.next();
                Ok(v)
            }
            _ => Err(self.unexpected("a value")),
        }
    }
}
