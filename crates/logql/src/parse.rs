//! Text to tree: a recursive descent over [`crate::lex`]'s tokens.
//!
//! Nesting is counted and refused past [`MAX_DEPTH`], so neither the parser nor anything that walks a tree can
//! run out of stack. [`parse`] checks the grammar; [`crate::check`] holds the rules about meaning.

use std::ops::Range;

use model::{MatchOp, Matcher};

use crate::{
    ast::*,
    error::ParseError,
    lex::{Token, lex},
    re2,
};

mod metric;
mod stages;

/// Levels of parentheses, operators and calls a query may have. Larger costs stack; 250 is far beyond what
/// dashboards nest.
pub const MAX_DEPTH: usize = 250;

/// Bytes a query may have (Loki's `max_query_length` is half of it).
pub const MAX_LENGTH: usize = 1 << 20;

type Parsed<T> = Result<T, ParseError>;

/// Parses a query. The error's span is in bytes of `text`.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    if text.len() > MAX_LENGTH {
        let message = format!("the query has {} bytes, more than the limit of {MAX_LENGTH}", text.len());
        return Err(ParseError::whole(message));
    }
    let tokens = lex(text)?.tokens;
    let mut p = Parser { text, tokens, at: 0, depth: 0 };
    let expr = p.expr(0)?.into_expr();
    match p.peek() {
        Token::End => Ok(expr),
        _ => Err(p.unexpected("")),
    }
}

/// Parses the matchers of a stream selector, `{app="x"}`, as the series and label endpoints take them.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    match parse(text)? {
        Expr::Log(LogExpr { matchers, stages }) if stages.is_empty() => Ok(matchers),
        _ => Err(ParseError::whole("only label matchers are supported")),
    }
}

/// A sub-tree and how deep it is.
pub(super) struct Deep<T> {
    pub node: T,
    pub depth: usize,
}

/// What an expression may turn out to be. A log expression with an unwrap or a range only stands inside a
/// range aggregation.
pub(super) enum Any {
    Log(LogExpr),
    Metric(Deep<MetricExpr>),
}

impl Any {
    fn into_expr(self) -> Expr {
        match self {
            Any::Log(l) => Expr::Log(l),
            Any::Metric(m) => Expr::Metric(m.node),
        }
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |(t, _)| t)
    }

    fn span(&self) -> Range<usize> {
        let end = self.text.len()..self.text.len();
        self.tokens.get(self.at).map_or(end, |(_, s)| s.clone())
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, self.span(), message)
    }

    /// The token at hand does not belong here. `expecting` is empty where many things could stand.
    fn unexpected(&self, expecting: &str) -> ParseError {
        let mut message = format!("syntax error: unexpected {}", self.peek().name());
        if !expecting.is_empty() {
            message.push_str(", expecting ");
            message.push_str(expecting);
        }
        self.error(message)
    }

    fn is_sym(&self, sym: &str) -> bool {
        matches!(self.peek(), Token::Sym(s) if *s == sym)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Ident(i) if i == word)
    }

    fn take_sym(&mut self, sym: &str) -> bool {
        let found = self.is_sym(sym);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn expect_sym(&mut self, sym: &str) -> Parsed<()> {
        if self.take_sym(sym) { Ok(()) } else { Err(self.unexpected(sym)) }
    }

    fn expect_string(&mut self) -> Parsed<String> {
        match self.peek().clone() {
            Token::Str(s) => {
                self.at += 1;
                Ok(s)
            }
            _ => Err(self.unexpected("STRING")),
        }
    }

    fn expect_ident(&mut self) -> Parsed<String> {
        match self.peek().clone() {
            Token::Ident(i) => {
                self.at += 1;
                Ok(i)
            }
            _ => Err(self.unexpected("IDENTIFIER")),
        }
    }

    fn expect_duration(&mut self) -> Parsed<i64> {
        let negative = self.take_sym("-");
        match *self.peek() {
            Token::Duration(ns) => {
                self.at += 1;
                Ok(if negative { -ns } else { ns })
            }
            _ => Err(self.unexpected("DURATION")),
        }
    }

    /// A number with an optional sign.
    fn signed_number(&mut self) -> Option<f64> {
        let (sign, skip) = match self.peek() {
            Token::Sym("-") => (-1.0, 1),
            Token::Sym("+") => (1.0, 1),
            _ => (1.0, 0),
        };
        match *self.peek_at(skip) {
            Token::Number(v) => {
                self.at += skip + 1;
                Some(sign * v)
            }
            _ => None,
        }
    }

    /// Runs `f` one level deeper.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let out = f(self);
        self.depth -= 1;
        out
    }

    fn too_deep(&self) -> ParseError {
        self.error(format!("the query is nested deeper than {MAX_DEPTH} levels"))
    }

    /// `{a="b", c=~"d"}`
    fn selector(&mut self) -> Parsed<Vec<Matcher>> {
        self.expect_sym("{")?;
        let mut matchers = Vec::new();
        if self.take_sym("}") {
            return Ok(matchers);
        }
        loop {
            matchers.push(self.matcher()?);
            if self.take_sym("}") {
                return Ok(matchers);
            }
            if !self.take_sym(",") {
                return Err(self.unexpected("} or ,"));
            }
        }
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let name = self.expect_ident()?;
        let op = self.match_op().ok_or_else(|| self.unexpected("= or != or =~ or !~"))?;
        self.at += 1;
        let span = self.span();
        let value = self.expect_string()?;
        self.build_matcher(name, op, value, span)
    }

    fn match_op(&self) -> Option<MatchOp> {
        match self.peek() {
            Token::Sym("=") => Some(MatchOp::Equal),
            Token::Sym("!=") => Some(MatchOp::NotEqual),
            Token::Sym("=~") => Some(MatchOp::Regex),
            Token::Sym("!~") => Some(MatchOp::NotRegex),
            _ => None,
        }
    }

    fn build_matcher(&self, name: String, op: MatchOp, value: String, span: Range<usize>) -> Parsed<Matcher> {
        // Go's syntax is a little wider than ours; what it accepts and we do not is rewritten.
        Matcher::new(name.clone(), op, value.clone())
            .or_else(|e| Matcher::new(name, op, re2::translate(&value).into_owned()).map_err(|_| e))
            .map_err(|e| ParseError::at(self.text, span, format!("error parsing regexp: {}", e.reason)))
    }

    /// `(a, b)`, possibly empty.
    fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect_sym("(")?;
        let mut labels = Vec::new();
        if self.take_sym(")") {
            return Ok(labels);
        }
        loop {
            labels.push(self.expect_ident()?);
            if self.take_sym(")") {
                return Ok(labels);
            }
            if !self.take_sym(",") {
                return Err(self.unexpected(", or )"));
            }
        }
    }
}
