//! Binary operators: between numbers, between a vector and a number, and between vectors with label matching.

use crate::{Column, Env, Result, Series};

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
    /// Stands for a left side that is not there (`fill_left`).
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

/// Vector with vector. Comparisons filter, or give 0 and 1 with `return_bool`.
pub fn binary(
    op: BinaryOp,
    return_bool: bool,
    matching: &Matching,
    lhs: Vec<Series>,
    rhs: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let _ = (op, return_bool, matching, lhs, rhs, env);
    Err(crate::Error::invalid("binary operators are not built yet"))
}

/// Vector with one number per step; `number` says which operand the number is. Arithmetic and set operators:
/// a set operator is an error here.
pub fn binary_scalar(
    op: BinaryOp,
    return_bool: bool,
    vector: Vec<Series>,
    scalar: &Column,
    number: Side,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let _ = (op, return_bool, vector, scalar, number, env);
    Err(crate::Error::invalid("binary operators are not built yet"))
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
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => f64::NAN,
    }
}
