//! Durations as TraceQL writes them: Go's (`1h30m`, `1.5s`, `10µs`) and Prometheus' (`1d`, `2w`, `1y`).

const NS: [(&str, f64); 11] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
    ("d", 86_400e9),
    ("w", 604_800e9),
    ("y", 31_536_000e9),
];

/// Nanoseconds of numbers that each have a unit; `None` when the text is not that or does not fit.
pub fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_len);
        let (_, scale) = NS.iter().find(|(u, _)| *u == unit)?;
        total = total.checked_add(scaled(number, *scale)?)?;
        rest = next;
    }
    i64::try_from(total).ok()
}

/// Whole numbers stay exact; fractions go through floating point, exact to well below a nanosecond.
fn scaled(number: &str, scale: f64) -> Option<i128> {
    if let Ok(n) = number.parse::<i64>() {
        return i128::from(n).checked_mul(scale as i128);
    }
    let v: f64 = number.parse().ok()?;
    (v.is_finite() && v >= 0.0 && v * scale < 9.3e18).then(|| (v * scale).round() as i128)
}

/// As Go prints it: `1.5s`, `100ms`, `1h0m0.25s`, `0s`. Reads back as the same number.
pub fn format_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let text = match n {
        0 => "0s".to_owned(),
        1..=999 => format!("{n}ns"),
        1_000..=999_999 => format!("{}µs", fraction(n, 3)),
        1_000_000..=999_999_999 => format!("{}ms", fraction(n, 6)),
        _ => {
            let seconds = fraction(n % 60_000_000_000, 9);
            match n / 60_000_000_000 {
                0 => format!("{seconds}s"),
                minutes @ 1..=59 => format!("{minutes}m{seconds}s"),
                minutes => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
            }
        }
    };
    format!("{sign}{text}")
}

/// `n` divided by ten to the `places`, exactly.
fn fraction(n: u64, places: u32) -> String {
    let unit = 10u64.pow(places);
    let (whole, part) = (n / unit, n % unit);
    if part == 0 {
        return whole.to_string();
    }
    let digits = format!("{part:0width$}", width = places as usize);
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_and_prometheus_write_them() {
        for (text, ns) in [
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("10µs", 10_000),
            ("1d", 86_400_000_000_000),
            ("1w2d", 777_600_000_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(ns), "{text}");
        }
        for text in ["", "5", "m", "1x", "1h30", "999999999999y", "1..5s", "ms1"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_printed_duration_reads_back_exactly() {
        for (ns, text) in [
            (1, "1ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_000_000_001, "1.000000001s"),
            (60_000_000_000, "1m0s"),
            (5_400_250_000_000, "1h30m0.25s"),
        ] {
            assert_eq!(format_duration(ns), text);
            assert_eq!(parse_duration(text), Some(ns));
        }
        assert_eq!(format_duration(-1_500), "-1.5µs");
        assert_eq!(parse_duration(&format_duration(i64::MAX)), Some(i64::MAX));
    }
}
