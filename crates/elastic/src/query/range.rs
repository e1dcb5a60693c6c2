//! Ranges of numbers, dates and texts, as the bound and the value are.

use serde_json::Value;
use wire::bulk::TIMESTAMP;

use super::Context;
use crate::{
    Error, datemath,
    field::{Doc, Field, Scalar},
};

/// `gte`, `gt`, `lte`, `lt` of one field.
#[derive(Debug, Clone)]
pub struct Range {
    field: Field,
    from: Option<Bound>,
    to: Option<Bound>,
}

#[derive(Debug, Clone)]
struct Bound {
    inclusive: bool,
    int: Option<i64>,
    number: Option<f64>,
    /// The first nanosecond that is inside (of `from`) or outside (of `to`).
    time: Option<i64>,
    text: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    From,
    To,
}

impl Range {
    /// Reads `{"gte": …, "lt": …, "format": …, "time_zone": …}`.
    pub fn parse(field: &str, body: &Value, context: &Context) -> Result<Self, Error> {
        let Some(body) = body.as_object() else {
            return Err(Error::parsing(format!("[range] query of [{field}] must be an object")));
        };
        let zone = body.get("time_zone").and_then(Value::as_str).unwrap_or("UTC");
        let zone_s = wire::dates::zone(zone).ok_or_else(|| {
            Error::illegal(format!("time_zone [{zone}] is not served: use UTC or an offset such as +02:00"))
        })?;
        let seconds = body.get("format").and_then(Value::as_str) == Some("epoch_second");
        let mut out = Range { field: Field::parse(field), from: None, to: None };
        let include = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(true);
        for (key, value) in body {
            let (side, inclusive) = match key.as_str() {
                "gte" => (Side::From, true),
                "gt" => (Side::From, false),
                "from" => (Side::From, include("include_lower")),
                "lte" => (Side::To, true),
                "lt" => (Side::To, false),
                "to" => (Side::To, include("include_upper")),
                "format" | "time_zone" | "boost" | "relation" | "_name" | "include_lower"
                | "include_upper" => {
                    continue;
                }
                other => {
                    return Err(Error::parsing(format!("[range] query does not support [{other}]")));
                }
            };
            if value.is_null() {
                continue;
            }
            let bound = Bound::of(value, side, inclusive, context.now_ns, zone_s, seconds)?;
            match side {
                Side::From => out.from = Some(bound),
                Side::To => out.to = Some(bound),
            }
        }
        Ok(out)
    }

    /// From texts, as `[a TO b]` has them; `*` is open.
    pub(super) fn of_texts(
        field: Field,
        from: Option<(&str, bool)>,
        to: Option<(&str, bool)>,
        now_ns: i64,
    ) -> Result<Self, Error> {
        let bound = |side: Option<(&str, bool)>, which| match side {
            None | Some(("*", _)) => Ok(None),
            Some((text, inclusive)) => {
                Bound::of(&Value::String(text.to_owned()), which, inclusive, now_ns, 0, false).map(Some)
            }
        };
        Ok(Range { field, from: bound(from, Side::From)?, to: bound(to, Side::To)? })
    }

    pub(super) fn matches(&self, doc: &Doc<'_>) -> bool {
        self.field.any(doc, |v| {
            self.from.as_ref().is_none_or(|b| b.admits(v, Side::From))
                && self.to.as_ref().is_none_or(|b| b.admits(v, Side::To))
        })
    }

    /// What it says about the time of a document.
    pub(super) fn times(&self) -> (i64, i64) {
        if self.field.path() != Some(TIMESTAMP) {
            return (i64::MIN, i64::MAX);
        }
        let of = |b: &Option<Bound>, open| b.as_ref().and_then(|b| b.time).unwrap_or(open);
        (of(&self.from, i64::MIN), of(&self.to, i64::MAX))
    }
}

impl Bound {
    fn of(
        value: &Value,
        side: Side,
        inclusive: bool,
        now_ns: i64,
        zone_s: i64,
        seconds: bool,
    ) -> Result<Self, Error> {
        let text = match value {
            Value::String(s) => s.clone(),
            Value::Number(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
            other => return Err(Error::parsing(format!("[range] query takes no {other} as a bound"))),
        };
        let written = if seconds { format!("{text}000") } else { text.clone() };
        let stretch = datemath::parse(&written, now_ns, zone_s).ok();
        // `gt` and `lte` a day mean all of the day.
        let time = stretch.map(|s| if (side == Side::From) == inclusive { s.from } else { s.to });
        let (int, number) = (text.parse().ok(), text.parse().ok());
        Ok(Bound { inclusive, int, number, time, text })
    }

    fn admits(&self, value: &Scalar<'_>, side: Side) -> bool {
        let by_time = |at: i64| self.time.is_some_and(|t| if side == Side::From { at >= t } else { at < t });
        match value {
            Scalar::Time(at) => by_time(*at),
            Scalar::Int(i) => match (self.int, self.number) {
                (Some(b), _) => self.by_order(i.cmp(&b), side),
                (None, Some(b)) => self.by_partial((*i as f64).partial_cmp(&b), side),
                _ => self.time.is_some() && value.time().is_some_and(by_time),
            },
            Scalar::Double(d) => self.by_partial(self.number.and_then(|b| d.partial_cmp(&b)), side),
            Scalar::Bool(_) => self.by_order(value.text().as_ref().cmp(self.text.as_str()), side),
            Scalar::Text(t) => match (self.time, value.time()) {
                (Some(_), Some(at)) => by_time(at),
                _ => match (self.number, t.parse::<f64>()) {
                    (Some(b), Ok(v)) => self.by_partial(v.partial_cmp(&b), side),
                    _ => self.by_order(t.as_ref().cmp(self.text.as_str()), side),
                },
            },
        }
    }

    fn by_partial(&self, order: Option<std::cmp::Ordering>, side: Side) -> bool {
        order.is_some_and(|o| self.by_order(o, side))
    }

    fn by_order(&self, order: std::cmp::Ordering, side: Side) -> bool {
        (self.inclusive && order.is_eq()) || if side == Side::From { order.is_gt() } else { order.is_lt() }
    }
}
