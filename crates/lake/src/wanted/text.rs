//! Conditions on texts: columns and entries of maps that are compared with literals.

use contract::LineFilter;
use datafusion::{
    arrow::datatypes::DataType,
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator, expr::ScalarFunction},
};

use super::pattern::{self, Like};

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Column(String),
    /// Map and key: `labels['app']`.
    Entry(String, String),
}

/// How it is compared. Absent values pass none of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Like(Like),
    /// A regular expression is found somewhere in it.
    Found {
        pattern: String,
        is_negated: bool,
    },
}

/// A list longer than this makes a pattern that costs more than it saves.
const MAX_LIST: usize = 500;

/// The comparison that a condition is, if it is one.
pub(crate) fn test(filter: &Expr) -> Option<(Field, Test)> {
    match filter {
        Expr::BinaryExpr(b) => compared(b),
        Expr::InList(list) => {
            let values = list.list.iter().map(literal).collect::<Option<Vec<String>>>()?;
            let tested = if list.negated { Test::NotIn(values) } else { Test::In(values) };
            (!list.list.is_empty() && list.list.len() <= MAX_LIST)
                .then(|| Some((field(&list.expr)?, tested)))
                .flatten()
        }
        Expr::Like(l) => {
            let escape = l.escape_char.unwrap_or('\\');
            let like = Like::parse(&literal(&l.pattern)?, escape, l.negated, l.case_insensitive)?;
            Some((field(&l.expr)?, Test::Like(like)))
        }
        Expr::ScalarFunction(f) => called(f),
        Expr::Not(inner) => match test(inner)? {
            (field, Test::Like(like)) if !like.is_negated => {
                Some((field, Test::Like(Like { is_negated: true, ..like })))
            }
            (field, Test::Found { pattern, is_negated: false }) => {
                Some((field, Test::Found { pattern, is_negated: true }))
            }
            _ => None,
        },
        _ => None,
    }
}

fn compared(b: &BinaryExpr) -> Option<(Field, Test)> {
    let (field, op, text) = match (field(&b.left), literal(&b.right)) {
        (Some(field), Some(text)) => (field, b.op, text),
        _ => (field(&b.right)?, b.op.swap()?, literal(&b.left)?),
    };
    let found = |pattern, is_negated| Test::Found { pattern, is_negated };
    let test = match op {
        Operator::Eq => Test::In(vec![text]),
        Operator::NotEq => Test::NotIn(vec![text]),
        Operator::RegexMatch => found(text, false),
        Operator::RegexIMatch => found(format!("(?i){text}"), false),
        Operator::RegexNotMatch => found(text, true),
        Operator::RegexNotIMatch => found(format!("(?i){text}"), true),
        Operator::LikeMatch => Test::Like(Like::parse(&text, '\\', false, false)?),
        Operator::NotLikeMatch => Test::Like(Like::parse(&text, '\\', true, false)?),
        _ => return None,
    };
    Some((field, test))
}

fn called(f: &ScalarFunction) -> Option<(Field, Test)> {
    let [subject, argument] = &f.args[..] else { return None };
    let (field, text) = (field(subject)?, literal(argument)?);
    let test = match f.func.name() {
        "contains" => Test::Like(Like::containing(&text)),
        "starts_with" => Test::Like(Like::starting(&text)),
        "ends_with" => Test::Like(Like::ending(&text)),
        "regexp_like" => Test::Found { pattern: text, is_negated: false },
        _ => return None,
    };
    Some((field, test))
}

fn field(e: &Expr) -> Option<Field> {
    match e {
        Expr::Column(c) => Some(Field::Column(c.name.clone())),
        Expr::Cast(c) if is_text(c.field.data_type()) => match field(&c.expr)? {
            // A number's text is not what a request compares; the columns of text are known by name.
            Field::Column(c) if !TEXTS.contains(&c.as_str()) => None,
            other => Some(other),
        },
        Expr::ScalarFunction(f) if f.func.name() == "get_field" => match &f.args[..] {
            [Expr::Column(map), key] => Some(Field::Entry(map.name.clone(), literal(key)?)),
            _ => None,
        },
        _ => None,
    }
}

const TEXTS: [&str; 7] = ["body", "metric", "service_name", "cluster", "trace_id", "name", "kind"];

fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn literal(e: &Expr) -> Option<String> {
    match e {
        Expr::Literal(
            ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)),
            _,
        ) => Some(s.clone()),
        _ => None,
    }
}

impl Test {
    /// The same as conditions on a line.
    pub(crate) fn lines(&self) -> Vec<LineFilter> {
        match self {
            Test::In(values) => match &values[..] {
                [one] if one.is_empty() => Vec::new(),
                [one] => vec![LineFilter::Contains(one.clone())],
                many if many.iter().any(String::is_empty) => Vec::new(),
                many => vec![LineFilter::Regex(pattern::any_of(many))],
            },
            // That a line contains a text does not say that it is that text.
            Test::NotIn(_) => Vec::new(),
            Test::Like(like) => like.lines(),
            Test::Found { pattern, is_negated: true } => match pattern::portable(pattern) {
                // Engines differ in what they take for the same letter, so nothing is excluded by it.
                true if pattern.starts_with("(?i)") => Vec::new(),
                true => vec![LineFilter::NotRegex(format!("(?-s:{pattern})"))],
                false => Vec::new(),
            },
            Test::Found { pattern, is_negated: false } => {
                let texts = pattern::needed(pattern).into_iter().map(LineFilter::Contains);
                let whole = pattern::portable(pattern).then(|| LineFilter::Regex(format!("(?-s:{pattern})")));
                texts.chain(whole).collect()
            }
        }
    }
}
