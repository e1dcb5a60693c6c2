//! Aggregations that pick some of the series: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use model::Labels;
use xxhash_rust::xxh64::xxh64;

use super::{AggregateOp, Grouping, Groups, Parameter, group, ignored_histogram};
use crate::{Cell, Column, Env, Error, Result, Series, math::nan_first};

pub(super) fn pick(
    op: AggregateOp,
    grouping: &Grouping,
    parameter: Parameter<'_>,
    input: Vec<Series>,
    env: &mut Env<'_>,
) -> Result<Vec<Series>> {
    let Parameter::Numbers(k) = parameter else {
        return Err(Error::invalid(format!("{} needs a number as its first argument", op.as_str())));
    };
    if !useful(op, k)? {
        return Ok(Vec::new());
    }
    let groups = group(&input, grouping);
    let steps = input.first().map_or(0, |s| s.column.len());
    if steps == 1 {
        return Ok(one_step(op, k, input, &groups, env));
    }
    let mut picked: Vec<Option<Column>> = input.iter().map(|_| None).collect();
    let mut order = Vec::new();
    for members in &groups.members {
        env.meter.tick()?;
        for step in 0..steps {
            env.meter.work(members.len())?;
            choose(op, k, &input, members, step, &mut order, env);
            for i in &order {
                if let Some(cell) = input[*i].column.get(step) {
                    picked[*i].get_or_insert_with(|| Column::empty(steps)).set(step, cell);
                }
            }
        }
    }
    let rows = input.into_iter().zip(picked);
    Ok(rows.filter_map(|(s, c)| c.map(|column| Series { column, ..s })).collect())
}

/// Over one step the order of the answer is that of the values.
fn one_step(
    op: AggregateOp,
    k: &Column,
    input: Vec<Series>,
    groups: &Groups,
    env: &mut Env<'_>,
) -> Vec<Series> {
    let mut rows: Vec<Option<Series>> = Vec::new();
    let mut all = Vec::new();
    let mut order = Vec::new();
    for members in &groups.members {
        choose(op, k, &input, members, 0, &mut order, env);
        all.extend_from_slice(&order);
    }
    rows.extend(input.into_iter().map(Some));
    all.into_iter().filter_map(|i| rows[i].take()).collect()
}

/// Whether anything can be picked; refuses parameters that are not numbers of series.
fn useful(op: AggregateOp, k: &Column) -> Result<bool> {
    let values = || k.steps().filter_map(|s| k.float(s));
    let (min, max) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let nan = values().any(f64::is_nan);
    if op == AggregateOp::LimitRatio {
        if nan {
            return Err(Error::invalid("Ratio value is NaN"));
        }
        return Ok(values().any(|v| v != 0.0));
    }
    if max < 1.0 && !nan {
        return Ok(false);
    }
    if nan {
        return Err(Error::invalid("Parameter value is NaN"));
    }
    if min <= i64::MIN as f64 {
        return Err(Error::invalid(format!("Scalar value {min} underflows int64")));
    }
    if max >= i64::MAX as f64 {
        return Err(Error::invalid(format!("Scalar value {max} overflows int64")));
    }
    Ok(true)
}

/// Fills `order` with the members picked at a step, best first.
fn choose(
    op: AggregateOp,
    k: &Column,
    input: &[Series],
    members: &[usize],
    step: usize,
    order: &mut Vec<usize>,
    env: &mut Env<'_>,
) {
    order.clear();
    let Some(k) = k.float(step) else { return };
    let count = if k < 1.0 { 0 } else { (k as usize).min(members.len()) };
    match op {
        AggregateOp::Limitk => {
            order.extend(members.iter().copied().filter(|i| input[*i].column.is_present(step)).take(count));
        }
        AggregateOp::LimitRatio => {
            let r = k.clamp(-1.0, 1.0);
            let inside = |s: &Series| {
                let place = place(&s.labels);
                (r >= 0.0 && place < r) || (r < 0.0 && place >= 1.0 + r)
            };
            let there = members.iter().copied().filter(|i| input[*i].column.is_present(step));
            order.extend(there.filter(|i| r == 1.0 || r == -1.0 || inside(&input[*i])));
        }
        _ => {
            let mut values: Vec<(f64, usize)> = Vec::with_capacity(members.len());
            for i in members {
                match input[*i].column.get(step) {
                    Some(Cell::Float(v)) => values.push((v, *i)),
                    Some(Cell::Histogram(_)) if count > 0 => ignored_histogram(op, env),
                    _ => {}
                }
            }
            let top = op == AggregateOp::Topk;
            // Not-a-number comes last either way; of equals the first seen stays.
            values.sort_by(|(a, _), (b, _)| match (a.is_nan(), b.is_nan(), top) {
                (false, false, true) => nan_first(*b, *a),
                (false, false, false) => nan_first(*a, *b),
                (x, y, _) => x.cmp(&y),
            });
            order.extend(values.into_iter().take(count).map(|(_, i)| i));
        }
    }
}

/// A label set's place in `[0, 1)`. It is fixed, so ratios `r` and `r - 1` complement each other, and it is the one
/// Prometheus computes (XXH64 over length-prefixed names and values), so both pick the same series.
fn place(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.packed_len() + 8);
    for text in labels.iter().flat_map(|(n, v)| [n, v]) {
        match u8::try_from(text.len()) {
            Ok(n) if n < 255 => bytes.push(n),
            _ => {
                bytes.push(255);
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh64(&bytes, 0) as f64 / u64::MAX as f64
}
