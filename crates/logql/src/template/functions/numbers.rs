//! Functions on numbers and times.

use super::{Call, Out};
use crate::{
    template::{time, value::Val},
    units::{parse_bytes, parse_duration},
};

pub(super) fn call(c: &Call<'_>) -> Option<Out> {
    let a = &c.args;
    let int = |v: i64| Some(Ok(Val::Int(v)));
    let float = |v: f64| Some(Ok(Val::Float(v)));
    let fold_i = |f: fn(i64, i64) -> i64| int(a[1..].iter().fold(a[0].to_int(), |x, y| f(x, y.to_int())));
    let fold_f =
        |f: fn(f64, f64) -> f64| float(a[1..].iter().fold(a[0].to_float(), |x, y| f(x, y.to_float())));
    match c.name {
        "int" => int(c.i(0)),
        "float64" => float(a[0].to_float()),
        "add" => fold_i(i64::wrapping_add),
        "sub" => fold_i(i64::wrapping_sub),
        "mul" => fold_i(i64::wrapping_mul),
        "div" | "mod" if c.i(1) == 0 => Some(Err(format!("{}: division by zero", c.name))),
        "div" => fold_i(i64::wrapping_div),
        "mod" => fold_i(i64::wrapping_rem),
        "max" => fold_i(i64::max),
        "min" => fold_i(i64::min),
        "addf" => fold_f(|x, y| x + y),
        "subf" => fold_f(|x, y| x - y),
        "mulf" => fold_f(|x, y| x * y),
        "divf" => fold_f(|x, y| x / y),
        "maxf" => fold_f(f64::max),
        "minf" => fold_f(f64::min),
        "ceil" => float(a[0].to_float().ceil()),
        "floor" => float(a[0].to_float().floor()),
        "round" => {
            let scale = 10f64.powi(c.i(1).clamp(-300, 300) as i32);
            let up_from = a.get(2).map_or(0.5, Val::to_float);
            let scaled = a[0].to_float() * scale;
            let (whole, part) = (scaled.trunc(), scaled.fract());
            let away = if part.abs() >= up_from { part.signum() } else { 0.0 };
            float((whole + away) / scale)
        }
        "bytes" => Some(
            parse_bytes(&c.s(0))
                .map(|n| Val::Float(n as f64))
                .ok_or_else(|| format!("bytes: {:?} is no size", c.s(0))),
        ),
        "duration" | "duration_seconds" => Some(
            parse_duration(&c.s(0))
                .map(|ns| Val::Float(ns as f64 / 1e9))
                .ok_or_else(|| format!("duration: {:?} is no duration", c.s(0))),
        ),
        _ => None,
    }
}

/// Functions on times. Zones other than UTC need a zone database, which this does not carry.
pub(super) fn times(c: &Call<'_>) -> Option<Out> {
    let time_of = |v: &Val| match v {
        Val::Time(ns, zone) => (*ns, *zone),
        other => (other.to_int().saturating_mul(1_000_000_000), 0),
    };
    Some(match c.name {
        "__timestamp__" => Ok(Val::Time(c.row.ts_ns, 0)),
        "now" => Ok(Val::Time(c.template.clock.now_ns(), 0)),
        "unixEpoch" => Ok(Val::Str((time_of(&c.args[0]).0.div_euclid(1_000_000_000)).to_string())),
        "unixEpochMillis" => Ok(Val::Str(time_of(&c.args[0]).0.div_euclid(1_000_000).to_string())),
        "unixEpochNanos" => Ok(Val::Str(time_of(&c.args[0]).0.to_string())),
        "date" => {
            let (ns, zone) = time_of(&c.args[1]);
            Ok(Val::Str(time::format(ns, zone, &c.s(0))))
        }
        "toDate" => read_time(&c.s(0), &c.s(1)),
        "toDateInZone" => match c.s(1).as_str() {
            "UTC" | "" | "GMT" => read_time(&c.s(0), &c.s(2)),
            zone => Err(format!("not yet supported: time zone {zone:?}")),
        },
        "unixToTime" => unix_to_time(&c.s(0)),
        _ => return None,
    })
}

fn read_time(layout: &str, text: &str) -> Out {
    match time::parse(layout, text) {
        Some((ns, zone)) => Ok(Val::Time(ns, zone)),
        None => Err(format!("parsing time {text:?} as {layout:?}: cannot parse")),
    }
}

/// Days, seconds, milli-, micro- or nanoseconds, told apart by the number of digits, as Loki does.
fn unix_to_time(text: &str) -> Out {
    let fail = || format!("unable to parse time {text:?}");
    let n: i64 = text.trim().parse().map_err(|_| fail())?;
    let scale: i64 = match text.trim().trim_start_matches('-').len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(fail()),
    };
    n.checked_mul(scale).map(|ns| Val::Time(ns, 0)).ok_or_else(fail)
}
