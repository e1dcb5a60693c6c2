//! What a plain line says about itself: when, and how bad.

/// Below what a store takes from the future (10 minutes): a line without a zone, written east of Greenwich, is
/// taken as of now instead of being refused.
const MAX_AHEAD_NS: i64 = 5 * 60 * 1_000_000_000;

/// The time a line begins with, in nanoseconds: RFC 3339 (also with a blank for the `T`, in brackets, or behind
/// a syslog priority) or the RFC 3164 form `Nov  5 13:37:00`. Times without a zone are read as UTC. A time
/// too far ahead of `now_ns` is not believed: see [`MAX_AHEAD_NS`].
pub(super) fn timestamp(line: &str, now_ns: i64) -> Option<i64> {
    let text = line.trim_start_matches([' ', '[']);
    let text = after_priority(text);
    let found = rfc3339(text).or_else(|| rfc3164(text, now_ns))?;
    (found <= now_ns.saturating_add(MAX_AHEAD_NS)).then_some(found)
}

/// `<34>` and, in RFC 5424, the version behind it.
fn after_priority(text: &str) -> &str {
    let Some((number, rest)) = text.strip_prefix('<').and_then(|t| t.split_once('>')) else { return text };
    if number.is_empty() || number.len() > 3 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    rest.strip_prefix("1 ").unwrap_or(rest)
}

/// Reads `2006-01-02T15:04:05[.fraction][Z|±hh:mm]` at the start of `text`.
pub(super) fn rfc3339(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = b.get(from..to)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let is = |at: usize, what: &[u8]| b.get(at).is_some_and(|c| what.contains(c));
    if !(is(4, b"-/") && is(7, b"-/") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let seconds = seconds_of(
        (number(0, 4)?, number(5, 7)?, number(8, 10)?),
        (number(11, 13)?, number(14, 16)?, number(17, 19)?),
    )?;
    let mut at = 19;
    let mut nanos = 0;
    if is(at, b".,") {
        let digits = b[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
        let kept = digits.min(9);
        nanos = number(at + 1, at + 1 + kept).unwrap_or(0) * 10i64.pow(9 - kept as u32);
        at += 1 + digits;
    }
    let offset = match b.get(at) {
        Some(sign @ (b'+' | b'-')) => {
            let minutes_at = if is(at + 3, b":") { at + 4 } else { at + 3 };
            let offset =
                number(at + 1, at + 3)? * 3600 + number(minutes_at, minutes_at + 2).unwrap_or(0) * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => 0,
    };
    (seconds - offset).checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// `Jan _2 15:04:05`. The year is the one that brings the time closest to now from below.
fn rfc3164(text: &str, now_ns: i64) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|m| text.starts_with(m))? as i64 + 1;
    if text.as_bytes().get(3) != Some(&b' ') {
        return None;
    }
    let (day, rest) = text.get(4..)?.trim_start().split_once(' ')?;
    let mut clock = rest.get(..8)?.split(':').map(|w| w.parse::<i64>().ok());
    let time = (clock.next()??, clock.next()??, clock.next()??);
    let day: i64 = day.parse().ok()?;
    let year_now = 1970 + now_ns.div_euclid(31_556_952_000_000_000);
    let tomorrow = now_ns.saturating_add(86_400_000_000_000);
    (year_now - 1..=year_now + 1)
        .rev()
        .filter_map(|year| seconds_of((year, month, day), time)?.checked_mul(1_000_000_000))
        .find(|t| *t <= tomorrow)
}

/// Seconds since 1970 of a UTC date and time; `None` for what no calendar has.
fn seconds_of((year, month, day): (i64, i64, i64), (hour, minute, second): (i64, i64, i64)) -> Option<i64> {
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && (1600..=2261).contains(&year);
    if !in_range {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * m + 2) / 5 + day - 1;
    let days = y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A severity as OpenTelemetry numbers it, with the word found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Severity<'a> {
    pub(super) number: u8,
    pub(super) text: &'a str,
}

/// How far into a line a severity is looked for.
const LOOK_BYTES: usize = 512;

/// The first severity a line names: by key (`level=warn`, `"severity":"ERROR"`), as a klog prefix
/// (`E0102 15:04:05`), as a syslog priority, or as a word of its own in capitals, in brackets or before a
/// colon. A word in the middle of a sentence says nothing.
pub(super) fn severity(line: &str) -> Option<Severity<'_>> {
    let mut end = line.len().min(LOOK_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let text = line.get(..end)?;
    priority(text).or_else(|| keyed(text)).or_else(|| klog(text)).or_else(|| word(text))
}

fn number(word: &str) -> Option<u8> {
    let lower = word.to_ascii_lowercase();
    Some(match lower.as_str() {
        "trace" => 1,
        "debug" | "dbg" => 5,
        "info" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "warning" => 13,
        "error" | "err" | "eror" => 17,
        "critical" | "crit" => 18,
        "alert" => 19,
        "fatal" | "panic" | "emerg" | "emergency" => 21,
        _ => return None,
    })
}

fn priority(text: &str) -> Option<Severity<'_>> {
    let (digits, _) = text.strip_prefix('<')?.split_once('>')?;
    let value: u32 = digits.parse().ok().filter(|v| *v < 192)?;
    const BY_CODE: [u8; 8] = [21, 19, 18, 17, 13, 10, 9, 5];
    Some(Severity { number: BY_CODE[(value % 8) as usize], text: "" })
}

fn keyed(text: &str) -> Option<Severity<'_>> {
    const KEYS: [&str; 6] = ["level", "lvl", "severity", "loglevel", "log_level", "severity_text"];
    let mut at = 0;
    while let Some(found) = text.get(at..)?.find(['=', ':']) {
        let mark = at + found;
        let before = text.get(..mark)?.trim_end_matches('"');
        let key_from = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |i| i + before.get(i..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8));
        let key = before.get(key_from..)?;
        if KEYS.iter().any(|k| k.eq_ignore_ascii_case(key)) {
            let value = text.get(mark + 1..)?.trim_start_matches([' ', '"', '\'']);
            let len = value.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(value.len());
            let value = value.get(..len)?;
            if let Some(number) = number(value) {
                return Some(Severity { number, text: value });
            }
        }
        at = mark + 1;
    }
    None
}

