//! Dates with arithmetic: `now-1d/d`, `2024-05-06||+1M/d`.

use wire::dates::{self, Precision, civil_from_days, days_from_civil};

use crate::Error;

const DAY_NS: i64 = 86_400_000_000_000;

/// A calendar unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Unit {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'y' => Unit::Year,
            'M' => Unit::Month,
            'w' => Unit::Week,
            'd' => Unit::Day,
            'h' | 'H' => Unit::Hour,
            'm' => Unit::Minute,
            's' => Unit::Second,
            _ => return None,
        })
    }

    /// The beginning of the unit a time lies in.
    pub fn floor(self, ns: i64) -> i64 {
        let day = ns.div_euclid(DAY_NS);
        let at = |y, m, d| days_from_civil(y, m, d).saturating_mul(DAY_NS);
        let (y, m, _) = civil_from_days(day);
        match self {
            Unit::Year => at(y, 1, 1),
            Unit::Quarter => at(y, (m - 1) / 3 * 3 + 1, 1),
            Unit::Month => at(y, m, 1),
            // 1970-01-01 was a Thursday; weeks begin on Monday.
            Unit::Week => (day - (day + 3).rem_euclid(7)).saturating_mul(DAY_NS),
            Unit::Day => day.saturating_mul(DAY_NS),
            Unit::Hour => ns.saturating_sub(ns.rem_euclid(DAY_NS / 24)),
            Unit::Minute => ns.saturating_sub(ns.rem_euclid(DAY_NS / 1440)),
            Unit::Second => ns.saturating_sub(ns.rem_euclid(1_000_000_000)),
        }
    }

    /// A time so many units later.
    pub fn add(self, ns: i64, count: i64) -> i64 {
        let months = |n: i64| {
            let (day, rest) = (ns.div_euclid(DAY_NS), ns.rem_euclid(DAY_NS));
            let (y, m, d) = civil_from_days(day);
            let total = (y * 12 + m - 1).saturating_add(n).clamp(-2_000_000, 2_000_000);
            let (y, m) = (total.div_euclid(12), total.rem_euclid(12) + 1);
            let last = days_from_civil(y + m / 12, m % 12 + 1, 1) - days_from_civil(y, m, 1);
            days_from_civil(y, m, d.min(last)).saturating_mul(DAY_NS).saturating_add(rest)
        };
        let fixed = |unit: i64| ns.saturating_add(unit.saturating_mul(count));
        match self {
            Unit::Year => months(count.saturating_mul(12)),
            Unit::Quarter => months(count.saturating_mul(3)),
            Unit::Month => months(count),
            Unit::Week => fixed(7 * DAY_NS),
            Unit::Day => fixed(DAY_NS),
            Unit::Hour => fixed(DAY_NS / 24),
            Unit::Minute => fixed(DAY_NS / 1440),
            Unit::Second => fixed(1_000_000_000),
        }
    }
}

/// The stretch of time a date stands for: from its first nanosecond to the one behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: i64,
    pub to: i64,
}

/// Reads a date with arithmetic; `zone_s` is that of dates that name none, and of what they are rounded in.
pub fn parse(text: &str, now_ns: i64, zone_s: i64) -> Result<Stretch, Error> {
    let bad = || {
        let short: String = text.chars().take(100).collect();
        Error::parsing(format!(
            "failed to parse date field [{short}] with format [strict_date_optional_time||epoch_millis]"
        ))
    };
    if let Some(rest) = text.strip_prefix("now") {
        return math(rest, Stretch { from: now_ns, to: now_ns.saturating_add(1) }, zone_s).ok_or_else(bad);
    }
    let (date, rest) = text.split_once("||").unwrap_or((text, ""));
    let date = dates::parse_in(date, zone_s).ok_or_else(bad)?;
    let to = match date.precision {
        Precision::Year => Unit::Year.add(date.ns, 1),
        Precision::Month => Unit::Month.add(date.ns, 1),
        Precision::Day => Unit::Day.add(date.ns, 1),
        Precision::Hour => Unit::Hour.add(date.ns, 1),
        Precision::Minute => Unit::Minute.add(date.ns, 1),
        Precision::Second => Unit::Second.add(date.ns, 1),
        // Dates have milliseconds where they say no more.
        Precision::Exact if date.ns.rem_euclid(1_000_000) == 0 => date.ns.saturating_add(1_000_000),
        Precision::Exact => date.ns.saturating_add(1),
    };
    math(rest, Stretch { from: date.ns, to }, zone_s).ok_or_else(bad)
}

/// `+1d`, `-2M`, `/d`, one after the other.
fn math(text: &str, start: Stretch, zone_s: i64) -> Option<Stretch> {
    let zone = zone_s.saturating_mul(1_000_000_000);
    let mut at = start;
    let mut rest = text;
    while let Some(op) = rest.chars().next() {
        rest = rest.get(1..)?;
        if op == '/' {
            let unit = Unit::of(rest.chars().next()?)?;
            rest = rest.get(1..)?;
            let from = unit.floor(at.from.saturating_add(zone));
            at = Stretch { from: from.saturating_sub(zone), to: unit.add(from, 1).saturating_sub(zone) };
            continue;
        }
        let sign = match op {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = if digits == 0 { 1 } else { rest.get(..digits)?.parse().ok()? };
        rest = rest.get(digits..)?;
        let unit = Unit::of(rest.chars().next()?)?;
        rest = rest.get(1..)?;
        let moved = |ns| unit.add(ns, sign * count.min(1 << 40));
        at = Stretch {
            from: moved(at.from),
            to: moved(at.from).saturating_add(at.to.saturating_sub(at.from)),
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from(text: &str) -> i64 {
        parse(text, dates::parse("2024-03-31T10:20:30.500Z").unwrap().ns, 0).unwrap().from
    }

    fn at(text: &str) -> i64 {
        dates::parse(text).unwrap().ns
    }

    #[test]
    fn dates_are_moved_and_rounded() {
        assert_eq!(from("now"), at("2024-03-31T10:20:30.500Z"));
        assert_eq!(from("now-1h/h"), at("2024-03-31T09:00:00Z"));
        assert_eq!(from("now-1M"), at("2024-02-29T10:20:30.500Z"));
        assert_eq!(from("now/w"), at("2024-03-25"));
        assert_eq!(from("2024-01-31||+1M/d"), at("2024-02-29"));
        let day = parse("2024-02-29", 0, 0).unwrap();
        assert_eq!(day.to, at("2024-03-01"));
        assert_eq!(parse("2024-02-29", 0, 3600).unwrap().from, at("2024-02-28T23:00:00Z"));
        for bad in ["", "tomorrow", "now+", "now/x", "now+1q", "2024||x"] {
            assert!(parse(bad, 0, 0).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(now)?[0-9+/|yMwdhms-]{0,30}", now in any::<i64>()) {
            let _ = parse(&text, now, 0);
        }
    }
}
