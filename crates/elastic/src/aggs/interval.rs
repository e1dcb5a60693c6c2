//! Intervals of date histograms, in milliseconds since 1970.

use crate::{Error, datemath::Unit};

const MS_NS: i64 = 1_000_000;

/// A step of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    step: Step,
    /// Added to each edge.
    offset_ms: i64,
    /// East of UTC; calendar units begin by it.
    zone_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Fixed(i64),
    Calendar(Unit),
}

impl Interval {
    pub(super) fn fixed(text: &str, offset_ms: i64, zone_ms: i64) -> Result<Self, Error> {
        match millis(text) {
            Some(ms) if ms > 0 => Ok(Interval { step: Step::Fixed(ms), offset_ms, zone_ms }),
            _ => Err(bad("fixed_interval", text)),
        }
    }

    pub(super) fn calendar(text: &str, offset_ms: i64, zone_ms: i64) -> Result<Self, Error> {
        let unit = match text {
            "year" | "1y" => Unit::Year,
            "quarter" | "1q" => Unit::Quarter,
            "month" | "1M" => Unit::Month,
            "week" | "1w" => Unit::Week,
            "day" | "1d" => Unit::Day,
            "hour" | "1h" => Unit::Hour,
            "minute" | "1m" => Unit::Minute,
            "second" | "1s" => Unit::Second,
            _ => return Err(bad("calendar_interval", text)),
        };
        Ok(Interval { step: Step::Calendar(unit), offset_ms, zone_ms })
    }

    /// The edge before a time.
    pub(super) fn floor(self, ms: i64) -> i64 {
        let moved = ms.saturating_sub(self.offset_ms).saturating_add(self.zone_ms);
        let edge = match self.step {
            Step::Fixed(step) => moved.saturating_sub(moved.rem_euclid(step)),
            Step::Calendar(unit) => unit.floor(moved.saturating_mul(MS_NS)).div_euclid(MS_NS),
        };
        edge.saturating_sub(self.zone_ms).saturating_add(self.offset_ms)
    }

    /// The edge behind one.
    pub(super) fn next(self, edge: i64) -> i64 {
        match self.step {
            Step::Fixed(step) => edge.saturating_add(step),
            Step::Calendar(unit) => {
                let local = edge.saturating_sub(self.offset_ms).saturating_add(self.zone_ms);
                let next = unit.add(local.saturating_mul(MS_NS), 1).div_euclid(MS_NS);
                next.saturating_sub(self.zone_ms).saturating_add(self.offset_ms)
            }
        }
    }

    /// Its length, of calendar units about.
    pub(super) fn millis(self) -> i64 {
        match self.step {
            Step::Fixed(ms) => ms,
            Step::Calendar(unit) => unit.add(0, 1).div_euclid(MS_NS).max(1),
        }
    }
}

fn bad(key: &str, text: &str) -> Error {
    let short: String = text.chars().take(40).collect();
    Error::illegal(format!("[{key}] [{short}] is not known: use 30s, 5m, 1h or 1d, or a calendar's unit"))
}

/// `30s`, `-5m`, `1.5h`: whole milliseconds.
pub(super) fn millis(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        "w" => 604_800_000.0,
        "" if number.bytes().all(|b| b == b'0') => 0.0,
        _ => return None,
    };
    let ms = number.parse::<f64>().ok()? * unit_ms;
    (ms < 1e15).then_some(sign * ms as i64)
}
