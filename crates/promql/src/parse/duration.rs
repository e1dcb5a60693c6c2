//! Durations in brackets and after `offset`: literals, and arithmetic where it is enabled.

use eval::BinaryOp;

use super::{Parser, Result, power};
use crate::{
    ast::{Duration, DurationExpr, Number},
    lex::{Keyword, Token},
    literal::MAX_DURATION_MS,
};

/// Operators one duration may have. More than anyone writes; keeps the tree of boxes shallow.
const MAX_OPERATORS: usize = 64;

impl Parser<'_> {
    pub(super) fn starts_duration(&self) -> bool {
        matches!(
            self.peek(),
            Token::Number
                | Token::Duration
                | Token::LeftParen
                | Token::Op(BinaryOp::Add | BinaryOp::Sub)
                | Token::Keyword(Keyword::Step | Keyword::Range | Keyword::MaxOf | Keyword::MinOf)
        )
    }

    /// A range or step.
    pub(super) fn positive_duration(&mut self) -> Result<Duration> {
        let start = self.span().start;
        let mut operators = 0;
        let expr = self.duration_expr(0, &mut operators)?;
        let duration = self.finish_duration(expr, start)?;
        if matches!(duration, Duration::Millis(ms) if ms <= 0) {
            return Err(self.error_at(start..self.last_end(), "duration must be greater than 0"));
        }
        Ok(duration)
    }

    /// After `offset`: one signed operand. `foo offset 5m + 1` adds 1 to `foo`, so operators need parentheses.
    pub(super) fn offset_duration(&mut self) -> Result<Duration> {
        let start = self.span().start;
        let mut operators = 0;
        let expr = self.duration_operand(&mut operators)?;
        self.finish_duration(expr, start)
    }

    fn finish_duration(&self, expr: DurationExpr, start: usize) -> Result<Duration> {
        let span = start..self.last_end();
        match expr {
            DurationExpr::Number(n) => {
                let ms = (n.value * 1000.0).round();
                if ms.is_nan() || ms.abs() > MAX_DURATION_MS as f64 {
                    return Err(self.error_at(span, "duration out of range"));
                }
                Ok(Duration::Millis(ms as i64))
            }
            _ if !self.options.experimental.durations => Err(self.error_at(
                span,
                format!("experimental duration expression is not enabled ({})", super::switch("durations")),
            )),
            other => Ok(Duration::Expr(Box::new(other))),
        }
    }

    fn duration_expr(&mut self, min: u8, operators: &mut usize) -> Result<DurationExpr> {
        self.enter()?;
        let mut lhs = self.duration_operand(operators)?;
        while let Token::Op(op) = *self.peek() {
            use BinaryOp::*;
            let p = power(op);
            if !matches!(op, Add | Sub | Mul | Div | Mod | Pow) || p <= min {
                break;
            }
            let op_span = self.advance();
            *operators += 1;
            if *operators > MAX_OPERATORS {
                return Err(
                    self.error_at(op_span, format!("duration has more than {MAX_OPERATORS} operators"))
                );
            }
            let rhs = self.duration_expr(if op == Pow { p - 1 } else { p }, operators)?;
            if let DurationExpr::Number(Number { value: 0.0, .. }) = rhs
                && matches!(op, Div | Mod)
            {
                let what = if op == Div { "division by zero" } else { "modulo by zero" };
                return Err(self.error_at(op_span, what));
            }
            lhs = DurationExpr::Binary(op, Box::new(lhs), Box::new(rhs));
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn duration_operand(&mut self, operators: &mut usize) -> Result<DurationExpr> {
        let span = self.span();
        match *self.peek() {
            Token::Op(BinaryOp::Add) => {
                self.advance();
                self.signed(false, operators)
            }
            Token::Op(BinaryOp::Sub) => {
                self.advance();
                self.signed(true, operators)
            }
            Token::LeftParen => {
                self.advance();
                let inner = self.duration_expr(0, operators)?;
                self.close_paren()?;
                Ok(DurationExpr::Paren(Box::new(inner)))
            }
            Token::Keyword(k @ (Keyword::Step | Keyword::Range)) => {
                self.advance();
                self.open_paren()?;
                self.close_paren()?;
                Ok(if k == Keyword::Step { DurationExpr::Step } else { DurationExpr::Range })
            }
            Token::Keyword(k @ (Keyword::MaxOf | Keyword::MinOf)) => {
                self.advance();
                self.open_paren()?;
                let a = Box::new(self.duration_expr(0, operators)?);
                if !self.accept(&Token::Comma) {
                    return Err(self.unexpected("duration", "\",\""));
                }
                let b = Box::new(self.duration_expr(0, operators)?);
                self.close_paren()?;
                Ok(if k == Keyword::MaxOf { DurationExpr::MaxOf(a, b) } else { DurationExpr::MinOf(a, b) })
            }
            _ => {
                let n = self
                    .number_literal()?
                    .ok_or_else(|| self.unexpected("duration", "number, duration, step(), or range()"))?;
                if n.value.is_nan() || n.value.abs() * 1000.0 > MAX_DURATION_MS as f64 {
                    return Err(self.error_at(span, "duration out of range"));
                }
                Ok(DurationExpr::Number(n))
            }
        }
    }

    /// The operand of a sign; like elsewhere, a sign binds looser than `^`.
    fn signed(&mut self, negate: bool, operators: &mut usize) -> Result<DurationExpr> {
        *operators += 1;
        if *operators > MAX_OPERATORS {
            return Err(
                self.error_at(self.span(), format!("duration has more than {MAX_OPERATORS} operators"))
            );
        }
        let inner = self.duration_operand(operators)?;
        Ok(match inner {
            DurationExpr::Number(n) if negate => DurationExpr::Number(Number { value: -n.value, ..n }),
            other if negate => DurationExpr::Negate(Box::new(other)),
            other => other,
        })
    }

    fn open_paren(&mut self) -> Result<()> {
        if self.accept(&Token::LeftParen) { Ok(()) } else { Err(self.unexpected("duration", "\"(\"")) }
    }

    fn close_paren(&mut self) -> Result<()> {
        if self.accept(&Token::RightParen) { Ok(()) } else { Err(self.unexpected("duration", "\")\"")) }
    }
}
