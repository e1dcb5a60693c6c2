//! Bounds of time in a condition, and of a span's duration.

use contract::SpanFilter;
use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::ScalarValue,
    logical_expr::{Between, Expr, Operator},
};
use model::{TimeRange, TimestampNs};

/// The range of times that a condition lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub range: TimeRange,
    /// Every time in the range passes, whatever else a row holds.
    pub is_exact: bool,
}

/// The bound a condition sets to the column `timestamp`; `None` where it sets none that can be told.
pub(crate) fn bound(filter: &Expr, depth: usize) -> Option<Bound> {
    if depth == 0 {
        return None;
    }
    match filter {
        Expr::BinaryExpr(b) if b.op == Operator::And => {
            match (bound(&b.left, depth - 1), bound(&b.right, depth - 1)) {
                (Some(l), Some(r)) => {
                    Some(Bound { range: l.range.intersect(r.range), is_exact: l.is_exact && r.is_exact })
                }
                // The other half may hold conditions of another kind; see who calls.
                _ => None,
            }
        }
        Expr::BinaryExpr(b) if b.op == Operator::Or => {
            let (l, r) = (bounded(&b.left, depth - 1)?, bounded(&b.right, depth - 1)?);
            Some(Bound { range: l.hull(r), is_exact: false })
        }
        Expr::BinaryExpr(b) => match (is_timestamp(&b.left), is_timestamp(&b.right)) {
            (true, false) => compared(b.op, nanoseconds(&b.right)?),
            (false, true) => compared(b.op.swap()?, nanoseconds(&b.left)?),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) if is_timestamp(expr) => {
            let (l, h) =
                (compared(Operator::GtEq, nanoseconds(low)?)?, compared(Operator::LtEq, nanoseconds(high)?)?);
            Some(Bound { range: l.range.intersect(h.range), is_exact: l.is_exact && h.is_exact })
        }
        _ => None,
    }
}

/// The same, with what one half of an AND says where the other says nothing.
fn bounded(filter: &Expr, depth: usize) -> Option<TimeRange> {
    if depth == 0 {
        return None;
    }
    if let Expr::BinaryExpr(b) = filter
        && b.op == Operator::And
    {
        let halves = [bounded(&b.left, depth - 1), bounded(&b.right, depth - 1)];
        return halves.into_iter().flatten().reduce(TimeRange::intersect);
    }
    bound(filter, depth).map(|b| b.range)
}

fn compared(op: Operator, at: i64) -> Option<Bound> {
    let (all, after) = (TimeRange::ALL, TimestampNs(at.saturating_add(1)));
    let range = match op {
        Operator::Lt => TimeRange { end: TimestampNs(at), ..all },
        Operator::LtEq => TimeRange { end: after, ..all },
        Operator::Gt => TimeRange { start: after, ..all },
        Operator::GtEq => TimeRange { start: TimestampNs(at), ..all },
        Operator::Eq => TimeRange { start: TimestampNs(at), end: after },
        _ => return None,
    };
    // A range is half open: it cannot hold the last nanosecond there is.
    let is_exact = at < i64::MAX - 1;
    Some(Bound { range, is_exact })
}

/// The column, or the column in another zone, which is the same number of nanoseconds.
fn is_timestamp(e: &Expr) -> bool {
    match e {
        Expr::Column(c) => c.name == "timestamp",
        Expr::Cast(c) => {
            matches!(c.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _))
                && is_timestamp(&c.expr)
        }
        Expr::Alias(a) => is_timestamp(&a.expr),
        _ => false,
    }
}

fn nanoseconds(e: &Expr) -> Option<i64> {
    match e {
        Expr::Literal(ScalarValue::TimestampNanosecond(at, _), _) => *at,
        _ => None,
    }
}

/// Bounds of a span's duration.
pub(crate) fn duration(filter: &Expr) -> Option<Vec<SpanFilter>> {
    let is_duration = |e: &Expr| matches!(e, Expr::Column(c) if c.name == "duration_ns");
    let number = |e: &Expr| match e {
        Expr::Literal(ScalarValue::Int64(n), _) => *n,
        _ => None,
    };
    let (op, n) = match filter {
        Expr::BinaryExpr(b) if is_duration(&b.left) => (b.op, number(&b.right)?),
        Expr::BinaryExpr(b) if is_duration(&b.right) => (b.op.swap()?, number(&b.left)?),
        Expr::Between(Between { expr, negated: false, low, high }) if is_duration(expr) => {
            let (low, high) = (number(low)?, number(high)?);
            return Some(vec![SpanFilter::MinDurationNs(low), SpanFilter::MaxDurationNs(high)]);
        }
        _ => return None,
    };
    // One more or less is at most as strict, and saves thinking about the ends of 64 bits.
    Some(match op {
        Operator::Gt | Operator::GtEq => vec![SpanFilter::MinDurationNs(n)],
        Operator::Lt | Operator::LtEq => vec![SpanFilter::MaxDurationNs(n)],
        Operator::Eq => vec![SpanFilter::MinDurationNs(n), SpanFilter::MaxDurationNs(n)],
        _ => return None,
    })
}