/// `I0102 15:04:05.678901`
fn klog(text: &str) -> Option<Severity<'_>> {
    let letter = text.get(..1)?;
    let digits = text.get(1..5)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) || text.as_bytes().get(5) != Some(&b' ') {
        return None;
    }
    let number = match letter {
        "I" => 9,
        "W" => 13,
        "E" => 17,
        "F" => 21,
        _ => return None,
    };
    Some(Severity { number, text: letter })
}

fn word(text: &str) -> Option<Severity<'_>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    while let Some(start) = text.get(at..)?.find(|c: char| c.is_ascii_alphabetic()) {
        let start = at + start;
        let len = text.get(start..)?.find(|c: char| !is_word(c)).unwrap_or(text.len() - start);
        let w = text.get(start..start + len)?;
        at = start + len;
        let before = text.get(..start)?.chars().next_back();
        let after = text.get(at..)?.chars().next();
        let alone = !before.is_some_and(is_word);
        let marked = w.bytes().all(|b| b.is_ascii_uppercase())
            || (matches!(before, Some('[' | '<' | '(')) && matches!(after, Some(']' | '>' | ')')))
            || after == Some(':');
        if alone
            && marked
            && let Some(number) = number(w)
        {
            return Some(Severity { number, text: w });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000; // 2023-11-14T22:13:20Z

    #[test]
    fn times_at_the_start_of_a_line_are_read() {
        for (line, expected) in [
            ("2023-11-14T22:13:20Z up", Some(NOW)),
            ("2023-11-14T22:13:20.123456789Z x", Some(NOW + 123_456_789)),
            ("2023-11-14T23:13:20.5+01:00 host", Some(NOW + 500_000_000)),
            ("2023-11-14 22:13:20,250 x", Some(NOW + 250_000_000)),
            ("[2023/11/14 22:13:20] x", Some(NOW)),
            ("<34>1 2023-11-14T22:13:20Z host app", Some(NOW)),
            ("Nov 14 22:13:20 host app: x", Some(NOW)),
            ("<13>Nov  4 22:13:20 host", Some(NOW - 10 * 86_400_000_000_000)),
            ("Dec 31 23:59:59 host", Some(1_672_531_199_000_000_000)),
            ("2020-02-29T00:00:00Z", Some(1_582_934_400_000_000_000)),
            ("2024-11-14T22:13:20Z in the future", None),
            ("2023-13-14T22:13:20Z", None),
            ("Novel 1 22:13:20", None),
            ("no time", None),
            ("", None),
        ] {
            assert_eq!(timestamp(line, NOW), expected, "{line}");
        }
    }

    #[test]
    fn severities_are_found_where_a_line_states_them() {
        for (line, expected) in [
            ("ts=1 level=warn msg=\"x\"", Some((13, "warn"))),
            ("{\"a\":1,\"Severity\": \"ERROR\"}", Some((17, "ERROR"))),
            ("2023-11-14 22:13:20 INFO started", Some((9, "INFO"))),
            ("[error] broken", Some((17, "error"))),
            ("nginx: [warn] x", Some((13, "warn"))),
            ("fatal: not a repository", Some((21, "fatal"))),
            ("E0102 15:04:05.678901 x", Some((17, "E"))),
            ("<11>Nov 14 22:13:20 host", Some((17, ""))),
            ("there was no error at all", None),
            ("INFORMATIONAL_X", None),
            ("levels=3", None),
            ("", None),
        ] {
            assert_eq!(severity(line).map(|s| (s.number, s.text)), expected, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_line_is_looked_at_without_panic(line in "\\PC{0,80}", ascii in "[0-9TZ:.,+<> -]{0,40}") {
            timestamp(&line, NOW);
            timestamp(&ascii, NOW);
            severity(&line);
            severity(&ascii);
        }
    }
}
