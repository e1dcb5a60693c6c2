//! Tokens to a type-checked tree: operators and primaries here, selectors in [`selector`], durations in
//! [`duration`], types in [`check`].
//!
//! Precedence climbing by hand. Recursion is counted and refused past [`ParserOptions::max_depth`]; chains of
//! left-associative operators do not recurse. The grammar is that of Prometheus 3.x
//! (`promql/parser/generated_parser.y`); messages keep its wording where users know it.

mod check;
mod duration;
mod selector;

use eval::{AggregateOp, BinaryOp, Cardinality, Grouping, Matching, Span};

use crate::{
    ParseError, ParserOptions,
    ast::{Aggregate, Binary, Call, Expr, Node, NodeId, NodeKind, Number},
    functions,
    lex::{Keyword, Lexeme, Token, lex},
    literal,
};

/// Parses and type-checks a query.
pub fn parse(text: &str, options: &ParserOptions) -> Result<Expr, ParseError> {
    let mut expr = read(text, options)?;
    check::check(text, &mut expr)?;
    Ok(expr)
}

/// The tree by the grammar alone.
fn read(text: &str, options: &ParserOptions) -> Result<Expr, ParseError> {
    let (tokens, nodes, broken) = (lex(text), Vec::new(), Vec::new());
    let mut parser = Parser { text, tokens, at: 0, nodes, broken, depth: 0, options };
    if parser.peek() == &Token::End {
        return Err(parser.error_at(0..0, "no expression found in input"));
    }
    let root = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("", ""));
    }
    Ok(Expr { nodes: parser.nodes, root, broken: parser.broken })
}

/// Parses a series selector alone, as `match[]` parameters carry it: `up{job="x"}`. Other than in a query it may
/// select everything, `{}`.
pub fn parse_selector(text: &str) -> Result<crate::ast::Selector, ParseError> {
    let options = ParserOptions::default();
    let mut expr = read(text, &options)?;
    // What the grammar let pass and is wrong nevertheless, such as a pattern.
    if !expr.broken.is_empty() {
        check::check(text, &mut expr)?;
    }
    match expr.nodes.into_iter().next().map(|n| n.kind) {
        Some(NodeKind::Selector(s)) if expr.root == NodeId(0) && s.modifiers == Default::default() => Ok(s),
        _ => Err(ParseError::new(text, 0..text.len(), "expected a series selector without modifiers")),
    }
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Lexeme>,
    at: usize,
    nodes: Vec<Node>,
    broken: Vec<(NodeId, String)>,
    depth: usize,
    options: &'a ParserOptions,
}

/// Binding power of binary operators; larger binds tighter.
fn power(op: BinaryOp) -> u8 {
    use BinaryOp::*;
    match op {
        Or => 1,
        And | Unless => 2,
        Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual | TrimUpper | TrimLower => 3,
        Add | Sub => 4,
        Mul | Div | Mod | Atan2 => 5,
        Pow => 6,
    }
}

/// Where an operator of the node switches a feature on.
fn switch(name: &str) -> String {
    format!("add {name:?} to the configuration key promql.experimental")
}

