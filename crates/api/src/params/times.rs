//! Times and durations in the spellings of Prometheus and Loki, and RFC 3339 both ways.
//!
//! The calendar arithmetic is that of the proleptic Gregorian calendar; leap seconds are taken as the last
//! second of their minute.

use std::time::Duration;

const NS: i128 = 1_000_000_000;

/// Past this a sum with a lookback or an offset could overflow.
const FARTHEST_MS: f64 = 9.0e15;

/// Unix seconds with a fraction, or RFC 3339, in milliseconds. `None` when it is neither or out of range.
pub fn prometheus_ms(text: &str) -> Option<i64> {
    if let Ok(s) = text.parse::<f64>() {
        let ms = (s * 1000.0).round();
        return (ms.is_finite() && ms.abs() < FARTHEST_MS).then_some(ms as i64);
    }
    rfc3339(text).and_then(|ns| i64::try_from(ns.div_euclid(1_000_000)).ok())
}

/// One end of a stretch of time, where clients that want all of it name times beyond everything: Go's earliest
/// and latest, in its own spelling or as a number.
pub fn prometheus_bound_ms(text: &str) -> Option<i64> {
    match (text, text.parse::<f64>()) {
        ("-292273086-05-16T16:47:06Z", _) => Some(-FARTHEST_MS as i64),
        ("292277025-08-18T07:12:54.999999999Z", _) => Some(FARTHEST_MS as i64),
        (_, Ok(s)) if s.is_nan() => None,
        (_, Ok(s)) => Some((s * 1000.0).round().clamp(-FARTHEST_MS, FARTHEST_MS) as i64),
        _ => prometheus_ms(text),
    }
}

/// Loki's reading of a time, in nanoseconds: whole numbers of more than ten digits are nanoseconds, other
/// numbers seconds.
pub fn loki_ns(text: &str) -> Option<i64> {
    if let Ok(n) = text.parse::<i64>() {
        return if text.trim_start_matches('-').len() > 10 { Some(n) } else { n.checked_mul(NS as i64) };
    }
    if let Ok(s) = text.parse::<f64>() {
        let ns = (s * 1e9).round();
        return (ns.is_finite() && ns.abs() < 9.2e18).then_some(ns as i64);
    }
    rfc3339_ns(text)
}

/// Seconds as a number, or Prometheus' duration (`1h30m`, units y w d h m s ms). Never negative.
pub fn duration(text: &str) -> Option<Duration> {
    if let Ok(s) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(s).ok().filter(|d| d.as_secs() < 1 << 33);
    }
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        // Units go from large to small, each once.
        if unit_ms >= last {
            return None;
        }
        last = unit_ms;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = tail;
    }
    (!text.is_empty() && total_ms < 1 << 43).then(|| Duration::from_millis(total_ms))
}

