//! `compare`: how often each value of each field occurs among spans inside of a selection, and among the others.
//!
//! Compared are the fields of the span alone; ids, times and durations are not, since hardly two are alike.

use std::collections::BTreeMap;

use base::memory::Reservation;
use model::{AnyValue, Attributes};

use super::{
    exemplars::{Exemplars, Shape},
    rows::{Labels, Row},
};
use crate::{
    Result,
    ast::Comparison,
    eval::field::{Subject, holds},
    field::{Field, Intrinsic, Scope},
    value::{Groups, Value, order},
};

/// Values shown of each field where the query says nothing.
const TOP: u64 = 10;
/// Values counted of each field, on either side. A field that has more is shown by its totals alone, since none of
/// its values says much.
const MAX_VALUES: usize = 10_000;
/// What a value takes that is counted.
const VALUE_BYTES: u64 = 200;

const META: &str = "__meta_type";
const ERROR: &str = "__meta_error";
const TOO_MANY: &str = "__too_many_values__";

const COMPARED: [Intrinsic; 7] = [
    Intrinsic::Name,
    Intrinsic::Kind,
    Intrinsic::Status,
    Intrinsic::StatusMessage,
    Intrinsic::EventName,
    Intrinsic::InstrumentationName,
    Intrinsic::InstrumentationVersion,
];

/// Baseline and selection, which follow each other in every pair below.
#[derive(Default)]
pub(super) struct Compared {
    /// By scope and name.
    fields: Groups<[Side; 2]>,
    exemplars: [Exemplars; 2],
}

#[derive(Default)]
struct Side {
    totals: Vec<u64>,
    /// Counts by step, by value; `None` once there were too many.
    values: Values,
}

enum Values {
    Counted(Groups<BTreeMap<u32, u64>>),
    TooMany,
}

impl Default for Values {
    fn default() -> Self {
        Values::Counted(Groups::default())
    }
}

impl Compared {
    pub fn observe(
        &mut self,
        c: &Comparison,
        s: &Subject<'_>,
        step: usize,
        steps: usize,
        shape: &Shape<'_>,
        memory: &mut Reservation,
    ) -> Result<()> {
        let side = usize::from(is_selected(c, s));
        let mut each = |scope: Scope, name: &str, v: Value<'_>| -> Result<()> {
            let key = [Value::Int(scope as i64), Value::text(name)];
            let (sides, new) = self.fields.entry(&key, Default::default);
            if new {
                memory.grow(VALUE_BYTES)?;
            }
            sides[side].count(v, step, steps, memory)
        };
        for i in COMPARED {
            let v = s.get(&Field::Intrinsic(i)).unwrap_or_default();
            let word = i.as_str();
            match v.elements() {
                Some(all) => distinct(all).into_iter().try_for_each(|v| each(Scope::Any, word, v))?,
                None if matches!(&v, Value::Str(s) if s.is_empty()) => {}
                None => each(Scope::Any, word, v.clone())?,
            }
        }
        let origin = s.origin;
        for (scope, all) in [
            (Scope::Span, &s.span.attributes),
            (Scope::Resource, &origin.resource.attributes),
            (Scope::Instrumentation, &origin.scope.attributes),
        ] {
            all.iter().try_for_each(|(k, v)| each(scope, k, Value::of(v)))?;
        }
        several(s.span.events.iter().map(|e| &e.attributes), |k, v| each(Scope::Event, k, v))?;
        several(s.span.links.iter().map(|l| &l.attributes), |k, v| each(Scope::Link, k, v))?;
        shape.offer(&mut self.exemplars[side], s, None, memory)
    }

    pub fn rows(self, c: &Comparison, steps: usize, shape: &Shape<'_>) -> Vec<Row> {
        let top = usize::try_from(c.top.unwrap_or(TOP)).unwrap_or(usize::MAX);
        let exemplars = self.exemplars.map(|e| shape.take(e));
        let mut rows = Vec::new();
        for (key, sides) in self.fields.into_all() {
            let name = field_name(&key);
            let mut too_many = false;
            let words = [("baseline", "baseline_total"), ("selection", "selection_total")];
            for ((side, words), exemplars) in sides.into_iter().zip(words).zip(&exemplars) {
                if side.totals.is_empty() {
                    continue;
                }
                too_many |= side.values.more_than(top);
                for (value, counts) in side.values.top(top) {
                    let labels = labels(META, words.0, &name, value);
                    rows.push(Row { labels, values: dense(&counts, steps), exemplars: Vec::new() });
                }
                let values = side.totals.iter().map(|n| *n as f64).collect();
                let labels = labels(META, words.1, &name, Value::Nil.to_any());
                rows.push(Row { labels, values, exemplars: exemplars.clone() });
            }
            if too_many {
                let labels = labels(ERROR, TOO_MANY, &name, Value::Nil.to_any());
                rows.push(Row { labels, values: vec![0.0; steps], exemplars: Vec::new() });
            }
        }
        rows
    }
}