/// Unary operators bind like multiplication: `-a^b` is `-(a^b)`, `-a*b` is `(-a)*b`.
const UNARY_POWER: u8 = 6;

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |l| &l.token)
    }

    fn peek_ahead(&self, n: usize) -> &Token {
        self.tokens.get(self.at + n).map_or(&Token::End, |l| &l.token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |l| l.span.clone())
    }

    /// Consumes one token, never past the last.
    fn advance(&mut self) -> Span {
        let span = self.span();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        span
    }

    fn accept(&mut self, token: &Token) -> bool {
        let yes = self.peek() == token;
        if yes {
            self.advance();
        }
        yes
    }

    fn slice(&self, span: &Span) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// End of the token consumed last.
    fn last_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |l| l.span.end)
    }

    fn error_at(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, span, message)
    }

    /// An error about the next token; a lexer's error takes precedence.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        let span = self.span();
        if let Token::Error(m) = self.peek() {
            return self.error_at(span, m.clone());
        }
        let mut message = format!("unexpected {}", self.describe());
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error_at(span, message)
    }

    fn describe(&self) -> String {
        let shown: String = self.slice(&self.span()).chars().take(64).collect();
        match self.peek() {
            Token::End => "end of input".to_owned(),
            Token::Identifier => format!("identifier {}", literal::quote(&shown)),
            Token::MetricIdentifier => format!("metric identifier {}", literal::quote(&shown)),
            Token::String => format!("string {}", literal::quote(&shown)),
            Token::Number => format!("number {}", literal::quote(&shown)),
            Token::Duration => format!("duration {}", literal::quote(&shown)),
            Token::Op(_) | Token::Aggregate(_) | Token::Keyword(_) => {
                format!("<{shown}>").replace('<', "\"").replace('>', "\"")
            }
            _ => format!("{shown:?}"),
        }
    }

    fn push(&mut self, kind: NodeKind, span: Span) -> NodeId {
        self.nodes.push(Node { kind, span });
        NodeId((self.nodes.len() - 1) as u32)
    }

    fn node_span(&self, id: NodeId) -> Span {
        self.nodes[id.0 as usize].span.clone()
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.options.max_depth {
            let message = format!("expression nests deeper than {} levels", self.options.max_depth);
            return Err(self.error_at(self.span(), message));
        }
        Ok(())
    }

    /// An expression whose operators bind tighter than `min`.
    fn expression(&mut self, min: u8) -> Result<NodeId> {
        self.enter()?;
        let mut lhs = self.operand()?;
        while let Token::Op(op) = *self.peek() {
            let p = power(op);
            if p <= min {
                break;
            }
            self.advance();
            lhs = self.binary(op, p, lhs)?;
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn binary(&mut self, op: BinaryOp, p: u8, lhs: NodeId) -> Result<NodeId> {
        let (return_bool, matching) = self.binary_modifiers()?;
        // `^` alone is right-associative.
        let rhs = self.expression(if op == BinaryOp::Pow { p - 1 } else { p })?;
        let span = self.node_span(lhs).start..self.node_span(rhs).end;
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        if filled && !self.options.experimental.fill {
            return Err(self.error_at(
                span,
                format!("binop fill modifiers are experimental and not enabled ({})", switch("fill")),
            ));
        }
        let matching = Some(matching);
        Ok(self.push(NodeKind::Binary(Binary { op, return_bool, lhs, rhs, matching }), span))
    }

    /// `bool`, `on`/`ignoring` with `group_left`/`group_right`, `fill`.
    fn binary_modifiers(&mut self) -> Result<(bool, Matching)> {
        let return_bool = self.accept(&Token::Keyword(Keyword::Bool));
        let mut m = Matching::default();
        if let Token::Keyword(k @ (Keyword::On | Keyword::Ignoring)) = *self.peek() {
            self.advance();
            m.on = k == Keyword::On;
            m.labels = self.labels_in_parens()?;
            if let Token::Keyword(k @ (Keyword::GroupLeft | Keyword::GroupRight)) = *self.peek() {
                self.advance();
                m.cardinality =
                    if k == Keyword::GroupLeft { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.peek() == &Token::LeftParen {
                    m.include = self.labels_in_parens()?;
                }
            }
        }
        self.fill_modifiers(&mut m)?;
        Ok((return_bool, m))
    }

    fn fill_modifiers(&mut self, m: &mut Matching) -> Result<()> {
        if self.accept(&Token::Keyword(Keyword::Fill)) {
            let v = self.fill_value()?;
            m.fill_left = Some(v);
            m.fill_right = Some(v);
            return Ok(());
        }
        loop {
            if m.fill_left.is_none() && self.accept(&Token::Keyword(Keyword::FillLeft)) {
                m.fill_left = Some(self.fill_value()?);
            } else if m.fill_right.is_none() && self.accept(&Token::Keyword(Keyword::FillRight)) {
                m.fill_right = Some(self.fill_value()?);
            } else {
                return Ok(());
            }
        }
    }

    fn fill_value(&mut self) -> Result<f64> {
        if !self.accept(&Token::LeftParen) {
            return Err(self.unexpected("fill modifier", "\"(\""));
        }
        let negate = match self.peek() {
            Token::Op(BinaryOp::Sub) => true,
            Token::Op(BinaryOp::Add) => false,
            _ => return self.fill_value_end(false),
        };
        self.advance();
        self.fill_value_end(negate)
    }

    fn fill_value_end(&mut self, negate: bool) -> Result<f64> {
        let n =
            self.number_literal()?.ok_or_else(|| self.unexpected("fill modifier", "number or duration"))?;
        if !self.accept(&Token::RightParen) {
            return Err(self.unexpected("fill modifier", "\")\""));
        }
        Ok(if negate { -n.value } else { n.value })
    }

    /// `(a, b, "c d",)`; keywords are names here.
    fn labels_in_parens(&mut self) -> Result<Vec<String>> {
        if !self.accept(&Token::LeftParen) {
            return Err(self.unexpected("grouping opts", "\"(\""));
        }
        let mut labels = Vec::new();
        while !self.accept(&Token::RightParen) {
            labels.push(self.label_name()?);
            if !self.accept(&Token::Comma) && self.peek() != &Token::RightParen {
                return Err(self.unexpected("grouping opts", "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    fn label_name(&mut self) -> Result<String> {
        let span = self.span();
        let name = match self.peek() {
            Token::String => {
                literal::unquote(self.slice(&span)).map_err(|m| self.error_at(span.clone(), m))?
            }
            Token::Identifier
            | Token::MetricIdentifier
            | Token::Aggregate(_)
            | Token::Keyword(_)
            | Token::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => {
                self.slice(&span).to_owned()
            }
            _ => return Err(self.unexpected("grouping opts", "label")),
        };
        if name.is_empty() {
            return Err(self.error_at(span, format!("invalid label name for grouping: {name:?}")));
        }
        self.advance();
        Ok(name)
    }

    /// Signs, a primary, and what may follow it.
    fn operand(&mut self) -> Result<NodeId> {
        let sign = match self.peek() {
            Token::Op(BinaryOp::Add) => Some(false),
            Token::Op(BinaryOp::Sub) => Some(true),
            _ => None,
        };
        let Some(negate) = sign else {
            let primary = self.primary()?;
            return self.postfix(primary);
        };
        let start = self.advance().start;
        let expr = self.expression(UNARY_POWER - 1)?;
        let span = start..self.node_span(expr).end;
        let node = &mut self.nodes[expr.0 as usize];
        if let NodeKind::Number(n) = &mut node.kind {
            if negate {
                n.value = -n.value;
            }
            node.span = span;
            return Ok(expr);
        }
        Ok(self.push(NodeKind::Unary { negate, expr }, span))
    }

    fn primary(&mut self) -> Result<NodeId> {
        let span = self.span();
        match self.peek().clone() {
            Token::Number | Token::Duration => {
                let n = self.number_literal()?.ok_or_else(|| self.unexpected("", ""))?;
                Ok(self.push(NodeKind::Number(n), span))
            }
            Token::String => {
                let written = self.slice(&span);
                let bytes = literal::unquote_bytes(written).map_err(|m| self.error_at(span.clone(), m))?;
                self.advance();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let is_broken = text.as_bytes() != bytes;
                let id = self.push(NodeKind::String(text), span);
                if is_broken {
                    self.broken.push((id, written.to_owned()));
                }
                Ok(id)
            }
            Token::LeftParen => self.parenthesised(),
            Token::LeftBrace | Token::MetricIdentifier => self.selector(),
            Token::Aggregate(op) => match self.peek_ahead(1) {
                Token::LeftParen | Token::Keyword(Keyword::By | Keyword::Without) => self.aggregate(op),
                _ => self.selector(),
            },
            Token::Identifier
            | Token::Keyword(
                Keyword::Start
                | Keyword::End
                | Keyword::Step
                | Keyword::Range
                | Keyword::MaxOf
                | Keyword::MinOf,
            ) => match self.peek_ahead(1) {
                Token::LeftParen => self.call(),
                _ => self.selector(),
            },
            Token::Keyword(
                Keyword::By | Keyword::Without | Keyword::Offset | Keyword::Anchored | Keyword::Smoothed,
            )
            | Token::Op(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) => self.selector(),
            _ => Err(self.unexpected("", "")),
        }
    }

    fn parenthesised(&mut self) -> Result<NodeId> {
        let start = self.advance().start;
        let inner = self.expression(0)?;
        if self.peek() != &Token::RightParen {
            return Err(self.unexpected("", "\")\""));
        }
        let end = self.advance().end;
        Ok(self.push(NodeKind::Paren(inner), start..end))
    }

    /// A number or duration, if one is next.
    fn number_literal(&mut self) -> Result<Option<Number>> {
        let span = self.span();
        let text = self.slice(&span);
        let number = match self.peek() {
            Token::Number => {
                let value = literal::parse_number(text)
                    .ok_or_else(|| self.error_at(span.clone(), format!("error parsing number: {text:?}")))?;
                Number { value, is_duration: false }
            }
            Token::Duration => {
                let ms = literal::parse_duration(text).map_err(|m| self.error_at(span.clone(), m))?;
                Number { value: ms as f64 / 1000.0, is_duration: true }
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(number))
    }

    /// `( expr, expr )`, both parentheses included.
    fn arguments(&mut self, context: &str) -> Result<Vec<NodeId>> {
        if !self.accept(&Token::LeftParen) {
            return Err(self.unexpected(context, "\"(\""));
        }
        let mut args = Vec::new();
        if self.accept(&Token::RightParen) {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            let comma = self.span();
            if self.accept(&Token::Comma) {
                if self.peek() == &Token::RightParen {
                    return Err(self.error_at(comma, "trailing commas not allowed in function call args"));
                }
            } else if self.accept(&Token::RightParen) {
                return Ok(args);
            } else {
                return Err(self.unexpected(context, "\",\" or \")\""));
            }
        }
    }

    fn call(&mut self) -> Result<NodeId> {
        let name_span = self.advance();
        let name = self.slice(&name_span);
        let Some(function) = functions::function(name) else {
            let message = format!("unknown function with name {}", literal::quote(name));
            return Err(self.error_at(name_span, message));
        };
        if function.experimental && !self.options.experimental.functions {
            return Err(self
                .error_at(name_span, format!("function {name:?} is not enabled ({})", switch("functions"))));
        }
        let args = self.arguments("function call")?;
        let span = name_span.start..self.last_end();
        Ok(self.push(NodeKind::Call(Call { function, args }), span))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<NodeId> {
        let start = self.advance().start;
        let mut grouping = self.grouping()?;
        let mut args = self.arguments("aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = start..self.last_end();
        if args.is_empty() {
            return Err(self.error_at(span, "no arguments for aggregate expression provided"));
        }
        if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio) && !self.options.experimental.functions
        {
            let message =
                format!("{}() is experimental and must be enabled ({})", op.as_str(), switch("functions"));
            return Err(self.error_at(span, message));
        }
        let wanted = if op.has_parameter() { 2 } else { 1 };
        if args.len() != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            );
            return Err(self.error_at(span, message));
        }
        let Some(expr) = args.pop() else {
            return Err(self.error_at(span, "no arguments for aggregate expression provided"));
        };
        let grouping = grouping.unwrap_or(Grouping::By(Vec::new()));
        Ok(self.push(NodeKind::Aggregate(Aggregate { op, grouping, parameter: args.pop(), expr }), span))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>> {
        Ok(if self.accept(&Token::Keyword(Keyword::By)) {
            Some(Grouping::By(self.labels_in_parens()?))
        } else if self.accept(&Token::Keyword(Keyword::Without)) {
            Some(Grouping::Without(self.labels_in_parens()?))
        } else {
            None
        })
    }
}

#[cfg(test)]
mod tests;
