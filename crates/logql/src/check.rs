//! Rules a well-formed query must also keep before it is evaluated. The messages follow Loki's.

use crate::{ast::*, error::ParseError};

/// Checks a tree. Errors are about the query as a whole.
pub fn check(expr: &Expr) -> Result<(), ParseError> {
    match expr {
        Expr::Log(log) => check_log(log),
        Expr::Metric(metric) => {
            let mut first = Ok(());
            metric.each_range(&mut |r| {
                if first.is_ok() {
                    first = check_range_aggregation(r);
                }
            });
            first?;
            check_metric(metric)
        }
    }
}

fn check_log(log: &LogExpr) -> Result<(), ParseError> {
    if accepts_empty(&log.matchers) {
        return Err(ParseError::whole(
            "queries require at least one regexp or equality matcher that does not have an empty-compatible \
             value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
        ));
    }
    Ok(())
}

fn check_range_aggregation(r: &RangeAggregation) -> Result<(), ParseError> {
    use RangeOp::*;
    let name = r.op.as_str();
    let fail = |m: String| Err(ParseError::whole(m));
    check_log(&r.range.log)?;
    match (r.op, r.parameter) {
        (QuantileOverTime, None) => return fail(format!("parameter required for operation {name}")),
        (QuantileOverTime, Some(_)) | (_, None) => {}
        (_, Some(p)) => return fail(format!("parameter {p} not supported for operation {name}")),
    }
    if r.grouping.is_some()
        && !matches!(
            r.op,
            AvgOverTime
                | StddevOverTime
                | StdvarOverTime
                | QuantileOverTime
                | MaxOverTime
                | MinOverTime
                | FirstOverTime
                | LastOverTime
        )
    {
        return fail(format!("grouping not allowed for {name} aggregation"));
    }
    let unwrapped = r.range.unwrap.is_some();
    let wants = !matches!(r.op, CountOverTime | Rate | BytesOverTime | BytesRate | AbsentOverTime);
    let refuses = matches!(r.op, CountOverTime | BytesOverTime | BytesRate);
    if unwrapped && refuses {
        return fail(format!("invalid aggregation {name} with unwrap"));
    }
    if !unwrapped && wants {
        return fail(format!("invalid aggregation {name} without unwrap"));
    }
    Ok(())
}

fn check_metric(expr: &MetricExpr) -> Result<(), ParseError> {
    match expr {
        MetricExpr::Literal(_) | MetricExpr::Vector(_) | MetricExpr::Range(_) => Ok(()),
        MetricExpr::Aggregate(a) => {
            let name = a.op.as_str();
            if a.op.takes_parameter() && a.parameter.is_none() {
                return Err(ParseError::whole(format!("parameter required for operation {name}")));
            }
            if a.grouping.is_some() && matches!(a.op, VectorOp::Sort | VectorOp::SortDesc) {
                return Err(ParseError::whole(format!("grouping not allowed for {name} aggregation")));
            }
            if matches!(a.inner, MetricExpr::Literal(_)) {
                return Err(ParseError::whole(format!("{name} takes a vector, not a number")));
            }
            check_metric(&a.inner)
        }
        MetricExpr::Binary(b) => {
            check_metric(&b.left)?;
            check_metric(&b.right)
        }
        MetricExpr::LabelReplace(l) => {
            if !model::labels::is_classic_label_name(&l.target) {
                let message = format!("invalid destination label name in label_replace: {}", l.target);
                return Err(ParseError::whole(message));
            }
            check_metric(&l.inner)
        }
        MetricExpr::Variants(v) => v.variants.iter().try_for_each(check_metric),
    }
}
