//! Aggregates of a spanset, and comparisons between them.

use super::{Spanset, field, field::Subject, stages, union};
use crate::{
    Error, Result,
    ast::{Aggregate, AggregateOp, ScalarExpr, ScalarFilter},
    trace::Trace,
    value::Value,
};

/// The spanset with what was computed of it, where the comparison holds.
pub(super) fn filter(f: &ScalarFilter, trace: &Trace, mut set: Spanset) -> Result<Option<Spanset>> {
    let mut seen = Seen::default();
    let left = scalar(&f.left, trace, &set, &mut seen)?;
    let right = scalar(&f.right, trace, &set, &mut seen)?;
    if !left.compares(f.op, &right) {
        return Ok(None);
    }
    set.attributes.extend(seen.attributes);
    if let Some(spans) = seen.spans {
        set.spans = spans;
    }
    Ok(Some(set))
}

/// What was met on the way.
#[derive(Default)]
struct Seen {
    attributes: Vec<(String, model::AnyValue)>,
    /// Spans of pipelines inside of the comparison: what it is about where it has any.
    spans: Option<Vec<u32>>,
}

fn scalar(e: &ScalarExpr, trace: &Trace, set: &Spanset, seen: &mut Seen) -> Result<Value<'static>> {
    Ok(match e {
        ScalarExpr::Literal(v) => v.clone(),
        ScalarExpr::Paren(inner) => scalar(inner, trace, set, seen)?,
        ScalarExpr::Negate(inner) => scalar(inner, trace, set, seen)?.negated(),
        ScalarExpr::Binary { op, left, right } => {
            let left = scalar(left, trace, set, seen)?;
            left.computed(*op, &scalar(right, trace, set, seen)?)
        }
        ScalarExpr::Aggregate(a) => named(a, a.to_string(), trace, &set.spans, seen),
        ScalarExpr::Pipeline(p, a) => {
            let mut sets = stages(p, trace, vec![set.clone()])?;
            let spans = sets.pop().map(|s| s.spans).unwrap_or_default();
            if !sets.is_empty() {
                let message =
                    "a pipeline that is computed with has several spansets of a trace: end it in coalesce()";
                return Err(Error::invalid(message));
            }
            seen.spans = Some(union(&seen.spans.take().unwrap_or_default(), &spans));
            named(a, e.to_string(), trace, &spans, seen)
        }
    })
}

fn named(a: &Aggregate, name: String, trace: &Trace, spans: &[u32], seen: &mut Seen) -> Value<'static> {
    let value = aggregate(a, trace, spans);
    if !value.is_nil() && !seen.attributes.iter().any(|(n, _)| *n == name) {
        seen.attributes.push((name, value.to_any()));
    }
    value
}

/// `Nil` where nothing is a number, but for the count, which is then 0.
fn aggregate(a: &Aggregate, trace: &Trace, spans: &[u32]) -> Value<'static> {
    let Some(of) = &a.of else { return Value::Int(spans.len() as i64) };
    let mut total = Total::default();
    for at in spans {
        let Some(value) = Subject::in_trace(trace, *at).and_then(|s| field::value(of, &s)) else { continue };
        match value.elements() {
            Some(all) => all.for_each(|v| total.add(&v)),
            None => total.add(&value),
        }
    }
    total.value(a.op)
}

/// All numbers so far. Integers and durations stay what they are as long as there is nothing else.
#[derive(Default)]
struct Total {
    count: i64,
    whole: i64,
    float: f64,
    kinds: [bool; 3],
    min: Option<Value<'static>>,
    max: Option<Value<'static>>,
}

impl Total {
    fn add(&mut self, v: &Value<'_>) {
        let number = match v {
            Value::Int(i) => Value::Int(*i),
            Value::Duration(d) => Value::Duration(*d),
            Value::Float(f) => Value::Float(*f),
            _ => return,
        };
        self.count += 1;
        self.float += number.as_f64().unwrap_or_default();
        match number {
            Value::Int(i) => {
                self.whole = self.whole.wrapping_add(i);
                self.kinds[0] = true;
            }
            Value::Duration(d) => {
                self.whole = self.whole.wrapping_add(d);
                self.kinds[1] = true;
            }
            _ => self.kinds[2] = true,
        }
        let beyond = |best: &Option<Value<'static>>, op| best.as_ref().is_none_or(|b| number.compares(op, b));
        if beyond(&self.min, crate::ast::CompareOp::Less) {
            self.min = Some(number.clone());
        }
        if beyond(&self.max, crate::ast::CompareOp::Greater) {
            self.max = Some(number);
        }
    }

    fn value(self, op: AggregateOp) -> Value<'static> {
        if self.count == 0 {
            return Value::Nil;
        }
        match (op, self.kinds) {
            (AggregateOp::Count, _) => Value::Int(self.count),
            (AggregateOp::Min, _) => self.min.unwrap_or_default(),
            (AggregateOp::Max, _) => self.max.unwrap_or_default(),
            (AggregateOp::Sum, [true, false, false]) => Value::Int(self.whole),
            (AggregateOp::Sum, [false, true, false]) => Value::Duration(self.whole),
            (AggregateOp::Sum, _) => Value::Float(self.float),
            (AggregateOp::Avg, [false, true, false]) => Value::Duration(self.whole / self.count),
            (AggregateOp::Avg, [true, false, false]) => Value::Float(self.whole as f64 / self.count as f64),
            (AggregateOp::Avg, _) => Value::Float(self.float / self.count as f64),
        }
    }
}
