//! Durations and sizes as LogQL writes them.
//!
//! Durations are Go's (`1h30m`, `1.5s`, `10µs`) plus Prometheus' `d`, `w` and `y`; sizes are a number and a
//! decimal or binary unit (`20MB`, `1.5KiB`, `3k`).

const NS: [(&str, f64); 10] = [
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
];

const YEAR_NS: f64 = 365.0 * 86_400e9;

/// Nanoseconds, or `None` when the text is not a duration or does not fit. `0` alone is a duration.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_len);
        let scale = if unit == "y" { YEAR_NS } else { NS.iter().find(|(u, _)| *u == unit)?.1 };
        total += scaled(number, scale)?;
        if total > i128::from(i64::MAX) {
            return None;
        }
        rest = next;
    }
    let total = i64::try_from(total).ok()?;
    Some(if negative { -total } else { total })
}

/// Whole numbers stay exact; fractions go through floating point, as in Go to well below a nanosecond.
fn scaled(number: &str, scale: f64) -> Option<i128> {
    match number.parse::<i64>() {
        Ok(n) => Some(i128::from(n) * scale as i128),
        Err(_) => {
            let v: f64 = number.parse().ok()?;
            (v.is_finite() && v >= 0.0 && v * scale < 9.3e18).then(|| (v * scale).round() as i128)
        }
    }
}

/// The shortest exact form: `1h30m`, `250ms`, `0s`.
pub fn format_duration(ns: i64) -> String {
    if ns == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if ns < 0 {
        out.push('-');
    }
    let mut rest = ns.unsigned_abs();
    for (unit, size) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

/// A number of bytes, or `None` when the text is not a size. Units ignore case; without one it is bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number = number.replace(',', "");
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "p" | "pb" => 1_000_000_000_000_000,
        "e" | "eb" => 1_000_000_000_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        "pi" | "pib" => 1 << 50,
        "ei" | "eib" => 1u64 << 60,
        _ => return None,
    };
    if let Ok(n) = number.parse::<u64>() {
        return n.checked_mul(scale);
    }
    let v: f64 = number.parse().ok()?;
    let total = v * scale as f64;
    (total.is_finite() && (0.0..1.8e19).contains(&total)).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_and_prometheus_write_them() {
        for (text, ns) in [
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("250ms", 250_000_000),
            ("10µs", 10_000),
            ("1d", 86_400_000_000_000),
            ("1w2d", 777_600_000_000_000),
            ("0", 0),
            ("-5m", -300_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Some(ns), "{text}");
        }
        for text in ["", "5", "m", "1x", "1h30", "99999999999y", "1..5s", "-", "ms1"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_printed_duration_reads_back_exactly() {
        for ns in [0, 1, -1, 999, 1_000_000_001, 5_400_000_000_000, i64::MAX] {
            assert_eq!(parse_duration(&format_duration(ns)), Some(ns));
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, n) in [
            ("20MB", 20_000_000),
            ("20.2MB", 20_200_000),
            ("1KiB", 1024),
            ("1.5 kb", 1500),
            ("12", 12),
            ("5B", 5),
            ("3k", 3000),
        ] {
            assert_eq!(parse_bytes(text), Some(n), "{text}");
        }
        for text in ["", "MB", "1XB", "99999999EB", "-1B"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
