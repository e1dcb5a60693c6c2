//! Label filters on a row.
//!
//! A filter that compares numbers needs the label: a row without it is dropped. A value that is no number keeps
//! the row and marks it with `LabelFilterErr`; a row that is marked already passes such filters, so that only
//! filters on text (`__error__=""`) can drop it. Loki does the same.

use model::Matcher;

use super::{ip::IpTest, labels::RowLabels};
use crate::{
    ast::{CompareOp, LabelFilter},
    units::{parse_bytes, parse_duration},
};

pub(crate) enum LabelTest {
    Text(Matcher),
    Number(String, CompareOp, f64),
    DurationNs(String, CompareOp, i64),
    Bytes(String, CompareOp, u64),
    Ip { label: String, negative: bool, test: IpTest },
    And(Box<LabelTest>, Box<LabelTest>),
    Or(Box<LabelTest>, Box<LabelTest>),
}

impl LabelTest {
    pub fn new(filter: &LabelFilter) -> Result<Self, String> {
        Ok(match filter {
            LabelFilter::Text(m) => LabelTest::Text(m.clone()),
            LabelFilter::Number { label, op, value } => LabelTest::Number(label.clone(), *op, *value),
            LabelFilter::Duration { label, op, value_ns } => {
                LabelTest::DurationNs(label.clone(), *op, *value_ns)
            }
            LabelFilter::Bytes { label, op, value } => LabelTest::Bytes(label.clone(), *op, *value),
            LabelFilter::Ip { label, negative, pattern } => {
                LabelTest::Ip { label: label.clone(), negative: *negative, test: IpTest::parse(pattern)? }
            }
            LabelFilter::And(a, b) => LabelTest::And(Box::new(Self::new(a)?), Box::new(Self::new(b)?)),
            LabelFilter::Or(a, b) => LabelTest::Or(Box::new(Self::new(a)?), Box::new(Self::new(b)?)),
        })
    }

    pub fn passes(&self, labels: &mut RowLabels<'_>) -> bool {
        match self {
            LabelTest::Text(m) => m.matches(labels.get(&m.name).unwrap_or("")),
            LabelTest::Number(l, op, v) => compare(labels, l, *op, v, |s| s.trim().parse().ok(), "a number"),
            LabelTest::DurationNs(l, op, v) => compare(labels, l, *op, v, parse_duration, "a duration"),
            LabelTest::Bytes(l, op, v) => compare(labels, l, *op, v, parse_bytes, "a size in bytes"),
            LabelTest::Ip { label, negative, test } => {
                if labels.error().is_some() {
                    return true;
                }
                labels.get(label).is_some_and(|v| test.matches(v) != *negative)
            }
            LabelTest::And(a, b) => a.passes(labels) && b.passes(labels),
            LabelTest::Or(a, b) => a.passes(labels) || b.passes(labels),
        }
    }
}

fn compare<T: PartialOrd>(
    labels: &mut RowLabels<'_>,
    label: &str,
    op: CompareOp,
    wanted: &T,
    parse: impl Fn(&str) -> Option<T>,
    what: &str,
) -> bool {
    if labels.error().is_some() {
        return true;
    }
    let Some(text) = labels.get(label).filter(|t| !t.is_empty()) else { return false };
    match parse(text) {
        Some(value) => op.holds(&value, wanted),
        None => {
            let details = format!("label {label} has the value {text:?}, which is not {what}");
            labels.set_error("LabelFilterErr", details);
            true
        }
    }
}
