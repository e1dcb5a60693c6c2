//! Every field that a query names.

use super::{Aggregate, Expr, FieldExpr, MetricsExpr, Pipeline, Query, ScalarExpr, SpansetExpr, Stage};
use crate::field::Field;

impl Query {
    /// Every field the query names, in order, each once.
    pub fn fields(&self) -> Vec<&Field> {
        let mut all = Vec::new();
        match &self.expr {
            Expr::Spans(p) => p.each_field(&mut |f| all.push(f)),
            Expr::Metrics(m) => m.each_field(&mut |f| all.push(f)),
        }
        unique(all)
    }
}

fn unique(all: Vec<&Field>) -> Vec<&Field> {
    let mut out: Vec<&Field> = Vec::new();
    for f in all {
        if !out.contains(&f) {
            out.push(f);
        }
    }
    out
}

impl MetricsExpr {
    pub fn each_field<'q>(&'q self, each: &mut dyn FnMut(&'q Field)) {
        match self {
            MetricsExpr::Query { pipeline, function } => {
                pipeline.each_field(each);
                function.of().into_iter().chain(function.by()).for_each(&mut *each);
                if let super::Function::Compare(c) = function
                    && let Some(e) = &c.selection
                {
                    e.each_field(each);
                }
            }
            MetricsExpr::Then { inner, .. }
            | MetricsExpr::Number { inner, .. }
            | MetricsExpr::Paren(inner) => inner.each_field(each),
            MetricsExpr::Binary { left, right, .. } => {
                left.each_field(each);
                right.each_field(each);
            }
        }
    }
}

impl Pipeline {
    pub fn each_field<'q>(&'q self, each: &mut dyn FnMut(&'q Field)) {
        for stage in &self.0 {
            match stage {
                Stage::Spans(e) => e.each_field(each),
                Stage::Scalar(f) => {
                    f.left.each_field(each);
                    f.right.each_field(each);
                }
                Stage::By(e) => e.each_field(each),
                Stage::Coalesce => {}
                Stage::Select(fields) => fields.iter().for_each(&mut *each),
            }
        }
    }
}

impl SpansetExpr {
    fn each_field<'q>(&'q self, each: &mut dyn FnMut(&'q Field)) {
        match self {
            SpansetExpr::Filter(None) => {}
            SpansetExpr::Filter(Some(e)) => e.each_field(each),
            SpansetExpr::Operation { left, right, .. } => {
                left.each_field(each);
                right.each_field(each);
            }
            SpansetExpr::Paren(inner) => inner.each_field(each),
            SpansetExpr::Pipeline(p) => p.each_field(each),
        }
    }
}

impl ScalarExpr {
    fn each_field<'q>(&'q self, each: &mut dyn FnMut(&'q Field)) {
        match self {
            ScalarExpr::Literal(_) => {}
            ScalarExpr::Aggregate(a) => a.each_field(each),
            ScalarExpr::Negate(inner) | ScalarExpr::Paren(inner) => inner.each_field(each),
            ScalarExpr::Binary { left, right, .. } => {
                left.each_field(each);
                right.each_field(each);
            }
            ScalarExpr::Pipeline(p, a) => {
                p.each_field(each);
                a.each_field(each);
            }
        }
    }
}

impl Aggregate {
    fn each_field<'q>(&'q self, each: &mut dyn FnMut(&'q Field)) {
        if let Some(e) = &self.of {
            e.each_field(each);
        }
    }
}

impl FieldExpr {
    pub fn each_field<'q>(&'q self, each: &mut dyn FnMut(&'q Field)) {
        match self {
            FieldExpr::Literal(_) => {}
            FieldExpr::Field(f) => each(f),
            FieldExpr::Not(e) | FieldExpr::Negate(e) | FieldExpr::Paren(e) => e.each_field(each),
            FieldExpr::Match { left, .. } => left.each_field(each),
            FieldExpr::Binary { left, right, .. } => {
                left.each_field(each);
                right.each_field(each);
            }
        }
    }

    /// Whether it asks anything of a span.
    pub fn has_field(&self) -> bool {
        let mut some = false;
        self.each_field(&mut |_| some = true);
        some
    }

    /// What stands inside of parentheses around the whole.
    pub fn bare(&self) -> &FieldExpr {
        match self {
            FieldExpr::Paren(inner) => inner.bare(),
            other => other,
        }
    }
}
