//! Functions that look at labels rather than values: `label_replace`, `label_join`, `sort*`, and the labels of
//! `absent`.

use std::cmp::Ordering;

use eval::{Error, Series, math::nan_first};
use model::{Labels, MatchOp, labels::METRIC_NAME};
use regex::Regex;

use super::{Result, Run, call::arg};
use crate::{
    ast::{Call, Expr, NodeId, NodeKind},
    functions::FunctionId,
};

/// Compiled patterns stay below this many bytes.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

/// What `absent` can tell of a series that is not there: the labels its selector demands.
pub(super) fn absent_labels(expr: &Expr, arg: NodeId) -> Labels {
    let mut id = expr.unwrap_parens(arg);
    if let NodeKind::Matrix { selector, .. } = expr.kind(id) {
        id = *selector;
    }
    let NodeKind::Selector(s) = expr.kind(id) else { return Labels::default() };
    let once = |name: &str| s.matchers.iter().filter(|m| m.name == name).count() == 1;
    Labels::from_pairs(
        s.matchers
            .iter()
            .filter(|m| m.op == MatchOp::Equal && m.name != METRIC_NAME && once(&m.name))
            .map(|m| (m.name.clone(), m.value.clone())),
    )
}

impl<'a> Run<'a> {
    pub(super) fn label_replace(&mut self, c: &Call) -> Result<Vec<Series>> {
        let mut rows = self.rows(arg(c, 0)?)?;
        let target = self.label_name(arg(c, 1)?, "destination label name in label_replace()")?;
        let replacement = self.string(arg(c, 2)?)?;
        let source = self.string(arg(c, 3)?)?;
        let pattern = self.string(arg(c, 4)?)?;
        let regex =
            regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_SIZE_LIMIT).build();
        let regex: Regex = regex.map_err(|_| {
            Error::invalid(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        for row in &mut rows {
            self.meter.tick()?;
            let Some(groups) = regex.captures(row.labels.value(&source)) else { continue };
            let mut value = String::new();
            groups.expand(&replacement, &mut value);
            set_label(row, &target, &value);
            self.meter.charge(row.labels.packed_len())?;
        }
        Ok(eval::rows::merge_strict(rows)?)
    }

    pub(super) fn label_join(&mut self, c: &Call) -> Result<Vec<Series>> {
        let mut rows = self.rows(arg(c, 0)?)?;
        let target = arg(c, 1)?;
        let separator = self.string(arg(c, 2)?)?;
        let mut sources = Vec::new();
        for source in c.args.iter().skip(3) {
            sources.push(self.label_name(*source, "source label name in label_join()")?);
        }
        let target = self.label_name(target, "destination label name in label_join()")?;
        for row in &mut rows {
            self.meter.tick()?;
            let values: Vec<&str> = sources.iter().map(|s| row.labels.value(s)).collect();
            let value = values.join(&separator);
            set_label(row, &target, &value);
            self.meter.charge(row.labels.packed_len())?;
        }
        Ok(eval::rows::merge_strict(rows)?)
    }

    /// Over a range the order of an answer is that of labels; sorting by value then does nothing and says so.
    pub(super) fn sort(&mut self, id: NodeId, c: &Call) -> Result<Vec<Series>> {
        let mut rows = self.rows(arg(c, 0)?)?;
        let mut names = Vec::new();
        for name in c.args.iter().skip(1) {
            names.push(self.string(*name)?);
        }
        let by_value = matches!(c.function.id, FunctionId::Sort | FunctionId::SortDesc);
        if self.grid(id).len() > 1 {
            let span = self.span(id);
            self.notes.warn(
                span,
                "PromQL warning: sort is ineffective for range queries since results are always ordered by labels",
            );
        }
        let descending = matches!(c.function.id, FunctionId::SortDesc | FunctionId::SortByLabelDesc);
        if by_value {
            for row in rows.iter_mut().filter(|r| r.column.has_histograms()) {
                row.column.map_floats(|v| v);
            }
            rows.retain(|r| !r.column.is_empty());
            let value = |r: &Series| r.column.float(0).unwrap_or(f64::NAN);
            if self.plan.split.is_above(id) && self.grid(id).len() == 1 {
                self.undecided |= super::pushed::has_equals(rows.iter().map(value).collect());
            }
            rows.sort_by(|a, b| {
                let (a, b) = (value(a), value(b));
                // Not-a-number comes last either way.
                match (a.is_nan(), b.is_nan()) {
                    (false, false) if descending => nan_first(b, a),
                    (false, false) => nan_first(a, b),
                    (x, y) => x.cmp(&y),
                }
            });
        } else {
            rows.sort_by(|a, b| {
                let differ = names.iter().map(|n| natural(a.labels.value(n), b.labels.value(n)));
                let order =
                    differ.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
                if descending { order.reverse() } else { order }
            });
        }
        Ok(rows)
    }
}

fn set_label(row: &mut Series, name: &str, value: &str) {
    row.labels = row.labels.with(name, value);
    if name == METRIC_NAME {
        // A name given on purpose stays.
        row.drop_name = false;
    }
}

/// Order in which runs of digits compare as numbers: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (x, rest_a) = chunk(a);
        let (y, rest_b) = chunk(b);
        if x.is_empty() || y.is_empty() {
            return x.len().cmp(&y.len());
        }
        let digits = |s: &str| s.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(x) && digits(y) {
            let (p, q) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            p.len().cmp(&q.len()).then_with(|| p.cmp(q)).then_with(|| x.len().cmp(&y.len()))
        } else {
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The first run of digits or of anything else, and what follows.
fn chunk(s: &str) -> (&str, &str) {
    let digit = s.starts_with(|c: char| c.is_ascii_digit());
    let end = s.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(s.len());
    s.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        let mut v = vec!["a10", "a2", "b1", "a", "a02"];
        v.sort_by(|a, b| natural(a, b));
        assert_eq!(v, ["a", "a2", "a02", "a10", "b1"]);
    }
}
