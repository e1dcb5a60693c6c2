//! Conditions on fields of spans.

use std::{cmp::Ordering, fmt};

use model::{MatchOp, Matcher, Span, span::SpanOrigin};

use super::field::{Seen, SpanField, SpanValue};
use crate::{Error, Result};

/// A field of a span, tested. Several values in a field: it holds where it holds for one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanCondition {
    pub field: SpanField,
    pub test: SpanTest,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SpanTest {
    /// The field has a value, of whatever type.
    Exists,
    /// It has none.
    Absent,
    /// It has a value of the same type that compares so; `Int` and `Float` are one type and compare as numbers. Status
    /// and kind know `=` and `!=` only, nothing else holds for them. A list without elements passes `!=`.
    Is(Comparison, SpanValue),
    /// It has text that the pattern matches whole.
    Matches(SpanPattern),
    /// It has text that the pattern does not match whole, or a list without elements.
    MatchesNot(SpanPattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

/// A regular expression in RE2's syntax, anchored at both ends, a dot matches newlines too.
#[derive(Clone, PartialEq, Eq)]
pub struct SpanPattern(Matcher);

impl SpanPattern {
    /// `Invalid` where it is no regular expression, or compiles to more than a megabyte.
    pub fn new(pattern: impl Into<String>) -> Result<Self> {
        Matcher::new("", MatchOp::Regex, pattern).map(SpanPattern).map_err(|e| {
            Error::invalid(format!("regular expression {:?} is not valid: {}", e.pattern, e.reason))
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0.value
    }

    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

impl fmt::Debug for SpanPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.value)
    }
}

impl SpanCondition {
    pub fn new(field: SpanField, test: SpanTest) -> Self {
        SpanCondition { field, test }
    }

    /// Whether a span of the given origin meets it; what every implementation answers with.
    pub fn passes(&self, span: &Span, origin: &SpanOrigin) -> bool {
        match &self.test {
            SpanTest::Exists => self.field.any(span, origin, &mut |_| true),
            SpanTest::Absent => !self.field.any(span, origin, &mut |_| true),
            test => self.field.any(span, origin, &mut |seen| test.accepts(seen)),
        }
    }
}

impl SpanTest {
    /// Whether one value of the field is enough for it. Nothing is for [`SpanTest::Absent`].
    pub fn accepts(&self, seen: Seen<'_>) -> bool {
        match (self, seen) {
            (SpanTest::Exists, _) => true,
            (SpanTest::Absent, _) => false,
            (SpanTest::Is(Comparison::NotEqual, _) | SpanTest::MatchesNot(_), Seen::Nothing) => true,
            (SpanTest::Is(how, wanted), seen) => compare(*how, seen, wanted),
            (SpanTest::Matches(p), Seen::Text(t)) => p.matches(t),
            (SpanTest::MatchesNot(p), Seen::Text(t)) => !p.matches(t),
            (SpanTest::Matches(_) | SpanTest::MatchesNot(_), _) => false,
        }
    }
}

fn compare(how: Comparison, seen: Seen<'_>, wanted: &SpanValue) -> bool {
    let same = |equal: bool| match how {
        Comparison::Equal => equal,
        Comparison::NotEqual => !equal,
        _ => false,
    };
    let order = match (seen, wanted) {
        (Seen::Text(a), SpanValue::Text(b)) => Some(a.cmp(b.as_str())),
        (Seen::Int(a), SpanValue::Int(b)) => Some(a.cmp(b)),
        (Seen::Bool(a), SpanValue::Bool(b)) => Some(a.cmp(b)),
        (Seen::Float(a), SpanValue::Float(b)) => return floats(how, a, *b),
        (Seen::Float(a), SpanValue::Int(b)) => return floats(how, a, *b as f64),
        (Seen::Int(a), SpanValue::Float(b)) => return floats(how, a as f64, *b),
        (Seen::Status(a), SpanValue::Status(b)) => return same(a == *b),
        (Seen::Kind(a), SpanValue::Kind(b)) => return same(a == *b),
        _ => None,
    };
    order.is_some_and(|o| how.accepts(o))
}

/// As IEEE 754 has it: what is no number is unequal to everything.
fn floats(how: Comparison, a: f64, b: f64) -> bool {
    match a.partial_cmp(&b) {
        Some(order) => how.accepts(order),
        None => how == Comparison::NotEqual,
    }
}
