//! Binary operators: numbers, series with numbers, and series with series that match on labels.

use std::collections::HashMap;

use model::Labels;

use super::frame::{Operand, Series, distinct};
use crate::{
    Error, Result,
    ast::{Binary, BinaryOp, Group, Matching},
};

pub(super) fn evaluate(b: &Binary, left: Operand, right: Operand) -> Result<Operand> {
    match (left, right) {
        (Operand::Scalar(l), Operand::Scalar(r)) => {
            let v = if b.op.is_comparison() { f64::from(holds(b.op, l, r)) } else { arithmetic(b.op, l, r) };
            Ok(Operand::Scalar(v))
        }
        (Operand::Series(s), Operand::Scalar(r)) => with_number(b, s, |v| (v, r)),
        (Operand::Scalar(l), Operand::Series(s)) => with_number(b, s, |v| (l, v)),
        (Operand::Series(l), Operand::Series(r)) if b.op.is_set() => Ok(Operand::Series(set(b, l, r))),
        (Operand::Series(l), Operand::Series(r)) => matched(b, l, r).map(Operand::Series),
    }
}

fn arithmetic(op: BinaryOp, l: f64, r: f64) -> f64 {
    match op {
        BinaryOp::Add => l + r,
        BinaryOp::Sub => l - r,
        BinaryOp::Mul => l * r,
        // Loki answers NaN where IEEE would have an infinity.
        BinaryOp::Div if r == 0.0 => f64::NAN,
        BinaryOp::Div => l / r,
        BinaryOp::Mod if r == 0.0 => f64::NAN,
        BinaryOp::Mod => l % r,
        BinaryOp::Pow => l.powf(r),
        _ => f64::NAN,
    }
}

fn holds(op: BinaryOp, l: f64, r: f64) -> bool {
    match op {
        BinaryOp::Equal => l == r,
        BinaryOp::NotEqual => l != r,
        BinaryOp::Greater => l > r,
        BinaryOp::GreaterEqual => l >= r,
        BinaryOp::Less => l < r,
        BinaryOp::LessEqual => l <= r,
        _ => false,
    }
}

/// One result: a comparison keeps `kept` or nothing, unless `bool` asks for 1 and 0.
fn combine(b: &Binary, l: f64, r: f64, kept: f64) -> Option<f64> {
    if !b.op.is_comparison() {
        return Some(arithmetic(b.op, l, r));
    }
    let holds = holds(b.op, l, r);
    if b.return_bool { Some(f64::from(holds)) } else { holds.then_some(kept) }
}

fn with_number(b: &Binary, mut series: Vec<Series>, sides: impl Fn(f64) -> (f64, f64)) -> Result<Operand> {
    if b.op.is_set() {
        return Err(Error::invalid(format!("{} takes vectors on both sides", b.op.as_str())));
    }
    for s in &mut series {
        for value in &mut s.values {
            *value = value.and_then(|v| {
                let (l, r) = sides(v);
                combine(b, l, r, v)
            });
        }
    }
    series.retain(|s| s.values.iter().any(Option::is_some));
    Ok(Operand::Series(series))
}

fn signature(labels: &Labels, matching: Option<&Matching>) -> Labels {
    match matching {
        None => labels.clone(),
        Some(m) if m.on => labels.only(&m.labels),
        Some(m) => labels.without(&m.labels),
    }
}

fn by_signature(series: &[Series], matching: Option<&Matching>) -> HashMap<Labels, Vec<usize>> {
    let mut out: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (i, s) in series.iter().enumerate() {
        out.entry(signature(&s.labels, matching)).or_default().push(i);
    }
    out
}

fn set(b: &Binary, left: Vec<Series>, right: Vec<Series>) -> Vec<Series> {
    let matching = b.matching.as_ref();
    // `or` adds what the left lacks; the others keep of the left what the right has or lacks.
    let (mut kept, other) = if b.op == BinaryOp::Or { (right, left) } else { (left, right) };
    let index = by_signature(&other, matching);
    for s in &mut kept {
        let partners = index.get(&signature(&s.labels, matching));
        for (k, value) in s.values.iter_mut().enumerate() {
            let found = partners.is_some_and(|p| p.iter().any(|i| other[*i].values[k].is_some()));
            if found != (b.op == BinaryOp::And) {
                *value = None;
            }
        }
    }
    kept.retain(|s| s.values.iter().any(Option::is_some));
    if b.op == BinaryOp::Or {
        kept.splice(0..0, other);
    }
    // Under `or on(...)` both sides may hold the same labels at different steps.
    join_disjoint(kept)
}

fn join_disjoint(series: Vec<Series>) -> Vec<Series> {
    let mut out: Vec<Series> = Vec::with_capacity(series.len());
    let mut index: HashMap<Labels, usize> = HashMap::new();
    for s in series {
        match index.get(&s.labels) {
            Some(i) => {
                for (mine, other) in out[*i].values.iter_mut().zip(s.values) {
                    *mine = mine.or(other);
                }
            }
            None => {
                index.insert(s.labels.clone(), out.len());
                out.push(s);
            }
        }
    }
    out
}

fn matched(b: &Binary, left: Vec<Series>, right: Vec<Series>) -> Result<Vec<Series>> {
    let matching = b.matching.as_ref();
    let group = matching.map_or(&Group::None, |m| &m.group);
    // The "many" side drives; with `group_right` that is the right one.
    let swapped = matches!(group, Group::Right(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let index = by_signature(&one, matching);
    let mut taken: HashMap<Labels, Vec<bool>> = HashMap::new();
    let mut out = Vec::new();
    for m in many {
        let key = signature(&m.labels, matching);
        let Some(partners) = index.get(&key) else { continue };
        let mut by_partner: HashMap<usize, Vec<Option<f64>>> = HashMap::new();
        for (k, value) in m.values.iter().enumerate() {
            let Some(v) = value else { continue };
            let mut present = partners.iter().filter(|p| one[**p].values[k].is_some());
            let Some(p) = present.next() else { continue };
            if present.next().is_some() {
                return Err(ambiguous(&key, if swapped { "left" } else { "right" }));
            }
            let Some(w) = one[*p].values[k] else { continue };
            if *group == Group::None {
                let used = taken.entry(key.clone()).or_insert_with(|| vec![false; m.values.len()]);
                if std::mem::replace(&mut used[k], true) {
                    return Err(Error::invalid(
                        "multiple matches for labels: many-to-one matching must be explicit \
                         (group_left/group_right)",
                    ));
                }
            }
            let (l, r) = if swapped { (w, *v) } else { (*v, w) };
            let result = combine(b, l, r, l);
            by_partner.entry(*p).or_insert_with(|| vec![None; m.values.len()])[k] = result;
        }
        for (p, values) in by_partner {
            if values.iter().any(Option::is_some) {
                out.push(Series { labels: result_labels(&m.labels, &one[p].labels, matching), values });
            }
        }
    }
    distinct(out)
}

fn ambiguous(key: &Labels, side: &str) -> Error {
    Error::invalid(format!(
        "found duplicate series for the match group {key} on the {side} hand-side of the operation; many-to-many \
         matching not allowed: matching labels must be unique on one side"
    ))
}

fn result_labels(many: &Labels, one: &Labels, matching: Option<&Matching>) -> Labels {
    let Some(m) = matching else { return many.clone() };
    match &m.group {
        Group::None if m.on => many.only(&m.labels),
        Group::None => many.without(&m.labels),
        Group::Left(include) | Group::Right(include) => {
            include.iter().fold(many.clone(), |l, name| l.with(name, one.value(name)))
        }
    }
}
