//! First rewrite: `@ start()`, `@ end()` and duration expressions become numbers.

use eval::{BinaryOp, Grid};

use super::Context;
use crate::{
    Error, ParseError,
    ast::{At, Duration, DurationExpr, Expr, Modifiers, NodeKind},
};

pub(super) fn resolve(expr: &mut Expr, grid: Grid, cx: &Context<'_>) -> Result<(), Error> {
    for node in &mut expr.nodes {
        let span = node.span.clone();
        let fix = |d: &mut Duration, signed: bool| -> Result<(), Error> {
            if let Duration::Expr(e) = d {
                *d = Duration::Millis(evaluate(e, signed, &span, grid, cx)?);
            }
            Ok(())
        };
        match &mut node.kind {
            NodeKind::Selector(s) => {
                fix(&mut s.modifiers.offset, true)?;
                pin(&mut s.modifiers, grid.start_ms, cx.end_ms);
            }
            NodeKind::Matrix { range, .. } => fix(range, false)?,
            NodeKind::Subquery(s) => {
                fix(&mut s.modifiers.offset, true)?;
                fix(&mut s.range, false)?;
                if let Some(step) = &mut s.step {
                    fix(step, false)?;
                }
                pin(&mut s.modifiers, grid.start_ms, cx.end_ms);
            }
            _ => {}
        }
    }
    Ok(())
}

fn pin(m: &mut Modifiers, start_ms: i64, end_ms: i64) {
    m.at = match m.at {
        Some(At::Start) => Some(At::Time(start_ms)),
        Some(At::End) => Some(At::Time(end_ms)),
        other => other,
    };
}

fn evaluate(
    e: &DurationExpr,
    signed: bool,
    span: &eval::Span,
    grid: Grid,
    cx: &Context<'_>,
) -> Result<i64, Error> {
    let fail = |message: &str| Err(Error::Parse(ParseError::new(cx.text, span.clone(), message)));
    let seconds = match seconds(e, grid, cx) {
        Ok(s) => s,
        Err(message) => return fail(message),
    };
    if !seconds.is_finite() {
        return fail("duration is NaN or infinite");
    }
    if seconds <= 0.0 && !signed {
        return fail("duration must be greater than 0");
    }
    let ms = seconds * 1000.0;
    if ms.abs() > crate::literal::MAX_DURATION_MS as f64 {
        return fail("duration is out of range");
    }
    Ok(ms as i64)
}

fn seconds(e: &DurationExpr, grid: Grid, cx: &Context<'_>) -> Result<f64, &'static str> {
    let both = |a: &DurationExpr, b: &DurationExpr| {
        Ok::<_, &'static str>((seconds(a, grid, cx)?, seconds(b, grid, cx)?))
    };
    Ok(match e {
        DurationExpr::Number(n) => n.value,
        DurationExpr::Step => cx.step_ms as f64 / 1000.0,
        DurationExpr::Range => (cx.end_ms - grid.start_ms) as f64 / 1000.0,
        DurationExpr::Negate(e) => -seconds(e, grid, cx)?,
        DurationExpr::Paren(e) => seconds(e, grid, cx)?,
        DurationExpr::MinOf(a, b) => both(a, b).map(|(a, b)| a.min(b))?,
        DurationExpr::MaxOf(a, b) => both(a, b).map(|(a, b)| a.max(b))?,
        DurationExpr::Binary(op, a, b) => {
            let (a, b) = both(a, b)?;
            match op {
                BinaryOp::Div if b == 0.0 => return Err("division by zero"),
                BinaryOp::Mod if b == 0.0 => return Err("modulo by zero"),
                op => eval::scalar_op(*op, a, b),
            }
        }
    })
}
