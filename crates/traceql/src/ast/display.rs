//! A query as text. What is printed reads back as the same query.

use std::fmt::{Display, Formatter, Result, Write};

use super::{
    Aggregate, Expr, FieldExpr, Function, MetricsExpr, Pipeline, Query, ScalarExpr, ScalarFilter,
    SecondStage, SpansetExpr, Stage,
};
use crate::{field::Field, value::Value};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.expr {
            Expr::Spans(p) => write!(f, "{p}")?,
            Expr::Metrics(m) => write!(f, "{m}")?,
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        f.write_str(" with(")?;
        list(f, self.hints.iter().map(|h| format!("{}={}", h.name, Literal(&h.value))))?;
        f.write_str(")")
    }
}

fn list(f: &mut Formatter<'_>, all: impl IntoIterator<Item = impl Display>) -> Result {
    for (i, one) in all.into_iter().enumerate() {
        write!(f, "{}{one}", if i > 0 { ", " } else { "" })?;
    }
    Ok(())
}

/// A value as a query writes it.
struct Literal<'a>(&'a Value<'a>);

impl Display for Literal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let s = match self.0 {
            Value::Str(s) => s,
            // Its digits would be read as the negative of a number that is too large.
            Value::Int(i64::MIN) => return f.write_str("minInt"),
            other => return write!(f, "{other}"),
        };
        if !s.contains(['`', '\r']) {
            return write!(f, "`{s}`");
        }
        f.write_char('"')?;
        for c in s.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (i, stage) in self.0.iter().enumerate() {
            write!(f, "{}{stage}", if i > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Stage::Spans(e) => write!(f, "{e}"),
            Stage::Scalar(s) => write!(f, "{s}"),
            Stage::By(e) => write!(f, "by({e})"),
            Stage::Coalesce => f.write_str("coalesce()"),
            Stage::Select(fields) => {
                f.write_str("select(")?;
                list(f, fields)?;
                f.write_str(")")
            }
        }
    }
}

impl Display for SpansetExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            SpansetExpr::Filter(None) => f.write_str("{}"),
            SpansetExpr::Filter(Some(e)) => write!(f, "{{ {e} }}"),
            SpansetExpr::Operation { op, left, right } => write!(f, "{left} {} {right}", op.as_str()),
            SpansetExpr::Paren(inner) => write!(f, "({inner})"),
            SpansetExpr::Pipeline(p) => write!(f, "({p})"),
        }
    }
}

impl Display for ScalarFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {} {}", self.left, self.op.as_str(), self.right)
    }
}

impl Display for ScalarExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            ScalarExpr::Literal(v) => write!(f, "{}", Literal(v)),
            ScalarExpr::Aggregate(a) => write!(f, "{a}"),
            ScalarExpr::Negate(e) => write!(f, "-{e}"),
            ScalarExpr::Paren(e) => write!(f, "({e})"),
            ScalarExpr::Binary { op, left, right } => write!(f, "{left} {} {right}", op.as_str()),
            ScalarExpr::Pipeline(p, a) => write!(f, "({p} | {a})"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.of {
            None => write!(f, "{}()", self.op.as_str()),
            Some(e) => write!(f, "{}({e})", self.op.as_str()),
        }
    }
}

impl Display for FieldExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            FieldExpr::Literal(v) => write!(f, "{}", Literal(v)),
            FieldExpr::Field(field) => write!(f, "{field}"),
            FieldExpr::Not(e) => write!(f, "!{e}"),
            FieldExpr::Negate(e) => write!(f, "-{e}"),
            FieldExpr::Paren(e) => write!(f, "({e})"),
            FieldExpr::Binary { op, left, right } => write!(f, "{left} {} {right}", op.as_str()),
            FieldExpr::Match { left, pattern } => {
                let op = if pattern.is_negated() { "!~" } else { "=~" };
                write!(f, "{left} {op} {}", Literal(&Value::text(pattern.text())))
            }
        }
    }
}

impl Display for MetricsExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            MetricsExpr::Query { pipeline, function } => write!(f, "{pipeline} | {function}"),
            MetricsExpr::Then { inner, stage } => match stage {
                SecondStage::TopK(k) => write!(f, "{inner} | topk({k})"),
                SecondStage::BottomK(k) => write!(f, "{inner} | bottomk({k})"),
                SecondStage::Filter(op, v) => write!(f, "{inner} {} {}", op.as_str(), number(*v)),
            },
            MetricsExpr::Binary { op, left, right } => write!(f, "{left} {} {right}", op.as_str()),
            MetricsExpr::Number { op, inner, number: v, number_first: true } => {
                write!(f, "{} {} {inner}", number(*v), op.as_str())
            }
            MetricsExpr::Number { op, inner, number: v, .. } => {
                write!(f, "{inner} {} {}", op.as_str(), number(*v))
            }
            MetricsExpr::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// A number that reads back as the same, whole ones without a point.
fn number(v: f64) -> String {
    if v.fract() == 0.0 && v.abs() < 9e15 { format!("{v:.0}") } else { format!("{v:?}") }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}(", self.name())?;
        match self {
            Function::Rate { .. } | Function::CountOverTime { .. } => {}
            Function::OverTime { of, .. } | Function::HistogramOverTime { of, .. } => write!(f, "{of}")?,
            Function::QuantileOverTime { of, quantiles, .. } => {
                write!(f, "{of}, ")?;
                list(f, quantiles.iter().map(|q| number(*q)))?;
            }
            Function::Compare(c) => {
                match &c.selection {
                    None => f.write_str("{}")?,
                    Some(e) => write!(f, "{{ {e} }}")?,
                }
                if let Some(top) = c.top {
                    write!(f, ", {top}")?;
                }
                if let Some((start, end)) = c.between {
                    write!(f, ", {start}, {end}")?;
                }
            }
        }
        f.write_str(")")?;
        by(f, self.by())
    }
}

fn by(f: &mut Formatter<'_>, fields: &[Field]) -> Result {
    if fields.is_empty() {
        return Ok(());
    }
    f.write_str(" by(")?;
    list(f, fields)?;
    f.write_str(")")
}
