//! What is made of series: the largest and smallest, comparisons, arithmetic.

use std::collections::{BTreeMap, HashMap};

use super::rows::{Labels, Row, order_labels};
use crate::{
    ast::{ArithmeticOp, CompareOp, MetricsExpr, SecondStage},
    value::holds,
};

const NAME: &str = "__name__";

/// `leaves` are the rows of the expression's queries from left to right.
pub(super) fn evaluate(expr: &MetricsExpr, leaves: &mut dyn Iterator<Item = Vec<Row>>) -> Vec<Row> {
    match expr {
        MetricsExpr::Query { .. } => leaves.next().unwrap_or_default(),
        MetricsExpr::Paren(inner) => evaluate(inner, leaves),
        MetricsExpr::Then { inner, stage } => {
            let rows = evaluate(inner, leaves);
            match stage {
                SecondStage::TopK(k) => pick(rows, *k, |v| -v),
                SecondStage::BottomK(k) => pick(rows, *k, |v| v),
                SecondStage::Filter(op, number) => {
                    each(rows, |v| if compares(*op, v, *number) { v } else { f64::NAN })
                }
            }
        }
        MetricsExpr::Number { op, inner, number, number_first } => {
            let rows = evaluate(inner, leaves);
            each(rows, |v| if *number_first { compute(*op, *number, v) } else { compute(*op, v, *number) })
        }
        MetricsExpr::Binary { op, left, right } => {
            let left = evaluate(left, leaves);
            let right = evaluate(right, leaves);
            join(*op, left, right)
        }
    }
}

fn compares(op: CompareOp, v: f64, number: f64) -> bool {
    v.partial_cmp(&number).is_some_and(|o| holds(op, o))
}

/// What is divided by zero is no number.
fn compute(op: ArithmeticOp, a: f64, b: f64) -> f64 {
    match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Sub => a - b,
        ArithmeticOp::Mul => a * b,
        ArithmeticOp::Div if b != 0.0 => a / b,
        _ => f64::NAN,
    }
}

/// Exemplars follow their series; what they are valued is computed alike.
fn each(mut rows: Vec<Row>, change: impl Fn(f64) -> f64) -> Vec<Row> {
    for row in &mut rows {
        row.values.iter_mut().for_each(|v| *v = change(*v));
        // One that has no value stands where its sample does.
        row.exemplars.retain_mut(|e| {
            let had = !e.value.is_nan();
            e.value = change(e.value);
            !had || !e.value.is_nan()
        });
    }
    rows
}

/// At each step the `k` rows whose values rank lowest; of equal ones those whose labels come first.
fn pick(mut rows: Vec<Row>, k: u64, rank: impl Fn(f64) -> f64) -> Vec<Row> {
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    if rows.len() <= k {
        return rows;
    }
    rows.sort_by(|a, b| order_labels(&a.labels, &b.labels));
    let steps = rows.iter().map(|r| r.values.len()).max().unwrap_or_default();
    for step in 0..steps {
        let value = |r: &Row| r.values.get(step).copied().filter(|v| !v.is_nan());
        let mut ranked: Vec<(f64, usize)> =
            rows.iter().enumerate().filter_map(|(i, r)| Some((rank(value(r)?), i))).collect();
        ranked.sort_by(|(a, i), (b, j)| a.total_cmp(b).then(i.cmp(j)));
        for (_, i) in ranked.into_iter().skip(k) {
            if let Some(v) = rows.get_mut(i).and_then(|r| r.values.get_mut(step)) {
                *v = f64::NAN;
            }
        }
    }
    rows
}

/// Rows with the same labels; one without labels stands for every row of the other side.
fn join(op: ArithmeticOp, left: Vec<Row>, right: Vec<Row>) -> Vec<Row> {
    let (left, right) = (Side::of(left), Side::of(right));
    let of = if right.bare.is_some() { &left } else { &right };
    let mut out = Vec::new();
    for key in of.by_key.keys() {
        let (Some((l, l_bare)), Some((r, r_bare))) = (left.find(key), right.find(key)) else { continue };
        let values = l.values.iter().zip(&r.values).map(|(a, b)| compute(op, *a, *b)).collect();
        let mut exemplars = Vec::new();
        if l_bare == r_bare || !l_bare {
            exemplars.extend(l.exemplars.iter().cloned());
        }
        if l_bare == r_bare || !r_bare {
            exemplars.extend(r.exemplars.iter().cloned());
        }
        out.push(Row { labels: joined(op, &l.labels, &r.labels), values, exemplars });
    }
    out
}

/// Rows by their labels, names of functions left out.
struct Side {
    rows: Vec<Row>,
    by_key: BTreeMap<String, usize>,
    bare: Option<usize>,
}

impl Side {
    fn of(rows: Vec<Row>) -> Self {
        let key = |r: &Row| -> String {
            let named = r.labels.iter().filter(|(n, _)| n != NAME);
            named.map(|(n, v)| format!("{n}\u{0}{}\u{0}{v}\u{0}", v.type_name())).collect()
        };
        let by_key: BTreeMap<String, usize> = rows.iter().enumerate().map(|(i, r)| (key(r), i)).collect();
        let bare = by_key.get("").copied();
        Side { rows, by_key, bare }
    }

    /// The row, and whether it stands for it without having its labels.
    fn find(&self, key: &str) -> Option<(&Row, bool)> {
        match self.by_key.get(key) {
            Some(i) => Some((self.rows.get(*i)?, false)),
            None => Some((self.rows.get(self.bare?)?, true)),
        }
    }
}

/// Labels of both sides, those of the left where both have one. Where both name a function the name says what became
/// of them.
fn joined(op: ArithmeticOp, left: &Labels, right: &Labels) -> Labels {
    let names: HashMap<bool, String> = [(false, left), (true, right)]
        .into_iter()
        .filter_map(|(side, labels)| {
            labels.iter().find(|(n, _)| n == NAME).map(|(_, v)| (side, v.to_string()))
        })
        .collect();
    let mut out: Labels = left.iter().filter(|(n, _)| n != NAME).cloned().collect();
    for label in right.iter().filter(|(n, _)| n != NAME) {
        if !out.iter().any(|(n, _)| *n == label.0) {
            out.push(label.clone());
        }
    }
    if let (Some(l), Some(r)) = (names.get(&false), names.get(&true)) {
        out.push((NAME.to_owned(), format!("({l} {} {r})", op.as_str()).into()));
    }
    out
}