fn is_selected(c: &Comparison, s: &Subject<'_>) -> bool {
    let at = s.span.start_ns;
    c.between.is_none_or(|(start, end)| start < at && at <= end)
        && c.selection.as_ref().is_none_or(|e| holds(e, s) == Some(true))
}

/// Each value once, although several events have it.
fn distinct<'v>(all: impl Iterator<Item = Value<'v>>) -> Vec<Value<'v>> {
    let mut out: Vec<Value<'v>> = Vec::new();
    for v in all {
        if !out.contains(&v) {
            out.push(v);
        }
    }
    out
}

fn several<'a>(
    all: impl Iterator<Item = &'a Attributes>,
    mut each: impl FnMut(&str, Value<'a>) -> Result<()>,
) -> Result<()> {
    let mut seen: Vec<(&str, Value<'a>)> = Vec::new();
    for (k, v) in all.flat_map(Attributes::iter) {
        let pair = (k, Value::of(v));
        if !seen.contains(&pair) {
            each(k, pair.1.clone())?;
            seen.push(pair);
        }
    }
    Ok(())
}

impl Side {
    fn count(&mut self, v: Value<'_>, step: usize, steps: usize, memory: &mut Reservation) -> Result<()> {
        if v.is_nil() {
            return Ok(());
        }
        if self.totals.is_empty() {
            memory.grow(8 * steps as u64)?;
            self.totals = vec![0; steps];
        }
        if let Some(n) = self.totals.get_mut(step) {
            *n += 1;
        }
        let Values::Counted(values) = &mut self.values else { return Ok(()) };
        let (counts, new) = values.entry(&[v], BTreeMap::new);
        *counts.entry(step as u32).or_default() += 1;
        if new {
            memory.grow(VALUE_BYTES)?;
        }
        if values.len() > MAX_VALUES {
            self.values = Values::TooMany;
        }
        Ok(())
    }
}

impl Values {
    fn more_than(&self, top: usize) -> bool {
        match self {
            Values::Counted(groups) => groups.len() > top,
            Values::TooMany => true,
        }
    }

    /// The most frequent ones; of equally frequent ones those that come first in order.
    fn top(self, top: usize) -> Vec<(AnyValue, BTreeMap<u32, u64>)> {
        let Values::Counted(groups) = self else { return Vec::new() };
        let one = |(key, counts): (Vec<Value<'static>>, _)| {
            (key.first().map_or(AnyValue::Empty, Value::to_any), counts)
        };
        let mut all: Vec<(AnyValue, BTreeMap<u32, u64>)> = groups.into_all().into_iter().map(one).collect();
        let total = |counts: &BTreeMap<u32, u64>| counts.values().sum::<u64>();
        all.sort_by(|(av, a), (bv, b)| total(b).cmp(&total(a)).then_with(|| order(av, bv)));
        all.truncate(top);
        all
    }
}

fn dense(counts: &BTreeMap<u32, u64>, steps: usize) -> Vec<f64> {
    let mut out = vec![0.0; steps];
    for (step, n) in counts {
        if let Some(v) = out.get_mut(*step as usize) {
            *v = *n as f64;
        }
    }
    out
}

fn labels(kind: &str, word: &str, name: &str, value: AnyValue) -> Labels {
    vec![(kind.to_owned(), word.into()), (name.to_owned(), value)]
}

fn field_name(key: &[Value<'static>]) -> String {
    let [Value::Int(scope), Value::Str(name)] = key else { return String::new() };
    let scope = Scope::ALL.into_iter().find(|s| *s as i64 == *scope).unwrap_or(Scope::Any);
    match scope {
        Scope::Any => name.to_string(),
        scope => Field::attribute(scope, name.as_ref()).to_string(),
    }
}
