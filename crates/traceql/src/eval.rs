//! A trace through a pipeline.
//!
//! ```text
//! all spans of a trace  ->  stage by stage: spansets to spansets  ->  what is left is found
//!     field.rs       what an expression makes of one span
//!     structure.rs   which spans are related
//!     scalar.rs      aggregates of a spanset
//! ```

use model::AnyValue;

use crate::{
    Error, Result,
    ast::{FieldExpr, Pipeline, SpansetExpr, SpansetOp, Stage},
    trace::Trace,
    value::Groups,
};

pub(crate) mod field;
mod scalar;
mod structure;

use field::Subject;

/// Spans of one trace, by their place in it, ascending and each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Spanset {
    pub spans: Vec<u32>,
    /// What `by` and aggregates made of it.
    pub attributes: Vec<(String, AnyValue)>,
}

/// What a pipeline makes of a trace; never an empty spanset.
pub(crate) fn run(pipeline: &Pipeline, trace: &Trace) -> Result<Vec<Spanset>> {
    let all = Spanset { spans: (0..trace.len() as u32).collect(), attributes: Vec::new() };
    stages(pipeline, trace, vec![all])
}

fn stages(pipeline: &Pipeline, trace: &Trace, input: Vec<Spanset>) -> Result<Vec<Spanset>> {
    let mut sets = input;
    for stage in &pipeline.0 {
        sets.retain(|s| !s.spans.is_empty());
        sets = match stage {
            Stage::Spans(e) => {
                let parts: Result<Vec<_>> = sets.iter().map(|s| spansets(e, trace, s)).collect();
                parts?.into_iter().flatten().collect()
            }
            Stage::Scalar(f) => {
                let kept: Result<Vec<_>> = sets.into_iter().map(|s| scalar::filter(f, trace, s)).collect();
                kept?.into_iter().flatten().collect()
            }
            Stage::By(e) => sets.iter().flat_map(|s| groups(e, trace, s)).collect(),
            Stage::Coalesce => {
                let spans = sets.iter().fold(Vec::new(), |all, s| union(&all, &s.spans));
                vec![Spanset { spans, attributes: Vec::new() }]
            }
            Stage::Select(_) => sets,
        };
    }
    sets.retain(|s| !s.spans.is_empty());
    Ok(sets)
}

fn spansets(e: &SpansetExpr, trace: &Trace, input: &Spanset) -> Result<Vec<Spanset>> {
    match e {
        SpansetExpr::Filter(None) => Ok(vec![input.clone()]),
        SpansetExpr::Filter(Some(e)) => {
            let spans = input.spans.iter().copied().filter(|i| holds(e, trace, *i)).collect();
            Ok(vec![Spanset { spans, attributes: input.attributes.clone() }])
        }
        SpansetExpr::Paren(inner) => spansets(inner, trace, input),
        SpansetExpr::Pipeline(p) => stages(p, trace, vec![input.clone()]),
        SpansetExpr::Operation { op, left, right } => {
            let spans = operation(*op, spansets(left, trace, input)?, spansets(right, trace, input)?, trace)?;
            Ok(vec![Spanset { spans, attributes: input.attributes.clone() }])
        }
    }
}

fn operation(op: SpansetOp, left: Vec<Spanset>, right: Vec<Spanset>, trace: &Trace) -> Result<Vec<u32>> {
    if let SpansetOp::Related { .. } = op
        && (left.len() > 1 || right.len() > 1)
    {
        return Err(Error::invalid(format!(
            "{:?} is not defined between several spansets of a trace: put coalesce() before it",
            op.as_str()
        )));
    }
    let all = |sets: Vec<Spanset>| sets.iter().fold(Vec::new(), |all, s| union(&all, &s.spans));
    let (left, right) = (all(left), all(right));
    Ok(match op {
        SpansetOp::And if left.is_empty() || right.is_empty() => Vec::new(),
        SpansetOp::And | SpansetOp::Or => union(&left, &right),
        SpansetOp::Related { relation, side } => {
            structure::related(trace.tree(), relation, side, &left, &right)
        }
    })
}

fn holds(e: &FieldExpr, trace: &Trace, at: u32) -> bool {
    Subject::in_trace(trace, at).is_some_and(|s| field::holds(e, &s) == Some(true))
}

fn groups(e: &FieldExpr, trace: &Trace, input: &Spanset) -> Vec<Spanset> {
    let mut groups: Groups<Vec<u32>> = Groups::default();
    for at in &input.spans {
        let value =
            Subject::in_trace(trace, *at).and_then(|s| field::value(e, &s)).unwrap_or_default().first();
        groups.entry(&[value], Vec::new).0.push(*at);
    }
    let name = format!("by({e})");
    let set = |(key, spans): (Vec<crate::Value<'static>>, Vec<u32>)| {
        let mut attributes = input.attributes.clone();
        attributes.extend(key.iter().map(|v| (name.clone(), v.to_any())));
        Spanset { spans, attributes }
    };
    groups.into_all().into_iter().map(set).collect()
}

/// Both of two ascending lists, ascending and each once.
fn union(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let Some(next) = a.peek().into_iter().chain(b.peek()).min().map(|x| **x) {
        a.next_if(|x| **x == next);
        b.next_if(|x| **x == next);
        out.push(next);
    }
    out
}
