//! What is asked of one span: everything between braces, and arguments.

use super::Parser;
use crate::{
    ast::{ArithmeticOp, BinaryOp, CompareOp, FieldExpr, Pattern},
    check,
    error::ParseError,
    field::{Field, Intrinsic},
    lex::Token,
};

/// How tight the operand of a sign binds: tighter than `+ -`; of `!`: tighter than itself.
const SIGN_OPERAND: u8 = 4;
const NOT_OPERAND: u8 = 5;

enum Op {
    Binary(BinaryOp),
    Match { negated: bool },
}

/// An operator and how tight it binds.
fn operator(token: &Token) -> Option<(Op, u8)> {
    let Token::Sym(symbol) = token else { return None };
    let compare = |op: &CompareOp| op.as_str() == *symbol;
    let arithmetic = |op: &ArithmeticOp| op.as_str() == *symbol;
    if let Some(op) = CompareOp::ALL.into_iter().find(compare) {
        return Some((Op::Binary(BinaryOp::Compare(op)), 2));
    }
    if let Some(op) = ArithmeticOp::ALL.into_iter().find(arithmetic) {
        return Some((Op::Binary(BinaryOp::Arithmetic(op)), tightness(op)));
    }
    match *symbol {
        "&&" => Some((Op::Binary(BinaryOp::And), 1)),
        "||" => Some((Op::Binary(BinaryOp::Or), 1)),
        "=~" => Some((Op::Match { negated: false }, 2)),
        "!~" => Some((Op::Match { negated: true }, 2)),
        _ => None,
    }
}

pub(super) fn tightness(op: ArithmeticOp) -> u8 {
    match op {
        ArithmeticOp::Add | ArithmeticOp::Sub => 3,
        ArithmeticOp::Mul | ArithmeticOp::Div | ArithmeticOp::Mod => 5,
        ArithmeticOp::Pow => 6,
    }
}

impl Parser<'_> {
    /// `{ ... }`; `None` for `{}`.
    pub(super) fn span_filter(&mut self) -> Result<Option<FieldExpr>, ParseError> {
        self.expect("{")?;
        if self.eat("}") {
            return Ok(None);
        }
        let from = self.at;
        let e = self.field_expr()?;
        check::condition(&e).map_err(|message| self.error_from(from, message))?;
        self.expect("}")?;
        Ok(Some(e))
    }

    pub(super) fn field_expr(&mut self) -> Result<FieldExpr, ParseError> {
        self.field_operation(1)
    }

    /// Operators that bind at least as tight as this.
    fn field_operation(&mut self, least: u8) -> Result<FieldExpr, ParseError> {
        let from = self.at;
        let mut left = self.field_operand()?;
        while let Some((op, tight)) = operator(self.peek())
            && tight >= least
        {
            self.count_operator()?;
            self.next();
            let right_from = self.at;
            let right_bound = op_is_pow(&op);
            let right = self.nested(|p| p.field_operation(if right_bound { tight } else { tight + 1 }))?;
            left = match op {
                Op::Binary(op) => FieldExpr::Binary { op, left: Box::new(left), right: Box::new(right) },
                Op::Match { negated } => {
                    let pattern = pattern(&right, negated).map_err(|m| self.error_from(right_from, m))?;
                    FieldExpr::Match { left: Box::new(left), pattern }
                }
            };
            check::operation(&left).map_err(|message| self.error_from(from, message))?;
        }
        Ok(left)
    }

    fn field_operand(&mut self) -> Result<FieldExpr, ParseError> {
        let from = self.at;
        if self.eat("(") {
            let inner = self.nested(Self::field_expr)?;
            self.expect(")")?;
            return Ok(FieldExpr::Paren(Box::new(inner)));
        }
        let sign = self.is("-");
        if sign || self.is("!") {
            self.next();
            self.count_operator()?;
            let least = if sign { SIGN_OPERAND } else { NOT_OPERAND };
            let inner = Box::new(self.nested(|p| p.field_operation(least))?);
            let e = if sign { FieldExpr::Negate(inner) } else { FieldExpr::Not(inner) };
            check::operation(&e).map_err(|message| self.error_from(from, message))?;
            return Ok(e);
        }
        if let Some(field) = self.field() {
            self.next();
            return Ok(FieldExpr::Field(field));
        }
        let Some(value) = self.literal() else { return Err(self.no_operand()) };
        self.next();
        Ok(FieldExpr::Literal(value))
    }

    fn no_operand(&self) -> ParseError {
        match self.peek() {
            Token::Word(w) => self.error(format!(
                "unknown identifier {w:?}: attributes begin with a scope or a point, as in span.{w} or .{w}"
            )),
            _ => self.unexpected("a field or a value"),
        }
    }

    /// The field that the next token is.
    pub(super) fn field(&self) -> Option<Field> {
        match self.peek() {
            Token::Field(f) => Some(f.clone()),
            Token::Word(w) if w == "parent" => Some(Field::Parent),
            Token::Word(w) => Intrinsic::parse(w).map(Field::Intrinsic),
            _ => None,
        }
    }

    pub(super) fn expect_field(&mut self) -> Result<Field, ParseError> {
        let Some(f) = self.field() else { return Err(self.unexpected("an attribute or an intrinsic")) };
        self.next();
        Ok(f)
    }
}

fn op_is_pow(op: &Op) -> bool {
    matches!(op, Op::Binary(BinaryOp::Arithmetic(ArithmeticOp::Pow)))
}

fn pattern(right: &FieldExpr, negated: bool) -> Result<Pattern, String> {
    let FieldExpr::Literal(crate::Value::Str(text)) = right.bare() else {
        return Err("a regular expression must be a string".to_owned());
    };
    Pattern::new(text, negated).map_err(|reason| format!("invalid regular expression: {reason}"))
}

/// The field that a text is, and nothing else.
pub(crate) fn single_field(text: &str) -> Option<Field> {
    let mut p = Parser::new(text).ok()?;
    let field = p.expect_field().ok()?;
    p.end().ok()?;
    Some(field)
}
