//! Dates as Elasticsearch reads them where nothing else is said: `strict_date_optional_time||epoch_millis`.
//!
//! ```text
//! 2024 · 2024-05 · 2024-05-06 · 2024-05-06T07:08:09.123456789+02:00 · 1714979289123 · 1714979289123.5
//! ```
//! A text of four digits is a year. Without a zone a date is UTC. The calendar is the proleptic Gregorian one.

const SECOND_NS: i128 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// What a date leaves open: the parts behind the last one written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// A fraction of a second, or milliseconds since 1970.
    Exact,
}

/// A date as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Nanoseconds since 1970; parts not written are their first.
    pub ns: i64,
    pub precision: Precision,
}

/// Reads a date. `None` where it is none, or outside of what nanoseconds in 64 bits hold (1677 to 2262).
pub fn parse(text: &str) -> Option<Date> {
    calendar(text, 0).or_else(|| epoch_millis(text))
}

/// The same, where dates without a zone are in the zone that lies `zone_s` seconds east of UTC.
pub fn parse_in(text: &str, zone_s: i64) -> Option<Date> {
    calendar(text, zone_s).or_else(|| epoch_millis(text))
}

/// Only the calendar form, and only with a whole day: what a text must look like to be taken for a date.
pub fn calendar_day(text: &str) -> Option<i64> {
    let looks = text.as_bytes().get(4) == Some(&b'-');
    let date = if looks { calendar(text, 0) } else { None };
    date.filter(|d| d.precision >= Precision::Day).map(|d| d.ns)
}

/// Milliseconds since 1970, perhaps with a fraction.
fn epoch_millis(text: &str) -> Option<Date> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let numeric = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !numeric(digits) || !numeric(fraction) || digits.len() > 15 || fraction.len() > 9 {
        return None;
    }
    let ms: i128 = digits.parse().ok()?;
    let part: i128 = fraction.parse::<i128>().ok()? * 10i128.pow(9 - fraction.len() as u32) / 1000;
    let ns = ms * 1_000_000 + part;
    let ns = if whole.starts_with('-') { -ns } else { ns };
    Some(Date { ns: i64::try_from(ns).ok()?, precision: Precision::Exact })
}

