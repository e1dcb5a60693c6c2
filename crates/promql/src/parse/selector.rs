//! Selectors and what follows an operand: ranges, subqueries, `@`, `offset`, `anchored`, `smoothed`.

use eval::BinaryOp;
use model::{MatchOp, Matcher};

use super::{Parser, Result};
use crate::{
    ast::{At, Duration, Extent, Modifiers, NodeId, NodeKind, Selector, Subquery},
    lex::{Keyword, Token},
    literal, print,
};

impl Parser<'_> {
    /// `name`, `name{…}` or `{…}`.
    pub(super) fn selector(&mut self) -> Result<NodeId> {
        let mut span = self.span();
        let mut selector = Selector::default();
        if self.peek() != &Token::LeftBrace {
            selector.name = Some(self.slice(&span).to_owned());
            self.advance();
        }
        if self.peek() == &Token::LeftBrace {
            self.advance();
            self.matchers(&mut selector.matchers)?;
            span.end = self.last_end();
        }
        if let Some(name) = &selector.name {
            if let Some(twice) = selector.matchers.iter().find(|m| m.name == model::labels::METRIC_NAME) {
                let message = format!("metric name must not be set twice: {name:?} or {:?}", twice.value);
                return Err(self.error_at(span, message));
            }
            selector.matchers.push(Matcher::equal(model::labels::METRIC_NAME, name.clone()));
        }
        selector.matchers.sort_by_cached_key(print::matcher);
        Ok(self.push(NodeKind::Selector(selector), span))
    }

    /// Up to and including the closing brace.
    fn matchers(&mut self, out: &mut Vec<Matcher>) -> Result<()> {
        while !self.accept(&Token::RightBrace) {
            out.push(self.matcher()?);
            if !self.accept(&Token::Comma) && self.peek() != &Token::RightBrace {
                return Err(self.unexpected("label matching", "\",\" or \"}\""));
            }
        }
        Ok(())
    }

    fn matcher(&mut self) -> Result<Matcher> {
        let span = self.span();
        let quoted = self.peek() == &Token::String;
        let name = match self.peek() {
            Token::Identifier => self.slice(&span).to_owned(),
            Token::String => {
                literal::unquote(self.slice(&span)).map_err(|m| self.error_at(span.clone(), m))?
            }
            _ => return Err(self.unexpected("label matching", "identifier or \"}\"")),
        };
        self.advance();
        let op = match self.peek() {
            Token::Assign => MatchOp::Equal,
            Token::Op(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Token::RegexMatch => MatchOp::Regex,
            Token::RegexNotMatch => MatchOp::NotRegex,
            // A quoted name alone is the metric's.
            _ if quoted => return Ok(Matcher::equal(model::labels::METRIC_NAME, name)),
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.advance();
        let value_span = self.span();
        if self.peek() != &Token::String {
            return Err(self.unexpected("label matching", "string"));
        }
        let value =
            literal::unquote(self.slice(&value_span)).map_err(|m| self.error_at(value_span.clone(), m))?;
        self.advance();
        Matcher::new(name, op, value).map_err(|e| self.error_at(span.start..value_span.end, e.to_string()))
    }

    /// Everything that may follow an operand, any number of times.
    pub(super) fn postfix(&mut self, mut id: NodeId) -> Result<NodeId> {
        loop {
            match self.peek() {
                Token::LeftBracket => id = self.bracket(id)?,
                Token::At => self.at_modifier(id)?,
                Token::Keyword(Keyword::Offset) => self.offset(id)?,
                Token::Keyword(Keyword::Anchored) => self.extent(id, Extent::Anchored)?,
                Token::Keyword(Keyword::Smoothed) => self.extent(id, Extent::Smoothed)?,
                _ => return Ok(id),
            }
        }
    }

    /// `[range]` or `[range:step]`.
    fn bracket(&mut self, id: NodeId) -> Result<NodeId> {
        let open = self.advance().start;
        if !self.starts_duration() {
            return Err(self.unexpected("subquery or range selector", "number, duration, step(), or range()"));
        }
        let range = self.positive_duration()?;
        if self.accept(&Token::RightBracket) {
            return self.matrix(id, range, open);
        }
        if !self.accept(&Token::Colon) {
            return Err(self.unexpected("subquery or range", "\":\" or \"]\""));
        }
        let step = if self.peek() == &Token::RightBracket {
            None
        } else if self.starts_duration() {
            Some(self.positive_duration()?)
        } else {
            return Err(self.unexpected("subquery selector", "number, duration, step(), range(), or \"]\""));
        };
        if !self.accept(&Token::RightBracket) {
            return Err(self.unexpected("subquery selector", "\"]\""));
        }
        let span = self.node_span(id).start..self.last_end();
        let subquery = Subquery { expr: id, range, step, modifiers: Modifiers::default() };
        Ok(self.push(NodeKind::Subquery(subquery), span))
    }

    fn matrix(&mut self, id: NodeId, range: Duration, open: usize) -> Result<NodeId> {
        let problem = match &self.nodes[id.0 as usize].kind {
            NodeKind::Selector(s) if !s.modifiers.offset.is_zero() => {
                Some("no offset modifiers allowed before range")
            }
            NodeKind::Selector(s) if s.modifiers.at.is_some() => Some("no @ modifiers allowed before range"),
            NodeKind::Selector(_) => None,
            _ => Some("ranges only allowed for vector selectors"),
        };
        if let Some(message) = problem {
            return Err(self.error_at(open..self.last_end(), message));
        }
        let span = self.node_span(id).start..self.last_end();
        Ok(self.push(NodeKind::Matrix { selector: id, range }, span))
    }

    /// The node that carries the modifiers of `id`: itself, or the selector inside a range.
    fn modified(&mut self, id: NodeId) -> Option<&mut Modifiers> {
        let target = match &self.nodes[id.0 as usize].kind {
            NodeKind::Matrix { selector, .. } => *selector,
            _ => id,
        };
        match &mut self.nodes[target.0 as usize].kind {
            NodeKind::Selector(s) => Some(&mut s.modifiers),
            NodeKind::Subquery(s) => Some(&mut s.modifiers),
            _ => None,
        }
    }

    fn offset(&mut self, id: NodeId) -> Result<()> {
        self.advance();
        if !self.starts_duration() {
            return Err(self.unexpected("offset", "number, duration, step(), or range()"));
        }
        let offset = self.offset_duration()?;
        let span = self.node_span(id);
        match self.modified(id) {
            None => Err(self.error_at(
                span,
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            )),
            Some(m) if !m.offset.is_zero() => Err(self.error_at(span, "offset may not be set multiple times")),
            Some(m) => {
                m.offset = offset;
                self.extend_span(id);
                Ok(())
            }
        }
    }

    fn at_modifier(&mut self, id: NodeId) -> Result<()> {
        self.advance();
        let span = self.node_span(id);
        let at = match *self.peek() {
            Token::Keyword(k @ (Keyword::Start | Keyword::End)) => {
                self.advance();
                if !(self.accept(&Token::LeftParen) && self.accept(&Token::RightParen)) {
                    return Err(self.unexpected("@", "\"()\""));
                }
                if k == Keyword::Start { At::Start } else { At::End }
            }
            _ => self.at_time(&span)?,
        };
        match self.modified(id) {
            None => Err(self.error_at(
                span,
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            )),
            Some(m) if m.at.is_some() => {
                Err(self.error_at(span, "@ <timestamp> may not be set multiple times"))
            }
            Some(m) => {
                m.at = Some(at);
                self.extend_span(id);
                Ok(())
            }
        }
    }

    fn at_time(&mut self, span: &eval::Span) -> Result<At> {
        let negate = match self.peek() {
            Token::Op(BinaryOp::Sub) => Some(true),
            Token::Op(BinaryOp::Add) => Some(false),
            _ => None,
        };
        if negate.is_some() {
            self.advance();
        }
        let n = self.number_literal()?.ok_or_else(|| self.unexpected("@", "timestamp"))?;
        let seconds = if negate == Some(true) { -n.value } else { n.value };
        let ms = (seconds * 1000.0).round();
        // The bound keeps every later sum of times inside 64 bits.
        if !ms.is_finite() || ms.abs() >= (i64::MAX / 1000) as f64 {
            return Err(
                self.error_at(span.clone(), format!("timestamp out of bounds for @ modifier: {seconds:.6}"))
            );
        }
        Ok(At::Time(ms as i64))
    }

    fn extent(&mut self, id: NodeId, extent: Extent) -> Result<()> {
        self.advance();
        let word = if extent == Extent::Anchored { "anchored" } else { "smoothed" };
        let span = self.node_span(id);
        if !self.options.experimental.extended_selectors {
            return Err(self.error_at(
                span,
                format!(
                    "{word} modifier is experimental and not enabled ({})",
                    super::switch("extended_selectors")
                ),
            ));
        }
        let target = match &self.nodes[id.0 as usize].kind {
            NodeKind::Matrix { selector, .. } => *selector,
            NodeKind::Selector(_) => id,
            NodeKind::Subquery(_) => {
                return Err(self.error_at(span, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error_at(span, format!("{word} modifier not implemented"))),
        };
        if let NodeKind::Selector(s) = &mut self.nodes[target.0 as usize].kind {
            if s.extent != Extent::None && s.extent != extent {
                return Err(self.error_at(span, "anchored and smoothed modifiers cannot be used together"));
            }
            s.extent = extent;
        }
        self.extend_span(id);
        Ok(())
    }

    /// The modifier just read belongs to the node.
    fn extend_span(&mut self, id: NodeId) {
        self.nodes[id.0 as usize].span.end = self.last_end();
    }
}
