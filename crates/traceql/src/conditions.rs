//! What must hold of a span, as far as the span alone says: which of it a `Select` can be asked for, and the test of
//! spans that came.
//!
//! [`select`] is where conditions become those of [`contract::SpansRequest::any_of`], [`filters`] where they become the
//! plainer [`SpanFilter`]s. What is mapped must hold of every span that a query finds; the rest is looked at here.

use contract::{SpanCondition, SpanFilter, SpanParts};
use model::{Span, span::SpanOrigin};

use crate::{
    ast::{BinaryOp, FieldExpr, Pipeline, ScalarExpr, Side, SpansetExpr, SpansetOp, Stage},
    eval::field::{Subject, holds, root_test},
    field::{Field, Intrinsic, Scope},
};

mod filters;
mod select;

/// What every span satisfies that a pipeline can find.
#[derive(Debug, Clone)]
pub(crate) enum Need<'q> {
    Any,
    Is(&'q FieldExpr),
    All(Vec<Need<'q>>),
    OneOf(Vec<Need<'q>>),
}

impl<'q> Need<'q> {
    pub fn of(p: &'q Pipeline) -> Self {
        Need::All(p.0.iter().map(Need::of_stage).collect())
    }

    fn of_stage(stage: &'q Stage) -> Self {
        match stage {
            Stage::Spans(e) => Need::of_spansets(e),
            Stage::Scalar(f) => {
                let mut inner = Vec::new();
                pipelines(&f.left, &mut inner);
                pipelines(&f.right, &mut inner);
                if inner.is_empty() {
                    Need::Any
                } else {
                    Need::OneOf(inner.into_iter().map(Need::of).collect())
                }
            }
            Stage::By(_) | Stage::Coalesce | Stage::Select(_) => Need::Any,
        }
    }

    fn of_spansets(e: &'q SpansetExpr) -> Self {
        match e {
            SpansetExpr::Filter(None) => Need::Any,
            SpansetExpr::Filter(Some(e)) => Need::Is(e),
            SpansetExpr::Paren(inner) => Need::of_spansets(inner),
            SpansetExpr::Pipeline(p) => Need::of(p),
            SpansetExpr::Operation { op, left, right } => match op {
                SpansetOp::Related { side: Side::Right | Side::NotRight, .. } => Need::of_spansets(right),
                _ => Need::OneOf(vec![Need::of_spansets(left), Need::of_spansets(right)]),
            },
        }
    }

    /// Whether a span can be found, as far as it alone says.
    pub fn admits(&self, span: &Span, origin: &SpanOrigin) -> bool {
        match self {
            Need::Any => true,
            Need::Is(e) => holds(e, &Subject::alone(span, origin)) != Some(false),
            Need::All(all) => all.iter().all(|n| n.admits(span, origin)),
            Need::OneOf(all) => all.iter().any(|n| n.admits(span, origin)),
        }
    }

    /// What a `Select` is asked for, in alternatives. Empty for everything.
    pub fn any_of(&self) -> Vec<Vec<SpanCondition>> {
        self.alternatives().into_any_of()
    }

    fn alternatives(&self) -> select::Alternatives {
        match self {
            Need::Any => select::Alternatives::everything(),
            Need::Is(e) => select::of(e),
            Need::All(all) => {
                all.iter().map(Need::alternatives).fold(select::Alternatives::everything(), |a, b| a.and(b))
            }
            Need::OneOf(all) => all
                .iter()
                .map(Need::alternatives)
                .reduce(|a, b| a.or(b))
                .unwrap_or_else(select::Alternatives::everything),
        }
    }

    /// What holds of every span found, as Jaeger's API would ask for it.
    pub fn filters(&self) -> Vec<SpanFilter> {
        let mut out: Vec<SpanFilter> = Vec::new();
        let found = match self {
            Need::Any => Vec::new(),
            Need::Is(e) => filters::of(e),
            Need::All(all) => all.iter().flat_map(Need::filters).collect(),
            Need::OneOf(all) => common(all.iter().map(Need::filters)),
        };
        for f in found {
            if !out.contains(&f) {
                out.push(f);
            }
        }
        out
    }

    /// The traces whose ids are named, where every span found is of one of them.
    pub fn trace_ids(&self) -> Option<Vec<[u8; 16]>> {
        match self {
            Need::Any => None,
            Need::Is(e) => filters::trace_ids(e),
            Need::All(all) => all.iter().find_map(Need::trace_ids),
            Need::OneOf(all) => {
                let ids: Option<Vec<_>> = all.iter().map(Need::trace_ids).collect();
                ids.map(|ids| ids.concat())
            }
        }
    }
}

/// What is in all of the lists.
fn common(mut lists: impl Iterator<Item = Vec<SpanFilter>>) -> Vec<SpanFilter> {
    let first = lists.next().unwrap_or_default();
    lists.fold(first, |kept, list| kept.into_iter().filter(|f| list.contains(f)).collect())
}

fn pipelines<'q>(e: &'q ScalarExpr, out: &mut Vec<&'q Pipeline>) {
    match e {
        ScalarExpr::Literal(_) | ScalarExpr::Aggregate(_) => {}
        ScalarExpr::Negate(e) | ScalarExpr::Paren(e) => pipelines(e, out),
        ScalarExpr::Binary { left, right, .. } => {
            pipelines(left, out);
            pipelines(right, out);
        }
        ScalarExpr::Pipeline(p, _) => out.push(p),
    }
}

/// Whether single spans decide what the pipeline finds, so that no trace has to be read whole.
pub(crate) fn is_local(p: &Pipeline) -> bool {
    fn local(e: &SpansetExpr) -> bool {
        match e {
            SpansetExpr::Filter(e) => e.as_ref().is_none_or(asks_span_alone),
            SpansetExpr::Paren(inner) => local(inner),
            SpansetExpr::Pipeline(p) => is_local(p),
            // Both sides come whole where one of them has a span at all.
            SpansetExpr::Operation { op: SpansetOp::Or, left, right } => local(left) && local(right),
            SpansetExpr::Operation { .. } => false,
        }
    }
    p.0.iter().all(|stage| match stage {
        Stage::Spans(e) => local(e),
        Stage::Scalar(_) => false,
        Stage::By(_) | Stage::Coalesce | Stage::Select(_) => true,
    })
}

pub(crate) fn asks_span_alone(e: &FieldExpr) -> bool {
    match e {
        FieldExpr::Literal(_) => true,
        FieldExpr::Field(f) => !f.of_trace(),
        FieldExpr::Paren(e) | FieldExpr::Not(e) | FieldExpr::Negate(e) => asks_span_alone(e),
        FieldExpr::Match { left, .. } => asks_span_alone(left),
        FieldExpr::Binary { op: BinaryOp::Compare(op), left, right }
            if root_test(*op, left, right).is_some() =>
        {
            true
        }
        FieldExpr::Binary { left, right, .. } => asks_span_alone(left) && asks_span_alone(right),
    }
}

/// What has to be read of spans to look at these fields.
pub(crate) fn parts<'q>(fields: impl IntoIterator<Item = &'q Field>) -> SpanParts {
    let mut parts = SpanParts::least();
    for field in fields {
        let (events, links) = match field {
            Field::Attribute { scope, name, .. } => {
                if matches!(scope, Scope::Span | Scope::Any)
                    && let Some(keys) = &mut parts.attributes
                {
                    keys.insert(name.clone());
                }
                (matches!(scope, Scope::Event | Scope::Any), matches!(scope, Scope::Link | Scope::Any))
            }
            Field::Intrinsic(Intrinsic::EventName | Intrinsic::EventTimeSinceStart) => (true, false),
            Field::Intrinsic(Intrinsic::LinkTraceId | Intrinsic::LinkSpanId) => (false, true),
            _ => (false, false),
        };
        parts.events |= events;
        parts.links |= links;
    }
    parts
}