/// Takes digits off the front of a text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let part = self.0.get(..digits)?;
        if !part.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = self.0.get(digits..)?;
        Some(part.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    }

    fn eat(&mut self, any: &[u8]) -> bool {
        match self.0.split_first() {
            Some((c, rest)) if any.contains(c) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A number behind a separator; `None` inside where the separator is there and the number is not.
    fn next(&mut self, separator: u8) -> Option<Option<i64>> {
        if self.eat(&[separator]) { self.number(2).map(Some) } else { Some(None) }
    }
}

fn calendar(text: &str, zone_s: i64) -> Option<Date> {
    let mut r = Reader(text.as_bytes());
    let year = r.number(4)?;
    let (mut month, mut day, mut precision) = (1, 1, Precision::Year);
    let mut seconds = 0;
    let mut fraction = 0;
    let mut zone = zone_s;
    if let Some(m) = r.next(b'-')? {
        (month, precision) = (m, Precision::Month);
        if let Some(d) = r.next(b'-')? {
            (day, precision) = (d, Precision::Day);
        }
    }
    if precision == Precision::Day && r.eat(b"Tt") && !r.0.is_empty() {
        (seconds, fraction, precision) = time_of_day(&mut r)?;
        zone = offset(&mut r)?.unwrap_or(zone_s);
    }
    if !r.0.is_empty() || !(1..=12).contains(&month) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let total = i128::from(days * DAY_S + seconds - zone) * SECOND_NS + i128::from(fraction);
    Some(Date { ns: i64::try_from(total).ok()?, precision })
}

/// Seconds of the day, nanoseconds behind them, and how much of it was written.
fn time_of_day(r: &mut Reader<'_>) -> Option<(i64, i64, Precision)> {
    let hour = r.number(2)?;
    let mut precision = Precision::Hour;
    let (mut minute, mut second, mut fraction) = (0, 0, 0);
    if let Some(m) = r.next(b':')? {
        (minute, precision) = (m, Precision::Minute);
        if let Some(s) = r.next(b':')? {
            (second, precision) = (s, Precision::Second);
            if r.eat(b".,") {
                let digits = r.0.iter().take_while(|c| c.is_ascii_digit()).count();
                if !(1..=9).contains(&digits) {
                    return None;
                }
                fraction = r.number(digits)? * 10i64.pow(9 - digits as u32);
                precision = Precision::Exact;
            }
        }
    }
    // A leap second is the last second of its minute.
    let valid = hour < 24 && minute < 60 && second <= 60;
    valid.then(|| (hour * 3600 + minute * 60 + second.min(59), fraction, precision))
}

/// `Z`, `+02:00`, `+0200`, `+02`, or nothing.
fn offset(r: &mut Reader<'_>) -> Option<Option<i64>> {
    if r.0.is_empty() {
        return Some(None);
    }
    if r.eat(b"Zz") {
        return Some(Some(0));
    }
    let east = if r.eat(b"+") { 1 } else { -1 };
    if east == -1 && !r.eat(b"-") {
        return None;
    }
    let hours = r.number(2)?;
    let minutes = if r.eat(b":") || !r.0.is_empty() { r.number(2)? } else { 0 };
    (hours <= 18 && minutes < 60).then_some(Some(east * (hours * 3600 + minutes * 60)))
}

/// The zone of a `time_zone` parameter in seconds east of UTC: `UTC`, `Z` or an offset. Named zones are not known.
pub fn zone(text: &str) -> Option<i64> {
    if ["UTC", "utc", "GMT", "Etc/UTC", "Etc/GMT"].contains(&text) {
        return Some(0);
    }
    let mut r = Reader(text.as_bytes());
    offset(&mut r)?.filter(|_| r.0.is_empty())
}

/// Days since 1970-01-01. Counts years from March, so that the leap day is the last of its year.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days.saturating_add(719_468);
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// `2024-05-06T07:08:09.123Z`, as Elasticsearch and Beats write dates: milliseconds, or nanoseconds where there
/// is more than them.
pub fn format(ns: i64) -> String {
    let day_ns = DAY_S * SECOND_NS as i64;
    let (days, in_day) = (ns.div_euclid(day_ns), ns.rem_euclid(day_ns));
    let (year, month, day) = civil_from_days(days);
    let (s, fraction) = (in_day / SECOND_NS as i64, in_day % SECOND_NS as i64);
    let mut out = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.", s / 3600, s / 60 % 60, s % 60);
    if fraction % 1_000_000 == 0 {
        out.push_str(&format!("{:03}", fraction / 1_000_000));
    } else {
        out.push_str(format!("{fraction:09}").trim_end_matches('0'));
    }
    out.push('Z');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> Option<i64> {
        parse(text).map(|d| d.ns)
    }

    #[test]
    fn dates_are_read_in_every_form_elasticsearch_takes_by_default() {
        let s = SECOND_NS as i64;
        assert_eq!(ns("2015-02-01T00:00:13Z"), Some(1_422_748_813 * s));
        assert_eq!(ns("2015-02-01T00:00:13.001Z"), Some(1_422_748_813 * s + 1_000_000));
        assert_eq!(ns("2015-02-01T02:00:13,5+02:00"), Some(1_422_748_813 * s + 500_000_000));
        assert_eq!(ns("2015-02-01T02:00:13+0200"), Some(1_422_748_813 * s));
        assert_eq!(ns("2015-02-01"), Some(1_422_748_800 * s));
        assert_eq!(ns("2015-02"), Some(1_422_748_800 * s));
        assert_eq!(ns("2015"), Some(1_420_070_400 * s));
        assert_eq!(ns("1422748813000"), Some(1_422_748_813 * s));
        assert_eq!(ns("1422748813000.25"), Some(1_422_748_813 * s + 250_000));
        assert_eq!(ns("-1"), Some(-1_000_000));
        assert_eq!(parse("2015-02-01T03").map(|d| d.precision), Some(Precision::Hour));
        for bad in
            ["", "now", "2015-13-01", "2015-02-30", "2015-02-01 00:00:00", "2015-2-1", "1e3", "20150201T"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn zones_are_offsets_or_utc() {
        assert_eq!(zone("UTC"), Some(0));
        assert_eq!(zone("+02:00"), Some(7200));
        assert_eq!(zone("-0130"), Some(-5400));
        assert_eq!(zone("Europe/Vienna"), None);
        assert_eq!(parse_in("2015-02-01", 3600).map(|d| d.ns), ns("2015-01-31T23:00:00Z"));
    }

    proptest! {
        #[test]
        fn a_written_date_is_read_back(at in any::<i64>()) {
            if (0..=9999).contains(&civil_from_days(at.div_euclid(DAY_S * SECOND_NS as i64)).0) {
                prop_assert_eq!(ns(&format(at)), Some(at));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}", digits in "[0-9TZ:.,+-]{0,40}") {
            for t in [&text, &digits] {
                let _ = (parse(t), zone(t), calendar_day(t));
            }
        }
    }
}
