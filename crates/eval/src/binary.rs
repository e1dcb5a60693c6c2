//! Binary operators: between numbers, between a vector and a number, and between vectors with label matching.

mod element;
mod matching;
mod set;

use std::sync::Arc;

use crate::{Cell, Column, Env, Error, Result, Series, Value, rows};
use element::{Element, element};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
    /// `</`: keeps the part of a histogram below a bound.
    TrimUpper,
    /// `>/`: keeps the part of a histogram above a bound.
    TrimLower,
}

impl BinaryOp {
    /// The operator in PromQL.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Greater => ">",
            BinaryOp::Less => "<",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::LessEqual => "<=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
        }
    }

    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }

    /// Whether the result measures something else than its operands, so that their name no longer fits.
    pub fn changes_meaning(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Sub | Mul | Div | Mod | Pow | Atan2)
    }
}

/// How many series of one side may match one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// How the series of two vectors find each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// `on(labels)` if true, else `ignoring(labels)`; the default ignores nothing but `__name__`.
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels copied from the one side (`group_left(labels)`).
    pub include: Vec<String>,
    /// Stands for a left side that is not there (`fill_left`). With `OneToMany` the sides are those after
    /// swapping: left is then the many side.
    pub fill_left: Option<f64>,
    /// Stands for a right side that is not there (`fill_right`).
    pub fill_right: Option<f64>,
}

/// Which operand of [`binary_scalar`] is the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Vector with vector. Comparisons filter, or give 0 and 1 with `return_bool`. Series without any value are left
/// out of the result.
pub fn binary(
    op: BinaryOp,
    return_bool: bool,
    matching: &Matching,
    lhs: Vec<Series>,
    rhs: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    match op {
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => set::set(op, matching, lhs, rhs, env),
        _ => matching::arithmetic(op, return_bool, matching, lhs, rhs, env),
    }
}

/// Vector with one number per step; `number` says which operand the number is. Where the number is absent, so is
/// the result. A set operator is an error here.
pub fn binary_scalar(
    op: BinaryOp,
    return_bool: bool,
    mut vector: Vec<Series>,
    scalar: &Column,
    number: Side,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    if op.is_set() {
        return Err(Error::invalid(format!(
            "set operator {:?} not allowed in binary scalar expression",
            op.as_str()
        )));
    }
    for row in &mut vector {
        env.meter.tick()?;
        row.column = with_scalar(op, return_bool, &row.column, scalar, number, env);
    }
    vector.retain(|r| !r.column.is_empty());
    if op.changes_meaning() || return_bool { rows::drop_names(vector, env) } else { Ok(vector) }
}

/// One column with one number per step; see [`binary_scalar`].
pub fn with_scalar(
    op: BinaryOp,
    return_bool: bool,
    vector: &Column,
    scalar: &Column,
    number: Side,
    env: &mut Env<'_>,
) -> Column {
    let mut out = Column::empty(vector.len());
    let plain = !vector.has_histograms() && !op.is_comparison();
    for step in vector.steps() {
        let (Some(v), Some(s)) = (vector.get(step), scalar.float(step)) else { continue };
        if plain && let Cell::Float(v) = v {
            let (a, b) = if number == Side::Right { (v, s) } else { (s, v) };
            if !matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
                out.set_float(step, scalar_op(op, a, b));
                continue;
            }
        }
        let (a, b) = if number == Side::Right { (v, Cell::Float(s)) } else { (Cell::Float(s), v) };
        let Element { value, keep } = element(op, a, b, env);
        let Some(value) = value else { continue };
        if return_bool {
            out.set_float(step, f64::from(u8::from(keep)));
        } else if keep && op.is_comparison() {
            // A comparison keeps the vector's value, on whichever side it stands.
            out.set(step, v);
        } else if keep {
            out.put(step, value);
        }
    }
    out
}

/// Number with number; comparisons give 0 or 1. Set and trim operators give NaN.
pub fn scalar_op(op: BinaryOp, a: f64, b: f64) -> f64 {
    let truth = |b: bool| f64::from(u8::from(b));
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::Equal => truth(a == b),
        BinaryOp::NotEqual => truth(a != b),
        BinaryOp::Greater => truth(a > b),
        BinaryOp::Less => truth(a < b),
        BinaryOp::GreaterEqual => truth(a >= b),
        BinaryOp::LessEqual => truth(a <= b),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => {
            f64::NAN
        }
    }
}

fn owned(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Float(v) => Value::Float(v),
        Cell::Histogram(h) => Value::Histogram(Arc::clone(h)),
    }
}

#[cfg(test)]
mod tests;
