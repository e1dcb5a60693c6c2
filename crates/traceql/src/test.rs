//! What a single span can say of a query, for those who list the values that spans have.

use contract::{SpanCondition, SpanFilter};
use model::{Span, span::SpanOrigin};

use crate::{
    Field, Query, Value,
    ast::{Expr, MetricsExpr, Pipeline},
    conditions::Need,
    eval::field::Subject,
    parse::single_field,
};

/// A test of single spans.
#[derive(Debug, Clone)]
pub struct SpanTest {
    query: Query,
}

impl SpanTest {
    pub fn of(query: &Query) -> Self {
        SpanTest { query: query.clone() }
    }

    /// What every span that can pass satisfies: for [`contract::SpansRequest::filters`].
    pub fn filters(&self) -> Vec<SpanFilter> {
        self.need().filters()
    }

    /// The same with conditions on any field: for [`contract::SpansRequest::any_of`] and
    /// [`contract::SpanValuesRequest::any_of`].
    pub fn any_of(&self) -> Vec<Vec<SpanCondition>> {
        self.need().any_of()
    }

    /// Whether a span can be among those the query finds, as far as the span alone says. What only its whole trace says
    /// is taken to hold.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        self.need().admits(span, origin)
    }

    fn need(&self) -> Need<'_> {
        match &self.query.expr {
            Expr::Spans(p) => Need::of(p),
            Expr::Metrics(m) => {
                let mut all = Vec::new();
                pipelines(m, &mut all);
                Need::OneOf(all.into_iter().map(Need::of).collect())
            }
        }
    }
}

fn pipelines<'q>(m: &'q MetricsExpr, out: &mut Vec<&'q Pipeline>) {
    match m {
        MetricsExpr::Query { pipeline, .. } => out.push(pipeline),
        MetricsExpr::Then { inner, .. } | MetricsExpr::Number { inner, .. } | MetricsExpr::Paren(inner) => {
            pipelines(inner, out);
        }
        MetricsExpr::Binary { left, right, .. } => {
            pipelines(left, out);
            pipelines(right, out);
        }
    }
}

impl Field {
    /// By its text: `resource.service.name`, `.a`, `span:name`, `status`. `None` where it is no field.
    pub fn parse(text: &str) -> Option<Field> {
        single_field(text)
    }

    /// What it is of a span; `Nil` where it is absent or only the whole trace says it. Of events and links there may be
    /// several, see [`Value::Many`].
    pub fn of<'a>(&self, span: &'a Span, origin: &'a SpanOrigin) -> Value<'a> {
        Subject::alone(span, origin).get(self).unwrap_or_default()
    }
}