/// A duration in Prometheus' notation: whole units, the largest first (`1d12h`, `1m30s`, `250ms`).
pub fn format_duration(d: Duration) -> String {
    let mut left = d.as_millis();
    let mut out = String::new();
    for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if left >= ms {
            out.push_str(&format!("{}{unit}", left / ms));
            left %= ms;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// RFC 3339 in nanoseconds since 1970, of which 64 bits hold some 292 years either way.
pub fn rfc3339_ns(text: &str) -> Option<i64> {
    rfc3339(text).and_then(|ns| i64::try_from(ns).ok())
}

fn rfc3339(text: &str) -> Option<i128> {
    let b = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = b.get(from..to)?;
        part.iter().all(u8::is_ascii_digit).then(|| part.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    };
    let is = |at: usize, any: &[u8]| b.get(at).is_some_and(|c| any.contains(c));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let days = days_from_civil(year, month, day);
    if !valid || civil_from_days(days) != (year, month, day) {
        return None;
    }
    let mut at = 19;
    let mut fraction = 0i128;
    if is(at, b".") {
        let digits = b.get(at + 1..)?.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let kept = digits.min(9);
        fraction = i128::from(number(at + 1, at + 1 + kept)?) * 10i128.pow(9 - kept as u32);
        at += 1 + digits;
    }
    let offset_s = match b.get(at)? {
        b'Z' | b'z' if b.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if b.len() == at + 6 && is(at + 3, b":") => {
            let s = number(at + 1, at + 3)? * 3600 + number(at + 4, at + 6)? * 60;
            if *sign == b'-' { -s } else { s }
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second.min(59) - offset_s;
    Some(i128::from(seconds) * NS + fraction)
}

/// `2023-11-14T22:13:20.123456789Z`, the fraction without trailing zeros.
pub fn format_rfc3339(ns: i64) -> String {
    let (days, in_day) = (ns.div_euclid(86_400 * NS as i64), ns.rem_euclid(86_400 * NS as i64));
    let (year, month, day) = civil_from_days(days);
    let (seconds, fraction) = (in_day / NS as i64, in_day % NS as i64);
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut out = format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}");
    if fraction != 0 {
        out.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    out.push('Z');
    out
}

/// Days since 1970-01-01. Counts years from March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_all_spellings_of_prometheus() {
        assert_eq!(prometheus_ms("1435781430.781"), Some(1_435_781_430_781));
        assert_eq!(prometheus_ms("2015-07-01T20:10:30.781Z"), Some(1_435_781_430_781));
        assert_eq!(prometheus_ms("2015-07-01T22:10:30.781+02:00"), Some(1_435_781_430_781));
        assert_eq!(prometheus_ms("-1.5"), Some(-1500));
        assert_eq!(prometheus_ms("9999-12-31T23:59:59Z"), Some(253_402_300_799_000));
        assert_eq!(prometheus_ms("2016-02-29T00:00:00Z"), Some(1_456_704_000_000));
        assert_eq!(prometheus_ms("2015-02-29T00:00:00Z"), None);
        for bad in ["", "now", "NaN", "inf", "1e300", "2015-13-01T00:00:00Z", "2015-07-01T20:10:30"] {
            assert_eq!(prometheus_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bound_beyond_everything_is_the_farthest_time_there_is() {
        let farthest = FARTHEST_MS as i64;
        for all in ["9223372036854775.807", "292277025-08-18T07:12:54.999999999Z", "inf", "1e300"] {
            assert_eq!(prometheus_bound_ms(all), Some(farthest), "{all}");
        }
        for all in ["-9223372036854775.808", "-292273086-05-16T16:47:06Z", "-Inf"] {
            assert_eq!(prometheus_bound_ms(all), Some(-farthest), "{all}");
        }
        assert_eq!(prometheus_bound_ms("1.5"), Some(1500));
        assert_eq!(prometheus_bound_ms("NaN"), None);
        assert_eq!(prometheus_bound_ms("yesterday"), None);
    }

    #[test]
    fn whole_numbers_of_many_digits_are_nanoseconds_in_loki() {
        assert_eq!(loki_ns("1700000000"), Some(1_700_000_000_000_000_000));
        assert_eq!(loki_ns("1700000000000000001"), Some(1_700_000_000_000_000_001));
        assert_eq!(loki_ns("1.5"), Some(1_500_000_000));
        assert_eq!(loki_ns("2023-11-14T22:13:20Z"), Some(1_700_000_000_000_000_000));
    }

    #[test]
    fn durations_are_seconds_or_units_from_large_to_small() {
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1d12h5ms"), Some(Duration::from_millis(129_600_005)));
        for bad in ["", "5", "-1", "5x", "m", "1m1h", "1m1m", "99999999999999999999y"] {
            let ok = bad == "5";
            assert_eq!(duration(bad).is_some(), ok, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn rfc3339_survives_the_round_trip(ns in -62_135_596_800_000_000_000i128..253_402_300_799_000_000_000i128) {
            if let Ok(ns) = i64::try_from(ns) {
                prop_assert_eq!(rfc3339_ns(&format_rfc3339(ns)), Some(ns));
            }
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}", digits in "[0-9TZ:.+-]{0,40}") {
            for t in [&text, &digits] {
                let _ = (prometheus_ms(t), loki_ns(t), duration(t), rfc3339_ns(t));
            }
        }
    }
}
